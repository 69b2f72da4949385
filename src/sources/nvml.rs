//! The NVML source: GPUs as the driver library sees them.
//!
//! The library is loaded once and never unloaded or shut down. Each driver function stands in one table
//! ([`CallId`]) and is called through a [`Caller`], whose slot a watchdog reads: any call into a failing GPU can
//! block for seconds or for ever. A [`Device`] belongs to one thread; a [`Session`] can be copied to any.
//!
//! | file | holds |
//! |---|---|
//! | `call` | the table of calls, tiers, the watchdog's slot |
//! | `raw` | raw symbols and everything `unsafe` |
//! | `port` | the guard of one device: lost, unsupported, field batches |
//! | `error`, `version`, `value`, `names` | codes, driver versions, quantities, enums |
//! | `set` | what a confirmed plan sets |
//! | `events` | Xids as the driver tells them, without any right to read logs |
//! | `info`, `live`, `fast`, `processes`, `gpm`, `counters`, `buffers`, `health`, `nvlink`, `mig` | one group each |

mod buffers;
mod call;
mod counters;
mod error;
mod events;
mod fast;
mod gpm;
mod health;
mod info;
mod live;
mod mig;
mod mig_profiles;
mod names;
mod nvlink;
mod port;
mod processes;
mod raw;
mod set;
mod topology;
mod value;
mod version;

pub use call::{CallId, CallSlot, Caller, Tier};
pub use error::OpenError;
pub use events::{XidEvent, XidEvents};
pub use fast::{FastBand, FastRead};
pub use mig_profiles::MigProfileInfo;
pub use raw::leave;
pub use set::{SetError, Setting};

use crate::model::{Absence, Driver, GpuId, Reading};
use error::Failure;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use port::Port;
use std::path::Path;
use std::sync::Arc;
use version::DriverVersion;

/// More GPUs than any machine has: a broken count must not become an endless loop.
const MOST_DEVICES: u32 = 256;

/// The initialised library.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    nvml: &'static Nvml,
    driver: Option<DriverVersion>,
}

/// Loads and initialises the driver library: the one at `path`, else the system's.
///
/// Takes 20 ms on a healthy machine with persistence mode, seconds per GPU without, and for ever on a wedged one;
/// `caller`'s slot shows `nvmlInit_v2` meanwhile. What was loaded stays loaded, so trying again is cheap.
///
/// # Errors
/// Why there is no NVML here, in a sentence that says what to do.
pub fn open(path: Option<&Path>, caller: &Caller) -> Result<Session, OpenError> {
    let library = raw::hold_library(path)?;
    let nvml = caller
        .call(CallId::Init, || Nvml::builder().lib_path(&library).init())
        .map_err(|error| OpenError::from(Failure::from(error)))?;
    // Kept for good: dropping it would shut NVML down under the other threads.
    let nvml: &'static Nvml = Box::leak(Box::new(nvml));
    let driver = caller
        .call(CallId::DriverVersion, || nvml.sys_driver_version())
        .ok()
        .and_then(|version| DriverVersion::parse(&version));
    Ok(Session { nvml, driver })
}

impl Session {
    /// What the library says of itself and the driver, and why it has no GPU where it has none.
    /// `module_version` is the PCI source's to fill.
    #[must_use]
    pub fn driver(&self, caller: &Caller) -> Driver {
        let text = |id, call: fn(&Nvml) -> Result<String, NvmlError>| {
            caller.call(id, || call(self.nvml)).map(Arc::from).map_err(absence)
        };
        Driver {
            version: text(CallId::DriverVersion, Nvml::sys_driver_version),
            nvml_version: text(CallId::NvmlVersion, Nvml::sys_nvml_version),
            cuda_version: caller
                .call(CallId::CudaVersion, || self.nvml.sys_cuda_driver_version())
                .map(|version| cuda_version(version).into())
                .map_err(absence),
            problem: no_gpu(&self.count(caller)).map(Arc::from),
            ..Driver::default()
        }
    }

    fn count(&self, caller: &Caller) -> Reading<u32> {
        caller.call(CallId::DeviceCount, || self.nvml.device_count()).map_err(absence)
    }

    /// Every GPU in NVML's order. One that is lost or refuses its handle stands in its place and never hides the
    /// others. None where even the count cannot be read: [`driver`](Self::driver) says why.
    #[must_use]
    pub fn devices(&self, caller: &Caller) -> Vec<Device> {
        let count = self.count(caller).unwrap_or(0);
        (0..count.min(MOST_DEVICES)).map(|index| self.device(caller, index)).collect()
    }

    /// The GPU of that place in NVML's order, once more: for calls that block, on a thread of their own.
    #[must_use]
    pub fn device(&self, caller: &Caller, index: u32) -> Device {
        let handle = caller.call(CallId::HandleByIndex, || self.nvml.device_by_index(index));
        match handle.map_err(Failure::from) {
            Ok(device) => Device::opened(Port::new(self.nvml, device, self.driver), caller, index),
            Err(reason) => {
                let absence = Absence::from(&reason);
                Device::unopened(Port::refused(self.driver, reason), index, &absence)
            }
        }
    }
}

/// `"13.0"` from 13000.
fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1_000, number % 1_000 / 10)
}

/// Why there is no GPU, in a sentence that says what to do.
fn no_gpu(count: &Reading<u32>) -> Option<String> {
    match count {
        Ok(0) => Some(
            "the NVIDIA driver runs and has no GPU: see `lspci -d 10de:` and `dmesg`, or give this container \
             GPUs (NVIDIA_VISIBLE_DEVICES)"
                .to_owned(),
        ),
        Ok(_) => None,
        Err(absence) => Some(format!("the NVIDIA driver did not say how many GPUs it has: {absence}; see `dmesg`")),
    }
}

fn absence(error: NvmlError) -> Absence {
    Absence::from(&Failure::from(error))
}

/// One GPU. It belongs to the thread that reads it.
pub struct Device {
    port: Port,
    index: u32,
    uuid: Reading<Arc<str>>,
    address: Reading<Arc<str>>,
    pci_device_id: Reading<u32>,
    live: live::LiveState,
    processes: processes::ProcessState,
    gpm: gpm::GpmState,
    buffers: buffers::BufferState,
    links: nvlink::LinkState,
    mig: mig::MigState,
}

impl Device {
    fn opened(mut port: Port, caller: &Caller, index: u32) -> Self {
        let (uuid, address, pci_device_id) = info::identity(&mut port, caller);
        Self { uuid, address, pci_device_id, ..Self::unopened(port, index, &Absence::NotRequested) }
    }

    fn unopened(port: Port, index: u32, reason: &Absence) -> Self {
        Self {
            port,
            index,
            uuid: Err(reason.clone()),
            address: Err(reason.clone()),
            pci_device_id: Err(reason.clone()),
            live: live::LiveState::default(),
            processes: processes::ProcessState::default(),
            gpm: gpm::GpmState::default(),
            buffers: buffers::BufferState::default(),
            links: nvlink::LinkState::default(),
            mig: mig::MigState::default(),
        }
    }

    /// Its UUID; the PCI address where that is all there is; else its place in NVML's order (`nvml:3`), for a GPU
    /// of which the driver gives nothing at all.
    #[must_use]
    pub fn id(&self) -> GpuId {
        let known = self.uuid.as_ref().or(self.address.as_ref());
        GpuId(known.map_or_else(|_| format!("nvml:{}", self.index).into(), Arc::clone))
    }

    /// Place in NVML's order of this boot; no identity.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// PCI address, `0000:3b:00.0`.
    ///
    /// # Errors
    /// Why the driver named none.
    pub const fn address(&self) -> &Reading<Arc<str>> {
        &self.address
    }

    /// Tells a GPU that the driver gave no handle for which address it must have (the one on the bus that no
    /// other GPU has). It has no effect where the driver named one.
    pub fn suppose_address(&mut self, address: Arc<str>) {
        if self.address.is_err() {
            self.address = Ok(address);
        }
    }

    /// Whether the driver gave it up (`GPU_IS_LOST`, `RESET_REQUIRED`) or gave no handle. Nothing is asked of it
    /// any more; only a new process sees it come back. A GPU that this user may not open is not lost: its readings
    /// say `no permission`.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.port.is_lost()
    }

    /// NVML's return code by which the driver gave it up or refused its handle, while it [is lost](Self::is_lost).
    #[must_use]
    pub fn refusal(&self) -> Option<u32> {
        self.port.refusal()
    }
}

/// Compile-time proof that a device can move to its thread and a session to all of them.
const _: () = {
    const fn is_send<T: Send + 'static>() {}
    is_send::<Device>();
    is_send::<Session>();
};

#[cfg(test)]
#[path = "nvml/tests.rs"]
mod tests;
