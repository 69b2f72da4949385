//! Every form of every line: found, and nothing invented; what breaks is skipped and told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may panic"
)]

use kgtop::analysis::events::EventLog;
use kgtop::analysis::kernel_log::{Event, Line, parse};
use kgtop::model::{EventSource, RawEvent};
use kgtop::sources::kernel_log::{Saved, Skipped, read_saved};
use kgtop::units::Wall;
use std::io::Write;

const CORPUS: &str = include_str!("fixtures/logs/corpus.tsv");

fn corpus() -> Vec<(&'static str, &'static str)> {
    CORPUS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').unwrap()).collect()
}

fn saved() -> Saved {
    Saved {
        source: EventSource::File,
        zone: jiff::tz::TimeZone::UTC,
        now: Wall(1_795_521_600_000_000),
        boot: None,
    }
}

fn read(bytes: &[u8]) -> (Vec<RawEvent>, Skipped) {
    let mut events = Vec::new();
    let skipped = read_saved(bytes, &saved(), &mut |event| events.push(event)).unwrap();
    (events, skipped)
}

fn describe(raw: &RawEvent) -> String {
    let user = if raw.facility.is_some_and(|facility| facility != 0) { "user:" } else { "" };
    match parse(&raw.text) {
        None => "-".into(),
        Some(Line::Detail(..)) => "~".into(),
        Some(Line::Identity(..)) => "=".into(),
        Some(Line::Event(event)) => format!("{user}{}", words(&event)),
    }
}

fn words(event: &Event<'_>) -> String {
    let part =
        |mark: &str, value: Option<String>| value.map_or_else(String::new, |value| format!("{mark}{value}"));
    let code = part(":", event.code.map(|code| code.to_string()));
    let pci = part("@", event.pci.map(|pci| pci.to_string()));
    let pid = part("#", event.pid.map(|pid| pid.to_string()));
    format!("{}{code}{pci}{pid}", event.kind.name())
}

#[test]
fn every_line_of_the_corpus_is_what_it_is() {
    assert!(corpus().len() >= 150, "{}", corpus().len());
    let mut wrong = Vec::new();
    for (expected, line) in corpus() {
        let (events, _) = read(line.as_bytes());
        let found = events.first().map_or_else(|| "-".into(), describe);
        if found != expected {
            wrong.push(format!("{expected} was {found}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_line_of_the_corpus_parses_alike_with_windows_line_ends() {
    for (expected, line) in corpus() {
        let (events, _) = read(format!("{line}\r\n").as_bytes());
        assert_eq!(events.first().map_or_else(|| "-".into(), describe), expected, "{line}");
    }
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const XID: &str = "[ 1234.567890] NVRM: Xid (PCI:0000:91:00): 79, GPU has fallen off the bus.\n";

#[test]
fn a_gzip_that_breaks_off_gives_what_it_has() {
    let filler =
        (0..20_000).map(|n| format!("[ {n}.000000] usb {n}: hello {}\n", n * 7919)).collect::<String>();
    let packed = zip(format!("{XID}{filler}{XID}").as_bytes());
    let (events, skipped) = read(&packed);
    assert_eq!((events.len(), &skipped), (2, &Skipped::default()));
    let (events, skipped) = read(&packed[..packed.len() / 2]);
    assert_eq!(events.len(), 1);
    assert!(skipped.broken.is_some(), "{skipped:?}");
    assert!(skipped.text().unwrap().contains("the end is missing"));
}

#[test]
fn a_line_without_end_is_cut_and_the_next_one_found() {
    let long = "x".repeat(3 << 20);
    let (events, skipped) = read(format!("[ 1.000000] {long}\n{XID}").as_bytes());
    assert_eq!((events.len(), skipped.long_lines), (1, 1));
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_counted() {
    let mut bytes = XID.trim_end().as_bytes().to_vec();
    bytes.extend_from_slice(b" \xff\xfe\n");
    bytes.extend_from_slice(b"\xff\xfe\x00garbage\n");
    bytes.extend_from_slice(XID.as_bytes());
    let (events, skipped) = read(&bytes);
    assert_eq!((events.len(), skipped.not_utf8), (2, 1));
    let mut log = EventLog::default();
    for event in &events {
        log.push(event, None);
    }
    assert_eq!(log.incidents().len(), 1, "one fault");
}
