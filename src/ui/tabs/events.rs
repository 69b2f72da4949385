//! Tab 5: what the kernel and the driver reported, decoded.

use super::{View, first_row, tell_hidden};
use crate::analysis::events::Incident;
use crate::analysis::xid;
use crate::app::events::{Filter, Intent};
use crate::app::{Message, State};
use crate::model::SourceState;
use crate::ui::keys::{self, Context, bind, ch, key};
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::Pen;
use crate::ui::words;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View = View::new(render, &KEYS, hit, |motion| Message::Events(Intent::Move(motion)));

static KEYS: Context = Context {
    name: "Events",
    bindings: &[
        &keys::list!(Message::Events, Intent::Move, "", "to the newest (also g)", "to the oldest (also G)"),
        &[
            bind!(
                Message::Events,
                [key(KeyCode::Enter)],
                "Enter",
                "raw lines",
                "everything about it, as logged",
                Intent::ShowRaw
            ),
            bind!(
                Message::Events,
                [ch('F')],
                "F",
                "filter",
                "all, warnings and worse, critical, of the selected GPU",
                Intent::NextFilter
            ),
        ],
    ],
};

/// Source, headings, rows, and beneath them what the selected one means.
struct Parts {
    source: Rect,
    headings: Rect,
    rows: Rect,
    detail: Rect,
}

/// The detail stands beneath the list where the screen is high enough for both.
const DETAIL: u16 = 7;
/// Time of day, mark and GPU before the text.
const TIME: u16 = 9;
const GPU: u16 = 9;
const COUNT: u16 = 6;

/// What a source hides may take this many lines, where the screen is high enough for the detail.
const SOURCE_LINES: usize = 3;

fn parts(state: &State, area: Rect) -> Parts {
    let detail = if area.height >= 2 * DETAIL { DETAIL } else { 0 };
    let row = |y: u16, height: u16| Rect { y, height, ..area };
    let source = if detail > 0 { source_lines(state, area).1.len().clamp(1, SOURCE_LINES) as u16 } else { 1 };
    let head = area.height.min(source + 1);
    Parts {
        source: row(area.y, head.min(source)),
        headings: row(area.y + head.min(source), head.saturating_sub(source)),
        rows: row(area.y + head, area.height - head - detail),
        detail: row(area.bottom() - detail, detail),
    }
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let parts = parts(state, area);
    let shown = state.incidents_shown();
    let selected = state.selected_incident(&shown);
    source(state, parts.source, pen);
    if parts.headings.height > 0 {
        let (x, y) = (area.x + 2, parts.headings.y);
        pen.text(x, y, area.width.saturating_sub(2), "time", Role::Muted);
        pen.text(x + TIME, y, area.width.saturating_sub(2 + TIME), "device", Role::Muted);
        pen.text(x + TIME + GPU, y, area.width.saturating_sub(2 + TIME + GPU), "event", Role::Muted);
    }
    let first = first_row(selected, shown.len(), usize::from(parts.rows.height));
    tell_hidden(parts.headings, first, usize::from(parts.rows.height), shown.len(), pen);
    let lines = parts.rows.top()..parts.rows.bottom();
    for (y, (place, incident)) in lines.zip(shown.iter().enumerate().skip(first)) {
        row(state, incident, Rect { y, height: 1, ..area }, pen);
        if place == selected {
            pen.over(Rect { y, height: 1, ..area }, Role::Selection);
        }
    }
    if shown.is_empty() && parts.rows.height > 0 {
        let text = match state.events.filter {
            Filter::All => "no event was reported",
            _ => "no such event; f changes the filter",
        };
        pen.text(area.x + 2, parts.rows.y, area.width.saturating_sub(2), text, Role::Muted);
    }
    if let Some(incident) = shown.get(selected) {
        detail(state, incident, parts.detail, pen);
    }
}

/// Where the events come from, and what that hides: the count before it, its lines, and their role.
fn source_lines(state: &State, area: Rect) -> (String, Vec<String>, Role) {
    let count = state.incidents_shown().len();
    let incidents = if count == 1 { "incident" } else { "incidents" };
    let head = format!("{count} {incidents}, {}  ", state.events.filter.name());
    let sources = state.snapshot().map(|snapshot| snapshot.sources.as_slice()).unwrap_or_default();
    let Some(log) = sources.iter().find(|source| &*source.name == "kernel_log") else {
        return (head, Vec::new(), Role::Muted);
    };
    let (mark, role) = match log.state {
        SourceState::Ok => ("✓", Role::BadgeOk),
        SourceState::Degraded => ("!", Role::BadgeDegraded),
        SourceState::Unavailable => ("✗", Role::BadgeUnavailable),
    };
    let reason = if log.reason.is_empty() { "kernel log" } else { &log.reason };
    let room = area.width.saturating_sub(2 + head.chars().count() as u16);
    (head, wrapped(&format!("{mark} {reason}"), room), role)
}

fn source(state: &State, area: Rect, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    let (head, lines, role) = source_lines(state, area);
    let x = pen.text(area.x + 2, area.y, area.width.saturating_sub(2), &head, Role::Muted);
    for (y, line) in (area.top()..area.bottom()).zip(&lines) {
        pen.text(x, y, area.right().saturating_sub(x), line, role);
    }
}

fn row(state: &State, incident: &Incident, area: Rect, pen: &mut Pen<'_>) {
    let (mark, role) = words::mark(incident.severity);
    let end = area.right();
    let room = |x: u16| end.saturating_sub(x);
    pen.text(area.x, area.y, 1, if incident.user_space { "u" } else { mark }, role);
    let mut x = area.x + 2;
    pen.text(x, area.y, (TIME - 1).min(room(x)), &time(state, incident), Role::Muted);
    x += TIME;
    pen.text(x, area.y, (GPU - 1).min(room(x)), &device(incident), Role::Text);
    x += GPU;
    let counted = incident.count > 1 && room(x) > 4 * COUNT;
    let text = if counted { room(x) - COUNT } else { room(x) };
    let role = if incident.user_space { Role::Muted } else { role };
    pen.text(x, area.y, text, &incident.summary, role);
    if counted {
        pen.right(end - COUNT, area.y, COUNT, &format!("×{}", incident.count), Role::Muted);
    }
}

fn time(state: &State, incident: &Incident) -> String {
    if incident.first.wall.0 == 0 {
        return format!("+{}s", incident.first.mono.seconds());
    }
    let text = words::time_of_day(incident.first.wall.0, state.settings.utc_offset_seconds);
    text.chars().take(usize::from(TIME - 1)).collect()
}

/// The GPU's number, or the end of the address.
fn device(incident: &Incident) -> String {
    match (incident.gpu_index, incident.pci) {
        (Some(index), _) => format!("GPU {index}"),
        (None, Some(pci)) => format!("{:02x}:{:02x}", pci.bus, pci.device),
        (None, None) => "–".into(),
    }
}

fn detail(state: &State, incident: &Incident, area: Rect, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    let (_, role) = words::mark(incident.severity);
    pen.rule(area.x, area.y, area.width, "What it means");
    let mut lines: Vec<(String, Role)> = Vec::new();
    let columns = area.width.saturating_sub(4);
    let mut add =
        |text: &str, role: Role| lines.extend(wrapped(text, columns).into_iter().map(|l| (l, role)));
    add(&incident.summary, role);
    if let Some(process) = incident.process_text() {
        let ended = incident.blamed.is_some_and(|key| {
            let process = state.snapshot().and_then(|shown| shown.processes.iter().find(|p| p.key == key));
            process.is_some_and(|process| process.ended.is_some())
        });
        add(&format!("process {process}{}", if ended { ", ended" } else { "" }), Role::Text);
    }
    if !incident.advice.is_empty() {
        add(&incident.advice, Role::Strong);
    }
    if !incident.consequences.is_empty() {
        let list: Vec<String> =
            incident.consequences.iter().map(|(code, count)| format!("Xid {code} × {count}")).collect();
        add(&format!("followed by {}", list.join(", ")), Role::Muted);
    }
    if let Some((immediate, investigatory)) = incident.actions {
        add(&format!("NVIDIA: {}", xid::actions_text(immediate, investigatory)), Role::Muted);
    }
    for (y, (text, role)) in (area.y + 1..area.bottom()).zip(&lines) {
        pen.text(area.x + 2, y, columns, text, *role);
    }
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let parts = parts(state, area);
    if !parts.rows.contains(position) {
        return None;
    }
    let shown = state.incidents_shown();
    let selected = state.selected_incident(&shown);
    let first = first_row(selected, shown.len(), usize::from(parts.rows.height));
    let place = first + usize::from(position.y - parts.rows.y);
    if place >= shown.len() {
        return None;
    }
    let intent = if place == selected { Intent::ShowRaw } else { Intent::SelectRow(place) };
    Some(Message::Events(intent))
}
