//! Tab 3: how the devices are joined. The matrix above with headings that stay, the selected pair below.

mod detail;

use super::{View, first_row, tell_hidden};
use crate::analysis::topology::{Cell, Matrix, PathClass, unfit};
use crate::app::topology::Intent;
use crate::app::{Message, Motion, State};
use crate::model::Snapshot;
use crate::ui::keys::{self, Context, bind, ch, key};
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::{Pen, width};
use crate::ui::words;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View =
    View::new(render, &KEYS, hit, |motion| Message::Topology(Intent::MoveRow(motion)));

static KEYS: Context = Context {
    name: "Topology",
    bindings: &[
        &keys::few!(Message::Topology, Intent::MoveRow, "row"),
        &[
            bind!(
                Message::Topology,
                [key(KeyCode::Left), ch('h')],
                "←",
                "column",
                "column left (also h)",
                Intent::MoveColumn(Motion::Previous)
            ),
            bind!(
                Message::Topology,
                [key(KeyCode::Right), ch('l')],
                "→",
                "column",
                "column right (also l)",
                Intent::MoveColumn(Motion::Next)
            ),
        ],
    ],
};

/// Columns of a cell and the gap before it: `NODE`, `NV18`, `GPU15`, `nvme0`.
const CELL: u16 = 6;
/// Columns of a row's heading.
const HEADING: u16 = 6;
/// Columns of the affinities beside the matrix, and from which width on they are shown.
const CPUS: u16 = 16;
const NODE: u16 = 5;
const AFFINITY_FROM: u16 = 64;
/// Lines that the detail has at least, where there is any room.
const DETAIL_AT_LEAST: u16 = 4;

/// Lines that it needs at most while rows of the matrix are hidden.
const DETAIL_AT_MOST: u16 = 13;

/// Where everything stands.
struct Parts {
    headings: Rect,
    rows: Rect,
    first_row: usize,
    first_column: usize,
    columns: usize,
    affinity: Option<u16>,
    detail: Rect,
}

fn parts(state: &State, matrix: &Matrix, area: Rect) -> Parts {
    let count = matrix.devices.len();
    let (row, column) = state.selected_pair(matrix);
    let wanted = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(1);
    // The detail has its half of a screen that cannot hold both.
    let least = if area.height >= 2 * DETAIL_AT_LEAST {
        (area.height / 2).clamp(DETAIL_AT_LEAST, DETAIL_AT_MOST)
    } else {
        0
    };
    let height = wanted.min(area.height.saturating_sub(least));
    let headings = Rect { height: height.min(1), ..area };
    let rows = Rect { y: headings.bottom(), height: height.saturating_sub(1), ..area };
    let affinity = (area.width >= AFFINITY_FROM).then_some(CPUS + NODE + 2);
    let room = area.width.saturating_sub(HEADING + affinity.unwrap_or(0));
    let columns = usize::from(room / CELL).clamp(1, count.max(1));
    let detail = Rect { y: area.y + height, height: area.height - height, ..area };
    Parts {
        headings,
        rows,
        first_row: first_row(row, count, usize::from(rows.height)),
        first_column: first_row(column, count, columns),
        columns,
        affinity,
        detail,
    }
}

/// The colour of a cell: the nearer, the better. What it says stands in the cell.
pub(super) const fn role_of(cell: Cell) -> Role {
    match cell {
        Cell::Same => Role::Faint,
        Cell::NvLink(_) => Role::Good,
        Cell::Path(PathClass::Pix | PathClass::Pxb) => Role::Info,
        Cell::Path(PathClass::Phb) => Role::Text,
        Cell::Path(PathClass::Node) => Role::Muted,
        Cell::Path(PathClass::Sys) => Role::Warning,
        Cell::Unknown => Role::Absent,
    }
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    let matrix = state.matrix();
    if matrix.devices.is_empty() {
        let lines = wrapped(&without_devices(snapshot), area.width);
        for (y, line) in (area.top()..area.bottom()).zip(lines) {
            pen.text(area.x, y, area.width, &line, Role::Muted);
        }
        return;
    }
    let parts = parts(state, &matrix, area);
    let (row, column) = state.selected_pair(&matrix);
    headings(&matrix, &parts, column, pen);
    for (y, place) in (parts.rows.top()..parts.rows.bottom()).zip(parts.first_row..matrix.devices.len()) {
        line(snapshot, &matrix, &parts, y, place, (row, column), pen);
    }
    detail::render(state, snapshot, &matrix, parts.detail, pen);
    // The line between the two has a short title.
    let line = if parts.detail.height > 0 { parts.detail } else { parts.headings };
    let line = Rect { height: line.height.min(1), ..line };
    tell_hidden(line, parts.first_row, usize::from(parts.rows.height), matrix.devices.len(), pen);
}

/// Why there is no matrix: that none was read is not that there is nothing.
fn without_devices(snapshot: &Snapshot) -> String {
    let inventory = &snapshot.inventory;
    match (&inventory.topology, inventory.pci.len()) {
        (Some(_), _) => "no NVIDIA GPU, RDMA NIC or NVMe controller was found on the PCI bus".into(),
        (None, 0) => "the PCI bus was not read yet".into(),
        (None, count) => {
            let are = if count == 1 { "is" } else { "are" };
            let count = words::counted(count as u64, "NVIDIA GPU");
            format!("{count} {are} on the PCI bus; how devices are joined was not read")
        }
    }
}

fn x_of(parts: &Parts, nth: usize) -> u16 {
    parts.rows.x + HEADING + u16::try_from(nth).unwrap_or(0) * CELL
}

fn headings(matrix: &Matrix, parts: &Parts, selected: usize, pen: &mut Pen<'_>) {
    if parts.headings.height == 0 {
        return;
    }
    let y = parts.headings.y;
    let shown = matrix.devices.iter().enumerate().skip(parts.first_column).take(parts.columns);
    for (nth, (place, device)) in shown.enumerate() {
        let role = if place == selected { Role::Accent } else { Role::Muted };
        pen.right(x_of(parts, nth), y, CELL - 1, &device.label, role);
    }
    // What the screen does not hold is told, in both directions.
    let more = matrix.devices.len().saturating_sub(parts.first_column + parts.columns);
    let hint = match (parts.first_column > 0, more > 0) {
        (true, true) => "◂ ▸",
        (true, false) => "◂",
        (false, true) => "  ▸",
        (false, false) => "",
    };
    pen.text(parts.headings.x, y, HEADING - 1, hint, Role::Key);
    if parts.affinity.is_some() {
        let x = x_of(parts, parts.columns) + 1;
        pen.text(x, y, CPUS, "CPU affinity", Role::Muted);
        pen.right(x + CPUS, y, NODE, "NUMA", Role::Muted);
    }
}

fn line(
    snapshot: &Snapshot,
    matrix: &Matrix,
    parts: &Parts,
    y: u16,
    row: usize,
    selected: (usize, usize),
    pen: &mut Pen<'_>,
) {
    let Some(device) = matrix.devices.get(row) else { return };
    let role = match unfit(snapshot, device) {
        Some(_) => Role::Critical,
        None if row == selected.0 => Role::Accent,
        None => Role::Muted,
    };
    let x = pen.text(parts.rows.x, y, HEADING - 1, &device.label, role);
    if role == Role::Critical {
        pen.text(x.min(parts.rows.x + HEADING - 1), y, 1, "✗", role);
    }
    for nth in 0..parts.columns {
        let column = parts.first_column + nth;
        if column >= matrix.devices.len() {
            break;
        }
        let cell = matrix.cell(row, column);
        pen.right(x_of(parts, nth), y, CELL - 1, &cell.to_string(), role_of(cell));
        if (row, column) == selected {
            pen.over(Rect { x: x_of(parts, nth), y, width: CELL, height: 1 }, Role::Selection);
        }
    }
    if parts.affinity.is_some() {
        let x = x_of(parts, parts.columns) + 1;
        let (cpus, role) = words::reading(&device.cpu_affinity, Role::Text);
        let cpus = if width(&cpus) > CPUS - 1 { compact(&cpus) } else { cpus };
        pen.text(x, y, CPUS - 1, &cpus, role);
        let (node, role) = words::reading(&device.numa_affinity, Role::Text);
        pen.right(x + CPUS, y, NODE, &words::narrowed(node, role, NODE), role);
    }
}

/// A list of CPUs that is too long: its first range and how many follow.
fn compact(cpus: &str) -> String {
    let mut parts = cpus.split(',');
    let first = parts.next().unwrap_or_default();
    match parts.count() {
        0 => first.to_owned(),
        more => format!("{first} +{more}"),
    }
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let matrix = state.matrix();
    let parts = parts(state, &matrix, area);
    if !parts.rows.contains(position) {
        return None;
    }
    let row = parts.first_row + usize::from(position.y - parts.rows.y);
    let nth = usize::from(position.x.checked_sub(parts.rows.x + HEADING)? / CELL);
    let column = parts.first_column + nth;
    let inside = row < matrix.devices.len() && nth < parts.columns && column < matrix.devices.len();
    inside.then_some(Message::Topology(Intent::Select(row, column)))
}
