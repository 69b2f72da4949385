//! Model stores with the geometry of real models: headers are true, the data behind them are holes.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A tensor: name, data type, shape.
type Tensor = (String, &'static str, Vec<u64>);

fn bytes_of(dtype: &str) -> u64 {
    match dtype {
        "F32" | "I32" => 4,
        "F16" | "BF16" => 2,
        _ => 1,
    }
}

/// Writes `header` and leaves the rest of `size` bytes a hole.
pub(crate) fn sparse(path: &Path, header: &[u8], size: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(header).unwrap();
    file.set_len(size.max(header.len() as u64)).unwrap();
}

/// Header of a safetensors file, and the length of the whole file.
pub(crate) fn safetensors(tensors: &[Tensor]) -> (Vec<u8>, u64) {
    let mut json = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut offset = 0;
    for (name, dtype, shape) in tensors {
        let bytes = shape.iter().product::<u64>() * bytes_of(dtype);
        let end = offset + bytes;
        json.push_str(&format!(
            ",\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}"
        ));
        offset = end;
    }
    json.push('}');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend(json.as_bytes());
    let size = header.len() as u64 + offset;
    (header, size)
}

/// Numbers of a decoder: layers, heads, KV heads, head size, width, inside, vocabulary.
pub(crate) struct Decoder(
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) u64,
);

/// All tensors of a decoder in BF16.
pub(crate) fn decoder(numbers: &Decoder, tied: bool) -> Vec<Tensor> {
    let Decoder(layers, heads, kv, size, width, inside, vocabulary) = *numbers;
    let mut all: Vec<Tensor> = vec![("model.embed_tokens.weight".into(), "BF16", vec![vocabulary, width])];
    for layer in 0..layers {
        for (name, shape) in [
            ("input_layernorm", vec![width]),
            ("mlp.down_proj", vec![width, inside]),
            ("mlp.gate_proj", vec![inside, width]),
            ("mlp.up_proj", vec![inside, width]),
            ("post_attention_layernorm", vec![width]),
            ("self_attn.k_proj", vec![kv * size, width]),
            ("self_attn.o_proj", vec![width, heads * size]),
            ("self_attn.q_proj", vec![heads * size, width]),
            ("self_attn.v_proj", vec![kv * size, width]),
        ] {
            all.push((format!("model.layers.{layer}.{name}.weight"), "BF16", shape));
        }
    }
    all.push(("model.norm.weight".into(), "BF16", vec![width]));
    if !tied {
        all.push(("lm_head.weight".into(), "BF16", vec![vocabulary, width]));
    }
    all
}

/// A `config.json` of that decoder.
pub(crate) fn config(numbers: &Decoder, more: &str) -> String {
    let Decoder(layers, heads, kv, size, width, inside, vocabulary) = *numbers;
    format!(
        "{{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"num_hidden_layers\":{layers},\
         \"num_attention_heads\":{heads},\"num_key_value_heads\":{kv},\"head_dim\":{size},\"hidden_size\":{width},\
         \"intermediate_size\":{inside},\"vocab_size\":{vocabulary},\"max_position_embeddings\":131072{more}}}"
    )
}

/// A repository in a Hugging Face cache, as huggingface_hub lays it out.
pub(crate) struct Repository<'a> {
    /// Directory of the cache.
    pub(crate) hub: &'a Path,
    /// `ORG/NAME`.
    pub(crate) name: &'a str,
}

impl Repository<'_> {
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.hub.join(format!("models--{}", self.name.replace('/', "--")))
    }

    /// A reference.
    pub(crate) fn reference(&self, name: &str, commit: &str) {
        let path = self.path().join("refs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, commit).unwrap();
    }

    /// A file of a snapshot: a link to a blob.
    pub(crate) fn file(&self, commit: &str, name: &str, blob: &str, header: &[u8], size: u64) {
        sparse(&self.path().join("blobs").join(blob), header, size);
        let link = self.path().join("snapshots").join(commit).join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(Path::new("../../blobs").join(blob), link).unwrap();
    }
}

/// The store of an Ollama with one model under these names (`registry.ollama.ai/library/NAME/TAG`).
pub(crate) fn ollama(store: &Path, names: &[&str], weights: &[u8], size: u64) {
    let digest = "a".repeat(64);
    let config = "c".repeat(64);
    sparse(&store.join(format!("blobs/sha256-{digest}")), weights, size);
    sparse(&store.join(format!("blobs/sha256-{config}")), b"{}", 2);
    let manifest = format!(
        "{{\"schemaVersion\":2,\"config\":{{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\
         \"digest\":\"sha256:{config}\",\"size\":2}},\"layers\":[{{\"mediaType\":\"application/vnd.ollama.image.model\",\
         \"digest\":\"sha256:{digest}\",\"size\":{size}}}]}}"
    );
    for name in names {
        let path = store.join("manifests").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &manifest).unwrap();
    }
}
