//! Points in time. Two kinds, never mixed: [`Mono`] for intervals and ages, [`Wall`] for people.

use std::time::Duration;

/// Microseconds of the monotonic clock (`CLOCK_MONOTONIC`, since boot): comparable between processes of one
/// boot, never stepped by NTP. All rates, ages and history positions use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since boot.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// `self` plus `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Microseconds since the Unix epoch. May jump; only shown, never subtracted for a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub i64);

/// The two clocks, handed down by the runtime so that nothing below it reads one by itself.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Reads the monotonic clock.
    pub mono: fn() -> Mono,
    /// Reads the wall clock.
    pub wall: fn() -> Wall,
}

/// An age in at most four characters: `"3s"`, `"59m"`, `"23h"`, `"6d"`.
#[must_use]
pub fn format_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_never_runs_backwards() {
        assert_eq!(Mono(5).since(Mono(9)), Duration::ZERO);
        assert_eq!(Mono(9_000_000).since(Mono(4_000_000)).as_secs(), 5);
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(format_age(Duration::from_secs(59)), "59s");
        assert_eq!(format_age(Duration::from_secs(3_599)), "59m");
        assert_eq!(format_age(Duration::from_secs(86_399)), "23h");
        assert_eq!(format_age(Duration::from_secs(86_400 * 12)), "12d");
    }
}
