//! Start and end of the library, versions, handles.

use crate::code::{INVALID_ARGUMENT, NOT_FOUND, out, text};
use crate::state::{State, begin, end, handle_of, reach, system_calls};
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use std::ffi::{CStr, c_char, c_int, c_uint};

system_calls! {
    fn nvmlInit_v2(_state) {
        begin();
        Ok(())
    }
    fn nvmlInit(_state) {
        begin();
        Ok(())
    }
    fn nvmlInitWithFlags(_state, _flags: c_uint) {
        begin();
        Ok(())
    }
    fn nvmlShutdown(_state) { end() }
    fn nvmlSystemGetDriverVersion(state, version: *mut c_char, length: c_uint) {
        text(version, length, &state.scenario.host().driver)
    }
    fn nvmlSystemGetNVMLVersion(state, version: *mut c_char, length: c_uint) {
        text(version, length, &state.scenario.host().nvml)
    }
    fn nvmlSystemGetCudaDriverVersion(state, version: *mut c_int) { out(version, cuda(state)) }
    fn nvmlSystemGetCudaDriverVersion_v2(state, version: *mut c_int) { out(version, cuda(state)) }
    fn nvmlDeviceGetCount_v2(state, count: *mut c_uint) { out(count, state.scenario.gpus().len() as c_uint) }
    fn nvmlDeviceGetHandleByIndex_v2(state, index: c_uint, device: *mut nvmlDevice_t) {
        find(state, device, INVALID_ARGUMENT, |position, _| position == index)
    }
    fn nvmlDeviceGetHandleByUUID(state, uuid: *const c_char, device: *mut nvmlDevice_t) {
        let uuid = read(uuid)?;
        find(state, device, NOT_FOUND, |_, gpu| gpu.uuid == uuid)
    }
    fn nvmlDeviceGetHandleByPciBusId_v2(state, address: *const c_char, device: *mut nvmlDevice_t) {
        // The driver takes four or eight digits of domain.
        let address = read(address)?.to_lowercase();
        find(state, device, NOT_FOUND, |_, gpu| address.ends_with(&gpu.pci))
    }
    fn nvmlDeviceGetHandleBySerial(state, serial: *const c_char, device: *mut nvmlDevice_t) {
        let serial = read(serial)?;
        find(state, device, NOT_FOUND, |_, gpu| gpu.serial == serial)
    }
}

/// 13.0 is 13000.
fn cuda(state: &State) -> c_int {
    let mut parts = state.scenario.host().cuda.split('.').map(|part| part.parse::<c_int>().unwrap_or(0));
    parts.next().unwrap_or(0) * 1000 + parts.next().unwrap_or(0) * 10
}

fn read(text: *const c_char) -> Result<String, u32> {
    if text.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    unsafe { CStr::from_ptr(text) }.to_str().map(str::to_owned).map_err(|_| INVALID_ARGUMENT)
}

fn find(
    state: &State,
    device: *mut nvmlDevice_t,
    otherwise: u32,
    is: impl Fn(u32, &kgtop::sources::scenario::GpuRig) -> bool,
) -> Result<(), u32> {
    let gpu = state.scenario.gpus().iter().find(|gpu| is(gpu.index, gpu)).ok_or(otherwise)?;
    // Looking up a lost GPU already fails, as the driver does it.
    reach(state, gpu, state.now(), "nvmlDeviceGetHandle")?;
    out(device, handle_of(gpu.index, None))
}

/// The text of a return code.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(code: u32) -> *const c_char {
    let text = match code {
        0 => c"Success",
        1 => c"Uninitialized",
        2 => c"Invalid Argument",
        3 => c"Not Supported",
        4 => c"Insufficient Permissions",
        6 => c"Not Found",
        7 => c"Insufficient Size",
        9 => c"Driver Not Loaded",
        10 => c"Timeout",
        13 => c"Function Not Found",
        15 => c"GPU is lost",
        16 => c"GPU requires reset",
        18 => c"Driver/library version mismatch",
        25 => c"Argument version mismatch",
        _ => c"Unknown Error",
    };
    text.as_ptr()
}
