//! MIG mode and instances.

use crate::code::{
    ARGUMENT_VERSION_MISMATCH, INVALID_ARGUMENT, NOT_FOUND, NOT_SUPPORTED, chars, input, out, version_of,
};
use crate::state::{Target, device_calls, handle_of};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlDeviceAttributes_t, nvmlGpuInstanceProfileInfo_v2_t};
use std::ffi::c_uint;

/// A GPU holds at most seven instances.
const MOST_INSTANCES: c_uint = 7;

/// A profile: its place in `NVML_GPU_INSTANCE_PROFILE_*`, the id that commands take, slices, eighths of the memory, and
/// how many an empty GPU holds (NVIDIA's MIG user guide, A100 and H100).
struct Profile {
    number: c_uint,
    id: c_uint,
    slices: c_uint,
    eighths: c_uint,
    most: c_uint,
}

const PROFILES: [Profile; 5] = [
    Profile { number: 0, id: 19, slices: 1, eighths: 1, most: 7 },
    Profile { number: 1, id: 14, slices: 2, eighths: 2, most: 3 },
    Profile { number: 2, id: 9, slices: 3, eighths: 4, most: 2 },
    Profile { number: 3, id: 5, slices: 4, eighths: 4, most: 1 },
    Profile { number: 4, id: 0, slices: 7, eighths: 8, most: 1 },
];

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
    fn nvmlDeviceGetGpuInstanceProfileInfoV(gpu, number: c_uint, info: *mut nvmlGpuInstanceProfileInfo_v2_t) {
        divisible(gpu)?;
        if input(info)?.version != version_of::<nvmlGpuInstanceProfileInfo_v2_t>(2) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        let profile = PROFILES.iter().find(|profile| profile.number == number).ok_or(NOT_SUPPORTED)?;
        let memory = (gpu.gpu.preset.memory_total >> 20) * u64::from(profile.eighths) / 8;
        out(info, nvmlGpuInstanceProfileInfo_v2_t {
            version: version_of::<nvmlGpuInstanceProfileInfo_v2_t>(2),
            id: profile.id,
            isP2pSupported: 0,
            sliceCount: profile.slices,
            instanceCount: profile.most,
            multiprocessorCount: profile.slices * 16,
            copyEngineCount: profile.slices,
            decoderCount: profile.slices,
            encoderCount: 0,
            jpegCount: profile.slices,
            ofaCount: 0,
            memorySizeMB: memory,
            name: chars(&format!("MIG {}g.{}gb", profile.slices, memory.div_ceil(1024))),
        })
    }
    fn nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, id: c_uint, count: *mut c_uint) {
        if !gpu.gpu.mig_enabled() {
            return Err(NOT_SUPPORTED);
        }
        let profile = PROFILES.iter().find(|profile| profile.id == id).ok_or(INVALID_ARGUMENT)?;
        let taken: c_uint = gpu
            .gpu
            .mig
            .iter()
            .filter_map(|mig| mig.profile.split('g').next()?.parse::<c_uint>().ok())
            .sum();
        out(count, ((MOST_INSTANCES - taken.min(MOST_INSTANCES)) / profile.slices).min(profile.most))
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
