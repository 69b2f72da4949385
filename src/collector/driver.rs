//! Opening the driver: on a thread of its own, since `nvmlInit` may never return; then the GPUs.

use super::Options;
use super::board::GpuSlot;
use super::gpu::GpuReader;
use super::readers::Readers;
use super::shared::Shared;
use super::sleep::{Idleness, SLEEP_LOOKS};
use super::writer::spawn;
use crate::model::{Absence, Driver, GpuInfo, GpuSample, GpuState, PciDevice, Reading, SourceState};
use crate::sources::nvml::{self, Caller, Device, OpenError, Session};
use crate::sources::pci::{self, Bus};
use crate::sources::root::Root;
use crate::units::Clock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often to look whether a driver that was absent, or a GPU that slept, is there now; and whether the loaded
/// module is still the one that was opened.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why a collector leaves an idle laptop's GPU; its successor is told.
pub const LET_SLEEP: &str = "let_sleep";

pub(super) fn start(options: &Options, shared: &Arc<Shared>, readers: &Arc<Readers>) {
    let root = options.root.clone();
    let library = options.library.clone();
    let use_nvml = options.use_nvml;
    let let_sleep = options.let_sleep;
    let bus = Bus::default();
    let (shared, readers) = (Arc::clone(shared), Arc::clone(readers));
    spawn("driver", move || Opener { root, library, use_nvml, let_sleep, shared, readers, bus }.run());
}

struct Opener {
    root: Root,
    library: Option<PathBuf>,
    use_nvml: bool,
    let_sleep: bool,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    bus: Bus,
}

impl Opener {
    fn run(&mut self) {
        let caller = Caller::new(self.shared.clock);
        self.shared.put(|board| board.others.push(caller.slot()));
        let mut looks = 0;
        let module = loop {
            let module = self.look_around();
            looks += 1;
            if !self.use_nvml {
                self.without_driver(None);
            } else if self.asleep() {
                looks = SLEEP_LOOKS;
                self.show_asleep();
            } else if self.let_sleep && looks < SLEEP_LOOKS && self.would_sleep() {
                self.show_falling_asleep();
            } else {
                match nvml::open(self.library.as_deref(), &caller) {
                    Ok(session) => {
                        self.begin(&session, &caller);
                        break module;
                    }
                    Err(error) => self.without_driver(Some(&error)),
                }
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        self.watch(&module);
    }

    /// Reads what sysfs knows without any driver.
    fn look_around(&mut self) -> Reading<Arc<str>> {
        let pci = self.bus.scan(&self.root);
        let module = pci::module_version(&self.root);
        self.shared.put(|board| {
            if board.pci != pci || board.driver.module_version != module {
                board.pci = pci;
                board.driver.module_version = module.clone();
                board.inventory_version += 1;
            }
            board.source("pci", SourceState::Ok, "");
        });
        module
    }

    fn asleep(&self) -> bool {
        !pci::asleep(&self.shared.board().pci).is_empty()
    }

    fn would_sleep(&self) -> bool {
        self.shared.board().pci.iter().any(|device| pci::would_sleep(&self.root, device))
    }

    fn show_falling_asleep(&self) {
        self.show_places(true);
        self.shared.post(|board| {
            board.opened = true;
            board.source("nvml", SourceState::Unavailable, "the idle GPU was let go, so that it can sleep");
        });
    }

    fn show_asleep(&self) {
        self.show_places(true);
        self.shared.post(|board| {
            board.opened = true;
            let asleep: Vec<&str> = pci::asleep(&board.pci).iter().map(|device| &*device.address).collect();
            let who = if asleep.len() == 1 { "GPU" } else { "GPUs" };
            let reason =
                format!("left asleep, as opening the driver would wake it: {who} {}", asleep.join(", "));
            board.source("nvml", SourceState::Unavailable, &reason);
        });
    }

    /// GPUs that NVML does not serve stand on the board as what sysfs knows of them: asleep, without a driver, given
    /// to a virtual machine, or with a driver that was `left_closed`.
    fn show_places(&self, left_closed: bool) {
        let clock = self.shared.clock;
        self.shared.post(|board| {
            let places: Vec<GpuSlot> =
                board.pci.iter().map(|device| place_of(device, left_closed, clock)).collect();
            let unchanged = places.len() == board.gpus.len()
                && places.iter().zip(&board.gpus).all(|(new, old)| {
                    new.pending.id == old.pending.id && new.pending.state == old.pending.state
                });
            if !unchanged {
                board.gpus = places;
                board.inventory_version += 1;
            }
        });
    }

    fn without_driver(&self, error: Option<&OpenError>) {
        self.show_places(false);
        self.shared.post(|board| {
            let text = error.map(ToString::to_string);
            let problem = match error {
                // The file that the user named is what is wrong, whatever else the machine lacks.
                Some(OpenError::NotALibrary { .. }) => text.clone(),
                _ => pci::no_driver_explanation(&board.pci, &board.driver.module_version, error),
            };
            let problem: Option<Arc<str>> = problem.map(Into::into);
            if board.driver.problem != problem || !board.opened {
                board.driver.problem = problem;
                board.inventory_version += 1;
            }
            board.opened = true;
            let reason = text.unwrap_or_else(|| "not used: --root reads a captured machine".to_owned());
            board.source("nvml", SourceState::Unavailable, &reason);
        });
    }

    fn begin(&self, session: &Session, caller: &Caller) {
        let driver = session.driver(caller);
        let mut devices = session.devices(caller);
        self.suppose_addresses(&mut devices);
        self.shared.post(|board| {
            let module_version = board.driver.module_version.clone();
            board.driver = Driver { module_version, ..driver };
            board.session = Some(*session);
            board.gpus.clear();
            board.source("nvml", SourceState::Ok, "");
            board.inventory_version += 1;
        });
        for device in devices {
            self.start_gpu(device, *session);
        }
        let clock = self.shared.clock;
        self.shared.post(|board| {
            let unserved = |device: &&PciDevice| device.driver.as_deref() != Some("nvidia");
            let places: Vec<GpuSlot> =
                board.pci.iter().filter(unserved).map(|device| place_of(device, false, clock)).collect();
            board.gpus.extend(places);
        });
        self.shared.post(|board| board.opened = true);
        super::topology::ask_driver(*session, &self.shared);
    }

    fn start_gpu(&self, device: Device, session: Session) {
        let caller = Caller::new(self.shared.clock);
        let slot = GpuSlot {
            info: None,
            pending: GpuSample {
                refusal: device.refusal(),
                ..GpuSample::new(device.id(), if device.is_lost() { GpuState::Lost } else { GpuState::Ok })
            },
            listed: 0,
            round: 0,
            call: caller.slot(),
            throughput: None,
            unreadable: None,
            pids: Vec::new(),
        };
        let place = self.shared.post(|board| {
            board.gpus.push(slot);
            board.gpus.len() - 1
        });
        self.readers.begin(GpuReader::new(place, device, session, caller, &self.shared));
    }

    /// A GPU without a handle has lost its name too: if one address on the bus belongs to nobody else, it is its.
    fn suppose_addresses(&self, devices: &mut [Device]) {
        let board = self.shared.board();
        let taken: Vec<Arc<str>> =
            devices.iter().filter_map(|device| device.address().clone().ok()).collect();
        let served = |pci: &&PciDevice| pci.driver.as_deref() == Some("nvidia");
        let mut free = board
            .pci
            .iter()
            .filter(served)
            .map(|pci| &pci.address)
            .filter(|address| !taken.contains(address));
        for device in devices.iter_mut().filter(|device| device.address().is_err()) {
            if let Some(address) = free.next() {
                device.suppose_address(Arc::clone(address));
            }
        }
    }

    /// A driver that is loaded anew under us leaves every handle dead, and a GPU that comes back to the bus has
    /// new ones: begin again with a fresh process.
    fn watch(&mut self, opened: &Reading<Arc<str>>) {
        let mut addresses = self.addresses();
        let mut idleness = Idleness::default();
        // One that did not fall asleep when it was let go is held awake by somebody else: that is tried once.
        let may_sleep = !self.let_sleep && self.would_sleep();
        loop {
            std::thread::sleep(LOOK_AGAIN);
            let module = self.look_around();
            if opened.is_ok() && &module != opened {
                self.shared.leave("driver_reloaded", true);
                return;
            }
            let now = self.addresses();
            if now.iter().any(|address| !addresses.contains(address)) {
                self.shared.leave("gpu_appeared", true);
                return;
            }
            addresses = now;
            let busy = !self.shared.board().pids().is_empty();
            if may_sleep && idleness.look(busy) {
                self.shared.leave(LET_SLEEP, true);
                return;
            }
        }
    }

    fn addresses(&self) -> Vec<Arc<str>> {
        self.shared.board().pci.iter().map(|pci| Arc::clone(&pci.address)).collect()
    }
}

/// The place of a GPU that NVML does not serve.
fn place_of(device: &PciDevice, left_closed: bool, clock: Clock) -> GpuSlot {
    let asleep =
        device.runtime_status.as_ref().is_ok_and(|status| matches!(&**status, "suspended" | "suspending"));
    let (state, reason) = match device.driver.as_deref() {
        Some("vfio-pci") => (GpuState::PassedThrough, Absence::NotRequested),
        Some("nvidia") if asleep => (GpuState::Asleep, Absence::Asleep),
        Some("nvidia") if left_closed => (GpuState::NotOpened, Absence::NotRequested),
        _ => (GpuState::NoDriver, Absence::NotRequested),
    };
    let mut info = GpuInfo::absent(&reason);
    info.pci_bus_id = Ok(Arc::clone(&device.address));
    info.numa_node.clone_from(&device.numa_node);
    info.cpu_affinity.clone_from(&device.local_cpus);
    GpuSlot {
        pending: GpuSample::new(info.id(), state),
        info: Some(info),
        // No thread will ever post for it: every round is complete.
        listed: u64::MAX,
        round: u64::MAX,
        call: Caller::new(clock).slot(),
        throughput: None,
        unreadable: None,
        pids: Vec::new(),
    }
}
