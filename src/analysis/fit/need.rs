//! What a model needs on each GPU.

use super::Request;
use crate::model::{Absence, ModelShape, Reading};
use crate::units::Bytes;

const MIB: u64 = 1 << 20;

/// Tokens that are computed in one step: `max_num_batched_tokens` of vLLM with chunked prefill. llama.cpp computes
/// 512 (`n_ubatch`) and needs less.
pub const STEP_TOKENS: u64 = 2_048;
/// Bytes of an activation.
pub const ACTIVATION_BYTES: u64 = 2;
/// Copies of the residual stream that live at once in a layer: itself, its norm, the attention's output.
pub const RESIDUALS: u64 = 3;
/// Logits are computed in 32 bits for each sequence.
pub const LOGIT_BYTES: u64 = 4;
/// CUDA context with the modules of cuBLAS and the attention kernels, on each GPU.
pub const CONTEXT: Bytes = Bytes(512 * MIB);
/// What libraries allocate past the framework's own allocator: vLLM logs 0.16 to 0.33 GiB as `non_torch_memory`
/// (vllm-project/vllm#14452).
pub const LIBRARIES: Bytes = Bytes(340 * MIB);
/// CUDA graphs of the decode steps: vLLM estimates 0.26 to 0.36 GiB (vllm-project/vllm#30515).
pub const GRAPHS: Bytes = Bytes(370 * MIB);
/// NCCL and all-reduce buffers of tensor parallelism: with eight GPUs vLLM was seen 1.37 GiB above its own budget, of
/// which graphs were 62 MiB (vllm-project/vllm#51590).
pub const COMMUNICATION: Bytes = Bytes(1_340 * MIB);

/// Data type of the cache of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvType {
    /// 16 bits.
    F16,
    /// 8 bits in blocks of 32 with a scale (llama.cpp).
    Q8,
    /// 8-bit floats (vLLM).
    Fp8,
}

impl KvType {
    /// All of them, the largest first.
    pub const ALL: [Self; 3] = [Self::F16, Self::Q8, Self::Fp8];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8 => "q8_0",
            Self::Fp8 => "fp8",
        }
    }

    /// Bytes of so many elements; `Q8_0` takes 34 bytes for 32.
    #[must_use]
    pub const fn bytes(self, elements: u64) -> u64 {
        match self {
            Self::F16 => elements.saturating_mul(2),
            Self::Q8 => elements.saturating_mul(34).div_ceil(32),
            Self::Fp8 => elements,
        }
    }
}

/// What one GPU of several that share the work must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Weights.
    pub weights: Bytes,
    /// Cache of keys and values.
    pub kv: Bytes,
    /// Activations; `None` where the numbers of the architecture are not known, and nothing was counted.
    pub activations: Option<Bytes>,
    /// What the framework takes.
    pub framework: Bytes,
}

impl Need {
    /// All of it.
    #[must_use]
    pub fn sum(&self) -> Bytes {
        let parts = [self.weights, self.kv, self.activations.unwrap_or_default(), self.framework];
        Bytes(parts.iter().fold(0, |sum, part| sum.saturating_add(part.0)))
    }
}

/// What each of `gpus` GPUs must hold when tensor parallelism divides the model over them.
///
/// # Errors
/// The weights or the cache of the model are not known; the absence says why.
pub fn need(shape: &ModelShape, request: &Request, gpus: u64) -> Reading<Need> {
    let gpus = gpus.max(1);
    let weights = shape.weights.clone()?;
    let cache = shape.kv.clone()?;
    if weights.0 == 0 {
        return Err(Absence::failed(0, "the files hold no weights"));
    }
    let elements = cache.elements(request.context).saturating_mul(request.batch);
    let whole = request.kv_type.bytes(elements);
    // A head is not divided: where there are fewer than GPUs, some of them hold copies.
    let heads = cache.heads.max(1);
    let kv = match cache.latent {
        true => whole,
        false => {
            let own = heads.div_ceil(gpus);
            u64::try_from(u128::from(whole) * u128::from(own) / u128::from(heads)).unwrap_or(u64::MAX)
        }
    };
    let mut framework = CONTEXT.0 + LIBRARIES.0 + GRAPHS.0;
    if gpus > 1 {
        framework += COMMUNICATION.0;
    }
    Ok(Need {
        weights: Bytes(weights.0.div_ceil(gpus)),
        kv: Bytes(kv),
        activations: activations(shape, request, gpus),
        framework: Bytes(framework),
    })
}

/// The residual stream is whole on each GPU; what is inside of attention and feed-forward is divided.
fn activations(shape: &ModelShape, request: &Request, gpus: u64) -> Option<Bytes> {
    let geometry = &shape.geometry;
    let (hidden, inner) = (geometry.hidden?, geometry.feed_forward?);
    let experts = geometry.experts_used.unwrap_or(1).max(1);
    // Queries, keys and values are at most three times as wide as the stream; gate and up each as wide as the inside.
    let divided =
        hidden.saturating_mul(3).max(inner.saturating_mul(2).saturating_mul(experts)).div_ceil(gpus);
    let width = hidden.saturating_mul(RESIDUALS).saturating_add(divided);
    let step = STEP_TOKENS.min(request.context.saturating_mul(request.batch)).max(1);
    let logits = geometry.vocabulary.unwrap_or_default().saturating_mul(request.batch);
    let bytes = width.saturating_mul(step).saturating_mul(ACTIVATION_BYTES);
    Some(Bytes(bytes.saturating_add(logits.saturating_mul(LOGIT_BYTES))))
}
