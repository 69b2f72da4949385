//! Framebuffer and BAR1.

use crate::code::{ARGUMENT_VERSION_MISMATCH, input, out, version_of};
use crate::state::{Target, device_calls};
use nvml_wrapper_sys::bindings::{nvmlBAR1Memory_t, nvmlMemory_t, nvmlMemory_v2_t};

/// Total, reserved and used, in bytes, of the GPU or the MIG instance.
fn memory(gpu: &Target) -> (u64, u64, u64) {
    match gpu.mig {
        Some(mig) => (mig.memory_total, 0, mig.memory_used.min(mig.memory_total)),
        None => (gpu.gpu.preset.memory_total, gpu.gpu.preset.memory_reserved, gpu.truth().memory_used),
    }
}

device_calls! {
    fn nvmlDeviceGetMemoryInfo(gpu, info: *mut nvmlMemory_t) {
        let (total, reserved, used) = memory(gpu);
        // Version 1 counts the reserved part as used.
        let used = used + reserved;
        out(info, nvmlMemory_t { total, free: total - used, used })
    }
    fn nvmlDeviceGetMemoryInfo_v2(gpu, info: *mut nvmlMemory_v2_t) {
        if input(info)?.version != version_of::<nvmlMemory_v2_t>(2) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        let (total, reserved, used) = memory(gpu);
        out(info, nvmlMemory_v2_t {
            version: version_of::<nvmlMemory_v2_t>(2),
            total,
            reserved,
            free: total - used - reserved,
            used,
        })
    }
    fn nvmlDeviceGetBAR1MemoryInfo(gpu, info: *mut nvmlBAR1Memory_t) {
        let total = gpu.gpu.preset.bar1_total;
        let used = 1 << 20;
        out(info, nvmlBAR1Memory_t { bar1Total: total, bar1Free: total - used, bar1Used: used })
    }
}
