//! The header of a safetensors file: its length, then JSON.

use super::HeaderError;
use super::bounded::Bounded;
use super::plain::plain;
use super::types;
use crate::model::{Absence, Geometry, KvCache, ModelHeader};
use crate::units::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufReader, Read};

/// The limit of the reference implementation (`MAX_HEADER_SIZE`).
const HEADER_AT_MOST: u64 = 100_000_000;

/// Reads the header of a file of `size` bytes.
///
/// # Errors
/// A stated length that the file or the format cannot hold, or no valid JSON.
pub fn read_safetensors(mut file: impl Read, size: u64) -> Result<ModelHeader, HeaderError> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_AT_MOST || length > size.saturating_sub(8) {
        return Err(invalid(format!("a header of {length} bytes in a file of {size} bytes")));
    }
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(Bounded::new(file.take(length))));
    let fold = Tensors.deserialize(&mut json).and_then(|fold| json.end().map(|()| fold));
    let fold = fold.map_err(|error| invalid(error.to_string()))?;
    let mut header = fold.header;
    if fold.kv > 0 {
        // The header has rows, not heads: how tensor parallelism divides them stands in config.json.
        header.kv = Ok(KvCache::full(fold.kv, 1));
    }
    Ok(header)
}

fn invalid(message: String) -> HeaderError {
    HeaderError::Invalid { format: "safetensors", message }
}

#[derive(serde::Deserialize)]
struct Tensor {
    dtype: String,
    shape: Shape,
    data_offsets: [u64; 2],
}

/// A tensor's shape, folded: a hostile one may have a million dimensions.
struct Shape {
    /// Its first dimension.
    rows: u64,
    /// The product; `None` where no number holds it.
    elements: Option<u64>,
}

impl<'de> serde::Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Dimensions)
    }
}

struct Dimensions;

impl<'de> Visitor<'de> for Dimensions {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let first = list.next_element::<u64>()?;
        let mut shape = Shape { rows: first.unwrap_or_default(), elements: Some(first.unwrap_or(1)) };
        while let Some(size) = list.next_element::<u64>()? {
            shape.elements = shape.elements.and_then(|elements| elements.checked_mul(size));
        }
        Ok(shape)
    }
}

struct Fold {
    header: ModelHeader,
    kv: u64,
}

/// What the elements of a tensor are.
enum Role {
    Parameters,
    /// Scales, zero points, indexes and tables of a quantisation.
    Side,
    /// Several parameters to an element of so many bits.
    Packed(u64),
}

/// By the names that the quantisers write: GPTQ and AWQ (`qweight`, `qzeros`, `scales`, `g_idx`), FP8
/// (`weight_scale`, `weight_scale_inv`, `input_scale`), compressed-tensors (`weight_packed`), MXFP4 (`_blocks`,
/// `_scales`), bitsandbytes (`absmax`, `quant_map`, `quant_state`).
fn role(name: &str, dtype: &str) -> Role {
    const SIDE: [&str; 14] = [
        ".qzeros",
        ".scales",
        ".g_idx",
        "_scale",
        "_scale_inv",
        "_scales",
        ".weight_zero_point",
        ".weight_shape",
        ".weight_g_idx",
        ".absmax",
        ".nested_absmax",
        ".quant_map",
        ".nested_quant_map",
        ".weight_scale_2",
    ];
    let last = name.rsplit('.').next().unwrap_or(name);
    if SIDE.iter().any(|end| name.ends_with(end)) || name.contains(".quant_state.") || last == "SCB" {
        return Role::Side;
    }
    match dtype {
        "I32" if last == "qweight" || last == "weight_packed" => Role::Packed(32),
        "U8" => Role::Packed(8),
        _ => Role::Parameters,
    }
}

/// Folds the tensors one by one, so that none of them is kept.
struct Tensors;

impl<'de> DeserializeSeed<'de> for Tensors {
    type Value = Fold;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fold, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tensors {
    type Value = Fold;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fold, A::Error> {
        use serde::de::Error;
        let unknown = Absence::failed(0, "no k_proj and v_proj tensors in this file: see config.json");
        let mut fold = Fold { header: empty(unknown), kv: 0 };
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let tensor: Tensor = map.next_value()?;
            let [start, end] = tensor.data_offsets;
            let bytes = end.checked_sub(start);
            let (Some(bytes), Some(elements)) = (bytes, tensor.shape.elements) else {
                return Err(A::Error::custom(format!("tensor {} has an impossible size", plain(&name))));
            };
            if !types::safetensors_holds(&tensor.dtype, elements, bytes) {
                return Err(A::Error::custom(format!(
                    "tensor {} of {elements} elements of {} has {bytes} bytes",
                    plain(&name),
                    plain(&tensor.dtype)
                )));
            }
            let header = &mut fold.header;
            header.tensors += 1;
            header.elements = header.elements.saturating_add(elements);
            match role(&name, &tensor.dtype) {
                Role::Parameters => {}
                Role::Side => header.side_elements = header.side_elements.saturating_add(elements),
                Role::Packed(bits) => {
                    header.packed_elements = header.packed_elements.saturating_add(elements);
                    header.packed_bits = header.packed_bits.saturating_add(elements.saturating_mul(bits));
                }
            }
            header.weights = Bytes(header.weights.0.saturating_add(bytes));
            let of_type = header.types.entry(types::safetensors_name(&tensor.dtype)).or_default();
            *of_type = of_type.saturating_add(bytes);
            // Rows of the projections: KV heads × head size.
            if name.ends_with(".k_proj.weight") || name.ends_with(".v_proj.weight") {
                fold.kv = fold.kv.saturating_add(tensor.shape.rows);
            }
        }
        Ok(fold)
    }
}

fn empty(kv: Absence) -> ModelHeader {
    ModelHeader {
        architecture: None,
        name: None,
        quantisation: None,
        tensors: 0,
        elements: 0,
        side_elements: 0,
        packed_elements: 0,
        packed_bits: 0,
        weights: Bytes(0),
        types: std::collections::BTreeMap::new(),
        kv: Err(kv),
        geometry: Geometry::default(),
        split: None,
    }
}
