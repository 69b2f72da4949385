//! The fold from records to snapshots. Pure, deterministic, and bounded in memory: an hour of history per GPU,
//! an hour of ended processes, a few hundred points per counter.

mod counters;
mod processes;

use super::{
    Absence, Buffers, Counters, Fast, Gpu, GpuId, GpuInfo, GpuRates, GpuSample, GpuState, Grouped, Header,
    History, HostSample, HostView, Inventory, Live, Metric, Reading, Record, Sample, SelfCost, Snapshot,
    StuckCall, Throttle, known,
};
use crate::units::{Bytes, BytesPerSecond, Mono, Percent, Wall};
use counters::ReasonCounters;
use processes::ProcessBook;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use processes::ENDED_KEPT;

/// A group is looked at as current for this many intervals of its tier; GPM is read at least every 5 s.
const GPM_FRESH: Duration = Duration::from_secs(7);
/// The same for counters, which a busy driver may answer late.
const COUNTERS_FRESH: Duration = Duration::from_secs(15);
/// A mean over more than this says nothing about each second of it, and is drawn at its end only.
const SPREAD_AT_MOST: u64 = 15;

/// Folds records into snapshots. Cloning it makes a checkpoint to seek from.
#[derive(Clone, Debug, Default)]
pub struct Deriver {
    header: Option<Arc<Header>>,
    inventory: Arc<Inventory>,
    infos: BTreeMap<GpuId, Arc<GpuInfo>>,
    gpus: BTreeMap<GpuId, GpuFold>,
    processes: ProcessBook,
    host: Option<Grouped<HostSample>>,
    host_cpu: Option<Reading<Percent>>,
    cost: Option<(Mono, SelfCost)>,
    stuck: Vec<StuckCall>,
    last_sample: Option<Mono>,
    missed: u64,
    bye: Option<super::Bye>,
}

/// What is kept per GPU between samples.
#[derive(Clone, Debug, Default)]
struct GpuFold {
    last: Option<GpuSample>,
    state_since: Mono,
    history: History,
    reasons: ReasonCounters,
    nvlink: Option<[Reading<BytesPerSecond>; 2]>,
    errors: Option<[Reading<f32>; 2]>,
}

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
            Record::Bye(bye) => self.bye = Some(bye),
            Record::Event(_) => {}
        }
        None
    }

    /// The history of a GPU.
    #[must_use]
    pub fn history(&self, id: &GpuId) -> Option<&History> {
        self.gpus.get(id).map(|fold| &fold.history)
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
        self.infos = inventory.gpus.iter().map(|info| (info.id(), Arc::new(info.clone()))).collect();
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

        let gpus: Vec<Gpu> = std::mem::take(&mut sample.gpus)
            .into_iter()
            .map(|gpu| self.take_gpu(gpu, now, sample.wall))
            .collect();
        let last =
            self.gpus.iter().filter_map(|(id, fold)| Some((id.clone(), fold.last.as_ref()?))).collect();
        let processes = self.processes.fold(&gpus, &last, sample.processes.take(), now);
        let gpus = self.with_unattributed(gpus, &processes);
        if let Some(host) = sample.host.take() {
            self.take_host(host);
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
            sources: sample.sources,
            gpus,
            processes,
            stuck: self.stuck.clone(),
            missed: self.missed,
            cost: sample.cost,
            cost_cpu,
            bye: self.bye.clone(),
        }
    }

    fn take_gpu(&mut self, new: GpuSample, now: Mono, wall: Wall) -> Gpu {
        let info = self.infos.get(&new.id).cloned().unwrap_or_default();
        let fold = self
            .gpus
            .entry(new.id.clone())
            .or_insert_with(|| GpuFold { state_since: now, ..GpuFold::default() });
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

impl GpuFold {
    /// Takes a sample's part: derives what needs two readings, then keeps the newest of each group.
    fn push(&mut self, mut new: GpuSample, now: Mono, wall: Wall) {
        let old = self.last.take();
        // A group that is handed over again was not read again.
        macro_rules! newer {
            ($group:ident) => {
                new.$group.as_ref().filter(|group| {
                    old.as_ref().and_then(|old| old.$group.as_ref()).is_none_or(|old| old.at < group.at)
                })
            };
        }
        if let Some(Grouped { at, value }) = newer!(buffers) {
            self.fill_from_buffers(value, *at, now, wall);
        }
        if let Some(Grouped { at, value }) = newer!(fast) {
            self.remember_fast(*at, value);
        }
        if let Some(Grouped { at, value }) = newer!(live) {
            self.remember_live(*at, value);
        }
        if let Some(group) = newer!(gpm) {
            self.remember_gpm(group);
        }
        if let Some(group) = newer!(counters) {
            let before = old.as_ref().and_then(|old| old.counters.as_ref());
            let gpm = new.gpm.as_ref().or_else(|| old.as_ref().and_then(|old| old.gpm.as_ref()));
            self.take_counters(before, group, gpm);
        }
        if let Some(after) = newer!(health)
            && let Some(before) = old.as_ref().and_then(|old| old.health.as_ref())
        {
            self.errors = Some(counters::error_rates(before, after));
        }
        if let Some(old) = old {
            if old.state != new.state {
                self.state_since = now;
            }
            macro_rules! keep {
                ($($group:ident)*) => {$(
                    if let Some(kept) = old.$group
                        && new.$group.as_ref().is_none_or(|group| group.at < kept.at)
                    {
                        new.$group = Some(kept);
                    }
                )*};
            }
            keep!(fast live processes gpm counters process_utilization buffers health nvlinks mig);
        }
        self.last = Some(new);
    }

    /// Rates and windows from a new reading of the counters. GPM tells the links' rates better, where it is read.
    fn take_counters(
        &mut self,
        before: Option<&Grouped<Counters>>,
        after: &Grouped<Counters>,
        gpm: Option<&Grouped<super::Gpm>>,
    ) {
        self.reasons.push(after);
        if let Some(before) = before {
            self.nvlink = Some(counters::nvlink_rates(before, after));
        }
        let gpm = gpm.filter(|group| after.at.since(group.at) <= GPM_FRESH).map(|group| &group.value);
        let from = before.map_or(after.at, |before| before.at);
        if gpm.is_none_or(|gpm| gpm.nvlink_tx.is_err()) {
            let rates = self.nvlink.clone();
            for (metric, rate) in [Metric::NvlinkTx, Metric::NvlinkRx].into_iter().zip(rates.iter().flatten())
            {
                self.spread(metric, from, after.at, known(rate).map(|rate| rate.0 as f32));
            }
        }
        if gpm.is_none_or(|gpm| gpm.pcie_tx.is_err()) {
            let tx = known(&after.value.pcie_tx).map(|rate| rate.0 as f32);
            let rx = known(&after.value.pcie_rx).map(|rate| rate.0 as f32);
            self.point(Metric::PcieTx, after.at, tx);
            self.point(Metric::PcieRx, after.at, rx);
        }
    }

    fn remember_gpm(&mut self, Grouped { at, value }: &Grouped<super::Gpm>) {
        let seconds = known(&value.interval_seconds).unwrap_or(0.0).max(0.0);
        let from = Mono(at.0.saturating_sub((f64::from(seconds) * 1e6) as u64));
        let percents =
            [(Metric::Sm, &value.sm), (Metric::Tensor, &value.tensor), (Metric::Dram, &value.dram)];
        for (metric, reading) in percents {
            self.spread(metric, from, *at, known(reading).map(|percent| percent.0));
        }
        let rates = [
            (Metric::PcieRx, &value.pcie_rx),
            (Metric::PcieTx, &value.pcie_tx),
            (Metric::NvlinkRx, &value.nvlink_rx),
            (Metric::NvlinkTx, &value.nvlink_tx),
        ];
        for (metric, reading) in rates {
            self.spread(metric, from, *at, known(reading).map(|rate| rate.0 as f32));
        }
    }

    /// Draws a mean over each second that it covers.
    fn spread(&mut self, metric: Metric, from: Mono, to: Mono, value: Option<f32>) {
        let last = to.seconds();
        let covered = last.saturating_sub(from.seconds());
        let first = if covered > SPREAD_AT_MOST { last } else { last.min(from.seconds() + 1) };
        for second in first..=last {
            self.point(metric, Mono(second * 1_000_000), value);
        }
    }

    fn remember_fast(&mut self, at: Mono, fast: &Fast) {
        let bands = [
            (Metric::Power, &fast.power),
            (Metric::SmClock, &fast.sm_clock),
            (Metric::Utilization, &fast.utilization),
        ];
        for (metric, reading) in bands {
            if let Ok(band) = reading {
                self.history.add(metric, at, band.min, band.mean, band.max);
            }
        }
    }

    fn remember_live(&mut self, at: Mono, live: &Live) {
        self.point(Metric::Memory, at, known(&live.memory_used).map(|bytes| bytes.gib() as f32));
        self.point(Metric::Temperature, at, known(&live.temperature).map(|celsius| celsius.0));
        self.point(Metric::MemoryTemperature, at, known(&live.memory_temperature).map(|celsius| celsius.0));
    }

    fn point(&mut self, metric: Metric, at: Mono, value: Option<f32>) {
        if let Some(value) = value {
            self.history.add(metric, at, value, value, value);
        }
    }

    /// Sample buffers carry the wall clock: move them to the monotonic one by the offset of this sample.
    fn fill_from_buffers(&mut self, buffers: &Buffers, _at: Mono, now: Mono, wall: Wall) {
        let series = [(Metric::Power, &buffers.power), (Metric::Utilization, &buffers.utilization)];
        for (metric, reading) in series {
            for value in reading.iter().flatten() {
                let age = wall.0.saturating_sub(i64::try_from(value.at_us).unwrap_or(i64::MAX));
                if let Ok(age) = u64::try_from(age)
                    && age <= now.0
                {
                    self.history.fill(metric, Mono(now.0 - age), value.value);
                }
            }
        }
    }

    /// Link rates: GPM's where they are fresh, else from the counters.
    fn rates(&self, sample: &GpuSample, now: Mono) -> GpuRates {
        let gpm =
            sample.gpm.as_ref().filter(|group| now.since(group.at) <= GPM_FRESH).map(|group| &group.value);
        let counters = sample.counters.as_ref().filter(|group| now.since(group.at) <= COUNTERS_FRESH);
        let counters = counters.map(|group| &group.value);
        let from_gpm = |read: fn(&super::Gpm) -> &Reading<BytesPerSecond>| gpm.map(|gpm| read(gpm).clone());
        let or_counter =
            |gpm: Option<Reading<BytesPerSecond>>, other: Option<Reading<BytesPerSecond>>| match (gpm, other)
            {
                (Some(Ok(rate)), _) => Ok(rate),
                (_, Some(other)) => other,
                (Some(absent), None) => absent,
                (None, None) => Err(Absence::NotRequested),
            };
        let nvlink = |index: usize| {
            counters.and_then(|_fresh| self.nvlink.as_ref().and_then(|pair| pair.get(index).cloned()))
        };
        let errors = |index: usize| {
            self.errors
                .as_ref()
                .and_then(|pair| pair.get(index).cloned())
                .unwrap_or(Err(Absence::InsufficientHistory { seen_seconds: 0.0 }))
        };
        GpuRates {
            pcie_rx: or_counter(from_gpm(|gpm| &gpm.pcie_rx), counters.map(|c| c.pcie_rx.clone())),
            pcie_tx: or_counter(from_gpm(|gpm| &gpm.pcie_tx), counters.map(|c| c.pcie_tx.clone())),
            nvlink_tx: or_counter(from_gpm(|gpm| &gpm.nvlink_tx), nvlink(0)),
            nvlink_rx: or_counter(from_gpm(|gpm| &gpm.nvlink_rx), nvlink(1)),
            pcie_replays: errors(0),
            nvlink_errors: errors(1),
        }
    }

    fn view(&self, info: Arc<GpuInfo>, now: Mono) -> Gpu {
        let unknown = GpuSample::new(GpuId("unknown".into()), GpuState::Ok);
        let last = self.last.as_ref().unwrap_or(&unknown);
        Gpu {
            id: last.id.clone(),
            info,
            state: last.state,
            state_since: self.state_since,
            stuck: last.stuck.clone(),
            fast: last.fast.clone(),
            live: last.live.clone(),
            gpm: last.gpm.clone(),
            counters: last.counters.clone(),
            buffers: last.buffers.clone().map(Arc::new),
            health: last.health.clone(),
            nvlinks: last.nvlinks.clone().map(Arc::new),
            mig: last.mig.clone().map(Arc::new),
            rates: self.rates(last, now),
            throttle: Throttle { seconds: self.reasons.seconds(), observed: self.reasons.observed() },
            unattributed: Err(Absence::NotRequested),
        }
    }
}
