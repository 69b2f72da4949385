//! Headers of model files with the geometry of real models, and hostile ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use kgtop::model::{KvCache, ModelHeader};
use kgtop::sources::models::{HeaderError, read_gguf, read_safetensors};
use kgtop::units::Bytes;
use std::io::{Cursor, Read};
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)).unwrap()
}

fn gguf(bytes: &[u8]) -> Result<ModelHeader, HeaderError> {
    read_gguf(Cursor::new(bytes))
}

#[test]
fn qwen_half_billion_to_the_byte() {
    let bytes = fixture("Qwen2.5-0.5B-Instruct.safetensors");
    let header = read_safetensors(Cursor::new(&bytes), 988_097_824).unwrap();
    // 24 layers of width 896, 14 heads of 64, 2 of them for KV, 4864 inside, 151936 tokens, tied.
    assert_eq!(header.elements, 494_032_768);
    assert_eq!(header.weights, Bytes(2 * 494_032_768));
    assert_eq!(header.parameters(None), Ok(494_032_768));
    assert_eq!(header.kv.unwrap().per_token(), 24 * 2 * 2 * 64);
    assert_eq!(header.types.keys().copied().collect::<Vec<_>>(), ["BF16"]);
}

#[test]
fn gguf_with_one_count_of_heads_and_with_one_per_layer() {
    let tiny = gguf(&fixture("tiny-Q8_0.gguf")).unwrap();
    assert_eq!(tiny.architecture.as_deref(), Some("qwen2"));
    assert_eq!(tiny.geometry.context, Some(2_048));
    // Token table, then per layer: norms, three of the MLP, K and V, O and Q; then the last norm.
    let quantised: u64 = 256 * 1_000 + 2 * (3 * 256 * 512 + 2 * 256 * 128 + 2 * 256 * 256);
    let plain: u64 = 2 * 2 * 256 + 256;
    assert_eq!(tiny.elements, quantised + plain);
    assert_eq!(tiny.weights, Bytes(quantised / 32 * 34 + plain * 4));
    assert_eq!(tiny.quantisation, Some("Q8_0"));
    assert_eq!(tiny.kv, Ok(KvCache::full(2 * 2 * 128, 2)));
    let hybrid = gguf(&fixture("hybrid-kv-array-F16.gguf")).unwrap();
    // Gemma 3 keeps a window in five layers of six; this one has four.
    let kv = hybrid.kv.unwrap();
    assert_eq!((kv.full, kv.windowed, kv.window, kv.heads), (0, (2 + 2 + 1 + 2) * 128, 1_024, 1));
    assert_eq!(kv.elements(8_192), 1_024 * (2 + 2 + 1 + 2) * 128);
}

#[test]
fn a_hostile_length_or_count_is_an_error() {
    let bytes = fixture("hostile-length.safetensors");
    assert!(matches!(
        read_safetensors(Cursor::new(&bytes), bytes.len() as u64),
        Err(HeaderError::Invalid { .. })
    ));
    let mut text = (1_u64 << 63).to_le_bytes().to_vec();
    text.extend(b"{}");
    assert!(read_safetensors(Cursor::new(&text), u64::MAX).is_err());
    assert!(gguf(&fixture("not-gguf.gguf")).is_err());
    let whole = fixture("tiny-Q8_0.gguf");
    for end in [0, 3, 10, 24, 100, 4_096] {
        assert!(gguf(&whole[..end]).is_err(), "{end}");
    }
    for (tensors, values) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(values.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(gguf(&bytes).is_err());
    }
}

/// A GGUF of `keys` keys, each an array of `length` bytes, written while it is read.
struct Keys {
    name: fn(u64) -> String,
    left: u64,
    length: u64,
    ready: Cursor<Vec<u8>>,
}

impl Keys {
    fn new(keys: u64, length: u64, name: fn(u64) -> String) -> Self {
        let mut head = b"GGUF\x03\0\0\0".to_vec();
        head.extend(0_u64.to_le_bytes());
        head.extend(keys.to_le_bytes());
        Self { name, left: keys, length, ready: Cursor::new(head) }
    }
}

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.ready.read(buffer)?;
        if read > 0 || self.left == 0 {
            return Ok(read);
        }
        self.left -= 1;
        let name = (self.name)(self.left);
        let mut entry = (name.len() as u64).to_le_bytes().to_vec();
        entry.extend(name.as_bytes());
        entry.extend(9_u32.to_le_bytes());
        entry.extend(0_u32.to_le_bytes());
        entry.extend(self.length.to_le_bytes());
        entry.resize(entry.len() + usize::try_from(self.length).unwrap(), 7);
        self.ready = Cursor::new(entry);
        self.ready.read(buffer)
    }
}

/// The most memory that this process ever had, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The same bytes again and again.
struct Again(&'static [u8], usize);

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.0[self.1];
            self.1 = (self.1 + 1) % self.0.len();
        }
        Ok(buffer.len())
    }
}

/// What `read` adds to the most memory that this process ever had is below this, in KiB.
fn within(limit: u64, read: impl FnOnce()) {
    let before = peak();
    read();
    let grown = peak() - before;
    assert!(grown < limit, "{grown} KiB");
}

// One test, since what runs beside it would count.
#[test]
fn a_hostile_header_takes_no_memory() {
    // 60 MB, which took 480 MB as a list of numbers each.
    within(10 << 10, || {
        let header = read_gguf(Keys::new(58_000, 1_024, |key| format!("x.{key}"))).unwrap();
        assert!(header.kv.is_err());
    });
    // Of each of many architectures, a key that is asked for.
    within(10 << 10, || {
        let all = Keys::new(50_000, 1_024, |key| format!("a{key}.attention.head_count_kv"));
        assert!(read_gguf(all).unwrap_err().to_string().contains("architectures"));
    });
    let problem = read_gguf(Keys::new(65_537, 1, |key| format!("x.{key}"))).unwrap_err().to_string();
    assert!(problem.contains("65537 keys"), "{problem}");
    // A million dimensions, and a name without end.
    within(10 << 10, || {
        let (before, after) = (&br#"{"w":{"dtype":"U8","shape":["#[..], &br#"1],"data_offsets":[0,1]}}"#[..]);
        let length = (before.len() + 8_000_000 + after.len()) as u64;
        let head = length.to_le_bytes();
        let text = head.chain(before).chain(Again(b"1,", 0).take(8_000_000)).chain(after);
        assert_eq!(read_safetensors(text, 1 << 30).unwrap().elements, 1);
    });
    // A configuration of many objects that nothing asks for.
    let members = vec![r#"{"":0}"#; 250_000].join(",");
    let config = format!(r#"{{"x":[{members}],"model_type":"llama","num_hidden_layers":2}}"#);
    within(10 << 10, || {
        let config = kgtop::sources::models::read_config(config.as_bytes()).unwrap();
        assert_eq!((config.architecture.as_deref(), config.geometry.layers), (Some("llama"), Some(2)));
    });
    let config = config.replace(r#"{"x":"#, r#"{"architectures":"#);
    within(10 << 10, || {
        let problem = kgtop::sources::models::read_config(config.as_bytes()).unwrap_err().to_string();
        assert!(problem.contains("4096 values"), "{problem}");
    });
    within(20 << 10, || {
        let head = (90_u64 << 20).to_le_bytes();
        let text = head.chain(&b"{\""[..]).chain(Again(b"x", 0));
        let problem = read_safetensors(text, 1 << 30).unwrap_err().to_string();
        assert!(problem.contains("4 MiB"), "{problem}");
    });
}

#[test]
fn names_in_a_header_steer_no_terminal() {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(2_u64.to_le_bytes());
    for (key, value) in [("general.architecture", "ll\x1b]52;c;eA==\x07"), ("general.name", "a\x1b[2Jb")] {
        for (text, kind) in [(key, Some(8_u32)), (value, None)] {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
            bytes.extend(kind.map(u32::to_le_bytes).into_iter().flatten());
        }
    }
    let header = gguf(&bytes).unwrap();
    assert_eq!(header.architecture.as_deref(), Some("ll·]52;c;eA==·"));
    assert_eq!(header.name.as_deref(), Some("a·[2Jb"));
    let problem = header.kv.unwrap_err().to_string();
    assert!(problem.contains("ll·]52") && !problem.contains('\x1b'), "{problem:?}");
    let config = br#"{"architectures":["A\u001b[31m"],"model_type":"b\u0007","is_encoder_decoder":true,
        "quantization_config":{"quant_method":"q\u001bx"}}"#;
    let config = kgtop::sources::models::read_config(config).unwrap();
    assert_eq!(config.architecture.as_deref(), Some("A·[31m"));
    assert_eq!(config.method.as_deref(), Some("q·x"));
    let problem = config.kv.unwrap_err().to_string();
    assert!(problem.contains("b·: "), "{problem}");
}

fn tensors(json: &str) -> Result<ModelHeader, HeaderError> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    read_safetensors(Cursor::new(bytes), 1 << 30)
}

#[test]
fn a_tensor_has_the_bytes_that_its_shape_and_type_take() {
    let tensor = |dtype: &str, shape: &str, bytes: u64| {
        tensors(&format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{bytes}]}}}}"#))
    };
    for (dtype, shape, bytes) in [
        ("F16", "[1024,4096]", 8 << 20),
        ("F4", "[3,2]", 3),
        ("F6_E2M3", "[4]", 3),
        ("BOOL", "[]", 1),
        ("NEW", "[8]", 3),
    ] {
        assert_eq!(tensor(dtype, shape, bytes).unwrap().weights, Bytes(bytes), "{dtype}");
    }
    for (dtype, shape, bytes) in [
        ("F16", "[1024,4096]", 8),
        ("F4", "[3]", 2),
        ("F32", "[4]", 15),
        ("NEW", "[1024,4096]", 8),
        ("F16", "[18446744073709551615,2]", 8),
    ] {
        let problem = tensor(dtype, shape, bytes).unwrap_err().to_string();
        assert!(problem.contains("tensor w"), "{dtype}: {problem}");
    }
    let problem = tensor("F16", "[1024,4096]", 8).unwrap_err().to_string();
    assert!(problem.contains("4194304 elements of F16 has 8 bytes"), "{problem}");
}

#[test]
fn behind_the_header_stand_blanks_alone() {
    assert!(tensors("{}   \n").is_ok());
    for behind in ["garbage", "{}", "\0\0"] {
        assert!(tensors(&format!("{{}} {behind}")).is_err(), "{behind:?}");
    }
}

#[test]
fn of_a_configuration_every_member_that_is_used_is_read() {
    let text = br#"{"torch_dtype":"bfloat16","text_config":{"model_type":"llama","num_hidden_layers":4,
        "num_attention_heads":8,"num_key_value_heads":2,"hidden_size":512,"other":{"num_hidden_layers":9}},
        "quantization_config":{"quant_method":"compressed-tensors","config_groups":{"mine":{"targets":["Linear"],
        "weights":{"num_bits":4}}},"ignore":["lm_head"]}}"#;
    let config = kgtop::sources::models::read_config(text).unwrap();
    assert_eq!((config.bits, config.method.as_deref()), (Some(4), Some("compressed-tensors")));
    assert_eq!(config.geometry.layers, Some(4));
    assert_eq!(config.kv, Ok(KvCache::full(4 * 2 * 2 * 64, 2)));
    for bad in [&b"[]"[..], b"{} x", b"{\"architectures\":", b""] {
        assert!(kgtop::sources::models::read_config(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
}
