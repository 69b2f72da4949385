//! What the header of a model file says, and the shape of a model that follows from its files.

use super::{Absence, Reading};
use crate::units::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The header of one GGUF or safetensors file.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelHeader {
    /// Architecture (`llama`), where the format has one.
    pub architecture: Option<Arc<str>>,
    /// Name that the file gives itself.
    pub name: Option<Arc<str>>,
    /// Quantisation that the file names itself by (`Q4_K_M`, from `general.file_type`).
    pub quantisation: Option<&'static str>,
    /// Number of tensors.
    pub tensors: u64,
    /// Elements of all tensors.
    pub elements: u64,
    /// Of these: scales, zero points and indexes of a quantisation, which are no parameters.
    pub side_elements: u64,
    /// Of these: elements into which several parameters are packed.
    pub packed_elements: u64,
    /// Bits of the packed elements together.
    pub packed_bits: u64,
    /// Bytes of all tensors.
    pub weights: Bytes,
    /// Bytes by data type.
    pub types: BTreeMap<&'static str, u64>,
    /// The cache of keys and values; absent with the reason where the header does not give it.
    pub kv: Reading<KvCache>,
    /// Numbers of the architecture, as far as the header has them.
    pub geometry: Geometry,
    /// Number of files that the model is split into, where the file says so.
    pub split: Option<u64>,
}

impl ModelHeader {
    /// The parameters. `bits` is how many of them a packed one has, which stands in `config.json`.
    ///
    /// # Errors
    /// Parameters are packed and nothing says how many to an element.
    pub fn parameters(&self, bits: Option<u64>) -> Reading<u64> {
        let plain = self.elements.saturating_sub(self.side_elements).saturating_sub(self.packed_elements);
        if self.packed_elements == 0 {
            return Ok(plain);
        }
        let packed = bits.and_then(|bits| self.packed_bits.checked_div(bits));
        packed.map(|packed| plain.saturating_add(packed)).ok_or_else(|| {
            Absence::failed(0, "weights are packed, and config.json does not say how many bits")
        })
    }

    /// The data type that most bytes have.
    #[must_use]
    pub fn main_type(&self) -> Option<&'static str> {
        self.types.iter().max_by_key(|(_, bytes)| **bytes).map(|(name, _)| *name)
    }
}

/// Numbers of an architecture, each where it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Geometry {
    /// Layers.
    pub layers: Option<u64>,
    /// Width of the residual stream.
    pub hidden: Option<u64>,
    /// Attention heads (of queries).
    pub heads: Option<u64>,
    /// Width inside the feed-forward part; of one expert, where there are experts.
    pub feed_forward: Option<u64>,
    /// Tokens of the vocabulary.
    pub vocabulary: Option<u64>,
    /// Context that it was trained for, tokens.
    pub context: Option<u64>,
    /// Experts of a layer. All of them must be resident.
    pub experts: Option<u64>,
    /// Experts that one token uses.
    pub experts_used: Option<u64>,
}

/// What a token costs in the cache of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvCache {
    /// Elements per token over all layers that keep the whole context.
    pub full: u64,
    /// Elements per token over all layers that keep a window.
    pub windowed: u64,
    /// The window, tokens; 0 without one.
    pub window: u64,
    /// KV heads of a layer, the least over the layers: into so many parts tensor parallelism divides the cache.
    pub heads: u64,
    /// One latent for all heads (MLA): tensor parallelism keeps a whole copy on every GPU.
    pub latent: bool,
}

impl KvCache {
    /// A cache without windows.
    #[must_use]
    pub const fn full(elements: u64, heads: u64) -> Self {
        Self { full: elements, windowed: 0, window: 0, heads, latent: false }
    }

    /// Elements that one more token adds while no window is full.
    #[must_use]
    pub const fn per_token(&self) -> u64 {
        self.full.saturating_add(self.windowed)
    }

    /// Elements of one sequence of `tokens`.
    #[must_use]
    pub fn elements(&self, tokens: u64) -> u64 {
        let windowed = self.windowed.saturating_mul(tokens.min(self.window));
        self.full.saturating_mul(tokens).saturating_add(windowed)
    }
}

/// A model's size and needs, whatever files it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Architecture (`llama`, `LlamaForCausalLM`).
    pub architecture: Reading<Arc<str>>,
    /// Parameters.
    pub parameters: Reading<u64>,
    /// Bytes of all tensors.
    pub weights: Reading<Bytes>,
    /// Data type or quantisation (`BF16`, `Q4_K_M`, `FP8`).
    pub data_type: Reading<Arc<str>>,
    /// What a token costs in the cache of keys and values.
    pub kv: Reading<KvCache>,
    /// Numbers of the architecture.
    pub geometry: Geometry,
}

impl ModelShape {
    /// A model of which nothing is known, for this reason.
    #[must_use]
    pub fn absent(reason: &Absence) -> Self {
        Self {
            architecture: Err(reason.clone()),
            parameters: Err(reason.clone()),
            weights: Err(reason.clone()),
            data_type: Err(reason.clone()),
            kv: Err(reason.clone()),
            geometry: Geometry::default(),
        }
    }
}
