//! What is in a bundle.

use crate::analysis::doctor;
use crate::app::{Message, State, Tab, update};
use crate::model::{EventSource, RawEvent};
use crate::report;
use crate::ui::{self, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use std::fmt::Write as _;

/// Size of the frames: room for 16 GPUs and 8 NICs, narrow enough for a ticket.
const FRAME: (u16, u16) = (160, 60);

/// A file of the bundle.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Everything that `state` knows; `recording` beside it, where there is one.
pub(super) fn of(state: &State, recording: Option<Vec<u8>>, redacted: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| parts.push(Part { name: name.to_owned(), bytes });
    if let Some(snapshot) = state.snapshot() {
        let (verdicts, incidents) = (state.verdicts(), || state.incidents());
        add("snapshot.json", report::json(snapshot, verdicts).into_bytes());
        add("snapshot.txt", report::text(snapshot, verdicts).into_bytes());
        let mut examined = doctor::examine_snapshot(snapshot, verdicts);
        doctor::worst_first(&mut examined);
        add("doctor.txt", report::doctor_text(snapshot, &examined).into_bytes());
        add("findings.txt", report::findings_text(snapshot, verdicts).into_bytes());
        add("events.txt", report::events_text(incidents()).into_bytes());
        add("events.json", report::events_json(incidents(), &[]).into_bytes());
        let fold = state.checkpoint();
        add("history.csv", report::history_csv(snapshot, |gpu| fold.history(gpu)).into_bytes());
        add("kernel.log", raw_lines(fold.events()).into_bytes());
    }
    if let Some(recording) = recording {
        add("recording.jsonl.gz", recording);
    }
    for (name, text) in frames(state) {
        add(&name, text.into_bytes());
    }
    let readme = readme(state, &parts, redacted);
    parts.insert(0, Part { name: "README.txt".into(), bytes: readme.into_bytes() });
    parts
}

/// The lines as they were read, in the form of `dmesg -r`, so that `kgtop events` reads them again.
fn raw_lines<'a>(events: impl Iterator<Item = &'a RawEvent>) -> String {
    let mut out = String::new();
    for event in events {
        if let Some(priority) = event.priority {
            let _ = write!(out, "<{}>", u32::from(event.facility.unwrap_or(0)) * 8 + u32::from(priority));
        }
        let (seconds, micros) = (event.at.0 / 1_000_000, event.at.0 % 1_000_000);
        let _ = write!(out, "[{seconds:5}.{micros:06}] ");
        let writer = match (event.source, &event.gpu) {
            (EventSource::Nvml, Some(gpu)) => format!("NVML event set, {gpu}: "),
            (EventSource::Nvml, None) => "NVML event set: ".to_owned(),
            (EventSource::Action, _) => "kgtop: ".to_owned(),
            _ => String::new(),
        };
        let _ = writeln!(out, "{writer}{}", event.text);
    }
    out
}

/// Every tab as it would be drawn now, and the findings over the first.
fn frames(state: &State) -> Vec<(String, String)> {
    let Some(theme) = Theme::embedded("dark") else { return Vec::new() };
    let mut state = state.clone();
    let mut frames = Vec::new();
    for tab in Tab::ALL {
        let _no_runtime = update(&mut state, Message::SelectTab(*tab));
        let name = format!("screens/{}-{}.txt", tab.number(), tab.title().to_lowercase());
        frames.extend(frame(&state, &theme).map(|text| (name, text)));
    }
    frames
}

fn frame(state: &State, theme: &Theme) -> Option<String> {
    let mut terminal = Terminal::new(TestBackend::new(FRAME.0, FRAME.1)).ok()?;
    terminal.draw(|frame| ui::render(state, theme, frame)).ok()?;
    Some(text(terminal.backend().buffer()))
}

fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let cells = (buffer.area.left()..buffer.area.right()).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(Cell::symbol).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn readme(state: &State, parts: &[Part], redacted: bool) -> String {
    let mut out = format!(
        "kgtop {}: what is known of {}\n",
        env!("CARGO_PKG_VERSION"),
        state.host_name().unwrap_or("?")
    );
    if let Some(snapshot) = state.snapshot() {
        let time = jiff::Timestamp::from_microsecond(snapshot.wall.0).unwrap_or_default();
        let _ = writeln!(out, "as of {time:.0}");
    }
    let _ = writeln!(
        out,
        "{}\n",
        if redacted {
            "Users, hosts, UUIDs, serial numbers, commands and containers are replaced by stand-ins."
        } else {
            "Nothing is redacted but values that look like secrets: it names users, hosts, commands and serial numbers."
        }
    );
    for part in parts {
        let _ = writeln!(out, "{:<28} {}", part.name, describe(&part.name));
    }
    out
}

fn describe(name: &str) -> &'static str {
    match name {
        "snapshot.json" => "everything that was read and derived, topology included",
        "snapshot.txt" => "the same in short",
        "doctor.txt" => "the layers from the bus to the containers, worst first",
        "findings.txt" => "findings with evidence and what to do, the worst first",
        "events.txt" | "events.json" => "what the kernel and the driver reported, decoded",
        "history.csv" => "the last hour, a row a second and GPU",
        "kernel.log" => "the raw lines (kgtop events kernel.log decodes them)",
        "recording.jsonl.gz" => "the records (kgtop replay recording.jsonl.gz shows them)",
        _ => "a tab of the screen",
    }
}
