//! Every scenario gives the verdicts it expects within two samples of their cause, ends them within two, and raises
//! no other warning; every recording of a healthy rig raises none at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "verdicts/bench.rs"]
mod bench;
#[path = "verdicts/blame.rs"]
mod blame;
#[path = "verdicts/edges.rs"]
mod edges;
#[path = "verdicts/quiet.rs"]
mod quiet;
#[path = "verdicts/refusal.rs"]
mod refusal;
#[path = "verdicts/rules.rs"]
mod rules;
#[path = "verdicts/storage.rs"]
mod storage;

use bench::Told;
use kgtop::analysis::{Severity, Verdict};
use kgtop::sources::scenario::{Expectation, Scenario};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest look at one scenario.
const SECONDS_AT_MOST: u64 = 260;

fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| extensions.iter().any(|end| path.to_string_lossy().ends_with(end)));
    found.sort();
    found
}

fn play(path: &Path) -> (Scenario, Vec<Told>) {
    let text = std::fs::read_to_string(path).unwrap();
    let scenario =
        Scenario::parse(&text, &path.display().to_string()).unwrap_or_else(|error| panic!("{error}"));
    let until = scenario.duration().min(Duration::from_secs(SECONDS_AT_MOST));
    let told = bench::play(&scenario, until, &|_, _| {});
    (scenario, told)
}

/// What comes along with a scenario's fault, for the readings' own time: neither asked for nor a false alarm.
const BESIDES: [(&str, &str, u32); 2] = [
    ("incident-8xh100.toml", "temperature_near_limit", 2),
    // The counter of replays is read every ten seconds.
    ("incident-8xh100.toml", "pcie_replays", 5),
];

fn is_it(expected: &Expectation, verdict: &Verdict, gpu: Option<u32>) -> bool {
    verdict.rule == expected.rule && gpu == expected.gpu
}

fn judge_scenario(path: &Path, complaints: &mut Vec<String>) {
    let (scenario, told) = play(path);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let two = 2.0 * scenario.interval().as_secs_f64();
    for expected in scenario.expectations() {
        let what = format!("{name}: {} on {:?}", expected.rule, expected.gpu);
        for at in &told {
            let there = at.verdicts.iter().zip(&at.gpus).any(|(verdict, gpu)| is_it(expected, verdict, *gpu));
            // Another expectation of the same rule may hold at this time.
            let wanted = |slack: f64| {
                scenario.expectations().iter().any(|other| {
                    other.rule == expected.rule
                        && other.gpu == expected.gpu
                        && other.from <= at.at
                        && at.at <= other.to + slack
                })
            };
            if at.at >= expected.from + two && at.at < expected.to && !there {
                complaints.push(format!("{what}: not told at {} s", at.at));
                break;
            }
            if there && !wanted(two) {
                complaints.push(format!("{what}: told at {} s", at.at));
                break;
            }
        }
    }
    let mut seen: Vec<(&str, Option<u32>)> = Vec::new();
    for at in &told {
        for (verdict, gpu) in at.verdicts.iter().zip(&at.gpus) {
            let expected = scenario.expectations().iter().any(|expected| is_it(expected, verdict, *gpu));
            let besides = BESIDES
                .iter()
                .any(|(file, rule, index)| *file == name && *rule == verdict.rule && Some(*index) == *gpu);
            if verdict.severity >= Severity::Warning
                && !expected
                && !besides
                && !seen.contains(&(verdict.rule, *gpu))
            {
                seen.push((verdict.rule, *gpu));
                let last = told.iter().rev().find(|at| {
                    at.verdicts.iter().zip(&at.gpus).any(|(v, g)| v.rule == verdict.rule && g == gpu)
                });
                complaints.push(format!(
                    "{name}: unexpected {} on {gpu:?} from {} to {} s: {} ({})",
                    verdict.rule,
                    at.at,
                    last.unwrap().at,
                    verdict.summary,
                    verdict.evidence
                ));
            }
        }
    }
}

#[test]
fn every_scenario_gives_what_it_expects_and_no_other_warning() {
    let mut complaints = Vec::new();
    let scenarios =
        [files("assets/scenarios", &[".toml"]), files("tests/fixtures/scenarios", &[".toml"])].concat();
    assert!(scenarios.len() >= 20, "the scenarios are not where they were");
    for path in scenarios {
        judge_scenario(&path, &mut complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
