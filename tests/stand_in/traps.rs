//! The driver's traps, as the stand-in imitates them: what a reader that walks into one would get wrong.

use crate::stand_in::{stand_in_library, stand_in_with};
use crate::{play, scenario_file};
use kgtop::sources::nvml::CallId;
use nvml_wrapper::enum_wrappers::device::Sampling;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{nvmlFieldValue_t, nvmlMemory_v2_t};
use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempPath;

/// One GPU with three processes on a driver of that version.
fn with_driver(version: &str, rest: &str) -> (Nvml, TempPath, TempPath) {
    let file = scenario_file(&format!(
        "title = \"t\"\nduration_seconds = 60\n[host]\ndriver = \"{version}\"\n[[gpu]]\nmodel = \"h100\"\nload = \"full\"\n\
         [[process]]\npid = 100\nname = \"a\"\ncommand = [\"a\"]\ngpus = 0\nmemory_mib = 1\n\
         [[process]]\npid = 200\nname = \"b\"\ncommand = [\"b\"]\ngpus = 0\nmemory_mib = 2\n\
         [[process]]\npid = 300\nname = \"c\"\ncommand = [\"c\"]\ngpus = 0\nmemory_mib = 3\n{rest}"
    ));
    let (nvml, library) = play(file.to_str().unwrap());
    (nvml, library, file)
}

#[test]
fn every_call_of_the_table_is_there() {
    let image = std::fs::read(stand_in_library()).unwrap();
    let names: HashSet<&[u8]> = image.split(|byte| *byte == 0).collect();
    for call in CallId::ALL {
        assert!(names.contains(call.name().as_bytes()), "{} is missing", call.name());
    }
}

/// The first words of each of `count` entries of 8-byte words that `_v3` writes.
fn pids(nvml: &Nvml, words_per_entry: usize) -> Vec<u64> {
    let gpu = nvml.device_by_index(0).unwrap();
    let list = nvml.lib().nvmlDeviceGetComputeRunningProcesses_v3.as_ref().unwrap();
    let mut count = 0;
    // SAFETY: with a count of 0 nothing but the count is written.
    let code = unsafe { list(gpu.handle(), &raw mut count, std::ptr::null_mut()) };
    assert_eq!((code, count), (7, 3), "the count comes with INSUFFICIENT_SIZE");
    let mut words = vec![u64::MAX; 4 * 8];
    // SAFETY: the buffer has room for three entries of either size.
    let code = unsafe { list(gpu.handle(), &raw mut count, words.as_mut_ptr().cast()) };
    assert_eq!(code, 0);
    words
        .chunks(words_per_entry)
        .take(3)
        .filter_map(|entry| entry.first())
        .map(|word| word & 0xffff_ffff)
        .collect()
}

#[test]
fn entries_of_the_535_drivers_are_longer() {
    let (nvml, ..) = with_driver("535.54.03", "");
    assert_eq!(pids(&nvml, 4), [100, 200, 300]);
    assert_ne!(pids(&nvml, 3), [100, 200, 300]);
    let (nvml, ..) = with_driver("535.104.05", "");
    assert_eq!(pids(&nvml, 3), [100, 200, 300]);
}

fn field(gpu: &Device<'_>, nvml: &Nvml, id: u32, scope: u32) -> (u32, u32, u64) {
    let fields = nvml.lib().nvmlDeviceGetFieldValues.as_ref().unwrap();
    // SAFETY: plain numbers, for which zero is a value.
    let mut value: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
    value.fieldId = id;
    value.scopeId = scope;
    // SAFETY: one value, and room for one.
    assert_eq!(unsafe { fields(gpu.handle(), 1, &raw mut value) }, 0);
    // SAFETY: every member of the union is plain, and it was zeroed before.
    (value.nvmlReturn, value.valueType, unsafe { value.value.ullVal })
}

#[test]
fn reason_counters_changed_their_numbers() {
    let hot = "[[at]]\nt = 0\ngpu = 0\nthrottle = [\"hw_thermal_slowdown\"]\n";
    for (driver, id) in [("570.86.15", 252), ("580.82.07", 270)] {
        // The scenario began a minute ago.
        let file = scenario_file(&format!(
            "title = \"t\"\nduration_seconds = 60\n[host]\ndriver = \"{driver}\"\n[[gpu]]\nmodel = \"h100\"\n{hot}"
        ));
        let library =
            stand_in_with(&[("KGTOP_STAND_IN", file.to_str().unwrap()), ("KGTOP_STAND_IN_EPOCH", "1")]);
        let nvml = Nvml::builder().lib_path(library.as_os_str()).init().unwrap();
        let gpu = nvml.device_by_index(0).unwrap();
        let (code, kind, nanoseconds) = field(&gpu, &nvml, id, 0);
        assert_eq!((code, kind), (0, 3), "{driver}");
        assert!(nanoseconds > 60_000_000_000, "{driver}: {nanoseconds}");
        // The other numbering's field has the same number and another meaning.
        let (_, _, other) = field(&gpu, &nvml, if id == 252 { 270 } else { 252 }, 0);
        assert_eq!(other, 0, "{driver}");
    }
}

#[test]
fn links_have_a_scope_and_an_end() {
    let (nvml, ..) = with_driver("580.159.04", "");
    let gpu = nvml.device_by_index(0).unwrap();
    assert_eq!(field(&gpu, &nvml, 138, u32::MAX).0, 0);
    assert_eq!(field(&gpu, &nvml, 138, 17).0, 0);
    assert_eq!(field(&gpu, &nvml, 138, 18).0, 2, "past the last link: INVALID_ARGUMENT");
    assert_eq!(field(&gpu, &nvml, 193, 0).2 as u32 as i32, -8, "T.Limit is signed");
}

#[test]
fn an_unknown_structure_version_is_refused() {
    let (nvml, ..) = with_driver("580.159.04", "");
    let gpu = nvml.device_by_index(0).unwrap();
    let info = nvml.lib().nvmlDeviceGetMemoryInfo_v2.as_ref().unwrap();
    // SAFETY: plain numbers.
    let mut memory: nvmlMemory_v2_t = unsafe { std::mem::zeroed() };
    memory.version = size_of::<nvmlMemory_v2_t>() as u32 | 3 << 24;
    // SAFETY: the structure is the caller's own.
    assert_eq!(unsafe { info(gpu.handle(), &raw mut memory) }, 25);
}

#[test]
fn sample_buffers_are_full_at_once_and_tell_only_what_is_new() {
    let (nvml, ..) = with_driver("580.159.04", "");
    let gpu = nvml.device_by_index(0).unwrap();
    // 119 samples, 20 ms apart, as measured.
    let first = gpu.samples(Sampling::Power, None).unwrap();
    assert_eq!(first.len(), 119);
    assert!(first.windows(2).all(|pair| pair[1].timestamp - pair[0].timestamp == 20_000));
    assert!(first.iter().all(|sample| matches!(sample.value, SampleValue::U32(400_000..=700_000))));
    let last = first.last().unwrap().timestamp;
    match gpu.samples(Sampling::Power, last) {
        Ok(more) => assert!(more.iter().all(|sample| sample.timestamp > last)),
        Err(error) => assert!(matches!(error, NvmlError::NotFound)),
    }
}

#[test]
fn a_divided_gpu_tells_less_and_its_instances_tell_the_rest() {
    let (nvml, _library) = play("mig");
    let gpu = nvml.device_by_index(0).unwrap();
    assert!(matches!(gpu.utilization_rates(), Err(NvmlError::NotSupported)));
    assert!(matches!(gpu.process_utilization_stats(None), Err(NvmlError::NotSupported)));
    assert_eq!(gpu.mig_device_count().unwrap(), 7);
    let instance = gpu.mig_device_by_index(0).unwrap();
    assert_eq!(instance.memory_info().unwrap().total >> 20, 40_448);
    let processes = instance.running_compute_processes().unwrap();
    assert_eq!(processes.len(), 1);
    assert_eq!((processes[0].pid, processes[0].gpu_instance_id), (7_001, Some(1)));
    assert!(matches!(gpu.mig_device_by_index(3), Err(NvmlError::NotFound)));
}

#[test]
fn a_fault_is_of_its_call_alone() {
    let fault = "[[fault]]\ncall = \"nvmlDeviceGetTemperature\"\nkind = \"error\"\ncode = 999\n";
    let (nvml, ..) = with_driver("580.159.04", fault);
    let gpu = nvml.device_by_index(0).unwrap();
    let sensor = nvml_wrapper::enum_wrappers::device::TemperatureSensor::Gpu;
    assert!(matches!(gpu.temperature(sensor), Err(NvmlError::Unknown)));
    assert!(gpu.power_usage().is_ok());
    assert!(gpu.field_values_for(&[FieldId(82)]).is_ok());
}

#[test]
fn a_call_that_blocks_the_library_holds_every_other() {
    let fault = "[[fault]]\ncall = \"nvmlDeviceGetTemperature\"\nkind = \"block_library\"\n";
    let (nvml, library, file) = with_driver("580.159.04", fault);
    // The stuck threads outlive the test, and so must what they run in.
    let (nvml, _library, _file): (&'static Nvml, _, _) = (Box::leak(Box::new(nvml)), library, file);
    let gpu = || nvml.device_by_index(0).unwrap();
    let (send, receive) = mpsc::channel();
    let power = gpu();
    std::thread::spawn(move || while power.power_usage().is_ok() && send.send(()).is_ok() {});
    receive.recv().unwrap();
    let stuck = gpu();
    std::thread::spawn(move || {
        drop(stuck.temperature(nvml_wrapper::enum_wrappers::device::TemperatureSensor::Gpu));
    });
    // Both stay where they are: a second thread's calls end as soon as the first holds the lock.
    let calls =
        (0..10_000_000).take_while(|_| receive.recv_timeout(Duration::from_millis(200)).is_ok()).count();
    assert!(calls < 10_000_000, "the library still answers");
}

#[test]
fn gpm_samples_make_metrics() {
    let (nvml, ..) = with_driver("580.159.04", "");
    let gpu = nvml.device_by_index(0).unwrap();
    assert!(gpu.gpm_support().unwrap());
    let first = gpu.gpm_sample().unwrap();
    let second = loop {
        let sample = gpu.gpm_sample().unwrap();
        // Two samples of one moment make no metric.
        let ids = [nvml_wrapper::enums::gpm::GpmMetricId::SmUtil];
        if let Ok(metrics) = nvml_wrapper::gpm::gpm_metrics_get(&nvml, &first, &sample, &ids) {
            break metrics;
        }
    };
    let sm = second[0].as_ref().unwrap().value;
    assert!((60.0..100.0).contains(&sm), "{sm} %");
}

#[test]
fn a_crash_ends_the_process() {
    const CHILD: &str = "KGTOP_TEST_CRASHES_HERE";
    if let Ok(library) = std::env::var(CHILD) {
        let nvml = Nvml::builder().lib_path(std::ffi::OsStr::new(&library)).init().unwrap();
        drop(nvml.device_by_index(0).unwrap().power_usage());
        return; // Alive: the parent finds a success and fails.
    }
    let fault = "[[fault]]\ncall = \"nvmlDeviceGetPowerUsage\"\nkind = \"crash\"\n";
    let file =
        scenario_file(&format!("title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"t4\"\n{fault}"));
    let library = stand_in_with(&[("KGTOP_STAND_IN", file.to_str().unwrap())]);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "traps::a_crash_ends_the_process"])
        .env(CHILD, &library)
        .output()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&child.status);
    assert!(matches!(signal, Some(6 | 11)), "{:?}", child.status);
}

#[test]
fn time_goes_on_from_the_epoch() {
    let (nvml, ..) = with_driver("580.159.04", "[[at]]\nt = 59\ngpu = 0\ntemperature = 99\n");
    let sensor = nvml_wrapper::enum_wrappers::device::TemperatureSensor::Gpu;
    assert_ne!(
        nvml.device_by_index(0).unwrap().temperature(sensor).unwrap(),
        99,
        "the scenario has just begun"
    );
    let file = scenario_file(
        "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h100\"\n[[at]]\nt = 59\ngpu = 0\ntemperature = 99\n",
    );
    let library = stand_in_with(&[("KGTOP_STAND_IN", file.to_str().unwrap()), ("KGTOP_STAND_IN_EPOCH", "1")]);
    let nvml = Nvml::builder().lib_path(library.as_os_str()).init().unwrap();
    assert_eq!(nvml.device_by_index(0).unwrap().temperature(sensor).unwrap(), 99, "it began long ago");
}
