//! One GPU between samples: the newest reading of each group, history, and what follows from two readings.

use super::counters::{self, ReasonCounters};
use crate::model::{
    Absence, Buffers, Counters, Fast, Gpm, Gpu, GpuId, GpuInfo, GpuRates, GpuSample, GpuState, Grouped,
    History, Live, Metric, Reading, Throttle, known,
};
use crate::units::{BytesPerSecond, Mono, Wall};
use std::sync::Arc;
use std::time::Duration;

/// A group is looked at as current for this many intervals of its tier; GPM is read at least every 5 s.
const GPM_FRESH: Duration = Duration::from_secs(7);
/// The same for counters, which a busy driver may answer late.
const COUNTERS_FRESH: Duration = Duration::from_secs(15);
/// A mean over more than this says nothing about each second of it, and is drawn at its end only.
const SPREAD_AT_MOST: u64 = 15;

/// A fresh collector names its GPUs one by one, seconds apart where the driver has to wake each of them: one that is
/// missing for less than this is still to come.
const VANISHED_AFTER: Duration = Duration::from_secs(10);

/// What is kept per GPU between samples.
#[derive(Clone, Debug, Default)]
pub(super) struct GpuFold {
    pub(super) last: Option<GpuSample>,
    state_since: Mono,
    seen: Mono,
    pub(super) history: History,
    reasons: ReasonCounters,
    nvlink: Option<[Reading<BytesPerSecond>; 2]>,
    replays: Option<Reading<f32>>,
    link_errors: Option<Reading<f32>>,
}

impl GpuFold {
    /// A GPU that is first seen now.
    pub(super) fn new(now: Mono) -> Self {
        Self { state_since: now, ..Self::default() }
    }

    /// It is in no sample any more.
    pub(super) fn vanish(&mut self, now: Mono) {
        if let Some(last) = &mut self.last
            && last.state != GpuState::Lost
            && now.since(self.seen) >= VANISHED_AFTER
        {
            last.state = GpuState::Lost;
            (last.stuck, last.refusal) = (None, None);
            self.state_since = now;
        }
    }

    /// Takes a sample's part: derives what needs two readings, then keeps the newest of each group.
    pub(super) fn push(&mut self, mut new: GpuSample, now: Mono, wall: Wall) {
        self.seen = now;
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
            self.replays = Some(counters::replay_rate(before, after));
        }
        if let Some(after) = newer!(nvlinks)
            && let Some(before) = old.as_ref().and_then(|old| old.nvlinks.as_ref())
        {
            self.link_errors = Some(counters::link_error_rate(before, after));
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
        gpm: Option<&Grouped<Gpm>>,
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

    fn remember_gpm(&mut self, Grouped { at, value }: &Grouped<Gpm>) {
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
        if let Ok(events) = fast.clock_events {
            self.history.add_clock_events(at, events);
        }
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
        let from_gpm = |read: fn(&Gpm) -> &Reading<BytesPerSecond>| gpm.map(|gpm| read(gpm).clone());
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
        let seen = |rate: &Option<Reading<f32>>| {
            rate.clone().unwrap_or(Err(Absence::InsufficientHistory { seen_seconds: 0.0 }))
        };
        GpuRates {
            pcie_rx: or_counter(from_gpm(|gpm| &gpm.pcie_rx), counters.map(|c| c.pcie_rx.clone())),
            pcie_tx: or_counter(from_gpm(|gpm| &gpm.pcie_tx), counters.map(|c| c.pcie_tx.clone())),
            nvlink_tx: or_counter(from_gpm(|gpm| &gpm.nvlink_tx), nvlink(0)),
            nvlink_rx: or_counter(from_gpm(|gpm| &gpm.nvlink_rx), nvlink(1)),
            pcie_replays: seen(&self.replays),
            nvlink_errors: seen(&self.link_errors),
        }
    }

    pub(super) fn view(&self, info: Arc<GpuInfo>, now: Mono) -> Gpu {
        let unknown = GpuSample::new(GpuId("unknown".into()), GpuState::Ok);
        let last = self.last.as_ref().unwrap_or(&unknown);
        Gpu {
            id: last.id.clone(),
            info,
            state: last.state,
            state_since: self.state_since,
            refusal: last.refusal,
            stuck: last.stuck.clone(),
            fast: last.fast.clone(),
            live: last.live.clone(),
            gpm: last.gpm.clone(),
            counters: last.counters.clone(),
            buffers: last.buffers.clone().map(Arc::new),
            health: last.health.clone(),
            nvlinks: last.nvlinks.clone().map(Arc::new),
            mig: last.mig.clone().map(Arc::new),
            process_list: match last.processes.as_ref().map(|group| &group.value) {
                Some(Ok(_)) => Ok(()),
                Some(Err(absence)) => Err(absence.clone()),
                None => Err(Absence::NotRequested),
            },
            rates: self.rates(last, now),
            throttle: Throttle { seconds: self.reasons.seconds(), observed: self.reasons.observed() },
            unattributed: Err(Absence::NotRequested),
        }
    }
}
