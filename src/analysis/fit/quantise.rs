//! Bytes of a model's tensors in a quantisation, tensor by tensor as llama.cpp quantises them
//! (`src/llama-quant.cpp`, `llama_tensor_get_type_impl`): the names say which type most tensors get, not all.

use super::catalogue::CatalogueEntry;

/// A quantisation that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantisation {
    /// 16 bits, either kind.
    Half(&'static str),
    /// 8-bit floats for the matrices of the layers, 16 bits for the rest, as vLLM and TensorRT-LLM have it.
    Fp8,
    /// 8 bits in blocks of 32.
    Q80,
    /// 6 bits.
    Q6K,
    /// Mostly 5 bits.
    Q5KM,
    /// Mostly 4 bits.
    Q4KM,
}

/// All of them.
pub const QUANTISATIONS: [Quantisation; 7] = [
    Quantisation::Half("f16"),
    Quantisation::Half("bf16"),
    Quantisation::Fp8,
    Quantisation::Q80,
    Quantisation::Q6K,
    Quantisation::Q5KM,
    Quantisation::Q4KM,
];

/// A type of blocks: elements and bytes of one, and the type that takes its place where rows are no whole number of
/// blocks (`tensor_type_fallback`).
#[derive(Clone, Copy)]
struct Blocks(u64, u64);

const F32: Blocks = Blocks(1, 4);
const HALF: Blocks = Blocks(1, 2);
const BYTE: Blocks = Blocks(1, 1);
const Q5_0: Blocks = Blocks(32, 22);
const Q5_1: Blocks = Blocks(32, 24);
const Q8_0: Blocks = Blocks(32, 34);
const Q4_K: Blocks = Blocks(256, 144);
const Q5_K: Blocks = Blocks(256, 176);
const Q6_K: Blocks = Blocks(256, 210);

impl Blocks {
    fn bytes(self, row: u64, rows: u64) -> u64 {
        let fits = row.is_multiple_of(self.0);
        let kind = match self.1 {
            144 if !fits => Q5_0,
            176 if !fits => Q5_1,
            210 if !fits => Q8_0,
            _ => self,
        };
        row * rows / kind.0 * kind.1
    }
}

/// Parts of a model that are quantised differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Tokens,
    Output,
    Query,
    Key,
    Value(u64),
    AttentionOutput,
    Up,
    Down(u64),
}

impl Quantisation {
    /// The name in `MODEL@NAME`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Half(name) => name,
            Self::Fp8 => "fp8",
            Self::Q80 => "q8_0",
            Self::Q6K => "q6_k",
            Self::Q5KM => "q5_k_m",
            Self::Q4KM => "q4_k_m",
        }
    }

    /// The name as the formats write it.
    #[must_use]
    pub fn title(self) -> String {
        self.name().to_uppercase()
    }

    /// The quantisation of that name; `fp16` is `f16`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "fp16" { "f16" } else { name };
        QUANTISATIONS.into_iter().find(|each| each.name() == name)
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn weights(self, model: &CatalogueEntry) -> u64 {
        let (hidden, layers) = (model.hidden, model.layers);
        let queries = model.heads * model.head_size;
        let keys = model.kv_heads * model.head_size;
        let experts = model.experts.max(1);
        let of = |part: Part, row: u64, rows: u64| self.blocks(model, part).bytes(row, rows);
        let small = |elements: u64| self.small().bytes(elements, 1);
        let mut bytes = of(Part::Tokens, hidden, model.vocabulary) + small(hidden);
        if !model.tied {
            bytes += of(Part::Output, hidden, model.vocabulary);
        }
        for layer in 0..layers {
            bytes += of(Part::Query, hidden, queries)
                + of(Part::Key, hidden, keys)
                + of(Part::Value(layer), hidden, keys)
                + of(Part::AttentionOutput, queries, hidden)
                + 2 * experts * of(Part::Up, hidden, model.feed_forward)
                + experts * of(Part::Down(layer), model.feed_forward, hidden)
                + small(2 * hidden);
            if model.experts > 0 {
                bytes += small(hidden * model.experts);
            }
            if model.bias {
                bytes += small(queries + 2 * keys);
            }
        }
        bytes
    }

    /// Norms, biases and the choice of experts are never quantised; GGUF keeps them in 32 bits.
    const fn small(self) -> Blocks {
        match self {
            Self::Half(_) | Self::Fp8 => HALF,
            _ => F32,
        }
    }

    fn blocks(self, model: &CatalogueEntry, part: Part) -> Blocks {
        let more_bits = |layer: u64| {
            let eighth = model.layers / 8;
            layer < eighth || layer >= 7 * model.layers / 8 || (layer - eighth) % 3 == 2
        };
        let of_layer = match self {
            Self::Half(_) => return HALF,
            Self::Fp8 if matches!(part, Part::Tokens | Part::Output) => return HALF,
            Self::Fp8 => return BYTE,
            Self::Q80 => return Q8_0,
            Self::Q6K => Q6_K,
            Self::Q5KM => Q5_K,
            Self::Q4KM => Q4_K,
        };
        let eight_experts = model.experts == 8;
        let mixed = matches!(self, Self::Q4KM | Self::Q5KM);
        match part {
            // A table that serves as output as well is quantised as the output.
            Part::Output if !model.hidden.is_multiple_of(256) => Q8_0,
            Part::Tokens if model.tied && !model.hidden.is_multiple_of(256) => Q8_0,
            Part::Output => Q6_K,
            Part::Tokens if model.tied => Q6_K,
            Part::Key | Part::Value(_) if eight_experts => Q8_0,
            Part::Value(layer) | Part::Down(layer) if mixed && more_bits(layer) => Q6_K,
            // Of the models with 80 layers eight heads share a value.
            Part::Value(_) if model.layers == 80 && self == Self::Q4KM => Q5_K,
            Part::AttentionOutput if eight_experts && self == Self::Q4KM => Q5_K,
            _ => of_layer,
        }
    }
}
