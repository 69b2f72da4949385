//! Which GPU was meant.

use crate::model::{Gpu, GpuState, Snapshot, nvml_code};

/// What can be written for a GPU: index, UUID, unique beginning of a UUID, PCI address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// No GPU is meant.
    #[error("no GPU is {wanted}; there are:\n{candidates}")]
    Unknown {
        /// What was written.
        wanted: String,
        /// One line per GPU.
        candidates: String,
    },
    /// Several are.
    #[error("{wanted} is the beginning of several UUIDs:\n{candidates}")]
    Ambiguous {
        /// What was written.
        wanted: String,
        /// One line per GPU.
        candidates: String,
    },
    /// A MIG instance, where a GPU is meant.
    #[error("{wanted} is a MIG instance, and this is about a whole GPU; there are:\n{candidates}")]
    MigInstance {
        /// What was written.
        wanted: String,
        /// One line per GPU.
        candidates: String,
    },
    /// Neither GPUs nor all of them were named.
    #[error(
        "name the GPU with --gpu (index, UUID, its beginning, or PCI address) or say --all; there are:\n{0}"
    )]
    NoneNamed(String),
}

/// GPUs that were meant, each once, in the order of the snapshot.
pub type Selected<'a> = Vec<&'a Gpu>;

/// The least beginning of a UUID that counts as one: `GPU-` and a digit.
const LEAST_PREFIX: usize = 5;

/// Finds the GPUs that `wanted` names; all of them with `all`.
///
/// # Errors
/// For a name that fits none or several; with the candidates.
pub fn select_gpus<'a>(
    snapshot: &'a Snapshot,
    wanted: &[String],
    all: bool,
) -> Result<Selected<'a>, SelectError> {
    if all {
        return Ok(snapshot.gpus.iter().collect());
    }
    if wanted.is_empty() {
        return Err(SelectError::NoneNamed(candidates(snapshot.gpus.iter())));
    }
    let mut found = Vec::new();
    for name in wanted {
        found.push(select_gpu(snapshot, name)?.id.clone());
    }
    Ok(snapshot.gpus.iter().filter(|gpu| found.contains(&gpu.id)).collect())
}

fn select_gpu<'a>(snapshot: &'a Snapshot, wanted: &str) -> Result<&'a Gpu, SelectError> {
    let lower = wanted.to_ascii_lowercase();
    let exact = snapshot.gpus.iter().find(|gpu| {
        gpu.index().is_some_and(|index| index.to_string() == wanted)
            || gpu.id.0.eq_ignore_ascii_case(wanted)
            || gpu.info.pci_bus_id.as_ref().is_ok_and(|address| same_address(address, &lower))
    });
    // Of one that the driver cannot even name a number says nothing certain: the candidates say what it is.
    if let Some(gpu) = exact.filter(|gpu| gpu.info.pci_bus_id.is_ok()) {
        return Ok(gpu);
    }
    let all = || candidates(snapshot.gpus.iter());
    if lower.starts_with("mig-") {
        return Err(SelectError::MigInstance { wanted: wanted.to_owned(), candidates: all() });
    }
    let begins = |gpu: &&Gpu| gpu.id.0.to_ascii_lowercase().starts_with(&lower);
    let fitting: Vec<&Gpu> = if lower.len() >= LEAST_PREFIX && lower.starts_with("gpu-") {
        snapshot.gpus.iter().filter(begins).collect()
    } else {
        Vec::new()
    };
    match fitting.as_slice() {
        [one] => Ok(one),
        [] => Err(SelectError::Unknown { wanted: wanted.to_owned(), candidates: all() }),
        several => Err(SelectError::Ambiguous {
            wanted: wanted.to_owned(),
            candidates: candidates(several.iter().copied()),
        }),
    }
}

/// Whether two spellings are of one address: the domain may have four or eight digits or be left out when zero.
fn same_address(address: &str, wanted: &str) -> bool {
    let bare = |text: &str| {
        let text = match text.split_once(':') {
            Some((domain, rest)) if rest.contains(':') => {
                let domain = domain.trim_start_matches('0');
                if domain.is_empty() { rest.to_owned() } else { format!("{domain}:{rest}") }
            }
            _ => text.to_owned(),
        };
        text.to_ascii_lowercase()
    };
    wanted.contains(':') && bare(address) == bare(wanted)
}

fn candidates<'a>(gpus: impl Iterator<Item = &'a Gpu>) -> String {
    let lines: Vec<String> = gpus
        .map(|gpu| {
            let index = gpu.index().map_or_else(|| "?".to_owned(), |index| index.to_string());
            let address = gpu.info.pci_bus_id.as_deref().unwrap_or("no address");
            let state = match gpu.state {
                GpuState::Ok => "",
                GpuState::Lost if gpu.refusal == Some(nvml_code::RESET_REQUIRED) => ", waits for a reset",
                GpuState::Lost => ", lost: it comes back with a reboot, not with a reset or a setting",
                other => &format!(", {}", other.name()),
            };
            format!("  {index}  {}  {address}  {}{state}", gpu.id, gpu.info.name.as_deref().unwrap_or("GPU"))
        })
        .collect();
    lines.join("\n")
}
