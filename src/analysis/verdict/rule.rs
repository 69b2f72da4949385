//! What a rule is.

use super::memory::Memory;
use super::{Area, Severity};
use crate::analysis::events::Incident;
use crate::model::{Gpu, GpuId, GpuState, Live, Snapshot};
use crate::units::Mono;
use std::time::Duration;

/// A reading older than this many intervals (and [`FRESH_AT_LEAST`]) is not judged any more: the GPU may be fine
/// again, or gone.
const FRESH_INTERVALS: u32 = 3;
/// The least of that age, for short intervals.
const FRESH_AT_LEAST: Duration = Duration::from_secs(3);

/// One rule.
pub struct Rule {
    /// Stable name, as in JSON.
    pub id: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// Where its evidence is shown.
    pub area: Area,
    /// What it needs to say anything.
    pub needs: &'static str,
    /// The threshold and where it comes from.
    pub threshold: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// How long it must hold before it is told.
    pub raise_after: Duration,
    /// How long it is told after it was last seen.
    pub clear_after: Duration,
    /// Rules whose findings on the same GPU it makes superfluous.
    pub covers: &'static [&'static str],
    /// Looks at one snapshot.
    pub check: fn(&Context<'_>) -> Vec<Finding>,
}

/// What a check looks at.
pub struct Context<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// What the kernel log told, the oldest first.
    pub incidents: &'a [&'a Incident],
    /// What snapshots before it showed.
    pub(super) memory: &'a Memory,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// The GPU; `None` for the host or the driver.
    pub gpu: Option<GpuId>,
    /// The thing beside the GPU, where one GPU or host can have several findings of one rule.
    pub subject: String,
    /// Other GPUs concerned.
    pub others: Vec<GpuId>,
    /// Another severity than the rule's.
    pub severity: Option<Severity>,
    /// One sentence with number, fact and unit.
    pub summary: String,
    /// What was read.
    pub evidence: String,
    /// Other advice than the rule's.
    pub advice: Option<String>,
    /// Since when, where the source tells; else since it is first seen.
    pub since: Option<Mono>,
}

impl Finding {
    /// A finding about one GPU.
    pub(super) fn of(gpu: &Gpu, fact: &str, evidence: impl Into<String>) -> Self {
        Self {
            gpu: Some(gpu.id.clone()),
            summary: format!("GPU {}: {fact}", label(gpu)),
            evidence: evidence.into(),
            ..Self::default()
        }
    }
}

impl<'a> Context<'a> {
    /// GPUs that answer.
    pub(super) fn answering(&self) -> impl Iterator<Item = &'a Gpu> {
        self.snapshot.gpus.iter().filter(|gpu| gpu.state == GpuState::Ok)
    }

    /// Whether a group read at `at` still speaks of now.
    pub(super) fn fresh(&self, at: Mono) -> bool {
        let age = self.snapshot.interval.saturating_mul(FRESH_INTERVALS).max(FRESH_AT_LEAST);
        self.snapshot.mono.since(at) <= age
    }

    /// The values of each interval, unless they are old.
    pub(super) fn live(&self, gpu: &'a Gpu) -> Option<&'a Live> {
        gpu.live.as_ref().filter(|group| self.fresh(group.at)).map(|group| &group.value)
    }

    /// One finding per GPU that answers and for which `check` finds one.
    pub(super) fn each(&self, check: impl Fn(&'a Gpu) -> Option<Finding>) -> Vec<Finding> {
        self.answering().filter_map(check).collect()
    }
}

/// What people call a GPU: its number, else its identity.
pub(super) fn label(gpu: &Gpu) -> String {
    gpu.index().map_or_else(|| gpu.id.to_string(), |index| index.to_string())
}

/// The PCI address of a GPU, for commands.
pub(super) fn address(gpu: &Gpu) -> Option<&str> {
    gpu.info.pci_bus_id.as_deref().ok()
}

/// The value of a reading, if there is one.
pub(super) fn ok<T: Copy, E>(reading: &Result<T, E>) -> Option<T> {
    reading.as_ref().ok().copied()
}
