//! The driver's own sample buffers: power at 50 Hz for the last 2.4 s, utilisation at 5 Hz for the last 14 s. One
//! call fetches what is new, without waking up for each sample; the first one fills the charts at once.

use super::Device;
use super::call::{CallId, Caller};
use super::port::Port;
use crate::model::{Absence, Buffers, Reading, TimedValue};
use nvml_wrapper_sys::bindings as sys;

/// Samples that a reading has room for; the driver's buffers hold about 120.
const ROOM: usize = 256;
/// Milliwatts in a watt.
const MILLI: f64 = 1e3;
/// More watts than a board draws, more per cent than there are: all ones and other nonsense.
const MOST_WATTS: f64 = 100_000.0;
const MOST_PERCENT: f64 = 100.0;

/// One buffer: where reading it left off.
#[derive(Debug)]
pub(super) struct Ring {
    kind: u32,
    unit: f64,
    most: f64,
    last_us: u64,
    room: usize,
}

/// The buffers that are read.
#[derive(Debug)]
pub(super) struct BufferState {
    power: Ring,
    utilization: Ring,
}

impl Default for BufferState {
    fn default() -> Self {
        let ring = |kind, unit, most| Ring { kind, unit, most, last_us: 0, room: ROOM };
        Self {
            power: ring(sys::nvmlSamplingType_enum_NVML_TOTAL_POWER_SAMPLES, MILLI, MOST_WATTS),
            utilization: ring(sys::nvmlSamplingType_enum_NVML_GPU_UTILIZATION_SAMPLES, 1.0, MOST_PERCENT),
        }
    }
}

impl Device {
    /// Reads the buffers that are asked for, each from where its last reading ended: power 0.3 ms (at least every
    /// 2 s to miss nothing), utilisation 2.4 ms (every 10 s).
    pub fn buffers(&mut self, caller: &Caller, power: bool, utilization: bool) -> Buffers {
        let state = &mut self.buffers;
        let mut read = |ring: &mut Ring, asked: bool| {
            if asked { ring.read(&mut self.port, caller) } else { Err(Absence::NotRequested) }
        };
        Buffers {
            power: read(&mut state.power, power),
            utilization: read(&mut state.utilization, utilization),
        }
    }
}

impl Ring {
    fn read(&mut self, port: &mut Port, caller: &Caller) -> Reading<Vec<TimedValue>> {
        let (kind, last_us, room) = (self.kind, self.last_us, &mut self.room);
        let answer = port
            .attempt(caller, CallId::Samples, kind, |handle| handle.raw.samples(kind, last_us, room))
            .map_err(|failure| Absence::from(&failure))?;
        Ok(self.accept(&answer))
    }

    /// Keeps what is new and makes sense, and moves on to the newest.
    fn accept(&mut self, samples: &[(u64, f64)]) -> Vec<TimedValue> {
        let since = self.last_us;
        let values: Vec<_> = samples
            .iter()
            .filter(|(at_us, _)| *at_us > since)
            .map(|(at_us, value)| (*at_us, value / self.unit))
            .filter(|(_, value)| (0.0..=self.most).contains(value))
            .map(|(at_us, value)| TimedValue { at_us, value: value as f32 })
            .collect();
        self.last_us = samples.iter().map(|(at_us, _)| *at_us).fold(since, u64::max);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_given_and_in_watts() {
        let mut ring = BufferState::default().power;
        let first = ring.accept(&[(20_000, 690_000.0), (40_000, 700_000.0)]);
        assert_eq!(
            first,
            [TimedValue { at_us: 20_000, value: 690.0 }, TimedValue { at_us: 40_000, value: 700.0 }]
        );
        let second = ring.accept(&[(40_000, 700_000.0), (60_000, 0.0)]);
        assert_eq!(second, [TimedValue { at_us: 60_000, value: 0.0 }]);
        assert_eq!(ring.accept(&[]), []);
        assert_eq!(ring.last_us, 60_000);
    }

    #[test]
    fn nonsense_is_dropped_and_not_read_again() {
        let mut ring = BufferState::default().utilization;
        let values = ring.accept(&[(1, f64::from(u32::MAX)), (2, f64::NAN), (3, -1.0), (4, 98.0)]);
        assert_eq!(values, [TimedValue { at_us: 4, value: 98.0 }]);
        assert_eq!(ring.last_us, 4);
    }
}
