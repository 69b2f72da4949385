use super::*;
use crate::model::{Deriver, Snapshot, StuckCall};
use crate::sources::scenario::{Scenario, embedded, embedded_names};
use std::collections::BTreeMap;

const WALL: Wall = Wall(1_790_000_000_000_000);
const MONO: Mono = Mono(1_000_000_000);

fn play(name: &str) -> ScenarioPlayer {
    ScenarioPlayer::new(Scenario::parse(embedded(name).unwrap(), name).unwrap(), WALL, MONO)
}

/// Every record of the first `seconds`.
fn records(player: &mut ScenarioPlayer, seconds: u64) -> Vec<Record> {
    let until = Duration::from_secs(seconds);
    let mut records = Vec::new();
    while player.next_at().is_some_and(|at| at <= until) {
        records.extend(player.next());
    }
    records
}

fn snapshots(name: &str, seconds: u64) -> Vec<Snapshot> {
    let mut deriver = Deriver::new();
    records(&mut play(name), seconds).into_iter().filter_map(|record| deriver.push(record)).collect()
}

fn time_of(record: &Record) -> Option<Mono> {
    match record {
        Record::Header(header) => Some(header.mono),
        Record::Sample(sample) => Some(sample.mono),
        Record::Event(event) => Some(event.at),
        Record::CallStuck(call) => Some(call.since),
        Record::Inventory(_) | Record::Snapshots(_) | Record::Gap(_) | Record::Bye(_) => None,
    }
}

#[test]
fn header_then_inventory_then_samples_in_order_of_time() {
    for name in embedded_names() {
        let records = records(&mut play(name), 30);
        assert!(matches!(records[0], Record::Header(_)), "{name}");
        assert!(matches!(records[1], Record::Inventory(_)), "{name}");
        assert!(matches!(records[2], Record::Sample(_)), "{name}");
        let mut last = MONO;
        for record in &records {
            if matches!(record, Record::CallStuck(_)) {
                continue; // Its time is when the call was entered.
            }
            if let Some(at) = time_of(record) {
                assert!(at >= last, "{name}: {at:?} after {last:?}");
                last = at;
            }
        }
    }
}

#[test]
fn the_same_start_gives_the_same_records() {
    for name in embedded_names() {
        assert_eq!(records(&mut play(name), 40), records(&mut play(name), 40), "{name}");
    }
}

#[test]
fn counters_never_fall() {
    for name in embedded_names() {
        let scenario = Scenario::parse(embedded(name).unwrap(), name).unwrap();
        let end = scenario.duration().as_secs() * 2 + 3;
        let mut last: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for tenth in (0..end * 10).step_by(7) {
            for gpu in scenario.truth_at(Duration::from_millis(tenth * 100)).gpus {
                let counters = gpu.counters;
                let mut now = vec![counters.energy, counters.nvlink_tx_kib, counters.pcie_rx_kib];
                now.extend(counters.reason_ns);
                let before = last.insert(gpu.index, now.clone()).unwrap_or_else(|| vec![0.0; now.len()]);
                let rises = now.iter().zip(&before).all(|(now, before)| now + 1e-6 >= *before);
                assert!(rises, "{name} at {tenth}: {before:?} to {now:?}");
            }
        }
    }
}

#[test]
fn energy_is_the_integral_of_power() {
    let scenario = Scenario::parse(embedded("healthy-1xh200").unwrap(), "t").unwrap();
    let at = |seconds| scenario.truth_at(Duration::from_secs(seconds)).gpus[0].counters.energy;
    // 79.68 W for ten minutes, over ten loops of the scenario.
    let joules = at(600) - at(0);
    assert!((joules / 600.0 - 79.68).abs() < 0.5, "{joules} J");
}

#[test]
fn the_fold_sees_a_healthy_rig() {
    let last = snapshots("healthy-8xh100", 20).pop().unwrap();
    assert_eq!(last.gpus.len(), 8);
    for gpu in &last.gpus {
        assert_eq!(gpu.state, GpuState::Ok);
        let memory = gpu.live.as_ref().unwrap().value.memory_used.clone().unwrap();
        assert_eq!(memory, Bytes(71_680 << 20));
        assert_eq!(gpu.unattributed, Ok(Bytes(0)));
        assert!(gpu.rates.nvlink_tx.is_ok() && gpu.rates.pcie_rx.is_ok());
    }
    assert_eq!(last.processes.len(), 8);
    let cpu = last.processes[0].cpu.clone().unwrap();
    assert!((cpu.0 - 168.0).abs() < 1.0, "{cpu:?}");
    assert!(last.host.cpu.is_ok());
}

#[test]
fn the_incident_goes_its_way() {
    let snapshots = snapshots("incident-8xh100", 215);
    let at = |second: usize| &snapshots[second];
    let mask =
        |second: usize, gpu: usize| at(second).gpus[gpu].fast.as_ref().unwrap().value.clock_events.clone();
    let live = |second: usize, gpu: usize| &at(second).gpus[gpu].live.as_ref().unwrap().value;
    assert_eq!(mask(30, 2).unwrap().any, 0, "all well");
    assert_eq!(mask(60, 2).unwrap().last, 0x20);
    assert_eq!(mask(70, 2).unwrap().last, 0x68);
    assert!(live(70, 2).temperature.clone().unwrap().0 >= 89.0);
    assert_eq!(mask(100, 2).unwrap().last, 0, "cool again");
    assert_eq!(live(100, 5).pcie_width, Ok(16));
    assert_eq!(live(110, 5).pcie_width, Ok(4));
    assert_eq!(live(150, 6).recovery_action, Ok(4));
    let health = &at(150).gpus[6].health.as_ref().unwrap().value;
    assert_eq!(health.remap_pending, Ok(true));
    assert_eq!(health.ecc_uncorrected_volatile, Ok(1));
    assert!(at(152).processes.iter().any(|process| process.key.pid == 51_877 && process.ended.is_some()));
    assert_eq!(at(185).gpus[4].state, GpuState::Ok);
    assert_eq!(at(186).gpus[4].state, GpuState::Lost);
    let ended =
        |pid: u32| at(200).processes.iter().any(|process| process.key.pid == pid && process.ended.is_some());
    assert!([41_207, 41_208, 41_209, 41_210, 41_212].into_iter().all(ended), "the job died with GPU 4");
    assert!(!ended(52_013), "the other pod goes on");
}

#[test]
fn kernel_lines_carry_the_gpu_of_the_scenario() {
    let events: Vec<String> = records(&mut play("incident-8xh100"), 215)
        .into_iter()
        .filter_map(
            |record| if let Record::Event(event) = record { Some(event.text.to_string()) } else { None },
        )
        .collect();
    let has = |text: &str| assert!(events.iter().any(|event| event == text), "{text} is not in {events:#?}");
    has("NVRM: GPU at PCI:0000:d1:00: GPU-00000000-0000-4000-8000-000000000007");
    has("NVRM: Xid (PCI:0000:9d:00): 79, pid=41211, name=pt_main_thread, GPU has fallen off the bus.");
    has("NVRM: GPU 0000:9d:00.0: GPU has fallen off the bus.");
}

#[test]
fn a_stuck_call_is_told_once_and_its_gpu_is_stalled() {
    let mut player = play("stalled");
    let records = records(&mut player, 30);
    let stuck: Vec<&StuckCall> = records
        .iter()
        .filter_map(|record| if let Record::CallStuck(call) = record { Some(call) } else { None })
        .collect();
    assert_eq!(stuck.len(), 1);
    assert_eq!(&*stuck[0].call, "nvmlDeviceGetPowerUsage");
    assert_eq!(stuck[0].since, MONO.plus(Duration::from_secs(5)));
    let last = snapshots("stalled", 30).pop().unwrap();
    assert_eq!(last.gpus[3].state, GpuState::Stalled);
    assert!(last.gpus.iter().filter(|gpu| gpu.state == GpuState::Ok).count() == 7);
}

#[test]
fn a_blocked_init_shows_no_gpu_and_names_the_call() {
    let last = snapshots("init-stalled", 10).pop().unwrap();
    assert!(last.gpus.is_empty());
    assert_eq!(&*last.stuck[0].call, "nvmlInit_v2");
    assert!(last.host.cpu.is_ok(), "the host goes on");
}

#[test]
fn what_may_not_be_read_is_absent_for_that_reason() {
    let last = snapshots("no-permission", 11).pop().unwrap();
    let gpu = &last.gpus[0];
    assert_eq!(
        gpu.health.as_ref().unwrap().value.ecc_corrected_volatile,
        Err(crate::model::Absence::NoPermission)
    );
    assert_eq!(gpu.gpm.as_ref().unwrap().value.sm, Err(crate::model::Absence::NoPermission));
    assert_eq!(gpu.unattributed, Err(crate::model::Absence::NoPermission));
}

#[test]
fn a_sleeping_gpu_is_left_asleep_until_it_is_used() {
    let snapshots = snapshots("laptop-asleep", 70);
    assert_eq!(snapshots[10].gpus[0].state, GpuState::Asleep);
    assert_eq!(snapshots[40].gpus[0].state, GpuState::Ok);
    assert!(snapshots[40].processes.iter().any(|process| process.key.pid == 31_007));
    assert_eq!(snapshots[65].gpus[0].state, GpuState::Asleep);
}

#[test]
fn a_scenario_that_ends_says_bye_last() {
    let text = "title = \"t\"\nduration_seconds = 3\nend = \"bye\"\n[[gpu]]\nmodel = \"t4\"\n";
    let player = ScenarioPlayer::new(Scenario::parse(text, "t").unwrap(), WALL, MONO);
    let records: Vec<Record> = player.collect();
    assert!(matches!(records.last(), Some(Record::Bye(bye)) if !bye.restart));
    assert_eq!(records.iter().filter(|record| matches!(record, Record::Sample(_))).count(), 4);
}

#[test]
fn a_loop_repeats_its_events_and_not_its_counters() {
    let text = "title = \"t\"\nduration_seconds = 4\nend = \"loop\"\n[[gpu]]\nmodel = \"t4\"\n\
                [[at]]\nt = 1\nkernel = [\"hello\"]\n";
    let mut player = ScenarioPlayer::new(Scenario::parse(text, "t").unwrap(), WALL, MONO);
    let records = records(&mut player, 10);
    let hellos: Vec<u64> = records
        .iter()
        .filter_map(|record| {
            if let Record::Event(event) = record { Some(event.at.since(MONO).as_secs()) } else { None }
        })
        .collect();
    assert_eq!(hellos, [1, 5, 9]);
}
