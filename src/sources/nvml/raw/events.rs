//! Event sets.

use super::super::error::{Failure, code};
use super::{Plain, RawDevice};
use nvml_wrapper::Nvml;
use nvml_wrapper_sys::bindings as sys;
use std::ffi::c_uint;
use std::time::Duration;

/// `nvmlEventTypeXidCriticalError` of nvml.h.
const XID: u64 = sys::nvmlEventTypeXidCriticalError as u64;
/// No MIG instance (nvml.h).
const NO_INSTANCE: u32 = u32::MAX;

/// A set of devices that tell of their Xids. Whoever makes another one [frees](EventSet::free) it first.
pub(in super::super) struct EventSet {
    library: &'static sys::NvmlLib,
    set: sys::nvmlEventSet_t,
}

// SAFETY: an opaque token of the library's; this value alone uses it, from one thread at a time.
unsafe impl Send for EventSet {}

/// One Xid as the driver tells it.
pub(in super::super) struct RawXid {
    handle: sys::nvmlDevice_t,
    pub(in super::super) code: u64,
    pub(in super::super) gpu_instance: Option<u32>,
    pub(in super::super) compute_instance: Option<u32>,
}

impl RawXid {
    /// Whether it is about that device.
    pub(in super::super) fn is_of(&self, device: RawDevice) -> bool {
        self.handle == device.handle
    }
}

impl EventSet {
    pub(in super::super) fn new(nvml: &'static Nvml) -> Result<Self, Failure> {
        let library = nvml.lib();
        let function = library.nvmlEventSetCreate.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut set = std::ptr::null_mut();
        // SAFETY: the function writes one pointer.
        Failure::check(unsafe { function(&raw mut set) })?;
        if set.is_null() {
            Err(Failure::Nonsense("no event set was given".into()))
        } else {
            Ok(Self { library, set })
        }
    }

    /// Gives the set back to the library.
    pub(in super::super) fn free(self) -> Result<(), Failure> {
        let function = self.library.nvmlEventSetFree.as_ref().ok().ok_or(Failure::MISSING)?;
        // SAFETY: the set came from the library, and this value, which alone knew it, ends here.
        Failure::check(unsafe { function(self.set) })
    }

    /// From now on the device tells of its Xids.
    pub(in super::super) fn register(&self, device: RawDevice) -> Result<(), Failure> {
        let function = self.library.nvmlDeviceRegisterEvents.as_ref().ok().ok_or(Failure::MISSING)?;
        // SAFETY: handle and set came from the library.
        Failure::check(unsafe { function(device.handle, XID, self.set) })
    }

    /// Waits for the next Xid; `None` when there was none in that time.
    pub(in super::super) fn wait(&self, at_most: Duration) -> Result<Option<RawXid>, Failure> {
        let function = self.library.nvmlEventSetWait_v2.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut data = sys::nvmlEventData_st::zeroed();
        let milliseconds = c_uint::try_from(at_most.as_millis()).unwrap_or(c_uint::MAX);
        // SAFETY: the function writes one structure.
        match Failure::check(unsafe { function(self.set, &raw mut data, milliseconds) }) {
            Err(Failure::Code(code::TIMEOUT)) => return Ok(None),
            answer => answer?,
        }
        let instance = |id: u32| Some(id).filter(|id| *id != NO_INSTANCE);
        Ok((data.eventType & XID != 0).then(|| RawXid {
            handle: data.device,
            code: data.eventData,
            gpu_instance: instance(data.gpuInstanceId),
            compute_instance: instance(data.computeInstanceId),
        }))
    }
}

impl RawDevice {
    /// Whether the device can tell of Xids.
    pub(in super::super) fn tells_xids(self) -> Result<bool, Failure> {
        let function = self.library.nvmlDeviceGetSupportedEventTypes.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut types = 0;
        // SAFETY: the function writes one number.
        Failure::check(unsafe { function(self.handle, &raw mut types) })?;
        Ok(types & XID != 0)
    }
}
