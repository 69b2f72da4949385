//! Xids as the driver itself tells them: no right to read the kernel log is needed. Only what happens after the
//! registration is told, and nothing but the code, the GPU and the MIG instance.

use super::error::{Failure, code};
use super::raw::{EventSet, RawDevice};
use super::{CallId, Caller, MOST_DEVICES, Session};
use crate::model::{Absence, GpuId, Reading};
use std::time::Duration;

/// One Xid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XidEvent {
    /// Which GPU; `None` where the driver names one that was not registered.
    pub gpu: Option<GpuId>,
    /// The Xid.
    pub code: u64,
    /// MIG GPU instance.
    pub gpu_instance: Option<u32>,
    /// MIG compute instance.
    pub compute_instance: Option<u32>,
}

impl XidEvent {
    /// As the kernel log would begin it: `Xid 94 GPU-I:01 GPU-CI:00`.
    #[must_use]
    pub fn text(&self) -> String {
        let instance =
            |name: &str, id: Option<u32>| id.map_or_else(String::new, |id| format!(" {name}:{id:02}"));
        format!(
            "Xid {}{}{}",
            self.code,
            instance("GPU-I", self.gpu_instance),
            instance("GPU-CI", self.compute_instance)
        )
    }
}

/// GPUs that tell of their Xids. It belongs to the thread that waits.
pub struct XidEvents {
    set: EventSet,
    gpus: Vec<(RawDevice, GpuId)>,
}

impl Session {
    /// Lets every GPU that can tell of its Xids.
    ///
    /// # Errors
    /// When this driver has no event sets, or no GPU that could tell.
    pub fn xid_events(&self, caller: &Caller) -> Reading<XidEvents> {
        let count = self.count(caller)?;
        let set = caller
            .call(CallId::EventSetCreate, || EventSet::new(self.nvml))
            .map_err(|failure| Absence::from(&failure))?;
        let mut reason = Absence::NotSupported;
        let mut gpus = Vec::new();
        for index in 0..count.min(MOST_DEVICES) {
            let device = self.device(caller, index);
            let Some(raw) = device.port.raw_device() else { continue };
            match register(caller, &set, raw) {
                Ok(()) => gpus.push((raw, device.id())),
                Err(failure) => reason = Absence::from(&failure),
            }
        }
        let events = XidEvents { set, gpus };
        if events.gpus.is_empty() {
            events.release(caller);
            return Err(reason);
        }
        Ok(events)
    }
}

fn register(caller: &Caller, set: &EventSet, device: RawDevice) -> Result<(), Failure> {
    // A GPU of which the library does not know whether it can is asked to all the same.
    if let Ok(false) = caller.call(CallId::EventTypes, || device.tells_xids()) {
        return Err(Failure::Code(code::NOT_SUPPORTED));
    }
    caller.call(CallId::RegisterEvents, || set.register(device))
}

impl XidEvents {
    /// How many GPUs tell.
    #[must_use]
    pub fn gpus(&self) -> usize {
        self.gpus.len()
    }

    /// Gives the driver its set back: the next one has the GPUs that are left then. A driver that does not take it back
    /// keeps it, as nothing else can be done about it.
    pub fn release(self, caller: &Caller) {
        let _kept = caller.call(CallId::EventSetFree, || self.set.free());
    }

    /// Waits for the next Xid; `None` when there was none in that time.
    ///
    /// # Errors
    /// When the set cannot be waited for any more (a GPU is lost).
    pub fn wait(&self, caller: &Caller, at_most: Duration) -> Reading<Option<XidEvent>> {
        let answer = caller.call(CallId::EventSetWait, || self.set.wait(at_most));
        let told = answer.map_err(|failure| Absence::from(&failure))?;
        Ok(told.map(|xid| XidEvent {
            gpu: self.gpus.iter().find(|(device, _)| xid.is_of(*device)).map(|(_, id)| id.clone()),
            code: xid.code,
            gpu_instance: xid.gpu_instance,
            compute_instance: xid.compute_instance,
        }))
    }
}
