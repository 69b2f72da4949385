//! What is read anew, and when: margins, refusals, samples, event sets.

use super::*;
use kgtop::model::Counters;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What has not come by now does not come.
const DEADLINE_US: i64 = 60_000_000;

/// Opens a scenario that begins now, with a clock that the test moves.
macro_rules! rig_with_clock {
    ($text:expr) => {{
        static NOW: AtomicU64 = AtomicU64::new(1_000_000);
        let file = scenario_file(&$text);
        let library = stand_in::stand_in_with(&[("KGTOP_STAND_IN", file.to_str().unwrap())]);
        let caller = Caller::new(Clock { mono: || Mono(NOW.load(Ordering::SeqCst)), wall: || Wall(0) });
        let session = open(Some(Path::new(&*library)), &caller).unwrap();
        let devices = session.devices(&caller);
        (Rig { session, devices, caller, _files: vec![file, library] }, &NOW)
    }};
}

fn scenario(gpu: &str) -> String {
    format!("title = \"t\"\nduration_seconds = 600\n[[gpu]]\nmodel = \"h100\"\n{gpu}")
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = micros(ClockId::Monotonic);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(micros(ClockId::Monotonic) - began < DEADLINE_US, "no {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_margin_is_kept_for_less_than_5_seconds() {
    let (mut rig, now) = rig_with_clock!(scenario("[gpu.set]\ntemperature = 50\n"));
    for (second, calls) in [(1, 1), (2, 1), (5, 1), (6, 2), (11, 3), (12, 3)] {
        now.store(second * 1_000_000, Ordering::SeqCst);
        assert_eq!(rig.devices[0].live(&rig.caller).temperature_margin, Ok(Celsius(37.0)));
        assert_eq!(rig.calls(CallId::MarginTemperature), calls, "at {second} s");
    }
}

#[test]
fn a_margin_belongs_to_the_temperature_beside_it() {
    let heat = "[gpu.set]\ntemperature = 40\n[[at]]\nt = 1\ngpu = 0\ntemperature = 90\n";
    let (mut rig, _) = rig_with_clock!(scenario(heat));
    let hot = until("heat", || {
        Some(rig.devices[0].live(&rig.caller)).filter(|live| live.temperature == Ok(Celsius(90.0)))
    });
    assert_eq!(hot.temperature_margin, Ok(Celsius(-3.0)), "although no time passed on the clock");
}

#[test]
fn what_was_not_supported_for_a_while_comes_back() {
    // As a GPU that is in MIG mode in between.
    let fault =
        "[[fault]]\ncall = \"nvmlGpmSampleGet\"\ngpu = 0\nfrom = 3\nto = 6\nkind = \"error\"\ncode = 3\n";
    let (mut rig, now) = rig_with_clock!(scenario(&format!("load = \"full\"\n{fault}")));
    let mut taken = 0_u64;
    let mut sample = |rig: &mut Rig| {
        taken += 1_000_000;
        rig.devices[0].gpm(&rig.caller, Mono(taken))
    };
    until("the end of GPM", || {
        let gpm = sample(&mut rig)?;
        (gpm.sm == Err(Absence::NotSupported)).then_some(())
    });
    let Counters { nvlink_tx_kib, .. } = rig.devices[0].counters(&rig.caller, false);
    assert!(nvlink_tx_kib.is_ok(), "without GPM the counters tell the links' rates: {nvlink_tx_kib:?}");
    let asked = rig.calls(CallId::GpmSample);
    assert_eq!(sample(&mut rig).map(|gpm| gpm.sm), Some(Err(Absence::NotSupported)));
    assert_eq!(rig.calls(CallId::GpmSample), asked, "what was refused is not asked again at once");
    until("GPM again", || {
        now.fetch_add(121_000_000, Ordering::SeqCst);
        sample(&mut rig).filter(|gpm| gpm.sm.is_ok())
    });
    let Counters { nvlink_tx_kib, .. } = rig.devices[0].counters(&rig.caller, false);
    assert_eq!(nvlink_tx_kib, Err(Absence::NotRequested), "GPM tells them again");
}

#[test]
fn another_division_lets_everything_be_asked_again() {
    let instances =
        "[[gpu.mig]]\ngpu_instance = 1\nprofile = \"1g.10gb\"\nmemory_mib = 9984\nused_mib = 0\nsm = 0\n";
    let fault = "[[fault]]\ncall = \"nvmlDeviceGetMigDeviceHandleByIndex\"\ngpu = 0\nfrom = 0\nto = 3\nkind = \"error\"\ncode = 6\n";
    let (mut rig, _) = rig_with_clock!(scenario(&(instances.to_owned() + fault)));
    assert_eq!(rig.devices[0].mig(&rig.caller).map(|instances| instances.len()), Ok(0));
    for _ in 0..2 {
        assert_eq!(rig.devices[0].live(&rig.caller).encoder, Err(Absence::NotSupported));
        let _same = rig.devices[0].mig(&rig.caller);
    }
    assert_eq!(rig.calls(CallId::EncoderUtilization), 1, "asked once");
    until("an instance", || rig.devices[0].mig(&rig.caller).ok().filter(|instances| !instances.is_empty()));
    let _again = rig.devices[0].live(&rig.caller);
    assert_eq!(rig.calls(CallId::EncoderUtilization), 2, "and again once it is divided otherwise");
}

#[test]
fn an_event_set_goes_back_before_the_next_one_is_made() {
    // The stand-in has but one.
    let rig = one("h100", &error("nvmlEventSetWait_v2", 999));
    for _ in 0..3 {
        let events = rig.session.xid_events(&rig.caller).unwrap();
        assert_eq!(events.wait(&rig.caller, Duration::ZERO), Err(Absence::failed(999, "UNKNOWN")));
        events.release(&rig.caller);
    }
    let deaf = one("h100", &error("nvmlDeviceRegisterEvents", 3));
    for _ in 0..2 {
        assert_eq!(deaf.session.xid_events(&deaf.caller).err(), Some(Absence::NotSupported));
    }
    assert_eq!(deaf.calls(CallId::EventSetFree), 2, "one that no GPU is in goes back too");
}

#[test]
fn energy_is_known_to_the_millijoule_after_years() {
    let mut rig = one("h100", "");
    let joules = rig.devices[0].health(&rig.caller).energy.unwrap().0;
    assert!(joules > f64::from(1 << 25), "what an f32 cannot tell apart any more: {joules}");
    assert!(
        (joules * 1_000.0 - (joules * 1_000.0).round()).abs() < 1e-3 && f64::from(joules as f32) != joules
    );
}

#[test]
fn an_h200_calls_a_display_attached_and_drives_none() {
    let mut rig = rig("healthy-2xh200");
    let info = rig.devices[0].info(&rig.caller);
    assert_eq!((info.display_attached, info.display_active), (Ok(true), Ok(false)));
}

#[test]
fn the_recovery_action_came_with_driver_570() {
    for (driver, told) in [("535.183.01", Err(Absence::NotSupported)), ("570.86.10", Ok(0))] {
        let text = format!(
            "title = \"t\"\nduration_seconds = 60\n[host]\ndriver = \"{driver}\"\n[[gpu]]\nmodel = \"h100\"\n"
        );
        let mut rig = rig_of(&text);
        assert_eq!(rig.devices[0].live(&rig.caller).recovery_action, told, "{driver}");
    }
}
