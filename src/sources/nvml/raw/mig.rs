//! What can be made of a GPU in MIG mode.

use super::super::error::Failure;
use super::super::version::struct_version;
use super::{Plain, RawDevice};
use nvml_wrapper_sys::bindings as sys;
use std::ffi::c_uint;

impl RawDevice {
    /// The profile of that number of `NVML_GPU_INSTANCE_PROFILE_*`, with its name, which version 1 does not have.
    pub(in super::super) fn mig_profile(
        self,
        number: c_uint,
    ) -> Result<sys::nvmlGpuInstanceProfileInfo_v2_t, Failure> {
        let mut out = sys::nvmlGpuInstanceProfileInfo_v2_t::zeroed();
        out.version = struct_version::<sys::nvmlGpuInstanceProfileInfo_v2_t>(2);
        Ok(get!(self, nvmlDeviceGetGpuInstanceProfileInfoV(number), out))
    }

    /// How many more instances of the profile of that id can be made.
    pub(in super::super) fn mig_remaining(self, id: c_uint) -> Result<u32, Failure> {
        Ok(get!(self, nvmlDeviceGetGpuInstanceRemainingCapacity(id), 0))
    }
}
