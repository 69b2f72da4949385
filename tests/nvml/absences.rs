//! What becomes of a call that the driver refuses.

use super::*;

#[test]
fn what_is_not_supported_is_asked_once() {
    let mut rig = one("h200", &error("nvmlDeviceGetPcieReplayCounter", 3));
    for _ in 0..4 {
        let health = rig.devices[0].health(&rig.caller);
        assert_eq!(health.pcie_replays, Err(Absence::NotSupported));
        assert!(health.persistence.is_ok(), "the others are read");
    }
    assert_eq!(rig.calls(CallId::PcieReplays), 1);
    assert_eq!(rig.calls(CallId::PersistenceMode), 4);
}

#[test]
fn a_fast_call_is_asked_again_since_a_mode_may_come_back() {
    let mut rig = one("h200", &error("nvmlDeviceGetPowerUsage", 3));
    for _ in 0..3 {
        assert_eq!(rig.devices[0].fast_read(&rig.caller).power, Err(Absence::NotSupported));
    }
    assert_eq!(rig.calls(CallId::PowerUsage), 3);
}

#[test]
fn what_is_forbidden_or_fails_is_asked_again_and_says_why() {
    let faults = [
        error("nvmlDeviceGetPcieReplayCounter", 4),
        error("nvmlDeviceGetComputeMode", 999),
        error("nvmlDeviceGetPersistenceMode", 26),
        error("nvmlDeviceGetTemperature", 17),
    ];
    let mut rig = one("h200", &faults.concat());
    for _ in 0..2 {
        let health = rig.devices[0].health(&rig.caller);
        assert_eq!(health.pcie_replays, Err(Absence::NoPermission));
        assert_eq!(health.compute_mode, Err(Absence::failed(999, "UNKNOWN")));
        assert_eq!(
            health.persistence,
            Err(Absence::failed(26, "DEPRECATED")),
            "a code the wrapper does not know"
        );
        let live = rig.devices[0].live(&rig.caller);
        assert_eq!(live.temperature, Err(Absence::failed(17, "OPERATING_SYSTEM")));
        assert!(live.memory_used.is_ok());
    }
    assert_eq!(rig.calls(CallId::PcieReplays), 2);
    assert_eq!(rig.calls(CallId::ComputeMode), 2);
    assert!(!rig.devices[0].is_lost());
}

#[test]
fn a_gpu_lost_in_mid_run_is_left_alone_and_the_others_go_on() {
    let faults = "[[fault]]\ncall = \"nvmlDeviceGetPerformanceState\"\ngpu = 1\nfrom = 0\nkind = \"error\"\ncode = 15\n";
    let mut rig = rig_of(&format!(
        "title = \"t\"\nduration_seconds = 60\nend = \"stay\"\n[[gpu]]\nmodel = \"h200\"\ncount = 3\nload = \"full\"\n{faults}"
    ));
    assert!(rig.devices[1].info(&rig.caller).name.is_ok(), "it was there at the start");
    assert!(!rig.devices[1].is_lost());
    let live = rig.devices[1].live(&rig.caller);
    assert_eq!(live.performance_state, Err(Absence::Lost));
    assert!(live.temperature.is_ok(), "what was read before it was lost stays");
    assert_eq!(live.power_limit, Err(Absence::Lost), "what comes after is not asked");
    assert!(rig.devices[1].is_lost());
    let before = rig.caller.slot().calls();
    assert_eq!(rig.devices[1].live(&rig.caller).temperature, Err(Absence::Lost));
    assert_eq!(rig.devices[1].process_list(&rig.caller), Err(Absence::Lost));
    assert_eq!(rig.devices[1].fast_read(&rig.caller).power, Err(Absence::Lost));
    assert_eq!(rig.devices[1].health(&rig.caller).energy, Err(Absence::Lost));
    assert_eq!(rig.caller.slot().calls(), before, "no call is made into a lost GPU");
    for other in [0, 2] {
        assert!(rig.devices[other].live(&rig.caller).performance_state.is_ok());
        assert!(rig.devices[other].fast_read(&rig.caller).power.is_ok());
    }
}

#[test]
fn a_gpu_that_needs_a_reset_is_lost_too() {
    let mut rig = one("h200", &error("nvmlDeviceGetTemperature", 16));
    assert_eq!(rig.devices[0].live(&rig.caller).temperature, Err(Absence::Lost));
    assert!(rig.devices[0].is_lost());
    assert_eq!(rig.devices[0].refusal(), Some(16), "and it is told that a reset is what it needs");
}

#[test]
fn a_gpu_without_a_handle_keeps_its_place() {
    let mut rig = rig_of(
        "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h200\"\nstate = \"lost\"\n[[gpu]]\nmodel = \"h200\"\n",
    );
    assert_eq!(rig.devices.len(), 2);
    assert!(rig.devices[0].is_lost());
    assert_eq!(rig.devices[0].id().to_string(), "nvml:0");
    assert_eq!(rig.devices[0].info(&rig.caller).id(), rig.devices[0].id(), "its inventory has the same name");
    assert_eq!(rig.devices[0].live(&rig.caller).temperature, Err(Absence::Lost));
    assert!(rig.devices[1].live(&rig.caller).temperature.is_ok());
}

#[test]
fn all_ones_is_no_value() {
    let calls = [
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetCurrPcieLinkGeneration",
        "nvmlDeviceGetCurrPcieLinkWidth",
        "nvmlDeviceGetPcieReplayCounter",
        "nvmlDeviceGetTemperature",
    ];
    let faults: String = calls.iter().map(|call| answer(call, u32::MAX)).collect();
    let mut rig = one("h200", &faults);
    assert_eq!(rig.devices[0].fast_read(&rig.caller).power, Err(Absence::NotSupported));
    let live = rig.devices[0].live(&rig.caller);
    assert_eq!(live.pcie_generation, Err(Absence::NotSupported));
    assert_eq!(live.pcie_width, Err(Absence::NotSupported));
    assert_eq!(live.temperature, Err(Absence::NotSupported));
    assert!(live.memory_total.is_ok());
    assert_eq!(rig.devices[0].health(&rig.caller).pcie_replays, Err(Absence::NotSupported));
}

#[test]
fn a_performance_state_that_is_unknown_is_no_state() {
    let mut rig = one("h200", &answer("nvmlDeviceGetPerformanceState", 32));
    assert!(rig.devices[0].live(&rig.caller).performance_state.is_err());
}

#[test]
fn a_consumer_card_lacks_what_only_a_datacenter_has() {
    let mut rig = rig("mixed-16");
    let caller = &rig.caller;
    let plain = rig
        .devices
        .iter_mut()
        .find_map(|device| (device.info(caller).brand.as_deref() == Ok("GeForce")).then_some(device))
        .expect("mixed-16 has a consumer card");
    let health = plain.health(caller);
    assert!(health.ecc_uncorrected_volatile.is_err());
    assert!(health.remap_banks.is_err());
    assert_eq!(plain.mig(caller), Err(Absence::NotSupported));
    assert!(plain.live(caller).fan.is_ok(), "and has what that lacks");
}
