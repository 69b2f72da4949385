//! Every parser of kgtop as a function over bytes: for the property tests, the replayed corpus and the fuzz targets.
//! A parser passes when it comes back; what it says of the bytes is the business of its own tests.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "part of several programs, each of which takes its part"
)]
#![allow(clippy::expect_used, reason = "what cannot be set up says so by a panic")]

use kgtop::actions::Plan;
use kgtop::app::{Message, Mode, Settings, State, Tab, update};
use kgtop::config::FileConfig;
use kgtop::model::{EventSource, RawEvent, Record};
use kgtop::sources::containers::parse_cgroup;
use kgtop::sources::host::{HostReader, boot_time, host_info};
use kgtop::sources::kernel_log::{Saved, read_saved};
use kgtop::sources::models::{read_gguf, read_safetensors};
use kgtop::sources::processes::{FactsReader, ProcessReader};
use kgtop::sources::recording::{RecordingReader, Redactor, ReplayCursor};
use kgtop::sources::root::Root;
use kgtop::sources::scenario::{Scenario, ScenarioPlayer};
use kgtop::sources::zfs::{ZfsReader, parse_datasets, parse_pools, parse_status_json, parse_status_text};
use kgtop::sources::{pci, topology};
use kgtop::stream::{self, Decoder};
use kgtop::ui::{Theme, render};
use kgtop::units::{Mono, Wall};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::io::Cursor;
use std::path::Path;

/// A parser, and where inputs that it knows lie: files, or folders of files.
pub struct Parser {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: &'static [&'static str],
}

/// All of them.
pub const PARSERS: &[Parser] = &[
    Parser { name: "stream", run: stream_lines, seeds: &["tests/golden"] },
    Parser { name: "screen", run: screen, seeds: &["tests/golden"] },
    Parser { name: "control", run: control, seeds: &["tests/fixtures/hostile/control"] },
    Parser { name: "recording", run: recording, seeds: &["tests/golden"] },
    Parser { name: "redaction", run: redaction, seeds: &["tests/fixtures/logs"] },
    Parser { name: "kernel_log", run: kernel_log, seeds: &["tests/fixtures/logs"] },
    Parser { name: "scenario", run: scenario, seeds: &["assets/scenarios", "tests/fixtures/scenarios"] },
    Parser { name: "theme", run: theme, seeds: &["themes"] },
    Parser { name: "config", run: config, seeds: &["tests/fixtures/hostile/config"] },
    Parser { name: "cgroup", run: cgroup, seeds: &["tests/fixtures/roots/docker-v2/proc/4711"] },
    Parser { name: "plan", run: plan, seeds: &["tests/fixtures/hostile/plan"] },
    Parser { name: "machine", run: machine, seeds: &["tests/fixtures/hostile/machine"] },
    Parser { name: "root_toml", run: root_toml, seeds: &["tests/fixtures/hostile/root_toml"] },
    Parser {
        name: "zfs_tools",
        run: zfs_tools,
        seeds: &["tests/fixtures/zfs/2.3.9-degraded", "tests/fixtures/zfs/2.1.11-healthy"],
    },
    Parser { name: "gguf", run: gguf, seeds: &["tests/fixtures/models"] },
    Parser { name: "safetensors", run: safetensors, seeds: &["tests/fixtures/models"] },
];

/// The parser of that name.
///
/// # Panics
/// There is none.
pub fn parser(name: &str) -> &'static Parser {
    PARSERS.iter().find(|parser| parser.name == name).expect("a parser of that name")
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The records of a stream that comes in pieces.
fn records(bytes: &[u8]) -> Vec<Record> {
    let mut decoder = Decoder::new();
    let mut records = Vec::new();
    for piece in bytes.chunks(1_000) {
        decoder.push(piece);
        records.extend(std::iter::from_fn(|| decoder.next_record()).flatten());
    }
    records.extend(decoder.finish().and_then(Result::ok));
    records
}

fn stream_lines(bytes: &[u8]) {
    for record in records(bytes) {
        let written = |record: &Record| {
            let mut line = String::new();
            stream::encode(record, &mut line);
            line
        };
        // The format rounds: what was written once is read and written alike.
        let line = written(&record);
        let again = stream::decode(&line).expect("what is written is read").expect("its kind is known");
        assert_eq!(written(&again), line);
    }
}

/// A stream all the way to the screen and the reports: fold, verdicts, every tab.
fn screen(bytes: &[u8]) {
    let mut state = State::new(Settings::default(), Mode::Live);
    for record in records(bytes) {
        update(&mut state, Message::Record(Box::new(record)));
    }
    if let Some(shown) = state.shown() {
        let (snapshot, verdicts) = (&shown.snapshot, &shown.verdicts);
        let json = kgtop::report::json(snapshot, verdicts);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        let _ = (kgtop::report::csv(snapshot), kgtop::report::prometheus(snapshot, verdicts));
        let _ = kgtop::report::text(snapshot, verdicts);
    }
    let theme = Theme::probe();
    for tab in Tab::ALL {
        update(&mut state, Message::SelectTab(*tab));
        for (columns, rows) in [(120, 40), (40, 12)] {
            let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a test terminal");
            terminal.draw(|frame| render(&state, &theme, frame)).expect("a test terminal draws");
        }
    }
}

fn control(bytes: &[u8]) {
    let _ = stream::control::decode(&text(bytes));
}

fn recording(bytes: &[u8]) {
    let open = || RecordingReader::from_data(Box::new(Cursor::new(bytes.to_vec())), "x");
    if let Ok(mut reader) = open() {
        while reader.next_record().is_some() {}
        let _ = reader.damage().len();
    }
    if let Ok(reader) = open() {
        let mut cursor = ReplayCursor::new(reader);
        for at in [u64::MAX, 0, 1_000_000] {
            let mut fold = cursor.seek_to(Mono(at));
            for record in std::iter::from_fn(|| cursor.next()).take(50) {
                let _ = fold.push(record);
            }
        }
    }
}

fn event(text: &str) -> RawEvent {
    RawEvent {
        at: Mono(0),
        wall: Wall(0),
        source: EventSource::Kmsg,
        priority: None,
        facility: None,
        gpu: None,
        text: text.into(),
    }
}

fn redaction(bytes: &[u8]) {
    let mut redactor = Redactor::default();
    for line in text(bytes).lines() {
        let _ = redactor.redact(Record::Event(event(line)));
    }
}

fn kernel_log(bytes: &[u8]) {
    let how = Saved {
        source: EventSource::File,
        zone: jiff::tz::TimeZone::UTC,
        now: Wall(1_795_521_600_000_000),
        boot: Some(Wall(1_795_000_000_000_000)),
    };
    let mut log = kgtop::analysis::events::EventLog::default();
    let _ = read_saved(bytes, &how, &mut |event| {
        log.push(&event, None);
    });
    let incidents: Vec<_> = log.incidents().map(kgtop::report::event_json).collect();
    assert!(serde_json::to_string(&incidents).is_ok());
}

/// A scenario that is accepted must play, too.
fn scenario(bytes: &[u8]) {
    if let Ok(scenario) = Scenario::parse(&text(bytes), "x.toml") {
        let player = ScenarioPlayer::new(scenario, Wall(1_795_000_000_000_000), Mono(1_000_000));
        for record in player.take(20) {
            let mut line = String::new();
            stream::encode(&record, &mut line);
        }
    }
}

fn theme(bytes: &[u8]) {
    let _ = Theme::parse(&text(bytes), "x.toml");
}

fn config(bytes: &[u8]) {
    let _ = FileConfig::parse(&text(bytes), "x.toml");
}

fn cgroup(bytes: &[u8]) {
    let _ = parse_cgroup(&text(bytes));
}

fn plan(bytes: &[u8]) {
    let _ = Plan::parse(&text(bytes));
}

/// The files of a machine, in the order in which an input holds them, [`SEPARATOR`] between.
const FILES: [&str; 21] = [
    "proc/stat",
    "proc/meminfo",
    "proc/loadavg",
    "proc/uptime",
    "proc/spl/kstat/zfs/arcstats",
    "proc/4711/stat",
    "proc/4711/status",
    "proc/4711/cgroup",
    "proc/4711/cmdline",
    "proc/4711/environ",
    "etc/passwd",
    "proc/driver/nvidia/version",
    "sys/module/nvidia/version",
    "sys/bus/pci/devices/0000:3b:00.0/vendor",
    "sys/bus/pci/devices/0000:3b:00.0/class",
    "sys/bus/pci/devices/0000:3b:00.0/numa_node",
    "sys/bus/pci/devices/0000:3b:00.0/local_cpulist",
    "sys/bus/pci/devices/0000:3b:00.0/current_link_speed",
    "sys/bus/pci/devices/0000:3b:00.0/current_link_width",
    "sys/devices/system/node/node0/cpulist",
    "proc/spl/kstat/zfs/rpool/objset-0x44",
];
const SEPARATOR: u8 = 0x1e;
const PID: u32 = 4_711;

fn machine(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    for (path, content) in FILES.iter().zip(bytes.split(|byte| *byte == SEPARATOR)) {
        write(directory.path(), path, content);
    }
    let Ok(root) = Root::open(directory.path()) else { return };
    let _ = (HostReader::new(root.clone()).read(), boot_time(&root), host_info(&root));
    let _ = ProcessReader::new(root.clone()).read(&[PID]);
    let reader = FactsReader::new(root.clone());
    let mut facts = reader.read_cheap(PID);
    reader.read_memory_backed(PID, &mut facts);
    let _ = (pci::scan(&root), pci::module_version(&root), topology::scan(&root));
    let _ = ZfsReader::new(root).read();
}

fn write(directory: &Path, path: &str, content: &[u8]) {
    let path = directory.join(path);
    let folder = path.parent().expect("a path with a folder");
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, content)).expect("a file");
}

fn root_toml(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    write(directory.path(), "root.toml", bytes);
    if let Ok(root) = Root::open(directory.path()) {
        // What hangs by order would hang here.
        if !text(bytes).contains("hang") {
            let _ =
                (root.metadata("/proc/1/stat"), root.read("/proc/1/stat", 100), root.read_link("/proc/1/ns"));
        }
    }
}

fn zfs_tools(bytes: &[u8]) {
    let text = text(bytes);
    let _ = (parse_pools(&text), parse_datasets(&text), parse_status_json(&text), parse_status_text(&text));
}

fn gguf(bytes: &[u8]) {
    let _ = read_gguf(Cursor::new(bytes));
}

fn safetensors(bytes: &[u8]) {
    let _ = read_safetensors(Cursor::new(bytes), bytes.len() as u64);
}
