//! The binary in a pseudo-terminal against the stand-in driver library.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/pty.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod pty;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use pty::Pty;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From `q` to the shell's prompt: what an operator feels as at once.
const QUIT: Duration = Duration::from_millis(100);

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scenarios").join(name)
}

/// kgtop at 160×50 on the stand-in library with a scenario of `tests/fixtures/scenarios`.
fn on_stand_in(name: &str) -> Pty {
    let library = stand_in::stand_in_library();
    let scenario = scenario(name);
    Pty::kgtop(
        &[OsStr::new("--nvml-lib"), library.as_os_str()],
        160,
        50,
        &[("KGTOP_STAND_IN", scenario.as_os_str())],
    )
}

fn quit_at_once(mut pty: Pty) {
    pty.keys("q");
    let (status, took) = pty.wait_exit();
    assert!(status.success(), "{status}");
    assert!(took < QUIT, "q to exit took {took:?}");
    pty.assert_restored();
}

#[test]
fn live_readings_reach_the_screen_and_q_leaves() {
    let pty = on_stand_in("one-h200.toml");
    pty.wait_for("the GPU's name and power", |screen| screen.contains("H200") && screen.contains(" W"));
    quit_at_once(pty);
}

#[test]
fn a_call_that_never_returns_stalls_its_gpu_alone() {
    let pty = on_stand_in("one-of-eight-blocked.toml");
    pty.wait_for("the stuck call by its name", |screen| screen.contains("nvmlDeviceGetTemperature"));
    quit_at_once(pty);
}

#[test]
fn a_library_that_blocks_names_the_oldest_call_and_the_host_goes_on() {
    let pty = on_stand_in("library-blocked.toml");
    pty.wait_for("the suspect", |screen| screen.contains("nvmlDeviceGetTemperature"));
    clock_goes_on(&pty);
    quit_at_once(pty);
}

#[test]
fn an_init_that_blocks_is_named_and_the_host_goes_on() {
    let pty = on_stand_in("init-blocked.toml");
    pty.wait_for("the stuck init", |screen| screen.contains("nvmlInit_v2"));
    clock_goes_on(&pty);
    quit_at_once(pty);
}

#[test]
fn a_crash_in_the_library_costs_a_restart_of_the_collector() {
    let pty = on_stand_in("crash.toml");
    let first = collector_of(&pty);
    pty.wait_for("data of the first collector", |screen| screen.contains(" W"));
    pty.wait_for("another collector and its data", |screen| {
        collector_of(&pty) != first && screen.contains(" W")
    });
    quit_at_once(pty);
}

/// The header's clock shows the time of the data: while it moves, samples arrive.
fn clock_goes_on(pty: &Pty) {
    let header = |screen: &str| screen.lines().next().unwrap_or_default().to_owned();
    let before = header(&pty.contents());
    pty.wait_for("the clock of the data to go on", |screen| header(screen) != before);
}

/// PID of the collector that the program has now; `None` between two.
fn collector_of(pty: &Pty) -> Option<u32> {
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pty.pid())).unwrap_or_default();
    children.split_whitespace().next().and_then(|pid| pid.parse().ok())
}
