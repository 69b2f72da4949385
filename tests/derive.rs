//! The fold from records to snapshots: what two readings say, what one does not, and who is where for how long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, its helpers too"
)]

use kgtop::model::*;
use kgtop::units::*;
use std::time::Duration;

fn id() -> GpuId {
    GpuId("GPU-1".into())
}

fn at(seconds: f64) -> Mono {
    Mono(1_000_000_000 + (seconds * 1e6) as u64)
}

fn second(seconds: u64) -> u64 {
    1_000 + seconds
}

fn header() -> Header {
    Header {
        format: 1,
        kgtop: "0.1.0".into(),
        host: HostInfo { hostname: "rig".into(), boot_id: "boot".into(), ..HostInfo::default() },
        wall: Wall(0),
        mono: at(0.0),
        interval_seconds: 1.0,
        collector_pid: 1,
    }
}

fn inventory(gpus: &[&str]) -> Inventory {
    let gpu = |uuid: &&str| GpuInfo { uuid: Ok((*uuid).into()), ..GpuInfo::default() };
    Inventory { host_pids_visible: Ok(true), gpus: gpus.iter().map(gpu).collect(), ..Inventory::default() }
}

/// A fold that knows its machine and one GPU.
fn deriver() -> Deriver {
    let mut deriver = Deriver::new();
    deriver.push(Record::Header(header()));
    deriver.push(Record::Inventory(Box::new(inventory(&["GPU-1"]))));
    deriver
}

fn gpu() -> GpuSample {
    GpuSample::new(id(), GpuState::Ok)
}

/// A sample with its wall clock at 1,000,000 s plus its time.
fn sample(seconds: f64, gpus: Vec<GpuSample>) -> Sample {
    let wall = Wall(1_000_000_000_000 + (seconds * 1e6) as i64);
    Sample { sequence: seconds as u64, mono: at(seconds), wall, gpus, ..Sample::default() }
}

fn push(deriver: &mut Deriver, sample: Sample) -> Snapshot {
    deriver.push(Record::Sample(Box::new(sample))).unwrap()
}

fn counters(seconds: f64, value: Counters) -> GpuSample {
    GpuSample { counters: Some(Grouped { at: at(seconds), value }), ..gpu() }
}

fn links(seconds: f64, kib: u64) -> GpuSample {
    counters(seconds, Counters { nvlink_tx_kib: Ok(kib), nvlink_rx_kib: Ok(kib / 2), ..Counters::default() })
}

fn capped(seconds: f64, capped_seconds: f64) -> GpuSample {
    let ns = (capped_seconds * 1e9) as u64;
    counters(
        seconds,
        Counters {
            sw_power_cap_ns: Ok(ns),
            hw_thermal_ns: Err(Absence::NotSupported),
            ..Counters::default()
        },
    )
}

fn unseen<T>(reading: &Reading<T>) -> bool {
    matches!(reading, Err(Absence::InsufficientHistory { .. }))
}

fn cap(snapshot: &Snapshot) -> ReasonSeconds {
    snapshot.gpus[0].throttle.seconds.iter().find(|each| each.reason == "sw_power_cap").unwrap().clone()
}

#[test]
fn a_rate_needs_two_distinct_readings_and_a_repeated_one_is_no_zero() {
    let mut fold = deriver();
    let first = push(&mut fold, sample(0.0, vec![links(0.0, 1_000)]));
    assert!(first.gpus[0].rates.nvlink_tx.is_err(), "one reading makes no rate");
    let second = push(&mut fold, sample(2.0, vec![links(2.0, 5_000)]));
    assert_eq!(second.gpus[0].rates.nvlink_tx, Ok(BytesPerSecond(2_000.0 * 1_024.0)));
    assert_eq!(second.gpus[0].rates.nvlink_rx, Ok(BytesPerSecond(1_000.0 * 1_024.0)));
    // Not read in this interval, or handed over again: the rate stays what it was.
    let left_out = push(&mut fold, sample(3.0, vec![gpu()]));
    assert_eq!(left_out.gpus[0].rates.nvlink_tx, second.gpus[0].rates.nvlink_tx);
    let repeated = push(&mut fold, sample(4.0, vec![links(2.0, 5_000)]));
    assert_eq!(repeated.gpus[0].rates.nvlink_tx, second.gpus[0].rates.nvlink_tx);
    // The next distinct one counts from the last distinct one.
    let later = push(&mut fold, sample(6.0, vec![links(6.0, 5_000)]));
    assert_eq!(later.gpus[0].rates.nvlink_tx, Ok(BytesPerSecond(0.0)));
    // Long after, nothing is known of now.
    let stale = push(&mut fold, sample(60.0, vec![gpu()]));
    assert!(stale.gpus[0].rates.nvlink_tx.is_err());
}

#[test]
fn a_counter_that_fell_was_restarted_and_gives_no_rate() {
    let mut fold = deriver();
    push(&mut fold, sample(0.0, vec![links(0.0, 1 << 40)]));
    let reset = push(&mut fold, sample(1.0, vec![links(1.0, 100)]));
    assert!(unseen(&reset.gpus[0].rates.nvlink_tx), "{:?}", reset.gpus[0].rates);
    let after = push(&mut fold, sample(2.0, vec![links(2.0, 300)]));
    assert_eq!(after.gpus[0].rates.nvlink_tx, Ok(BytesPerSecond(200.0 * 1_024.0)));
    // A wrap at the end of the type is a fall, too: never a huge rate.
    push(&mut fold, sample(3.0, vec![links(3.0, u64::MAX)]));
    let wrapped = push(&mut fold, sample(4.0, vec![links(4.0, 5)]));
    assert!(unseen(&wrapped.gpus[0].rates.nvlink_tx));
}

#[test]
fn replays_come_from_the_slow_group_and_link_errors_from_the_looks_at_the_links() {
    let link = |errors: &Reading<u64>| NvLink {
        link: 0,
        active: Ok(true),
        remote_type: Ok(2),
        remote_pci: Err(Absence::NotSupported),
        replay_errors: Ok(1),
        recovery_errors: Ok(0),
        crc_errors: errors.clone(),
    };
    let read = |seconds: f64, replays: u64, looked: f64, errors: Reading<u64>| GpuSample {
        health: Some(Grouped {
            at: at(seconds),
            // The slow group repeats what the last look found.
            value: Health { pcie_replays: Ok(replays), nvlink_errors: errors.clone(), ..Health::default() },
        }),
        nvlinks: Some(Grouped { at: at(looked), value: vec![link(&errors)] }),
        ..gpu()
    };
    let mut fold = deriver();
    let first = push(&mut fold, sample(0.0, vec![read(0.0, 10, 0.0, Ok(0))]));
    assert!(unseen(&first.gpus[0].rates.pcie_replays) && unseen(&first.gpus[0].rates.nvlink_errors));
    let second = push(&mut fold, sample(10.0, vec![read(10.0, 15, 0.0, Ok(0))]));
    assert_eq!(second.gpus[0].rates.pcie_replays, Ok(0.5));
    assert!(unseen(&second.gpus[0].rates.nvlink_errors), "repeated is no rate of zero");
    let third = push(&mut fold, sample(60.0, vec![read(60.0, 15, 60.0, Ok(30))]));
    assert_eq!(third.gpus[0].rates.nvlink_errors, Ok(0.5), "over the minute between the looks");
    let lost = push(&mut fold, sample(70.0, vec![read(70.0, 15, 70.0, Err(Absence::Lost))]));
    assert_eq!(lost.gpus[0].rates.nvlink_errors, Err(Absence::Lost));
}

#[test]
fn a_gpu_without_link_counters_has_no_error_rate_and_not_one_of_zero() {
    let link = |replays: u64, crc: Reading<u64>| NvLink {
        link: 0,
        active: Ok(true),
        remote_type: Ok(2),
        remote_pci: Err(Absence::NotSupported),
        replay_errors: Ok(replays),
        recovery_errors: Err(Absence::NotSupported),
        crc_errors: crc,
    };
    let rate = |first: Vec<NvLink>, second: Vec<NvLink>| {
        let read = |seconds: f64, links: Vec<NvLink>| GpuSample {
            nvlinks: Some(Grouped { at: at(seconds), value: links }),
            ..gpu()
        };
        let mut fold = deriver();
        push(&mut fold, sample(0.0, vec![read(0.0, first)]));
        push(&mut fold, sample(10.0, vec![read(10.0, second)])).gpus[0].rates.nvlink_errors.clone()
    };
    assert_eq!(rate(vec![], vec![]), Err(Absence::NotSupported), "no links at all");
    let (old, new) = (link(5, Err(Absence::NotSupported)), link(25, Err(Absence::NotSupported)));
    assert_eq!(rate(vec![old], vec![new]), Ok(2.0), "what it does not count is left out");
    // A counter that was not read before says nothing of when its errors came.
    let (old, new) = (link(5, Err(Absence::NotRequested)), link(5, Ok(1_000)));
    assert_eq!(rate(vec![old], vec![new]), Ok(0.0));
}

#[test]
fn a_step_of_the_wall_clock_changes_no_rate_and_no_window() {
    let run = |step: i64| {
        let mut fold = deriver();
        let mut last = None;
        for n in 0..100 {
            let time = f64::from(n);
            let mut sample = sample(time, vec![capped(time, time / 2.0)]);
            sample.host = Some(Grouped {
                at: at(time),
                value: HostSample {
                    cpu_busy_ns: Ok(n as u64 * 250),
                    cpu_total_ns: Ok(n as u64 * 1_000),
                    ..HostSample::default()
                },
            });
            if n >= 50 {
                sample.wall = Wall(sample.wall.0 + step);
            }
            last = Some(push(&mut fold, sample));
        }
        let last = last.unwrap();
        (cap(&last), last.host.cpu, last.interval)
    };
    let still = run(0);
    assert_eq!(run(7_200_000_000), still);
    assert_eq!(run(-86_400_000_000), still);
    assert_eq!(still.0.last_1m, Ok(30.0));
    assert_eq!(still.1, Ok(Percent(25.0)));
    assert_eq!(still.2, Duration::from_secs(1));
}

#[test]
fn a_stream_that_is_wound_back_starts_over() {
    let mut fold = deriver();
    for n in 0..20 {
        push(&mut fold, sample(f64::from(n), vec![capped(f64::from(n), 1.0)]));
    }
    let back = push(&mut fold, sample(3.0, vec![capped(3.0, 1.0)]));
    assert_eq!(back.gpus[0].throttle.observed, Duration::ZERO);
    assert_eq!(back.gpus[0].state_since, at(3.0));
    assert_eq!(back.gpus[0].info.uuid, Ok("GPU-1".into()), "what is static is known all the same");
    assert_eq!(back.header.host.hostname, "rig".into());
}

#[test]
fn windows_say_how_much_they_saw_until_they_are_covered() {
    let mut fold = deriver();
    let mut seen = Vec::new();
    for n in 0..=3_700 {
        let time = f64::from(n);
        // Capped for a second in every ten.
        let total = (time / 10.0).floor() + (time % 10.0).min(1.0);
        let snapshot = push(&mut fold, sample(time, vec![capped(time, 500.0 + total)]));
        if [0, 30, 65, 600, 3_700].contains(&n) {
            seen.push(cap(&snapshot));
            assert_eq!(snapshot.gpus[0].throttle.observed.as_secs(), u64::min(n as u64, 3_605));
        }
    }
    assert_eq!(seen[0].last_1m, Err(Absence::InsufficientHistory { seen_seconds: 0.0 }));
    assert_eq!(seen[1].last_1m, Err(Absence::InsufficientHistory { seen_seconds: 30.0 }));
    assert_eq!(seen[0].since_driver_load, Ok(500.0));
    let close = |reading: &Reading<f32>, expected: f32| {
        let value = reading.as_ref().unwrap();
        assert!((value - expected).abs() <= 1.0, "{value} is not {expected}");
    };
    close(&seen[2].last_1m, 6.0);
    assert_eq!(seen[2].last_10m, Err(Absence::InsufficientHistory { seen_seconds: 65.0 }));
    close(&seen[3].last_10m, 60.0);
    close(&seen[4].last_60m, 360.0);
    close(&seen[4].since_driver_load, 870.0);
}

#[test]
fn a_window_holds_what_rose_inside_of_it_only() {
    let mut fold = deriver();
    let mut last = None;
    for n in 0..=100 {
        let time = f64::from(n);
        // Capped all of the first 38 seconds, and never after.
        last = Some(push(&mut fold, sample(time, vec![capped(time, time.min(38.0))])));
    }
    // The minute begins at 40 s.
    let in_last_minute = cap(&last.unwrap()).last_1m.unwrap();
    assert!(in_last_minute < 0.5, "{in_last_minute}");
}

#[test]
fn a_driver_reload_begins_the_windows_anew() {
    let mut fold = deriver();
    for n in 0..100 {
        push(&mut fold, sample(f64::from(n), vec![capped(f64::from(n), 50.0 + f64::from(n))]));
    }
    let reloaded = push(&mut fold, sample(100.0, vec![capped(100.0, 0.5)]));
    assert_eq!(cap(&reloaded).last_1m, Err(Absence::InsufficientHistory { seen_seconds: 0.0 }));
    assert_eq!(cap(&reloaded).since_driver_load, Ok(0.5));
    assert_eq!(reloaded.gpus[0].throttle.observed, Duration::ZERO);
}

#[test]
fn a_reason_without_a_counter_says_why() {
    let mut fold = deriver();
    let snapshot = push(&mut fold, sample(0.0, vec![capped(0.0, 1.0)]));
    let thermal = &snapshot.gpus[0].throttle.seconds[3];
    assert_eq!(thermal.reason, "hw_thermal_slowdown");
    assert_eq!(thermal.since_driver_load, Err(Absence::NotSupported));
    assert_eq!(thermal.last_60m, Err(Absence::NotSupported));
}

fn live(seconds: f64, value: Live) -> Option<Grouped<Live>> {
    Some(Grouped { at: at(seconds), value })
}

#[test]
fn groups_keep_their_own_age() {
    let mut fold = deriver();
    let hot = Live { temperature: Ok(Celsius(70.0)), ..Live::default() };
    push(&mut fold, sample(0.0, vec![GpuSample { live: live(0.0, hot), ..gpu() }]));
    let later = push(&mut fold, sample(9.0, vec![links(9.0, 0)]));
    let group = later.gpus[0].live.as_ref().unwrap();
    assert_eq!(group.value.temperature, Ok(Celsius(70.0)));
    assert_eq!(later.age(group), Duration::from_secs(9));
    assert_eq!(later.age(later.gpus[0].counters.as_ref().unwrap()), Duration::ZERO);
    // An older reading that comes late does not replace a newer one.
    let cold = Live { temperature: Ok(Celsius(20.0)), ..Live::default() };
    push(&mut fold, sample(10.0, vec![GpuSample { live: live(10.0, Live::default()), ..gpu() }]));
    let late = push(&mut fold, sample(11.0, vec![GpuSample { live: live(8.0, cold), ..gpu() }]));
    assert_eq!(late.gpus[0].live.as_ref().unwrap().at, at(10.0));
}

#[test]
fn history_has_one_point_per_reading_and_means_cover_their_time() {
    let mut fold = deriver();
    let warm = |seconds: f64, celsius: f32| {
        let value = Live { temperature: Ok(Celsius(celsius)), ..Live::default() };
        GpuSample { live: live(seconds, value), ..gpu() }
    };
    push(&mut fold, sample(0.0, vec![warm(0.0, 50.0)]));
    push(&mut fold, sample(3.0, vec![warm(0.0, 50.0)]));
    push(&mut fold, sample(4.0, vec![warm(4.0, 60.0)]));
    let history = fold.history(&id()).unwrap();
    assert_eq!(history.at(Metric::Temperature, second(0)).mean, 50.0);
    assert!(history.at(Metric::Temperature, second(3)).is_empty(), "repeated, not read");
    assert_eq!(history.at(Metric::Temperature, second(4)).mean, 60.0);
    // Counters read five seconds apart tell the mean of all five.
    push(&mut fold, sample(10.0, vec![links(10.0, 0)]));
    push(&mut fold, sample(15.0, vec![links(15.0, 5_000)]));
    push(&mut fold, sample(16.0, vec![gpu()]));
    let history = fold.history(&id()).unwrap();
    for n in 11..=15 {
        assert_eq!(history.at(Metric::NvlinkTx, second(n)).mean, 1_024_000.0, "{n}");
    }
    assert!(history.at(Metric::NvlinkTx, second(10)).is_empty());
    assert!(history.at(Metric::NvlinkTx, second(16)).is_empty());
}

#[test]
fn gpm_tells_link_rates_before_counters_do() {
    let mut fold = deriver();
    let both = |seconds: f64, kib: u64, rate: f64| {
        let value = Gpm {
            interval_seconds: Ok(1.0),
            nvlink_tx: Ok(BytesPerSecond(rate)),
            sm: Ok(Percent(70.0)),
            ..Gpm::default()
        };
        GpuSample { gpm: Some(Grouped { at: at(seconds), value }), ..links(seconds, kib) }
    };
    push(&mut fold, sample(0.0, vec![both(0.0, 0, 7.0)]));
    let snapshot = push(&mut fold, sample(1.0, vec![both(1.0, 1_000, 8.0)]));
    assert_eq!(snapshot.gpus[0].rates.nvlink_tx, Ok(BytesPerSecond(8.0)));
    // What GPM did not say comes from the counters.
    assert_eq!(snapshot.gpus[0].rates.nvlink_rx, Ok(BytesPerSecond(500.0 * 1_024.0)));
    assert_eq!(fold.history(&id()).unwrap().at(Metric::NvlinkTx, second(1)).mean, 8.0);
    assert_eq!(fold.history(&id()).unwrap().at(Metric::Sm, second(1)).mean, 70.0);
    // GPM is no longer read (its tab was left), the counters still are.
    let later = push(&mut fold, sample(20.0, vec![links(20.0, 1_000 + 190)]));
    assert_eq!(later.gpus[0].rates.nvlink_tx, Ok(BytesPerSecond(10.0 * 1_024.0)));
}

#[test]
fn sample_buffers_fill_the_chart_before_the_first_sample() {
    let mut fold = deriver();
    let wall = 1_000_000_000_000_u64;
    let buffers = |seconds: f64, from: u64, to: u64| GpuSample {
        fast: Some(Grouped {
            at: at(seconds),
            value: Fast { power: Ok(Band { min: 90.0, mean: 100.0, max: 110.0 }), ..Fast::default() },
        }),
        buffers: Some(Grouped {
            at: at(seconds),
            value: Buffers {
                power: Ok((from..to)
                    .map(|n| TimedValue { at_us: wall + n * 500_000, value: n as f32 })
                    .collect()),
                utilization: Err(Absence::NotSupported),
            },
        }),
        ..gpu()
    };
    // Half a second apart, from 0 s on; the first sample is at 10 s.
    push(&mut fold, sample(10.0, vec![buffers(10.0, 0, 20)]));
    let history = fold.history(&id()).unwrap();
    assert_eq!(history.at(Metric::Power, second(0)), Bucket { min: 0.0, mean: 0.5, max: 1.0 });
    assert_eq!(history.at(Metric::Power, second(9)).max, 19.0);
    assert_eq!(history.at(Metric::Power, second(10)).mean, 100.0, "a sample's band is left alone");
    // Later buffers add nothing to seconds that samples cover.
    push(&mut fold, sample(11.0, vec![buffers(11.0, 20, 24)]));
    assert_eq!(fold.history(&id()).unwrap().at(Metric::Power, second(10)).mean, 100.0);
}

#[test]
fn gpus_come_and_go_and_a_state_keeps_its_since() {
    let mut fold = deriver();
    fold.push(Record::Inventory(Box::new(inventory(&["GPU-1", "GPU-2"]))));
    let other = |state| GpuSample::new(GpuId("GPU-2".into()), state);
    push(&mut fold, sample(0.0, vec![gpu(), other(GpuState::Ok)]));
    push(&mut fold, sample(1.0, vec![gpu(), other(GpuState::Lost)]));
    let lost = push(&mut fold, sample(5.0, vec![gpu(), other(GpuState::Lost)]));
    assert_eq!(lost.gpus[1].state, GpuState::Lost);
    assert_eq!(lost.gpus[1].state_since, at(1.0));
    assert_eq!(lost.gpus[0].state_since, at(0.0));
    let gone = push(&mut fold, sample(6.0, vec![gpu()]));
    assert_eq!((gone.gpus.len(), gone.gpus[1].state_since), (2, at(1.0)), "a lost GPU stays on the screen");
    let back = push(&mut fold, sample(7.0, vec![gpu(), other(GpuState::Ok)]));
    assert_eq!(back.gpus[1].state_since, at(7.0));
    assert_eq!(back.gpus[1].info.uuid, Ok("GPU-2".into()));
    // One that is in no sample any more is lost, once a fresh collector had time to name it.
    let missing = push(&mut fold, sample(8.0, vec![gpu()]));
    assert_eq!(missing.gpus[1].state, GpuState::Ok);
    let vanished = push(&mut fold, sample(20.0, vec![gpu()]));
    assert_eq!((vanished.gpus[1].state, vanished.gpus[1].state_since), (GpuState::Lost, at(20.0)));
    assert_eq!(vanished.gpus[1].info.uuid, Ok("GPU-2".into()));
    // One that no inventory names yet is shown without its identity.
    let stranger = push(&mut fold, sample(21.0, vec![GpuSample::new(GpuId("GPU-3".into()), GpuState::Ok)]));
    let stranger = stranger.gpu(&GpuId("GPU-3".into())).unwrap();
    assert_eq!(stranger.info.name, Err(Absence::NotRequested));
}

#[test]
fn a_gpu_that_lost_its_name_is_known_by_its_address() {
    let mut fold = deriver();
    let named = |uuid: Reading<std::sync::Arc<str>>| GpuInfo {
        uuid,
        pci_bus_id: Ok("0000:41:00.0".into()),
        ..GpuInfo::default()
    };
    let inventory =
        |info| Record::Inventory(Box::new(Inventory { gpus: vec![info], ..Inventory::default() }));
    fold.push(inventory(named(Ok("GPU-1".into()))));
    push(&mut fold, sample(0.0, vec![gpu()]));
    fold.push(inventory(named(Err(Absence::Lost))));
    let lost = GpuSample::new(GpuId("0000:41:00.0".into()), GpuState::Lost);
    let snapshot = push(&mut fold, sample(1.0, vec![lost]));
    assert_eq!(snapshot.gpus.len(), 1);
    assert_eq!((snapshot.gpus[0].id.clone(), snapshot.gpus[0].state), (id(), GpuState::Lost));
    assert_eq!(snapshot.gpus[0].info.uuid, Ok("GPU-1".into()));
}

#[test]
fn a_process_of_a_lost_gpu_ends_when_the_host_no_longer_knows_it() {
    let mut fold = deriver();
    push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 1.0)]));
    let lost = |seconds| GpuSample { state: GpuState::Lost, ..running(seconds, &[7]) };
    let still = push(&mut fold, hosted(1.0, lost(1.0), &[(7, 100, 1.0)]));
    assert_eq!(still.processes[0].ended, None);
    let unseen = HostProcess {
        key: ProcessKey { pid: 7, start: 0 },
        state: Err(Absence::NotSupported),
        cpu_ns: Err(Absence::NotSupported),
        resident: Err(Absence::NotSupported),
    };
    let group = Grouped { at: at(2.0), value: vec![unseen] };
    let gone = push(&mut fold, Sample { processes: Some(group), ..sample(2.0, vec![lost(2.0)]) });
    assert_eq!(gone.processes[0].ended, Some(at(2.0)));
}

const GIB: u64 = 1 << 30;

fn on_gpu(pid: u32, memory: Reading<Bytes>) -> ProcessOnGpu {
    ProcessOnGpu { pid, kind: ProcessKind::Compute, memory, gpu_instance: None, compute_instance: None }
}

fn using(seconds: f64, list: ProcessList) -> GpuSample {
    let used = Live { memory_used: Ok(Bytes(10 * GIB)), memory_reserved: Ok(Bytes(GIB)), ..Live::default() };
    GpuSample {
        live: live(seconds, used),
        processes: Some(Grouped { at: at(seconds), value: list }),
        ..gpu()
    }
}

fn running(seconds: f64, pids: &[u32]) -> GpuSample {
    using(seconds, Ok(pids.iter().map(|pid| on_gpu(*pid, Ok(Bytes(4 * GIB)))).collect()))
}

/// A sample with the host's side of processes: PID, start, CPU seconds.
fn hosted(seconds: f64, gpu: GpuSample, host: &[(u32, u64, f64)]) -> Sample {
    let value = host
        .iter()
        .map(|(pid, start, cpu)| HostProcess {
            key: ProcessKey { pid: *pid, start: *start },
            state: Ok('R'),
            cpu_ns: Ok((cpu * 1e9) as u64),
            resident: Ok(Bytes(GIB)),
        })
        .collect();
    let mut sample = sample(seconds, vec![gpu]);
    sample.processes = Some(Grouped { at: at(seconds), value });
    sample
}

fn facts(pid: u32, start: u64, user: &str) -> Record {
    Record::Inventory(Box::new(Inventory {
        processes: vec![ProcessFacts {
            key: ProcessKey { pid, start },
            visible: true,
            inner_pid: None,
            parent: Ok(1),
            user: Ok(user.into()),
            name: Ok("python3".into()),
            command: Err(Absence::NotRequested),
            environment: Err(Absence::NotRequested),
            cgroup: Err(Absence::NotRequested),
            container: None,
            pod: None,
            slurm_job: Some("4711".into()),
            unit: None,
            started: Ok(Wall(0)),
        }],
        ..inventory(&["GPU-1"])
    }))
}

#[test]
fn a_share_of_the_cpu_needs_two_readings_of_the_same_process() {
    let mut fold = deriver();
    let first = push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 1.0)]));
    assert!(unseen(&first.processes[0].cpu));
    let second = push(&mut fold, hosted(2.0, running(2.0, &[7]), &[(7, 100, 4.0)]));
    assert_eq!(second.processes[0].cpu, Ok(Percent(150.0)));
    // The host's side handed over again, or not at all, is no zero.
    let mut again = hosted(3.0, running(3.0, &[7]), &[(7, 100, 4.0)]);
    if let Some(group) = &mut again.processes {
        group.at = at(2.0);
    }
    assert_eq!(push(&mut fold, again).processes[0].cpu, Ok(Percent(150.0)));
    assert_eq!(push(&mut fold, sample(4.0, vec![running(4.0, &[7])])).processes[0].cpu, Ok(Percent(150.0)));
}

#[test]
fn an_idle_process_has_no_sample_and_no_invented_zero() {
    let mut fold = deriver();
    let busy = ProcessUtilization {
        pid: 7,
        sm: Percent(80.0),
        memory: Percent(10.0),
        encoder: Percent(0.0),
        decoder: Percent(0.0),
    };
    let read = |seconds, value| GpuSample {
        process_utilization: Some(Grouped { at: at(seconds), value }),
        ..running(seconds, &[7, 8])
    };
    let shares = |snapshot: &Snapshot| {
        let of = |pid| snapshot.processes.iter().find(|process| process.key.pid == pid).unwrap();
        [of(7).sm(), of(8).sm()]
    };
    let unasked = push(&mut fold, hosted(0.0, running(0.0, &[7, 8]), &[(7, 100, 0.0), (8, 100, 0.0)]));
    assert_eq!(shares(&unasked), [Err(Absence::NotRequested), Err(Absence::NotRequested)]);
    let one = push(&mut fold, sample(1.0, vec![read(1.0, Ok(vec![busy]))]));
    let none = Absence::InsufficientHistory { seen_seconds: 0.0 };
    assert_eq!(shares(&one), [Ok(Percent(80.0)), Err(none.clone())]);
    assert_eq!(none.to_string(), "no samples");
    let refused = push(&mut fold, sample(2.0, vec![read(2.0, Err(Absence::NotSupported))]));
    assert_eq!(shares(&refused), [Err(Absence::NotSupported), Err(Absence::NotSupported)]);
}

#[test]
fn a_process_that_ended_stays_for_an_hour_with_its_user_job_and_memory() {
    let mut fold = deriver();
    fold.push(facts(7, 100, "alice"));
    push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 0.0)]));
    fold.push(Record::Inventory(Box::new(inventory(&["GPU-1"]))));
    let ended = push(&mut fold, hosted(1.0, running(1.0, &[]), &[]));
    let process = &ended.processes[0];
    assert_eq!(process.ended, Some(at(1.0)));
    assert_eq!(process.memory(), Ok(Bytes(4 * GIB)));
    let facts = process.facts.as_ref().unwrap();
    assert_eq!((facts.user.clone(), facts.slurm_job.clone()), (Ok("alice".into()), Some("4711".into())));
    let later = push(&mut fold, hosted(3_600.0, running(3_600.0, &[]), &[]));
    assert_eq!(later.processes.len(), 1);
    let after = push(&mut fold, hosted(3_602.0, running(3_602.0, &[]), &[]));
    assert!(after.processes.is_empty());
}

#[test]
fn ended_processes_are_bounded() {
    let mut fold = deriver();
    let mut last = None;
    for n in 0..700_u32 {
        last = Some(push(&mut fold, sample(f64::from(n), vec![running(f64::from(n), &[1_000 + n])])));
    }
    let last = last.unwrap();
    assert_eq!(last.processes.len(), 501);
    assert_eq!(last.processes[0].key.pid, 1_699, "the running one first");
    assert_eq!(last.processes[1].key.pid, 1_698, "then the one that ended last");
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut fold = deriver();
    fold.push(facts(7, 100, "alice"));
    push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 50.0)]));
    let reused = push(&mut fold, hosted(1.0, running(1.0, &[7]), &[(7, 900, 0.1)]));
    let [new, old] = &reused.processes[..] else { panic!("{:?}", reused.processes) };
    assert_eq!((new.key.start, new.ended, new.first_seen), (900, None, at(1.0)));
    assert!(unseen(&new.cpu), "no share from another process's time");
    assert!(new.facts.is_none(), "and no user");
    assert_eq!((old.key.start, old.ended), (100, Some(at(1.0))));
    assert!(old.facts.is_some());
}

#[test]
fn a_process_seen_before_its_proc_entry_does_not_end_when_that_is_read() {
    let mut fold = deriver();
    let early = push(&mut fold, sample(0.0, vec![running(0.0, &[7])]));
    assert_eq!(early.processes[0].key, ProcessKey { pid: 7, start: 0 });
    fold.push(facts(7, 100, "alice"));
    let known = push(&mut fold, hosted(1.0, running(1.0, &[7]), &[(7, 100, 1.0)]));
    let [process] = &known.processes[..] else { panic!("{:?}", known.processes) };
    assert_eq!((process.key.start, process.ended, process.first_seen), (100, None, at(0.0)));
    assert!(process.facts.is_some());
}

#[test]
fn a_process_whose_proc_entry_is_gone_ends_when_the_driver_says_so() {
    let mut fold = deriver();
    fold.push(facts(7, 100, "alice"));
    push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 1.0)]));
    let leaving = push(&mut fold, hosted(1.0, running(1.0, &[7]), &[]));
    let [process] = &leaving.processes[..] else { panic!("{:?}", leaving.processes) };
    assert_eq!((process.key.start, process.ended), (100, None));
    assert!(process.host.is_none() && process.facts.is_some());
    let gone = push(&mut fold, hosted(2.0, running(2.0, &[]), &[]));
    assert_eq!(gone.processes[0].ended, Some(at(2.0)));
}

#[test]
fn a_list_that_cannot_be_read_ends_nobody() {
    let mut fold = deriver();
    push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 1.0)]));
    let failed = using(1.0, Err(Absence::failed(999, "Unknown Error")));
    let unread = push(&mut fold, hosted(1.0, failed, &[(7, 100, 2.0)]));
    let [process] = &unread.processes[..] else { panic!("{:?}", unread.processes) };
    assert_eq!(process.ended, None);
    assert_eq!(
        process.memory(),
        Err(Absence::failed(999, "Unknown Error")),
        "an old figure is not passed off"
    );
    let read = push(&mut fold, hosted(2.0, running(2.0, &[7]), &[(7, 100, 3.0)]));
    assert_eq!(read.processes.len(), 1);
    assert_eq!(read.processes[0].first_seen, at(0.0));
    assert_eq!(read.processes[0].memory(), Ok(Bytes(4 * GIB)));
}

#[test]
fn a_process_that_is_back_never_ended() {
    let mut fold = deriver();
    push(&mut fold, hosted(0.0, running(0.0, &[7]), &[(7, 100, 1.0)]));
    push(&mut fold, hosted(1.0, running(1.0, &[]), &[(7, 100, 1.0)]));
    let back = push(&mut fold, hosted(2.0, running(2.0, &[7]), &[(7, 100, 1.0)]));
    let [process] = &back.processes[..] else { panic!("{:?}", back.processes) };
    assert_eq!((process.ended, process.first_seen), (None, at(0.0)));
}

fn ghost(gpu: GpuSample) -> Reading<Bytes> {
    let mut fold = deriver();
    push(&mut fold, sample(0.0, vec![gpu])).gpus[0].unattributed.clone()
}

#[test]
fn memory_that_no_process_owns_is_what_is_left() {
    assert_eq!(ghost(running(0.0, &[7, 8])), Ok(Bytes(2 * GIB)));
    assert_eq!(ghost(running(0.0, &[])), Ok(Bytes(10 * GIB)));
    assert_eq!(ghost(running(0.0, &[7, 8, 9])), Ok(Bytes(0)), "never below zero");
    // Listed as compute and as graphics: the same memory.
    let mut graphics = on_gpu(7, Ok(Bytes(4 * GIB)));
    graphics.kind = ProcessKind::Graphics;
    let twice = using(0.0, Ok(vec![on_gpu(7, Ok(Bytes(4 * GIB))), graphics]));
    assert_eq!(ghost(twice), Ok(Bytes(6 * GIB)));
    let mut fold = deriver();
    let shown = push(&mut fold, sample(0.0, vec![running(0.0, &[7])]));
    assert_eq!(shown.unattributed(Bytes(GIB)).len(), 1);
    assert_eq!(shown.unattributed(Bytes(7 * GIB)).len(), 0);
}

#[test]
fn no_ghost_is_made_of_what_is_not_known() {
    let silent = using(0.0, Ok(vec![on_gpu(7, Err(Absence::NoPermission))]));
    assert_eq!(ghost(silent), Err(Absence::NoPermission), "a process that does not say what it holds");
    assert_eq!(ghost(using(0.0, Err(Absence::Lost))), Err(Absence::Lost), "a list that could not be read");
    let unlisted = GpuSample { processes: None, ..running(0.0, &[]) };
    assert_eq!(ghost(unlisted), Err(Absence::NotRequested));
    let mut first_version = running(0.0, &[7]);
    first_version.live.as_mut().unwrap().value.memory_reserved = Err(Absence::NotSupported);
    assert_eq!(ghost(first_version), Err(Absence::NotSupported), "reserved memory hides in what is used");
    let mut mig = running(0.0, &[7]);
    mig.health = Some(Grouped { at: at(0.0), value: Health { mig: Ok(true), ..Health::default() } });
    assert_eq!(ghost(mig), Err(Absence::NotSupported));
    assert!(ghost(GpuSample { state: GpuState::Lost, ..running(0.0, &[7]) }).is_err());
    for visible in [Ok(false), Err(Absence::NotRequested)] {
        let mut fold = deriver();
        let inventory = Inventory { host_pids_visible: visible, ..inventory(&["GPU-1"]) };
        fold.push(Record::Inventory(Box::new(inventory)));
        let shown = push(&mut fold, sample(0.0, vec![running(0.0, &[7])]));
        assert_eq!(shown.gpus[0].unattributed, Err(Absence::NoPermission), "processes of other namespaces");
    }
}

#[test]
fn a_process_over_several_gpus_is_one_row() {
    let mut fold = deriver();
    fold.push(Record::Inventory(Box::new(inventory(&["GPU-1", "GPU-2"]))));
    let mut other = running(0.0, &[7]);
    other.id = GpuId("GPU-2".into());
    let shown = push(&mut fold, sample(0.0, vec![running(0.0, &[7]), other]));
    let [process] = &shown.processes[..] else { panic!("{:?}", shown.processes) };
    assert_eq!(process.gpus.len(), 2);
    assert_eq!(process.memory(), Ok(Bytes(8 * GIB)));
    let one = push(
        &mut fold,
        sample(1.0, vec![running(1.0, &[7]), GpuSample::new(GpuId("GPU-2".into()), GpuState::Ok)]),
    );
    assert_eq!(one.processes[0].gpus.len(), 2, "a list that was not read in this interval is the one before");
}

#[test]
fn memory_that_the_arc_would_give_back_counts_as_free() {
    let host = |arc: Reading<Bytes>| {
        let mut sample = sample(0.0, vec![]);
        let value = HostSample {
            memory_total: Ok(Bytes(100)),
            memory_available: Ok(Bytes(40)),
            arc_reclaimable: arc,
            ..HostSample::default()
        };
        sample.host = Some(Grouped { at: at(0.0), value });
        push(&mut deriver(), sample).host.memory_used
    };
    assert_eq!(host(Err(Absence::NotSupported)), Ok(Bytes(60)));
    assert_eq!(host(Ok(Bytes(25))), Ok(Bytes(35)));
}

#[test]
fn host_cpu_needs_two_readings_that_rise() {
    let mut fold = deriver();
    let mut step = |seconds: f64, busy: u64, total: u64| {
        let mut sample = sample(seconds, vec![]);
        let value = HostSample { cpu_busy_ns: Ok(busy), cpu_total_ns: Ok(total), ..HostSample::default() };
        sample.host = Some(Grouped { at: at(seconds), value });
        push(&mut fold, sample).host.cpu
    };
    assert!(unseen(&step(0.0, 100, 1_000)));
    assert_eq!(step(1.0, 200, 2_000), Ok(Percent(10.0)));
    assert_eq!(step(1.0, 200, 2_000), Ok(Percent(10.0)), "the same reading again");
    assert!(unseen(&step(2.0, 50, 2_500)), "a counter that fell");
}

#[test]
fn the_collectors_cost_needs_two_samples_of_one_collector() {
    let mut fold = deriver();
    let mut step = |seconds: f64, cpu_ms: u64| {
        let mut sample = sample(seconds, vec![]);
        sample.cost = Some(SelfCost { cpu_ns: cpu_ms * 1_000_000, ..SelfCost::default() });
        push(&mut fold, sample).cost_cpu
    };
    assert!(unseen(&step(0.0, 500)));
    assert_eq!(step(2.0, 540), Ok(Percent(2.0)));
    assert!(unseen(&step(3.0, 10)), "another collector");
}

#[test]
fn a_new_collector_on_the_same_boot_goes_on_and_another_boot_begins_anew() {
    let mut fold = deriver();
    for n in 0..70 {
        push(&mut fold, sample(f64::from(n), vec![capped(f64::from(n), f64::from(n))]));
    }
    fold.push(Record::CallStuck(StuckCall {
        gpu: None,
        call: "nvmlInit_v2".into(),
        since: at(60.0),
        wait_channel: None,
        ended: false,
    }));
    fold.push(Record::Bye(Bye { reason: "driver_reloaded".into(), restart: true }));
    // A block of a recording repeats its header: nothing is forgotten.
    fold.push(Record::Header(header()));
    let same = push(&mut fold, sample(70.0, vec![capped(70.0, 70.0)]));
    assert_eq!((same.stuck.len(), same.bye.is_some()), (1, true));
    fold.push(Record::Header(Header { collector_pid: 2, ..header() }));
    let restarted = push(&mut fold, sample(71.0, vec![capped(71.0, 71.0)]));
    assert_eq!((restarted.stuck.len(), &restarted.bye), (0, &None));
    assert!(cap(&restarted).last_1m.is_ok(), "history goes on");
    let host = HostInfo { boot_id: "another".into(), ..header().host };
    fold.push(Record::Header(Header { host, ..header() }));
    let rebooted = push(&mut fold, sample(1.0, vec![capped(1.0, 0.0)]));
    assert!(unseen(&cap(&rebooted).last_1m));
    assert!(fold.history(&id()).is_some_and(|history| history.at(Metric::Power, second(10)).is_empty()));
}

#[test]
fn missed_samples_are_counted_and_calls_that_return_are_forgotten() {
    let mut fold = deriver();
    fold.push(Record::Gap(Gap { missed: 3 }));
    fold.push(Record::Gap(Gap { missed: u64::MAX }));
    let call =
        StuckCall { gpu: None, call: "nvmlInit_v2".into(), since: at(0.0), wait_channel: None, ended: false };
    fold.push(Record::CallStuck(call.clone()));
    fold.push(Record::CallStuck(StuckCall { wait_channel: Some("do_wait".into()), ..call.clone() }));
    let stuck = push(&mut fold, sample(1.0, vec![]));
    assert_eq!((stuck.missed, stuck.stuck.len()), (u64::MAX, 1));
    assert_eq!(stuck.stuck[0].wait_channel, Some("do_wait".into()));
    fold.push(Record::CallStuck(StuckCall { ended: true, ..call }));
    assert!(push(&mut fold, sample(2.0, vec![])).stuck.is_empty());
}

#[test]
fn a_checkpoint_goes_on_as_the_fold_itself() {
    let mut fold = deriver();
    let step = |n: u32| {
        let time = f64::from(n);
        let pids: Vec<u32> = (n / 10..n / 10 + 3).collect();
        let mut gpu = running(time, &pids);
        gpu.counters = capped(time, time / 3.0).counters;
        Record::Sample(Box::new(hosted(time, gpu, &[(n / 10, 5, time)])))
    };
    for n in 0..300 {
        fold.push(step(n));
    }
    let mut checkpoint = fold.clone();
    let straight: Vec<String> =
        (300..400).filter_map(|n| fold.push(step(n))).map(|s| format!("{s:?}")).collect();
    let refolded: Vec<String> =
        (300..400).filter_map(|n| checkpoint.push(step(n))).map(|s| format!("{s:?}")).collect();
    assert_eq!(straight, refolded);
}
