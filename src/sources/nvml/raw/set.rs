//! Calls that change a device. Each is made once; the caller reads back what came of it.

use super::super::error::Failure;
use super::RawDevice;
use std::ffi::c_uint;

/// Calls a symbol that takes a device and numbers, and answers with a status only.
macro_rules! set {
    ($device:expr, $symbol:ident ( $($argument:expr),* )) => {{
        let device = $device;
        let function = device.library.$symbol.as_ref().ok().ok_or(Failure::MISSING)?;
        // SAFETY: the signature is the header's (a device and plain numbers), and the handle came from this
        // library, which is never shut down.
        Failure::check(unsafe { function(device.handle, $($argument,)*) })
    }};
}

impl RawDevice {
    pub(in super::super) fn set_power_limit(self, milliwatts: c_uint) -> Result<(), Failure> {
        set!(self, nvmlDeviceSetPowerManagementLimit(milliwatts))
    }

    pub(in super::super) fn set_persistence(self, on: bool) -> Result<(), Failure> {
        set!(self, nvmlDeviceSetPersistenceMode(c_uint::from(on)))
    }

    pub(in super::super) fn set_compute_mode(self, mode: c_uint) -> Result<(), Failure> {
        set!(self, nvmlDeviceSetComputeMode(mode))
    }

    pub(in super::super) fn lock_graphics_clocks(self, least: c_uint, most: c_uint) -> Result<(), Failure> {
        set!(self, nvmlDeviceSetGpuLockedClocks(least, most))
    }

    pub(in super::super) fn unlock_graphics_clocks(self) -> Result<(), Failure> {
        set!(self, nvmlDeviceResetGpuLockedClocks())
    }

    pub(in super::super) fn lock_memory_clocks(self, least: c_uint, most: c_uint) -> Result<(), Failure> {
        set!(self, nvmlDeviceSetMemoryLockedClocks(least, most))
    }

    pub(in super::super) fn unlock_memory_clocks(self) -> Result<(), Failure> {
        set!(self, nvmlDeviceResetMemoryLockedClocks())
    }

    pub(in super::super) fn default_application_clocks(self) -> Result<(), Failure> {
        set!(self, nvmlDeviceResetApplicationsClocks())
    }

    /// 0 volatile, 1 aggregate.
    pub(in super::super) fn clear_ecc(self, counters: c_uint) -> Result<(), Failure> {
        set!(self, nvmlDeviceClearEccErrorCounts(counters))
    }
}
