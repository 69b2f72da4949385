//! The fold from records to snapshots. Pure, deterministic, and bounded in memory: an hour of history per GPU,
//! an hour of ended processes, a few hundred points per counter.

mod counters;
mod gpu;
mod loads;
mod processes;
mod storage;

use super::{
    Absence, DatasetKey, Gpu, GpuId, GpuInfo, GpuSample, Grouped, Header, History, HostFiles, HostSample,
    HostView, Inventory, RawEvent, Reading, Record, Sample, SelfCost, Snapshot, StuckCall, known,
};
use crate::units::{Bytes, Mono, Percent, Wall};
use gpu::GpuFold;
use processes::ProcessBook;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use storage::StorageFold;

pub use processes::ENDED_KEPT;
pub use storage::DatasetTracks;

/// Folds records into snapshots. Cloning it makes a checkpoint to seek from.
#[derive(Clone, Debug, Default)]
pub struct Deriver {
    header: Option<Arc<Header>>,
    inventory: Arc<Inventory>,
    infos: BTreeMap<GpuId, Arc<GpuInfo>>,
    /// A GPU that lost its name is known by its address: from the name in the stream to the one it had.
    aliases: BTreeMap<GpuId, GpuId>,
    gpus: BTreeMap<GpuId, GpuFold>,
    processes: ProcessBook,
    storage: StorageFold,
    host: Option<Grouped<HostSample>>,
    host_cpu: Option<Reading<Percent>>,
    host_files: Option<Arc<Grouped<HostFiles>>>,
    cost: Option<(Mono, SelfCost)>,
    stuck: Vec<StuckCall>,
    last_sample: Option<Mono>,
    missed: u64,
    bye: Option<super::Bye>,
    events: Arc<Vec<RawEvent>>,
}

/// Raw events that are kept for who begins to look later (a seek, a report); the oldest one falls out first.
const EVENTS_AT_MOST: usize = 1_000;

impl Deriver {
    /// A fold that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one record; a sample gives a snapshot.
    pub fn push(&mut self, record: Record) -> Option<Snapshot> {
        match record {
            Record::Header(header) => self.begin(header),
            Record::Inventory(inventory) => self.take_inventory(*inventory),
            Record::Sample(sample) => return Some(self.take_sample(*sample)),
            Record::CallStuck(call) => self.take_stuck(call),
            Record::Gap(gap) => self.missed = self.missed.saturating_add(gap.missed),
            Record::Bye(bye) => {
                self.storage.end();
                self.bye = Some(bye);
            }
            Record::Snapshots(batch) => self.storage.take_batch(batch),
            Record::Event(event) => {
                let events = Arc::make_mut(&mut self.events);
                if events.len() >= EVENTS_AT_MOST {
                    events.remove(0);
                }
                events.push(event);
            }
        }
        None
    }

    /// The newest raw events, the oldest first.
    pub fn events(&self) -> impl Iterator<Item = &RawEvent> {
        self.events.iter()
    }

    /// The history of a GPU.
    #[must_use]
    pub fn history(&self, id: &GpuId) -> Option<&History> {
        self.gpus.get(id).map(|fold| &fold.history)
    }

    /// The history of cache and pools.
    #[must_use]
    pub const fn storage_history(&self) -> &History {
        &self.storage.history
    }

    /// What was read from and written to a dataset over time.
    #[must_use]
    pub fn dataset_tracks(&self, key: &DatasetKey) -> Option<&DatasetTracks> {
        self.storage.tracks(key)
    }

    /// A new stream: the same machine goes on where it was, another boot or host begins with nothing.
    fn begin(&mut self, header: Header) {
        if self.header.as_deref() == Some(&header) {
            return; // each block of a recording repeats it
        }
        let same_boot = self.header.as_ref().is_some_and(|old| {
            old.host.boot_id == header.host.boot_id && old.host.hostname == header.host.hostname
        });
        if !same_boot {
            *self = Self::default();
        }
        self.stuck.clear();
        self.cost = None;
        self.bye = None;
        self.header = Some(Arc::new(header));
    }

    /// The monotonic clock never runs backwards: the stream was wound back, and what came later is not known yet.
    fn start_over(&mut self) {
        let old = std::mem::take(self);
        let inventory = Arc::unwrap_or_clone(old.inventory);
        self.header = old.header;
        self.take_inventory(inventory);
    }

    fn take_inventory(&mut self, inventory: Inventory) {
        if *self.inventory == inventory {
            return; // each block of a recording repeats it
        }
        self.aliases.clear();
        for info in &inventory.gpus {
            match self.named_before(info) {
                // What is known of it from before is more than what it still says.
                Some(before) => {
                    self.aliases.insert(info.id(), before);
                }
                None => {
                    self.infos.insert(info.id(), Arc::new(info.clone()));
                }
            }
        }
        self.processes.learn(&inventory.processes);
        self.inventory = Arc::new(inventory);
    }

    fn take_stuck(&mut self, call: StuckCall) {
        self.stuck.retain(|other| !(other.gpu == call.gpu && other.call == call.call));
        if !call.ended && call.gpu.is_none() {
            self.stuck.push(call);
        }
    }

    fn take_sample(&mut self, mut sample: Sample) -> Snapshot {
        let now = sample.mono;
        if self.last_sample.is_some_and(|last| now < last) {
            self.start_over();
        }
        let header = Arc::clone(self.header.get_or_insert_with(|| Arc::new(unknown_header())));
        let interval = match self.last_sample {
            Some(last) => now.since(last),
            None => Duration::try_from_secs_f32(header.interval_seconds).unwrap_or(Duration::from_secs(1)),
        };
        self.last_sample = Some(now);

        let mut gpus: Vec<Gpu> = std::mem::take(&mut sample.gpus)
            .into_iter()
            .map(|gpu| self.take_gpu(gpu, now, sample.wall))
            .collect();
        self.keep_vanished(&mut gpus, now);
        let last =
            self.gpus.iter().filter_map(|(id, fold)| Some((id.clone(), fold.last.as_ref()?))).collect();
        let processes = self.processes.fold(&gpus, &last, sample.processes.take(), now);
        let gpus = self.with_unattributed(gpus, &processes);
        if let Some(host) = sample.host.take() {
            self.take_host(host);
        }
        let storage = self.storage.push(sample.storage.take().map(|storage| *storage));
        if let Some(files) = sample.host_files.take() {
            self.host_files = Some(Arc::new(files));
        }
        let cost_cpu = self.take_cost(now, sample.cost);
        Snapshot {
            header,
            inventory: Arc::clone(&self.inventory),
            sequence: sample.sequence,
            mono: now,
            wall: sample.wall,
            interval,
            host: self.host_view(),
            storage,
            host_files: self.host_files.clone(),
            sources: sample.sources,
            gpus,
            processes,
            stuck: self.stuck.clone(),
            missed: self.missed,
            events: Arc::clone(&self.events),
            cost: sample.cost,
            cost_cpu,
            bye: self.bye.clone(),
        }
    }

    /// The name that a nameless GPU had before, by its address.
    fn named_before(&self, info: &GpuInfo) -> Option<GpuId> {
        let address = info.pci_bus_id.as_ref().ok()?;
        if info.uuid.is_ok() {
            return None;
        }
        self.infos
            .iter()
            .find(|(_, old)| old.uuid.is_ok() && old.pci_bus_id.as_ref() == Ok(address))
            .map(|(id, _)| id.clone())
    }

    /// A GPU that was there in this boot and is in no sample any more stays on the screen, as lost: that is the
    /// moment in which somebody looks for it. One without a UUID was a place on the bus, not a GPU that answered.
    fn keep_vanished(&mut self, gpus: &mut Vec<Gpu>, now: Mono) {
        // Between two collectors no sample has GPUs: nothing is known then, and nothing has vanished.
        if gpus.is_empty() {
            return;
        }
        for (id, fold) in &mut self.gpus {
            if gpus.iter().any(|gpu| &gpu.id == id) {
                continue;
            }
            let Some(info) = self.infos.get(id).filter(|info| info.uuid.is_ok()) else { continue };
            fold.vanish(now);
            gpus.push(fold.view(Arc::clone(info), now));
        }
        gpus.sort_by_key(|gpu| gpu.index().unwrap_or(u32::MAX));
    }

    fn take_gpu(&mut self, mut new: GpuSample, now: Mono, wall: Wall) -> Gpu {
        if let Some(before) = self.aliases.get(&new.id) {
            new.id = before.clone();
        }
        let info = self.infos.get(&new.id).cloned().unwrap_or_default();
        let fold = self.gpus.entry(new.id.clone()).or_insert_with(|| GpuFold::new(now));
        fold.push(new, now, wall);
        fold.view(info, now)
    }

    fn with_unattributed(&self, mut gpus: Vec<Gpu>, processes: &[super::Process]) -> Vec<Gpu> {
        let all_visible = matches!(self.inventory.host_pids_visible, Ok(true));
        for gpu in &mut gpus {
            gpu.unattributed = if all_visible {
                let last = self.gpus.get(&gpu.id).and_then(|fold| fold.last.as_ref());
                processes::unattributed(gpu, last, processes)
            } else {
                Err(Absence::NoPermission)
            };
        }
        gpus
    }

    fn take_host(&mut self, host: Grouped<HostSample>) {
        if let Some(old) = &self.host
            && old.at >= host.at
        {
            return;
        }
        self.host_cpu = Some(match &self.host {
            Some(old) => busy_share(&old.value, &host.value),
            None => Err(Absence::InsufficientHistory { seen_seconds: 0.0 }),
        });
        self.host = Some(host);
    }

    fn host_view(&self) -> HostView {
        let absent = HostSample::default();
        let host = self.host.as_ref().map_or(&absent, |group| &group.value);
        let memory_used = match (&host.memory_total, &host.memory_available) {
            (Ok(total), Ok(available)) => {
                let arc = known(&host.arc_reclaimable).unwrap_or_default();
                Ok(total.saturating_sub(Bytes(available.0.saturating_add(arc.0))))
            }
            (Err(absence), _) | (_, Err(absence)) => Err(absence.clone()),
        };
        HostView {
            cpu: self.host_cpu.clone().unwrap_or(Err(Absence::NotRequested)),
            memory_total: host.memory_total.clone(),
            memory_used,
            arc_reclaimable: host.arc_reclaimable.clone(),
            swap_total: host.swap_total.clone(),
            swap_used: host.swap_used.clone(),
            load: [host.load_1m.clone(), host.load_5m.clone(), host.load_15m.clone()],
            uptime_seconds: host.uptime_seconds.clone(),
        }
    }

    fn take_cost(&mut self, now: Mono, cost: Option<SelfCost>) -> Reading<Percent> {
        let cost = cost.ok_or(Absence::NotRequested)?;
        let before = self.cost.replace((now, cost));
        let (then, before) = before.ok_or(Absence::InsufficientHistory { seen_seconds: 0.0 })?;
        let seconds = now.since(then).as_secs_f64();
        // Less than before: another collector, which cost nothing yet that is known.
        let spent = cost.cpu_ns.checked_sub(before.cpu_ns);
        spent
            .and_then(|spent| Percent::of(spent as f64 / 1e9, seconds))
            .ok_or(Absence::InsufficientHistory { seen_seconds: 0.0 })
    }
}

/// Stands in until a header comes: a stream that was joined in its middle.
fn unknown_header() -> Header {
    Header {
        format: 1,
        kgtop: "".into(),
        host: super::HostInfo::default(),
        wall: Wall(0),
        mono: Mono(0),
        interval_seconds: 1.0,
        collector_pid: 0,
    }
}

fn busy_share(old: &HostSample, new: &HostSample) -> Reading<Percent> {
    let busy = new.cpu_busy_ns.clone()?.checked_sub(old.cpu_busy_ns.clone()?);
    let total = new.cpu_total_ns.clone()?.checked_sub(old.cpu_total_ns.clone()?);
    busy.zip(total)
        .and_then(|(busy, total)| Percent::of(busy as f64, total as f64))
        .ok_or(Absence::InsufficientHistory { seen_seconds: 0.0 })
}
