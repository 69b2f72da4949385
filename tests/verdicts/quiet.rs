//! Machines with nothing wrong: no warning, at any sample.

use super::bench::Bench;
use super::{files, play};
use kgtop::analysis::Verdict;
use kgtop::model::Record;
use kgtop::sources::recording::RecordingReader;
use std::path::Path;

/// Each is a machine that a hasty rule takes for a sick one.
const QUIET: [&str; 12] = [
    "a100-old-remaps",
    "container-no-host-pids",
    "decode-bound",
    "healthy-1xh200",
    "healthy-2xh200",
    "healthy-8xh100",
    "idle-inference",
    "laptop-awake",
    "mig-a100",
    "mixed-job",
    "nccl-bound",
    "passthrough-guest",
];
/// The same among the demos that also serve other ends.
const QUIET_DEMOS: [&str; 5] = ["idle", "laptop-asleep", "mig", "mixed-16", "no-permission"];

fn complain(name: &str, at: f64, verdict: &Verdict) -> String {
    format!("{name} at {at} s: {}: {} ({})", verdict.rule, verdict.summary, verdict.evidence)
}

#[test]
fn nothing_is_wrong_with_a_machine_that_only_looks_odd() {
    let known =
        [files("assets/scenarios", &[".toml"]), files("tests/fixtures/scenarios", &[".toml"])].concat();
    let mut complaints = Vec::new();
    for name in QUIET.iter().chain(&QUIET_DEMOS) {
        let path = known.iter().find(|path| path.file_stem().is_some_and(|stem| stem == *name));
        let (scenario, told) = play(path.unwrap_or_else(|| panic!("there is no scenario {name}")));
        assert!(told.len() >= 60, "{name}: {} samples are no test", told.len());
        let read = told.iter().any(|at| !at.gpus.is_empty()) || !scenario.gpus().is_empty();
        assert!(read, "{name} has no GPU");
        for at in &told {
            complaints.extend(at.alarms().map(|verdict| complain(name, at.at, verdict)));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_recorded_gpu_under_full_load_gives_no_warning() {
    let recordings =
        [files("assets/recordings", &[".jsonl.gz"]), files("tests/fixtures/recordings", &[".jsonl.gz"])]
            .concat();
    assert!(!recordings.is_empty(), "the recording is not where it was");
    let mut complaints = Vec::new();
    for path in recordings {
        let name = path.display().to_string();
        let (busiest, alarms) = judge(&path);
        assert!(busiest >= 600.0, "{name} is no full load: {busiest} W at most");
        complaints.extend(alarms.into_iter().map(|(at, verdict)| complain(&name, at, &verdict)));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The highest power of a sample, and what was told above information.
fn judge(path: &Path) -> (f32, Vec<(f64, Verdict)>) {
    let mut reader = RecordingReader::open(path).unwrap();
    let mut bench = Bench::default();
    let mut busiest = 0.0_f32;
    while let Some(record) = reader.next_record() {
        if let Record::Sample(sample) = &record {
            let power = sample.gpus.iter().filter_map(|gpu| gpu.fast.as_ref()?.value.power.as_ref().ok());
            busiest = power.map(|band| band.max).fold(busiest, f32::max);
        }
        bench.push(record);
    }
    assert!(bench.told.len() > 100, "{} samples", bench.told.len());
    let alarms = bench.told.iter().flat_map(|at| at.alarms().map(|verdict| (at.at, verdict.clone())));
    (busiest, alarms.collect())
}
