//! The block devices below pools and file systems: what they do, and how long it takes.

use super::table::{Table, column};
use crate::app::State;
use crate::app::storage::{Device, devices};
use crate::model::{DiskRates, Snapshot};
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen};
use crate::ui::words;
use ratatui::layout::{Position, Rect};

#[derive(Clone, Copy)]
enum Id {
    Name,
    Holds,
    State,
    Read,
    Write,
    ReadTime,
    WriteTime,
    Busy,
    InFlight,
    Errors,
}

const COLUMNS: [Column<Id>; 10] = [
    column(Id::Name, "device", (10, 20), 0, Align::Left),
    column(Id::Holds, "holds", (10, 40), 5, Align::Left),
    column(Id::State, "state", (8, 10), 4, Align::Left),
    column(Id::Read, "read", (9, 9), 0, Align::Right),
    column(Id::Write, "write", (9, 9), 1, Align::Right),
    column(Id::ReadTime, "read time", (9, 9), 2, Align::Right),
    column(Id::WriteTime, "write time", (10, 10), 3, Align::Right),
    column(Id::Busy, "busy", (5, 5), 4, Align::Right),
    column(Id::InFlight, "queue", (5, 5), 6, Align::Right),
    column(Id::Errors, "errors", (7, 7), 3, Align::Right),
];

pub(super) fn render(state: &State, snapshot: &Snapshot, area: Rect, pen: &mut Pen<'_>) {
    let storage = &snapshot.storage;
    if let Some(absence) = &storage.disks_absent {
        let text = format!("! /proc/diskstats: {absence}");
        pen.text(area.x, area.y, area.width, &text, Role::Warning);
        return;
    }
    let rows = devices(storage);
    if rows.is_empty() {
        let text = "no device below a pool or file system is known yet";
        pen.text(area.x, area.y, area.width, text, Role::Muted);
        return;
    }
    let selected = state.selected_device(&rows);
    let table = Table::new(area, &COLUMNS, selected, rows.len());
    table.draw(&rows, Some(selected), pen, mark, |row, id, _| cell(snapshot, row, id));
}

pub(super) fn row_at(state: &State, snapshot: &Snapshot, area: Rect, position: Position) -> Option<usize> {
    let rows = devices(&snapshot.storage);
    Table::new(area, &COLUMNS, state.selected_device(&rows), rows.len()).row_at(position, rows.len())
}

fn mark(row: &Device) -> (&'static str, Role) {
    match &row.vdev {
        Some(vdev) if &*vdev.state != "ONLINE" && !matches!(&*vdev.state, "AVAIL" | "INUSE") => {
            ("✗", Role::Critical)
        }
        Some(vdev) if vdev.errors() > 0 => ("!", Role::Warning),
        _ => ("·", Role::Muted),
    }
}

/// Milliseconds as people read them: `84 µs`, `1.2 ms`, `12 ms`.
fn time(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{:.0} µs", ms * 1_000.0),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

fn cell(snapshot: &Snapshot, row: &Device, id: Id) -> (String, Role) {
    let of = |read: &dyn Fn(&DiskRates) -> (String, Role)| {
        snapshot.storage.disk(&row.name).map_or_else(|| ("–".to_owned(), Role::Absent), read)
    };
    match id {
        Id::Name => (row.name.to_string(), Role::Strong),
        Id::Holds => (row.holds.clone(), Role::Text),
        Id::State => match &row.vdev {
            Some(vdev) => {
                (vdev.state.to_string(), if mark(row).0 == "✗" { Role::Critical } else { Role::Text })
            }
            None => (String::new(), Role::Muted),
        },
        Id::Read => of(&|disk| words::reading(&disk.read, Role::Text)),
        Id::Write => of(&|disk| words::reading(&disk.write, Role::Text)),
        // No request, no time: that is no gap in the readings.
        Id::ReadTime => of(&|disk| match &disk.read_ms {
            Ok(ms) => (time(*ms), Role::Text),
            Err(_) => ("–".into(), Role::Absent),
        }),
        Id::WriteTime => of(&|disk| match &disk.write_ms {
            Ok(ms) => (time(*ms), Role::Text),
            Err(_) => ("–".into(), Role::Absent),
        }),
        Id::Busy => of(&|disk| words::reading(&disk.busy, Role::Text)),
        Id::InFlight => of(&|disk| (disk.in_flight.to_string(), Role::Text)),
        Id::Errors => match row.vdev.as_ref().map(crate::model::Vdev::errors) {
            None => (String::new(), Role::Muted),
            Some(0) => ("0".into(), Role::Muted),
            Some(errors) => (errors.to_string(), Role::Critical),
        },
    }
}
