//! Every raw call into the driver library: what `nvml-wrapper` does not cover, or covers with a trap (scopes and
//! value types of field values, bit masks it truncates, enums it refuses, allocations at each reading).
//!
//! The only module with `unsafe` in it. Two facts carry most of the reasons below: NVML documents itself as
//! thread-safe, and the library is never shut down nor unloaded, so symbols and handles stay valid for good.

#![allow(unsafe_code, reason = "the driver library is a C library, called through its raw symbols here only")]

/// Calls a symbol whose last argument is an out pointer to `$out`, and gives what was written there.
macro_rules! get {
    ($device:expr, $symbol:ident ( $($argument:expr),* ), $out:expr) => {{
        let device = $device;
        let function = device.library.$symbol.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut out = $out;
        // SAFETY: the signature is the header's, the handle came from this library, and `out` is a whole
        // structure of the kind (and, where versioned, the version) that the function fills.
        Failure::check(unsafe { function(device.handle, $($argument,)* &raw mut out) })?;
        out
    }};
}

mod events;
mod gpm;
mod library;
mod mig;
mod set;

pub(super) use events::EventSet;
pub(super) use gpm::GpmSample;
pub(super) use library::hold_library;
pub use library::leave;

use super::error::{Failure, code};
use super::version::struct_version;
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings as sys;
use std::ffi::c_int;

/// A plain C structure or number of which all-zero bytes are a value.
///
/// # Safety
/// Only for types without references, `NonNull`s, or enums without a zero.
unsafe trait Plain: Sized {
    fn zeroed() -> Self {
        // SAFETY: the implementor vouches that zero bytes are a value.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! plain {
    ($($type:ty)*) => { $(
        // SAFETY: integers, floats, arrays and unions of them, and nullable pointers only.
        unsafe impl Plain for $type {}
    )* };
}
plain! {
    u32 u64
    sys::nvmlDeviceAddressingMode_v1_t sys::nvmlEccSramErrorStatus_v1_t sys::nvmlEventData_st sys::nvmlFieldValue_st
    sys::nvmlGpuInstanceProfileInfo_v2_t
    sys::nvmlGpmMetric_t sys::nvmlGpuFabricInfo_t sys::nvmlGpuFabricInfo_v2_t sys::nvmlGpuFabricInfo_v3_t
    sys::nvmlMarginTemperature_v1_t sys::nvmlMemory_st sys::nvmlProcessInfo_v2_st
    sys::nvmlProcessUtilizationSample_st sys::nvmlRowRemapperHistogramValues_st sys::nvmlSample_st
}

/// A device, for raw calls.
#[derive(Clone, Copy)]
pub(super) struct RawDevice {
    library: &'static sys::NvmlLib,
    handle: sys::nvmlDevice_t,
}

// SAFETY: a handle is an opaque token that NVML accepts on any thread; it is never dereferenced here.
unsafe impl Send for RawDevice {}

impl RawDevice {
    pub(super) fn new(nvml: &'static Nvml, device: &Device<'static>) -> Self {
        // SAFETY: the handle is only passed back to the library it came from, which is never shut down.
        Self { library: nvml.lib(), handle: unsafe { device.handle() } }
    }

    pub(super) fn architecture(self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetArchitecture(), 0))
    }

    pub(super) fn brand(self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetBrand(), 0))
    }

    pub(super) fn module_id(self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetModuleId(), 0))
    }

    pub(super) fn gpu_max_pcie_generation(self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetGpuMaxPcieLinkGeneration(), 0))
    }

    /// 0 none, 1 HMM, 2 ATS.
    pub(super) fn addressing_mode(self) -> Result<u32, Failure> {
        let mut out = sys::nvmlDeviceAddressingMode_v1_t::zeroed();
        out.version = struct_version::<sys::nvmlDeviceAddressingMode_v1_t>(1);
        Ok(get!(self, nvmlDeviceGetAddressingMode(), out).value)
    }

    pub(super) fn clock_events(self) -> Result<u64, Failure> {
        Ok(get!(self, nvmlDeviceGetCurrentClocksEventReasons(), 0))
    }

    pub(super) fn throttle_reasons(self) -> Result<u64, Failure> {
        Ok(get!(self, nvmlDeviceGetCurrentClocksThrottleReasons(), 0))
    }

    pub(super) fn supported_clock_events(self) -> Result<u64, Failure> {
        Ok(get!(self, nvmlDeviceGetSupportedClocksEventReasons(), 0))
    }

    pub(super) fn supported_throttle_reasons(self) -> Result<u64, Failure> {
        Ok(get!(self, nvmlDeviceGetSupportedClocksThrottleReasons(), 0))
    }

    /// Total, free and used (reserved included) bytes.
    pub(super) fn memory_v1(self) -> Result<sys::nvmlMemory_st, Failure> {
        Ok(get!(self, nvmlDeviceGetMemoryInfo(), sys::nvmlMemory_st::zeroed()))
    }

    /// Degrees to the first slowdown; signed.
    pub(super) fn margin_temperature(self) -> Result<i32, Failure> {
        let mut out = sys::nvmlMarginTemperature_v1_t::zeroed();
        out.version = struct_version::<sys::nvmlMarginTemperature_v1_t>(1);
        Ok(get!(self, nvmlDeviceGetMarginTemperature(), out).marginTemperature)
    }

    pub(super) fn sram_threshold_exceeded(self) -> Result<bool, Failure> {
        let mut out = sys::nvmlEccSramErrorStatus_v1_t::zeroed();
        out.version = struct_version::<sys::nvmlEccSramErrorStatus_v1_t>(1);
        Ok(get!(self, nvmlDeviceGetSramEccErrorStatus(), out).bThresholdExceeded != 0)
    }

    /// Banks by spare rows left: max, high, partial, low, none.
    pub(super) fn row_remapper_histogram(self) -> Result<[u32; 5], Failure> {
        let out = sys::nvmlRowRemapperHistogramValues_st::zeroed();
        let out = get!(self, nvmlDeviceGetRowRemapperHistogram(), out);
        Ok([out.max, out.high, out.partial, out.low, out.none])
    }

    /// Fabric state, status and health summary (`None` before R575, whose structure has none).
    pub(super) fn fabric(self) -> Result<(u32, u32, Option<u32>), Failure> {
        match self.fabric_v3() {
            Err(Failure::Code(code::ARGUMENT_VERSION_MISMATCH)) => self.fabric_v2(),
            other => other,
        }
    }

    fn fabric_v3(self) -> Result<(u32, u32, Option<u32>), Failure> {
        let mut out = sys::nvmlGpuFabricInfo_v3_t::zeroed();
        out.version = struct_version::<sys::nvmlGpuFabricInfo_v3_t>(3);
        let out = get!(self, nvmlDeviceGetGpuFabricInfoV(), out);
        Ok((u32::from(out.state), out.status, Some(u32::from(out.healthSummary))))
    }

    fn fabric_v2(self) -> Result<(u32, u32, Option<u32>), Failure> {
        // The symbol takes the newest structure; version 2 is its beginning, and the version word says so.
        let mut out = sys::nvmlGpuFabricInfo_v3_t::zeroed();
        out.version = struct_version::<sys::nvmlGpuFabricInfo_v2_t>(2);
        let out = get!(self, nvmlDeviceGetGpuFabricInfoV(), out);
        Ok((u32::from(out.state), out.status, None))
    }

    /// Fabric state and status, before R550.
    pub(super) fn fabric_v1(self) -> Result<(u32, u32, Option<u32>), Failure> {
        let out = get!(self, nvmlDeviceGetGpuFabricInfo(), sys::nvmlGpuFabricInfo_t::zeroed());
        Ok((u32::from(out.state), out.status, None))
    }

    /// Kind of the other end of a link: 0 GPU, 1 NPU, 2 switch, 255 unknown. The wrapper's call answers "unknown"
    /// always: it lets the driver write to a copy.
    pub(super) fn nvlink_remote_type(self, link: u32) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetNvLinkRemoteDeviceType(link), 0))
    }

    /// `nvmlGpuTopologyLevel_t` of the nearest place that this GPU and another share.
    pub(super) fn common_ancestor(self, other: Self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetTopologyCommonAncestor(other.handle), 0))
    }

    /// `nvmlGpuP2PStatus_t` of a capability between this GPU and another.
    pub(super) fn p2p_status(self, other: Self, capability: u32) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetP2PStatus(other.handle, capability), 0))
    }

    pub(super) fn gpu_instance(self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetGpuInstanceId(), 0))
    }

    pub(super) fn compute_instance(self) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetComputeInstanceId(), 0))
    }

    /// Reads `(field, scope)` pairs in one call; answers come back by position (the driver may renumber ids).
    pub(super) fn field_values(
        self,
        requests: &[(u32, u32)],
    ) -> Result<Vec<Result<FieldValue, Failure>>, Failure> {
        let function = self.library.nvmlDeviceGetFieldValues.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut values = field_list(requests);
        let count = c_int::try_from(requests.len()).unwrap_or(c_int::MAX);
        // SAFETY: `values` holds `count` whole structures, and one behind them that the driver may write to.
        Failure::check(unsafe { function(self.handle, count, values.as_mut_ptr()) })?;
        Ok(values
            .iter()
            .take(requests.len())
            .map(|value| {
                Failure::check(value.nvmlReturn)?;
                FieldValue::of(value.valueType, value.value)
            })
            .collect())
    }

    /// The sample buffer `kind`, what is newer than `since_us`; `(timestamp in µs, value)`, oldest first. No new
    /// samples are an empty list.
    pub(super) fn samples(
        self,
        kind: u32,
        since_us: u64,
        room: &mut usize,
    ) -> Result<Vec<(u64, f64)>, Failure> {
        let function = self.library.nvmlDeviceGetSamples.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut value_type = 0;
        let samples = fill(room, |count, buffer: *mut sys::nvmlSample_st| {
            // SAFETY: `buffer` has room for `count` samples.
            unsafe { function(self.handle, kind, since_us, &raw mut value_type, count, buffer) }
        })?;
        samples
            .iter()
            .map(|sample| Ok((sample.timeStamp, FieldValue::of(value_type, sample.sampleValue)?.as_f64())))
            .collect()
    }

    /// Utilisation samples of processes newer than `since_us`. None is an empty list.
    pub(super) fn process_utilization(
        self,
        since_us: u64,
        room: &mut usize,
    ) -> Result<Vec<UtilizationSample>, Failure> {
        let function = self.library.nvmlDeviceGetProcessUtilization.as_ref().ok().ok_or(Failure::MISSING)?;
        let samples = fill(room, |count, buffer: *mut sys::nvmlProcessUtilizationSample_st| {
            // SAFETY: `buffer` has room for `count` samples.
            unsafe { function(self.handle, buffer, count, since_us) }
        })?;
        Ok(samples
            .iter()
            .map(|sample| UtilizationSample {
                pid: sample.pid,
                at_us: sample.timeStamp,
                shares: [sample.smUtil, sample.memUtil, sample.encUtil, sample.decUtil],
            })
            .collect())
    }

    /// One of the process lists.
    pub(super) fn processes(self, list: List, room: &mut usize) -> Result<Vec<ProcessEntry>, Failure> {
        let library = self.library;
        let function = match list {
            List::ComputeV3 => &library.nvmlDeviceGetComputeRunningProcesses_v3,
            List::GraphicsV3 => &library.nvmlDeviceGetGraphicsRunningProcesses_v3,
            List::MpsV3 => &library.nvmlDeviceGetMPSComputeRunningProcesses_v3,
            List::ComputeV2 => &library.nvmlDeviceGetComputeRunningProcesses_v2,
            List::GraphicsV2 => &library.nvmlDeviceGetGraphicsRunningProcesses_v2,
            List::MpsV2 => &library.nvmlDeviceGetMPSComputeRunningProcesses_v2,
        };
        let function = function.as_ref().ok().ok_or(Failure::MISSING)?;
        let entries = fill(room, |count, buffer: *mut sys::nvmlProcessInfo_v2_st| {
            // SAFETY: `buffer` has room for `count` entries of 24 bytes, the size in both versions (the drivers
            // whose v3 has 32 are asked for v2).
            unsafe { function(self.handle, count, buffer) }
        })?;
        Ok(entries
            .iter()
            .map(|entry| ProcessEntry {
                pid: entry.pid,
                memory: Some(entry.usedGpuMemory).filter(|bytes| *bytes != u64::MAX),
                gpu_instance: Some(entry.gpuInstanceId).filter(|id| *id != u32::MAX),
                compute_instance: Some(entry.computeInstanceId).filter(|id| *id != u32::MAX),
            })
            .collect())
    }
}

/// The list for `nvmlDeviceGetFieldValues`, and one entry more that is not counted.
///
/// Driver 580.159.04 was seen to write the time, latency and value of its NVLink fields (138 and 139) into the entry
/// behind the last one, on two H100 with NVLink: what stood there was the size of the next heap block. The entry that
/// is not counted takes that; fields of NVLink traffic are asked by themselves besides (`counters`).
fn field_list(requests: &[(u32, u32)]) -> Vec<sys::nvmlFieldValue_st> {
    let entry = |(field, scope)| {
        let mut value = sys::nvmlFieldValue_st::zeroed();
        value.fieldId = field;
        value.scopeId = scope;
        value
    };
    requests.iter().copied().chain([(0, 0)]).map(entry).collect()
}

/// How many times a growing list is asked for again before giving up on it.
const FILL_TRIES: usize = 3;

/// Fills a list by the calling convention of NVML's array functions: room in, count out, `INSUFFICIENT_SIZE` with
/// the needed count when there is too little. `room` is kept for the next reading, so that one call suffices then.
/// `NOT_FOUND` and `NO_DATA` mean nothing new.
fn fill<T: Plain + Clone>(
    room: &mut usize,
    call: impl FnMut(*mut u32, *mut T) -> u32,
) -> Result<Vec<T>, Failure> {
    let mut call = call;
    for _ in 0..FILL_TRIES {
        let mut entries = vec![T::zeroed(); *room];
        let mut count = u32::try_from(*room).unwrap_or(u32::MAX);
        let status = call(&raw mut count, entries.as_mut_ptr());
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match status {
            code::SUCCESS => {
                entries.truncate(count);
                return Ok(entries);
            }
            code::NOT_FOUND | code::NO_DATA => return Ok(Vec::new()),
            // A few more than asked for: the list may grow until the next try. The cap keeps a broken answer from
            // taking all memory.
            code::INSUFFICIENT_SIZE => *room = (count.max(*room) + 16).min(1 << 16),
            other => return Err(Failure::Code(other)),
        }
    }
    Err(Failure::Code(code::INSUFFICIENT_SIZE))
}

/// A process list function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    ComputeV3,
    GraphicsV3,
    MpsV3,
    ComputeV2,
    GraphicsV2,
    MpsV2,
}

/// One entry of a process list; what the driver marks as not available is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProcessEntry {
    pub(super) pid: u32,
    pub(super) memory: Option<u64>,
    pub(super) gpu_instance: Option<u32>,
    pub(super) compute_instance: Option<u32>,
}

/// One utilisation sample of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UtilizationSample {
    pub(super) pid: u32,
    /// The driver's clock, µs.
    pub(super) at_us: u64,
    /// SM, memory, encoder, decoder, per cent.
    pub(super) shares: [u32; 4],
}

/// A value of a type that NVML names at run time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum FieldValue {
    U32(u32),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl FieldValue {
    fn of(value_type: u32, value: sys::nvmlValue_st) -> Result<Self, Failure> {
        // SAFETY: NVML names the union's active member by the type. Every member is a number for which all bit
        // patterns are values.
        unsafe {
            Ok(match value_type {
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE => Self::F64(value.dVal),
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => Self::U32(value.uiVal),
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG => Self::U64(value.ulVal),
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => Self::U64(value.ullVal),
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG => Self::I64(value.sllVal),
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT => Self::I64(i64::from(value.siVal)),
                sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_SHORT => Self::U32(u32::from(value.usVal)),
                other => return Err(Failure::Nonsense(format!("unknown value type {other}").into())),
            })
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::U32(value) => f64::from(value),
            Self::U64(value) => value as f64,
            Self::I64(value) => value as f64,
            Self::F64(value) => value,
        }
    }
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
