//! A line in the kernel log reaches the screen decoded; the commands that read saved logs.
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
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const XID: &str =
    "[ 12.000000] NVRM: Xid (PCI:0000:3b:00): 79, pid=4711, name=python3, GPU has fallen off the bus.\n";

#[test]
fn a_line_written_to_the_pipe_below_a_root_is_on_the_screen_decoded() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("dev")).unwrap();
    let path = root.path().join("dev/kmsg");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let library = stand_in::stand_in_library();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scenarios/one-h200.toml");
    let arguments: [&OsStr; 6] = [
        OsStr::new("--root"),
        root.path().as_os_str(),
        OsStr::new("--nvml-lib"),
        library.as_os_str(),
        OsStr::new("--tab"),
        OsStr::new("events"),
    ];
    let mut pty = Pty::kgtop(&arguments, 120, 30, &[("KGTOP_STAND_IN", scenario.as_os_str())]);
    pty.wait_for("the empty list and its source", |screen| {
        screen.contains("no event was reported") && screen.contains("/dev/kmsg")
    });
    let mut pipe = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    pipe.write_all(XID.as_bytes()).unwrap();
    pty.wait_for("the decoded Xid and what to do", |screen| {
        screen.contains("Xid 79: The GPU has fallen off the bus") && screen.contains("python3 (pid 4711)")
    });
    pty.keys("\r");
    pty.wait_for("the line as it was logged", |screen| {
        screen.contains("as it was logged") && screen.contains("NVRM: Xid (PCI:0000:3b:00): 79")
    });
    pty.keys("\x1bq");
}

#[test]
fn without_any_log_the_driver_itself_tells_of_xids() {
    let root = tempfile::tempdir().unwrap();
    let library = stand_in::stand_in_library();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scenarios/event-set.toml");
    let arguments: [&OsStr; 6] = [
        OsStr::new("--root"),
        root.path().as_os_str(),
        OsStr::new("--nvml-lib"),
        library.as_os_str(),
        OsStr::new("--tab"),
        OsStr::new("events"),
    ];
    let mut pty = Pty::kgtop(&arguments, 160, 30, &[("KGTOP_STAND_IN", scenario.as_os_str())]);
    pty.wait_for("the source and what it hides", |screen| {
        screen.contains("Xids of 2 GPUs from NVML only: no Xid from before") && screen.contains("/dev/kmsg")
    });
    pty.wait_for("the decoded Xid with its GPU", |screen| {
        screen.contains("Xid 31: ") && screen.contains("GPU 1")
    });
    pty.keys("q");
}

fn events(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
        .arg("events")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_saved_log_on_standard_input_is_decoded_as_json() {
    let output = events(&["--format", "json", "-"], format!("{XID}usb 1-1: hello\n").as_bytes());
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let event = &json["events"][0];
    assert_eq!(json["events"].as_array().unwrap().len(), 1);
    assert_eq!((&event["kind"], &event["code"]), (&"xid".into(), &79.into()));
    assert_eq!((&event["pci_bus_id"], &event["pid"]), (&"0000:3b:00".into(), &4711.into()));
    assert_eq!((&event["severity"], &event["count"]), (&"critical".into(), &1.into()));
}

#[test]
fn a_file_that_is_not_there_is_told_and_the_others_are_read() {
    let output = events(&["/nonexistent/kern.log", "-"], XID.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/kern.log"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Xid 79"));
}

/// That there were no events is said only of what was read.
#[test]
fn what_is_no_log_has_no_absence_of_events() {
    let directory = tempfile::tempdir().unwrap();
    let noise = directory.path().join("noise");
    // Bytes that are no text, the same in each run.
    let bytes: Vec<u8> = (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(&noise, bytes).unwrap();
    for path in [noise.as_path(), directory.path(), Path::new("/nonexistent/kern.log")] {
        let output = events(&[path.to_str().unwrap()], b"");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(output.stdout, b"", "{}", path.display());
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(error.matches("os error").count() <= 1, "{error}");
    }
    let json = events(&["--format", "json", noise.to_str().unwrap()], b"");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["skipped"][0].as_str().unwrap().contains("no line of it"), "{json}");
    for quiet in [&b"[ 1.000000] usb 1-1: hello\n"[..], b"May 12 08:00:00 rig kernel: usb 1-1: hello\n", b""]
    {
        let output = events(&["-"], quiet);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("no events"), "{output:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for (arguments, status) in
        [(&["explain", "xid", "79"][..], 1), (&["events", "-"], 1), (&["stream", "--interval", "0.1"], 1)]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(
            error.contains("standard output") && error.contains("No space left"),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn a_code_is_explained_and_nonsense_is_wrong_usage() {
    let explain = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
            .arg("explain")
            .args(arguments)
            .output()
            .unwrap()
    };
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text(&explain(&["xid", "79"])).contains("GPU_HAS_FALLEN_OFF_THE_BUS"));
    assert!(text(&explain(&["throttle", "0x44"])).contains("hw_thermal_slowdown"));
    assert_eq!(explain(&["xid", "seventy"]).status.code(), Some(64));
    let hot = explain(&["throttle", "hot"]);
    assert_eq!(hot.status.code(), Some(64));
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(&hot).contains("sw_power_cap, hw_slowdown"), "{}", said(&hot));
    assert!(said(&explain(&["xid", "seventy"])).contains("\"seventy\" is no number"));
    // By any name that kgtop or the driver prints.
    for name in ["sw_power_cap", "SwPowerCap", "nvmlClocksEventReasonSwPowerCap"] {
        assert!(text(&explain(&["throttle", name])).starts_with("0x4  sw_power_cap"), "{name}");
    }
}

/// A time zone of nine hours ahead and no summer time, as the files of the tz database have it (RFC 8536).
fn zone_file() -> Vec<u8> {
    let part = {
        let mut part = b"TZif2".to_vec();
        part.extend([0; 15]);
        // No indicators, leap seconds or transitions; one type; a name of four bytes.
        for count in [0_u32, 0, 0, 0, 1, 4] {
            part.extend(count.to_be_bytes());
        }
        part.extend((9 * 3_600_i32).to_be_bytes());
        part.extend([0, 0]);
        part.extend(b"JST\0");
        part
    };
    [part.as_slice(), &part, b"\nJST-9\n"].concat()
}

#[test]
fn stamps_without_a_zone_are_read_in_the_zone_that_tz_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("Asia")).unwrap();
    std::fs::write(folder.path().join("Asia/Tokyo"), zone_file()).unwrap();
    let log = folder.path().join("dmesg.txt");
    let line = XID.replace("[ 12.000000]", "[Tue Nov 24 10:00:00 2026]");
    std::fs::write(&log, line).unwrap();
    for zone in ["Asia/Tokyo", "JST-9"] {
        let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
            .args(["events", "--format", "json"])
            .arg(&log)
            .env("TZ", zone)
            .env("TZDIR", folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("2026-11-24T01:00:00"), "{zone}: {text}{output:?}");
    }
}
