//! The doctor: the layers from the PCI bus to the container, each checked on its own evidence.
//!
//! A check is an entry of data ([`Check`]) with a pure function that looks at one snapshot: at what NVML answered, at
//! the files of the host that travel with it, at the findings and at the kernel log. What a check needs and does not
//! have is said as the reason why it was skipped; nothing is guessed.

mod bus;
mod cluster;
mod containers;
mod context;
mod cuda;
mod explain;
mod found;
mod health;
mod library;
mod module;
mod nodes;
mod on_disk;
mod running;
mod selinux;
mod version;

pub use context::Context;
pub use explain::{Symptom, explain, symptoms};
pub use found::{Evidence, Found, Outcome};

use super::Verdict;
use super::events::{EventLog, Incident};
use crate::model::Snapshot;
use std::cmp::Reverse;

/// A layer of the stack, from the bottom to the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The device and its link.
    Pci,
    /// What is bound to it.
    Driver,
    /// The kernel module.
    Module,
    /// Device nodes.
    Nodes,
    /// NVML and the driver's other libraries.
    Library,
    /// CUDA.
    Cuda,
    /// Persistence mode and daemon.
    Persistence,
    /// NVSwitch fabric.
    Fabric,
    /// MIG, MPS, time-slicing.
    Sharing,
    /// IOMMU groups, VFIO.
    Passthrough,
    /// Container toolkit, CDI, engines.
    Containers,
    /// The kubelet's device plugin.
    Kubernetes,
    /// SELinux.
    Selinux,
    /// What several GPUs and several nodes need.
    Cluster,
    /// `GPUDirect` Storage.
    Gds,
    /// Health of the GPUs.
    Health,
    /// The kernel log.
    KernelLog,
}

impl Layer {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Driver => "driver",
            Self::Module => "module",
            Self::Nodes => "nodes",
            Self::Library => "library",
            Self::Cuda => "cuda",
            Self::Persistence => "persistence",
            Self::Fabric => "fabric",
            Self::Sharing => "sharing",
            Self::Passthrough => "passthrough",
            Self::Containers => "containers",
            Self::Kubernetes => "kubernetes",
            Self::Selinux => "selinux",
            Self::Cluster => "cluster",
            Self::Gds => "gds",
            Self::Health => "health",
            Self::KernelLog => "kernel_log",
        }
    }

    /// What people call it; at most eleven characters.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pci => "PCI",
            Self::Driver => "driver",
            Self::Module => "module",
            Self::Nodes => "nodes",
            Self::Library => "library",
            Self::Cuda => "CUDA",
            Self::Persistence => "persistence",
            Self::Fabric => "fabric",
            Self::Sharing => "sharing",
            Self::Passthrough => "passthrough",
            Self::Containers => "containers",
            Self::Kubernetes => "Kubernetes",
            Self::Selinux => "SELinux",
            Self::Cluster => "multi-GPU",
            Self::Gds => "GDS",
            Self::Health => "health",
            Self::KernelLog => "kernel log",
        }
    }

    /// The layer of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        checks().map(|check| check.layer).find(|layer| layer.name() == name)
    }
}

/// What a check cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The files of the host.
    Files,
    /// An NVIDIA GPU.
    Gpu,
    /// A GPU that is the nvidia driver's, or should be.
    Ours,
    /// Answers of NVML.
    Nvml,
    /// The host itself, and not a container on it.
    Host,
}

/// One check.
pub struct Check {
    /// Stable name, as in JSON.
    pub id: &'static str,
    /// Its layer.
    pub layer: Layer,
    /// What it asks, as a few words.
    pub title: &'static str,
    /// What it cannot do without.
    pub needs: &'static [Need],
    /// What a user sees where it fails.
    pub symptom: &'static str,
    /// Looks at one snapshot.
    pub run: fn(&Context<'_>) -> Found,
}

/// A check and what it found.
#[derive(Clone)]
pub struct Examined {
    /// The check.
    pub check: &'static Check,
    /// What it found.
    pub found: Found,
}

impl std::fmt::Debug for Examined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examined").field("check", &self.check.id).field("found", &self.found).finish()
    }
}

/// All checks, from the bottom layer to the top one.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [
        bus::CHECKS,
        module::CHECKS,
        nodes::CHECKS,
        library::CHECKS,
        cuda::CHECKS,
        running::CHECKS,
        bus::PASSTHROUGH,
        containers::CHECKS,
        selinux::CHECKS,
        cluster::CHECKS,
        health::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Runs every check, in the order of the layers.
#[must_use]
pub fn examine(snapshot: &Snapshot, verdicts: &[Verdict], incidents: &[&Incident]) -> Vec<Examined> {
    let context = Context::new(snapshot, verdicts, incidents);
    checks()
        .map(|check| {
            let lacking = check.needs.iter().find_map(|need| context.lacks(*need));
            let found = lacking.map_or_else(|| (check.run)(&context), Found::skip);
            Examined { check, found }
        })
        .collect()
}

/// The same, with the kernel log that the snapshot carries.
#[must_use]
pub fn examine_snapshot(snapshot: &Snapshot, verdicts: &[Verdict]) -> Vec<Examined> {
    let mut log = EventLog::default();
    for event in snapshot.events.iter() {
        log.push(event, Some(snapshot));
    }
    let incidents: Vec<&Incident> = log.incidents().collect();
    examine(snapshot, verdicts, &incidents)
}

/// What fails first, then what warns. Of those that fail, health comes first: work is lost now. Else the lower layer,
/// which is the more likely cause. What is not bad stays in the order of the layers.
pub fn worst_first(examined: &mut [Examined]) {
    examined.sort_by_key(|one| {
        let lost = one.found.outcome == Outcome::Fail && one.check.layer == Layer::Health;
        (Reverse(one.found.outcome.gravity()), !lost, one.check.layer)
    });
}

/// What came of all checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks that passed.
    pub passed: usize,
    /// Checks that warn.
    pub warned: usize,
    /// Checks that failed.
    pub failed: usize,
    /// Checks that could not be made, or did not apply.
    pub skipped: usize,
}

impl Tally {
    /// Counts outcomes.
    #[must_use]
    pub fn of(examined: &[Examined]) -> Self {
        let count = |outcome| examined.iter().filter(|one| one.found.outcome == outcome).count();
        Self {
            passed: count(Outcome::Pass),
            warned: count(Outcome::Warn),
            failed: count(Outcome::Fail),
            skipped: count(Outcome::Skipped),
        }
    }

    /// The exit status that scripts rely on: 0 all pass, 1 warnings, 2 failures, 3 could not judge.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self { failed: 1.., .. } => 2,
            Self { warned: 1.., .. } => 1,
            Self { passed: 1.., .. } => 0,
            _ => 3,
        }
    }
}

#[cfg(test)]
mod tests;
