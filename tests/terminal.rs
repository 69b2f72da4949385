//! The binary in a pseudo-terminal against the stand-in driver library.
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
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use pty::Pty;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// From `q` to the shell's prompt. What is asked is 100 ms, and each test prints what it took; a busy machine gets more
/// before a test fails. Waiting for a call that never returns would take for ever.
const QUIT: Duration = Duration::from_secs(5);

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
    println!("q to exit took {took:?}");
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
    let first = collector(&pty);
    let screen = pty.wait_for("the stuck call by its name", |screen| {
        screen.contains("nvmlDeviceGetTemperature")
            && gpu_row(screen, 7).is_some_and(|row| row.contains(" W"))
    });
    assert!(gpu_row(&screen, 3).is_some_and(|row| row.contains("STALLED")), "{screen}");
    let before: Vec<String> = OTHERS.iter().map(|gpu| gpu_row(&screen, *gpu).unwrap()).collect();
    pty.wait_for("the values of the other seven to change", |screen| {
        OTHERS
            .iter()
            .zip(&before)
            .all(|(gpu, before)| gpu_row(screen, *gpu).is_some_and(|row| row != *before))
    });
    assert_eq!(collectors(&pty), [first]);
    quit_at_once(pty);
    gone(first);
}

/// The GPUs that are not blocked.
const OTHERS: [u32; 7] = [0, 1, 2, 4, 5, 6, 7];

/// A GPU's line of the overview.
fn gpu_row(screen: &str, gpu: u32) -> Option<String> {
    let index = gpu.to_string();
    let of_gpu = |line: &&str| line.split_whitespace().nth(1) == Some(&index);
    screen.lines().skip(4).take(8).find(of_gpu).map(str::to_owned)
}

#[test]
fn a_library_that_blocks_names_the_oldest_call_and_the_host_goes_on() {
    let pty = on_stand_in("library-blocked.toml");
    let first = collector(&pty);
    pty.wait_for("the suspect", |screen| screen.contains("nvmlDeviceGetTemperature"));
    clock_goes_on(&pty);
    the_rest_is_live(&pty);
    assert_eq!(collectors(&pty), [first], "no second collector starts");
    quit_at_once(pty);
    gone(first);
}

#[test]
fn an_init_that_blocks_is_named_and_the_host_goes_on() {
    let pty = on_stand_in("init-blocked.toml");
    let first = collector(&pty);
    pty.wait_for("the stuck init", |screen| screen.contains("nvmlInit_v2"));
    clock_goes_on(&pty);
    the_rest_is_live(&pty);
    assert_eq!(collectors(&pty), [first], "no second collector starts");
    quit_at_once(pty);
    gone(first);
}

#[test]
fn a_crash_in_the_library_costs_a_restart_of_the_collector() {
    let pty = on_stand_in("crash.toml");
    let first = collector(&pty);
    pty.wait_for("data of the first collector", |screen| screen.contains(" W"));
    pty.wait_for("the message", |screen| screen.contains("the collector died"));
    let died = Instant::now();
    pty.wait_for("another collector and its data", |screen| {
        collectors(&pty).first() != Some(&first) && screen.contains("● live") && !screen.contains("died")
    });
    // What is asked is 2 s; a busy machine gets more before the test fails.
    let took = died.elapsed();
    println!("data again {took:?} after the death");
    assert!(took < Duration::from_secs(8), "data came back after {took:?}");
    quit_at_once(pty);
}

#[test]
fn a_stopped_collector_is_told_and_not_doubled() {
    let mut pty = on_stand_in("one-h200.toml");
    pty.wait_for("data", |screen| screen.contains(" W"));
    let first = collector(&pty);
    send(first, Signal::STOP);
    let alone = |what: &str| {
        let now = collectors(&pty);
        assert!(now.len() <= 1, "{what}: {now:?} run at once");
        now.first().copied()
    };
    pty.wait_for("the silence to be told", |screen| {
        assert_eq!(alone("stopped"), Some(first), "nobody else is started");
        screen.contains("no data for")
    });
    let screen = pty.contents();
    assert!(screen.contains("H200"), "the last values stay\n{screen}");
    pty.keys("R");
    pty.wait_for("a fresh collector's data", |screen| {
        let now = collectors(&pty);
        assert!(now.len() <= 1, "restarting: {now:?} run at once");
        now != [first] && screen.contains("● live") && screen.contains(" W")
    });
    gone(first);
    quit_at_once(pty);
}

#[test]
fn a_restart_asked_of_a_stuck_library_replaces_the_collector() {
    let mut pty = on_stand_in("init-blocked.toml");
    let first = collector(&pty);
    pty.wait_for("the stuck init", |screen| screen.contains("nvmlInit_v2"));
    pty.keys("R");
    pty.wait_for("another collector", |_| {
        let now = collectors(&pty);
        assert!(now.len() <= 1, "{now:?} run at once");
        now.first().is_some_and(|pid| *pid != first)
    });
    gone(first);
    quit_at_once(pty);
}

#[test]
fn ctrl_c_leaves() {
    let mut pty = on_stand_in("one-h200.toml");
    pty.wait_for("data", |screen| screen.contains(" W"));
    pty.keys("\x03");
    let (status, took) = pty.wait_exit();
    assert!(status.success() && took < QUIT, "{status} after {took:?}");
    pty.assert_restored();
}

#[test]
fn signals_that_end_it_give_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut pty = on_stand_in("one-h200.toml");
        pty.wait_for("data", |screen| screen.contains(" W"));
        let collector = collector(&pty);
        pty.signal(signal);
        let (status, _) = pty.wait_exit();
        assert!(status.success(), "{signal:?}: {status}");
        pty.assert_restored();
        gone(collector);
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let mut pty = on_stand_in("one-h200.toml");
    pty.wait_for("data", |screen| screen.contains(" W"));
    let by_key: fn(&mut Pty) = |pty| pty.keys("\x1a");
    let by_signal: fn(&mut Pty) = |pty| pty.signal(Signal::TSTP);
    for stop in [by_key, by_signal] {
        stop(&mut pty);
        eventually("the process to be stopped", || process_state(pty.pid()) == Some('T'));
        pty.assert_restored();
        pty.signal(Signal::CONT);
        pty.wait_screen("the whole screen again", |screen| {
            let text = screen.contents();
            screen.alternate_screen()
                && ["kgtop", "1 GPUs", "H200", "● live", "q quit"].iter().all(|part| text.contains(part))
        });
    }
    clock_goes_on(&pty);
    quit_at_once(pty);
}

#[test]
fn another_size_is_drawn_anew_and_too_small_a_one_says_so() {
    let mut pty = on_stand_in("one-h200.toml");
    pty.wait_for("data", |screen| screen.contains(" W"));
    pty.resize(80, 24);
    pty.wait_for("the footer on the last of 24 lines", |screen| {
        screen.lines().count() == 24
            && screen.lines().last().is_some_and(|line| line.contains("q quit"))
            && screen.lines().all(|line| line.chars().count() <= 80)
    });
    pty.resize(25, 5);
    pty.wait_for("that it is too small", |screen| screen.trim() == "kgtop needs 30 × 6");
    pty.resize(120, 40);
    pty.wait_for("everything again", |screen| {
        screen.contains("H200") && screen.lines().last().is_some_and(|line| line.contains("q quit"))
    });
    quit_at_once(pty);
}

/// Set for the child that [`a_panic_gives_the_terminal_back_before_its_report`] makes of this test program.
const PANICS: &str = "KGTOP_TEST_PANICS_HERE";

#[test]
fn child_that_panics() {
    if std::env::var_os(PANICS).is_none() {
        return;
    }
    kgtop::terminal::install_hooks();
    let _guard = kgtop::terminal::Guard::enter(true).unwrap();
    panic!("a panic on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_before_its_report() {
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_panics", "--nocapture"]);
    // A backtrace would push the report off the screen.
    let environment = [(PANICS, OsStr::new("1")), ("RUST_BACKTRACE", OsStr::new("0"))];
    let mut pty = Pty::spawn(command, 100, 30, &environment);
    let (status, _) = pty.wait_exit();
    assert!(!status.success(), "the child did not panic");
    let screen = pty.wait_for("the report", |screen| screen.contains("a panic on purpose"));
    pty.assert_restored();
    let raw = pty.raw();
    let text = String::from_utf8_lossy(&raw);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{screen}"));
    assert!(place("\x1b[?1049h") < place("\x1b[?1049l"), "it was on the alternate screen");
    assert!(place("\x1b[?1049l") < place("a panic on purpose"), "the report comes after");
}

#[test]
fn without_colour_no_colour_code_is_written() {
    let library = stand_in::stand_in_library();
    let scenario = scenario("one-of-eight-blocked.toml");
    let environment = [("KGTOP_STAND_IN", scenario.as_os_str()), ("NO_COLOR", OsStr::new("1"))];
    let mut pty = Pty::kgtop(&[OsStr::new("--nvml-lib"), library.as_os_str()], 160, 50, &environment);
    pty.wait_for("a critical finding", |screen| screen.contains("STALLED"));
    pty.keys("2");
    pty.wait_for("the process tab", |screen| screen.contains("PID"));
    pty.keys("?");
    pty.wait_for("the help", |screen| screen.contains("show all keys"));
    assert_eq!(colours(&pty.raw()), Vec::<String>::new());
    // Escape and a letter in one go would be Alt and that letter.
    pty.keys("\x1b");
    pty.wait_for("the help to close", |screen| !screen.contains("show all keys"));
    quit_at_once(pty);
}

#[test]
fn with_colour_there_are_colour_codes() {
    let pty = on_stand_in("one-h200.toml");
    pty.wait_for("data", |screen| screen.contains(" W"));
    assert!(!colours(&pty.raw()).is_empty(), "the search for colour codes finds none");
    quit_at_once(pty);
}

#[test]
fn the_terminal_gets_the_colours_that_it_has() {
    for (term, colorterm, prefix) in [
        ("xterm-256color", "truecolor", Some("38;2;")),
        ("tmux-256color", "", Some("38;5;")),
        ("linux", "", Some("")),
        ("dumb", "", None),
    ] {
        let environment = [("TERM", OsStr::new(term)), ("COLORTERM", OsStr::new(colorterm))];
        let pty = Pty::kgtop(&["demo", "lost"], 160, 50, &environment);
        pty.wait_for("the demo's data", |screen| screen.contains("◆ demo") && screen.contains(" W"));
        let set = colours(&pty.raw());
        let with = |depth: &str| set.iter().filter(|sequence| sequence.contains(depth)).count();
        // crossterm writes the 16 colours as the first of the palette.
        let named = |sequence: &&String| {
            let number = sequence.split("8;5;").nth(1).map(|rest| rest.split(';').next().unwrap_or_default());
            number.is_none_or(|number| number.parse::<u32>().unwrap() < 16)
        };
        match prefix {
            None => assert!(set.is_empty(), "TERM={term}: {set:?}"),
            Some("") => {
                assert!(
                    !set.is_empty() && set.iter().all(|sequence| named(&sequence)),
                    "TERM={term}: {set:?}"
                );
                assert_eq!(with("8;2;"), 0, "TERM={term}: {set:?}");
            }
            Some(depth) => {
                let other = if depth == "38;2;" { "8;5;" } else { "8;2;" };
                assert!(with(depth) > 20, "TERM={term}: {set:?}");
                assert_eq!(with(other), 0, "TERM={term}: {set:?}");
            }
        }
        quit_at_once(pty);
    }
}

/// Every escape sequence that sets a colour. 39 and 49 give the terminal's own back.
fn colours(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(raw);
    let sequences = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ';' && letter != ':')?;
        rest[end..].starts_with('m').then(|| rest[..end].to_owned())
    });
    let sets = |sequence: &String| {
        sequence
            .split([';', ':'])
            .filter_map(|number| number.parse::<u32>().ok())
            .any(|number| matches!(number, 30..=38 | 40..=48 | 90..=97 | 100..=107))
    };
    sequences.filter(sets).collect()
}

#[test]
fn without_a_driver_it_explains_and_the_demo_is_a_key_away() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roots/no-driver");
    let mut pty = Pty::kgtop(&[OsStr::new("--root"), root.as_os_str()], 120, 40, &[]);
    pty.wait_for("the explanation", |screen| {
        screen.contains("No GPU can be read through the NVIDIA driver")
            && screen.contains("0000:01:00.0")
            && screen.contains("no driver bound")
            && screen.contains("d shows the demo")
    });
    clock_goes_on(&pty);
    pty.keys("d");
    pty.wait_for("the demo", |screen| screen.contains("◆ demo") && screen.contains(" W"));
    quit_at_once(pty);
}

#[test]
fn a_library_that_is_none_is_explained_on_the_screen() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a library").unwrap();
    let pty = Pty::kgtop(&[OsStr::new("--nvml-lib"), file.path().as_os_str()], 160, 40, &[]);
    pty.wait_for("the explanation", |screen| {
        screen.contains("is not an NVML library") && screen.contains("d shows the demo")
    });
    quit_at_once(pty);
}

#[test]
fn demo_plays_without_a_gpu() {
    let pty = Pty::kgtop(&["demo"], 160, 50, &[]);
    pty.wait_for("the demo's data", |screen| screen.contains("◆ demo") && screen.contains(" W"));
    clock_goes_on(&pty);
    quit_at_once(pty);
}

#[test]
fn a_recording_made_here_replays_here() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("one.kgtop");
    let recorded = kgtop("one-h200.toml")
        .args(["record", "--seconds", "1.5", "--interval", "0.2", "--output"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));
    let mut pty = Pty::kgtop(&[OsStr::new("replay"), file.as_os_str()], 160, 50, &[]);
    pty.wait_for("the end of the recording", |screen| screen.contains("■ replay") && screen.contains("H200"));
    pty.keys("\x1b[D");
    pty.wait_for("it to go back", |screen| screen.contains("replay 0:00") && screen.contains(" W"));
    quit_at_once(pty);
}

#[test]
fn a_stream_through_a_pipe_is_shown_and_keys_come_from_the_terminal() {
    let mut command = Command::new("setsid");
    let script = "\"$0\" stream --nvml-lib \"$1\" --interval 0.2 | exec \"$0\" replay -";
    command
        .args(["--ctty", "sh", "-c", script, env!("CARGO_BIN_EXE_kgtop")])
        .arg(stand_in::stand_in_library());
    let scenario = scenario("one-h200.toml");
    let mut pty = Pty::spawn(command, 160, 50, &[("KGTOP_STAND_IN", scenario.as_os_str())]);
    pty.wait_for("the far machine's data", |screen| screen.contains("● remote") && screen.contains(" W"));
    clock_goes_on(&pty);
    pty.keys("q");
    let (status, _) = pty.wait_exit();
    assert!(status.success(), "{status}");
    pty.assert_restored();
}

/// kgtop without a terminal on the stand-in.
fn kgtop(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgtop"));
    command
        .arg("--nvml-lib")
        .arg(stand_in::stand_in_library())
        .env("KGTOP_STAND_IN", scenario(name))
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"));
    command
}

/// The header's clock shows the time of the data: while it moves, samples arrive.
fn clock_goes_on(pty: &Pty) {
    let header = |screen: &str| screen.lines().next().unwrap_or_default().to_owned();
    let before = header(&pty.contents());
    pty.wait_for("the clock of the data to go on", |screen| header(screen) != before);
}

/// The sources that do not need the driver work.
fn the_rest_is_live(pty: &Pty) {
    pty.wait_for("host, PCI and processes to be live", |screen| {
        ["host ✓", "pci ✓", "processes ✓", "● live"].iter().all(|badge| screen.contains(badge))
    });
}

/// PIDs of the collectors that the program has now, those not yet reaped included.
fn collectors(pty: &Pty) -> Vec<i32> {
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pty.pid())).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// PID of the first collector, once the program has one.
fn collector(pty: &Pty) -> i32 {
    let mut found = None;
    eventually("a collector", || {
        found = collectors(pty).first().copied();
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_complaint_about_an_argument_does_not_steer_the_terminal() {
    // One that the parser refuses, and one that a command does.
    for arguments in [&["x\u{1b}[31my"][..], &["fit", "x\u{1b}]2;title\u{7}y", "--memory", "80GB"]] {
        let mut pty = Pty::kgtop(arguments, 160, 50, &[]);
        pty.wait_for("the complaint", |screen| screen.contains('x'));
        let _ended = pty.wait_exit();
        let raw = String::from_utf8_lossy(&pty.raw()).into_owned();
        assert!(!raw.contains(['\u{1b}', '\u{7}']), "{arguments:?}: {raw:?}");
    }
}

/// Waits until the process has ended.
fn gone(pid: i32) {
    eventually("the collector to be gone", || {
        process_state(u32::try_from(pid).unwrap()).is_none_or(|state| state == 'Z')
    });
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The state letter of `/proc/PID/stat`; `None` when there is no such process.
fn process_state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Waits for what no screen shows.
fn eventually(what: &str, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
