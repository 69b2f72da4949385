//! Process lists, with the trap of the 535 drivers: from 535.43 to before 535.98 the entries of `_v3` are 32
//! bytes and not 24; from 535.98 to before 535.104 there is no `_v3`.

use crate::code::version_of;
use crate::code::{
    ARGUMENT_VERSION_MISMATCH, Answer, INSUFFICIENT_SIZE, NOT_FOUND, NOT_SUPPORTED, input, list, out,
};
use crate::state::{Target, device_calls, stamp};
use kgtop::model::ProcessKind;
use nvml_wrapper_sys::bindings::{
    nvmlProcessDetail_v1_t, nvmlProcessDetailList_v1_t, nvmlProcessInfo_v2_t, nvmlProcessUtilizationSample_t,
};
use std::ffi::c_uint;
use std::time::Duration;

const FUNCTION_NOT_FOUND: u32 = 13;
/// Memory that the driver may not tell, and an instance that is none.
const NOT_AVAILABLE: u64 = u64::MAX;
const NO_INSTANCE: u32 = u32::MAX;
/// The ring of per-process samples.
const SAMPLE_PERIOD: Duration = Duration::from_millis(1_000);

/// The entry of `_v3` in drivers 535.43 to 535.86.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LongProcessInfo {
    pid: c_uint,
    used: u64,
    gpu_instance: c_uint,
    compute_instance: c_uint,
    protected: u64,
}

fn of_kind(gpu: &Target, kind: ProcessKind) -> Vec<nvmlProcessInfo_v2_t> {
    let truth = gpu.state.scenario.truth_at(gpu.t);
    // A `value` fault on a list stands for memory that may not be told.
    let hidden = gpu.number(0.0) != 0.0;
    truth
        .processes
        .iter()
        .filter_map(|process| gpu.state.scenario.processes().get(process.index))
        .filter(|process| process.gpus.contains(&gpu.gpu.index) && process.kind == kind)
        .filter(|process| gpu.mig.is_none_or(|mig| process.gpu_instance == Some(mig.gpu_instance)))
        .map(|process| nvmlProcessInfo_v2_t {
            pid: process.pid,
            usedGpuMemory: if hidden { NOT_AVAILABLE } else { process.memory },
            gpuInstanceId: process.gpu_instance.unwrap_or(NO_INSTANCE),
            computeInstanceId: process.compute_instance.unwrap_or(NO_INSTANCE),
        })
        .collect()
}

fn version_2(
    gpu: &Target,
    kind: ProcessKind,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_v2_t,
) -> Answer {
    list(count, infos, &of_kind(gpu, kind))
}

fn version_3(
    gpu: &Target,
    kind: ProcessKind,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_v2_t,
) -> Answer {
    match gpu.state.driver() {
        (535, 43..98) => {
            let long: Vec<LongProcessInfo> = of_kind(gpu, kind)
                .iter()
                .map(|info| LongProcessInfo {
                    pid: info.pid,
                    used: info.usedGpuMemory,
                    gpu_instance: info.gpuInstanceId,
                    compute_instance: info.computeInstanceId,
                    protected: 0,
                })
                .collect();
            list(count, infos.cast(), &long)
        }
        (535, 98..104) => Err(FUNCTION_NOT_FOUND),
        _ => version_2(gpu, kind, count, infos),
    }
}

fn utilization(gpu: &Target, since: u64) -> Vec<nvmlProcessUtilizationSample_t> {
    // The ring renews once a period; its stamp is that of the period's begin.
    let periods = gpu.t.as_micros() / SAMPLE_PERIOD.as_micros();
    let at = Duration::from_micros((periods * SAMPLE_PERIOD.as_micros()) as u64);
    let stamp = stamp(at);
    if stamp <= since {
        return Vec::new();
    }
    let values = gpu.values_at(at);
    let truth = gpu.state.scenario.truth_at(at);
    let here: Vec<_> = truth
        .processes
        .iter()
        .filter_map(|process| gpu.state.scenario.processes().get(process.index))
        .filter(|process| process.gpus.contains(&gpu.gpu.index))
        .collect();
    let share = 1.0 / here.len().max(1) as f64;
    here.iter()
        .map(|process| nvmlProcessUtilizationSample_t {
            pid: process.pid,
            timeStamp: stamp,
            smUtil: process.sm_share.unwrap_or(values.utilization * share).round() as c_uint,
            memUtil: (values.memory_utilization * share).round() as c_uint,
            encUtil: (values.encoder * share).round() as c_uint,
            decUtil: (values.decoder * share).round() as c_uint,
        })
        .filter(|sample| sample.smUtil > 0 || sample.memUtil > 0)
        .collect()
}

device_calls! {
    fn nvmlDeviceGetComputeRunningProcesses_v2(gpu, count: *mut c_uint, infos: *mut nvmlProcessInfo_v2_t) {
        version_2(gpu, ProcessKind::Compute, count, infos)
    }
    fn nvmlDeviceGetGraphicsRunningProcesses_v2(gpu, count: *mut c_uint, infos: *mut nvmlProcessInfo_v2_t) {
        version_2(gpu, ProcessKind::Graphics, count, infos)
    }
    fn nvmlDeviceGetMPSComputeRunningProcesses_v2(gpu, count: *mut c_uint, infos: *mut nvmlProcessInfo_v2_t) {
        version_2(gpu, ProcessKind::Mps, count, infos)
    }
    fn nvmlDeviceGetComputeRunningProcesses_v3(gpu, count: *mut c_uint, infos: *mut nvmlProcessInfo_v2_t) {
        version_3(gpu, ProcessKind::Compute, count, infos)
    }
    fn nvmlDeviceGetGraphicsRunningProcesses_v3(gpu, count: *mut c_uint, infos: *mut nvmlProcessInfo_v2_t) {
        version_3(gpu, ProcessKind::Graphics, count, infos)
    }
    fn nvmlDeviceGetMPSComputeRunningProcesses_v3(gpu, count: *mut c_uint, infos: *mut nvmlProcessInfo_v2_t) {
        version_3(gpu, ProcessKind::Mps, count, infos)
    }
    fn nvmlDeviceGetRunningProcessDetailList(gpu, details: *mut nvmlProcessDetailList_v1_t) {
        let asked = input(details)?;
        if asked.version != version_of::<nvmlProcessDetailList_v1_t>(1) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        if gpu.gpu.preset.architecture < 9 {
            return Err(NOT_SUPPORTED);
        }
        let kind = match asked.mode {
            0 => ProcessKind::Compute,
            1 => ProcessKind::Graphics,
            2 => ProcessKind::Mps,
            _ => return Err(crate::code::INVALID_ARGUMENT),
        };
        let answer: Vec<nvmlProcessDetail_v1_t> = of_kind(gpu, kind)
            .iter()
            .map(|info| nvmlProcessDetail_v1_t {
                pid: info.pid,
                usedGpuMemory: info.usedGpuMemory,
                gpuInstanceId: info.gpuInstanceId,
                computeInstanceId: info.computeInstanceId,
                usedGpuCcProtectedMemory: 0,
            })
            .collect();
        let count = unsafe { &raw mut (*details).numProcArrayEntries };
        list(count, asked.procArray, &answer)
    }
    fn nvmlDeviceGetProcessUtilization(
        gpu, samples: *mut nvmlProcessUtilizationSample_t, count: *mut c_uint, since: u64
    ) {
        if gpu.gpu.mig_enabled() {
            return Err(NOT_SUPPORTED);
        }
        let answer = utilization(gpu, since);
        // The driver asks for room for its whole ring; nothing new is NOT_FOUND.
        const RING: c_uint = 100;
        if input(count)? == 0 || samples.is_null() {
            out(count, RING)?;
            return Err(INSUFFICIENT_SIZE);
        }
        if answer.is_empty() {
            return Err(NOT_FOUND);
        }
        list(count, samples, &answer)
    }
}
