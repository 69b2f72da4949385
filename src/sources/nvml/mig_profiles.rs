//! Profiles of which MIG instances can be made.

use super::Device;
use super::call::{CallId, Caller};
use super::error::{Failure, code};
use super::names::mig_profile;
use crate::model::{Absence, Reading};
use nvml_wrapper_sys::bindings as sys;

/// A profile as the driver describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct MigProfileInfo {
    /// The driver's number of it on this GPU, which commands take.
    pub id: u32,
    /// Name as nvidia-smi has it.
    pub name: String,
    /// Framebuffer of an instance, MiB.
    pub memory_mib: u64,
    /// How many the GPU can hold when it is empty.
    pub most: u32,
    /// How many more can be made now.
    pub free: Reading<u32>,
}

impl Device {
    /// Every profile that the GPU offers; asked only where an instance is to be made.
    ///
    /// # Errors
    /// Not supported where the board knows no MIG, or the driver has no call that names profiles (before R515).
    pub fn mig_profiles(&mut self, caller: &Caller) -> Reading<Vec<MigProfileInfo>> {
        let mut profiles = Vec::new();
        for number in 0..sys::NVML_GPU_INSTANCE_PROFILE_COUNT {
            let info = self
                .port
                .attempt(caller, CallId::MigProfile, number, |handle| handle.raw.mig_profile(number));
            match info {
                Ok(info) => {
                    let free = self.port.attempt(caller, CallId::MigRemaining, info.id, |handle| {
                        handle.raw.mig_remaining(info.id)
                    });
                    let name = text(&info.name);
                    profiles.push(MigProfileInfo {
                        id: info.id,
                        name: mig_profile(&name).map_or_else(|| name.clone(), str::to_owned),
                        memory_mib: info.memorySizeMB,
                        most: info.instanceCount,
                        free: free.map_err(|failure| Absence::from(&failure)),
                    });
                }
                // A profile of other boards.
                Err(Failure::Code(code::NOT_SUPPORTED | code::INVALID_ARGUMENT)) => {}
                Err(failure) => return Err(Absence::from(&failure)),
            }
        }
        if profiles.is_empty() { Err(Absence::NotSupported) } else { Ok(profiles) }
    }
}

/// The text of a `char[]` up to its end.
fn text(chars: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = chars
        .iter()
        .map(|byte| byte.to_ne_bytes())
        .map(|[byte]| byte)
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
