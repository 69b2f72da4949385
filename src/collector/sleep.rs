//! Letting a laptop's GPU sleep: an open driver handle holds it awake, so after a while without work the collector
//! leaves, and its successor waits for the GPU to fall asleep before it would open the driver again.

/// Looks without a process on any GPU after which the GPU is let go: 30 s at one look every 5 s. Long enough for a
/// job's pauses, short against a battery.
pub(super) const IDLE_LOOKS: u32 = 6;

/// Looks for which a successor waits for the GPU to fall asleep; it takes about 6 s from the last handle's close.
pub(super) const SLEEP_LOOKS: u32 = 3;

/// Counts looks without work.
#[derive(Debug, Default)]
pub(super) struct Idleness {
    looks: u32,
}

impl Idleness {
    /// Takes one look; true once the GPU should be let go.
    pub(super) fn look(&mut self, busy: bool) -> bool {
        self.looks = if busy { 0 } else { self.looks + 1 };
        self.looks >= IDLE_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_between_begins_the_count_anew() {
        let mut idleness = Idleness::default();
        for _ in 1..IDLE_LOOKS {
            assert!(!idleness.look(false));
        }
        assert!(!idleness.look(true));
        for _ in 1..IDLE_LOOKS {
            assert!(!idleness.look(false));
        }
        assert!(idleness.look(false));
    }
}
