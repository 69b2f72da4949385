//! One file for the ticket: what is in it, what is not, and who may read it.
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

use kgtop::sources::recording::RecordingReader;
use pty::Pty;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const INCIDENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/scenarios/incident-8xh100.toml");

fn bundle(arguments: &[&OsStr], home: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgtop"));
    command.env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"));
    command.arg("bundle").args(arguments).env("XDG_STATE_HOME", home).output().unwrap()
}

/// The members of a tar archive by their name below its one folder.
fn members(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut tar).unwrap();
    let mut found = BTreeMap::new();
    let mut rest = tar.as_slice();
    while rest[0] != 0 {
        let (head, after) = rest.split_at(512);
        let field = |from: usize, to: usize| {
            std::str::from_utf8(&head[from..to]).unwrap().trim_end_matches(['\0', ' ']).to_owned()
        };
        let sum: u64 = head
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        assert_eq!(u64::from_str_radix(&field(148, 154), 8).unwrap(), sum, "the header's sum");
        assert_eq!(&head[257..265], b"ustar\x0000");
        let size = usize::from_str_radix(&field(124, 136), 8).unwrap();
        let name = field(0, 100);
        let (_, name) = name.split_once('/').expect("one folder");
        found.insert(name.to_owned(), after[..size].to_vec());
        rest = &after[size.next_multiple_of(512)..];
    }
    found
}

#[test]
fn a_bundle_of_an_incident_has_everything_and_is_for_its_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ticket.tar.gz");
    let arguments = ["--from", INCIDENT, "-o", path.to_str().unwrap()].map(OsStr::new);
    let output = bundle(&arguments, home.path());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), path.to_str().unwrap());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let members = members(&path);
    let text = |name: &str| String::from_utf8(members[name].clone()).unwrap();
    for name in members.keys().filter(|name| *name != "README.txt") {
        assert!(text("README.txt").contains(name), "{name} is not in the list");
    }
    assert!(text("findings.txt").contains("critical  GPU 4 is lost"), "{}", text("findings.txt"));
    // What the log tells raises its finding on the screen as well.
    assert!(text("findings.txt").contains("(contained_ecc)"));
    assert!(text("events.txt").contains("Xid 94") && text("events.txt").contains("Xid 79"));
    let snapshot: serde_json::Value = serde_json::from_slice(&members["snapshot.json"]).unwrap();
    assert_eq!(snapshot["gpus"].as_array().unwrap().len(), 8);
    assert_eq!(snapshot["topology"]["matrix"].as_array().unwrap().len(), 16, "eight GPUs and eight cards");
    let hour = text("history.csv");
    assert!(hour.lines().count() > 8 * 200, "{} rows", hour.lines().count());
    let columns = hour.lines().next().unwrap().split(',').count();
    assert!(hour.lines().all(|line| line.split(',').count() == columns));
    for number in 1..=5 {
        let screen =
            members.iter().find(|(name, _)| name.starts_with(&format!("screens/{number}-"))).unwrap();
        assert!(String::from_utf8_lossy(screen.1).contains("✗ GPU 4 is lost"), "{}", screen.0);
    }

    let raw = decode(&members["kernel.log"]);
    assert!(raw.contains("Xid 94") && raw.contains("Xid 79"), "{raw}");
    let recording = home.path().join("recording.jsonl.gz");
    std::fs::write(&recording, &members["recording.jsonl.gz"]).unwrap();
    let mut reader = RecordingReader::open(&recording).unwrap();
    assert!(reader.span().samples > 200 && std::iter::from_fn(|| reader.next_record()).count() > 200);
    assert_eq!(reader.damage(), []);
}

/// What `kgtop events` makes of it.
fn decode(log: &[u8]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
        .args(["events", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(log).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_redacted_bundle_names_nobody() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["--redact", "--from", INCIDENT].map(OsStr::new);
    let output = bundle(&arguments, home.path());
    assert!(output.status.success(), "{output:?}");
    let path = String::from_utf8(output.stdout).unwrap();
    let path = Path::new(path.trim());
    assert!(path.starts_with(home.path()), "{}", path.display());
    for (name, bytes) in members(path) {
        let mut text = bytes.clone();
        if name.ends_with(".gz") {
            text.clear();
            flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).unwrap();
        }
        let text = String::from_utf8_lossy(&text);
        for secret in ["mlops", "hgx-h100-07", "GPU-00000000-0000-4000-8000", "pretrain.py", "llama-8b"] {
            assert!(!text.contains(secret), "{secret} is in {name}");
        }
    }
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ticket.tar.gz");
    std::fs::write(&path, "mine").unwrap();
    let arguments = ["--from", INCIDENT, "-o", path.to_str().unwrap()].map(OsStr::new);
    let output = bundle(&arguments, home.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exists already"), "{output:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[test]
fn one_key_writes_a_bundle_and_says_where() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["demo", "xid"].map(OsStr::new);
    let mut pty = Pty::kgtop(&arguments, 120, 40, &[("XDG_STATE_HOME", home.path().as_os_str())]);
    pty.wait_for("the demo", |screen| screen.contains("H100") && screen.contains("demo xid"));
    pty.keys("B");
    pty.wait_for("the path", |screen| screen.contains("Bundle written") && screen.contains(".tar.gz"));
    let written: Vec<_> = std::fs::read_dir(home.path().join("kgtop/bundles")).unwrap().collect();
    assert_eq!(written.len(), 1);
    let path = written[0].as_ref().unwrap().path();
    assert!(members(&path).contains_key("history.csv"));
    pty.keys("\x1b");
    pty.wait_for("the tab again", |screen| !screen.contains("Bundle written"));
    pty.keys("q");
}
