//! What changes from moment to moment.

use crate::code::{ARGUMENT_VERSION_MISMATCH, INVALID_ARGUMENT, NOT_SUPPORTED, input, out, version_of};
use crate::state::device_calls;
use nvml_wrapper_sys::bindings::{nvmlMarginTemperature_v1_t, nvmlUtilization_t};
use std::ffi::{c_int, c_uint};
use std::time::Duration;

/// How long the driver counts PCIe traffic for one answer; the call blocks that long (nvml.h, and measured).
const PCIE_WINDOW: Duration = Duration::from_millis(20);

/// `nvmlTemperature_v1_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Temperature {
    version: c_uint,
    sensor: c_uint,
    celsius: c_int,
}

fn clock(gpu: &crate::state::Target, kind: c_uint) -> Result<c_uint, u32> {
    let values = gpu.values();
    match kind {
        0 | 1 => Ok(gpu.number(values.sm_clock) as c_uint),
        2 => Ok(gpu.number(values.memory_clock) as c_uint),
        3 => Ok(gpu.number(values.video_clock) as c_uint),
        _ => Err(INVALID_ARGUMENT),
    }
}

fn set_limit(gpu: &crate::state::Target, limit: *mut c_uint) -> crate::code::Answer {
    if gpu.gpu.preset.power_limits.is_none() {
        return Err(NOT_SUPPORTED);
    }
    out(limit, (gpu.number(gpu.values().power_limit) * 1000.0) as c_uint)
}

fn engine(
    gpu: &crate::state::Target,
    share: f64,
    to: *mut c_uint,
    period: *mut c_uint,
) -> crate::code::Answer {
    if gpu.gpu.mig_enabled() {
        return Err(NOT_SUPPORTED);
    }
    out(to, gpu.number(share) as c_uint)?;
    out(period, 167_000)
}

device_calls! {
    fn nvmlDeviceGetPowerUsage(gpu, milliwatts: *mut c_uint) {
        gpu.whole_gpu_only()?;
        out(milliwatts, (gpu.number(gpu.values().power) * 1000.0) as c_uint)
    }
    fn nvmlDeviceGetPowerManagementLimit(gpu, milliwatts: *mut c_uint) { set_limit(gpu, milliwatts) }
    fn nvmlDeviceGetEnforcedPowerLimit(gpu, milliwatts: *mut c_uint) { set_limit(gpu, milliwatts) }
    fn nvmlDeviceGetClockInfo(gpu, kind: c_uint, megahertz: *mut c_uint) { out(megahertz, clock(gpu, kind)?) }
    fn nvmlDeviceGetClock(gpu, kind: c_uint, which: c_uint, megahertz: *mut c_uint) {
        if which == 0 { out(megahertz, clock(gpu, kind)?) } else { Err(NOT_SUPPORTED) }
    }
    fn nvmlDeviceGetUtilizationRates(gpu, utilization: *mut nvmlUtilization_t) {
        if gpu.gpu.mig_enabled() {
            return Err(NOT_SUPPORTED);
        }
        let values = gpu.values();
        out(utilization, nvmlUtilization_t {
            gpu: gpu.number(values.utilization).round() as c_uint,
            memory: values.memory_utilization.round() as c_uint,
        })
    }
    fn nvmlDeviceGetCurrentClocksEventReasons(gpu, mask: *mut u64) {
        out(mask, gpu.number(gpu.values().clock_events) as u64)
    }
    fn nvmlDeviceGetCurrentClocksThrottleReasons(gpu, mask: *mut u64) {
        out(mask, gpu.number(gpu.values().clock_events) as u64)
    }
    fn nvmlDeviceGetTemperature(gpu, sensor: c_uint, celsius: *mut c_uint) {
        if sensor == 0 { out(celsius, gpu.number(gpu.values().temperature) as c_uint) } else { Err(INVALID_ARGUMENT) }
    }
    fn nvmlDeviceGetTemperatureV(gpu, temperature: *mut Temperature) {
        let asked = input(temperature)?;
        if asked.version != version_of::<Temperature>(1) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        out(temperature, Temperature { celsius: gpu.number(gpu.values().temperature) as c_int, ..asked })
    }
    fn nvmlDeviceGetMarginTemperature(gpu, margin: *mut nvmlMarginTemperature_v1_t) {
        if input(margin)?.version != version_of::<nvmlMarginTemperature_v1_t>(1) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        if gpu.gpu.preset.margins.is_none() {
            return Err(NOT_SUPPORTED);
        }
        // Measured: 51 degrees of margin at 36 °C where the GPU's maximum is 87 °C.
        let left = gpu.gpu.preset.thresholds.3 - gpu.values().temperature;
        out(margin, nvmlMarginTemperature_v1_t {
            version: version_of::<nvmlMarginTemperature_v1_t>(1),
            marginTemperature: gpu.number(left) as c_int,
        })
    }
    fn nvmlDeviceGetPerformanceState(gpu, state: *mut c_uint) {
        out(state, gpu.number(gpu.values().performance_state) as c_uint)
    }
    fn nvmlDeviceGetCurrPcieLinkGeneration(gpu, generation: *mut c_uint) {
        out(generation, gpu.number(gpu.values().pcie_generation) as c_uint)
    }
    fn nvmlDeviceGetCurrPcieLinkWidth(gpu, width: *mut c_uint) {
        out(width, gpu.number(gpu.values().pcie_width) as c_uint)
    }
    fn nvmlDeviceGetPcieThroughput(gpu, counter: c_uint, kilobytes: *mut c_uint) {
        let values = gpu.values();
        let megabytes = match counter {
            0 => values.pcie_tx,
            1 => values.pcie_rx,
            _ => return Err(INVALID_ARGUMENT),
        };
        std::thread::sleep(PCIE_WINDOW);
        out(kilobytes, (gpu.number(megabytes) * 1000.0) as c_uint)
    }
    fn nvmlDeviceGetEncoderUtilization(gpu, share: *mut c_uint, period: *mut c_uint) {
        engine(gpu, gpu.values().encoder, share, period)
    }
    fn nvmlDeviceGetDecoderUtilization(gpu, share: *mut c_uint, period: *mut c_uint) {
        engine(gpu, gpu.values().decoder, share, period)
    }
    fn nvmlDeviceGetFanSpeed(gpu, share: *mut c_uint) {
        if gpu.gpu.preset.fan { out(share, gpu.number(gpu.values().fan) as c_uint) } else { Err(NOT_SUPPORTED) }
    }
    fn nvmlDeviceGetFanSpeed_v2(gpu, fan: c_uint, share: *mut c_uint) {
        if !gpu.gpu.preset.fan {
            return Err(NOT_SUPPORTED);
        }
        if fan > 1 { Err(INVALID_ARGUMENT) } else { out(share, gpu.number(gpu.values().fan) as c_uint) }
    }
    fn nvmlDeviceGetNumFans(gpu, count: *mut c_uint) { out(count, if gpu.gpu.preset.fan { 2 } else { 0 }) }
    fn nvmlDeviceGetTotalEnergyConsumption(gpu, millijoules: *mut u64) {
        gpu.whole_gpu_only()?;
        if gpu.gpu.preset.architecture < 6 {
            return Err(NOT_SUPPORTED);
        }
        out(millijoules, (gpu.truth().counters.energy * 1000.0) as u64)
    }
    fn nvmlDeviceGetPcieReplayCounter(gpu, replays: *mut c_uint) {
        out(replays, gpu.number(gpu.values().pcie_replays) as c_uint)
    }
}
