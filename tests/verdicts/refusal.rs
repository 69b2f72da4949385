//! GPUs that the driver refuses, each told with the code that was read and with what helps against it; and the Xids of
//! GPUs that answer all the same.

use super::bench::{Told, play};
use kgtop::analysis::{Severity, Verdict};
use kgtop::model::{Absence, GpuState, Live, Record};
use kgtop::sources::scenario::Scenario;
use std::time::Duration;

fn scenario(driver: &str, rest: &str) -> Scenario {
    let text = format!(
        "title = \"t\"\nduration_seconds = 900\n[host]\ndriver = \"{driver}\"\n[[gpu]]\nmodel = \"h100\"\ncount = 2\n{rest}"
    );
    Scenario::parse(&text, "refusal").unwrap_or_else(|error| panic!("{error}"))
}

/// What is told after 40 s.
fn told(scenario: &Scenario, change: &dyn Fn(&mut Record)) -> Vec<Verdict> {
    told_after(scenario, 40, change)
}

fn told_after(scenario: &Scenario, seconds: u64, change: &dyn Fn(&mut Record)) -> Vec<Verdict> {
    let told: Vec<Told> = play(scenario, Duration::from_secs(seconds), &|record, _| change(record));
    told.into_iter().next_back().unwrap().verdicts
}

fn lost_with(code: Option<u32>) -> impl Fn(&mut Record) {
    move |record| {
        if let Record::Sample(sample) = record {
            (sample.gpus[1].state, sample.gpus[1].refusal) = (GpuState::Lost, code);
        }
    }
}

#[test]
fn the_code_of_a_refusal_is_the_one_that_was_read_and_its_advice_fits() {
    for (code, rule, words, advice) in [
        (Some(15), "gpu_lost", "GPU_IS_LOST (15)", "reboot"),
        (Some(16), "gpu_reset_required", "RESET_REQUIRED (16)", "kgtop act reset --gpu 0000:"),
        (Some(8), "gpu_refused", "INSUFFICIENT_POWER (8)", "power cables"),
        (Some(999), "gpu_refused", "UNKNOWN (999)", "container"),
        (Some(14), "gpu_refused", "CORRUPTED_INFOROM (14)", "dmesg"),
        (Some(77), "gpu_refused", "NVML error 77", "dmesg"),
        (None, "gpu_lost", "left the bus", "reboot"),
    ] {
        let verdicts = told(&scenario("580.159.04", ""), &lost_with(code));
        let [verdict] = &verdicts[..] else { panic!("{code:?}: {verdicts:?}") };
        assert_eq!((verdict.rule, verdict.severity), (rule, Severity::Critical), "{code:?}");
        assert!(verdict.evidence.contains(words), "{code:?}: {}", verdict.evidence);
        assert!(verdict.advice.contains(advice), "{code:?}: {}", verdict.advice);
    }
}

#[test]
fn a_gpu_that_waits_for_a_reset_is_not_told_to_be_rebooted_first() {
    let verdicts = told(&scenario("580.159.04", ""), &lost_with(Some(16)));
    assert!(!verdicts[0].advice.contains("cannot bring it back"), "{}", verdicts[0].advice);
    assert!(!verdicts[0].evidence.contains("15"), "{}", verdicts[0].evidence);
}

fn nothing_but(reason: &Absence, power: bool) -> impl Fn(&mut Record) {
    move |record| {
        let Record::Sample(sample) = record else { return };
        let gpu = &mut sample.gpus[1];
        if let Some(group) = &mut gpu.live {
            group.value = Live::absent(reason);
        }
        if let Some(group) = &mut gpu.fast {
            let fast = &mut group.value;
            fast.sm_clock = Err(reason.clone());
            fast.utilization = Err(reason.clone());
            fast.memory_utilization = Err(reason.clone());
            fast.clock_events = Err(reason.clone());
            if !power {
                fast.power = Err(reason.clone());
            }
        }
    }
}

#[test]
fn a_gpu_of_which_nothing_was_read_is_no_healthy_one() {
    let quiet = scenario("580.159.04", "");
    let refused = told(&quiet, &nothing_but(&Absence::NoPermission, false));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].rule, refused[0].severity), ("gpu_unreadable", Severity::Warning));
    assert!(refused[0].evidence.contains("NO_PERMISSION (4)"), "{}", refused[0].evidence);
    assert!(refused[0].advice.contains("/dev/nvidia0"), "{}", refused[0].advice);

    let failing = told(&quiet, &nothing_but(&Absence::failed(999, "UNKNOWN"), false));
    assert_eq!((failing[0].rule, failing[0].severity), ("gpu_unreadable", Severity::Critical));
    assert!(failing[0].summary.contains("UNKNOWN (999)"), "{}", failing[0].summary);

    // One value is something; and what a board does not have is not refused.
    assert_eq!(told(&quiet, &nothing_but(&Absence::failed(999, "UNKNOWN"), true)), []);
    assert_eq!(told(&quiet, &nothing_but(&Absence::NotSupported, false)), []);
}

fn line(code: u32) -> String {
    format!(
        "[[at]]\nt = 20\ngpu = 1\nkernel = [\"NVRM: Xid (PCI:{{bdf}}): {code}, pid='<unknown>', name=<unknown>, 0001\"]\n"
    )
}

#[test]
fn a_critical_xid_is_told_where_no_reading_shows_it() {
    // Driver 535 has no field 230.
    for driver in ["580.159.04", "535.183.01"] {
        for code in [48, 62, 64, 79, 119] {
            let verdicts = told(&scenario(driver, &line(code)), &|_| {});
            let [verdict] = &verdicts[..] else { panic!("{driver}, Xid {code}: {verdicts:?}") };
            assert_eq!((verdict.rule, verdict.severity), ("critical_xid", Severity::Critical));
            assert!(verdict.summary.starts_with(&format!("GPU 1: Xid {code}: ")), "{}", verdict.summary);
            assert!(verdict.evidence.contains(&format!("): {code},")), "{}", verdict.evidence);
            assert!(!verdict.advice.is_empty() && !verdict.advice.contains("ADDRESS"), "{}", verdict.advice);
        }
        // What an application did, what was mended, and what has a rule of its own.
        for code in [13, 31, 43, 63, 95] {
            let verdicts = told(&scenario(driver, &line(code)), &|_| {});
            assert!(
                verdicts.iter().all(|verdict| verdict.rule != "critical_xid"),
                "Xid {code}: {verdicts:?}"
            );
        }
    }
}

#[test]
fn an_xid_that_ended_a_job_is_told_for_ten_minutes() {
    let scenario = scenario("580.159.04", &line(31));
    let rules = |seconds| -> Vec<&'static str> {
        told_after(&scenario, seconds, &|_| {}).iter().map(|verdict| verdict.rule).collect()
    };
    assert_eq!(rules(600), ["recent_xid"]);
    assert_eq!(rules(700), [] as [&str; 0]);
}

#[test]
fn what_the_driver_says_itself_covers_the_xid() {
    let asks = "[[at]]\nt = 20\ngpu = 1\nrecovery_action = 1\n";
    let verdicts = told(&scenario("580.159.04", &(line(62) + asks)), &|_| {});
    assert_eq!(verdicts.iter().map(|verdict| verdict.rule).collect::<Vec<_>>(), ["recovery_action"]);
    let lost = "[[at]]\nt = 20\ngpu = 1\nstate = \"lost\"\n";
    let verdicts = told(&scenario("580.159.04", &(line(79) + lost)), &|_| {});
    assert_eq!(verdicts.iter().map(|verdict| verdict.rule).collect::<Vec<_>>(), ["gpu_lost"]);
}
