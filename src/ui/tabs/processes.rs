//! Tab 2: who holds GPU memory.

mod cells;

use super::past::why_no_gpu;
use super::{View, first_row, tell_hidden};
use crate::app::processes::{Intent, RowKind, SortKey};
use crate::app::{Message, State};
use crate::model::{GpuState, Snapshot, known};
use crate::ui::keys::{self, Context, bind, ch, key};
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, Placed, place, width};
use crate::ui::words;
use crate::units::Bytes;
use cells::Cells;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View =
    View::new(render, &KEYS, hit, |motion| Message::Processes(Intent::Move(motion)));

static KEYS: Context = Context {
    name: "Processes",
    bindings: &[
        &keys::list!(Message::Processes, Intent::Move, "", "to the first (also g)", "to the last (also G)"),
        &[
            bind!(
                Message::Processes,
                [key(KeyCode::Enter)],
                "Enter",
                "details",
                "everything about it",
                Intent::ShowDetails
            ),
            bind!(
                Message::Processes,
                [ch('/')],
                "/",
                "filter",
                "filter by words: user, command, container, gpu:0",
                Intent::EditFilter
            ),
            bind!(Message::Processes, [key(KeyCode::Esc)], "Esc", "", "drop the filter", Intent::ClearFilter),
            bind!(
                Message::Processes,
                [ch('s'), ch('l'), key(KeyCode::Right)],
                "s",
                "sort",
                "sort by the next column (also l, →)",
                Intent::SortNext
            ),
            bind!(
                Message::Processes,
                [ch('S'), ch('h'), key(KeyCode::Left)],
                "S",
                "",
                "sort by the column before (also h, ←)",
                Intent::SortPrevious
            ),
            bind!(Message::Processes, [ch('r')], "r", "reverse", "turn the order around", Intent::Reverse),
            bind!(
                Message::Processes,
                [ch('t')],
                "t",
                "tree",
                "under their parents, or not",
                Intent::ToggleTree
            ),
            bind!(Message::Processes, [ch('y')], "y", "", "copy the command line", Intent::CopyCommand),
        ],
    ],
};

const fn column(
    id: SortKey,
    title: &'static str,
    least: u16,
    most: u16,
    rank: u8,
    align: Align,
) -> Column<SortKey> {
    Column { id, title, least, most, rank, align }
}

/// In the order of the screen; what a narrow screen drops first has the greatest rank.
const COLUMNS: [Column<SortKey>; 11] = [
    column(SortKey::Pid, "PID", 7, 7, 0, Align::Right),
    column(SortKey::User, "user", 8, 12, 3, Align::Left),
    column(SortKey::Gpu, "GPU", 4, 7, 0, Align::Left),
    column(SortKey::Kind, "type", 4, 4, 8, Align::Left),
    column(SortKey::Memory, "VRAM", 8, 8, 0, Align::Right),
    column(SortKey::Sm, "SM", 5, 5, 2, Align::Right),
    column(SortKey::Cpu, "CPU", 6, 6, 5, Align::Right),
    column(SortKey::HostMemory, "host mem", 8, 8, 6, Align::Right),
    column(SortKey::Age, "age", 4, 4, 4, Align::Right),
    column(SortKey::Placement, "where", 12, 30, 7, Align::Left),
    column(SortKey::Command, "command", 10, 500, 0, Align::Left),
];

/// The mark before the PID: D, ended.
const MARK: u16 = 2;

/// Head line, headings, rows.
struct Parts {
    summary: Rect,
    headings: Rect,
    rows: Rect,
    first: usize,
    columns: Vec<Placed<SortKey>>,
}

fn parts(state: &State, area: Rect) -> Parts {
    let with_summary = u16::from(area.height >= 8);
    let summary = Rect { height: with_summary, ..area };
    let headings = Rect { y: area.y + with_summary, height: 1, ..area };
    let rows = Rect { y: headings.bottom(), height: area.height.saturating_sub(with_summary + 1), ..area };
    let first = first_row(state.selected_row(), state.processes.rows.len(), usize::from(rows.height));
    let columns = place(&COLUMNS, area.x + MARK, area.width.saturating_sub(MARK), 1);
    Parts { summary, headings, rows, first, columns }
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    let parts = parts(state, area);
    headings(state, &parts, pen);
    let rows = &state.processes.rows;
    let line = if parts.summary.height > 0 { parts.summary } else { parts.headings };
    let left = tell_hidden(line, parts.first, usize::from(parts.rows.height), rows.len(), pen);
    summary(state, Rect { width: left.width, ..parts.summary }, pen);
    let selected = state.selected_row();
    let lines = parts.rows.top()..parts.rows.bottom();
    for (y, (place, row)) in lines.zip(rows.iter().enumerate().skip(parts.first)) {
        let cells = Cells::new(state, snapshot, *row);
        let (mark, role) = cells.mark();
        pen.text(area.x, y, 1, mark, role);
        for column in &parts.columns {
            let (text, role) = cells.cell(column.id);
            let text = words::narrowed(text, role, column.width);
            match column.align {
                Align::Left => drop(pen.text(column.x, y, column.width, &text, role)),
                Align::Right => pen.right(column.x, y, column.width, &text, role),
            }
        }
        if place == selected {
            pen.over(Rect { y, height: 1, ..area }, Role::Selection);
        }
    }
    if rows.is_empty() {
        let text = match unasked(state, snapshot) {
            Some(why) => why,
            None if state.processes.filter.is_empty() => "no process holds a GPU",
            None => "no process matches the filter [Esc drops it]",
        };
        pen.text(area.x + MARK, parts.rows.y, area.width.saturating_sub(MARK), text, Role::Muted);
    }
}

/// Why no GPU could be asked who holds it; `None` when one was: that nobody is listed says something only then.
fn unasked(state: &State, snapshot: &Snapshot) -> Option<&'static str> {
    let mut gpus = state.gpus_shown().peekable();
    if gpus.peek().is_none() {
        return Some(why_no_gpu(state, snapshot));
    }
    let answers = gpus.any(|gpu| gpu.state == GpuState::Ok);
    (!answers).then_some("no GPU answers: who holds them is not known")
}

/// How many there are, and what is left out.
fn summary(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    if area.height == 0 {
        return;
    }
    let (mut running, mut ended, mut orphaned) = (0, 0, Bytes(0));
    for row in &state.processes.rows {
        match row.kind {
            RowKind::Process(index) => match snapshot.processes.get(index) {
                Some(process) if process.ended.is_some() => ended += 1,
                _ => running += 1,
            },
            RowKind::Unattributed(index) => {
                let memory = snapshot.gpus.get(index).and_then(|gpu| known(&gpu.unattributed));
                orphaned = Bytes(orphaned.0 + memory.unwrap_or_default().0);
            }
            RowKind::Parent(_) => {}
        }
    }
    let mut text = match unasked(state, snapshot) {
        Some(_) if running == 0 => "– running".to_owned(),
        _ => format!("{running} running"),
    };
    if ended > 0 {
        text = format!("{text}, {ended} ended within the hour");
    }
    let mut x = pen.text(area.x + MARK, area.y, area.width.saturating_sub(MARK), &text, Role::Muted);
    if orphaned.0 > 0 {
        let text = format!(" · ! {orphaned} held by no process");
        x = pen.text(x, area.y, area.right().saturating_sub(x), &text, Role::Warning);
    }
    if !state.processes.filter.is_empty() {
        x = pen.text(x, area.y, area.right().saturating_sub(x), " · filter ", Role::Muted);
        x = pen.text(x, area.y, area.right().saturating_sub(x), &state.processes.filter, Role::Key);
    }
    if state.processes.tree {
        x = pen.text(x, area.y, area.right().saturating_sub(x), " · tree", Role::Muted);
    }
    if matches!(snapshot.inventory.host_pids_visible, Ok(false)) {
        let note = " · in a container: processes of others show their memory only";
        pen.text(x, area.y, area.right().saturating_sub(x), note, Role::Warning);
    }
}

fn headings(state: &State, parts: &Parts, pen: &mut Pen<'_>) {
    let y = parts.headings.y;
    for column in &parts.columns {
        let sorted = column.id == state.processes.sort;
        let descends = column.id.descends() != state.processes.reversed;
        let arrow = match (sorted, descends) {
            (false, _) => "",
            (true, true) => "▼",
            (true, false) => "▲",
        };
        let role = if sorted { Role::Accent } else { Role::Muted };
        match column.align {
            Align::Left => {
                let room = column.width.saturating_sub(width(arrow));
                let x = pen.text(column.x, y, room, column.title, role);
                pen.text(x, y, width(arrow), arrow, role);
            }
            // The arrow stands in the gap to the left, so that headings stay over their numbers.
            Align::Right => {
                let text = format!("{arrow}{}", column.title);
                let room = column.width + u16::from(width(&text) > column.width);
                let x = column.x - (room - column.width);
                pen.right(x, y, room, &text, role);
            }
        }
    }
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let parts = parts(state, area);
    if parts.headings.contains(position) {
        let under = |column: &&Placed<SortKey>| (column.x..=column.x + column.width).contains(&position.x);
        let column = parts.columns.iter().find(under)?;
        return Some(Message::Processes(Intent::SortBy(column.id)));
    }
    if !parts.rows.contains(position) {
        return None;
    }
    let place = parts.first + usize::from(position.y - parts.rows.y);
    if place >= state.processes.rows.len() {
        return None;
    }
    // A click on the selected row opens it.
    let intent = if place == state.selected_row() { Intent::ShowDetails } else { Intent::SelectRow(place) };
    Some(Message::Processes(intent))
}
