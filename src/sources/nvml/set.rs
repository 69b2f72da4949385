//! What a confirmed plan sets. Nothing else in kgtop calls this.

use super::Device;
use super::call::{CallId, Caller};
use super::error::Failure;
use super::raw::RawDevice;
use crate::model::Reading;
use crate::model::nvml_code::code_name;
use crate::units::Megahertz;
use nvml_wrapper::enum_wrappers::device::Clock;

/// One setting, in the driver's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Power limit, mW.
    PowerLimit(u32),
    /// Persistence mode.
    Persistence(bool),
    /// Compute mode (`nvmlComputeMode_t`).
    ComputeMode(u32),
    /// SM clock range, MHz.
    LockGraphicsClocks(u32, u32),
    /// No SM clock range.
    UnlockGraphicsClocks,
    /// Memory clock range, MHz.
    LockMemoryClocks(u32, u32),
    /// No memory clock range.
    UnlockMemoryClocks,
    /// Application clocks as they were at first.
    DefaultApplicationClocks,
    /// ECC counters to zero: 0 volatile, 1 aggregate.
    ClearEcc(u32),
}

/// A raw call with its arguments.
type SetCall = Box<dyn FnOnce(RawDevice) -> Result<(), Failure>>;

/// What the driver said to a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {name}")]
pub struct SetError {
    /// The function.
    pub call: &'static str,
    /// NVML's return code; 0 where there is none.
    pub code: u32,
    /// Its name.
    pub name: String,
}

impl Device {
    /// Sets it, once. Success says that the driver took it, not that it holds: read it back.
    ///
    /// # Errors
    /// The driver's refusal, by its own name.
    pub fn set(&mut self, caller: &Caller, setting: Setting) -> Result<(), SetError> {
        use Setting as S;
        let (id, call): (CallId, SetCall) = match setting {
            S::PowerLimit(mw) => (CallId::SetPowerLimit, Box::new(move |d| d.set_power_limit(mw))),
            S::Persistence(on) => (CallId::SetPersistence, Box::new(move |d| d.set_persistence(on))),
            S::ComputeMode(mode) => (CallId::SetComputeMode, Box::new(move |d| d.set_compute_mode(mode))),
            S::LockGraphicsClocks(least, most) => {
                (CallId::LockGraphicsClocks, Box::new(move |d| d.lock_graphics_clocks(least, most)))
            }
            S::UnlockGraphicsClocks => {
                (CallId::UnlockGraphicsClocks, Box::new(RawDevice::unlock_graphics_clocks))
            }
            S::LockMemoryClocks(least, most) => {
                (CallId::LockMemoryClocks, Box::new(move |d| d.lock_memory_clocks(least, most)))
            }
            S::UnlockMemoryClocks => (CallId::UnlockMemoryClocks, Box::new(RawDevice::unlock_memory_clocks)),
            S::DefaultApplicationClocks => {
                (CallId::DefaultApplicationClocks, Box::new(RawDevice::default_application_clocks))
            }
            S::ClearEcc(counters) => (CallId::ClearEcc, Box::new(move |d| d.clear_ecc(counters))),
        };
        self.port.attempt(caller, id, 0, |handle| call(handle.raw)).map_err(|failure| {
            let (code, name) = match failure {
                Failure::Code(code) => {
                    (code, code_name(code).map_or_else(|| format!("NVML error {code}"), str::to_owned))
                }
                Failure::Nonsense(text) => (0, text.to_string()),
            };
            SetError { call: id.name(), code, name }
        })
    }

    /// Application clocks of the SMs and of the memory now, and their defaults: the only setting whose reading back
    /// nothing else needs.
    ///
    /// # Errors
    /// Where the GPU has none, or the driver no longer knows the call.
    pub fn application_clocks(&mut self, caller: &Caller) -> Reading<([Megahertz; 2], [Megahertz; 2])> {
        let mut read = |id: CallId, variant: u32, clock: Clock| {
            self.port
                .safe_variant(caller, id, variant, |device| match id {
                    CallId::ApplicationClock => device.applications_clock(clock),
                    _ => device.default_applications_clock(clock),
                })
                .map(Megahertz)
        };
        let now = [
            read(CallId::ApplicationClock, 0, Clock::Graphics)?,
            read(CallId::ApplicationClock, 1, Clock::Memory)?,
        ];
        let default = [
            read(CallId::ApplicationClockDefault, 0, Clock::Graphics)?,
            read(CallId::ApplicationClockDefault, 1, Clock::Memory)?,
        ];
        Ok((now, default))
    }
}
