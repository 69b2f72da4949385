//! The board on which the threads post what they read and from which a tick takes it.

use crate::model::{
    Absence, Bye, Driver, GpuId, GpuInfo, GpuSample, Grouped, HostFiles, HostProcess, PciDevice,
    ProcessFacts, SourceState, SourceStatus, StuckCall,
};
use crate::model::{Demand, Reading};
use crate::sources::nvml::{CallSlot, Session};
use crate::units::Mono;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::STUCK_AFTER;

/// The driver library, among the sources.
const NVML: &str = "nvml";

/// Everything posted since the last tick.
#[derive(Default)]
pub(super) struct Board {
    /// GPUs in NVML order.
    pub(super) gpus: Vec<GpuSlot>,
    /// Slots of the threads that make calls about no GPU.
    pub(super) others: Vec<Arc<CallSlot>>,
    /// The round that is being read.
    pub(super) round: u64,
    /// The driver was opened, or refused to be.
    pub(super) opened: bool,
    /// The driver library, once it is open: for threads that wait for it.
    pub(super) session: Option<Session>,
    /// The driver, once known.
    pub(super) driver: Driver,
    /// NVIDIA devices on the bus.
    pub(super) pci: Vec<PciDevice>,
    /// Where the devices are.
    pub(super) topology: super::topology::Parts,
    /// Model stores and their uses.
    pub(super) models: super::models::Parts,
    /// Pools, datasets, devices.
    pub(super) storage: super::storage::Parts,
    /// The host's side of the GPU processes.
    pub(super) processes: Option<Grouped<Vec<HostProcess>>>,
    /// Files of the host, for the doctor.
    pub(super) host_files: Option<Grouped<HostFiles>>,
    /// Static facts of the GPU processes.
    pub(super) facts: BTreeMap<crate::model::ProcessKey, ProcessFacts>,
    /// Whether the host's PIDs are visible.
    pub(super) host_pids_visible: Option<Reading<bool>>,
    /// What the screen shows, and so what is worth reading.
    pub(super) demand: Demand,
    /// How often it was asked to read what is seldom read.
    pub(super) refreshes: u64,
    /// State of the sources, by name.
    pub(super) sources: BTreeMap<&'static str, (SourceState, Arc<str>)>,
    /// Counts up whenever something of the inventory changed.
    pub(super) inventory_version: u64,
    /// Why the collector has to leave.
    pub(super) leaving: Option<Bye>,
    /// The processes thread has posted for this round.
    pub(super) processes_round: u64,
}

/// One GPU's place on the board.
pub(super) struct GpuSlot {
    /// Identity and limits, once read.
    pub(super) info: Option<GpuInfo>,
    /// Groups posted since the last tick.
    pub(super) pending: GpuSample,
    /// Last round of which the list of its processes is here.
    pub(super) listed: u64,
    /// Last round of which all is here.
    pub(super) round: u64,
    /// What its thread is calling right now.
    pub(super) call: Arc<CallSlot>,
    /// The same of the thread that measures PCIe throughput, where there is one.
    pub(super) throughput: Option<Arc<CallSlot>>,
    /// Why the driver gives nothing of it, although it is not lost.
    pub(super) unreadable: Option<Absence>,
    /// PIDs of its newest process list.
    pub(super) pids: Vec<u32>,
}

impl Board {
    /// Whether all that can be expected of `round` is here.
    pub(super) fn complete(&self, round: u64, now: Mono) -> bool {
        let read = |gpu: &GpuSlot| gpu.round >= round || stuck(&gpu.call, now).is_some();
        self.opened && self.gpus.iter().all(read) && self.processes_round >= round
    }

    /// Whether all process lists that can be expected of `round` are here.
    pub(super) fn lists_complete(&self, round: u64, now: Mono) -> bool {
        self.gpus.iter().all(|gpu| gpu.listed >= round || stuck(&gpu.call, now).is_some())
    }

    /// PIDs that hold a GPU, each once.
    pub(super) fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.gpus.iter().flat_map(|gpu| gpu.pids.iter().copied()).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Sets a source's state.
    pub(super) fn source(&mut self, name: &'static str, state: SourceState, reason: &str) {
        self.sources.insert(name, (state, reason.into()));
    }

    /// The sources as they go into a sample. NVML is whole only where every GPU gives something.
    pub(super) fn source_list(&self) -> Vec<SourceStatus> {
        let refused = self.refused();
        let status = |name: &str, state: SourceState, reason: &Arc<str>| match &refused {
            Some(refused) if name == NVML && state == SourceState::Ok => {
                SourceStatus { name: name.into(), state: SourceState::Degraded, reason: Arc::clone(refused) }
            }
            _ => SourceStatus { name: name.into(), state, reason: Arc::clone(reason) },
        };
        self.sources.iter().map(|(name, (state, reason))| status(name, *state, reason)).collect()
    }

    /// Which GPUs give nothing, and why the first of them does not.
    fn refused(&self) -> Option<Arc<str>> {
        let mut refused = self.gpus.iter().filter_map(|gpu| Some((gpu, gpu.unreadable.as_ref()?)));
        let (first, reason) = refused.next()?;
        let index = first.info.as_ref().and_then(|info| info.index.as_ref().ok());
        let name = index.map_or_else(|| first.pending.id.to_string(), ToString::to_string);
        Some(match refused.count() {
            0 => format!("nothing of GPU {name} can be read: {reason}").into(),
            more => format!("nothing of GPU {name} and {more} more can be read: {reason}").into(),
        })
    }

    /// The calls that have not returned for too long, GPU by GPU, then the others.
    pub(super) fn stuck_calls(&self, now: Mono) -> Vec<StuckCall> {
        let gpus = self.gpus.iter().flat_map(|gpu| {
            let slots = std::iter::once(&gpu.call).chain(&gpu.throughput);
            slots.filter_map(|slot| describe(slot, Some(&gpu.pending.id), now))
        });
        let others = self.others.iter().filter_map(|slot| describe(slot, None, now));
        gpus.chain(others).collect()
    }
}

fn stuck(slot: &CallSlot, now: Mono) -> Option<Mono> {
    let (_, since) = slot.current()?;
    (now.since(since) >= STUCK_AFTER).then_some(since)
}

fn describe(slot: &CallSlot, gpu: Option<&GpuId>, now: Mono) -> Option<StuckCall> {
    let (call, since) = slot.current()?;
    (now.since(since) >= STUCK_AFTER).then(|| StuckCall {
        gpu: gpu.cloned(),
        call: call.name().into(),
        since,
        wait_channel: slot.thread_id().and_then(wait_channel),
        ended: false,
    })
}

/// The kernel function a thread of this process waits in. Root only on most kernels, where others read `0`.
fn wait_channel(thread: i32) -> Option<Arc<str>> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/wchan")).ok()?;
    (!text.is_empty() && text != "0").then(|| text.into())
}
