//! Opening the driver: on a thread of its own, since `nvmlInit` may never return; then one thread per GPU.

use super::board::{GpuSlot, Shared};
use super::writer::spawn;
use super::{Options, gpu};
use crate::model::{Driver, GpuSample, GpuState, Reading, SourceState};
use crate::sources::nvml::{self, Caller, Device, Session};
use crate::sources::pci;
use crate::sources::root::Root;
use crate::units::Mono;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often to look whether a driver that was absent, or a GPU that slept, is there now; and whether the loaded
/// module is still the one that was opened.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn start(options: &Options, shared: &Arc<Shared>) {
    let root = options.root.clone();
    let library = options.library.clone();
    let use_nvml = options.use_nvml;
    let shared = Arc::clone(shared);
    spawn("driver", move || Opener { root, library, use_nvml, shared }.run());
}

struct Opener {
    root: Root,
    library: Option<PathBuf>,
    use_nvml: bool,
    shared: Arc<Shared>,
}

impl Opener {
    fn run(&self) {
        let caller = Caller::new(self.shared.clock);
        self.shared.post(|board| board.others.push(caller.slot()));
        let module = loop {
            let module = self.look_around();
            if !self.use_nvml {
                self.without_driver(None);
            } else if self.all_asleep() {
                self.show_asleep();
            } else {
                match nvml::open(self.library.as_deref(), &caller) {
                    Ok(session) => {
                        self.begin(&session, &caller);
                        break module;
                    }
                    Err(error) => self.without_driver(Some(&error.to_string())),
                }
            }
            self.pause();
        };
        self.watch_module(&module);
    }

    /// Reads what sysfs knows without any driver.
    fn look_around(&self) -> Reading<Arc<str>> {
        let pci = pci::scan(&self.root);
        let module = pci::module_version(&self.root);
        self.shared.post(|board| {
            if board.pci != pci || board.driver.module_version != module {
                board.pci = pci;
                board.driver.module_version = module.clone();
                board.inventory_version += 1;
            }
            board.source("pci", SourceState::Ok, "");
        });
        module
    }

    fn all_asleep(&self) -> bool {
        pci::asleep(&self.shared.board().pci)
    }

    fn show_asleep(&self) {
        self.shared.post(|board| {
            if !board.opened {
                board.inventory_version += 1;
            }
            board.opened = true;
            board.source("nvml", SourceState::Unavailable, "the GPU sleeps and is left asleep");
        });
    }

    fn without_driver(&self, error: Option<&str>) {
        self.shared.post(|board| {
            let problem = pci::no_driver_explanation(&board.pci, &board.driver.module_version, error);
            let problem: Option<Arc<str>> = problem.map(Into::into);
            if board.driver.problem != problem || !board.opened {
                board.driver.problem = problem;
                board.inventory_version += 1;
            }
            board.opened = true;
            let reason = match error {
                Some(error) => error.to_owned(),
                None => "not used: --root reads a captured machine".to_owned(),
            };
            board.source("nvml", SourceState::Unavailable, &reason);
        });
    }

    fn begin(&self, session: &Session, caller: &Caller) {
        let (version, nvml_version, cuda_version) = session.driver(caller);
        let devices = session.devices(caller);
        let none = devices.is_empty();
        self.shared.post(|board| {
            let module_version = board.driver.module_version.clone();
            board.driver = Driver { module_version, version, nvml_version, cuda_version, problem: None };
            if none {
                board.driver.problem = Some("The driver is loaded and answers, and reports no GPU. See the kernel log for NVRM lines.".into());
            }
            board.source("nvml", SourceState::Ok, "");
            board.inventory_version += 1;
        });
        for device in devices {
            self.start_gpu(device, session);
        }
        self.shared.post(|board| board.opened = true);
    }

    fn start_gpu(&self, device: Device, session: &Session) {
        let caller = Caller::new(self.shared.clock);
        let slot = GpuSlot {
            info: None,
            pending: GpuSample::new(device.id(), if device.is_lost() { GpuState::Lost } else { GpuState::Ok }),
            round: 0,
            call: caller.slot(),
            pids: Vec::new(),
        };
        let place = self.shared.post(|board| {
            board.gpus.push(slot);
            board.gpus.len() - 1
        });
        let shared = Arc::clone(&self.shared);
        let session = session.clone();
        spawn(&format!("gpu {}", device.index()), move || gpu::follow(place, device, &session, &caller, &shared));
    }

    /// A driver that is loaded anew under us leaves every handle dead: begin again with a fresh process.
    fn watch_module(&self, opened: &Reading<Arc<str>>) {
        loop {
            self.pause();
            let module = self.look_around();
            if opened.is_ok() && &module != opened {
                self.shared.leave("driver_reloaded", true);
                return;
            }
        }
    }

    fn pause(&self) {
        let now: Mono = (self.shared.clock.mono)();
        self.shared.round_or_deadline(u64::MAX, now.plus(LOOK_AGAIN));
    }
}
