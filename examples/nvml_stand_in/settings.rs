//! Calls that set something. Each is logged, and changes what this process reads from then on.

use crate::code::{Answer, INVALID_ARGUMENT, NOT_SUPPORTED, out};
use crate::state::{Target, device_calls, log};
use kgtop::sources::scenario::{GpuRig, Values};
use std::ffi::{c_int, c_uint};

/// What was set on one GPU since the start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub power_limit: Option<f64>,
    pub persistence: Option<u32>,
    pub compute_mode: Option<u32>,
    pub sm_clocks: Option<(f64, f64)>,
    pub memory_clocks: Option<(f64, f64)>,
    /// Application clocks: memory, graphics.
    pub application_clocks: Option<(c_uint, c_uint)>,
    /// Corrected and uncorrected volatile counts at the time they were cleared.
    pub cleared_volatile: (f64, f64),
    pub cleared_aggregate: (f64, f64),
    pub ecc_pending: Option<bool>,
    pub mig_pending: Option<bool>,
}

impl Settings {
    /// Takes over what was told to any process: the calls in the log about `gpu`, in their order.
    pub fn hear(&mut self, gpu: &GpuRig, log: &str) {
        for line in log.lines() {
            let mut words = line.split(' ');
            let call = words.next().unwrap_or_default();
            let number = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok());
            let (of, value) = (number(words.next()), number(words.next()));
            let (Some(value), true) = (value, of == Some(gpu.index)) else { continue };
            match call {
                "nvmlDeviceSetPowerManagementLimit" | "nvmlDeviceSetPowerManagementLimit_v2" => {
                    let watts = f64::from(value) / 1000.0;
                    let within = |(least, most, _): (f64, f64, f64)| (least..=most).contains(&watts);
                    if gpu.preset.power_limits.is_some_and(within) {
                        self.power_limit = Some(watts);
                    }
                }
                "nvmlDeviceSetPersistenceMode" if value <= 1 => self.persistence = Some(value),
                "nvmlDeviceSetComputeMode" if value <= 3 && value != 1 => self.compute_mode = Some(value),
                _ => {}
            }
        }
    }

    pub fn apply(&self, mut values: Values) -> Values {
        if let Some(limit) = self.power_limit {
            values.power_limit = limit;
            if values.power > limit {
                values.power = limit * 0.99;
                values.clock_events = f64::from(values.clock_events as u32 | 0x4);
                values.sm_clock = (values.sm_clock * 0.85 / 15.0).round() * 15.0;
            }
        }
        if let Some((least, most)) = self.sm_clocks {
            values.sm_clock = values.sm_clock.clamp(least, most);
        }
        if let Some((least, most)) = self.memory_clocks {
            values.memory_clock = values.memory_clock.clamp(least, most);
        }
        if let Some(on) = self.persistence {
            values.persistence = f64::from(on);
        }
        if let Some(mode) = self.compute_mode {
            values.compute_mode = f64::from(mode);
        }
        let less = |value: &mut f64, by: f64| *value = (*value - by).max(0.0);
        less(&mut values.ecc_corrected_volatile, self.cleared_volatile.0);
        less(&mut values.ecc_uncorrected_volatile, self.cleared_volatile.1);
        less(&mut values.ecc_corrected_aggregate, self.cleared_aggregate.0);
        less(&mut values.ecc_uncorrected_aggregate, self.cleared_aggregate.1);
        values
    }
}

fn set_limit(gpu: &Target, call: &str, milliwatts: c_uint) -> Answer {
    log(&format!("{call} {} {milliwatts}", gpu.gpu.index));
    let (least, most, _) = gpu.gpu.preset.power_limits.ok_or(NOT_SUPPORTED)?;
    let watts = f64::from(milliwatts) / 1000.0;
    if watts < least || watts > most {
        return Err(INVALID_ARGUMENT);
    }
    gpu.settings(|settings| settings.power_limit = Some(watts));
    Ok(())
}

/// `nvmlPowerValue_v2_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PowerValue {
    version: c_uint,
    scope: u8,
    milliwatts: c_uint,
}

fn clock_range(least: c_uint, most: c_uint) -> Result<(f64, f64), u32> {
    if least > most { Err(INVALID_ARGUMENT) } else { Ok((f64::from(least), f64::from(most))) }
}

/// Memory and graphics clocks of a GPU on which nobody set any: the highest.
fn default_application_clocks(gpu: &Target) -> (c_uint, c_uint) {
    let (graphics, memory, _) = gpu.gpu.preset.max_clocks;
    (memory as c_uint, graphics as c_uint)
}

/// `NVML_CLOCK_GRAPHICS` is 0, `NVML_CLOCK_MEM` 2.
fn application_clock(clock: c_uint, memory: c_uint, graphics: c_uint) -> Result<c_uint, u32> {
    match clock {
        0 => Ok(graphics),
        2 => Ok(memory),
        _ => Err(INVALID_ARGUMENT),
    }
}

device_calls! {
    fn nvmlDeviceSetPowerManagementLimit(gpu, milliwatts: c_uint) {
        set_limit(gpu, "nvmlDeviceSetPowerManagementLimit", milliwatts)
    }
    fn nvmlDeviceSetPowerManagementLimit_v2(gpu, value: *mut PowerValue) {
        let value = crate::code::input(value)?;
        if value.version != crate::code::version_of::<PowerValue>(2) {
            return Err(crate::code::ARGUMENT_VERSION_MISMATCH);
        }
        if value.scope != 0 {
            return Err(NOT_SUPPORTED);
        }
        set_limit(gpu, "nvmlDeviceSetPowerManagementLimit_v2", value.milliwatts)
    }
    fn nvmlDeviceSetPersistenceMode(gpu, mode: c_uint) {
        log(&format!("nvmlDeviceSetPersistenceMode {} {mode}", gpu.gpu.index));
        if mode > 1 {
            return Err(INVALID_ARGUMENT);
        }
        gpu.settings(|settings| settings.persistence = Some(mode));
        Ok(())
    }
    fn nvmlDeviceSetComputeMode(gpu, mode: c_uint) {
        log(&format!("nvmlDeviceSetComputeMode {} {mode}", gpu.gpu.index));
        // 1, exclusive thread, is gone since CUDA 8.
        if mode > 3 || mode == 1 {
            return Err(INVALID_ARGUMENT);
        }
        gpu.settings(|settings| settings.compute_mode = Some(mode));
        Ok(())
    }
    fn nvmlDeviceSetGpuLockedClocks(gpu, least: c_uint, most: c_uint) {
        log(&format!("nvmlDeviceSetGpuLockedClocks {} {least} {most}", gpu.gpu.index));
        let range = clock_range(least, most)?;
        gpu.settings(|settings| settings.sm_clocks = Some(range));
        Ok(())
    }
    fn nvmlDeviceResetGpuLockedClocks(gpu) {
        log(&format!("nvmlDeviceResetGpuLockedClocks {}", gpu.gpu.index));
        gpu.settings(|settings| settings.sm_clocks = None);
        Ok(())
    }
    fn nvmlDeviceSetMemoryLockedClocks(gpu, least: c_uint, most: c_uint) {
        log(&format!("nvmlDeviceSetMemoryLockedClocks {} {least} {most}", gpu.gpu.index));
        let range = clock_range(least, most)?;
        gpu.settings(|settings| settings.memory_clocks = Some(range));
        Ok(())
    }
    fn nvmlDeviceResetMemoryLockedClocks(gpu) {
        log(&format!("nvmlDeviceResetMemoryLockedClocks {}", gpu.gpu.index));
        gpu.settings(|settings| settings.memory_clocks = None);
        Ok(())
    }
    fn nvmlDeviceSetApplicationsClocks(gpu, memory: c_uint, graphics: c_uint) {
        log(&format!("nvmlDeviceSetApplicationsClocks {} {memory} {graphics}", gpu.gpu.index));
        gpu.settings(|settings| {
            settings.sm_clocks = Some((0.0, f64::from(graphics)));
            settings.application_clocks = Some((memory, graphics));
        });
        Ok(())
    }
    fn nvmlDeviceResetApplicationsClocks(gpu) {
        log(&format!("nvmlDeviceResetApplicationsClocks {}", gpu.gpu.index));
        gpu.settings(|settings| {
            settings.sm_clocks = None;
            settings.application_clocks = None;
        });
        Ok(())
    }
    fn nvmlDeviceGetApplicationsClock(gpu, clock: c_uint, mhz: *mut c_uint) {
        let (memory, graphics) = default_application_clocks(gpu);
        let (memory, graphics) =
            gpu.settings(|settings| settings.application_clocks).unwrap_or((memory, graphics));
        out(mhz, gpu.number(f64::from(application_clock(clock, memory, graphics)?)) as c_uint)
    }
    fn nvmlDeviceGetDefaultApplicationsClock(gpu, clock: c_uint, mhz: *mut c_uint) {
        let (memory, graphics) = default_application_clocks(gpu);
        out(mhz, application_clock(clock, memory, graphics)?)
    }
    fn nvmlDeviceSetEccMode(gpu, mode: c_uint) {
        log(&format!("nvmlDeviceSetEccMode {} {mode}", gpu.gpu.index));
        if !gpu.gpu.preset.ecc {
            return Err(NOT_SUPPORTED);
        }
        gpu.settings(|settings| settings.ecc_pending = Some(mode != 0));
        Ok(())
    }
    fn nvmlDeviceClearEccErrorCounts(gpu, kind: c_uint) {
        log(&format!("nvmlDeviceClearEccErrorCounts {} {kind}", gpu.gpu.index));
        if !gpu.gpu.preset.ecc {
            return Err(NOT_SUPPORTED);
        }
        let raw = gpu.state.scenario.values_at(gpu.gpu, gpu.t);
        gpu.settings(|settings| match kind {
            0 => {
                settings.cleared_volatile = (raw.ecc_corrected_volatile, raw.ecc_uncorrected_volatile);
                Ok(())
            }
            1 => {
                settings.cleared_aggregate = (raw.ecc_corrected_aggregate, raw.ecc_uncorrected_aggregate);
                Ok(())
            }
            _ => Err(INVALID_ARGUMENT),
        })
    }
    fn nvmlDeviceSetMigMode(gpu, mode: c_uint, activation: *mut c_int) {
        log(&format!("nvmlDeviceSetMigMode {} {mode}", gpu.gpu.index));
        if !gpu.gpu.preset.mig {
            return Err(NOT_SUPPORTED);
        }
        gpu.settings(|settings| settings.mig_pending = Some(mode != 0));
        out(activation, 0)
    }
}
