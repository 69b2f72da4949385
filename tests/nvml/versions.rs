//! What older drivers lack or do otherwise.

use super::*;

/// Three processes on a driver of that version.
fn driver(version: &str, rest: &str) -> Rig {
    rig_of(&format!(
        "title = \"t\"\nduration_seconds = 60\nend = \"stay\"\n[host]\ndriver = \"{version}\"\n\
         [[gpu]]\nmodel = \"h100\"\nload = \"full\"\n\
         [[process]]\npid = 100\nname = \"a\"\ncommand = [\"a\"]\ngpus = 0\nmemory_mib = 1\n\
         [[process]]\npid = 200\nname = \"b\"\ncommand = [\"b\"]\ngpus = 0\nmemory_mib = 2\n\
         [[process]]\npid = 300\nname = \"c\"\ncommand = [\"c\"]\ngpus = 0\nmemory_mib = 3\n{rest}"
    ))
}

#[test]
fn the_longer_entries_of_the_535_drivers_are_not_walked_into() {
    for version in ["535.54.03", "535.86.05", "535.104.05", "580.159.04"] {
        let mut rig = driver(version, "");
        let list = rig.devices[0].process_list(&rig.caller).unwrap();
        let found: Vec<_> = list.iter().map(|process| (process.pid, process.memory.clone())).collect();
        let wanted = [(100, 1), (200, 2), (300, 3)].map(|(pid, mib)| (pid, Ok(Bytes(mib << 20))));
        assert_eq!(found, wanted, "{version}");
        let v2 = version == "535.54.03" || version == "535.86.05";
        assert_eq!(rig.calls(CallId::ComputeProcessesV2) > 0, v2, "{version}");
        assert_eq!(rig.calls(CallId::ComputeProcessesV3) > 0, !v2, "{version}");
    }
}

#[test]
fn reason_counters_are_found_under_the_number_of_the_driver() {
    let hot = "[[at]]\nt = 0\ngpu = 0\nthrottle = [\"hw_thermal_slowdown\"]\n";
    for version in ["570.86.15", "580.65.06", "580.82.07", "580.159.04"] {
        let mut rig = driver(version, hot);
        let counters = rig.devices[0].counters(&rig.caller, false);
        let hot = counters.hw_thermal_ns.clone().unwrap();
        assert!(hot > 60_000_000_000, "{version}: {counters:?}");
        assert_eq!(counters.hw_power_brake_ns, Ok(0), "{version}");
        assert_eq!(counters.sw_thermal_ns, Ok(0), "{version}");
    }
}

#[test]
fn a_driver_without_the_newer_functions_is_asked_the_older_way() {
    let mut rig = rig_without(&[
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetMPSComputeRunningProcesses_v3",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetSupportedClocksEventReasons",
        "nvmlDeviceGetGpuFabricInfoV",
    ]);
    let (device, caller) = (&mut rig.devices[7], &rig.caller);
    assert_eq!(device.info(caller).supported_clock_events, Ok(0x1ff));
    let live = device.live(caller);
    assert_eq!(live.memory_reserved, Err(Absence::NotSupported), "version 1 does not tell it");
    // 71,680 MiB of the process and the driver's own 551 MiB, which version 1 counts in.
    assert_eq!(live.memory_used, Ok(Bytes((71_680 + 551) << 20)));
    assert_eq!(device.process_list(caller).unwrap()[0].pid, 41_214);
    assert!(device.fast_read(caller).clock_events.is_ok());
    assert_eq!(device.health(caller).fabric_state, Ok(3));
    let device = &mut rig.devices[7];
    device.live(&rig.caller);
    assert_eq!(rig.calls(CallId::MemoryInfoV2), 1, "the missing one is tried once");
    assert_eq!(rig.calls(CallId::MemoryInfo), 2);
}

#[test]
fn a_driver_without_the_functions_at_all_leaves_the_rest() {
    let mut rig = rig_without(&[
        "nvmlDeviceGetFieldValues",
        "nvmlGpmQueryDeviceSupport",
        "nvmlGpmSampleAlloc",
        "nvmlGpmSampleGet",
        "nvmlGpmMetricsGet",
        "nvmlDeviceGetMarginTemperature",
        "nvmlDeviceGetRowRemapperHistogram",
        "nvmlDeviceGetSramEccErrorStatus",
        "nvmlDeviceGetGspFirmwareVersion",
        "nvmlDeviceGetModuleId",
        "nvmlDeviceGetSamples",
        "nvmlDeviceGetProcessUtilization",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetFanSpeed_v2",
    ]);
    let (device, caller) = (&mut rig.devices[0], &rig.caller);
    let info = device.info(caller);
    assert!(info.name.is_ok() && info.serial.is_ok());
    assert_eq!((info.gsp, info.module_id), (Err(Absence::NotSupported), Err(Absence::NotSupported)));
    assert!(info.gpm != Ok(true), "{:?}", info.gpm);
    let thresholds = info.thresholds.unwrap();
    assert!(thresholds.slowdown.is_ok());
    assert_eq!(thresholds.slowdown_limit, Err(Absence::NotSupported));
    let live = device.live(caller);
    assert_eq!(live.memory_temperature, Err(Absence::NotSupported));
    assert_eq!(live.temperature_margin, Err(Absence::NotSupported));
    assert_eq!((live.recovery_action, live.fan), (Err(Absence::NotSupported), Err(Absence::NotSupported)));
    assert!(live.temperature.is_ok() && live.memory_used.is_ok());
    assert_eq!(gpm(device, caller).sm, Err(Absence::NotSupported));
    assert_eq!(device.counters(caller, false).hw_thermal_ns, Err(Absence::NotSupported));
    assert_eq!(device.buffers(caller, true, false).power, Err(Absence::NotSupported));
    assert_eq!(device.process_utilization(caller), Err(Absence::NotSupported));
    assert_eq!(device.mig(caller), Err(Absence::NotSupported));
    let health = device.health(caller);
    assert_eq!(health.sram_threshold_exceeded, Err(Absence::NotSupported));
    assert_eq!(health.remap_banks, Err(Absence::NotSupported));
    assert_eq!(health.mig, Err(Absence::NotSupported));
    assert!(health.ecc_uncorrected_volatile.is_ok());
}
