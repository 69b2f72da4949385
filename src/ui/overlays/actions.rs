//! The list of actions, and the question for a value.

use super::{Line, marked, wrapped};
use crate::actions::ClockDomain;
use crate::app::State;
use crate::app::actions::{Ask, Entry, Menu, Question, Subject};
use crate::ui::theme::Role;
use crate::ui::widgets::{fitted, width};
use crate::ui::words;

/// What an action is about, short.
pub(super) fn subject(state: &State, subject: &Subject) -> String {
    let unknown = || "what is not there any more".to_owned();
    let Some(snapshot) = state.snapshot() else { return unknown() };
    match subject {
        Subject::Gpu(id) => snapshot.gpus.iter().find(|gpu| gpu.id == *id).map_or_else(unknown, |gpu| {
            let index = gpu.index().map_or_else(String::new, |index| format!(" {index}"));
            let name = gpu.info.name.as_ref().map_or("", |name| words::short_name(name));
            let address = gpu.info.pci_bus_id.as_deref().unwrap_or("no address");
            format!("GPU{index}, {name} at {address}")
        }),
        Subject::Process(key) => {
            let process = snapshot.processes.iter().find(|process| process.key == *key);
            let name = process
                .and_then(|process| process.facts.as_ref())
                .and_then(|facts| facts.name.as_ref().ok())
                .map_or_else(String::new, |name| format!(", {name}"));
            format!("PID {}{name}", key.pid)
        }
    }
}

/// Least room between an entry and how things are now.
const GAP: u16 = 2;
/// With less room than this, how things are now says nothing.
const LEAST_NOW: u16 = 12;

pub(super) fn lines(state: &State, menu: &Menu, columns: u16) -> Vec<Line> {
    let entries = state.entries(menu);
    let widest = entries.iter().map(|entry| width(&entry.label)).max().unwrap_or(0);
    entries
        .iter()
        .enumerate()
        .map(|(place, entry)| line(entry, place == menu.selected, widest, columns))
        .collect()
}

fn line(entry: &Entry, selected: bool, widest: u16, columns: u16) -> Line {
    let (mark, label_role, now_role) =
        if selected { ("› ", Role::Selection, Role::Selection) } else { ("  ", Role::Text, Role::Muted) };
    let room = columns.saturating_sub(width(mark));
    let left = room.saturating_sub(widest + GAP);
    let padded = |text: &str, columns: u16| {
        let text = fitted(text, columns);
        let short = usize::from(columns.saturating_sub(width(&text)));
        format!("{text}{}", " ".repeat(short))
    };
    let mut line = vec![(mark.to_owned(), label_role)];
    if left < LEAST_NOW {
        line.push((padded(&entry.label, room), label_role));
    } else {
        line.push((padded(&entry.label, widest + GAP), label_role));
        line.push((padded(&entry.now, left), now_role));
    }
    line
}

/// What is asked for.
pub(super) fn asked_for(ask: &Ask) -> &'static str {
    match ask.question {
        Question::PowerLimit => "Power limit",
        Question::Clocks(ClockDomain::Graphics) => "Lock the graphics clock",
        Question::Clocks(ClockDomain::Memory) => "Lock the memory clock",
        Question::Niceness => "Niceness",
    }
}

/// What can be written; before it what is wrong, where there is no room for that beneath the field.
pub(super) fn question(state: &State, ask: &Ask, columns: u16, most: u16) -> Vec<Line> {
    let (how, range) = match ask.question {
        Question::PowerLimit => {
            ("Watts (250), per cent of the default (80%), or default.", state.range_of(ask))
        }
        Question::Clocks(_) => {
            ("MHz: one number, or the least and the greatest (1200,1500).", state.range_of(ask))
        }
        Question::Niceness => ("A number: -20 is first, 19 is last, 0 is usual.", None),
    };
    let mut lines = complaint(ask, columns);
    if beneath(&lines, most) {
        lines.clear();
    }
    lines.extend(wrapped(how, columns).into_iter().map(|line| vec![(line, Role::Text)]));
    if let Some(range) = range {
        lines.extend(wrapped(&range, columns).into_iter().map(|line| vec![(line, Role::Muted)]));
    }
    lines.push(Vec::new());
    lines
}

/// What is wrong with what was typed.
fn complaint(ask: &Ask, columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(error) = &ask.error {
        marked(&mut lines, "! ", error, Role::Warning, columns);
    }
    lines
}

/// Whether a complaint has room beneath the field, with a line to spare for what can be written.
fn beneath(complaint: &[Line], most: u16) -> bool {
    complaint.len() + 2 <= usize::from(most)
}

/// The field.
pub(super) fn asked(ask: &Ask, columns: u16, most: u16) -> Vec<Line> {
    let unit = match ask.question {
        Question::PowerLimit | Question::Niceness => "",
        Question::Clocks(_) => " MHz",
    };
    // Where what is wrong has no room, the mark says that something is.
    let mark =
        if ask.error.is_some() { ("! ".to_owned(), Role::Warning) } else { ("› ".into(), Role::Accent) };
    let mut lines = vec![vec![
        mark,
        (ask.text.clone(), Role::Strong),
        ("▏".to_owned(), Role::Accent),
        (unit.to_owned(), Role::Muted),
    ]];
    let mut complaint = complaint(ask, columns);
    if beneath(&complaint, most) {
        lines.append(&mut complaint);
    }
    lines
}
