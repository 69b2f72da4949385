//! Rules at their edges: machines that differ in one thing, of which one is sick.

use super::bench::{Told, play};
use kgtop::analysis::Verdict;
use kgtop::model::{Absence, GpuSample, Grouped, Health, Record, Thresholds};
use kgtop::sources::scenario::Scenario;
use kgtop::units::Celsius;
use std::time::Duration;

const UNTIL: u64 = 140;

fn all(rig: &str, change: &dyn Fn(&mut Record, f64)) -> Vec<Told> {
    let text = format!("title = \"t\"\nduration_seconds = {UNTIL}\n{rig}");
    let scenario = Scenario::parse(&text, "edges").unwrap_or_else(|error| panic!("{error}"));
    play(&scenario, Duration::from_secs(UNTIL), change)
}

/// What one rule tells in the end.
fn told(rule: &str, rig: &str, change: &dyn Fn(&mut Record, f64)) -> Vec<Verdict> {
    let last = all(rig, change).into_iter().next_back().unwrap();
    last.verdicts.into_iter().filter(|verdict| verdict.rule == rule).collect()
}

fn nothing(_: &mut Record, _: f64) {}

fn gpus(record: &mut Record) -> &mut [GpuSample] {
    if let Record::Sample(sample) = record { &mut sample.gpus } else { &mut [] }
}

/// Three cards of one model, of which a bridge joins two; or, with `switched`, a board with switches.
fn bridged(switched: bool, last: &str) -> Vec<Verdict> {
    let rig = format!(
        "[[gpu]]\nmodel = \"a100\"\ncount = 2\n[[gpu]]\nmodel = \"a100\"\ncount = 1\n[gpu.set]\n{last}\n"
    );
    told("nvlink_down", &rig, &|record, _| {
        if let Record::Inventory(inventory) = record {
            let links = if switched { Ok(12) } else { Err(Absence::NotSupported) };
            inventory.gpus.iter_mut().for_each(|gpu| gpu.nvswitch_links = links.clone());
        }
        let links =
            gpus(record).iter_mut().filter_map(|gpu| gpu.nvlinks.as_mut()).flat_map(|group| &mut group.value);
        links.for_each(|link| link.remote_type = Ok(if switched { 2 } else { 0 }));
    })
}

#[test]
fn a_card_that_no_bridge_joins_has_no_link_down() {
    assert_eq!(bridged(false, "nvlinks_active = 0"), []);
    let one = bridged(false, "nvlinks_active = 11");
    assert!(one.len() == 1 && one[0].summary.contains("NVLink 11 down"), "one of its links is: {one:?}");
    let board = bridged(true, "nvlinks_active = 0");
    assert!(
        board.len() == 1 && board[0].summary.starts_with("GPU 2: NVLinks 0, 1"),
        "behind a switch: {board:?}"
    );
}

/// One H100 whose link errors rise by one at 55 s; the slow tier is read every 10.001 s.
fn errors(more: u64) -> Vec<Told> {
    all("[[gpu]]\nmodel = \"h100\"\ncount = 1\n", &move |record, at| {
        let Record::Sample(sample) = record else { return };
        let mono = sample.mono;
        let gpu = &mut sample.gpus[0];
        let Some(Grouped { at: read, value: Health { nvlink_errors, .. } }) = &mut gpu.health else { return };
        let late = (at / 10.0).round() as u64 * 1_000;
        (*nvlink_errors, *read) =
            (Ok(if at > 55.0 { 7 + more } else { 7 }), mono.plus(Duration::from_micros(late)));
    })
}

#[test]
fn a_single_nvlink_error_is_told_for_a_minute() {
    let told = errors(1);
    let at: Vec<f64> =
        told.iter().filter(|told| told.has("nvlink_errors", Some(0))).map(|told| told.at).collect();
    let (first, last) = (at[0], at[at.len() - 1]);
    assert!((60.0..=61.0).contains(&first), "told with the reading that shows it: {first}");
    assert!((135.0..=146.0).contains(&last), "and for a minute after the last one that does: {last}");
    let verdict = told.iter().flat_map(|told| &told.verdicts).find(|verdict| verdict.rule == "nvlink_errors");
    assert_eq!(verdict.unwrap().summary, "GPU 0: 1 NVLink error in at most 60 s");
    assert!(errors(0).iter().all(|told| !told.has("nvlink_errors", Some(0))), "an old one is no news");
}

const DESK: &str = "[[gpu]]\nmodel = \"rtx4090\"\ncount = 1\ndisplay = true\n[gpu.set]\nutilization = 27\npcie_generation = 1\n";

#[test]
fn a_compositor_does_not_make_a_link_degraded() {
    let idle = format!("{DESK}performance_state = 8\nsm_clock = 210\npower = 28\npcie_rx = 5\npcie_tx = 5\n");
    assert_eq!(told("pcie_link_degraded", &idle, &nothing), []);
    let working = format!("{DESK}performance_state = 2\npcie_rx = 5\npcie_tx = 5\n");
    assert_eq!(told("pcie_link_degraded", &working, &nothing).len(), 1, "shifted down while it works");
    let narrow = format!("{idle}pcie_width = 4\n");
    assert_eq!(told("pcie_link_degraded", &narrow, &nothing).len(), 1, "the width is not lowered by design");
}

#[test]
fn a_link_that_carries_much_is_judged_in_every_p_state() {
    let carrying = format!("{DESK}performance_state = 8\n");
    let fast = told("pcie_link_degraded", &carrying, &|record, _| {
        for gpu in gpus(record) {
            let at = gpu.live.as_ref().unwrap().at;
            let mut gpm = kgtop::model::Gpm::absent(&Absence::NotSupported);
            gpm.pcie_rx = Ok(kgtop::units::BytesPerSecond(500e6));
            gpu.gpm = Some(Grouped { at, value: gpm });
        }
    });
    assert_eq!(fast.len(), 1, "{fast:?}");
}

fn hot(degrees: u32, change: fn(&mut Thresholds), margin: bool) -> String {
    let rig = format!(
        "[[gpu]]\nmodel = \"h100\"\ncount = 1\n[gpu.set]\ntemperature = {degrees}\nmemory_temperature = 50\n"
    );
    let verdicts = told("temperature_near_limit", &rig, &|record, _| {
        if let Record::Inventory(inventory) = record {
            inventory.gpus.iter_mut().for_each(|gpu| change(gpu.thresholds.as_mut().unwrap()));
        }
        if !margin {
            for gpu in gpus(record) {
                gpu.live.as_mut().unwrap().value.temperature_margin = Err(Absence::NotSupported);
            }
        }
    });
    verdicts.first().map_or_else(String::new, |verdict| verdict.summary.clone())
}

#[test]
fn the_distance_is_to_the_limit_that_it_is_measured_from() {
    // 87 °C is its maximum in operation, 89 °C its slowdown.
    let as_it_is: fn(&mut Thresholds) = |_| {};
    for margin in [true, false] {
        assert_eq!(hot(84, as_it_is, margin), "");
        assert_eq!(hot(85, as_it_is, margin), "GPU 0: 85 °C, 2 °C below its maximum operating temperature");
        assert_eq!(hot(87, as_it_is, margin), "GPU 0: 87 °C, at its maximum operating temperature");
        assert_eq!(hot(90, as_it_is, margin), "GPU 0: 90 °C, 3 °C above its maximum operating temperature");
    }
    let slowdown_only: fn(&mut Thresholds) = |thresholds| thresholds.gpu_max = Err(Absence::NotSupported);
    assert_eq!(hot(88, slowdown_only, false), "GPU 0: 88 °C, 1 °C below its slowdown");
    let limit: fn(&mut Thresholds) = |thresholds| thresholds.gpu_max_limit = Ok(Celsius(-2.0));
    assert_eq!(hot(88, limit, true), "GPU 0: 88 °C, 1 °C below its maximum operating temperature");
}
