//! The arguments of `kgtop fit`.

use super::ReportFormat;
use crate::units::Bytes;
use clap::{Args, ValueEnum};

/// Ten times the longest context that a model was trained for: beyond it the figures mean nothing.
const CONTEXT_AT_MOST: u64 = 100_000_000;
/// More sequences than any server runs at once.
const BATCH_AT_MOST: u64 = 10_000;
/// No rig has more GPUs.
const GPUS_AT_MOST: usize = 4_096;

/// What is to fit, and how.
#[derive(Args, Clone, Debug)]
pub struct FitArgs {
    /// A file or folder of weights, a model of a store on this machine (meta-llama/Llama-3.1-8B-Instruct,
    /// llama3.2:3b), or a known name with a quantisation (llama-3.1-70b@q4_k_m)
    #[arg(value_name = "MODEL", required_unless_present = "list")]
    pub model: Option<String>,
    /// Tokens of one sequence; without it 8192, or what the model was trained for where that is less
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..=CONTEXT_AT_MOST))]
    pub context: Option<u64>,
    /// Sequences at once
    #[arg(long, value_name = "SEQUENCES", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=BATCH_AT_MOST))]
    pub batch: u64,
    /// Data type of the cache of keys and values
    #[arg(long, value_enum, default_value_t = KvTypeArg::F16)]
    pub kv_type: KvTypeArg,
    /// Numbers of the GPUs to judge against; without it, all
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub gpus: Vec<u32>,
    /// Judge against GPUs with this much memory each in place of this machine's: 8x80GB, or 24GiB,48GiB. 80GB
    /// are 74.5GiB; an H100 of 80 GB has 79.6GiB
    #[arg(long, value_name = "SIZES", value_parser = parse_memory)]
    pub memory: Option<Memory>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// List the known names and quantisations
    #[arg(long)]
    pub list: bool,
}

/// Data types of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KvTypeArg {
    /// 16 bits
    F16,
    /// 8 bits in blocks of 32 (llama.cpp)
    #[value(name = "q8_0")]
    Q8,
    /// 8-bit floats (vLLM)
    Fp8,
}

/// Memory of assumed GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory(pub Vec<Bytes>);

fn parse_memory(text: &str) -> Result<Memory, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (count, size) = match part.split_once(['x', '×']) {
            Some((count, size)) => (count.trim().parse::<usize>().map_err(|_error| refuse(part))?, size),
            None => (1, part),
        };
        let bytes = parse_size(size.trim()).ok_or_else(|| refuse(part))?;
        if count == 0 || all.len() + count > GPUS_AT_MOST {
            return Err(refuse(part));
        }
        all.extend(std::iter::repeat_n(bytes, count));
    }
    Ok(Memory(all))
}

fn refuse(part: &str) -> String {
    format!("{part:?} is no memory of a GPU: write 80GB, 24GiB or 8x80GB")
}

fn parse_size(text: &str) -> Option<Bytes> {
    const UNITS: [(&str, f64); 6] = [
        ("gib", (1_u64 << 30) as f64),
        ("mib", (1_u64 << 20) as f64),
        ("tib", (1_u64 << 40) as f64),
        ("gb", 1e9),
        ("mb", 1e6),
        ("tb", 1e12),
    ];
    let lower = text.to_lowercase();
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, unit)))?;
    let number: f64 = number.trim().parse().ok()?;
    let bytes = number * unit;
    (1.0..1e18).contains(&bytes).then_some(Bytes(bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_assumed_gpus() {
        assert_eq!(parse_memory("8x80GB"), Ok(Memory(vec![Bytes(80_000_000_000); 8])));
        assert_eq!(parse_memory("24GiB, 512MiB"), Ok(Memory(vec![Bytes(24 << 30), Bytes(512 << 20)])));
        for bad in ["", "80", "0x80GB", "x80GB", "-1GB", "NaNGB", "infGB", "8x", "99999999x1GB", "1e300GB"] {
            let error = parse_memory(bad).unwrap_err();
            assert!(error.contains("8x80GB"), "{bad}: {error}");
        }
    }
}
