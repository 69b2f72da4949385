//! What follows from the records up to one sample: everything the screen, the reports and the analysis look at.

use super::{
    Buffers, Bye, Container, Counters, Fast, Gpm, GpuId, GpuInfo, GpuState, Grouped, Header, Health,
    HostFiles, HostProcess, Inventory, Live, MigInstance, NvLink, ProcessFacts, ProcessKey, ProcessKind,
    ProcessUtilization, RawEvent, Reading, SelfCost, SourceStatus, Storage, StuckCall,
};
use crate::units::{Bytes, BytesPerSecond, Mono, Percent, Wall};
use std::sync::Arc;
use std::time::Duration;

/// Everything known at one sample.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The stream's header.
    pub header: Arc<Header>,
    /// Static data.
    pub inventory: Arc<Inventory>,
    /// Number of the sample.
    pub sequence: u64,
    /// When the sample was assembled.
    pub mono: Mono,
    /// The same, for people.
    pub wall: Wall,
    /// Time since the sample before, or the header's interval for the first.
    pub interval: Duration,
    /// The host.
    pub host: HostView,
    /// Pools, datasets, devices.
    pub storage: Arc<Storage>,
    /// State of each source.
    pub sources: Vec<SourceStatus>,
    /// GPUs in inventory order.
    pub gpus: Vec<Gpu>,
    /// GPU processes: the running ones first, then the ended ones, each by PID.
    pub processes: Vec<Process>,
    /// Driver calls about no GPU that have not returned (`nvmlInit`).
    pub stuck: Vec<StuckCall>,
    /// The newest raw events up to here, the oldest first.
    pub events: Arc<Vec<RawEvent>>,
    /// Files of the host, as they were last read.
    pub host_files: Option<Arc<Grouped<HostFiles>>>,
    /// Samples that were dropped on the way here, in all.
    pub missed: u64,
    /// What the collector costs, as it says.
    pub cost: Option<SelfCost>,
    /// CPU of the collector, per cent of one core, since the sample before.
    pub cost_cpu: Reading<Percent>,
    /// Why the collector left, once it has.
    pub bye: Option<Bye>,
}

impl Snapshot {
    /// The GPU of that identity.
    #[must_use]
    pub fn gpu(&self, id: &GpuId) -> Option<&Gpu> {
        self.gpus.iter().find(|gpu| &gpu.id == id)
    }

    /// How a source is doing; `None` until it said anything.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&SourceStatus> {
        self.sources.iter().find(|source| &*source.name == name)
    }

    /// Age of a group at this snapshot.
    #[must_use]
    pub fn age<T>(&self, group: &Grouped<T>) -> Duration {
        self.mono.since(group.at)
    }
}

/// One GPU: the last reading of each group, and what follows from several.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// Which GPU.
    pub id: GpuId,
    /// Its identity and limits.
    pub info: Arc<GpuInfo>,
    /// How reading it goes.
    pub state: GpuState,
    /// When `state` was last another one; the first sample if never.
    pub state_since: Mono,
    /// The NVML return code with which the driver refuses it, where it does and the code is known.
    pub refusal: Option<u32>,
    /// The call that has not returned, if one has not.
    pub stuck: Option<StuckCall>,
    /// Ten times a second, folded.
    pub fast: Option<Grouped<Fast>>,
    /// Each interval.
    pub live: Option<Grouped<Live>>,
    /// Performance monitoring.
    pub gpm: Option<Grouped<Gpm>>,
    /// Cumulative counters, raw.
    pub counters: Option<Grouped<Counters>>,
    /// The newest sample buffers.
    pub buffers: Option<Arc<Grouped<Buffers>>>,
    /// Slow state.
    pub health: Option<Grouped<Health>>,
    /// NVLinks one by one.
    pub nvlinks: Option<Arc<Grouped<Vec<NvLink>>>>,
    /// MIG instances.
    pub mig: Option<Arc<Grouped<Reading<Vec<MigInstance>>>>>,
    /// Whether the driver's list of the processes on it was read: without it nobody among
    /// [`Snapshot::processes`] says nothing.
    pub process_list: Reading<()>,
    /// Rates from two distinct readings of a counter, or from GPM.
    pub rates: GpuRates,
    /// Clock event reasons over time.
    pub throttle: Throttle,
    /// Memory in use that no process owns.
    pub unattributed: Reading<Bytes>,
}

impl Gpu {
    /// Number that nvidia-smi calls it by, for the screen only.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        self.info.index.as_ref().ok().copied()
    }

    /// The same as text; for a GPU of which the driver gave nothing at all, its place in NVML's order, which its
    /// identity holds (`nvml:3`).
    #[must_use]
    pub fn number(&self) -> Option<String> {
        let place = || self.id.0.strip_prefix("nvml:").map(str::to_owned);
        self.index().map(|index| index.to_string()).or_else(place)
    }
}

/// Rates of one GPU.
#[derive(Clone, Debug)]
pub struct GpuRates {
    /// To the GPU over PCIe.
    pub pcie_rx: Reading<BytesPerSecond>,
    /// From the GPU over PCIe.
    pub pcie_tx: Reading<BytesPerSecond>,
    /// To the GPU over NVLink.
    pub nvlink_rx: Reading<BytesPerSecond>,
    /// From the GPU over NVLink.
    pub nvlink_tx: Reading<BytesPerSecond>,
    /// PCIe replays per second since the reading of the slow group before.
    pub pcie_replays: Reading<f32>,
    /// NVLink errors per second since the look at the links before.
    pub nvlink_errors: Reading<f32>,
}

/// Seconds spent in one clock event reason.
#[derive(Clone, Debug, PartialEq)]
pub struct ReasonSeconds {
    /// Name as in the JSON: `sw_power_cap`, `sync_boost`, `sw_thermal_slowdown`, `hw_thermal_slowdown`,
    /// `hw_power_brake_slowdown`.
    pub reason: &'static str,
    /// In the last minute.
    pub last_1m: Reading<f32>,
    /// In the last ten minutes.
    pub last_10m: Reading<f32>,
    /// In the last hour.
    pub last_60m: Reading<f32>,
    /// Since the driver loaded.
    pub since_driver_load: Reading<f32>,
}

/// Clock event reasons of one GPU over time.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    /// Seconds per reason that has a counter, in the order of [`ReasonSeconds::reason`].
    pub seconds: Vec<ReasonSeconds>,
    /// How long the counters have been watched.
    pub observed: Duration,
}

/// The host.
#[derive(Clone, Debug)]
pub struct HostView {
    /// CPU in use, of all CPUs.
    pub cpu: Reading<Percent>,
    /// Memory, all of it.
    pub memory_total: Reading<Bytes>,
    /// Memory that could not be given to a program: what the ZFS ARC would give back counts as free.
    pub memory_used: Reading<Bytes>,
    /// What the ZFS ARC could give back.
    pub arc_reclaimable: Reading<Bytes>,
    /// Swap, all of it.
    pub swap_total: Reading<Bytes>,
    /// Swap in use.
    pub swap_used: Reading<Bytes>,
    /// Load average over 1, 5 and 15 minutes.
    pub load: [Reading<f32>; 3],
    /// Time since boot.
    pub uptime_seconds: Reading<f64>,
}

/// A process's share of one GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessGpu {
    /// Which GPU.
    pub gpu: GpuId,
    /// Its number, for the screen.
    pub index: Option<u32>,
    /// Framebuffer the process holds there.
    pub memory: Reading<Bytes>,
    /// How it uses the GPU.
    pub kind: ProcessKind,
    /// MIG GPU instance.
    pub gpu_instance: Option<u32>,
    /// Its shares of the SMs, the memory interface and the video engines.
    pub utilization: Reading<ProcessUtilization>,
}

/// A process that holds a GPU, or held one within the last hour.
#[derive(Clone, Debug)]
pub struct Process {
    /// Which process.
    pub key: ProcessKey,
    /// What does not change.
    pub facts: Option<Arc<ProcessFacts>>,
    /// What the host says now.
    pub host: Option<HostProcess>,
    /// CPU, per cent of one core.
    pub cpu: Reading<Percent>,
    /// Its GPUs. For an ended process: as they were last seen.
    pub gpus: Vec<ProcessGpu>,
    /// When it was first seen on a GPU.
    pub first_seen: Mono,
    /// When it was no longer there.
    pub ended: Option<Mono>,
}

impl Process {
    /// Framebuffer over all GPUs; the first absence if none is known.
    pub fn memory(&self) -> Reading<Bytes> {
        let mut total = None;
        let mut reason = super::Absence::NotRequested;
        for gpu in &self.gpus {
            match &gpu.memory {
                Ok(bytes) => total = Some(total.unwrap_or(0) + bytes.0),
                Err(absence) => reason = absence.clone(),
            }
        }
        total.map(Bytes).ok_or(reason)
    }

    /// SM share over all GPUs (so up to 100 × GPUs).
    pub fn sm(&self) -> Reading<Percent> {
        let mut total = None;
        let mut reason = super::Absence::NotRequested;
        for gpu in &self.gpus {
            match &gpu.utilization {
                Ok(shares) => total = Some(total.unwrap_or(0.0) + shares.sm.0),
                Err(absence) => reason = absence.clone(),
            }
        }
        total.map(Percent).ok_or(reason)
    }

    /// The container it runs in.
    #[must_use]
    pub fn container(&self) -> Option<&Container> {
        self.facts.as_ref().and_then(|facts| facts.container.as_ref())
    }
}

/// Memory in use that no process owns, for the process table's own row.
#[derive(Clone, Debug, PartialEq)]
pub struct Unattributed {
    /// Which GPU.
    pub gpu: GpuId,
    /// Its number.
    pub index: Option<u32>,
    /// How much.
    pub memory: Bytes,
}

impl Snapshot {
    /// The rows of memory that no process owns, above a threshold that leaves out the driver's own small contexts.
    #[must_use]
    pub fn unattributed(&self, at_least: Bytes) -> Vec<Unattributed> {
        self.gpus
            .iter()
            .filter_map(|gpu| {
                let memory = *gpu.unattributed.as_ref().ok()?;
                (memory >= at_least).then(|| Unattributed { gpu: gpu.id.clone(), index: gpu.index(), memory })
            })
            .collect()
    }
}
