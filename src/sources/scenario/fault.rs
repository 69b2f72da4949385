//! Faults of driver calls, as a scenario orders them.

use super::Scenario;
use std::time::Duration;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// The call never returns.
    Block,
    /// The call never returns and holds the lock that every other call needs.
    BlockLibrary,
    /// The call returns this code.
    Error(u32),
    /// The process dies in the call.
    Crash,
    /// The call answers this number.
    Value(f64),
}

/// A fault and when it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRig {
    /// Name of the driver's function (`nvmlInit_v2`), or `*` for all about a GPU.
    pub call: String,
    /// GPUs; `None` for all, and for calls about no GPU.
    pub gpus: Option<Vec<u32>>,
    /// From when, in scenario seconds.
    pub from: f64,
    /// Until when.
    pub to: f64,
    /// What.
    pub kind: FaultKind,
}

impl Scenario {
    /// The fault that a call runs into at `t`; the first in the file that fits.
    #[must_use]
    pub fn fault(&self, call: &str, gpu: Option<u32>, t: Duration) -> Option<&FaultRig> {
        let local = self.local(t);
        self.faults().iter().find(|fault| {
            let is_call = fault.call == call || (fault.call == "*" && gpu.is_some());
            let is_gpu = match (&fault.gpus, gpu) {
                (None, _) => true,
                (Some(gpus), Some(gpu)) => gpus.contains(&gpu),
                (Some(_), None) => false,
            };
            is_call && is_gpu && fault.from <= local && local < fault.to
        })
    }
}

/// Whether a call is about no GPU.
pub(super) fn is_system_call(call: &str) -> bool {
    !call.starts_with("nvmlDevice") && !call.starts_with("nvmlGpm") && call != "*"
        || call.starts_with("nvmlDeviceGetCount")
}
