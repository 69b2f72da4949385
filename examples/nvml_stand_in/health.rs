//! ECC, repair, fabric, modes.

use crate::code::{ARGUMENT_VERSION_MISMATCH, INVALID_ARGUMENT, NOT_SUPPORTED, input, list, out, version_of};
use crate::state::{Target, device_calls};
use nvml_wrapper_sys::bindings::{
    nvmlEccSramErrorStatus_v1_t, nvmlGpuFabricInfo_t, nvmlGpuFabricInfo_v2_t, nvmlGpuFabricInfo_v3_t,
    nvmlRepairStatus_v1_t, nvmlRowRemapperHistogramValues_t, nvmlViolationTime_t,
};
use std::ffi::{c_uint, c_ulonglong};

fn ecc(gpu: &Target) -> Result<(), u32> {
    if gpu.gpu.preset.ecc { Ok(()) } else { Err(NOT_SUPPORTED) }
}

fn total(gpu: &Target, kind: c_uint, since: c_uint) -> Result<u64, u32> {
    ecc(gpu)?;
    let values = gpu.values();
    match (kind, since) {
        (0, 0) => Ok(values.ecc_corrected_volatile as u64),
        (1, 0) => Ok(values.ecc_uncorrected_volatile as u64),
        (0, 1) => Ok(values.ecc_corrected_aggregate as u64),
        (1, 1) => Ok(values.ecc_uncorrected_aggregate as u64),
        _ => Err(INVALID_ARGUMENT),
    }
}

/// Rows are remapped from Ampere on, and not while MIG instances exist.
fn remapping(gpu: &Target) -> Result<u32, u32> {
    if gpu.gpu.mig_enabled() { Err(NOT_SUPPORTED) } else { gpu.gpu.preset.banks.ok_or(NOT_SUPPORTED) }
}

device_calls! {
    fn nvmlDeviceGetEccMode(gpu, current: *mut c_uint, pending: *mut c_uint) {
        ecc(gpu)?;
        out(current, 1)?;
        let by_rig = gpu.values().ecc_pending > 0.0;
        out(pending, u32::from(gpu.settings(|settings| settings.ecc_pending).unwrap_or(by_rig)))
    }
    fn nvmlDeviceGetDefaultEccMode(gpu, mode: *mut c_uint) {
        ecc(gpu)?;
        out(mode, 1)
    }
    fn nvmlDeviceGetTotalEccErrors(gpu, kind: c_uint, since: c_uint, count: *mut c_ulonglong) {
        out(count, total(gpu, kind, since)?)
    }
    fn nvmlDeviceGetMemoryErrorCounter(
        gpu, kind: c_uint, since: c_uint, location: c_uint, count: *mut c_ulonglong
    ) {
        // 2 is device memory, 7 SRAM: the scenario's errors are all of DRAM.
        match location {
            2 => out(count, total(gpu, kind, since)?),
            7 => out(count, 0),
            _ => Err(NOT_SUPPORTED),
        }
    }
    fn nvmlDeviceGetSramEccErrorStatus(gpu, status: *mut nvmlEccSramErrorStatus_v1_t) {
        let asked = input(status)?;
        if asked.version != version_of::<nvmlEccSramErrorStatus_v1_t>(1) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        if gpu.gpu.preset.banks.is_none() {
            return Err(NOT_SUPPORTED);
        }
        let exceeded = gpu.values().sram_threshold_exceeded as c_uint;
        out(status, nvmlEccSramErrorStatus_v1_t {
            version: asked.version,
            aggregateUncParity: 0,
            aggregateUncSecDed: u64::from(exceeded) * 4,
            aggregateCor: 0,
            volatileUncParity: 0,
            volatileUncSecDed: 0,
            volatileCor: 0,
            aggregateUncBucketL2: u64::from(exceeded) * 4,
            aggregateUncBucketSm: 0,
            aggregateUncBucketPcie: 0,
            aggregateUncBucketMcu: 0,
            aggregateUncBucketOther: 0,
            bThresholdExceeded: exceeded,
        })
    }
    fn nvmlDeviceGetRemappedRows(
        gpu, corrected: *mut c_uint, uncorrected: *mut c_uint, pending: *mut c_uint, failed: *mut c_uint
    ) {
        remapping(gpu)?;
        let values = gpu.values();
        out(corrected, values.remapped_corrected as c_uint)?;
        out(uncorrected, values.remapped_uncorrected as c_uint)?;
        out(pending, values.remap_pending as c_uint)?;
        out(failed, values.remap_failed as c_uint)
    }
    fn nvmlDeviceGetRowRemapperHistogram(gpu, histogram: *mut nvmlRowRemapperHistogramValues_t) {
        let banks = remapping(gpu)?;
        let values = gpu.values();
        let (remapped, none) = ((values.remapped_corrected + values.remapped_uncorrected) as c_uint, values.remap_failed);
        let none = none as c_uint;
        let high = remapped.min(banks - none);
        out(histogram, nvmlRowRemapperHistogramValues_t { max: banks - high - none, high, partial: 0, low: 0, none })
    }
    fn nvmlDeviceGetRepairStatus(gpu, status: *mut nvmlRepairStatus_v1_t) {
        let asked = input(status)?;
        if asked.version != version_of::<nvmlRepairStatus_v1_t>(1) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        if gpu.gpu.preset.architecture < 9 {
            return Err(NOT_SUPPORTED);
        }
        out(status, nvmlRepairStatus_v1_t { version: asked.version, bChannelRepairPending: 0, bTpcRepairPending: 0 })
    }
    fn nvmlDeviceGetRetiredPages(gpu, cause: c_uint, count: *mut c_uint, addresses: *mut c_ulonglong) {
        list(count, addresses, &retired(gpu, cause)?)
    }
    fn nvmlDeviceGetRetiredPages_v2(
        gpu, cause: c_uint, count: *mut c_uint, addresses: *mut c_ulonglong, timestamps: *mut c_ulonglong
    ) {
        let pages = retired(gpu, cause)?;
        list(count, addresses, &pages)?;
        if timestamps.is_null() { Ok(()) } else { list(count, timestamps, &vec![0; pages.len()]) }
    }
    fn nvmlDeviceGetRetiredPagesPendingStatus(gpu, pending: *mut c_uint) {
        if !gpu.gpu.preset.retired_pages {
            return Err(NOT_SUPPORTED);
        }
        out(pending, gpu.values().retired_pending as c_uint)
    }
    fn nvmlDeviceGetGpuFabricInfo(gpu, info: *mut nvmlGpuFabricInfo_t) {
        fabric(gpu)?;
        let values = gpu.values();
        out(info, nvmlGpuFabricInfo_t {
            clusterUuid: [0; 16],
            status: values.fabric_status as c_uint,
            cliqueId: 0,
            state: values.fabric_state as u8,
        })
    }
    fn nvmlDeviceGetGpuFabricInfoV(gpu, info: *mut nvmlGpuFabricInfo_v3_t) {
        // The caller's structure may be the shorter version 2: look at its version alone first.
        let version = input(info.cast::<c_uint>())?;
        fabric(gpu)?;
        let values = gpu.values();
        let (status, state) = (values.fabric_status as c_uint, values.fabric_state as u8);
        if version == version_of::<nvmlGpuFabricInfo_v2_t>(2) {
            return out(info.cast(), nvmlGpuFabricInfo_v2_t {
                version,
                clusterUuid: [0; 16],
                status,
                cliqueId: 0,
                state,
                healthMask: 0,
            });
        }
        if version != version_of::<nvmlGpuFabricInfo_v3_t>(3) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        out(info, nvmlGpuFabricInfo_v3_t {
            version,
            clusterUuid: [0; 16],
            status,
            cliqueId: 0,
            state,
            healthMask: 0,
            healthSummary: values.fabric_health as u8,
        })
    }
    fn nvmlDeviceGetPersistenceMode(gpu, mode: *mut c_uint) { out(mode, gpu.values().persistence as c_uint) }
    fn nvmlDeviceGetComputeMode(gpu, mode: *mut c_uint) { out(mode, gpu.values().compute_mode as c_uint) }
    fn nvmlDeviceGetViolationStatus(gpu, policy: c_uint, time: *mut nvmlViolationTime_t) {
        let reasons = gpu.truth().counters.reason_ns;
        let nanoseconds = match policy {
            0 => reasons[0],
            1 => reasons[2] + reasons[3],
            2 => reasons[1],
            3..=5 => 0.0,
            _ => return Err(NOT_SUPPORTED),
        };
        out(time, nvmlViolationTime_t {
            referenceTime: gpu.t.as_micros() as u64,
            violationTime: nanoseconds as u64,
        })
    }
}

fn fabric(gpu: &Target) -> Result<(), u32> {
    if gpu.gpu.preset.fabric { Ok(()) } else { Err(NOT_SUPPORTED) }
}

fn retired(gpu: &Target, cause: c_uint) -> Result<Vec<u64>, u32> {
    if !gpu.gpu.preset.retired_pages {
        return Err(NOT_SUPPORTED);
    }
    let values = gpu.values();
    let number = match cause {
        0 => values.retired_single,
        1 => values.retired_double,
        _ => return Err(INVALID_ARGUMENT),
    };
    Ok((0..number as u64).map(|page| 0x1_0000_0000 + page * 0x1000).collect())
}
