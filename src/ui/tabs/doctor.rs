//! Tab 7: the layers from the bus to the container. A line per check; of the selected one, what was read, what a user
//! sees, and the commands that repair it.

use super::{View, first_row, tell_hidden};
use crate::analysis::doctor::{Examined, Outcome, Tally};
use crate::app::doctor::Intent;
use crate::app::{Message, State};
use crate::ui::keys::{self, Context, bind, ch, key};
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::{Pen, width};
use crate::ui::words;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View = View::new(render, &KEYS, hit, |motion| Message::Doctor(Intent::Move(motion)));

static KEYS: Context = Context {
    name: "Doctor",
    bindings: &[
        &keys::list!(Message::Doctor, Intent::Move, "", "to the first (also g)", "to the last (also G)"),
        &[
            bind!(
                Message::Doctor,
                [key(KeyCode::Enter)],
                "Enter",
                "in full",
                "everything about the check, with its evidence",
                Intent::ShowDetail
            ),
            bind!(
                Message::Doctor,
                [ch('o')],
                "o",
                "order",
                "the worst first, or from the bottom layer up",
                Intent::NextOrder
            ),
            bind!(
                Message::Doctor,
                [ch('y')],
                "y",
                "copy commands",
                "copy the commands that repair it",
                Intent::CopyCommands
            ),
        ],
    ],
};

/// Summary, rows, and of the selected check the detail: beneath, or beside where the screen is wide.
struct Parts {
    summary: Rect,
    rows: Rect,
    detail: Rect,
}

/// From this width on the detail stands beside the rows.
const BESIDE: u16 = 150;
/// Lines that the detail needs to say anything, its heading included.
const DETAIL_AT_LEAST: u16 = 6;
/// Columns of the mark with its word, and of the layer.
const WORD: u16 = 11;
const LAYER: u16 = 13;
/// Below this width the mark stands without its word: its shape says as much.
const WITH_WORD: u16 = 60;

fn parts(area: Rect) -> Parts {
    let head = area.height.min(1);
    let summary = Rect { height: head, ..area };
    let rest = Rect { y: area.y + head, height: area.height - head, ..area };
    if area.width >= BESIDE {
        let left = area.width / 2;
        let rows = Rect { width: left, ..rest };
        let detail = Rect { x: area.x + left + 2, width: area.width - left - 2, ..rest };
        return Parts { summary, rows, detail };
    }
    let below = if rest.height >= 2 * DETAIL_AT_LEAST { rest.height / 2 } else { 0 };
    let rows = Rect { height: rest.height - below, ..rest };
    Parts { summary, rows, detail: Rect { y: rows.bottom(), height: below, ..rest } }
}

const fn mark(outcome: Outcome) -> (&'static str, Role) {
    match outcome {
        Outcome::Pass => ("✓", Role::Good),
        Outcome::Warn => ("!", Role::Warning),
        Outcome::Fail => ("✗", Role::Critical),
        Outcome::Skipped => ("–", Role::Muted),
    }
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let parts = parts(area);
    let examined = &state.doctor.examined;
    let selected = state.selected_check();
    let first = first_row(selected, examined.len(), usize::from(parts.rows.height));
    let lines = parts.rows.top()..parts.rows.bottom();
    for (y, (place, one)) in lines.zip(examined.iter().enumerate().skip(first)) {
        let line = Rect { y, height: 1, ..parts.rows };
        row(one, line, pen);
        if place == selected {
            pen.over(line, Role::Selection);
        }
    }
    if let Some(one) = examined.get(selected) {
        detail(one, parts.detail, pen);
    }
    let is_below = parts.detail.height > 0 && parts.detail.y > parts.rows.y;
    let line = if is_below { parts.detail } else { parts.summary };
    let line = Rect { height: line.height.min(1), ..line };
    let left = tell_hidden(line, first, usize::from(parts.rows.height), examined.len(), pen);
    let room = if is_below { parts.summary.width } else { left.width };
    summary(state, Rect { width: room, ..parts.summary }, pen);
}

/// How many checks came to what, and how old the evidence is.
fn summary(state: &State, area: Rect, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    let Some(snapshot) = state.snapshot() else {
        pen.text(area.x, area.y, area.width, "waiting for the first reading", Role::Muted);
        return;
    };
    let tally = Tally::of(&state.doctor.examined);
    let mut x = area.x;
    for (outcome, count, word) in [
        (Outcome::Fail, tally.failed, "failed"),
        (Outcome::Warn, tally.warned, "to look at"),
        (Outcome::Pass, tally.passed, "passed"),
        (Outcome::Skipped, tally.skipped, "skipped"),
    ] {
        let (mark, role) = mark(outcome);
        // What is wrong stands there only when something is.
        if count > 0 {
            let text = format!("{mark} {count} {word}");
            if x + width(&text) > area.right() {
                break;
            }
            x = pen.text(x, area.y, area.right().saturating_sub(x), &text, role).saturating_add(2);
        }
    }
    let read = match &snapshot.host_files {
        None => "the files of the host are not read yet".to_owned(),
        Some(group) => match &group.value.pending {
            Some(path) => format!("{path} does not answer"),
            None => format!("read {} ago", words::duration(snapshot.age(group))),
        },
    };
    let text = format!("{read}, {}", state.doctor.order.name());
    let room = area.right().saturating_sub(x);
    if width(&text) <= room {
        pen.right(x, area.y, room, &text, Role::Muted);
    }
}

fn row(one: &Examined, area: Rect, pen: &mut Pen<'_>) {
    let (mark, role) = mark(one.found.outcome);
    let room = |x: u16| area.right().saturating_sub(x);
    let mut x = area.x;
    if area.width >= WITH_WORD {
        pen.text(x, area.y, WORD - 1, &format!("{mark} {}", one.found.outcome.name()), role);
        x += WORD;
    } else {
        pen.text(x, area.y, 1, mark, role);
        x += 2;
    }
    pen.text(x, area.y, (LAYER - 1).min(room(x)), one.check.layer.title(), Role::Muted);
    x += LAYER;
    let quiet = one.found.outcome == Outcome::Skipped;
    let (title, text) = if quiet { (Role::Muted, Role::Muted) } else { (Role::Text, Role::Muted) };
    x = pen.text(x, area.y, room(x), one.check.title, title);
    if room(x) > 12 {
        let told = matches!(one.found.outcome, Outcome::Fail | Outcome::Warn);
        pen.text(x + 2, area.y, room(x + 2), &one.found.summary, if told { role } else { text });
    }
}

fn detail(one: &Examined, area: Rect, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    let Examined { check, found } = one;
    let (_, role) = mark(found.outcome);
    pen.rule(area.x, area.y, area.width, check.title);
    let columns = area.width.saturating_sub(2);
    let mut lines: Vec<(String, Role)> = Vec::new();
    let mut add = |first: &str, text: &str, role: Role| {
        let indent = " ".repeat(usize::from(width(first)));
        let room = columns.saturating_sub(width(first));
        for (index, part) in wrapped(text, room).into_iter().enumerate() {
            let before = if index == 0 { first } else { &indent };
            lines.push((format!("{before}{part}"), role));
        }
    };
    add("", &found.summary, if found.outcome == Outcome::Skipped { Role::Text } else { role });
    for advice in &found.advice {
        add("", advice, Role::Strong);
    }
    for command in &found.fix {
        add("$ ", command, Role::Strong);
    }
    let seen = match found.outcome {
        Outcome::Fail | Outcome::Warn => "seen as     ",
        Outcome::Pass | Outcome::Skipped => "if it fails ",
    };
    add(seen, check.symptom, Role::Muted);
    for (index, evidence) in found.evidence.iter().enumerate() {
        let label = if index == 0 { "evidence    " } else { "            " };
        add(label, &format!("{}: {}", evidence.place, evidence.text), Role::Text);
    }
    let room = usize::from(area.height.saturating_sub(1));
    let cut = lines.len() > room;
    let shown = if cut { room.saturating_sub(1) } else { room };
    let mut y = area.y + 1;
    for (text, role) in lines.iter().take(shown) {
        pen.text(area.x + 2, y, columns, text, *role);
        y += 1;
    }
    if cut && y < area.bottom() {
        let text = format!("… {} more lines: Enter", lines.len() - shown);
        pen.text(area.x + 2, y, columns, &text, Role::Muted);
    }
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let rows = parts(area).rows;
    if !rows.contains(position) {
        return None;
    }
    let selected = state.selected_check();
    let first = first_row(selected, state.doctor.examined.len(), usize::from(rows.height));
    let place = first + usize::from(position.y - rows.y);
    if place >= state.doctor.examined.len() {
        return None;
    }
    let intent = if place == selected { Intent::ShowDetail } else { Intent::SelectRow(place) };
    Some(Message::Doctor(intent))
}
