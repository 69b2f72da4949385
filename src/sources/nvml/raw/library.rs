//! Loading the driver library, and leaving without it.

use super::super::error::OpenError;
use nvml_wrapper_sys::bindings as sys;
use std::ffi::{OsStr, OsString, c_int};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Names under which the library is looked for: by the loader's path, then where WSL2 and NixOS keep it.
const LIBRARY_NAMES: [&str; 3] =
    ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1", "/run/opengl-driver/lib/libnvidia-ml.so.1"];

/// Libraries that were loaded and are held for good, so that trying again loads nothing twice.
static HELD: Mutex<Vec<OsString>> = Mutex::new(Vec::new());

unsafe extern "C" {
    fn _exit(status: c_int) -> !;
}

/// Ends the process at once: no exit handlers and no destructors of the driver library run. With a thread stuck
/// in a driver call those wait for the same lock and the process never ends.
pub fn leave(status: i32) -> ! {
    // SAFETY: `_exit` takes any status, and does not return.
    unsafe { _exit(status) }
}

/// Loads the library and holds it for good; gives the name it was found under.
pub(in super::super) fn hold_library(path: Option<&Path>) -> Result<OsString, OpenError> {
    let Some(path) = path else {
        return hold_default();
    };
    // A bare file name would be looked for on the loader's path, not here.
    let file = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    match hold(file.as_os_str()) {
        Ok(()) => Ok(file.into_os_string()),
        Err(reason) => Err(OpenError::NotALibrary { path: path.to_owned(), reason }),
    }
}

fn hold_default() -> Result<OsString, OpenError> {
    let mut reasons = Vec::new();
    for name in LIBRARY_NAMES {
        match hold(OsStr::new(name)) {
            Ok(()) => return Ok(name.into()),
            Err(reason) => reasons.push(reason),
        }
    }
    // A file that is there and does not load (wrong architecture, a missing dependency) is another story than
    // none at all.
    match reasons.into_iter().find(|reason| !reason.contains("No such file")) {
        Some(name) => Err(OpenError::Other { code: 0, name }),
        None => Err(OpenError::NoLibrary),
    }
}

fn hold(name: &OsStr) -> Result<(), String> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if held.iter().any(|known| known == name) {
        return Ok(());
    }
    // SAFETY: loading runs the library's initialisers: NVIDIA's own, or those of the file the user named.
    let library = unsafe { sys::NvmlLib::new(name) }.map_err(|error| error.to_string())?;
    if library.nvmlInit_v2.is_err() {
        return Err("it has no symbol nvmlInit_v2".to_owned());
    }
    // Never unloaded: unloading runs the driver library's destructors, and code of it may still run.
    std::mem::forget(library);
    held.push(name.to_owned());
    Ok(())
}
