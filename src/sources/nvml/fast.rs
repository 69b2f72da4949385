//! The 10 Hz group: one read, and the fold of an interval's reads into bands.

use super::Device;
use super::call::{CallId, Caller};
use super::error::Failure;
use super::port::Port;
use super::value::{megahertz, share, watts};
use crate::model::{Absence, Band, ClockEvents, Fast, Reading};
use crate::units::{Megahertz, Percent, Watts};
use nvml_wrapper::Device as SafeDevice;
use nvml_wrapper::enum_wrappers::device::Clock as ClockKind;

/// One read of what the driver renews every 100 ms.
#[derive(Clone, Debug, PartialEq)]
pub struct FastRead {
    /// Board power.
    pub power: Reading<Watts>,
    /// SM clock.
    pub sm_clock: Reading<Megahertz>,
    /// Share of time in which a kernel ran.
    pub utilization: Reading<Percent>,
    /// Share of time in which memory was read or written.
    pub memory_utilization: Reading<Percent>,
    /// Clock event reasons, the raw mask.
    pub clock_events: Reading<u64>,
}

impl Device {
    /// Reads the 10 Hz group once: four cached values, about 2 µs each.
    pub fn fast_read(&mut self, caller: &Caller) -> FastRead {
        let port = &mut self.port;
        let utilization = port.safe(caller, CallId::Utilization, SafeDevice::utilization_rates);
        let half = |read: fn(&nvml_wrapper::struct_wrappers::device::Utilization) -> u32| match &utilization {
            Ok(both) => share(read(both)),
            Err(absence) => Err(absence.clone()),
        };
        FastRead {
            utilization: half(|both| both.gpu),
            memory_utilization: half(|both| both.memory),
            power: port.safe(caller, CallId::PowerUsage, SafeDevice::power_usage).and_then(watts),
            sm_clock: port
                .safe(caller, CallId::ClockInfo, |device| device.clock_info(ClockKind::SM))
                .and_then(megahertz),
            clock_events: clock_events(port, caller),
        }
    }
}

/// The raw mask: the wrapper drops bits that it does not know (0x200 and 0x400 of R615).
fn clock_events(port: &mut Port, caller: &Caller) -> Reading<u64> {
    let answer = match port.attempt(caller, CallId::ClockEvents, 0, |handle| handle.raw.clock_events()) {
        Err(Failure::MISSING) => {
            port.attempt(caller, CallId::ThrottleReasons, 0, |handle| handle.raw.throttle_reasons())
        }
        other => other,
    };
    answer.map_err(|failure| Absence::from(&failure))
}

/// Least, sum and greatest of one metric; the reason of the last read that gave none.
#[derive(Clone, Debug, Default)]
struct Fold {
    min: f32,
    max: f32,
    sum: f64,
    count: u32,
    absence: Option<Absence>,
}

impl Fold {
    fn push(&mut self, reading: Reading<f32>) {
        match reading {
            Ok(value) if self.count == 0 => {
                (self.min, self.max, self.sum, self.count) = (value, value, f64::from(value), 1);
            }
            Ok(value) => {
                self.min = self.min.min(value);
                self.max = self.max.max(value);
                self.sum += f64::from(value);
                self.count += 1;
            }
            Err(absence) => self.absence = Some(absence),
        }
    }

    fn band(self) -> Reading<Band> {
        if self.count == 0 {
            return Err(self.absence.unwrap_or(Absence::NotRequested));
        }
        Ok(Band { min: self.min, mean: (self.sum / f64::from(self.count)) as f32, max: self.max })
    }
}

/// Folds the reads of one interval into bands. A metric is absent only when no read of the interval gave it.
#[derive(Clone, Debug, Default)]
pub struct FastBand {
    power: Fold,
    sm_clock: Fold,
    utilization: Fold,
    memory_utilization: Fold,
    events: Option<ClockEvents>,
    events_absence: Option<Absence>,
    reads: u32,
}

impl FastBand {
    /// Adds one read.
    pub fn push(&mut self, read: FastRead) {
        self.reads = self.reads.saturating_add(1);
        self.power.push(read.power.map(|watts| watts.0));
        self.sm_clock.push(read.sm_clock.map(|clock| clock.0 as f32));
        self.utilization.push(read.utilization.map(|percent| percent.0));
        self.memory_utilization.push(read.memory_utilization.map(|percent| percent.0));
        match read.clock_events {
            Ok(mask) => {
                let before = self.events.unwrap_or(ClockEvents { last: mask, any: 0, all: u64::MAX });
                self.events =
                    Some(ClockEvents { last: mask, any: before.any | mask, all: before.all & mask });
            }
            Err(absence) => self.events_absence = Some(absence),
        }
    }

    /// Whether no read was added since the last [`take`](Self::take).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.reads == 0
    }

    /// The interval's group; the next interval begins.
    pub fn take(&mut self) -> Fast {
        let Self { power, sm_clock, utilization, memory_utilization, events, events_absence, reads } =
            std::mem::take(self);
        Fast {
            power: power.band(),
            sm_clock: sm_clock.band(),
            utilization: utilization.band(),
            memory_utilization: memory_utilization.band(),
            clock_events: events.ok_or_else(|| events_absence.unwrap_or(Absence::NotRequested)),
            reads: if reads == 0 { Err(Absence::NotRequested) } else { Ok(reads) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(watts: f32, mask: u64) -> FastRead {
        FastRead {
            power: Ok(Watts(watts)),
            sm_clock: Ok(Megahertz(1_620)),
            utilization: Ok(Percent(98.0)),
            memory_utilization: Err(Absence::NotSupported),
            clock_events: Ok(mask),
        }
    }

    #[test]
    fn an_interval_becomes_bands_and_masks() {
        let mut band = FastBand::default();
        for (watts, mask) in [(690.0, 0x5), (700.0, 0x4), (680.0, 0x24)] {
            band.push(read(watts, mask));
        }
        let fast = band.take();
        assert_eq!(fast.power, Ok(Band { min: 680.0, mean: 690.0, max: 700.0 }));
        assert_eq!(fast.sm_clock, Ok(Band { min: 1_620.0, mean: 1_620.0, max: 1_620.0 }));
        assert_eq!(fast.memory_utilization, Err(Absence::NotSupported));
        assert_eq!(fast.clock_events, Ok(ClockEvents { last: 0x24, any: 0x25, all: 0x4 }));
        assert_eq!(fast.reads, Ok(3));
    }

    #[test]
    fn one_failed_read_does_not_spoil_the_band() {
        let mut band = FastBand::default();
        band.push(read(600.0, 0x1));
        band.push(FastRead { power: Err(Absence::Lost), clock_events: Err(Absence::Lost), ..read(0.0, 0) });
        let fast = band.take();
        assert_eq!(fast.power, Ok(Band { min: 600.0, mean: 600.0, max: 600.0 }));
        assert_eq!(fast.clock_events, Ok(ClockEvents { last: 1, any: 1, all: 1 }));
    }

    #[test]
    fn the_next_interval_begins_empty() {
        let mut band = FastBand::default();
        band.push(read(600.0, 0x1));
        assert!(!band.is_empty());
        band.take();
        assert!(band.is_empty());
        assert_eq!(band.take(), Fast::default());
    }
}
