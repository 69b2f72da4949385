//! The `config.json` beside a model's weights, as transformers writes it.

use super::HeaderError;
use super::config_keys;
use super::plain::{failed, plain};
use crate::model::{Geometry, KvCache, Reading};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A `config.json` has some KB; one with the quantisation of each module some hundred.
pub(super) const CONFIG_LIMIT: usize = 2 << 20;
/// No model has more layers.
const LAYERS_AT_MOST: u64 = 1_024;
/// Architectures of which some or all layers keep a state in place of keys and values (`model_type`).
const RECURRENT: &[&str] = &[
    "mamba",
    "mamba2",
    "falcon_mamba",
    "rwkv",
    "jamba",
    "zamba",
    "zamba2",
    "bamba",
    "falcon_h1",
    "nemotron_h",
    "granitemoehybrid",
    "qwen3_next",
    "recurrent_gemma",
    "lfm2",
    "minimax",
    "kimi_linear",
    "plamo2",
];
/// Architectures without a decoder: they keep no cache.
const ENCODERS: &[&str] =
    &["bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "nomic_bert", "modernbert", "vit"];

/// What `config.json` says.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// First of `architectures`, else `model_type`.
    pub architecture: Option<Arc<str>>,
    /// Numbers of the architecture.
    pub geometry: Geometry,
    /// The cache of keys and values.
    pub kv: Reading<KvCache>,
    /// Method of quantisation (`gptq`, `fp8`).
    pub method: Option<Arc<str>>,
    /// Bits of a quantised parameter.
    pub bits: Option<u64>,
}

/// Reads the text of a `config.json`.
///
/// # Errors
/// It is no JSON object.
pub fn read_config(text: &[u8]) -> Result<ModelConfig, HeaderError> {
    let invalid = |message: String| HeaderError::Invalid { format: "config.json", message };
    let outer = config_keys::read(text).map_err(|error| invalid(plain(&error.to_string())))?;
    // Models that see keep the numbers of their language part in an object of its own.
    let inner = ["text_config", "llm_config", "language_config"]
        .iter()
        .find_map(|name| outer.get(*name).and_then(Value::as_object));
    let fields = Fields { inner, outer: &outer };
    let name = outer.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
    let quantisation = outer.get("quantization_config").and_then(Value::as_object);
    Ok(ModelConfig {
        architecture: name.or_else(|| fields.text("model_type")).map(|name| plain(name).into()),
        geometry: fields.geometry(),
        kv: fields.kv(),
        method: quantisation
            .and_then(|all| all.get("quant_method"))
            .and_then(Value::as_str)
            .map(|method| plain(method).into()),
        bits: quantisation.and_then(bits),
    })
}

/// Bits of a quantised parameter, where the methods write them.
fn bits(quantisation: &Map<String, Value>) -> Option<u64> {
    let method = quantisation.get("quant_method").and_then(Value::as_str);
    let flag = |name: &str| quantisation.get(name).and_then(Value::as_bool) == Some(true);
    let group = || {
        let groups = quantisation.get("config_groups")?.as_object()?;
        groups.values().find_map(|group| group.get("weights")?.get("num_bits")?.as_u64())
    };
    match quantisation.get("bits").and_then(Value::as_u64) {
        Some(bits) => Some(bits),
        None if flag("load_in_4bit") || flag("_load_in_4bit") || method == Some("mxfp4") => Some(4),
        None if flag("load_in_8bit") || flag("_load_in_8bit") => Some(8),
        None => group(),
    }
}

/// The object, the language part first.
struct Fields<'a> {
    inner: Option<&'a Map<String, Value>>,
    outer: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.inner.and_then(|inner| inner.get(name)).or_else(|| self.outer.get(name));
        found.filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The first of these names that is there: models name the same thing differently.
    fn number(&self, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| self.get(name)?.as_u64())
    }

    fn geometry(&self) -> Geometry {
        let experts = self.number(&["num_local_experts", "n_routed_experts", "num_experts"]);
        let of_expert = self.number(&["moe_intermediate_size"]).filter(|_| experts.is_some());
        Geometry {
            layers: self.number(&["num_hidden_layers", "n_layer", "n_layers"]),
            hidden: self.number(&["hidden_size", "n_embd", "d_model"]),
            heads: self.number(&["num_attention_heads", "n_head", "n_heads"]),
            feed_forward: of_expert.or_else(|| self.number(&["intermediate_size", "n_inner", "ffn_dim"])),
            vocabulary: self.number(&["vocab_size"]),
            context: self.number(&["max_position_embeddings", "n_positions", "max_seq_len", "seq_length"]),
            experts: experts.filter(|experts| *experts > 0),
            experts_used: self.number(&["num_experts_per_tok", "num_experts_per_token"]),
        }
    }

    fn kv(&self) -> Reading<KvCache> {
        let kind = self.text("model_type").unwrap_or("this architecture");
        let refuse = |why: &str| Err(failed(format!("{kind}: {why}")));
        if RECURRENT.contains(&kind) {
            return refuse("layers with a recurrent state are not computed");
        }
        if ENCODERS.contains(&kind) {
            return refuse("an encoder keeps no cache");
        }
        if self.get("is_encoder_decoder").and_then(Value::as_bool) == Some(true) {
            return refuse("a cache of encoder and decoder is not computed");
        }
        let missing = || failed(format!("{kind}: config.json lacks the numbers of the cache"));
        let geometry = self.geometry();
        let layers = geometry.layers.filter(|layers| *layers <= LAYERS_AT_MOST).ok_or_else(missing)?;
        if let Some(rank) = self.number(&["kv_lora_rank"]) {
            let rotated = self.number(&["qk_rope_head_dim"]).ok_or_else(missing)?;
            let full = rank.saturating_add(rotated).saturating_mul(layers);
            return Ok(KvCache { latent: true, ..KvCache::full(full, 1) });
        }
        let heads = geometry.heads.ok_or_else(missing)?;
        let kv_heads = match self.get("multi_query").and_then(Value::as_bool) {
            Some(true) if self.get("new_decoder_architecture").and_then(Value::as_bool) != Some(true) => 1,
            _ => self.number(&["num_key_value_heads", "num_kv_heads", "n_head_kv"]).unwrap_or(heads),
        };
        let size = self
            .number(&["head_dim"])
            .or_else(|| geometry.hidden.and_then(|hidden| hidden.checked_div(heads)))
            .ok_or_else(missing)?;
        let each = kv_heads.saturating_mul(size).saturating_mul(2);
        let (sliding, window) = self.sliding(kind, layers)?;
        Ok(KvCache {
            full: each.saturating_mul(layers - sliding),
            windowed: each.saturating_mul(sliding),
            window,
            heads: kv_heads,
            latent: false,
        })
    }

    /// How many layers keep a window, and which. A window that no layer is known to keep does not count: a cache of
    /// the whole context is the more.
    fn sliding(&self, kind: &str, layers: u64) -> Reading<(u64, u64)> {
        if let Some(types) = self.get("layer_types").and_then(Value::as_array) {
            let names = || types.iter().filter_map(Value::as_str);
            let known = ["full_attention", "sliding_attention", "chunked_attention"];
            if let Some(other) = names().find(|name| !known.contains(name)) {
                return Err(failed(format!("{kind}: layers of {other} are not computed")));
            }
            let sliding = names().filter(|name| *name != "full_attention").count() as u64;
            let window = self.number(&["sliding_window", "attention_chunk_size"]);
            return Ok(window.map_or((0, 0), |window| (sliding.min(layers), window)));
        }
        let off = self.get("use_sliding_window").and_then(Value::as_bool) == Some(false);
        let Some(window) = self.number(&["sliding_window"]).filter(|window| *window > 0 && !off) else {
            return Ok((0, 0));
        };
        // Of every so many layers one keeps all; as the classes of transformers have it.
        let every = |n: u64| layers - layers / n;
        let sliding = match kind {
            "mistral" | "mixtral" | "phi3" | "starcoder2" => layers,
            "gemma2" => every(2),
            "gemma3" | "gemma3_text" => every(self.number(&["sliding_window_pattern"]).unwrap_or(6).max(1)),
            "cohere2" => every(self.number(&["sliding_window_pattern"]).unwrap_or(4).max(1)),
            "qwen2" | "qwen3" | "qwen2_moe" | "qwen3_moe" => {
                layers.saturating_sub(self.number(&["max_window_layers"]).unwrap_or(layers))
            }
            _ => 0,
        };
        Ok(if sliding == 0 { (0, 0) } else { (sliding, window) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(text: &str) -> Reading<KvCache> {
        read_config(text.as_bytes()).unwrap().kv
    }

    #[test]
    fn grouped_queries_and_their_defaults() {
        let llama = kv(r#"{"model_type":"llama","num_hidden_layers":32,"num_attention_heads":32,
            "num_key_value_heads":8,"hidden_size":4096}"#);
        assert_eq!(llama, Ok(KvCache::full(32 * 2 * 8 * 128, 8)));
        let all_heads =
            kv(r#"{"model_type":"llama","num_hidden_layers":2,"num_attention_heads":4,"hidden_size":64}"#);
        assert_eq!(all_heads, Ok(KvCache::full(2 * 2 * 64, 4)));
        let nested = kv(r#"{"model_type":"x_vl","text_config":{"model_type":"x","num_hidden_layers":2,
            "num_attention_heads":4,"num_key_value_heads":2,"head_dim":32,"hidden_size":64}}"#);
        assert_eq!(nested, Ok(KvCache::full(2 * 2 * 2 * 32, 2)));
    }

    #[test]
    fn windows_by_layer() {
        let base = r#""num_hidden_layers":12,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"hidden_size":64"#;
        let each = 2 * 2 * 8;
        let gemma = kv(&format!(r#"{{"model_type":"gemma3_text","sliding_window":1024,{base}}}"#)).unwrap();
        assert_eq!((gemma.full, gemma.windowed, gemma.window), (2 * each, 10 * each, 1_024));
        let off =
            kv(&format!(r#"{{"model_type":"qwen2","use_sliding_window":false,"sliding_window":32,{base}}}"#));
        assert_eq!(off, Ok(KvCache::full(12 * each, 2)));
        let listed = kv(&format!(
            r#"{{"model_type":"gpt_oss","sliding_window":128,"layer_types":["sliding_attention","full_attention"],{base}}}"#
        ))
        .unwrap();
        assert_eq!((listed.full, listed.windowed), (11 * each, each));
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        for (text, name) in [
            (r#"{"model_type":"jamba"}"#, "jamba"),
            (r#"{"model_type":"bert"}"#, "bert"),
            (r#"{"model_type":"t5","is_encoder_decoder":true}"#, "t5"),
            (r#"{"model_type":"llama"}"#, "llama"),
        ] {
            assert!(kv(text).unwrap_err().to_string().contains(name), "{text}");
        }
        let latent = kv(r#"{"model_type":"deepseek_v3","num_hidden_layers":61,"kv_lora_rank":512,
            "qk_rope_head_dim":64,"num_attention_heads":128}"#)
        .unwrap();
        assert_eq!((latent.full, latent.latent), (61 * 576, true));
        assert!(read_config(b"[1]").is_err());
        assert!(read_config(b"{\"num_hidden_layers\":").is_err());
    }

    #[test]
    fn bits_of_each_method() {
        let bits =
            |text: &str| read_config(format!(r#"{{"quantization_config":{text}}}"#).as_bytes()).unwrap().bits;
        assert_eq!(bits(r#"{"quant_method":"gptq","bits":4}"#), Some(4));
        assert_eq!(bits(r#"{"quant_method":"bitsandbytes","load_in_4bit":true}"#), Some(4));
        assert_eq!(
            bits(
                r#"{"quant_method":"compressed-tensors","config_groups":{"group_0":{"weights":{"num_bits":8}}}}"#
            ),
            Some(8)
        );
        assert_eq!(bits(r#"{"quant_method":"fp8"}"#), None);
    }
}
