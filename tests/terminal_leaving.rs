//! The binary in a terminal that goes away, takes no bytes, or is shared with a shell and its jobs.
#![allow(
    clippy::disallowed_methods,
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
#[path = "stream/rig.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod rig;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use kgtop::model::{EventSource, RawEvent, Record};
use kgtop::units::{Mono, Wall};
use pty::Pty;
use rig::Rig;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const KGTOP: &str = env!("CARGO_BIN_EXE_kgtop");

fn scenario() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scenarios/one-h200.toml")
}

fn on_stand_in() -> Pty {
    let library = stand_in::stand_in_library();
    let scenario = scenario();
    let environment = [("KGTOP_STAND_IN", scenario.as_os_str())];
    let pty = Pty::kgtop(&[OsStr::new("--nvml-lib"), library.as_os_str()], 160, 50, &environment);
    pty.wait_for("data", |screen| screen.contains(" W"));
    pty
}

/// Waits for what no screen shows.
fn eventually(what: &str, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The state letter of `/proc/PID/stat`.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

#[test]
fn a_terminal_that_is_closed_ends_it_without_a_crash() {
    for _ in 0..3 {
        let mut pty = on_stand_in();
        pty.hang_up();
        let (status, _) = pty.wait_exit();
        assert_eq!(status.signal(), None, "it ended by a signal of its own: {status}");
    }
}

/// Has it draw whole screens until it waits for the terminal: what it wrote grows no more.
fn hold_up(pty: &mut Pty) {
    let written = |pty: &Pty| {
        let io = std::fs::read_to_string(format!("/proc/{}/io", pty.pid())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ").map(str::to_owned)).unwrap()
    };
    for round in 0..60 {
        let before = written(pty);
        pty.resize(160 + round % 2, 50);
        let start = Instant::now();
        while written(pty) == before {
            // It draws once a second at least.
            if start.elapsed() > Duration::from_secs(3) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    panic!("the terminal takes all that is written");
}

#[test]
fn a_terminal_that_takes_no_bytes_does_not_keep_it() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1)] {
        let mut pty = on_stand_in();
        pty.stop_reading();
        hold_up(&mut pty);
        pty.signal(signal);
        let (status, took) = pty.wait_exit();
        println!("{signal:?} to exit took {took:?}");
        assert_eq!(status.code(), Some(128 + number), "{signal:?}: {status}");
        assert!(!pty.is_raw(), "the terminal's modes were not given back");
    }
}

/// Set for the child that [`a_panic_without_a_terminal_is_told_by_the_status`] makes of this test program.
const PANICS: &str = "KGTOP_TEST_PANICS_HERE";

#[test]
fn child_that_panics() {
    if std::env::var_os(PANICS).is_some() {
        kgtop::terminal::install_hooks();
        panic!("a panic on purpose");
    }
}

/// Nothing can be written to `/dev/full`, as to a terminal that is gone.
#[test]
fn a_panic_without_a_terminal_is_told_by_the_status() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_panics", "--nocapture"])
        .env(PANICS, "1")
        .stdout(std::process::Stdio::null())
        .stderr(full())
        .status()
        .unwrap();
    assert_eq!((status.success(), status.signal()), (false, None), "{status}");
}

#[test]
fn ctrl_z_stops_the_whole_pipeline_and_the_shell_is_back() {
    let mut command = Command::new("setsid");
    command.args(["--ctty", "sh", "-i"]);
    let (library, scenario) = (stand_in::stand_in_library(), scenario());
    let environment = [
        ("PS1", OsStr::new("ready> ")),
        ("KGTOP", OsStr::new(KGTOP)),
        ("LIBRARY", library.as_os_str()),
        ("KGTOP_STAND_IN", scenario.as_os_str()),
    ];
    let mut pty = Pty::spawn(command, 160, 50, &environment);
    pty.wait_for("the prompt", |screen| screen.contains("ready>"));
    pty.keys("\"$KGTOP\" stream --nvml-lib \"$LIBRARY\" --interval 0.2 | \"$KGTOP\" replay -\r");
    let shown = |screen: &str| screen.contains("● remote") && screen.contains(" W");
    pty.wait_for("the stream's data", shown);
    pty.keys("\x1a");
    pty.wait_for("the shell's word of the stopped job", |screen| screen.contains("Stopped"));
    pty.assert_restored();
    pty.keys("fg\r");
    pty.wait_screen("the data again", |screen| screen.alternate_screen() && shown(&screen.contents()));
    pty.keys("q");
    pty.wait_screen("the prompt again", |screen| !screen.alternate_screen());
    pty.keys("exit\r");
    pty.wait_exit();
}

#[test]
fn a_stop_from_outside_is_survived() {
    let mut pty = on_stand_in();
    pty.signal(Signal::STOP);
    eventually("the process to be stopped", || is_stopped(pty.pid()));
    pty.cook();
    assert!(!pty.is_raw());
    let before = pty.raw().len();
    pty.signal(Signal::CONT);
    eventually("the terminal to be taken again", || pty.is_raw());
    eventually("the whole screen to be drawn anew", || {
        let raw = pty.raw();
        let text = String::from_utf8_lossy(&raw[before..]);
        let screen = pty.contents();
        text.contains("\x1b[?1049h") && screen.starts_with("kgtop") && screen.contains("q quit")
    });
    pty.keys("2");
    pty.wait_for("the tab of processes", |screen| screen.contains("PID"));
    pty.keys("q");
    let (status, _) = pty.wait_exit();
    assert!(status.success(), "{status}");
    pty.assert_restored();
}

/// What each frame begins with: synchronized output.
const FRAME: &str = "\x1b[?2026h";

#[test]
fn a_backlog_of_events_is_drawn_in_few_frames() {
    const EVENTS: u64 = 3_000;
    let mut records = Rig::new(2, 2).records(3);
    let event = |number: u64| {
        Record::Event(RawEvent {
            at: Mono(number),
            wall: Wall(1_800_000_000_000_000),
            source: EventSource::Kmsg,
            priority: Some(4),
            facility: Some(0),
            gpu: None,
            text: format!("NVRM: Xid (PCI:0000:1b:00): 31, pid={number}, name=train").into(),
        })
    };
    let bye = records.len();
    records.splice(bye..bye, (0..EVENTS).map(event));
    let mut text = String::new();
    for record in &records {
        kgtop::stream::encode(record, &mut text);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stream");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "sh", "-c", "cat \"$1\" | exec \"$0\" replay -", KGTOP]).arg(file);
    let mut pty = Pty::spawn(command, 160, 50, &[]);
    pty.wait_for("the end of the stream", |screen| screen.contains("the stream on standard input ended"));
    let raw = pty.raw();
    let frames = String::from_utf8_lossy(&raw).matches(FRAME).count();
    println!("{frames} frames for {EVENTS} events");
    assert!(frames < 1_000, "{frames} frames for {EVENTS} events");
    pty.keys("q");
    pty.wait_exit();
}
