//! Whether a model fits into the memory of the GPUs: weights, the cache of keys and values, activations and what the
//! framework takes, against what is free on each GPU and within each group that NVLink joins.
//!
//! Weights are the bytes of real tensors; the cache follows from the architecture. What a framework adds is
//! an estimate by the named constants in [`need`], deliberately on the high side.

mod catalogue;
mod judge;
mod machine;
pub mod need;
mod quantise;
pub mod words;

pub use catalogue::{CatalogueEntry, CatalogueError, catalogue, lookup};
pub use judge::{Alternative, Candidate, Fit, Outcome, judge};
pub use machine::{FitGpu, Machine};
pub use need::{KvType, Need, need};
pub use quantise::{QUANTISATIONS, Quantisation};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Tokens of one sequence.
    pub context: u64,
    /// Sequences at once.
    pub batch: u64,
    /// Data type of the cache.
    pub kv_type: KvType,
}

/// Context where none is asked for and the model was trained for more: what the examples of vLLM and of the guides
/// serve with.
pub const USUAL_CONTEXT: u64 = 8_192;

#[cfg(test)]
mod tests;
