//! MIG mode and instances.

use crate::code::{INVALID_ARGUMENT, NOT_FOUND, NOT_SUPPORTED, out};
use crate::state::{Target, device_calls, handle_of};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlDeviceAttributes_t};
use std::ffi::c_uint;

/// A GPU holds at most seven instances.
const MOST_INSTANCES: c_uint = 7;

fn divisible(gpu: &Target) -> Result<(), u32> {
    if gpu.gpu.preset.mig { Ok(()) } else { Err(NOT_SUPPORTED) }
}

device_calls! {
    fn nvmlDeviceGetMigMode(gpu, current: *mut c_uint, pending: *mut c_uint) {
        divisible(gpu)?;
        let on = gpu.gpu.mig_enabled();
        out(current, u32::from(on))?;
        out(pending, u32::from(gpu.settings(|settings| settings.mig_pending).unwrap_or(on)))
    }
    fn nvmlDeviceGetMaxMigDeviceCount(gpu, count: *mut c_uint) {
        // Zero where the GPU cannot be divided (nvml.h).
        out(count, if gpu.gpu.preset.mig { MOST_INSTANCES } else { 0 })
    }
    fn nvmlDeviceGetMigDeviceHandleByIndex(gpu, index: c_uint, device: *mut nvmlDevice_t) {
        divisible(gpu)?;
        if index >= MOST_INSTANCES {
            return Err(INVALID_ARGUMENT);
        }
        if index as usize >= gpu.gpu.mig.len() {
            return Err(NOT_FOUND);
        }
        out(device, handle_of(gpu.gpu.index, Some(index as usize)))
    }
    fn nvmlDeviceIsMigDeviceHandle(gpu, is: *mut c_uint) { out(is, u32::from(gpu.mig.is_some())) }
    fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(gpu, device: *mut nvmlDevice_t) {
        gpu.mig.ok_or(INVALID_ARGUMENT)?;
        out(device, handle_of(gpu.gpu.index, None))
    }
    fn nvmlDeviceGetGpuInstanceId(gpu, id: *mut c_uint) { out(id, gpu.mig.ok_or(INVALID_ARGUMENT)?.gpu_instance) }
    fn nvmlDeviceGetComputeInstanceId(gpu, id: *mut c_uint) {
        out(id, gpu.mig.ok_or(INVALID_ARGUMENT)?.compute_instance)
    }
    fn nvmlDeviceGetAttributes_v2(gpu, attributes: *mut nvmlDeviceAttributes_t) {
        let mig = gpu.mig.ok_or(NOT_SUPPORTED)?;
        // The number before the g is the slices.
        let slices = mig.profile.split('g').next().and_then(|text| text.parse().ok()).unwrap_or(1);
        out(attributes, nvmlDeviceAttributes_t {
            multiprocessorCount: slices * 16,
            sharedCopyEngineCount: slices,
            sharedDecoderCount: slices,
            sharedEncoderCount: 0,
            sharedJpegCount: slices,
            sharedOfaCount: 0,
            gpuInstanceSliceCount: slices,
            computeInstanceSliceCount: slices,
            memorySizeMB: mig.memory_total >> 20,
        })
    }
}
