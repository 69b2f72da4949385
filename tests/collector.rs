//! The collector's process: what it writes, and when it leaves.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may panic, and a deadline is time"
)]

#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use kgtop::model::{Demand, GpuInfo, GpuSample, GpuState, Record, Sample, SourceState};
use kgtop::stream::{self, control};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What does not happen within this time does not happen.
const DEADLINE: Duration = Duration::from_secs(60);

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// A collector that runs, and its records.
struct Collector {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Collector {
    fn start(arguments: &[&str], scenario: &str) -> Self {
        let file = fixture("scenarios").join(scenario);
        let mut child = Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .arg("stream")
            .args(arguments)
            .env("KGTOP_STAND_IN", if file.is_file() { file.as_os_str() } else { scenario.as_ref() })
            .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { stdin: child.stdin.take(), stdout, child }
    }

    /// One that belongs to this test, on the stand-in.
    fn child_of_this(interval: &str, scenario: &str) -> Self {
        let library = stand_in::stand_in_library();
        let parent = std::process::id().to_string();
        let library = library.to_str().unwrap();
        Self::start(&["--child", &parent, "--nvml-lib", library, "--interval", interval], scenario)
    }

    /// One of its own, on the stand-in.
    fn alone(interval: &str, scenario: &str) -> Self {
        let library = stand_in::stand_in_library();
        Self::start(&["--nvml-lib", library.to_str().unwrap(), "--interval", interval], scenario)
    }

    /// The next record; `None` at the end.
    fn next(&mut self) -> Option<Record> {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        if line.is_empty() { None } else { Some(stream::decode(&line).unwrap().unwrap()) }
    }

    /// The next record that `wanted` takes.
    fn find<T>(&mut self, what: &str, mut wanted: impl FnMut(Record) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let record = self.next().unwrap_or_else(|| panic!("the stream ended before {what}"));
            if let Some(found) = wanted(record) {
                return found;
            }
            assert!(start.elapsed() < DEADLINE, "no {what}");
        }
    }

    fn sample(&mut self) -> Box<Sample> {
        self.find("sample", |record| if let Record::Sample(sample) = record { Some(sample) } else { None })
    }

    fn rest(&mut self) -> Vec<Record> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn demand(&mut self, demand: Demand) {
        let mut line = String::new();
        control::encode(&control::Control::Demand(demand), &mut line);
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn wait_exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the collector does not leave");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[test]
fn the_header_comes_first_and_the_inventory_before_the_sample_that_needs_it() {
    let mut collector = Collector::child_of_this("0.2", "healthy-8xh100");
    let Some(Record::Header(header)) = collector.next() else { panic!("no header") };
    assert_eq!((header.format, header.collector_pid), (stream::FORMAT, collector.child.id()));
    assert!((header.interval_seconds - 0.2).abs() < 1e-6);
    let mut known = Vec::new();
    let mut samples = 0;
    let mut last = 0;
    collector.find("five samples", |record| {
        match record {
            Record::Inventory(inventory) => known = inventory.gpus.iter().map(GpuInfo::id).collect(),
            Record::Sample(sample) => {
                assert!(sample.sequence > last, "samples are in order");
                last = sample.sequence;
                for gpu in sample.gpus.iter().filter(|gpu| gpu.live.is_some()) {
                    assert!(known.contains(&gpu.id), "{} has values and is in no inventory", gpu.id);
                }
                samples += 1;
            }
            // The log of this machine may have something to say.
            Record::Event(_) => {}
            other => panic!("{other:?}"),
        }
        (samples == 5).then_some(())
    });
    assert_eq!(known.len(), 8);
}

#[test]
fn a_child_says_bye_and_leaves_when_its_standard_input_ends() {
    let mut collector = Collector::child_of_this("0.2", "one-h200.toml");
    collector.sample();
    drop(collector.stdin.take());
    let rest = collector.rest();
    let Some(Record::Bye(bye)) = rest.last() else { panic!("{:?}", rest.last()) };
    assert_eq!((&*bye.reason, bye.restart), ("end_of_input", false));
    assert!(collector.wait_exit().success());
}

#[test]
fn a_stream_of_its_own_does_not_care_for_its_standard_input() {
    let mut collector = Collector::alone("0.1", "one-h200.toml");
    drop(collector.stdin.take());
    for _ in 0..5 {
        collector.sample();
    }
}

#[test]
fn a_reader_that_goes_away_is_the_end() {
    for mut collector in
        [Collector::alone("0.1", "one-h200.toml"), Collector::child_of_this("0.1", "one-h200.toml")]
    {
        collector.sample();
        drop(collector.stdout.take());
        assert!(collector.wait_exit().success());
    }
}

#[test]
fn a_collector_whose_parent_is_another_leaves_at_once() {
    let library = stand_in::stand_in_library();
    let mut collector =
        Collector::start(&["--child", "1", "--nvml-lib", library.to_str().unwrap()], "one-h200.toml");
    assert_eq!(collector.rest(), vec![]);
    assert!(collector.wait_exit().success());
}

#[test]
fn the_death_of_the_parent_is_the_end() {
    let library = stand_in::stand_in_library();
    // A shell as the parent: it starts the collector, says who it is, and is killed.
    let script = "\"$0\" stream --child $$ --nvml-lib \"$1\" --interval 0.1 <&3 & echo $!; wait";
    let mut parent = Command::new("sh");
    parent.args(["-c", &format!("exec 3<&0; {script}"), env!("CARGO_BIN_EXE_kgtop")]).arg(&library);
    let file = fixture("scenarios/one-h200.toml");
    parent.env("KGTOP_STAND_IN", file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut parent = parent.spawn().unwrap();
    // Held open: the end must come from the parent's death and from nothing else.
    let _stdin = parent.stdin.take();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (mut pid, mut samples) = (None, 0);
    while pid.is_none() || samples < 2 {
        let line = lines.next().unwrap();
        match line.parse::<i32>() {
            Ok(number) => pid = Some(number),
            Err(_) => samples += u32::from(line.contains("\"kind\":\"sample\"")),
        }
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    let stat = format!("/proc/{}/stat", pid.unwrap());
    let start = Instant::now();
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(start.elapsed() < DEADLINE, "the collector outlives its parent");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_reader_that_stops_costs_samples_and_no_memory() {
    let mut collector = Collector::alone("0.1", "healthy-8xh100");
    let before = collector.sample().sequence;
    // The pipe holds a few samples of eight GPUs; what comes after has nowhere to go.
    let stat = format!("/proc/{}/statm", collector.child.id());
    let pages = || -> u64 {
        let text = std::fs::read_to_string(&stat).unwrap();
        text.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let full = Instant::now();
    let blocked = || writer_waits(collector.child.id());
    while !blocked() {
        assert!(full.elapsed() < DEADLINE, "the pipe never fills");
        std::thread::sleep(Duration::from_millis(20));
    }
    let at_first = pages();
    std::thread::sleep(Duration::from_secs(2));
    assert!(blocked(), "nobody reads, and it goes on writing");
    let grown = pages().saturating_sub(at_first) * rustix::param::page_size() as u64;
    assert!(grown < 2 << 20, "{grown} bytes more for a reader that stopped");
    let missed =
        collector.find("gap", |record| if let Record::Gap(gap) = record { Some(gap.missed) } else { None });
    assert!(missed >= 10, "two seconds at 0.1 s: {missed}");
    let after = collector.sample();
    assert!(after.sequence > before + missed);
    let next = collector.sample();
    assert!(next.sequence - after.sequence < 10, "it goes on with what is new");
}

/// Whether the collector's writer sits in `write`.
fn writer_waits(pid: u32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().any(|task| {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        // Its other wait is for something to write, which is a futex; 1 is write on x86-64, 64 on AArch64.
        let call = std::fs::read_to_string(task.join("syscall")).unwrap_or_default();
        name.trim() == "writer" && (call.starts_with("1 ") || call.starts_with("64 "))
    })
}

#[test]
fn hidden_groups_are_not_read() {
    // At one second a demand is served with every sample; what is hidden, every fifth.
    let mut collector = Collector::child_of_this("1", "healthy-8xh100");
    let gpm = |sample: &Sample| sample.gpus.iter().filter(|gpu| gpu.gpm.is_some()).count();
    let utilization = |sample: &Sample| sample.gpus.iter().any(|gpu| gpu.process_utilization.is_some());
    // Until the terminal says what it shows, everything is read.
    between(&mut collector, |_, second| gpm(second) == 8);
    collector.demand(Demand::default());
    // In this second nothing else was read that is not read each second: calls can be compared.
    let plain = |sample: &Sample| {
        let seldom =
            |gpu: &GpuSample| gpu.health.is_some() || gpu.counters.is_some() || gpu.buffers.is_some();
        !sample.gpus.iter().any(|gpu| seldom(gpu) || gpu.nvlinks.is_some() || gpu.mig.is_some())
    };
    // The last round that read on the old demand may still come.
    let hidden = between(&mut collector, |first, second| {
        gpm(first) == 0 && gpm(second) == 0 && !utilization(second) && plain(second)
    });
    collector.demand(Demand { gpm: true, process_utilization: true, ..Demand::default() });
    let shown = between(&mut collector, |first, second| {
        gpm(first) == 8 && gpm(second) == 8 && utilization(second) && plain(second)
    });
    // Three calls a GPU: a GPM sample, its metrics, the processes' utilisation.
    assert!(shown >= hidden + 16, "{hidden} calls hidden, {shown} shown");
}

#[test]
fn the_files_of_the_doctor_are_read_once_although_nobody_looks_at_them() {
    let mut collector = Collector::child_of_this("0.2", "healthy-8xh100");
    collector.demand(Demand::default());
    let whole = |sample: &Sample| {
        let files = sample.host_files.as_ref();
        files.is_some_and(|files| files.value.pending.is_none() && !files.value.files.is_empty())
    };
    collector.find("sample with the files", |record| match record {
        Record::Sample(sample) if whole(&sample) => Some(()),
        _ => None,
    });
    // They are not read at each interval: only who begins to look has them again.
    for _ in 0..5 {
        let sample = collector.sample();
        assert!(sample.host_files.is_none(), "read although nobody looks");
    }
    collector.demand(Demand { host_files: true, ..Demand::default() });
    collector.find("sample with the files for who looks", |record| match record {
        Record::Sample(sample) if whole(&sample) => Some(()),
        _ => None,
    });
}

/// Driver calls between the first two samples in a row that `wanted` takes.
fn between(collector: &mut Collector, wanted: impl Fn(&Sample, &Sample) -> bool) -> u64 {
    let mut first = collector.sample();
    for _ in 0..25 {
        let second = collector.sample();
        if wanted(&first, &second) {
            return calls(&second) - calls(&first);
        }
        first = second;
    }
    panic!("not within 25 samples; the last one: {first:?}");
}

fn calls(sample: &Sample) -> u64 {
    sample.cost.as_ref().unwrap().calls
}

#[test]
fn a_driver_that_is_loaded_anew_is_opened_anew() {
    let root = tempfile::tempdir().unwrap();
    let module = root.path().join("sys/module/nvidia");
    std::fs::create_dir_all(&module).unwrap();
    std::fs::write(module.join("version"), "580.159.04\n").unwrap();
    let library = stand_in::stand_in_library();
    let parent = std::process::id().to_string();
    let arguments = [
        "--child",
        &parent,
        "--interval",
        "0.5",
        "--root",
        root.path().to_str().unwrap(),
        "--nvml-lib",
        library.to_str().unwrap(),
    ];
    let mut collector = Collector::start(&arguments, "one-h200.toml");
    collector.find("a GPU's values", |record| {
        let Record::Sample(sample) = record else { return None };
        sample.gpus.first().is_some_and(|gpu| gpu.live.is_some()).then_some(())
    });
    std::fs::write(module.join("version"), "590.44.01\n").unwrap();
    let bye = collector.find("bye", |record| if let Record::Bye(bye) = record { Some(bye) } else { None });
    assert_eq!((&*bye.reason, bye.restart), ("driver_reloaded", true));
    assert_eq!(collector.next(), None);
    assert!(collector.wait_exit().success());
}

/// Copies a captured machine, links as links.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from).unwrap(), &to).unwrap();
        } else if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn a_sleeping_gpu_is_shown_asleep_and_the_driver_is_opened_only_once_it_wakes() {
    let root = tempfile::tempdir().unwrap();
    copy(&fixture("roots/laptop-asleep"), root.path());
    let library = stand_in::stand_in_library();
    let (path, library) = (root.path().to_str().unwrap(), library.to_str().unwrap());
    // To open this library is to hang in its init, and that would be told.
    let arguments = ["--interval", "0.2", "--root", path, "--nvml-lib", library];
    let mut collector = Collector::start(&arguments, "init-blocked.toml");
    let init = |record: &Record| matches!(record, Record::CallStuck(call) if &*call.call == "nvmlInit_v2");
    let mut asleep = 0;
    while asleep < 40 {
        match collector.next().unwrap() {
            Record::Sample(sample) if !sample.gpus.is_empty() => {
                assert_eq!(sample.gpus[0].state, GpuState::Asleep);
                assert_eq!(sample.gpus[0].id.to_string(), "0000:01:00.0");
                let nvml = sample.sources.iter().find(|source| &*source.name == "nvml").unwrap();
                assert!(nvml.reason.contains("left asleep"), "{}", nvml.reason);
                asleep += 1;
            }
            record => assert!(!init(&record), "the driver was opened"),
        }
    }
    let status = "sys/bus/pci/devices/0000:01:00.0/power/runtime_status";
    std::fs::write(root.path().join(status), "active\n").unwrap();
    collector.find("the driver to be opened", |record| init(&record).then_some(()));
}

#[test]
fn a_gpu_beside_a_sleeping_one_is_said_to_be_unread_and_not_to_be_without_a_driver() {
    let root = tempfile::tempdir().unwrap();
    copy(&fixture("roots/laptop-asleep"), root.path());
    let devices = root.path().join("sys/bus/pci/devices");
    copy(&devices.join("0000:01:00.0"), &devices.join("0000:02:00.0"));
    std::fs::write(devices.join("0000:02:00.0/power/runtime_status"), "active\n").unwrap();
    let library = stand_in::stand_in_library();
    let (path, library) = (root.path().to_str().unwrap(), library.to_str().unwrap());
    let arguments = ["--interval", "0.2", "--root", path, "--nvml-lib", library];
    let mut collector = Collector::start(&arguments, "init-blocked.toml");
    let sample = collector.find("both GPUs", |record| match record {
        Record::Sample(sample) if sample.gpus.len() == 2 => Some(sample),
        _ => None,
    });
    let states: Vec<_> = sample.gpus.iter().map(|gpu| (gpu.id.to_string(), gpu.state)).collect();
    assert_eq!(
        states,
        [("0000:01:00.0".to_owned(), GpuState::Asleep), ("0000:02:00.0".to_owned(), GpuState::NotOpened)]
    );
    let nvml = sample.sources.iter().find(|source| &*source.name == "nvml").unwrap();
    assert!(nvml.reason.contains("would wake it: GPU 0000:01:00.0"), "{}", nvml.reason);
    // Once nothing sleeps, the driver is opened for both.
    std::fs::write(devices.join("0000:01:00.0/power/runtime_status"), "active\n").unwrap();
    let init = |record: &Record| matches!(record, Record::CallStuck(call) if &*call.call == "nvmlInit_v2");
    collector.find("the driver to be opened", |record| init(&record).then_some(()));
}

#[test]
fn a_machine_without_a_driver_has_its_devices_and_an_explanation() {
    let root = fixture("roots/no-driver");
    let mut collector = Collector::start(&["--root", root.to_str().unwrap(), "--interval", "0.2"], "idle");
    let inventory = collector.find("an inventory with an explanation", |record| {
        let Record::Inventory(inventory) = record else { return None };
        inventory.driver.problem.is_some().then_some(inventory)
    });
    let problem = inventory.driver.problem.as_deref().unwrap();
    assert!(problem.contains("0000:01:00.0") && problem.contains("modprobe nvidia"), "{problem}");
    assert_eq!(inventory.pci.len(), 1);
    let sample = collector.find("the GPU's place", |record| {
        let Record::Sample(sample) = record else { return None };
        (!sample.gpus.is_empty()).then_some(sample)
    });
    assert_eq!(sample.gpus[0].state, GpuState::NoDriver);
    assert_eq!(sample.gpus[0].id.to_string(), "0000:01:00.0");
    assert!(sample.host.is_some(), "the host is read all the same");
    let nvml = sample.sources.iter().find(|source| &*source.name == "nvml").unwrap();
    assert_eq!(nvml.state, SourceState::Unavailable);
}

#[test]
fn an_event_set_that_failed_goes_back_and_the_next_one_tells() {
    // No log below this root: the driver is asked, and the stand-in has but one set.
    let root = tempfile::tempdir().unwrap();
    let library = stand_in::stand_in_library();
    let arguments = [
        "--root",
        root.path().to_str().unwrap(),
        "--nvml-lib",
        library.to_str().unwrap(),
        "--interval",
        "0.5",
    ];
    let mut collector = Collector::start(&arguments, "event-set-fails.toml");
    collector.find("a set that failed", |record| {
        let Record::Sample(sample) = record else { return None };
        let log = sample.sources.iter().find(|source| &*source.name == "kernel_log")?;
        log.reason.contains("NVML tells no more Xids").then_some(())
    });
    let event =
        collector.find("an Xid", |record| if let Record::Event(event) = record { Some(event) } else { None });
    assert_eq!((event.source, &*event.text), (kgtop::model::EventSource::Nvml, "Xid 31"));
}

#[test]
fn nvml_is_not_whole_while_a_gpu_gives_nothing() {
    for (text, reason) in [
        (
            // This user may open no GPU.
            "[[fault]]\ncall = \"nvmlDeviceGetHandleByIndex_v2\"\nkind = \"error\"\ncode = 4\n",
            "nothing of GPU 0 and 1 more can be read: no permission",
        ),
        (
            "[[fault]]\ncall = \"*\"\ngpu = 1\nkind = \"error\"\ncode = 999\n",
            "nothing of GPU 1 can be read: failed: UNKNOWN (999)",
        ),
    ] {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let rig = "title = \"t\"\nduration_seconds = 600\n[[gpu]]\nmodel = \"h100\"\ncount = 2\n";
        std::fs::write(file.path(), format!("{rig}{text}")).unwrap();
        let mut collector = Collector::child_of_this("0.2", file.path().to_str().unwrap());
        let told = collector.find("NVML in part", |record| {
            let Record::Sample(sample) = record else { return None };
            let nvml = sample.sources.into_iter().find(|source| &*source.name == "nvml")?;
            (nvml.state == SourceState::Degraded).then_some(nvml.reason)
        });
        assert_eq!(&*told, reason);
    }
}

#[test]
fn a_call_that_hangs_is_named_and_the_others_go_on() {
    let mut collector = Collector::child_of_this("0.2", "one-of-eight-blocked.toml");
    let call = collector.find("the stuck call", |record| {
        if let Record::CallStuck(call) = record { Some(call) } else { None }
    });
    assert_eq!((&*call.call, call.ended), ("nvmlDeviceGetTemperature", false));
    let sample = collector.sample();
    for (index, gpu) in sample.gpus.iter().enumerate() {
        assert_eq!(gpu.state == GpuState::Stalled, index == 3, "GPU {index} is {:?}", gpu.state);
        assert_eq!(gpu.live.is_some(), index != 3, "GPU {index}");
    }
    // Leaving does not wait for the call.
    drop(collector.stdin.take());
    let start = Instant::now();
    collector.rest();
    assert!(collector.wait_exit().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_gpu_that_stops_answering_keeps_no_other_waiting() {
    // All GPUs are read by one thread, this one first.
    let mut collector = Collector::child_of_this("0.5", "first-of-eight-blocks-later.toml");
    let (mut answered, mut missed, mut samples_after) = (false, 0, 0);
    while samples_after < 6 {
        let sample = collector.sample();
        let (first, others) = sample.gpus.split_first().unwrap();
        let all_others = others.iter().all(|gpu| gpu.live.is_some());
        missed += u32::from(answered && !all_others);
        answered |= all_others && first.live.is_some();
        samples_after += u32::from(first.state == GpuState::Stalled);
    }
    assert!(answered, "it was read while it answered");
    assert!(missed <= 1, "{missed} samples without some of the others");
    let reads =
        |sample: &Sample, gpu: usize| sample.gpus[gpu].fast.as_ref().map(|fast| fast.value.reads.clone());
    let sample = collector.sample();
    for gpu in 1..8 {
        assert!(
            reads(&sample, gpu).is_some_and(|reads| reads.as_ref().is_ok_and(|reads| *reads >= 3)),
            "GPU {gpu}: {:?}",
            reads(&sample, gpu)
        );
    }
}

#[test]
fn a_crash_in_the_driver_is_a_death_by_signal_and_what_came_before_is_whole() {
    let mut collector = Collector::child_of_this("0.2", "crash.toml");
    let mut text = String::new();
    collector.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
    let records =
        text.lines().filter(|line| stream::decode(line).is_ok_and(|record| record.is_some())).count();
    assert!(records >= text.lines().count() - 1, "at most the last line is cut off");
    assert!(!text.contains("\"kind\":\"bye\""), "it could not say good-bye");
    assert!(!collector.wait_exit().success());
}

#[test]
fn the_terminals_signals_do_not_reach_a_child() {
    let mut collector = Collector::child_of_this("0.1", "one-h200.toml");
    collector.sample();
    let pid = Pid::from_raw(i32::try_from(collector.child.id()).unwrap()).unwrap();
    let group = rustix::process::getpgid(Some(pid)).unwrap();
    assert_eq!(group, pid, "a group of its own");
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid, "a session of its own");
    let name = std::fs::read_to_string(format!("/proc/{}/comm", collector.child.id())).unwrap();
    assert_eq!(name.trim_end(), "kgtop-collector", "what ps and top call it");
    // A stopped one says nothing, and goes on where it was.
    kill_process(pid, Signal::STOP).unwrap();
    kill_process(pid, Signal::CONT).unwrap();
    collector.sample();
}
