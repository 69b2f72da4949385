//! What a GPU is: identity and limits.

use crate::code::{
    ARGUMENT_VERSION_MISMATCH, INVALID_ARGUMENT, NOT_SUPPORTED, chars, input, out, text, version_of,
};
use crate::state::{Target, device_calls};
use nvml_wrapper_sys::bindings::{nvmlDeviceAddressingMode_v1_t, nvmlPciInfo_t};
use std::ffi::{c_char, c_int, c_uint};

pub fn pci_of(address: &str, device_id: u32) -> nvmlPciInfo_t {
    let mut parts = address.split([':', '.']).map(|part| u32::from_str_radix(part, 16).unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let (domain, bus, device, function) = (next(), next(), next(), next());
    nvmlPciInfo_t {
        busIdLegacy: chars(&format!("{domain:04X}:{bus:02X}:{device:02X}.{function:X}")),
        domain,
        bus,
        device,
        pciDeviceId: device_id,
        pciSubSystemId: 0x18BF_10DE,
        busId: chars(&format!("{domain:08X}:{bus:02X}:{device:02X}.{function:X}")),
    }
}

fn optional(value: Option<&'static str>) -> Result<&'static str, u32> {
    value.ok_or(NOT_SUPPORTED)
}

/// Serial, part number and InfoROM belong to boards of the data centre.
fn board(gpu: &Target) -> Result<(), u32> {
    gpu.gpu.preset.board_part.map(|_| ()).ok_or(NOT_SUPPORTED)
}

device_calls! {
    fn nvmlDeviceGetName(gpu, name: *mut c_char, length: c_uint) {
        let suffix = gpu.mig.map(|mig| format!(" MIG {}", mig.profile)).unwrap_or_default();
        text(name, length, &format!("{}{suffix}", gpu.gpu.preset.name))
    }
    fn nvmlDeviceGetUUID(gpu, uuid: *mut c_char, length: c_uint) {
        text(uuid, length, gpu.mig.map_or(&gpu.gpu.uuid, |mig| &mig.uuid))
    }
    fn nvmlDeviceGetIndex(gpu, index: *mut c_uint) { out(index, gpu.gpu.index) }
    fn nvmlDeviceGetPciInfo_v3(gpu, pci: *mut nvmlPciInfo_t) {
        gpu.whole_gpu_only()?;
        out(pci, pci_of(&gpu.gpu.pci, gpu.gpu.preset.pci_device_id))
    }
    fn nvmlDeviceGetBrand(gpu, brand: *mut c_uint) { out(brand, gpu.gpu.preset.brand) }
    fn nvmlDeviceGetArchitecture(gpu, architecture: *mut c_uint) { out(architecture, gpu.gpu.preset.architecture) }
    fn nvmlDeviceGetCudaComputeCapability(gpu, major: *mut c_int, minor: *mut c_int) {
        out(major, gpu.gpu.preset.compute.0 as c_int)?;
        out(minor, gpu.gpu.preset.compute.1 as c_int)
    }
    fn nvmlDeviceGetSerial(gpu, serial: *mut c_char, length: c_uint) {
        board(gpu)?;
        text(serial, length, &gpu.gpu.serial)
    }
    fn nvmlDeviceGetBoardPartNumber(gpu, number: *mut c_char, length: c_uint) {
        text(number, length, optional(gpu.gpu.preset.board_part)?)
    }
    fn nvmlDeviceGetVbiosVersion(gpu, version: *mut c_char, length: c_uint) {
        text(version, length, gpu.gpu.preset.vbios)
    }
    fn nvmlDeviceGetInforomImageVersion(gpu, version: *mut c_char, length: c_uint) {
        text(version, length, optional(gpu.gpu.preset.inforom)?)
    }
    fn nvmlDeviceGetGspFirmwareVersion(gpu, version: *mut c_char) {
        // The buffer has NVML_GSP_FIRMWARE_VERSION_BUF_SIZE (64) bytes.
        text(version, 64, &gpu.state.scenario.host().driver)
    }
    fn nvmlDeviceGetMinorNumber(gpu, minor: *mut c_uint) { out(minor, gpu.gpu.index) }
    fn nvmlDeviceGetModuleId(gpu, module: *mut c_uint) {
        if gpu.gpu.preset.nvswitch { out(module, gpu.gpu.index + 1) } else { Err(NOT_SUPPORTED) }
    }
    fn nvmlDeviceGetNumaNodeId(_gpu, _node: *mut c_uint) { Err(NOT_SUPPORTED) }
    fn nvmlDeviceGetAddressingMode(_gpu, mode: *mut nvmlDeviceAddressingMode_v1_t) {
        if input(mode)?.version != version_of::<nvmlDeviceAddressingMode_v1_t>(1) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        // 0 is none: neither HMM nor ATS, as the H200 says.
        out(mode, nvmlDeviceAddressingMode_v1_t { version: version_of::<nvmlDeviceAddressingMode_v1_t>(1), value: 0 })
    }
    fn nvmlDeviceGetMaxClockInfo(gpu, kind: c_uint, clock: *mut c_uint) {
        let (sm, memory, video) = gpu.gpu.preset.max_clocks;
        let value = match kind {
            0 | 1 => sm,
            2 => memory,
            3 => video,
            _ => return Err(INVALID_ARGUMENT),
        };
        out(clock, value as c_uint)
    }
    fn nvmlDeviceGetMaxCustomerBoostClock(gpu, kind: c_uint, clock: *mut c_uint) {
        if kind == 0 { out(clock, gpu.gpu.preset.max_clocks.0 as c_uint) } else { Err(NOT_SUPPORTED) }
    }
    fn nvmlDeviceGetPowerManagementLimitConstraints(gpu, least: *mut c_uint, most: *mut c_uint) {
        let (low, high, _) = gpu.gpu.preset.power_limits.ok_or(NOT_SUPPORTED)?;
        out(least, (low * 1000.0) as c_uint)?;
        out(most, (high * 1000.0) as c_uint)
    }
    fn nvmlDeviceGetPowerManagementDefaultLimit(gpu, limit: *mut c_uint) {
        let (_, _, default) = gpu.gpu.preset.power_limits.ok_or(NOT_SUPPORTED)?;
        out(limit, (default * 1000.0) as c_uint)
    }
    fn nvmlDeviceGetTemperatureThreshold(gpu, kind: c_uint, threshold: *mut c_uint) {
        let (slowdown, shutdown, memory, most) = gpu.gpu.preset.thresholds;
        let value = match kind {
            0 => shutdown,
            1 => slowdown,
            2 => memory.ok_or(NOT_SUPPORTED)?,
            3 => most,
            4..=7 => return Err(NOT_SUPPORTED),
            _ => return Err(INVALID_ARGUMENT),
        };
        out(threshold, value as c_uint)
    }
    fn nvmlDeviceGetSupportedClocksEventReasons(gpu, mask: *mut u64) { out(mask, gpu.gpu.preset.clock_events) }
    fn nvmlDeviceGetSupportedClocksThrottleReasons(gpu, mask: *mut u64) { out(mask, gpu.gpu.preset.clock_events) }
    fn nvmlDeviceGetMaxPcieLinkGeneration(gpu, generation: *mut c_uint) { out(generation, gpu.gpu.preset.pcie.0) }
    fn nvmlDeviceGetGpuMaxPcieLinkGeneration(gpu, generation: *mut c_uint) { out(generation, gpu.gpu.preset.pcie.0) }
    fn nvmlDeviceGetMaxPcieLinkWidth(gpu, width: *mut c_uint) { out(width, gpu.gpu.preset.pcie.1) }
    fn nvmlDeviceGetDisplayMode(gpu, on: *mut c_uint) { out(on, u32::from(gpu.gpu.display_attached())) }
    fn nvmlDeviceGetDisplayActive(gpu, on: *mut c_uint) { out(on, gpu.number(f64::from(u8::from(gpu.gpu.display))) as c_uint) }
    fn nvmlDeviceGetVirtualizationMode(gpu, mode: *mut c_uint) {
        out(mode, u32::from(gpu.state.scenario.host().guest))
    }
    fn nvmlDeviceGetMultiGpuBoard(_gpu, multi: *mut c_uint) { out(multi, 0) }
}
