//! Findings: what is wrong, with which GPU, since when, on what evidence, and what to do.

use crate::model::{GpuId, GpuState, Snapshot};
use crate::units::{Mono, format_age};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Will become a fault, or costs performance.
    Warning,
    /// Work is lost or about to be.
    Critical,
}

impl Severity {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Stable name of the rule (`gpu_lost`).
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The GPU it is about; `None` for the host or the driver.
    pub gpu: Option<GpuId>,
    /// One sentence, the GPU's number in it.
    pub summary: String,
    /// What was read that says so.
    pub evidence: String,
    /// What to do.
    pub advice: String,
    /// Since when.
    pub since: Mono,
}

/// The fold from snapshots to findings: remembers since when each holds.
#[derive(Clone, Debug, Default)]
pub struct Judge {}

impl Judge {
    /// Judges one snapshot; the worst finding first.
    pub fn push(&mut self, snapshot: &Snapshot) -> Vec<Verdict> {
        let mut found = Vec::new();
        for gpu in &snapshot.gpus {
            let label = gpu.index().map_or_else(|| gpu.id.to_string(), |index| index.to_string());
            match (gpu.state, &gpu.stuck) {
                (GpuState::Lost, _) => found.push(Verdict {
                    rule: "gpu_lost",
                    severity: Severity::Critical,
                    gpu: Some(gpu.id.clone()),
                    summary: format!("GPU {label} is lost: the driver can no longer reach it"),
                    evidence: "NVML answers GPU_IS_LOST (15)".into(),
                    advice: "A reset cannot bring it back. Drain the node and reboot it; if it is lost again, \
                             check power, seating and cooling, then replace it."
                        .into(),
                    since: gpu.state_since,
                }),
                (GpuState::Stalled, Some(call)) => found.push(Verdict {
                    rule: "gpu_stalled",
                    severity: Severity::Critical,
                    gpu: Some(gpu.id.clone()),
                    summary: format!(
                        "GPU {label}: driver call {} has not returned for {}",
                        call.call,
                        format_age(snapshot.mono.since(call.since))
                    ),
                    evidence: call.wait_channel.as_ref().map_or_else(
                        || format!("{} entered and not left", call.call),
                        |channel| format!("{} waits in {channel}", call.call),
                    ),
                    advice: "Look for Xid 45, 79, 119 or 120 in the kernel log. The processes on this GPU may not \
                             be killable; plan a reboot of the node."
                        .into(),
                    since: call.since,
                }),
                _ => {}
            }
        }
        for call in &snapshot.stuck {
            found.push(Verdict {
                rule: "driver_stalled",
                severity: Severity::Critical,
                gpu: None,
                summary: format!(
                    "Driver call {} has not returned for {}",
                    call.call,
                    format_age(snapshot.mono.since(call.since))
                ),
                evidence: format!("{} entered and not left", call.call),
                advice: "Look in the kernel log for GSP timeouts (Xid 119). Starting more monitors makes it worse."
                    .into(),
                since: call.since,
            });
        }
        found.sort_by_key(|verdict| std::cmp::Reverse(verdict.severity));
        found
    }
}
