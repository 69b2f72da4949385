//! Where a GPU is: CPUs, NUMA nodes, the way to another GPU.

use crate::code::{INVALID_ARGUMENT, out};
use crate::state::{Target, device_calls};
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use std::ffi::{c_uint, c_ulong};

const BITS: u32 = c_ulong::BITS;

/// Sets the bits of a range in a caller's array of words.
fn mask(words: *mut c_ulong, count: c_uint, range: std::ops::Range<u32>) -> crate::code::Answer {
    for word in 0..count {
        let bits = (0..BITS).filter(|bit| range.contains(&(word * BITS + bit)));
        out(words.wrapping_add(word as usize), bits.fold(0, |mask, bit| mask | 1 << bit))?;
    }
    Ok(())
}

/// CPUs are dealt out in equal parts to the NUMA nodes that have GPUs.
fn cpus(gpu: &Target) -> std::ops::Range<u32> {
    let nodes = gpu.state.scenario.gpus().iter().map(|gpu| gpu.numa_node).max().unwrap_or(0) + 1;
    let share = gpu.state.scenario.host().cpus / nodes;
    gpu.gpu.numa_node * share..(gpu.gpu.numa_node + 1) * share
}

device_calls! {
    fn nvmlDeviceGetCpuAffinity(gpu, count: c_uint, words: *mut c_ulong) { mask(words, count, cpus(gpu)) }
    fn nvmlDeviceGetCpuAffinityWithinScope(gpu, count: c_uint, words: *mut c_ulong, _scope: c_uint) {
        mask(words, count, cpus(gpu))
    }
    fn nvmlDeviceGetMemoryAffinity(gpu, count: c_uint, words: *mut c_ulong, _scope: c_uint) {
        mask(words, count, gpu.gpu.numa_node..gpu.gpu.numa_node + 1)
    }
    fn nvmlDeviceGetTopologyCommonAncestor(gpu, other: nvmlDevice_t, level: *mut c_uint) {
        let other = crate::state::gpu_behind(other).ok_or(INVALID_ARGUMENT)?;
        // 10 PIX, 30 PHB, 50 SYS.
        let value = if other.index == gpu.gpu.index {
            0
        } else if other.numa_node == gpu.gpu.numa_node {
            30
        } else {
            50
        };
        out(level, value)
    }
    fn nvmlDeviceGetP2PStatus(gpu, other: nvmlDevice_t, capability: c_uint, status: *mut c_uint) {
        let other = crate::state::gpu_behind(other).ok_or(INVALID_ARGUMENT)?;
        // 2 asks for NVLink; 0 is OK, 5 not supported.
        let linked = gpu.gpu.preset.nvlinks > 0 && other.preset.nvlinks > 0;
        out(status, if capability == 2 && !linked { 5 } else { 0 })
    }
}
