//! What the header of a model file says.

use super::Reading;
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
    /// Number of tensors.
    pub tensors: u64,
    /// Elements of all tensors: the parameters, unless weights are packed several to an element.
    pub elements: u64,
    /// Bytes of all tensors.
    pub weights: Bytes,
    /// Bytes by data type.
    pub types: BTreeMap<String, u64>,
    /// Keys and values of one token over all layers, in elements; absent with the reason where the header does
    /// not give them.
    pub kv_elements_per_token: Reading<u64>,
    /// Window of layers with sliding attention, tokens.
    pub sliding_window: Option<u64>,
    /// Context that it was trained for, tokens.
    pub context: Option<u64>,
}
