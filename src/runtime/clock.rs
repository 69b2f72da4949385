//! The one place where clocks are read.

use crate::units::{Clock, Mono, Wall};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The clocks of this machine.
#[must_use]
pub(super) const fn system() -> Clock {
    Clock { mono, wall }
}

fn micros(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

fn mono() -> Mono {
    Mono(u64::try_from(micros(clock_gettime(ClockId::Monotonic))).unwrap_or(0))
}

fn wall() -> Wall {
    Wall(micros(clock_gettime(ClockId::Realtime)))
}
