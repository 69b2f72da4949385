//! The command line without a screen: exit statuses, messages, and what becomes of bad input.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
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
use std::process::{Command, Output, Stdio};

/// `EX_USAGE` of sysexits.h.
const USAGE: i32 = 64;

fn kgtop() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgtop"));
    command
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
        .env(
            "KGTOP_STAND_IN",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scenarios/one-h200.toml"),
        )
        .stdin(Stdio::null());
    command
}

/// kgtop on the stand-in.
fn on_stand_in() -> Command {
    let mut command = kgtop();
    command.arg("--nvml-lib").arg(stand_in::stand_in_library());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs it in a terminal of its own to the end; gives its status and all that it wrote.
fn in_terminal(arguments: &[&OsStr]) -> (Option<i32>, String) {
    let mut pty = Pty::kgtop(arguments, 160, 50, &[]);
    let (status, _) = pty.wait_exit();
    // Past the exit there is nothing to wait for but the last bytes.
    let text = pty.wait_for("a message", |screen| !screen.trim().is_empty());
    (status.code(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn an_interval_out_of_range_is_refused_with_the_range() {
    for bad in ["0", "-1", "abc", "61", "nan", ""] {
        let output = kgtop().arg(format!("--interval={bad}")).arg("snapshot").output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{bad:?}");
        assert!(stderr(&output).contains("0.1 to 60"), "{bad:?}: {}", stderr(&output));
    }
    // A number below zero looks like an option where it stands alone.
    let output = kgtop().args(["--interval", "-1", "snapshot"]).output().unwrap();
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(stderr(&output).contains("0.1 to 60"), "{}", stderr(&output));
}

#[test]
fn wrong_usage_has_its_own_status() {
    let cases: [&[&str]; 5] =
        [&["--nonsense"], &["nonsense"], &["replay"], &["record"], &["snapshot", "--format", "x"]];
    for arguments in cases {
        let output = kgtop().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{arguments:?}: {}", stderr(&output));
    }
    for arguments in [["--help"], ["--version"]] {
        let output = kgtop().args(arguments).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_screen_without_a_terminal_is_refused_with_what_to_use() {
    let output = kgtop().output().unwrap();
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(stderr(&output).contains("kgtop snapshot"), "{}", stderr(&output));
}

#[test]
fn a_config_with_an_unknown_key_names_file_line_and_the_nearest_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "config.toml", "theme = \"dark\"\nintervall = 2\n");
    let output = kgtop().arg("--config").arg(&file).arg("snapshot").output().unwrap();
    assert_eq!(output.status.code(), Some(USAGE));
    let text = stderr(&output);
    assert!(text.contains(&format!("{}:2", file.display())) && text.contains("interval"), "{text}");
    let output = kgtop().args(["--config", "/nonexistent/config.toml", "snapshot"]).output().unwrap();
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(stderr(&output).contains("/nonexistent/config.toml"), "{}", stderr(&output));
}

#[test]
fn a_theme_with_an_unknown_key_names_file_line_and_the_nearest_key() {
    let directory = tempfile::tempdir().unwrap();
    let dark =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("themes/dark.toml")).unwrap();
    let (line, known) = dark
        .lines()
        .enumerate()
        .find_map(|(line, text)| Some((line + 1, text.strip_prefix("critical")?)))
        .expect("dark has the role critical");
    let broken = dark.replacen(&format!("critical{known}"), &format!("kritical{known}"), 1);
    let file = written(directory.path(), "mine.toml", &broken);
    let (status, text) = in_terminal(&[OsStr::new("demo"), OsStr::new("--theme"), file.as_os_str()]);
    assert_eq!(status, Some(USAGE), "{text}");
    assert!(text.contains(&format!("{}:{line}", file.display())), "{text}");
    assert!(text.contains("kritical") && text.contains("critical"), "{text}");
    let (status, text) = in_terminal(&["demo", "--theme", "drak"].map(OsStr::new));
    assert_eq!(status, Some(USAGE), "{text}");
    assert!(text.contains("dark, light, high-contrast"), "{text}");
}

#[test]
fn a_scenario_with_an_unknown_key_names_file_line_and_the_nearest_key() {
    let directory = tempfile::tempdir().unwrap();
    let text = "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h100\"\nlaod = \"full\"\n";
    let file = written(directory.path(), "mine.toml", text);
    let (status, text) = in_terminal(&[OsStr::new("replay"), file.as_os_str()]);
    assert_eq!(status, Some(USAGE), "{text}");
    assert!(text.contains(&format!("{}:5", file.display())), "{text}");
    assert!(text.contains("laod") && text.contains("load"), "{text}");
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "notes.txt", "not a recording\n");
    for path in [file.as_os_str(), OsStr::new("/nonexistent/one.kgtop")] {
        let (status, text) = in_terminal(&[OsStr::new("replay"), path]);
        assert_eq!(status, Some(USAGE), "{text}");
        assert!(text.contains(&*path.to_string_lossy()), "{text}");
    }
}

/// A recording of a second and a half.
fn recording(directory: &Path) -> PathBuf {
    let file = directory.join("one.kgtop");
    let mut command = on_stand_in();
    command.args(["record", "--seconds", "1.5", "--interval", "0.2", "--output"]).arg(&file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    file
}

#[test]
fn a_recording_that_was_cut_off_replays_up_to_the_damage_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let file = recording(directory.path());
    let mut bytes = std::fs::read(&file).unwrap();
    // A second block, of which the end is missing: the file ends in the middle of it.
    bytes.extend_from_within(..bytes.len() / 2);
    let cut = bytes.len();
    std::fs::write(&file, bytes).unwrap();
    let mut pty = Pty::kgtop(&[OsStr::new("replay"), file.as_os_str()], 160, 50, &[]);
    pty.wait_for("data, the end, and where it is damaged", |screen| {
        let text = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        screen.contains("H200")
            && screen.contains("■ replay")
            && text.contains(&format!("damaged at byte {cut}"))
    });
    pty.keys("q");
    assert!(pty.wait_exit().0.success());
}

#[test]
fn a_stream_of_a_newer_version_says_which_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let line = "{\"kind\":\"header\",\"format\":2,\"kgtop\":\"3.1.0\"}\n";
    let file = written(directory.path(), "new.jsonl", line);
    let (status, text) = in_terminal(&[OsStr::new("replay"), file.as_os_str()]);
    assert_eq!(status, Some(USAGE), "{text}");
    assert!(text.contains("format version 2") && text.contains("3.1.0"), "{text}");
    // Through a pipe it is known only when the screen is up.
    let mut command = Command::new("setsid");
    let script = "\"$0\" replay - <\"$1\"";
    command.args(["--ctty", "sh", "-c", script, env!("CARGO_BIN_EXE_kgtop")]).arg(&file);
    let mut pty = Pty::spawn(command, 160, 50, &[]);
    pty.wait_for("the end of the stream", |screen| screen.contains("The source ended"));
    pty.keys("E");
    pty.wait_for("the version", |screen| screen.contains("format version 2") && screen.contains("3.1.0"));
    pty.keys("\x03");
    pty.wait_exit();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let script =
        "\"$0\" stream --interval 0.1 --nvml-lib \"$1\" | head -n 1; echo \"status ${PIPESTATUS[0]}\"";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_kgtop")])
        .arg(stand_in::stand_in_library())
        .env("KGTOP_STAND_IN", "healthy-1xh200")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("{\"kind\":\"header\"") && text.contains("status 0"), "{text}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_recording_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "there.kgtop", "mine");
    let output = on_stand_in().args(["record", "--seconds", "1", "-o"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&*file.to_string_lossy()) && text.contains("exists already"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_recording_to_standard_output_is_refused_with_what_writes_there() {
    let directory = tempfile::tempdir().unwrap();
    let output = on_stand_in().current_dir(&directory).args(["record", "--output", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(stderr(&output).contains("kgtop stream"), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "no file named -");
}

#[test]
fn a_library_of_another_version_than_the_module_is_told_as_that() {
    let directory = tempfile::tempdir().unwrap();
    let text = "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h200\"\n\
                [[fault]]\ncall = \"nvmlInit_v2\"\nfrom = 0\nkind = \"error\"\ncode = 18\n";
    let scenario = written(directory.path(), "mismatch.toml", text);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roots/docker-v2");
    let output = on_stand_in()
        .env("KGTOP_STAND_IN", scenario)
        .arg("--root")
        .arg(root)
        .args(["snapshot", "--format", "text"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("does not match the loaded kernel module 570.86.15"), "{text}{}", stderr(&output));
    assert!(text.contains("LIB_RM_VERSION_MISMATCH (18)") && !text.contains("was not found"), "{text}");
}

#[test]
fn a_full_disk_is_told_and_fails() {
    let mut command = on_stand_in();
    command.args(["record", "--seconds", "1", "--interval", "0.2", "-o", "/dev/full"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("/dev/full") && text.contains("No space left"), "{text}");
}

#[test]
fn a_recording_of_a_time_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for bad in ["nan", "inf", "1e300", "-1", "0"] {
        let file = directory.path().join("never.kgtop");
        let output = on_stand_in().args(["record", "--seconds", bad, "-o"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{bad}: {}", stderr(&output));
        assert!(stderr(&output).contains("0.1 to") && !file.exists(), "{bad}: {}", stderr(&output));
    }
}

#[test]
fn a_bundle_that_cannot_be_written_is_refused_before_the_machine_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "there.tar.gz", "mine");
    let output = on_stand_in().args(["bundle", "-o"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("exists already") && !text.contains("reading for"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let output = on_stand_in().args(["bundle", "-o", "/nonexistent/folder/b.tar.gz"]).output().unwrap();
    assert!(!stderr(&output).contains("reading for"), "{}", stderr(&output));
}

#[test]
fn a_demand_that_no_server_has_is_refused() {
    let most = u64::MAX.to_string();
    for option in ["--batch", "--context"] {
        let output = kgtop().args(["fit", "llama-3.1-8b@q4_k_m", option, &most]).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{option}: {}", stderr(&output));
    }
}

#[test]
fn a_library_that_is_none_is_named_and_the_host_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "lib.so", "not a library\n");
    let output = kgtop()
        .arg("--nvml-lib")
        .arg(&file)
        .args(["--interval", "0.2", "snapshot", "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = json.to_string();
    assert!(text.contains("is not an NVML library") && text.contains(&*file.to_string_lossy()), "{text}");
    assert!(text.contains("\"host\""), "{text}");
}

#[test]
fn a_snapshot_of_the_stand_in_comes_in_every_form() {
    for format in ["json", "csv", "text"] {
        let output =
            on_stand_in().args(["--interval", "0.2", "snapshot", "--format", format]).output().unwrap();
        assert!(output.status.success(), "{format}: {}", stderr(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains("NVIDIA H200"), "{format}");
    }
    let output = on_stand_in().args(["--interval", "0.2", "export"]).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{}", stderr(&output));
}

#[test]
fn the_demos_are_listed_and_another_name_is_refused_with_them() {
    let output = kgtop().args(["demo", "--list"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"incident-8xh100") && names.len() > 1, "{text}");
    let (status, text) = in_terminal(&["demo", "tea"].map(OsStr::new));
    assert_eq!(status, Some(USAGE), "{text}");
    assert!(names.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn a_root_that_is_not_there_is_named_once_and_is_wrong_usage() {
    for command in ["snapshot", "doctor"] {
        let output = kgtop().args(["--root", "/nonexistent/root", command]).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{command}");
        let text = stderr(&output);
        assert!(text.contains("/nonexistent/root"), "{text}");
        assert_eq!(text.matches("No such file").count(), 1, "{text}");
    }
}

/// Each command runs into the patience: all at once.
#[test]
fn a_driver_that_does_not_answer_is_no_answer_of_any_command() {
    let cases: [(&[&str], i32); 6] = [
        (&["snapshot"], 1),
        (&["snapshot", "--format", "json"], 1),
        (&["export"], 1),
        (&["fit", "llama-3.1-8b@q4_k_m"], 3),
        (&["act", "power-limit", "250", "--gpu", "0", "--dry-run"], 3),
        (&["doctor"], 2),
    ];
    let children = cases.map(|(arguments, status)| {
        let mut command = on_stand_in();
        command.env("KGTOP_STAND_IN", "init-stalled").args(["--interval", "0.2"]).args(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (arguments, status, child)
    });
    for (arguments, status, child) in children {
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let both = out.clone() + &stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {both}");
        assert!(both.contains("river call nvmlInit_v2 has not returned for 1"), "{arguments:?}: {both}");
        assert!(!out.contains("No NVIDIA GPU was found"), "{out}");
        match arguments {
            ["export"] => {
                assert!(out.contains("kgtop_driver_up 0") && !out.contains("kgtop_verdicts"), "{out}");
            }
            [.., "json"] => {
                let json: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert!(json["driver"]["problem"].as_str().unwrap().contains("nvmlInit_v2"), "{out}");
            }
            _ => {}
        }
    }
}

#[test]
fn errors_have_a_status_that_is_no_judgement() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "full.log", "");
    // The answer cannot be written.
    for (arguments, status) in [(&["doctor"][..], 3), (&["fit", "--list"], 3), (&["snapshot"], 1)] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = kgtop();
        command.arg("--root").arg(directory.path()).args(arguments);
        let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("No space left"), "{arguments:?}: {}", stderr(&output));
    }
    for (option, path) in [("--config", directory.path()), ("--root", file.as_path())] {
        let output = kgtop().arg(option).arg(path).arg("doctor").output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{option}: {}", stderr(&output));
        assert_eq!(stderr(&output).matches("os error").count(), 1, "{option}: {}", stderr(&output));
    }
}

#[test]
fn only_the_gpus_that_are_named_are_printed() {
    let on_eight = |arguments: &[&str]| {
        let mut command = on_stand_in();
        command.env("KGTOP_STAND_IN", "healthy-2xh200").args(["--interval", "0.2"]).args(arguments);
        command.output().unwrap()
    };
    let out = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let csv = on_eight(&["snapshot", "--format", "csv", "--gpu", "1"]);
    assert!(csv.status.success(), "{}", stderr(&csv));
    let csv = out(&csv);
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.contains("GPU-00000000-0000-4000-8000-000000000002"), "{csv}");
    let json = on_eight(&["--gpu", "0", "snapshot", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json["gpus"].as_array().unwrap().len(), &json["gpus"][0]["index"]), (1, &0.into()));
    let metrics = out(&on_eight(&["export", "--gpu", "1"]));
    assert!(metrics.contains("gpu=\"1\"") && !metrics.contains("gpu=\"0\""), "{metrics}");
    for bad in ["99", "xyz", "GPU-ffff"] {
        let output = on_eight(&["snapshot", "--gpu", bad]);
        assert_eq!(output.status.code(), Some(USAGE), "{bad}");
        let text = stderr(&output);
        assert!(text.contains(bad) && text.contains("GPU-00000000-0000-4000-8000-000000000001"), "{text}");
        assert_eq!(out(&output), "");
    }
    assert_eq!(on_eight(&["snapshot", "--gpu", ""]).status.code(), Some(USAGE));
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "config.toml", "gpus = [1]\n");
    let csv = on_eight(&["--config", file.to_str().unwrap(), "snapshot", "--format", "csv"]);
    assert!(out(&csv).lines().count() == 2 && out(&csv).contains("000000000002"), "{}", out(&csv));
}

#[test]
fn options_of_the_screen_are_refused_where_there_is_none() {
    for arguments in [["--tab", "9", "snapshot"], ["--theme", "dark", "export"], ["--gpu", "0", "events"]] {
        let output = kgtop().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{arguments:?}");
        assert!(stderr(&output).contains(arguments[0]), "{}", stderr(&output));
    }
    let help = kgtop().args(["explain", "--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(!text.contains("--tab") && !text.contains("--gpu"), "{text}");
}

#[test]
fn what_only_the_screen_uses_of_a_config_is_checked_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("# tab\ntab = \"foo\"\n", "tab: foo: no such tab"),
        ("mouse = true\ntheme = \"drak\"\n", "theme: drak is neither"),
        ("# interval\ninterval = 0\n", "interval must be a number of seconds"),
    ] {
        let file = written(directory.path(), "config.toml", text);
        let output = kgtop().arg("--config").arg(&file).args(["explain", "xid", "79"]).output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{text}");
        let error = stderr(&output);
        assert!(error.contains(&format!("{}:2: {said}", file.display())), "{error}");
    }
}
