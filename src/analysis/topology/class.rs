//! The class of the way between two devices, as `nvidia-smi topo` names it.

use crate::model::{BusDevice, Topology};
use std::sync::Arc;

/// How far apart two devices are on PCIe, the nearest first. Wording of the legend of `nvidia-smi topo -m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathClass {
    /// At most one PCIe bridge (one switch).
    Pix,
    /// Several PCIe bridges, no host bridge.
    Pxb,
    /// A PCIe host bridge, typically the CPU.
    Phb,
    /// The interconnect between host bridges of one NUMA node.
    Node,
    /// The interconnect between NUMA nodes.
    Sys,
}

impl PathClass {
    /// All of them, the nearest first.
    pub const ALL: [Self; 5] = [Self::Pix, Self::Pxb, Self::Phb, Self::Node, Self::Sys];

    /// The cell of the matrix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pix => "PIX",
            Self::Pxb => "PXB",
            Self::Phb => "PHB",
            Self::Node => "NODE",
            Self::Sys => "SYS",
        }
    }

    /// What it crosses.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pix => "at most one PCIe bridge (one switch)",
            Self::Pxb => "several PCIe bridges, not the CPU",
            Self::Phb => "a PCIe host bridge (the CPU)",
            Self::Node => "between host bridges of one NUMA node",
            Self::Sys => "between NUMA nodes (UPI, Infinity Fabric)",
        }
    }

    /// The class of NVML's `nvmlGpuTopologyLevel_t`; two GPUs on one board (level 0) share its bridge.
    #[must_use]
    pub const fn of_level(level: u32) -> Option<Self> {
        match level {
            0 | 10 => Some(Self::Pix),
            20 => Some(Self::Pxb),
            30 => Some(Self::Phb),
            40 => Some(Self::Node),
            50 => Some(Self::Sys),
            _ => None,
        }
    }
}

/// The way from one device to another over PCIe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Its class.
    pub class: PathClass,
    /// Bridges from the first device up to, and not with, the shared one.
    pub up: Vec<Arc<str>>,
    /// The lowest bridge above both; `None` where they meet in a host bridge or beyond.
    pub shared: Option<Arc<str>>,
    /// Bridges from below the shared one down to the second device.
    pub down: Vec<Arc<str>>,
    /// Host bridges of both.
    pub host_bridges: [Arc<str>; 2],
}

/// The way between two devices by their paths in sysfs; `None` where a path is not known, or nodes are needed to
/// tell and not known.
///
/// Below one bridge, PIX is when neither has more than one port of its own under it: the downstream ports of one
/// switch. That is how NCCL counts too.
#[must_use]
pub fn way(topology: &Topology, one: &BusDevice, other: &BusDevice) -> Option<Way> {
    let (Ok(first), Ok(second)) = (&one.bridges, &other.bridges) else { return None };
    let (Ok(first_host), Ok(second_host)) = (&one.host_bridge, &other.host_bridge) else { return None };
    let same_host = first_host == second_host;
    let common = if same_host { first.iter().zip(second).take_while(|(a, b)| a == b).count() } else { 0 };
    let (own, others) = (first.len() - common, second.len() - common);
    let class = match (same_host, common) {
        (true, 0) => PathClass::Phb,
        (true, _) if own <= 1 && others <= 1 => PathClass::Pix,
        (true, _) => PathClass::Pxb,
        (false, _) => across(topology, one, other)?,
    };
    Some(Way {
        class,
        up: first.iter().skip(common).rev().cloned().collect(),
        shared: common.checked_sub(1).and_then(|last| first.get(last)).cloned(),
        down: second.iter().skip(common).cloned().collect(),
        host_bridges: [Arc::clone(first_host), Arc::clone(second_host)],
    })
}

fn across(topology: &Topology, one: &BusDevice, other: &BusDevice) -> Option<PathClass> {
    match (&one.numa_node, &other.numa_node) {
        (Ok(first), Ok(second)) if first == second => Some(PathClass::Node),
        (Ok(_), Ok(_)) => Some(PathClass::Sys),
        // The firmware names no node, as on machines that have but one.
        _ if topology.nodes.len() <= 1 => Some(PathClass::Node),
        _ => None,
    }
}
