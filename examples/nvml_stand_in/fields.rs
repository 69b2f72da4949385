//! Field values: one answer, type and return code each. The numbers 251 to 273 have two numberings.

use crate::code::{Answer, INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS, input};
use crate::state::{Target, device_calls, stamp};
use kgtop::sources::scenario::GpuTruth;
use nvml_wrapper_sys::bindings::{nvmlFieldValue_t, nvmlValue_t};
use std::ffi::c_int;

/// `nvmlValueType_t`.
const UNSIGNED: u32 = 1;
const UNSIGNED_LONG_LONG: u32 = 3;
const SIGNED: u32 = 5;

/// All links together.
const ALL_LINKS: u32 = u32::MAX;

/// The first driver with the new numbering: 580.82.
const NEW_NUMBERING: (u32, u32) = (580, 82);

/// The first driver branch with the recovery action: 570 (nvml.h of CUDA 12.8).
const RECOVERY_ACTION: (u32, u32) = (570, 0);

enum Value {
    U32(u32),
    U64(u64),
    I32(i32),
}

/// The old number (251 to 253) of a reason's counter, whichever numbering the driver has.
fn old_number(field: u32, new_numbering: bool) -> u32 {
    match (field, new_numbering) {
        (269..=273, true) => field - 18,
        (251..=268, true) => field + 5,
        _ => field,
    }
}

fn field(gpu: &Target, truth: &GpuTruth, id: u32, scope: u32) -> Result<Value, u32> {
    let preset = gpu.gpu.preset;
    let values = &truth.values;
    let counters = &truth.counters;
    let reason = |index: usize| Ok(Value::U64(counters.reason_ns[index] as u64));
    let milliwatts = |watts: f64| Ok(Value::U32((watts * 1000.0) as u32));
    let limits = || preset.power_limits.ok_or(NOT_SUPPORTED);
    let of_links = |kib: f64| {
        if preset.nvlinks == 0 {
            return Err(NOT_SUPPORTED);
        }
        match scope {
            ALL_LINKS => Ok(Value::U64(kib as u64)),
            link if f64::from(link) < values.nvlinks_active => {
                Ok(Value::U64((kib / values.nvlinks_active) as u64))
            }
            link if link < preset.nvlinks => Ok(Value::U64(0)),
            _ => Err(INVALID_ARGUMENT),
        }
    };
    let remapped = |value: f64| preset.banks.map(|_| Value::U32(value as u32)).ok_or(NOT_SUPPORTED);
    let margin = |index: usize| preset.margins.map(|margins| Value::I32(margins[index])).ok_or(NOT_SUPPORTED);
    match old_number(id, gpu.state.driver() >= NEW_NUMBERING) {
        74 => reason(0),
        75 => Ok(Value::U64((counters.reason_ns[2] + counters.reason_ns[3]) as u64)),
        76 => reason(1),
        77..=79 => Ok(Value::U64(0)),
        82 if preset.memory_temperature => Ok(Value::U32(values.memory_temperature as u32)),
        83 => Ok(Value::U64((counters.energy * 1000.0) as u64)),
        91 if preset.nvlinks > 0 => Ok(Value::U32(preset.nvlinks)),
        94 => Ok(Value::U32(values.pcie_replays as u32)),
        95 => Ok(Value::U32(0)),
        138 | 140 => of_links(counters.nvlink_tx_kib),
        139 | 141 => of_links(counters.nvlink_rx_kib),
        142 => remapped(values.remapped_corrected),
        143 => remapped(values.remapped_uncorrected),
        144 => remapped(values.remap_pending),
        145 => remapped(values.remap_failed),
        147 if preset.nvswitch => Ok(Value::U32(values.nvlinks_active as u32)),
        185 | 186 if scope == 0 => milliwatts(values.power),
        187 => milliwatts(limits()?.0),
        188 => milliwatts(limits()?.1),
        189 => milliwatts(limits()?.2),
        190 | 192 => limits().and_then(|_| milliwatts(values.power_limit)),
        193 => margin(0),
        194 => margin(1),
        195 => margin(2),
        196 => margin(3),
        // 32 bits: wraps every 4 GiB, as on the H200.
        197 => Ok(Value::U32((counters.pcie_tx_kib * 1024.0) as u64 as u32)),
        198 => Ok(Value::U32((counters.pcie_rx_kib * 1024.0) as u64 as u32)),
        230 if gpu.state.driver() >= RECOVERY_ACTION => Ok(Value::U32(values.recovery_action as u32)),
        251 => reason(2),
        252 => reason(3),
        253 => reason(4),
        1..=308 => Err(NOT_SUPPORTED),
        _ => Err(INVALID_ARGUMENT),
    }
}

fn answer(gpu: &Target, truth: &GpuTruth, asked: nvmlFieldValue_t) -> nvmlFieldValue_t {
    let result = field(gpu, truth, asked.fieldId, asked.scopeId).map(|value| match value {
        Value::U32(number) => (UNSIGNED, nvmlValue_t { uiVal: number }),
        Value::U64(number) => (UNSIGNED_LONG_LONG, nvmlValue_t { ullVal: number }),
        Value::I32(number) => (SIGNED, nvmlValue_t { siVal: number }),
    });
    let (code, kind, value) = match result {
        Ok((kind, value)) => (SUCCESS, kind, value),
        Err(code) => (code, 0, nvmlValue_t { ullVal: 0 }),
    };
    nvmlFieldValue_t {
        timestamp: stamp(gpu.t) as i64,
        latencyUsec: 2,
        valueType: kind,
        nvmlReturn: code,
        value,
        ..asked
    }
}

device_calls! {
    fn nvmlDeviceGetFieldValues(gpu, count: c_int, values: *mut nvmlFieldValue_t) {
        fill(gpu, count, values)
    }
}

fn fill(gpu: &Target, count: c_int, values: *mut nvmlFieldValue_t) -> Answer {
    gpu.whole_gpu_only()?;
    let truth = gpu.truth();
    for index in 0..usize::try_from(count).map_err(|_| INVALID_ARGUMENT)? {
        let slot = values.wrapping_add(index);
        let asked = input(slot)?;
        unsafe { slot.write_unaligned(answer(gpu, &truth, asked)) };
    }
    Ok(())
}
