//! History of one GPU, or of storage: one bucket a second for an hour, per metric, in fixed `f32` rings.
//!
//! A bucket is addressed by the absolute second of the monotonic clock, so a chart's columns stay where they are
//! while time goes on, and a gap in the data is a gap in the chart.

mod clock_events;
mod track;

use super::ClockEvents;
use crate::units::Mono;
use clock_events::ReasonRing;
pub use clock_events::ReasonSecond;
pub use track::Track;

/// Seconds of history kept.
pub const HISTORY_SECONDS: usize = 3_600;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Metric {
    /// `utilization.gpu`, per cent.
    Utilization,
    /// SM activity (GPM), per cent.
    Sm,
    /// Tensor activity (GPM), per cent.
    Tensor,
    /// DRAM activity (GPM), per cent.
    Dram,
    /// Framebuffer used, GiB.
    Memory,
    /// Board power, watts.
    Power,
    /// GPU temperature, °C.
    Temperature,
    /// Memory temperature, °C.
    MemoryTemperature,
    /// SM clock, MHz.
    SmClock,
    /// PCIe to the GPU, bytes/s.
    PcieRx,
    /// PCIe from the GPU, bytes/s.
    PcieTx,
    /// NVLink to the GPU, bytes/s.
    NvlinkRx,
    /// NVLink from the GPU, bytes/s.
    NvlinkTx,
    /// Size of the ZFS cache, GiB.
    ArcSize,
    /// Hits of what programs asked of the ZFS cache, per cent.
    ArcDemandHits,
    /// Read from the pools' devices, bytes/s.
    PoolRead,
    /// Written to the pools' devices, bytes/s.
    PoolWrite,
}

impl Metric {
    /// All of them, in ring order.
    pub const ALL: [Self; 17] = [
        Self::Utilization,
        Self::Sm,
        Self::Tensor,
        Self::Dram,
        Self::Memory,
        Self::Power,
        Self::Temperature,
        Self::MemoryTemperature,
        Self::SmClock,
        Self::PcieRx,
        Self::PcieTx,
        Self::NvlinkRx,
        Self::NvlinkTx,
        Self::ArcSize,
        Self::ArcDemandHits,
        Self::PoolRead,
        Self::PoolWrite,
    ];
}

/// Least, mean and greatest value of one or more seconds. All three are NaN where nothing was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The least value.
    pub min: f32,
    /// The mean value.
    pub mean: f32,
    /// The greatest value.
    pub max: f32,
}

impl Bucket {
    /// A bucket in which nothing was read.
    pub const EMPTY: Self = Self { min: f32::NAN, mean: f32::NAN, max: f32::NAN };

    /// Whether anything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.mean.is_nan()
    }
}

/// One ring: grows with the data up to [`HISTORY_SECONDS`], so a monitor that ran a minute holds a minute.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// Second of `buckets[0]`, meaningless while empty.
    first: u64,
    buckets: std::collections::VecDeque<(Bucket, u16)>,
}

impl Ring {
    /// Folds one observation into its second.
    fn add(&mut self, second: u64, value: Bucket) {
        if self.buckets.is_empty() {
            self.first = second;
        }
        if second < self.first {
            self.extend_back(second);
        }
        let Ok(mut offset) = usize::try_from(second.saturating_sub(self.first)) else { return };
        if second < self.first {
            return; // older than what is kept
        }
        if offset >= 2 * HISTORY_SECONDS {
            // A jump past everything that is kept: start anew rather than walk there.
            self.buckets.clear();
            self.first = second;
            offset = 0;
        }
        while self.buckets.len() <= offset {
            self.buckets.push_back((Bucket::EMPTY, 0));
        }
        while self.buckets.len() > HISTORY_SECONDS {
            self.buckets.pop_front();
            self.first += 1;
            offset = offset.saturating_sub(1);
        }
        if let Some((bucket, count)) = self.buckets.get_mut(offset) {
            if *count == 0 {
                *bucket = value;
            } else {
                let n = f32::from(*count);
                bucket.min = bucket.min.min(value.min);
                bucket.max = bucket.max.max(value.max);
                bucket.mean = (bucket.mean * n + value.mean) / (n + 1.0);
            }
            *count = count.saturating_add(1);
        }
    }

    /// Makes room before `first` for a sample buffer that reaches back, as far as the ring allows.
    fn extend_back(&mut self, second: u64) {
        while self.first > second && self.buckets.len() < HISTORY_SECONDS {
            self.buckets.push_front((Bucket::EMPTY, 0));
            self.first -= 1;
        }
    }

    fn get(&self, second: u64) -> Bucket {
        if second < self.first {
            return Bucket::EMPTY;
        }
        usize::try_from(second - self.first)
            .ok()
            .and_then(|offset| self.buckets.get(offset))
            .map_or(Bucket::EMPTY, |(bucket, _)| *bucket)
    }
}

/// The history of one GPU.
#[derive(Clone, Debug, Default)]
pub struct History {
    rings: [Ring; Metric::ALL.len()],
    /// First second that the sample buffers may still fill, per metric that they feed; see [`Self::fill`].
    live_from: Option<u64>,
    reasons: ReasonRing,
}

impl History {
    /// Adds one band at a time. Values that are not numbers are dropped.
    pub fn add(&mut self, metric: Metric, at: Mono, min: f32, mean: f32, max: f32) {
        if !(min.is_finite() && mean.is_finite() && max.is_finite()) {
            return;
        }
        self.live_from.get_or_insert_with(|| at.seconds());
        if let Some(ring) = self.rings.get_mut(metric as usize) {
            ring.add(at.seconds(), Bucket { min, mean, max });
        }
    }

    /// Adds one value of a sample buffer, which reaches back before the first sample. Seconds that samples
    /// already cover are left alone: their bands came from the same driver values.
    pub fn fill(&mut self, metric: Metric, at: Mono, value: f32) {
        if value.is_finite()
            && self.live_from.is_none_or(|live| at.seconds() < live)
            && let Some(ring) = self.rings.get_mut(metric as usize)
        {
            ring.add(at.seconds(), Bucket { min: value, mean: value, max: value });
        }
    }

    /// Adds the clock event reasons of an interval.
    pub fn add_clock_events(&mut self, at: Mono, events: ClockEvents) {
        self.reasons.add(at.seconds(), events);
    }

    /// The clock event reasons of one second; `None` where nothing was read.
    #[must_use]
    pub fn clock_events(&self, second: u64) -> Option<ReasonSecond> {
        self.reasons.get(second)
    }

    /// The bucket of one second.
    #[must_use]
    pub fn at(&self, metric: Metric, second: u64) -> Bucket {
        self.rings.get(metric as usize).map_or(Bucket::EMPTY, |ring| ring.get(second))
    }

    /// The seconds `from..to` as one bucket: least of the least, mean of the means, greatest of the greatest.
    #[must_use]
    pub fn over(&self, metric: Metric, from: u64, to: u64) -> Bucket {
        let (mut sum, mut count) = (0.0_f64, 0_u32);
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        for second in from..to {
            let bucket = self.at(metric, second);
            if !bucket.is_empty() {
                sum += f64::from(bucket.mean);
                count += 1;
                min = min.min(bucket.min);
                max = max.max(bucket.max);
            }
        }
        if count == 0 {
            return Bucket::EMPTY;
        }
        Bucket { min, mean: (sum / f64::from(count)) as f32, max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Mono {
        Mono(n * 1_000_000)
    }

    #[test]
    fn a_gap_in_the_data_is_a_gap_in_the_chart() {
        let mut history = History::default();
        history.add(Metric::Power, second(10), 1.0, 2.0, 3.0);
        history.add(Metric::Power, second(13), 5.0, 5.0, 5.0);
        assert_eq!(history.at(Metric::Power, 10).max, 3.0);
        assert!(history.at(Metric::Power, 11).is_empty());
        assert!(history.at(Metric::Power, 14).is_empty());
        assert!(history.at(Metric::Power, 9).is_empty());
        assert_eq!(history.over(Metric::Power, 10, 14).mean, 3.5);
    }

    #[test]
    fn observations_of_one_second_fold_into_its_band() {
        let mut history = History::default();
        history.add(Metric::SmClock, second(7), 100.0, 100.0, 100.0);
        history.add(Metric::SmClock, second(7), 300.0, 300.0, 300.0);
        assert_eq!(history.at(Metric::SmClock, 7), Bucket { min: 100.0, mean: 200.0, max: 300.0 });
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = History::default();
        for n in 0..4_000 {
            history.add(Metric::Power, second(n), 1.0, 1.0, 1.0);
        }
        assert!(history.at(Metric::Power, 399).is_empty());
        assert!(!history.at(Metric::Power, 400).is_empty());
        assert!(!history.at(Metric::Power, 3_999).is_empty());
    }

    #[test]
    fn a_jump_of_days_does_not_walk_there() {
        let mut history = History::default();
        history.add(Metric::Power, second(1), 1.0, 1.0, 1.0);
        history.add(Metric::Power, second(u64::MAX / 2_000_000), 2.0, 2.0, 2.0);
        assert_eq!(history.at(Metric::Power, u64::MAX / 2_000_000).mean, 2.0);
    }

    #[test]
    fn sample_buffers_fill_only_what_came_before() {
        let mut history = History::default();
        history.add(Metric::Power, second(20), 9.0, 9.0, 9.0);
        history.fill(Metric::Power, second(18), 4.0);
        history.fill(Metric::Power, second(18), 6.0);
        history.fill(Metric::Power, second(20), 1.0);
        assert_eq!(history.at(Metric::Power, 18).mean, 5.0);
        assert_eq!(history.at(Metric::Power, 20).mean, 9.0);
    }
}
