//! The header of a GGUF file (little endian, versions 2 and 3). The tokeniser's arrays of megabytes stand in the
//! middle of it: they are skipped as they stream by.

mod stream;

use super::HeaderError;
use super::plain::{failed, plain};
use super::types;
use crate::model::{Geometry, KvCache, ModelHeader, Reading};
use crate::units::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::sync::Arc;
use stream::{ARRAY_AT_MOST, Stream, Value};

/// Headers measure 5 to 8 MB with a vocabulary of 128 thousand tokens.
const HEADER_AT_MOST: u64 = 64 << 20;
/// Headers have some dozen keys and up to some thousand tensors.
const ENTRIES_AT_MOST: u64 = 65_536;
/// Keys of the file that are used.
const GENERAL: [&str; 4] = ["general.architecture", "general.name", "general.file_type", "split.count"];
/// Keys that are used, each behind the name of the architecture.
const OF_ARCHITECTURE: [&str; 18] = [
    "block_count",
    "embedding_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.kv_lora_rank",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "rope.dimension_count",
    "expert_feed_forward_length",
    "feed_forward_length",
    "vocab_size",
    "context_length",
    "expert_count",
    "expert_used_count",
    "ssm.state_size",
    "wkv.head_size",
];
/// Values that are kept. A model has those of one architecture; the name of it may stand behind them.
const KEPT_AT_MOST: usize = 256;
/// Layers with sliding attention, where the header gives the window and no pattern: every so many layers one keeps
/// the whole context (`llama.cpp`, `set_swa_pattern` of each architecture).
const PATTERNS: &[(&str, u64)] = &[("gemma2", 2), ("gemma3", 6), ("cohere2", 4), ("gpt-oss", 2)];
/// Architectures of which all layers slide.
const ALL_SLIDE: &[&str] = &["phi3"];

/// Reads the header.
///
/// # Errors
/// Another file, an unknown version or tensor type, an impossible size, or an early end.
pub fn read_gguf(file: impl Read) -> Result<ModelHeader, HeaderError> {
    let mut stream = Stream(BufReader::new(file.take(HEADER_AT_MOST)));
    if stream.bytes()? != *b"GGUF" {
        return Err(invalid("it does not begin with \"GGUF\""));
    }
    let version = stream.u32()?;
    if !(2..=3).contains(&version) {
        return Err(invalid(format!("version {version}; 2 and 3 are known")));
    }
    let tensors = stream.u64()?;
    let keys = stream.u64()?;
    if tensors > ENTRIES_AT_MOST || keys > ENTRIES_AT_MOST {
        return Err(invalid(format!(
            "{keys} keys and {tensors} tensors; no model has more than {ENTRIES_AT_MOST}"
        )));
    }
    let mut values = HashMap::new();
    for _ in 0..keys {
        let key = stream.text()?.ok_or_else(|| invalid("a key of more than 4096 bytes"))?;
        let kind = stream.u32()?;
        if !is_used(&key) {
            stream.skip_value(kind)?;
            continue;
        }
        let value = stream.value(kind)?;
        if !matches!(value, Value::Other) {
            values.insert(key, value);
        }
        if values.len() > KEPT_AT_MOST {
            return Err(invalid(format!(
                "the numbers of more architectures than one, in over {KEPT_AT_MOST} keys"
            )));
        }
    }
    let (mut elements, mut weights, mut types) = (0_u64, 0_u64, BTreeMap::new());
    for _ in 0..tensors {
        let (name, count, bytes) = stream.tensor()?;
        elements = elements.saturating_add(count);
        weights = weights.saturating_add(bytes);
        let of_type: &mut u64 = types.entry(name).or_default();
        *of_type = of_type.saturating_add(bytes);
    }
    let facts = Facts(values);
    let architecture = facts.text("general.architecture");
    let prefix = architecture.as_deref().unwrap_or_default();
    Ok(ModelHeader {
        name: facts.text("general.name").map(|name| plain(&name).into()),
        quantisation: facts.number("general.file_type").and_then(types::file_type),
        tensors,
        elements,
        side_elements: 0,
        packed_elements: 0,
        packed_bits: 0,
        weights: Bytes(weights),
        types,
        kv: facts.kv(prefix),
        geometry: facts.geometry(prefix),
        split: facts.number("split.count").filter(|count| *count > 0),
        architecture: architecture.map(|name| plain(&name).into()),
    })
}

fn invalid(message: impl Into<String>) -> HeaderError {
    HeaderError::Invalid { format: "GGUF", message: message.into() }
}

fn is_used(key: &str) -> bool {
    let of_architecture = || key.split_once('.').is_some_and(|(_, rest)| OF_ARCHITECTURE.contains(&rest));
    GENERAL.contains(&key) || of_architecture()
}

struct Facts(HashMap<Arc<str>, Value>);

impl Facts {
    fn text(&self, key: &str) -> Option<Arc<str>> {
        if let Value::Text(text) = self.0.get(key)? { Some(Arc::clone(text)) } else { None }
    }

    fn number(&self, key: &str) -> Option<u64> {
        if let Value::Number(number) = self.0.get(key)? { Some(*number) } else { None }
    }

    fn geometry(&self, architecture: &str) -> Geometry {
        let number = |key: &str| self.number(&format!("{architecture}.{key}"));
        Geometry {
            layers: number("block_count"),
            hidden: number("embedding_length"),
            heads: number("attention.head_count"),
            feed_forward: number("expert_feed_forward_length").or_else(|| number("feed_forward_length")),
            vocabulary: number("vocab_size"),
            context: number("context_length"),
            experts: number("expert_count").filter(|experts| *experts > 0),
            experts_used: number("expert_used_count").filter(|experts| *experts > 0),
        }
    }

    /// Σ over the layers of KV heads × (key length + value length), by whether the layer keeps a window.
    fn kv(&self, architecture: &str) -> Reading<KvCache> {
        let number = |key: &str| self.number(&format!("{architecture}.{key}"));
        if number("ssm.state_size").is_some() || number("wkv.head_size").is_some() {
            return Err(failed(format!("{architecture}: layers with a recurrent state are not computed")));
        }
        let missing = || failed(format!("{architecture}: no layer or head counts in the header"));
        let layers = number("block_count").ok_or_else(missing)?;
        if let Some(rank) = number("attention.kv_lora_rank") {
            // llama.cpp keeps the latent and the rotated part of the key, once for all heads.
            let rotated = number("rope.dimension_count").ok_or_else(missing)?;
            let full = rank.saturating_add(rotated).saturating_mul(layers);
            return Ok(KvCache { latent: true, ..KvCache::full(full, 1) });
        }
        let heads = number("attention.head_count");
        let head_size = || number("embedding_length")?.checked_div(heads?);
        let key = number("attention.key_length").or_else(head_size).ok_or_else(missing)?;
        let value = number("attention.value_length").or_else(head_size).ok_or_else(missing)?;
        let each = key.saturating_add(value);
        let per_layer = self.0.get(&*format!("{architecture}.attention.head_count_kv"));
        let of_layer: Box<dyn Fn(u64) -> u64> = match per_layer {
            Some(Value::Numbers(list)) => {
                if list.contains(&0) {
                    return Err(failed(format!("{architecture}: layers without attention are not computed")));
                }
                if list.len() as u64 != layers {
                    return Err(missing());
                }
                Box::new(|layer| {
                    usize::try_from(layer).ok().and_then(|layer| list.get(layer)).copied().unwrap_or_default()
                })
            }
            Some(Value::Number(each)) => Box::new(|_| *each),
            _ => {
                let heads = heads.ok_or_else(missing)?;
                Box::new(move |_| heads)
            }
        };
        if layers > ARRAY_AT_MOST {
            return Err(failed(format!("{architecture}: {layers} layers")));
        }
        let window = number("attention.sliding_window").filter(|window| *window > 0);
        let mut cache = KvCache::full(0, u64::MAX);
        for layer in 0..layers {
            let heads = of_layer(layer);
            let elements = heads.saturating_mul(each);
            let slides = window.is_some() && self.slides(architecture, layer);
            let part = if slides { &mut cache.windowed } else { &mut cache.full };
            *part = part.saturating_add(elements);
            cache.heads = cache.heads.min(heads);
        }
        cache.window = window.filter(|_| cache.windowed > 0).unwrap_or_default();
        Ok(cache)
    }

    /// Whether a layer keeps the window only. Where nothing tells, it counts as keeping all, which is the more.
    fn slides(&self, architecture: &str, layer: u64) -> bool {
        let pattern = match self.0.get(&*format!("{architecture}.attention.sliding_window_pattern")) {
            Some(Value::Numbers(list)) if !list.is_empty() => {
                let place = usize::try_from(layer).unwrap_or_default() % list.len();
                return list.get(place).is_some_and(|slides| *slides != 0);
            }
            Some(Value::Number(every)) => Some(*every),
            _ => PATTERNS.iter().find(|(known, _)| *known == architecture).map(|(_, every)| *every),
        };
        match pattern {
            Some(0) => true,
            Some(every) => layer % every < every - 1,
            None => ALL_SLIDE.contains(&architecture),
        }
    }
}
