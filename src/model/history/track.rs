//! A coarse history of one value, for the many things of which only a small chart is drawn.

use crate::units::Mono;
use std::collections::VecDeque;

/// Seconds of one bucket: a small chart has room for a dozen of them.
const BUCKET_SECONDS: u64 = 5;
/// Buckets kept: ten minutes.
const BUCKETS: usize = 120;

/// The mean of each five seconds, for ten minutes. A bucket in which nothing was read is NaN.
#[derive(Clone, Debug, Default)]
pub struct Track {
    first: u64,
    buckets: VecDeque<(f32, u16)>,
}

impl Track {
    /// Adds a value that held from one moment to another.
    pub fn add(&mut self, from: Mono, to: Mono, value: f32) {
        if !value.is_finite() {
            return;
        }
        let last = to.seconds() / BUCKET_SECONDS;
        let kept_from = last.saturating_sub(BUCKETS as u64 - 1);
        // The moment of the reading before belongs to the interval before.
        let first = (from.seconds() + 1).min(to.seconds()) / BUCKET_SECONDS;
        for bucket in first.max(kept_from)..=last {
            self.add_to(bucket, value);
        }
    }

    fn add_to(&mut self, bucket: u64, value: f32) {
        if self.buckets.is_empty() || bucket >= self.first + 2 * BUCKETS as u64 {
            self.buckets.clear();
            self.first = bucket;
        }
        let Some(offset) = bucket.checked_sub(self.first).and_then(|offset| usize::try_from(offset).ok())
        else {
            return;
        };
        while self.buckets.len() <= offset {
            self.buckets.push_back((f32::NAN, 0));
        }
        if let Some((mean, count)) = self.buckets.get_mut(offset) {
            let n = f32::from(*count);
            *mean = if *count == 0 { value } else { (*mean * n + value) / (n + 1.0) };
            *count = count.saturating_add(1);
        }
        while self.buckets.len() > BUCKETS {
            self.buckets.pop_front();
            self.first += 1;
        }
    }

    /// The last `count` buckets up to `now`, the oldest first; NaN where nothing was read. Buckets begin at whole
    /// multiples of their length, so a chart of them stands still in between.
    #[must_use]
    pub fn last(&self, now: Mono, count: usize) -> Vec<f32> {
        let newest = now.seconds() / BUCKET_SECONDS;
        (0..count as u64)
            .rev()
            .map(|back| newest.checked_sub(back).map_or(f32::NAN, |at| self.at(at)))
            .collect()
    }

    fn at(&self, bucket: u64) -> f32 {
        let offset = bucket.checked_sub(self.first).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.buckets.get(offset)).map_or(f32::NAN, |(mean, _)| *mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Mono {
        Mono(second * 1_000_000)
    }

    #[test]
    fn a_mean_over_ten_seconds_fills_both_buckets_and_a_gap_stays_one() {
        let mut track = Track::default();
        track.add(at(9), at(19), 4.0);
        track.add(at(30), at(31), 8.0);
        let last = track.last(at(34), 6);
        assert!(last[0].is_nan() && last[3].is_nan() && last[4].is_nan(), "{last:?}");
        assert_eq!((last[1], last[2], last[5]), (4.0, 4.0, 8.0));
    }

    #[test]
    fn ten_minutes_are_kept_and_a_jump_does_not_walk_there() {
        let mut track = Track::default();
        for second in 0..2_000 {
            track.add(at(second), at(second + 1), 1.0);
        }
        assert!(track.buckets.len() <= BUCKETS);
        track.add(at(u64::MAX / 2_000_000), at(u64::MAX / 2_000_000 + 1), 2.0);
        assert!(track.buckets.len() <= 2);
    }
}
