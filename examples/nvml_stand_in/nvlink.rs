//! NVLinks one by one. Past the last link the driver says INVALID_ARGUMENT, not NOT_SUPPORTED.

use crate::code::{INVALID_ARGUMENT, NOT_SUPPORTED, out};
use crate::identity::pci_of;
use crate::state::{Target, device_calls};
use nvml_wrapper_sys::bindings::nvmlPciInfo_t;
use std::ffi::{c_uint, c_ulonglong};

fn link(gpu: &Target, number: c_uint) -> Result<bool, u32> {
    match gpu.gpu.preset.nvlinks {
        0 => Err(NOT_SUPPORTED),
        links if number >= links => Err(INVALID_ARGUMENT),
        _ => Ok(f64::from(number) < gpu.values().nvlinks_active),
    }
}

device_calls! {
    fn nvmlDeviceGetNvLinkState(gpu, number: c_uint, active: *mut c_uint) {
        let is_up = link(gpu, number)?;
        out(active, u32::from(is_up))
    }
    fn nvmlDeviceGetNvLinkVersion(gpu, number: c_uint, version: *mut c_uint) {
        link(gpu, number)?;
        out(version, gpu.gpu.preset.nvlink_version)
    }
    fn nvmlDeviceGetNvLinkCapability(gpu, number: c_uint, capability: c_uint, has: *mut c_uint) {
        link(gpu, number)?;
        if capability > 5 { Err(INVALID_ARGUMENT) } else { out(has, 1) }
    }
    fn nvmlDeviceGetNvLinkRemoteDeviceType(gpu, number: c_uint, kind: *mut c_uint) {
        link(gpu, number)?;
        out(kind, if gpu.gpu.preset.nvswitch { 2 } else { 0 })
    }
    fn nvmlDeviceGetNvLinkRemotePciInfo_v2(gpu, number: c_uint, pci: *mut nvmlPciInfo_t) {
        if !link(gpu, number)? {
            return Err(NOT_SUPPORTED);
        }
        // Without a switch the links are dealt out to the other linked GPUs in equal runs.
        let peers = gpu.state.scenario.gpus().iter();
        let peers: Vec<_> =
            peers.filter(|peer| peer.index != gpu.gpu.index && peer.preset.nvlinks > 0).collect();
        let turn = number as usize * peers.len() / gpu.gpu.preset.nvlinks.max(1) as usize;
        if let (false, Some(peer)) = (gpu.gpu.preset.nvswitch, peers.get(turn)) {
            return out(pci, pci_of(&peer.pci, peer.preset.pci_device_id));
        }
        // Behind a switch the address is all ones (measured), so pairs cannot be read off it.
        out(pci, pci_of("ffffffff:ff:ff.0", u32::MAX))
    }
    fn nvmlDeviceGetNvLinkErrorCounter(gpu, number: c_uint, counter: c_uint, value: *mut c_ulonglong) {
        let is_up = link(gpu, number)?;
        let values = gpu.values();
        let is_last = is_up && f64::from(number) + 1.0 >= values.nvlinks_active;
        // 0 replay, 1 recovery, 2 CRC of flits, 3 CRC of data, 4 ECC of data.
        match counter {
            2 if is_last => out(value, values.nvlink_errors as c_ulonglong),
            0..=3 => out(value, 0),
            4 => Err(NOT_SUPPORTED),
            _ => Err(INVALID_ARGUMENT),
        }
    }
}
