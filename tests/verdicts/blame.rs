//! Which process a line of the kernel log is put down to.

use super::bench::{Bench, MONO, WALL};
use kgtop::sources::scenario::{Scenario, ScenarioPlayer};
use std::time::Duration;

/// One process that ends, one that begins; lines that name either, or neither.
const SCENARIO: &str = r#"
title = "PIDs"
duration_seconds = 70
[[gpu]]
model = "h100"
load = "training"
[[process]]
pid = 100
name = "trainer"
user = "ana"
command = ["trainer"]
gpus = [0]
[[process]]
pid = 200
name = "late"
user = "ben"
command = ["late"]
gpus = [0]
later = true
[[at]]
t = 20
end = [100]
[[at]]
t = 30
gpu = 0
kernel = ["NVRM: Xid (PCI:{bdf}): 31, pid=100, Ch 0000003b"]
[[at]]
t = 33
gpu = 0
kernel = ["NVRM: Xid (PCI:{bdf}): 32, pid=999, Ch 0000003b"]
[[at]]
t = 36
gpu = 0
kernel = ["NVRM: Xid (PCI:{bdf}): 69, pid=200, Class Error"]
[[at]]
t = 40
start = [200]
[[at]]
t = 60
gpu = 0
kernel = ["NVRM: Xid (PCI:{bdf}): 13, pid=200, Graphics Exception"]
"#;

#[test]
fn a_process_is_blamed_if_it_had_the_pid_then_be_it_gone_by_now() {
    let scenario = Scenario::parse(SCENARIO, "blame").unwrap_or_else(|error| panic!("{error}"));
    let mut player = ScenarioPlayer::new(scenario, WALL, MONO);
    let mut bench = Bench::default();
    while player.next_at().is_some_and(|at| at < Duration::from_secs(70)) {
        bench.push(player.next().unwrap());
    }
    let told: Vec<_> = bench
        .log
        .incidents()
        .map(|incident| (incident.code.unwrap(), incident.process_text().unwrap(), incident.blamed.is_some()))
        .collect();
    let expected = [
        (31, "trainer (pid 100)", true),
        (32, "pid 999, unknown", false),
        // Nobody had the PID yet.
        (69, "pid 200, unknown", false),
        (13, "late (pid 200)", true),
    ];
    assert_eq!(told, expected.map(|(code, process, blamed)| (code, process.to_owned(), blamed)));
}
