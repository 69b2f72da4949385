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
use std::io::Cursor;
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
