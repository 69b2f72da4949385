//! The groups of a GPU's part of a sample, each as its tier would read it. A reading that a fault of the scenario
//! spoils is absent with the fault's code, as it would be from the driver.

mod slow;

use super::ScenarioPlayer;
use crate::model::{
    Absence, Band, Buffers, ClockEvents, Counters, Fast, Gpm, GpuSample, Live, ProcessList, ProcessOnGpu,
    ProcessUtilization, Reading, TimedValue,
};
use crate::sources::scenario::{FaultKind, GpuRig, GpuTruth, ProcessRig, RigTruth, Values};
use crate::units::{Bytes, BytesPerSecond, Celsius, Megahertz, Percent, Watts};
use std::time::Duration;

/// Time between two reads of the fast tier.
const FAST_PERIOD: Duration = Duration::from_millis(100);
/// Time between two reads of the slow tier.
const HEALTH_PERIOD: Duration = Duration::from_secs(10);
/// Time between two reads of the power buffer, its period and length (measured: 50 Hz, 2.36 s).
const POWER_BUFFER: (Duration, Duration, u32) = (Duration::from_secs(2), Duration::from_millis(20), 119);
/// The same for utilisation (measured: 5 Hz, 14 s).
const UTILIZATION_BUFFER: (Duration, Duration, u32) =
    (Duration::from_secs(10), Duration::from_millis(200), 71);
const MEGA: f64 = 1e6;

/// Reads of one GPU at one time, with the faults of the scenario.
struct Reader<'a> {
    player: &'a ScenarioPlayer,
    gpu: &'a GpuRig,
    truth: &'a GpuTruth,
    t: Duration,
}

impl ScenarioPlayer {
    /// Fills in every group that is due at `t`.
    pub(super) fn read_gpu(
        &self,
        gpu: &GpuRig,
        rig: &RigTruth,
        truth: &GpuTruth,
        t: Duration,
        sample: &mut GpuSample,
    ) {
        let reader = Reader { player: self, gpu, truth, t };
        let here: Vec<&ProcessRig> = rig
            .processes
            .iter()
            .filter_map(|process| self.scenario.processes().get(process.index))
            .filter(|process| process.gpus.contains(&gpu.index))
            .collect();
        let is_first = self.sequence <= 1;
        let due = |period: Duration| is_first || crosses(t, self.scenario.interval(), period);
        sample.fast = self.group(t, reader.fast());
        sample.live = self.group(t, reader.live());
        sample.processes = self.group(t, reader.process_list(&here));
        sample.gpm = self.group(t, reader.gpm()).filter(|_| !is_first);
        sample.counters = self.group(t, reader.counters());
        sample.process_utilization = self.group(t, reader.process_utilization(&here));
        if due(HEALTH_PERIOD) {
            sample.health = self.group(t, reader.health());
            sample.nvlinks = self.group(t, reader.nvlinks()).filter(|_| gpu.preset.nvlinks > 0);
            sample.mig = self.group(t, reader.mig(&here));
        }
        if due(POWER_BUFFER.0) {
            sample.buffers = self.group(t, reader.buffers(is_first, due(UTILIZATION_BUFFER.0)));
        }
    }
}

/// Whether a multiple of `period` lies in the interval that ends at `t`.
fn crosses(t: Duration, interval: Duration, period: Duration) -> bool {
    let before = t.saturating_sub(interval).as_micros() / period.as_micros();
    t.as_micros() / period.as_micros() != before
}

/// What an NVML return code is to a reader.
fn absence(code: u32) -> Absence {
    match code {
        3 | 13 | 25 => Absence::NotSupported,
        4 => Absence::NoPermission,
        15 => Absence::Lost,
        code => Absence::failed(i32::try_from(code).unwrap_or(i32::MAX), "NVML error"),
    }
}

impl Reader<'_> {
    /// `value`, unless the scenario spoils that call on this GPU.
    fn read<T>(&self, call: &str, value: T) -> Reading<T> {
        match self.player.scenario.fault(call, Some(self.gpu.index), self.t).map(|fault| fault.kind) {
            Some(FaultKind::Error(code)) => Err(absence(code)),
            _ => Ok(value),
        }
    }

    /// The same for what not every model has.
    fn has<T>(&self, has: bool, call: &str, value: T) -> Reading<T> {
        if has { self.read(call, value) } else { Err(Absence::NotSupported) }
    }

    /// The driver does not tell these of a GPU that is divided.
    fn undivided<T>(&self, call: &str, value: T) -> Reading<T> {
        self.has(!self.gpu.mig_enabled(), call, value)
    }

    fn fast(&self) -> Fast {
        let interval = self.player.scenario.interval();
        let steps = if self.t.is_zero() {
            1
        } else {
            u32::try_from(interval.as_micros() / FAST_PERIOD.as_micros()).unwrap_or(1).max(1)
        };
        let reads: Vec<Values> = (0..steps)
            .map(|back| self.player.scenario.values_at(self.gpu, self.t.saturating_sub(FAST_PERIOD * back)))
            .collect();
        let band = |of: fn(&Values) -> f64| band(reads.iter().map(of));
        let masks = || reads.iter().map(|values| values.clock_events as u64);
        Fast {
            power: self.read("nvmlDeviceGetPowerUsage", band(|values| values.power)),
            sm_clock: self.read("nvmlDeviceGetClockInfo", band(|values| values.sm_clock)),
            utilization: self.undivided("nvmlDeviceGetUtilizationRates", band(|values| values.utilization)),
            memory_utilization: self
                .undivided("nvmlDeviceGetUtilizationRates", band(|values| values.memory_utilization)),
            clock_events: self.read(
                "nvmlDeviceGetCurrentClocksEventReasons",
                ClockEvents {
                    last: self.truth.values.clock_events as u64,
                    any: masks().fold(0, |any, mask| any | mask),
                    all: masks().fold(u64::MAX, |all, mask| all & mask),
                },
            ),
            reads: Ok(steps),
        }
    }

    fn live(&self) -> Live {
        let preset = self.gpu.preset;
        let values = &self.truth.values;
        let memory = |bytes: u64| self.read("nvmlDeviceGetMemoryInfo_v2", Bytes(bytes));
        let clock = |megahertz: f64| self.read("nvmlDeviceGetClockInfo", Megahertz(megahertz as u32));
        let free = preset.memory_total - preset.memory_reserved - self.truth.memory_used;
        let margin = preset.thresholds.3 - values.temperature;
        Live {
            memory_total: memory(preset.memory_total),
            memory_used: memory(self.truth.memory_used),
            memory_free: memory(free),
            memory_reserved: memory(preset.memory_reserved),
            temperature: self.read("nvmlDeviceGetTemperature", Celsius(values.temperature as f32)),
            memory_temperature: self.has(
                preset.memory_temperature,
                "nvmlDeviceGetFieldValues",
                Celsius(values.memory_temperature as f32),
            ),
            temperature_margin: self.has(
                preset.margins.is_some(),
                "nvmlDeviceGetMarginTemperature",
                Celsius(margin as f32),
            ),
            memory_clock: clock(values.memory_clock),
            graphics_clock: clock(values.sm_clock),
            video_clock: clock(values.video_clock),
            performance_state: self.read("nvmlDeviceGetPerformanceState", values.performance_state as u32),
            pcie_generation: self.read("nvmlDeviceGetCurrPcieLinkGeneration", values.pcie_generation as u32),
            pcie_width: self.read("nvmlDeviceGetCurrPcieLinkWidth", values.pcie_width as u32),
            power_limit: self.has(
                preset.power_limits.is_some(),
                "nvmlDeviceGetEnforcedPowerLimit",
                Watts(values.power_limit as f32),
            ),
            encoder: self.undivided("nvmlDeviceGetEncoderUtilization", Percent(values.encoder as f32)),
            decoder: self.undivided("nvmlDeviceGetDecoderUtilization", Percent(values.decoder as f32)),
            fan: self.has(preset.fan, "nvmlDeviceGetFanSpeed_v2", Percent(values.fan as f32)),
            recovery_action: self.read("nvmlDeviceGetFieldValues", values.recovery_action as u32),
        }
    }

    fn gpm(&self) -> Gpm {
        if !self.gpu.preset.gpm {
            return Gpm::absent(&Absence::NotSupported);
        }
        let values = &self.truth.values;
        let share = |value: f64| self.read("nvmlGpmMetricsGet", Percent(value as f32));
        let rate = |megabytes: f64| self.read("nvmlGpmMetricsGet", BytesPerSecond(megabytes * MEGA));
        let has_links = self.gpu.preset.nvlinks > 0;
        let link = |megabytes: f64| if has_links { rate(megabytes) } else { Err(Absence::NotSupported) };
        Gpm {
            interval_seconds: Ok(self.player.scenario.interval().as_secs_f32()),
            graphics: share((values.sm * 1.07).min(100.0)),
            sm: share(values.sm),
            sm_occupancy: share(values.sm_occupancy),
            tensor: share(values.tensor),
            dram: share(values.dram),
            fp64: share(values.fp64),
            fp32: share(values.fp32),
            fp16: share(values.fp16),
            pcie_tx: rate(values.pcie_tx),
            pcie_rx: rate(values.pcie_rx),
            nvlink_tx: link(values.nvlink_tx),
            nvlink_rx: link(values.nvlink_rx),
        }
    }

    fn counters(&self) -> Counters {
        let [power_cap, sync_boost, sw_thermal, hw_thermal, brake] = self.truth.counters.reason_ns;
        let field = |value: f64| self.read("nvmlDeviceGetFieldValues", value as u64);
        let has_links = self.gpu.preset.nvlinks > 0;
        let link = |value: f64| if has_links { field(value) } else { Err(Absence::NotSupported) };
        let rate = |megabytes: f64| match self.gpu.preset.gpm {
            true => Err(Absence::NotRequested),
            false => self.read("nvmlDeviceGetPcieThroughput", BytesPerSecond(megabytes * MEGA)),
        };
        Counters {
            sw_power_cap_ns: field(power_cap),
            sync_boost_ns: field(sync_boost),
            sw_thermal_ns: field(sw_thermal),
            hw_thermal_ns: field(hw_thermal),
            hw_power_brake_ns: field(brake),
            nvlink_tx_kib: link(self.truth.counters.nvlink_tx_kib),
            nvlink_rx_kib: link(self.truth.counters.nvlink_rx_kib),
            pcie_tx: rate(self.truth.values.pcie_tx),
            pcie_rx: rate(self.truth.values.pcie_rx),
        }
    }

    fn process_list(&self, here: &[&ProcessRig]) -> ProcessList {
        let list = here.iter().map(|process| on_gpu(process)).collect();
        self.read("nvmlDeviceGetComputeRunningProcesses_v3", list)
    }

    fn process_utilization(&self, here: &[&ProcessRig]) -> Reading<Vec<ProcessUtilization>> {
        let values = &self.truth.values;
        let share = 1.0 / here.len().max(1) as f64;
        let percent = |value: f64| Percent(value as f32);
        let list = here.iter().map(|process| ProcessUtilization {
            pid: process.pid,
            sm: percent(process.sm_share.unwrap_or(values.utilization * share)),
            memory: percent(values.memory_utilization * share),
            encoder: percent(values.encoder * share),
            decoder: percent(values.decoder * share),
        });
        self.undivided("nvmlDeviceGetProcessUtilization", list.collect())
    }

    fn buffers(&self, whole: bool, with_utilization: bool) -> Buffers {
        let power = self.buffer(POWER_BUFFER, whole, |values| values.power);
        let utilization = self.buffer(UTILIZATION_BUFFER, whole, |values| values.utilization);
        Buffers {
            power: self.read("nvmlDeviceGetSamples", power),
            utilization: if with_utilization {
                self.undivided("nvmlDeviceGetSamples", utilization)
            } else {
                Err(Absence::NotRequested)
            },
        }
    }

    /// The ring's values since it was last read; the first read finds it full.
    fn buffer(
        &self,
        (read_every, period, length): (Duration, Duration, u32),
        whole: bool,
        of: fn(&Values) -> f64,
    ) -> Vec<TimedValue> {
        let since_last = u32::try_from(read_every.as_micros() / period.as_micros()).unwrap_or(length);
        let number = if whole { length } else { since_last.min(length) };
        let now = u64::try_from(self.player.wall_at(self.t).0).unwrap_or_default();
        (0..number)
            .rev()
            .map(|back| {
                let age = period * back;
                let values = self.player.scenario.values_before(self.gpu, self.t, age);
                let at_us = now.saturating_sub(u64::try_from(age.as_micros()).unwrap_or_default());
                TimedValue { at_us, value: of(&values) as f32 }
            })
            .collect()
    }
}

fn on_gpu(process: &ProcessRig) -> ProcessOnGpu {
    ProcessOnGpu {
        pid: process.pid,
        kind: process.kind,
        memory: Ok(Bytes(process.memory)),
        gpu_instance: process.gpu_instance,
        compute_instance: process.compute_instance,
    }
}

fn band(values: impl Iterator<Item = f64>) -> Band {
    let (mut min, mut max, mut sum, mut number) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0u32);
    for value in values {
        min = min.min(value);
        max = max.max(value);
        sum += value;
        number += 1;
    }
    if number == 0 {
        return Band::default();
    }
    Band { min: min as f32, mean: (sum / f64::from(number)) as f32, max: max as f32 }
}
