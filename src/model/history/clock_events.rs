//! Clock event reasons second by second for an hour: four bytes a second and GPU.

use super::HISTORY_SECONDS;
use crate::model::ClockEvents;
use std::collections::VecDeque;

/// The reasons of one second, the low 16 bits of NVML's mask: eleven are known, and the newest driver names them by
/// 11 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReasonSecond {
    /// Bits that were set in at least one read.
    pub any: u16,
    /// Bits that were set in every read.
    pub all: u16,
}

/// One ring; grows with the data.
#[derive(Clone, Debug, Default)]
pub(super) struct ReasonRing {
    first: u64,
    seconds: VecDeque<Option<ReasonSecond>>,
}

impl ReasonRing {
    pub(super) fn add(&mut self, second: u64, events: ClockEvents) {
        let read = ReasonSecond { any: low(events.any), all: low(events.all) };
        if self.seconds.is_empty() {
            self.first = second;
        }
        let Some(offset) = second.checked_sub(self.first) else { return };
        let mut offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset >= 2 * HISTORY_SECONDS {
            // A jump past everything that is kept: start anew rather than walk there.
            self.seconds.clear();
            self.first = second;
            offset = 0;
        }
        while self.seconds.len() <= offset {
            self.seconds.push_back(None);
        }
        while self.seconds.len() > HISTORY_SECONDS {
            self.seconds.pop_front();
            self.first += 1;
            offset = offset.saturating_sub(1);
        }
        if let Some(slot) = self.seconds.get_mut(offset) {
            *slot = Some(
                slot.map_or(read, |old| ReasonSecond { any: old.any | read.any, all: old.all & read.all }),
            );
        }
    }

    pub(super) fn get(&self, second: u64) -> Option<ReasonSecond> {
        let offset = usize::try_from(second.checked_sub(self.first)?).ok()?;
        self.seconds.get(offset).copied().flatten()
    }
}

const fn low(mask: u64) -> u16 {
    (mask & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn events(any: u64, all: u64) -> ClockEvents {
        ClockEvents { last: all, any, all }
    }

    #[test]
    fn reads_of_one_second_fold_and_a_gap_stays_one() {
        let mut ring = ReasonRing::default();
        ring.add(10, events(0x4, 0x4));
        ring.add(10, events(0x44, 0x40));
        ring.add(12, events(0, 0));
        assert_eq!(ring.get(10), Some(ReasonSecond { any: 0x44, all: 0 }));
        assert_eq!(ring.get(11), None);
        assert_eq!(ring.get(12), Some(ReasonSecond::default()));
        assert_eq!(ring.get(9), None);
    }

    #[test]
    fn an_hour_is_kept_and_a_jump_does_not_walk() {
        let mut ring = ReasonRing::default();
        for second in 0..5_000 {
            ring.add(second, events(1, 1));
        }
        assert_eq!(ring.seconds.len(), HISTORY_SECONDS);
        assert_eq!((ring.get(1_399), ring.get(1_400).is_some()), (None, true));
        ring.add(u64::MAX / 4, events(4, 4));
        assert_eq!(ring.seconds.len(), 1);
        assert_eq!(ring.get(u64::MAX / 4), Some(ReasonSecond { any: 4, all: 4 }));
    }
}
