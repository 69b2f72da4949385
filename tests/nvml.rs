//! The NVML source against the stand-in driver library: what it reads of a healthy GPU, and what becomes of every
//! way in which a driver refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may panic"
)]

#[path = "nvml/absences.rs"]
mod absences;
#[path = "nvml/opening.rs"]
mod opening;
#[path = "nvml/over_time.rs"]
mod over_time;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;
#[path = "nvml/versions.rs"]
mod versions;

use kgtop::model::{Absence, Gpm, ProcessKind, Reading};
use kgtop::sources::nvml::{CallId, Caller, Device, OpenError, Session, open};
use kgtop::units::{Bytes, Celsius, Clock, Megahertz, Mono, Percent, Wall, Watts};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use tempfile::TempPath;

fn micros(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

fn caller() -> Caller {
    Caller::new(Clock {
        mono: || Mono(u64::try_from(micros(ClockId::Monotonic)).unwrap()),
        wall: || Wall(micros(ClockId::Realtime)),
    })
}

/// A library of its own that plays a scenario, and what was opened in it.
struct Rig {
    session: Session,
    devices: Vec<Device>,
    caller: Caller,
    _files: Vec<TempPath>,
}

impl Rig {
    fn calls(&self, id: CallId) -> u64 {
        self.caller
            .slot()
            .latencies()
            .iter()
            .find(|(call, ..)| *call == id)
            .map_or(0, |(_, count, ..)| *count)
    }
}

fn scenario_file(text: &str) -> TempPath {
    let path = tempfile::Builder::new().suffix(".toml").tempfile().unwrap().into_temp_path();
    std::fs::write(&path, text).unwrap();
    path
}

/// Opens a scenario: the name of an embedded one.
fn rig(name: &str) -> Rig {
    let library = stand_in::stand_in_with(&[("KGTOP_STAND_IN", name)]);
    opened(library, Vec::new())
}

/// Opens a scenario given as TOML, which began a minute ago: the driver's buffers are full then.
fn rig_of(text: &str) -> Rig {
    let file = scenario_file(text);
    let settings = [("KGTOP_STAND_IN", file.to_str().unwrap()), ("KGTOP_STAND_IN_EPOCH", "1")];
    let library = stand_in::stand_in_with(&settings);
    opened(library, vec![file])
}

/// The default scenario (8 × H100) on a driver that lacks these functions.
fn rig_without(symbols: &[&str]) -> Rig {
    opened(stand_in::without_symbols(symbols), Vec::new())
}

fn opened(library: TempPath, mut files: Vec<TempPath>) -> Rig {
    let caller = caller();
    let session = open(Some(Path::new(&*library)), &caller).unwrap();
    let devices = session.devices(&caller);
    files.push(library);
    Rig { session, devices, caller, _files: files }
}

/// One GPU of that model on driver 580.159.04, and `rest`.
fn one(model: &str, rest: &str) -> Rig {
    rig_of(&format!(
        "title = \"t\"\nduration_seconds = 60\nend = \"stay\"\n[[gpu]]\nmodel = \"{model}\"\nload = \"full\"\n{rest}"
    ))
}

/// A fault of every call of that name, into every GPU.
fn error(call: &str, code: u32) -> String {
    format!("[[fault]]\ncall = \"{call}\"\nfrom = 0\nkind = \"error\"\ncode = {code}\n")
}

/// A fault by which a call answers a number of the scenario's choice.
fn answer(call: &str, value: u32) -> String {
    format!("[[fault]]\ncall = \"{call}\"\nfrom = 0\nkind = \"value\"\nvalue = {value}\n")
}

/// The first GPM group that two samples apart make.
fn gpm(device: &mut Device, caller: &Caller) -> Gpm {
    (1..u64::MAX)
        // Two samples of one moment make no metric; the stand-in's clock decides.
        .filter_map(|round| device.gpm(caller, Mono(round * 1_000_000)))
        .find(|gpm| gpm.sm.is_ok() || matches!(gpm.sm, Err(Absence::NotSupported)))
        .unwrap()
}

/// What `nvidia-smi -q` printed for two H200 on driver 580.159.04.
#[test]
fn a_healthy_h200_reads_as_nvidia_smi_printed_it() {
    let mut rig = rig("healthy-2xh200");
    let Rig { session, devices, caller, .. } = &mut rig;
    let driver = session.driver(caller);
    assert_eq!(driver.version.as_deref(), Ok("580.159.04"));
    assert_eq!(driver.cuda_version.as_deref(), Ok("13.0"));
    assert_eq!(driver.problem, None);
    assert_eq!(devices.len(), 2);

    let info = devices[0].info(caller);
    assert_eq!(info.uuid.as_deref(), Ok("GPU-00000000-0000-4000-8000-000000000001"));
    assert_eq!(info.index, Ok(0));
    assert_eq!(info.name.as_deref(), Ok("NVIDIA H200"));
    assert_eq!(info.brand.as_deref(), Ok("NVIDIA"));
    assert_eq!(info.architecture.as_deref(), Ok("Hopper"));
    assert_eq!(info.compute_capability.as_deref(), Ok("9.0"));
    assert_eq!(info.serial.as_deref(), Ok("1650000000001"));
    assert_eq!(info.board_part.as_deref(), Ok("692-2G520-0282-000"));
    assert_eq!(info.vbios.as_deref(), Ok("96.00.A5.00.1A"));
    assert_eq!(info.inforom.as_deref(), Ok("G520.0282.02.02"));
    assert_eq!(info.gsp.as_deref(), Ok("580.159.04"));
    assert_eq!(info.pci_bus_id.as_deref(), Ok("0000:00:06.0"));
    assert_eq!(info.pci_device_id, Ok(0x2335_10DE));
    assert_eq!((info.minor, devices[1].info(caller).minor), (Ok(0), Ok(1)));
    assert_eq!((info.max_sm_clock, info.max_memory_clock), (Ok(Megahertz(1980)), Ok(Megahertz(3201))));
    assert_eq!((info.min_power_limit, info.max_power_limit), (Ok(Watts(200.0)), Ok(Watts(700.0))));
    assert_eq!(info.default_power_limit, Ok(Watts(700.0)));
    assert_eq!((info.max_pcie_generation, info.max_pcie_width), (Ok(5), Ok(16)));
    assert_eq!(info.gpu_max_pcie_generation, Ok(5));
    assert_eq!((info.nvlinks, info.gpm), (Ok(18), Ok(true)));
    assert_eq!(info.supported_clock_events, Ok(0x1ff));
    assert_eq!(info.memory_shared_with_cpu, Ok(false));
    let limits = info.thresholds.unwrap();
    let absolute = [limits.slowdown, limits.shutdown, limits.memory_max, limits.gpu_max];
    assert_eq!(absolute, [89.0, 95.0, 95.0, 87.0].map(|degrees| Ok(Celsius(degrees))));
    // T.Limit is signed, and zero is a limit.
    let margins =
        [limits.shutdown_limit, limits.slowdown_limit, limits.memory_max_limit, limits.gpu_max_limit];
    assert_eq!(margins, [-8.0, -2.0, 0.0, 0.0].map(|degrees| Ok(Celsius(degrees))));

    let live = devices[0].live(caller);
    assert_eq!(live.memory_total, Ok(Bytes(143_771 << 20)));
    assert_eq!((live.memory_used, live.memory_reserved), (Ok(Bytes(0)), Ok(Bytes(644_939_776))));
    assert_eq!(live.memory_free.map(|free| free.mib().round()), Ok(143_156.0));
    assert_eq!((live.temperature, live.memory_temperature), (Ok(Celsius(36.0)), Ok(Celsius(36.0))));
    assert_eq!(live.temperature_margin, Ok(Celsius(51.0)));
    assert_eq!((live.memory_clock, live.graphics_clock), (Ok(Megahertz(3201)), Ok(Megahertz(345))));
    assert_eq!(live.video_clock, Ok(Megahertz(765)));
    assert_eq!((live.performance_state, live.pcie_generation, live.pcie_width), (Ok(0), Ok(5), Ok(16)));
    assert_eq!(live.power_limit, Ok(Watts(700.0)));
    assert_eq!((live.encoder, live.decoder), (Ok(Percent(0.0)), Ok(Percent(0.0))));
    assert_eq!(live.fan, Err(Absence::NotSupported), "the board has no fan of its own");
    assert_eq!(live.recovery_action, Ok(0));

    let fast = devices[0].fast_read(caller);
    assert!(matches!(fast.power, Ok(Watts(79.0..=81.0))), "{:?}", fast.power);
    assert_eq!(devices[0].process_list(caller), Ok(vec![]));

    let health = devices[0].health(caller);
    assert_eq!((health.ecc_enabled, health.ecc_pending), (Ok(true), Ok(true)));
    assert_eq!((health.ecc_corrected_volatile, health.ecc_uncorrected_aggregate), (Ok(0), Ok(0)));
    assert_eq!(health.sram_threshold_exceeded, Ok(false));
    assert_eq!((health.remapped_corrected, health.remapped_uncorrected), (Ok(0), Ok(0)));
    assert_eq!((health.remap_pending, health.remap_failed), (Ok(false), Ok(false)));
    assert_eq!(health.remap_banks, Ok([3072, 0, 0, 0, 0]));
    assert_eq!(health.retired_single, Err(Absence::NotSupported), "a Hopper board remaps rows");
    assert_eq!((health.pcie_replays, health.fabric_state, health.fabric_status), (Ok(0), Ok(3), Ok(0)));
    assert_eq!((health.persistence, health.compute_mode), (Ok(true), Ok(0)));
    assert_eq!((health.mig, health.mig_pending), (Ok(false), Ok(false)));
    assert_eq!(health.power_limit_set, Ok(Watts(700.0)));
    assert_eq!(health.bar1_used, Ok(Bytes(1 << 20)));

    let links = devices[0].nvlinks(caller);
    assert_eq!(links.len(), 18);
    assert!(links.iter().all(|link| link.active == Ok(true) && link.remote_type == Ok(2)), "{links:?}");
}

#[test]
fn a_loaded_gpu_tells_its_processes_and_performance_counters() {
    let mut rig = rig("healthy-8xh100");
    let (device, caller) = (&mut rig.devices[7], &rig.caller);
    let processes = device.process_list(caller).unwrap();
    assert_eq!(processes.len(), 1);
    assert_eq!((processes[0].pid, processes[0].kind), (41_214, ProcessKind::Compute));
    assert_eq!(processes[0].memory, Ok(Bytes(71_680 << 20)));
    assert_eq!(processes[0].gpu_instance, None, "all ones is no instance");
    let gpm = gpm(device, caller);
    let shares = [&gpm.sm, &gpm.tensor, &gpm.dram, &gpm.sm_occupancy];
    for share in shares {
        assert!(matches!(share, Ok(Percent(0.0..=100.0))), "{gpm:?}");
    }
    assert!(gpm.nvlink_rx.is_ok() && gpm.pcie_tx.is_ok(), "{gpm:?}");
}

#[test]
fn traffic_counters_of_links_are_asked_only_where_gpm_does_not_tell_the_rates() {
    let mut rig = rig("healthy-8xh100");
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    assert!(device.counters(caller, false).nvlink_tx_kib.is_ok(), "nothing has told them yet");
    let gpm = gpm(device, caller);
    assert!(gpm.nvlink_tx.is_ok(), "{gpm:?}");
    let counters = device.counters(caller, false);
    assert_eq!(counters.nvlink_tx_kib, Err(Absence::NotRequested));
    assert_eq!(counters.nvlink_rx_kib, Err(Absence::NotRequested));
    assert!(counters.sw_power_cap_ns.is_ok(), "{counters:?}");
    let mut rig = rig_without(&["nvmlGpmSampleAlloc", "nvmlGpmSampleGet"]);
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    assert!(device.gpm(caller, Mono(1)).is_some_and(|gpm| gpm.nvlink_tx.is_err()));
    assert!(device.counters(caller, false).nvlink_tx_kib.is_ok());
}

#[test]
fn each_link_is_asked_for_its_errors_when_the_links_are_looked_at() {
    let mut rig = rig("healthy-8xh100");
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    assert_eq!(device.health(caller).nvlink_errors, Err(Absence::NotRequested));
    assert_eq!(device.nvlinks(caller)[0].crc_errors, Ok(0));
    assert_eq!(device.health(caller).nvlink_errors, Ok(0), "as the last look found it");
}

#[test]
fn the_drivers_sample_buffers_come_full_and_then_with_what_is_new() {
    let mut rig = one("h200", "");
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    let first = device.buffers(caller, true, true);
    let (power, utilization) = (first.power.unwrap(), first.utilization.unwrap());
    // 119 samples, 20 ms apart, as measured.
    assert_eq!(power.len(), 119);
    assert!(power.windows(2).all(|pair| pair[1].at_us - pair[0].at_us == 20_000));
    assert!(power.iter().all(|sample| (400.0..710.0).contains(&sample.value)));
    assert!(!utilization.is_empty());
    let newest = power.last().unwrap().at_us;
    // Until the driver has a new sample there is none, which is no failure.
    let second = (0..u32::MAX)
        .map(|_| device.buffers(caller, true, false))
        .inspect(|buffers| assert_eq!(buffers.utilization, Err(Absence::NotRequested)))
        .map(|buffers| buffers.power.unwrap())
        .find(|power| !power.is_empty())
        .unwrap();
    assert!(second.iter().all(|sample| sample.at_us > newest), "nothing comes twice");
    assert!(second.len() < 119);
}

#[test]
fn process_utilization_comes_from_the_drivers_ring() {
    let mut rig = rig("healthy-8xh100");
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    let found = (0..u32::MAX)
        .find_map(|_| device.process_utilization(caller).ok().filter(|found| !found.is_empty()))
        .unwrap();
    assert_eq!(found.iter().filter(|process| process.pid == found[0].pid).count(), 1, "one row a process");
    assert!(found.iter().all(|process| process.sm.0 <= 100.0));
}

#[test]
fn a_divided_gpu_has_instances_with_memory_and_processes_of_their_own() {
    let mut rig = rig("mig");
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    assert_eq!(device.health(caller).mig, Ok(true));
    assert_eq!(device.fast_read(caller).utilization, Err(Absence::NotSupported));
    let instances = device.mig(caller).unwrap();
    assert_eq!(instances.len(), 3, "the four empty places are no instances");
    let ids: Vec<_> = instances.iter().map(|instance| instance.gpu_instance.clone()).collect();
    assert_eq!(ids, [Ok(1), Ok(9), Ok(10)]);
    let first = &instances[0];
    assert_eq!(first.profile.as_deref(), Ok("3g.40gb"));
    assert!(first.uuid.as_ref().unwrap().0.starts_with("MIG-"));
    assert_eq!(first.memory_total, Ok(Bytes(40_448 << 20)));
    assert_eq!(first.memory_used, Ok(Bytes(30_120 << 20)));
    let pids = |list: &Reading<Vec<kgtop::model::ProcessOnGpu>>| -> Vec<u32> {
        list.iter().flatten().map(|process| process.pid).collect()
    };
    assert_eq!(pids(&first.processes), [7_001]);
    assert_eq!(pids(&instances[1].processes), [7_002]);
    assert_eq!(pids(&instances[2].processes), Vec::<u32>::new());
    // The other GPU is whole: it has no instances, and that is no failure.
    assert_eq!(rig.devices[1].mig(&rig.caller), Ok(vec![]));
}
