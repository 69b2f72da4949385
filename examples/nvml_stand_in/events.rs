//! Event sets: the Xids that the scenario writes to the kernel log, from the registration on.

use crate::code::{INSUFFICIENT_RESOURCES, INVALID_ARGUMENT, NOT_FOUND, TIMEOUT, out};
use crate::state::{State, device_calls, handle_of, system_calls};
use kgtop::analysis::kernel_log::{Kind, Line, PciAddress, parse};
use nvml_wrapper_sys::bindings::{nvmlEventData_t, nvmlEventSet_t};
use std::collections::BTreeMap;
use std::ffi::{c_uint, c_ulonglong};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `nvmlEventTypeXidCriticalError`.
const XID: u64 = 8;
/// How often to look whether something happened: a scenario's lines have no alarm.
const LOOK: Duration = Duration::from_millis(20);

/// The one set that is handed out; its address is its name. There is no second one before it is freed, so that who
/// frees none is found out.
static SET: u8 = 0;
static OUT: AtomicBool = AtomicBool::new(false);
/// GPUs that tell, and up to which scenario time they have.
static TOLD: Mutex<BTreeMap<u32, Duration>> = Mutex::new(BTreeMap::new());

fn the_set() -> nvmlEventSet_t {
    (&raw const SET).cast_mut().cast()
}

/// The next Xid line of a GPU that tells.
fn next(state: &State, told: &mut BTreeMap<u32, Duration>) -> Option<(u32, u32, Option<u32>, Option<u32>)> {
    let now = state.now();
    for line in state.scenario.kernel_lines() {
        let at = Duration::from_secs_f64(line.at);
        let Some(Line::Event(event)) = parse(&line.text).filter(|_| at <= now) else { continue };
        let (Kind::Xid, Some(code)) = (event.kind, event.code) else { continue };
        let of_gpu = |gpu: &&kgtop::sources::scenario::GpuRig| PciAddress::parse(&gpu.pci) == event.pci;
        let Some(gpu) = state.scenario.gpus().iter().find(of_gpu) else { continue };
        if told.get(&gpu.index).is_some_and(|until| *until < at) {
            told.insert(gpu.index, at);
            return Some((gpu.index, code, event.gpu_instance, event.compute_instance));
        }
    }
    None
}

device_calls! {
    fn nvmlDeviceGetSupportedEventTypes(_gpu, types: *mut c_ulonglong) { out(types, XID) }
    fn nvmlDeviceRegisterEvents(gpu, types: c_ulonglong, set: nvmlEventSet_t) {
        if set != the_set() || types & !XID != 0 {
            return Err(INVALID_ARGUMENT);
        }
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(gpu.gpu.index, gpu.t);
        Ok(())
    }
}

system_calls! {
    fn nvmlEventSetCreate(_state, set: *mut nvmlEventSet_t) {
        if OUT.swap(true, Ordering::SeqCst) {
            return Err(INSUFFICIENT_RESOURCES);
        }
        out(set, the_set())
    }
    fn nvmlEventSetFree(_state, set: nvmlEventSet_t) {
        if set != the_set() || !OUT.swap(false, Ordering::SeqCst) {
            return Err(NOT_FOUND);
        }
        TOLD.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
    fn nvmlEventSetWait_v2(state, set: nvmlEventSet_t, data: *mut nvmlEventData_t, milliseconds: c_uint) {
        if set != the_set() {
            return Err(INVALID_ARGUMENT);
        }
        let until = state.now() + Duration::from_millis(u64::from(milliseconds));
        loop {
            let found = next(state, &mut TOLD.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some((gpu, code, gpu_instance, compute_instance)) = found {
                return out(data, nvmlEventData_t {
                    device: handle_of(gpu, None),
                    eventType: XID,
                    eventData: u64::from(code),
                    gpuInstanceId: gpu_instance.unwrap_or(u32::MAX),
                    computeInstanceId: compute_instance.unwrap_or(u32::MAX),
                });
            }
            if state.now() >= until {
                return Err(TIMEOUT);
            }
            std::thread::sleep(LOOK);
        }
    }
}
