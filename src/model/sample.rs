//! The records of the stream.

use super::group::readings;
use super::{
    Absence, Buffers, Counters, Fast, Gpm, Grouped, Header, Health, HostFiles, HostProcess, Inventory, Live,
    MigInstance, NvLink, ProcessList, ProcessUtilization, RawEvent, Reading, SnapshotBatch, StorageSample,
};
use crate::units::{Bytes, Mono, Wall};
use std::fmt;
use std::sync::Arc;

/// Identity of a GPU: its UUID, or its PCI address when the UUID cannot be read. Never an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GpuId(pub Arc<str>);

impl fmt::Display for GpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Everything that can travel in the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Who writes, where, since when. Always first.
    Header(Header),
    /// Static data, on change and at the start of each block of a recording.
    Inventory(Box<Inventory>),
    /// What was read in one interval.
    Sample(Box<Sample>),
    /// A line of a log or an event of the driver; sent at once.
    Event(RawEvent),
    /// A driver call does not return; sent at once, and again when it did (`ended`).
    CallStuck(StuckCall),
    /// A part of the answer to which snapshots a dataset has; sent as it comes.
    Snapshots(SnapshotBatch),
    /// Samples that a slow reader missed.
    Gap(Gap),
    /// The collector leaves, and why. Always last.
    Bye(Bye),
}

/// A driver call that has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckCall {
    /// The GPU it is about; `None` for calls about no GPU (`nvmlInit`).
    pub gpu: Option<GpuId>,
    /// Name of the driver's function.
    pub call: Arc<str>,
    /// When it was entered.
    pub since: Mono,
    /// Kernel function the thread waits in (`/proc/self/task/TID/wchan`), where it can be read.
    pub wait_channel: Option<Arc<str>>,
    /// It returned after all.
    pub ended: bool,
}

/// Samples that were dropped because the reader was slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many samples.
    pub missed: u64,
}

/// Why the collector leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// `end_of_input`, `driver_reloaded`, `gpu_appeared`, `let_sleep` (an idle laptop's GPU), `done`, `end_of_scenario`.
    pub reason: Arc<str>,
    /// Whether a fresh collector should be started.
    pub restart: bool,
}

/// What was read in one interval, and nothing else. Groups that were not read in this interval are `None`; the
/// fold keeps the last one with its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Number of the sample, from 1.
    pub sequence: u64,
    /// When it was assembled.
    pub mono: Mono,
    /// The same, for people.
    pub wall: Wall,
    /// One entry per known GPU, in inventory order.
    pub gpus: Vec<GpuSample>,
    /// GPU processes, the host's side.
    pub processes: Option<Grouped<Vec<HostProcess>>>,
    /// The host.
    pub host: Option<Grouped<HostSample>>,
    /// Pools, datasets, devices.
    pub storage: Option<Box<StorageSample>>,
    /// Files of the host, for the doctor: at the start, then seldom, or often while asked for.
    pub host_files: Option<Grouped<HostFiles>>,
    /// State of each source.
    pub sources: Vec<SourceStatus>,
    /// What collecting costs.
    pub cost: Option<SelfCost>,
}

/// How a GPU is doing as far as reading it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuState {
    /// It answers.
    #[default]
    Ok,
    /// A call into it has not returned.
    Stalled,
    /// It fell off the bus, or the driver refuses it; with which code stands in [`GpuSample::refusal`].
    Lost,
    /// It sleeps (runtime power management) and was left asleep.
    Asleep,
    /// The driver serves it and was left closed: to open it wakes every GPU that sleeps, and keeps them all awake.
    NotOpened,
    /// It is on the bus, and no NVIDIA driver serves it.
    NoDriver,
    /// It belongs to a virtual machine (vfio-pci).
    PassedThrough,
    /// A newer kgtop wrote the stream, and names a state that this one does not know.
    Unknown,
}

impl GpuState {
    /// The name in the stream and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stalled => "stalled",
            Self::Lost => "lost",
            Self::Asleep => "asleep",
            Self::NotOpened => "not_opened",
            Self::NoDriver => "no_driver",
            Self::PassedThrough => "passed_through",
            Self::Unknown => "unknown",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Ok,
            Self::Stalled,
            Self::Lost,
            Self::Asleep,
            Self::NotOpened,
            Self::NoDriver,
            Self::PassedThrough,
        ]
        .into_iter()
        .find(|state| state.name() == name)
    }
}

/// One GPU's part of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuSample {
    /// Which GPU.
    pub id: GpuId,
    /// How reading it goes.
    pub state: GpuState,
    /// The NVML return code with which the driver refuses the GPU, while its state is lost: `GPU_IS_LOST`,
    /// `RESET_REQUIRED`, or why it gave no handle. `None` where it was never refused, or the writer did not tell.
    pub refusal: Option<u32>,
    /// The call that has not returned, if one has not.
    pub stuck: Option<StuckCall>,
    /// Ten times a second, folded.
    pub fast: Option<Grouped<Fast>>,
    /// Each interval.
    pub live: Option<Grouped<Live>>,
    /// The driver's process list, each interval.
    pub processes: Option<Grouped<ProcessList>>,
    /// Performance monitoring.
    pub gpm: Option<Grouped<Gpm>>,
    /// Cumulative counters.
    pub counters: Option<Grouped<Counters>>,
    /// Per-process utilisation.
    pub process_utilization: Option<Grouped<Reading<Vec<ProcessUtilization>>>>,
    /// Sample buffers.
    pub buffers: Option<Grouped<Buffers>>,
    /// Slow state.
    pub health: Option<Grouped<Health>>,
    /// NVLinks one by one.
    pub nvlinks: Option<Grouped<Vec<NvLink>>>,
    /// MIG instances.
    pub mig: Option<Grouped<Reading<Vec<MigInstance>>>>,
}

impl GpuSample {
    /// A sample of `id` in which nothing was read yet.
    #[must_use]
    pub const fn new(id: GpuId, state: GpuState) -> Self {
        Self {
            id,
            state,
            refusal: None,
            stuck: None,
            fast: None,
            live: None,
            processes: None,
            gpm: None,
            counters: None,
            process_utilization: None,
            buffers: None,
            health: None,
            nvlinks: None,
            mig: None,
        }
    }
}

readings! {
    /// The host, raw.
    pub struct HostSample {
        /// CPU time not idle, of all CPUs, ns.
        cpu_busy_ns: u64,
        /// CPU time, of all CPUs, ns.
        cpu_total_ns: u64,
        /// Memory, all of it.
        memory_total: Bytes,
        /// `MemAvailable`: without the ARC's reclaimable part.
        memory_available: Bytes,
        /// What the ZFS ARC could give back (`size` − `c_min`); not supported without ZFS.
        arc_reclaimable: Bytes,
        /// Swap, all of it.
        swap_total: Bytes,
        /// Swap in use.
        swap_used: Bytes,
        /// Load average over 1 minute.
        load_1m: f32,
        /// Load average over 5 minutes.
        load_5m: f32,
        /// Load average over 15 minutes.
        load_15m: f32,
        /// Seconds since boot.
        uptime_seconds: f64,
    }
}

/// How a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// All of it.
    Ok,
    /// Part of it; the reason says which.
    Degraded,
    /// None of it; the reason says why.
    Unavailable,
}

impl SourceState {
    /// The name in the stream and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A source and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// `nvml`, `processes`, `host`, `pci`, `kernel_log`, …
    pub name: Arc<str>,
    /// How it is doing.
    pub state: SourceState,
    /// Why it is not `Ok`; empty when it is.
    pub reason: Arc<str>,
}

/// What collecting costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelfCost {
    /// CPU time of the collector since its start, ns.
    pub cpu_ns: u64,
    /// Resident memory of the collector.
    pub resident: Bytes,
    /// Driver calls since its start.
    pub calls: u64,
    /// Wall time spent in driver calls since its start, ns.
    pub call_ns: u64,
}
