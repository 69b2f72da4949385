//! The group of each interval: values that the driver keeps cached, 2 to 35 µs each.

use super::Device;
use super::call::{CallId, Caller};
use super::error::{Failure, code};
use super::port::Port;
use super::raw::{FieldValue, RawDevice};
use super::value::{celsius, celsius_or_none, megahertz, real, share, watts};
use crate::model::{Absence, Live, Reading};
use crate::units::{Bytes, Celsius, Mono};
use nvml_wrapper::Device as SafeDevice;
use nvml_wrapper::enum_wrappers::device::{Clock as ClockKind, TemperatureSensor};
use std::time::Duration;

/// Memory temperature.
const FIELD_MEMORY_TEMPERATURE: u32 = 82;
/// What the driver recommends.
const FIELD_RECOVERY_ACTION: u32 = 230;
/// The margin costs 0.5 to 0.75 ms, as much as all the rest of the group several times over: it is read anew when the
/// temperature moved by more than [`DRIFT`], and else after this long. A little less than the 5 s that it may be old,
/// as no reading comes exactly on time.
const MARGIN_KEPT: Duration = Duration::from_millis(4_500);
/// Under load a temperature goes up and down by a degree from second to second. Far from the limit that is no news;
/// at [`NEAR`] it each degree is.
const DRIFT: f32 = 2.0;
/// See [`DRIFT`].
const NEAR: Celsius = Celsius(10.0);
/// P-states are 0 to 15; NVML's 32 is "unknown".
const LAST_P_STATE: u32 = 15;

/// What is kept between readings.
#[derive(Debug, Default)]
pub(super) struct LiveState {
    margin: Option<Margin>,
}

/// A margin, and when and at which temperature it was read.
#[derive(Clone, Debug)]
struct Margin {
    at: Mono,
    temperature: Reading<Celsius>,
    value: Celsius,
}

impl Margin {
    /// Whether it still speaks of now.
    fn holds(&self, now: Mono, temperature: &Reading<Celsius>) -> bool {
        let drift = match (&self.temperature, temperature) {
            (Ok(then), Ok(now)) => (now.0 - then.0).abs(),
            (then, now) if then == now => 0.0,
            _ => return false,
        };
        let allowed = if self.value.0 <= NEAR.0 { 0.0 } else { DRIFT };
        drift <= allowed && now.since(self.at) < MARGIN_KEPT
    }
}

impl Device {
    /// Reads the group of each interval. The temperature margin is the one before while the temperature stays about the
    /// same, for at most 5 s.
    pub fn live(&mut self, caller: &Caller) -> Live {
        let temperature = self
            .port
            .safe(caller, CallId::Temperature, |device| device.temperature(TemperatureSensor::Gpu))
            .and_then(|value| celsius(i64::from(value)));
        let margin = self.margin(caller, &temperature);
        let port = &mut self.port;
        let memory = read_memory(port, caller);
        let part = |read: fn(&Memory) -> Reading<Bytes>| match &memory {
            Ok(memory) => read(memory),
            Err(absence) => Err(absence.clone()),
        };
        let [memory_temperature, recovery_action] =
            port.fields(caller, [(FIELD_MEMORY_TEMPERATURE, 0), (FIELD_RECOVERY_ACTION, 0)]);
        let mut clock = |kind: ClockKind| {
            port.safe_variant(caller, CallId::ClockInfo, kind.as_c(), |device| device.clock_info(kind))
                .and_then(megahertz)
        };
        let (memory_clock, graphics_clock, video_clock) =
            (clock(ClockKind::Memory), clock(ClockKind::Graphics), clock(ClockKind::Video));
        Live {
            memory_total: part(|memory| Ok(memory.total)),
            memory_used: part(|memory| Ok(memory.used)),
            memory_free: part(|memory| Ok(memory.free)),
            memory_reserved: part(|memory| memory.reserved.ok_or(Absence::NotSupported)),
            temperature,
            memory_temperature: memory_temperature.and_then(FieldValue::degrees).and_then(celsius_or_none),
            temperature_margin: margin,
            memory_clock,
            graphics_clock,
            video_clock,
            performance_state: port
                .safe(caller, CallId::PerformanceState, SafeDevice::performance_state)
                .map(|state| state.as_c())
                .and_then(|state| if state > LAST_P_STATE { Err(Absence::NotSupported) } else { Ok(state) }),
            pcie_generation: port
                .safe(caller, CallId::PcieGeneration, SafeDevice::current_pcie_link_gen)
                .and_then(real),
            pcie_width: port
                .safe(caller, CallId::PcieWidth, SafeDevice::current_pcie_link_width)
                .and_then(real),
            power_limit: port
                .safe(caller, CallId::EnforcedPowerLimit, SafeDevice::enforced_power_limit)
                .and_then(watts),
            encoder: port
                .safe(caller, CallId::EncoderUtilization, SafeDevice::encoder_utilization)
                .and_then(|info| share(info.utilization)),
            decoder: port
                .safe(caller, CallId::DecoderUtilization, SafeDevice::decoder_utilization)
                .and_then(|info| share(info.utilization)),
            fan: port
                .attempt(caller, CallId::FanSpeed, 0, |handle| {
                    handle.safe.fan_speed(0).map_err(|error| no_such_fan(Failure::from(error)))
                })
                .map_err(|failure| Absence::from(&failure))
                .and_then(real)
                // May exceed 100: it is the intended speed in parts of the maximum.
                .map(|speed| crate::units::Percent(speed as f32)),
            recovery_action: recovery_action.and_then(FieldValue::number),
        }
    }

    fn margin(&mut self, caller: &Caller, temperature: &Reading<Celsius>) -> Reading<Celsius> {
        let at = caller.now();
        if let Some(margin) = self.live.margin.as_ref().filter(|margin| margin.holds(at, temperature))
            && !self.port.is_lost()
        {
            return Ok(margin.value);
        }
        let value = self
            .port
            .raw(caller, CallId::MarginTemperature, RawDevice::margin_temperature)
            .and_then(|value| celsius(i64::from(value)))?;
        self.live.margin = Some(Margin { at, temperature: temperature.clone(), value });
        Ok(value)
    }
}

/// A board without fans of its own refuses fan 0 as an invalid argument (H200, 580.159): it has none.
fn no_such_fan(failure: Failure) -> Failure {
    if failure == Failure::Code(code::INVALID_ARGUMENT) { Failure::MISSING } else { failure }
}

/// Framebuffer memory. `used` is without `reserved` where that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Memory {
    pub(super) total: Bytes,
    pub(super) used: Bytes,
    free: Bytes,
    reserved: Option<Bytes>,
}

/// Version 2, and version 1 where the driver does not have it.
pub(super) fn read_memory(port: &mut Port, caller: &Caller) -> Reading<Memory> {
    let answer = port.attempt(caller, CallId::MemoryInfoV2, 0, |handle| Ok(handle.safe.memory_info()?));
    let memory = match answer {
        Ok(info) => apart(info.total, info.used, info.free, Some(info.reserved)),
        Err(failure) if failure.is_unsupported() => {
            let v1 = port.attempt(caller, CallId::MemoryInfo, 0, |handle| handle.raw.memory_v1());
            match v1 {
                Ok(info) => apart(info.total, info.used, info.free, None),
                Err(failure) => return Err(Absence::from(&failure)),
            }
        }
        Err(failure) => return Err(Absence::from(&failure)),
    };
    memory.map_err(|failure| Absence::from(&failure))
}

/// Takes the reserved part out of `used` where the driver counts it in. The header says that version 2 does; an
/// H200 (580.159) keeps the two apart, so that used + free + reserved = total. The sum decides.
fn apart(total: u64, used: u64, free: u64, reserved: Option<u64>) -> Result<Memory, Failure> {
    if [Some(total), Some(used), Some(free), reserved].contains(&Some(u64::MAX)) {
        return Err(Failure::MISSING);
    }
    let counted_in = reserved
        .filter(|reserved| *reserved > 0 && used >= *reserved && used.checked_add(free) == Some(total));
    Ok(Memory {
        total: Bytes(total),
        used: Bytes(used - counted_in.unwrap_or(0)),
        free: Bytes(free),
        reserved: reserved.map(Bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_margin_holds_while_the_temperature_does_and_never_longer_than_5_seconds() {
        let far = Margin { at: Mono(10_000_000), temperature: Ok(Celsius(60.0)), value: Celsius(27.0) };
        assert!(far.holds(Mono(11_000_000), &Ok(Celsius(62.0))), "a degree or two more, far from the limit");
        assert!(
            !far.holds(Mono(11_000_000), &Ok(Celsius(63.0)))
                && !far.holds(Mono(11_000_000), &Ok(Celsius(57.0)))
        );
        let margin = Margin { at: Mono(10_000_000), temperature: Ok(Celsius(90.0)), value: Celsius(-3.0) };
        assert!(margin.holds(Mono(11_000_000), &Ok(Celsius(90.0))));
        assert!(!margin.holds(Mono(11_000_000), &Ok(Celsius(40.0))), "it cooled down");
        assert!(!margin.holds(Mono(11_000_000), &Ok(Celsius(91.0))), "so near each degree counts");
        assert!(!margin.holds(Mono(11_000_000), &Err(Absence::failed(999, "UNKNOWN"))));
        // The next reading of an interval of 5 s may come a little early.
        assert!(!margin.holds(Mono(14_990_000), &Ok(Celsius(90.0))));
    }

    #[test]
    fn reserved_stays_apart_as_an_h200_answers() {
        let memory = apart(143_771 * MIB, 883 * MIB, (143_771 - 883 - 615) * MIB, Some(615 * MIB)).unwrap();
        assert_eq!((memory.used, memory.reserved), (Bytes(883 * MIB), Some(Bytes(615 * MIB))));
    }

    #[test]
    fn reserved_is_taken_out_where_the_driver_counts_it_in() {
        let memory = apart(1_000 * MIB, 700 * MIB, 300 * MIB, Some(100 * MIB)).unwrap();
        assert_eq!((memory.used, memory.free), (Bytes(600 * MIB), Bytes(300 * MIB)));
    }

    #[test]
    fn version_1_knows_nothing_of_reserved() {
        let memory = apart(1_000 * MIB, 700 * MIB, 300 * MIB, None).unwrap();
        assert_eq!((memory.used, memory.reserved), (Bytes(700 * MIB), None));
    }

    #[test]
    fn all_ones_is_no_memory() {
        assert!(apart(u64::MAX, 0, 0, None).is_err());
        assert!(apart(1_000, 0, 1_000, Some(u64::MAX)).is_err());
    }
}
