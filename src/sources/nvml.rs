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
//! | `info`, `live`, `fast`, `processes`, `gpm`, `counters`, `buffers`, `health`, `nvlink`, `mig` | one group each |

mod call;
mod error;
mod fast;
mod info;
mod live;
mod names;
mod port;
mod processes;
mod raw;
mod value;
mod version;

pub use call::{CallId, CallSlot, Caller, Tier};
pub use error::{OpenError, code_name};
pub use fast::{FastBand, FastRead};
pub use raw::leave;

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
    /// What the library says of itself and the driver. `module_version` is the PCI source's to fill.
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
                .map(|version| format!("{}.{}", version / 1_000, version % 1_000 / 10).into())
                .map_err(absence),
            ..Driver::default()
        }
    }

    /// Every GPU in NVML's order. One that is lost or refuses its handle stands in its place as a lost one and
    /// never hides the others.
    ///
    /// # Errors
    /// Why the count itself could not be read.
    pub fn devices(&self, caller: &Caller) -> Reading<Vec<Device>> {
        let count = caller.call(CallId::DeviceCount, || self.nvml.device_count()).map_err(absence)?;
        Ok((0..count.min(MOST_DEVICES)).map(|index| self.device(caller, index)).collect())
    }

    fn device(&self, caller: &Caller, index: u32) -> Device {
        let handle = caller.call(CallId::HandleByIndex, || self.nvml.device_by_index(index));
        match handle {
            Ok(device) => Device::new(Port::new(self.nvml, device, self.driver), caller, index),
            Err(error) => Device::without_handle(self.driver, index, absence(error)),
        }
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
    refused: Option<Absence>,
    live: live::LiveState,
    processes: processes::ProcessState,
}

impl Device {
    fn new(mut port: Port, caller: &Caller, index: u32) -> Self {
        let (uuid, address, pci_device_id) = info::identity(&mut port, caller);
        Self { uuid, address, pci_device_id, ..Self::bare(port, index, None) }
    }

    fn without_handle(driver: Option<DriverVersion>, index: u32, reason: Absence) -> Self {
        Self::bare(Port::lost(driver), index, Some(reason))
    }

    fn bare(port: Port, index: u32, refused: Option<Absence>) -> Self {
        let unknown = || refused.clone().unwrap_or(Absence::Lost);
        Self {
            port,
            index,
            uuid: Err(unknown()),
            address: Err(unknown()),
            pci_device_id: Err(unknown()),
            live: live::LiveState::default(),
            processes: processes::ProcessState::default(),
            refused,
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
    #[must_use]
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

    /// Whether the driver gave it up (`GPU_IS_LOST`, `RESET_REQUIRED`) or never gave a handle. Nothing is asked of
    /// it any more; only a new process sees it come back.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.port.is_lost()
    }

    /// Why there is no handle, for a GPU that was never opened.
    #[must_use]
    pub const fn refused(&self) -> Option<&Absence> {
        self.refused.as_ref()
    }
}

/// Compile-time proof that a device can move to its thread and a session to all of them.
const _: () = {
    const fn is_send<T: Send + 'static>() {}
    is_send::<Device>();
    is_send::<Session>();
};
