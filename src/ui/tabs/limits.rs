//! Tab 4: what holds the GPUs back. A line per GPU above; of the selected one, the clock event reasons with a lane of
//! time each, and how far it is from its limits. It shares selection and window with tab 1.

mod headroom;
mod lanes;

use super::past::{is_past, last_values, why_no_gpu};
use super::{View, first_row, tell_hidden};
use crate::analysis::limits::{explained, power_headroom};
use crate::app::gpus::Intent;
use crate::app::{Message, State};
use crate::model::{Absence, Gpu, Grouped, Reading, Snapshot, known};
use crate::ui::keys::{self, Context};
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, Placed, place, width};
use crate::ui::words;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View = View::new(render, &KEYS, hit, |motion| Message::Gpus(Intent::Move(motion)));

static KEYS: Context = Context {
    name: "Limits",
    bindings: &[&keys::few!(Message::Gpus, Intent::Move, "GPU"), &super::gpus::PAST],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    Index,
    Power,
    Headroom,
    Temperature,
    Margin,
    Clock,
    Held,
}

const fn column(id: Id, title: &'static str, least: u16, most: u16, rank: u8, align: Align) -> Column<Id> {
    Column { id, title, least, most, rank, align }
}

/// In the order of the screen; what a narrow screen drops first has the greatest rank.
const COLUMNS: [Column<Id>; 7] = [
    column(Id::Index, "GPU", 3, 3, 0, Align::Right),
    column(Id::Power, "power/cap", 9, 9, 0, Align::Right),
    column(Id::Headroom, "headroom", 8, 8, 2, Align::Right),
    column(Id::Temperature, "temp", 6, 6, 1, Align::Right),
    column(Id::Margin, "margin", 7, 7, 4, Align::Right),
    column(Id::Clock, "SM clock/max", 13, 13, 3, Align::Right),
    column(Id::Held, "held by", 9, 60, 0, Align::Left),
];

/// Lines that the detail has at least, where there is any room.
const DETAIL_AT_LEAST: u16 = 6;

struct Parts {
    headings: Rect,
    rows: Rect,
    first: usize,
    detail: Rect,
}

fn parts(state: &State, area: Rect) -> Parts {
    let count = state.gpus_shown().count();
    let wanted = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(1);
    // The detail comes first here: many GPUs scroll in the upper third.
    let third = (area.height / 3).max(2).min(area.height);
    let fits = wanted.saturating_add(3 * DETAIL_AT_LEAST) <= area.height;
    let height = if fits { wanted } else { wanted.min(third) };
    let headings = Rect { height: height.min(1), ..area };
    let rows = Rect { y: headings.bottom(), height: height.saturating_sub(1), ..area };
    let selected = state.selected_gpu().map_or(0, |(place, _)| place);
    let detail = Rect { y: area.y + height, height: area.height - height, ..area };
    Parts { headings, rows, first: first_row(selected, count, usize::from(rows.height)), detail }
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    let Some((selected, gpu)) = state.selected_gpu() else {
        let why = why_no_gpu(state, snapshot);
        pen.text(area.x + 1, area.y, area.width.saturating_sub(1), why, Role::Muted);
        return;
    };
    let parts = parts(state, area);
    let columns = place(&COLUMNS, area.x, area.width, 2);
    if parts.headings.height > 0 {
        for column in &columns {
            write(column, parts.headings.y, column.title, Role::Muted, pen);
        }
    }
    let lines = parts.rows.top()..parts.rows.bottom();
    for (y, (place, gpu)) in lines.zip(state.gpus_shown().enumerate().skip(parts.first)) {
        for column in &columns {
            let (text, role) = cell(state, gpu, column.id);
            write(column, y, &words::narrowed(text, role, column.width), role, pen);
        }
        if place == selected {
            pen.over(Rect { y, height: 1, ..area }, Role::Selection);
        }
    }
    let line = if parts.detail.height > 0 { parts.detail } else { parts.headings };
    let line = Rect { height: line.height.min(1), ..line };
    let count = state.gpus_shown().count();
    let left = tell_hidden(line, parts.first, usize::from(parts.rows.height), count, pen);
    detail(state, snapshot, gpu, parts.detail, left.width, pen);
}

fn write(column: &Placed<Id>, y: u16, text: &str, role: Role, pen: &mut Pen<'_>) {
    match column.align {
        Align::Left => drop(pen.text(column.x, y, column.width, text, role)),
        Align::Right => pen.right(column.x, y, column.width, text, role),
    }
}

/// A reading of a group, or why there is none.
fn of<G, T>(group: Option<&Grouped<G>>, read: impl Fn(&G) -> Reading<T>) -> Reading<T> {
    group.map_or(Err(Absence::NotRequested), |group| read(&group.value))
}

fn cell(state: &State, gpu: &Gpu, id: Id) -> (String, Role) {
    let (fast, live) = (gpu.fast.as_ref(), gpu.live.as_ref());
    let past = if is_past(state, gpu) { Role::Stale } else { Role::Text };
    match id {
        Id::Index => (gpu.index().map_or_else(|| "–".into(), |index| index.to_string()), Role::Strong),
        Id::Power => {
            let draw = of(fast, |fast| fast.power.clone()).map(|band| format!("{:.0}", band.mean));
            let cap = of(live, |live| live.power_limit.clone());
            match (draw, cap) {
                (Ok(draw), Ok(cap)) => (format!("{draw}/{cap}"), past),
                (Ok(draw), Err(_)) => (format!("{draw} W"), past),
                (Err(absence), _) => words::absent(&absence),
            }
        }
        Id::Headroom => {
            power_headroom(gpu).map_or_else(|| ("–".into(), Role::Absent), |watts| (watts.to_string(), past))
        }
        Id::Temperature => words::reading(&of(live, |live| live.temperature.clone()), past),
        Id::Margin => words::reading(&of(live, |live| live.temperature_margin.clone()), past),
        Id::Clock => {
            let clock = of(fast, |fast| fast.sm_clock.clone()).map(|band| format!("{:.0}", band.mean));
            match (clock, &gpu.info.max_sm_clock) {
                (Ok(clock), Ok(most)) => (format!("{clock}/{most}"), past),
                (Ok(clock), Err(_)) => (format!("{clock} MHz"), past),
                (Err(absence), _) => words::absent(&absence),
            }
        }
        Id::Held => {
            if let Some((text, role)) = state
                .snapshot()
                .and_then(|snapshot| words::state_words(gpu, snapshot.mono.since(gpu.state_since)))
            {
                return (text, role);
            }
            match of(fast, |fast| fast.clock_events.clone()) {
                Ok(events) => {
                    let role = if is_past(state, gpu) { past } else { words::clock_event(events.any).1 };
                    let names: Vec<&str> =
                        words::clock_events(events.any).into_iter().map(|(short, ..)| short).collect();
                    if names.is_empty() {
                        (words::clock_event(events.any).0.to_owned(), role)
                    } else {
                        (names.join(", "), role)
                    }
                }
                Err(absence) => words::absent(&absence),
            }
        }
    }
}

/// Reasons and lanes, then headroom and advice below, or beside where the screen is wide. The first line has `wide`
/// columns for the title.
fn detail(state: &State, snapshot: &Snapshot, gpu: &Gpu, area: Rect, wide: u16, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    pen.rule(area.x, area.y, wide, &title(state, snapshot, gpu, wide));
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let used = lanes::render(state, gpu, body, pen);
    let rest = Rect { y: body.y + used, height: body.height - used, ..body };
    headroom::render(state, gpu, rest, pen);
}

/// Which GPU, its name where there is room, and what holds it back; or, of one whose values are no longer so, that.
fn title(state: &State, snapshot: &Snapshot, gpu: &Gpu, wide: u16) -> String {
    let index = gpu.index().map_or_else(|| gpu.id.to_string(), |index| index.to_string());
    let mut parts = vec![format!("GPU {index}")];
    if is_past(state, gpu) {
        parts.extend(words::state_words(gpu, snapshot.mono.since(gpu.state_since)).map(|(text, _)| text));
        parts.push(last_values(state, snapshot, gpu));
    } else {
        parts.extend(explained(gpu));
    }
    let short = parts.join(" · ");
    parts.splice(1..1, known(&gpu.info.name).map(|name| name.to_string()));
    let whole = parts.join(" · ");
    if width(&whole) <= wide { whole } else { short }
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let parts = parts(state, area);
    if !parts.rows.contains(position) {
        return None;
    }
    let place = parts.first + usize::from(position.y - parts.rows.y);
    state.gpus_shown().nth(place).map(|gpu| Message::Gpus(Intent::Select(gpu.id.clone())))
}
