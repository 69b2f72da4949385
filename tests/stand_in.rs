//! The stand-in driver library, seen through nvml-wrapper as kgtop sees a real one. What it answers for the
//! healthy H200 is what `nvidia-smi -q` printed on two of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]
#![allow(unsafe_code, reason = "calls the stand-in's raw C symbols, as the driver library's clients do")]

#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;
#[path = "stand_in/traps.rs"]
mod traps;

use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};
use stand_in::{stand_in_library, stand_in_with, without_symbols};
use std::ffi::OsStr;
use std::sync::LazyLock;

/// A library instance is for a whole process, and so is its environment: all tests here share one scenario.
static NVML: LazyLock<Nvml> = LazyLock::new(|| {
    // SAFETY: the lock runs this once, and nothing else in this test program reads or writes the environment.
    unsafe { std::env::set_var("KGTOP_STAND_IN", "healthy-2xh200") };
    Nvml::builder().lib_path(stand_in_library().as_os_str()).init().unwrap()
});

fn gpu(index: u32) -> Device<'static> {
    NVML.device_by_index(index).unwrap()
}

#[test]
fn identity_as_measured() {
    assert_eq!(NVML.device_count().unwrap(), 2);
    assert_eq!(NVML.sys_driver_version().unwrap(), "580.159.04");
    assert_eq!(NVML.sys_cuda_driver_version().unwrap(), 13_000);
    let gpu = gpu(0);
    assert_eq!(gpu.name().unwrap(), "NVIDIA H200");
    assert_eq!(gpu.uuid().unwrap(), "GPU-00000000-0000-4000-8000-000000000001");
    assert_eq!(gpu.serial().unwrap(), "1650000000001");
    assert_eq!(gpu.vbios_version().unwrap(), "96.00.A5.00.1A");
    assert_eq!(gpu.info_rom_image_version().unwrap(), "G520.0282.02.02");
    assert_eq!(gpu.board_part_number().unwrap(), "692-2G520-0282-000");
    let pci = gpu.pci_info().unwrap();
    assert_eq!(pci.bus_id, "00000000:00:06.0");
    assert_eq!(pci.pci_device_id, 0x2335_10DE);
    assert_eq!(gpu.max_pcie_link_gen().unwrap(), 5);
    assert_eq!(gpu.max_pcie_link_width().unwrap(), 16);
}

#[test]
fn limits_and_thresholds_as_measured() {
    let gpu = gpu(1);
    let constraints = gpu.power_management_limit_constraints().unwrap();
    assert_eq!((constraints.min_limit, constraints.max_limit), (200_000, 700_000));
    assert_eq!(gpu.power_management_limit_default().unwrap(), 700_000);
    assert_eq!(gpu.enforced_power_limit().unwrap(), 700_000);
    let threshold = |kind| gpu.temperature_threshold(kind).unwrap();
    assert_eq!(threshold(TemperatureThreshold::Slowdown), 89);
    assert_eq!(threshold(TemperatureThreshold::Shutdown), 95);
    assert_eq!(threshold(TemperatureThreshold::MemoryMax), 95);
    assert_eq!(threshold(TemperatureThreshold::GpuMax), 87);
    assert_eq!(gpu.max_clock_info(Clock::SM).unwrap(), 1980);
    assert_eq!(gpu.max_clock_info(Clock::Memory).unwrap(), 3201);
    assert_eq!(gpu.max_clock_info(Clock::Video).unwrap(), 1545);
    assert_eq!(gpu.supported_throttle_reasons().unwrap().bits(), 0x1ff);
}

#[test]
fn idle_as_measured() {
    let gpu = gpu(0);
    let power = gpu.power_usage().unwrap();
    assert!((79_000..81_000).contains(&power), "{power} mW");
    assert_eq!(gpu.temperature(TemperatureSensor::Gpu).unwrap(), 36);
    assert_eq!(gpu.clock_info(Clock::SM).unwrap(), 345);
    assert_eq!(gpu.clock_info(Clock::Memory).unwrap(), 3201);
    assert_eq!(gpu.clock_info(Clock::Video).unwrap(), 765);
    assert_eq!(gpu.utilization_rates().unwrap().gpu, 0);
    assert_eq!(gpu.current_throttle_reasons().unwrap().bits(), 0x1);
    assert_eq!(gpu.current_pcie_link_gen().unwrap(), 5);
    assert!(gpu.is_in_persistent_mode().unwrap());
    assert_eq!(gpu.running_compute_processes().unwrap(), []);
    assert!(matches!(gpu.fan_speed(0), Err(NvmlError::NotSupported)));
    assert!(matches!(gpu.are_pages_pending_retired(), Err(NvmlError::NotSupported)));
}

#[test]
fn memory_adds_up_as_measured() {
    let memory = gpu(0).memory_info().unwrap();
    assert_eq!(memory.total >> 20, 143_771);
    assert_eq!(memory.reserved, 644_939_776);
    assert_eq!(memory.used, 0);
    assert_eq!(memory.used + memory.free + memory.reserved, memory.total);
    let bar1 = gpu(0).bar1_memory_info().unwrap();
    assert_eq!((bar1.total >> 20, bar1.used >> 20), (262_144, 1));
}

#[test]
fn links_and_errors_as_measured() {
    let gpu = gpu(0);
    assert!(gpu.link_wrapper_for(17).is_active().unwrap());
    // Past the last link it is an argument that is invalid, not a link that is unsupported.
    assert!(matches!(gpu.link_wrapper_for(18).is_active(), Err(NvmlError::InvalidArg)));
    assert_eq!(gpu.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).unwrap(), 0);
}

#[test]
fn fields_answer_one_by_one() {
    let fields = [82, 91, 193, 194, 206, 230, 186].map(FieldId);
    let values = gpu(0).field_values_for(&fields).unwrap();
    let of = |index: usize| &values[index].as_ref().unwrap().value;
    assert!(matches!(of(0), Ok(SampleValue::U32(36))));
    assert!(matches!(of(1), Ok(SampleValue::U32(18))));
    // nvml-wrapper does not know type 5 (signed), which the T.Limit fields have.
    assert!(matches!(values[2], Err(NvmlError::UnexpectedVariant(5))));
    assert!(matches!(values[3], Err(NvmlError::UnexpectedVariant(5))));
    assert!(matches!(of(4), Err(NvmlError::NotSupported)));
    assert!(matches!(of(5), Ok(SampleValue::U32(0))));
    assert!(matches!(of(6), Ok(SampleValue::U32(79_000..=81_000))));
}

#[test]
fn a_symbol_can_be_left_out() {
    let library = without_symbols(&["nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetGpuFabricInfoV"]);
    let older = Nvml::builder().lib_path(OsStr::new(&*library)).init().unwrap();
    let gpu = older.device_by_index(0).unwrap();
    assert!(matches!(gpu.memory_info(), Err(NvmlError::FailedToLoadSymbol(_))));
    assert!(gpu.power_usage().is_ok(), "the others are still there");
}

/// A library of its own that plays a scenario; the file must live as long as the library is used.
pub(crate) fn play(scenario: &str) -> (Nvml, tempfile::TempPath) {
    let library = stand_in_with(&[("KGTOP_STAND_IN", scenario)]);
    (Nvml::builder().lib_path(library.as_os_str()).init().unwrap(), library)
}

#[test]
fn processes_and_their_memory() {
    let (nvml, _library) = play("healthy-8xh100");
    let gpu = nvml.device_by_index(7).unwrap();
    let processes = gpu.running_compute_processes().unwrap();
    assert_eq!(processes.len(), 1);
    assert_eq!(processes[0].pid, 41_214);
    assert_eq!(processes[0].used_gpu_memory, UsedGpuMemory::Used(71_680 << 20));
    assert_eq!(processes[0].gpu_instance_id, None);
    assert_eq!(gpu.memory_info().unwrap().used, 71_680 << 20);
}

#[test]
fn a_blocked_call_leaves_the_others_alone() {
    let file = scenario_file(
        "title = \"t\"\nduration_seconds = 10\n[[gpu]]\nmodel = \"h100\"\ncount = 2\n\
         [[fault]]\ncall = \"nvmlDeviceGetPowerUsage\"\ngpu = 1\nkind = \"block\"\n",
    );
    let (nvml, _library) = play(file.to_str().unwrap());
    let nvml: &'static Nvml = Box::leak(Box::new(nvml));
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let stuck = nvml.device_by_index(1).unwrap();
        send.send(()).unwrap();
        drop(stuck.power_usage());
        send.send(()).unwrap();
    });
    receive.recv().unwrap();
    assert!(nvml.device_by_index(0).unwrap().power_usage().is_ok());
    assert!(nvml.device_by_index(1).unwrap().temperature(TemperatureSensor::Gpu).is_ok());
    let back = receive.recv_timeout(std::time::Duration::from_millis(100));
    assert!(back.is_err(), "the blocked call came back");
}

#[test]
fn a_lost_gpu_and_what_is_set() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let file = scenario_file(
        "title = \"t\"\nduration_seconds = 10\n[[gpu]]\nmodel = \"h100\"\n[[gpu]]\nmodel = \"h100\"\nstate = \"lost\"\n",
    );
    let library = stand_in_with(&[
        ("KGTOP_STAND_IN", file.to_str().unwrap()),
        ("KGTOP_STAND_IN_LOG", log.path().to_str().unwrap()),
    ]);
    let nvml = Nvml::builder().lib_path(library.as_os_str()).init().unwrap();
    assert!(matches!(nvml.device_by_index(1), Err(NvmlError::GpuLost)));
    let mut gpu = nvml.device_by_index(0).unwrap();
    gpu.set_power_management_limit(450_000).unwrap();
    assert_eq!(gpu.power_management_limit().unwrap(), 450_000);
    assert!(matches!(gpu.set_power_management_limit(900_000), Err(NvmlError::InvalidArg)));
    let lines = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(
        lines,
        "nvmlDeviceSetPowerManagementLimit 0 450000\nnvmlDeviceSetPowerManagementLimit 0 900000\n"
    );
}

pub(crate) fn scenario_file(text: &str) -> tempfile::TempPath {
    let path = tempfile::Builder::new().suffix(".toml").tempfile().unwrap().into_temp_path();
    std::fs::write(&path, text).unwrap();
    path
}
