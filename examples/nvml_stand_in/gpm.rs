//! GPU performance monitoring: samples are objects of the library, metrics come from two of them.

use crate::code::{ARGUMENT_VERSION_MISMATCH, INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS, input, out};
use crate::state::{Target, device_calls, state, system_calls};
use kgtop::sources::scenario::Values;
use nvml_wrapper_sys::bindings::{nvmlGpmMetricsGet_t, nvmlGpmSupport_t};
use std::ffi::{c_uint, c_void};
use std::time::Duration;

/// What a sample remembers: which GPU, when, and the MIG instance's SM share.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    taken: Option<(u32, Duration)>,
    mig_sm: Option<f64>,
}

type Handle = *mut c_void;

const NVML_GPM_METRICS_GET_VERSION: u32 = 1;
/// Of nvml.h: these two structures say their version plainly, without a size.
const NVML_GPM_SUPPORT_VERSION: u32 = 1;

fn take(gpu: &Target, sample: Handle, mig_sm: Option<f64>) -> crate::code::Answer {
    if !gpu.gpu.preset.gpm {
        return Err(NOT_SUPPORTED);
    }
    out(sample.cast(), Sample { taken: Some((gpu.gpu.index, gpu.t)), mig_sm })
}

device_calls! {
    fn nvmlGpmQueryDeviceSupport(gpu, support: *mut nvmlGpmSupport_t) {
        if input(support)?.version != NVML_GPM_SUPPORT_VERSION {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        out(support, nvmlGpmSupport_t {
            version: NVML_GPM_SUPPORT_VERSION,
            isSupportedDevice: u32::from(gpu.gpu.preset.gpm),
        })
    }
    fn nvmlGpmSampleGet(gpu, sample: Handle) { take(gpu, sample, None) }
    fn nvmlGpmMigSampleGet(gpu, instance: c_uint, sample: Handle) {
        let mig = gpu.gpu.mig.iter().find(|mig| mig.gpu_instance == instance).ok_or(INVALID_ARGUMENT)?;
        take(gpu, sample, Some(mig.sm.unwrap_or(0.0)))
    }
    fn nvmlGpmQueryIfStreamingEnabled(gpu, on: *mut c_uint) {
        if gpu.gpu.preset.gpm { out(on, 0) } else { Err(NOT_SUPPORTED) }
    }
}

system_calls! {
    fn nvmlGpmSampleAlloc(_state, sample: *mut Handle) {
        out(sample, Box::into_raw(Box::new(Sample::default())).cast())
    }
    fn nvmlGpmSampleFree(_state, sample: Handle) {
        if sample.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        drop(unsafe { Box::from_raw(sample.cast::<Sample>()) });
        Ok(())
    }
    fn nvmlGpmMetricsGet(_state, request: *mut nvmlGpmMetricsGet_t) {
        if request.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        let request = unsafe { &mut *request };
        if request.version != NVML_GPM_METRICS_GET_VERSION {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        let first: Sample = input(request.sample1.cast_const().cast())?;
        let second: Sample = input(request.sample2.cast_const().cast())?;
        let (Some((gpu, from)), Some((other, to))) = (first.taken, second.taken) else {
            return Err(INVALID_ARGUMENT);
        };
        if gpu != other || from >= to {
            return Err(INVALID_ARGUMENT);
        }
        let between = Between::new(gpu, from, to, second.mig_sm)?;
        let number = request.numMetrics as usize;
        for metric in request.metrics.get_mut(..number).ok_or(INVALID_ARGUMENT)? {
            match between.metric(metric.metricId) {
                Some(value) => {
                    metric.nvmlReturn = SUCCESS;
                    metric.value = value;
                }
                None => metric.nvmlReturn = NOT_SUPPORTED,
            }
        }
        Ok(())
    }
}

/// Means over the time between two samples.
struct Between {
    mean: Values,
    mig_sm: Option<f64>,
    nvlinks: u32,
}

impl Between {
    fn new(gpu: u32, from: Duration, to: Duration, mig_sm: Option<f64>) -> Result<Self, u32> {
        const POINTS: u32 = 4;
        let scenario = &state().scenario;
        let gpu = scenario.gpus().get(gpu as usize).ok_or(INVALID_ARGUMENT)?;
        let mut mean = Values::default();
        for point in 0..POINTS {
            let at = from + (to - from) * (2 * point + 1) / (2 * POINTS);
            let values = scenario.values_at(gpu, at);
            let share = 1.0 / f64::from(POINTS);
            mean.utilization += values.utilization * share;
            mean.sm += values.sm * share;
            mean.sm_occupancy += values.sm_occupancy * share;
            mean.tensor += values.tensor * share;
            mean.dram += values.dram * share;
            mean.fp64 += values.fp64 * share;
            mean.fp32 += values.fp32 * share;
            mean.fp16 += values.fp16 * share;
            mean.pcie_tx += values.pcie_tx * share;
            mean.pcie_rx += values.pcie_rx * share;
            mean.nvlink_tx += values.nvlink_tx * share;
            mean.nvlink_rx += values.nvlink_rx * share;
        }
        Ok(Self { mean, mig_sm, nvlinks: gpu.preset.nvlinks })
    }

    /// The metric of that number; rates in MiB/s.
    fn metric(&self, id: u32) -> Option<f64> {
        let mean = &self.mean;
        let mebibytes = |megabytes: f64| megabytes * 1e6 / f64::from(1 << 20);
        let of_instance = |value: f64| self.mig_sm.map_or(value, |sm| sm * value / mean.sm.max(1.0));
        let has_links = self.nvlinks > 0 && self.mig_sm.is_none();
        match id {
            1 => Some(of_instance((mean.sm * 1.07).min(100.0))),
            2 => Some(of_instance(mean.sm)),
            3 => Some(of_instance(mean.sm_occupancy)),
            5 => Some(of_instance(mean.tensor)),
            10 => Some(of_instance(mean.dram)),
            11 => Some(of_instance(mean.fp64)),
            12 => Some(of_instance(mean.fp32)),
            13 => Some(of_instance(mean.fp16)),
            20 => Some(mebibytes(mean.pcie_tx)),
            21 => Some(mebibytes(mean.pcie_rx)),
            60 if has_links => Some(mebibytes(mean.nvlink_rx)),
            61 if has_links => Some(mebibytes(mean.nvlink_tx)),
            _ => None,
        }
    }
}
