//! Of a `config.json` the members that are used: an object of all of them takes a hundred times the memory of its text.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// Members that are used, wherever they stand.
const USED: [&str; 53] = [
    "architectures",
    "model_type",
    "text_config",
    "llm_config",
    "language_config",
    "quantization_config",
    "quant_method",
    "bits",
    "load_in_4bit",
    "_load_in_4bit",
    "load_in_8bit",
    "_load_in_8bit",
    "config_groups",
    "weights",
    "num_bits",
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "hidden_size",
    "n_embd",
    "d_model",
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "head_dim",
    "multi_query",
    "new_decoder_architecture",
    "kv_lora_rank",
    "qk_rope_head_dim",
    "intermediate_size",
    "moe_intermediate_size",
    "n_inner",
    "ffn_dim",
    "vocab_size",
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "num_local_experts",
    "n_routed_experts",
    "num_experts",
    "num_experts_per_tok",
    "num_experts_per_token",
    "is_encoder_decoder",
    "layer_types",
    "use_sliding_window",
    "sliding_window",
    "sliding_window_pattern",
    "attention_chunk_size",
    "max_window_layers",
];
/// Values of these members; a model has a type for each of its layers at most.
const VALUES_AT_MOST: u32 = 4_096;

/// Reads them.
pub(super) fn read(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let left = Cell::new(VALUES_AT_MOST);
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = Used { left: &left, groups: false }.deserialize(&mut json)?;
    json.end()?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(serde_json::Error::custom("not an object")),
    }
}

/// A value, with those of its members that are used.
#[derive(Clone, Copy)]
struct Used<'a> {
    /// How many more values there may be.
    left: &'a Cell<u32>,
    /// Its members are groups, each with a name that the quantiser chose.
    groups: bool,
}

impl<'de> DeserializeSeed<'de> for Used<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom(format!("more than {VALUES_AT_MOST} values")))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Used<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.groups || USED.contains(&name.as_str()) {
                let inner = Self { groups: name == "config_groups", ..self };
                members.insert(name, map.next_value_seed(inner)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(members))
    }
}
