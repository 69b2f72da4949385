//! Pools and the file systems beside them; below, the selected one with its vdevs.

use super::table::{Table, column};
use super::{cache, staleness, without_zfs};
use crate::app::State;
use crate::app::storage::{Place, places};
use crate::model::{
    FileSystem, PoolStatus, PoolView, Reading, Scan, ScanFunction, ScanState, Snapshot, Storage, Vdev,
};
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, width};
use crate::ui::words;
use crate::units::{Bytes, format_age};
use ratatui::layout::{Position, Rect};
use std::time::Duration;

#[derive(Clone, Copy)]
enum Id {
    Name,
    State,
    Size,
    Allocated,
    Capacity,
    Available,
    Fragmentation,
    Read,
    Write,
    Scan,
}

const COLUMNS: [Column<Id>; 10] = [
    column(Id::Name, "pool or file system", (12, 28), 0, Align::Left),
    column(Id::State, "state", (9, 10), 0, Align::Left),
    column(Id::Size, "size", (8, 8), 4, Align::Right),
    column(Id::Allocated, "alloc", (8, 8), 6, Align::Right),
    column(Id::Capacity, "cap", (5, 5), 1, Align::Right),
    column(Id::Available, "avail", (8, 8), 0, Align::Right),
    column(Id::Fragmentation, "frag", (5, 5), 7, Align::Right),
    column(Id::Read, "read", (9, 9), 2, Align::Right),
    column(Id::Write, "write", (9, 9), 3, Align::Right),
    column(Id::Scan, "scan", (18, 60), 5, Align::Left),
];

/// Lines that the selected pool has at least, where there is any room.
const DETAIL_AT_LEAST: u16 = 6;

fn parts(state: &State, storage: &Storage, count: usize, area: Rect) -> (Rect, Rect) {
    let notes = u16::from(without_zfs(state, storage).is_some());
    let wanted = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(1);
    let room = area.height.saturating_sub(notes);
    let least = if room >= 2 * DETAIL_AT_LEAST { DETAIL_AT_LEAST } else { 0 };
    let table = Rect { y: area.y + notes, height: wanted.min(room.saturating_sub(least)), ..area };
    (table, Rect { y: table.bottom(), height: area.bottom().saturating_sub(table.bottom()), ..area })
}

pub(super) fn render(state: &State, snapshot: &Snapshot, area: Rect, pen: &mut Pen<'_>) {
    let storage = &snapshot.storage;
    if let Some(text) = without_zfs(state, storage) {
        pen.text(area.x, area.y, area.width, text, Role::Muted);
    }
    let rows = places(storage);
    let selected = state.selected_place(&rows);
    let (at, below) = parts(state, storage, rows.len(), area);
    let table = Table::new(at, &COLUMNS, selected, rows.len());
    table.draw(&rows, Some(selected), pen, mark, |row, id, _| cell(snapshot, row, id));
    match rows.get(selected) {
        Some(Place::Pool(pool)) => detail(state, snapshot, pool, below, pen),
        Some(Place::FileSystem(each)) => filesystem(each, below, pen),
        None => {
            if let Some((text, role)) = staleness(snapshot, "file systems", &storage.filesystems) {
                pen.text(below.x, below.y, below.width, &text, role);
            }
        }
    }
}

pub(super) fn row_at(state: &State, snapshot: &Snapshot, area: Rect, position: Position) -> Option<usize> {
    let rows = places(&snapshot.storage);
    let (at, _) = parts(state, &snapshot.storage, rows.len(), area);
    Table::new(at, &COLUMNS, state.selected_place(&rows), rows.len()).row_at(position, rows.len())
}

/// A shape for each state: colour alone says nothing to some.
fn mark(row: &Place<'_>) -> (&'static str, Role) {
    match (row, row.severity()) {
        (_, Some(severity)) => words::mark(severity),
        (Place::Pool(pool), None) if pool.healthy() == Some(true) => ("✓", Role::Good),
        (Place::Pool(_), None) => ("?", Role::Absent),
        (Place::FileSystem(_), None) => ("·", Role::Muted),
    }
}

fn state_role(pool: &PoolView<'_>) -> Role {
    match pool.state.as_deref() {
        Ok("ONLINE") if pool.healthy() == Some(false) => Role::Warning,
        Ok("ONLINE") => Role::Good,
        Ok("DEGRADED") => Role::Warning,
        Ok(_) => Role::Critical,
        Err(_) => Role::Absent,
    }
}

fn absent_cell(storage_absence: &crate::model::Absence) -> (String, Role) {
    words::absent(storage_absence)
}

fn cell(snapshot: &Snapshot, row: &Place<'_>, id: Id) -> (String, Role) {
    match row {
        Place::Pool(pool) => pool_cell(snapshot, pool, id),
        Place::FileSystem(each) => filesystem_cell(&snapshot.storage, each, id),
    }
}

fn pool_cell(snapshot: &Snapshot, pool: &PoolView<'_>, id: Id) -> (String, Role) {
    let old = snapshot.storage.spaces.failure.is_some();
    let now = if old { Role::Stale } else { Role::Text };
    let absence = snapshot.storage.spaces.absence();
    let of_space = |reading: Option<(String, Role)>| reading.unwrap_or_else(|| absent_cell(&absence));
    let space = pool.space;
    match id {
        Id::Name => (pool.name.to_string(), Role::Strong),
        Id::State => {
            let (text, _) = words::reading(&pool.state, Role::Text);
            (text, state_role(pool))
        }
        Id::Size => of_space(space.map(|space| words::reading(&space.size, now))),
        Id::Allocated => of_space(space.map(|space| words::reading(&space.allocated, now))),
        Id::Capacity => of_space(space.map(|space| percent(&space.capacity, capacity_role))),
        Id::Available => match &pool.available {
            Ok(Bytes(0)) => ("0 B".into(), Role::Critical),
            other => words::reading(other, now),
        },
        Id::Fragmentation => of_space(space.map(|space| percent(&space.fragmentation, |_| Role::Text))),
        Id::Read => words::reading(&pool.read, Role::Text),
        Id::Write => words::reading(&pool.write, Role::Text),
        Id::Scan => match pool.status {
            Some(status) => scan_words(status.scan.as_ref(), snapshot),
            None => absent_cell(&snapshot.storage.status.absence()),
        },
    }
}

fn percent(reading: &Reading<u32>, role: impl Fn(u32) -> Role) -> (String, Role) {
    match reading {
        Ok(percent) => (format!("{percent} %"), role(*percent)),
        Err(absence) => words::absent(absence),
    }
}

/// The levels of the advice on full pools.
const fn capacity_role(capacity: u32) -> Role {
    match capacity {
        90.. => Role::Critical,
        80..90 => Role::Warning,
        _ => Role::Text,
    }
}

fn filesystem_cell(storage: &Storage, each: &FileSystem, id: Id) -> (String, Role) {
    let disk = each.disk.as_deref().and_then(|disk| storage.disk(disk));
    let used = match (&each.size, &each.available) {
        (Ok(size), Ok(available)) => Ok((*size, size.saturating_sub(*available))),
        (Err(absence), _) | (_, Err(absence)) => Err(absence.clone()),
    };
    match id {
        Id::Name => (each.mount_point.to_string(), Role::Text),
        Id::State => (each.kind.to_string(), Role::Muted),
        Id::Size => words::reading(&each.size, Role::Text),
        Id::Allocated => words::reading(&used.map(|(_, used)| used), Role::Text),
        Id::Capacity => match used {
            Ok((Bytes(size), Bytes(used))) if size > 0 => {
                let percent = (used as f64 / size as f64 * 100.0).round() as u32;
                (format!("{percent} %"), capacity_role(percent))
            }
            Ok(_) => (String::new(), Role::Muted),
            Err(absence) => words::absent(&absence),
        },
        Id::Available => words::reading(&each.available, Role::Text),
        Id::Fragmentation => (String::new(), Role::Muted),
        Id::Read => disk.map_or_else(nothing, |disk| words::reading(&disk.read, Role::Text)),
        Id::Write => disk.map_or_else(nothing, |disk| words::reading(&disk.write, Role::Text)),
        Id::Scan => match &each.size {
            Err(crate::model::Absence::Failed { text, .. }) => (text.to_string(), Role::Critical),
            _ => (each.source.to_string(), Role::Muted),
        },
    }
}

/// A network file system has no device here.
fn nothing() -> (String, Role) {
    ("–".into(), Role::Absent)
}

/// What the last scrub or resilver did, in a few words.
fn scan_words(scan: Option<&Scan>, snapshot: &Snapshot) -> (String, Role) {
    let Some(scan) = scan else { return ("never scrubbed".into(), Role::Muted) };
    let what = match scan.function {
        ScanFunction::Scrub => "scrub",
        ScanFunction::Resilver => "resilver",
    };
    let ago = |at: Option<i64>| {
        let seconds = snapshot.wall.0.div_euclid(1_000_000) - at?;
        Some(format_age(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    };
    let done = scan.done.map_or_else(String::new, |done| format!(" {:.1} %", done * 100.0));
    match scan.state {
        ScanState::Running => {
            let since = ago(scan.started).map_or_else(String::new, |since| format!(", for {since}"));
            (format!("{what}{done}{since}"), Role::Info)
        }
        ScanState::Paused => (format!("{what} paused{done}"), Role::Info),
        ScanState::Cancelled => (format!("{what} cancelled"), Role::Warning),
        ScanState::Finished => {
            let when = ago(scan.ended).map_or_else(String::new, |when| format!(" {when} ago"));
            match scan.errors {
                Some(errors) if errors > 0 => (format!("{what}{when}, {errors} errors"), Role::Critical),
                _ => (format!("{what}{when}, no errors"), Role::Muted),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Name,
    State,
    Errors(fn(&Vdev) -> u64),
    Slow,
    Disk,
    Read,
    Write,
}

const VDEVS: [Column<Part>; 9] = [
    column(Part::Name, "vdev", (16, 44), 0, Align::Left),
    column(Part::State, "state", (8, 10), 0, Align::Left),
    column(Part::Errors(|vdev| vdev.read_errors), "read err", (8, 8), 1, Align::Right),
    column(Part::Errors(|vdev| vdev.write_errors), "write err", (9, 9), 1, Align::Right),
    column(Part::Errors(|vdev| vdev.checksum_errors), "cksum err", (9, 9), 0, Align::Right),
    column(Part::Slow, "slow I/O", (8, 8), 5, Align::Right),
    column(Part::Disk, "device", (9, 14), 1, Align::Left),
    column(Part::Read, "read", (9, 9), 2, Align::Right),
    column(Part::Write, "write", (9, 9), 3, Align::Right),
];

fn detail(state: &State, snapshot: &Snapshot, pool: &PoolView<'_>, area: Rect, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    pen.rule(area.x, area.y, area.width, &format!("Pool {}", pool.name));
    let mut y = area.y + 1;
    for (text, role) in sentences(snapshot, pool) {
        for line in wrapped(&text, area.width.max(1)) {
            if y >= area.bottom() {
                return;
            }
            pen.text(area.x, y, area.width, &line, role);
            y += 1;
        }
    }
    let Some(status) = pool.status else { return };
    let rest = Rect { y, height: area.bottom().saturating_sub(y), ..area };
    let vdevs = worst_first(status, usize::from(rest.height.saturating_sub(1)));
    let table = Table::new(rest, &VDEVS, 0, vdevs.len());
    let old = snapshot.storage.status.failure.is_some() || pool.suspended();
    table.draw(&vdevs, None, pen, vdev_mark, |vdev, part, width| {
        vdev_cell(snapshot, vdev, part, (old, width))
    });
    // What is left shows what the devices of all pools did.
    let used = u16::try_from(vdevs.len()).unwrap_or(u16::MAX).saturating_add(2);
    let charts = Rect { y: rest.y.saturating_add(used), height: rest.height.saturating_sub(used), ..rest };
    cache::charts(state, snapshot, charts, pen);
}

/// All vdevs in ZFS's order; where they do not fit, those with something to tell come first.
fn worst_first(status: &PoolStatus, room: usize) -> Vec<&Vdev> {
    let mut vdevs: Vec<&Vdev> = status.vdevs.iter().collect();
    if vdevs.len() > room {
        vdevs.sort_by_key(|vdev| &*vdev.state == "ONLINE" && vdev.errors() == 0);
    }
    vdevs
}

fn sentences(snapshot: &Snapshot, pool: &PoolView<'_>) -> Vec<(String, Role)> {
    let mut lines = Vec::new();
    if pool.suspended() {
        let text = "✗ I/O is suspended: whatever opens a file on this pool hangs until it is cleared. The tools are not \
                    asked about it; what stands below is from before.";
        lines.push((text.to_owned(), Role::Critical));
    }
    if let Some((text, role)) = staleness(snapshot, "zpool status", &snapshot.storage.status) {
        lines.push((text, role));
    }
    if let Some(status) = pool.status {
        let id = status.message_id.as_deref().map_or_else(String::new, |id| format!(" ({id})"));
        if let Some(text) = &status.status {
            lines.push((format!("! {text}{id}"), Role::Warning));
        }
        if let Some(text) = &status.action {
            lines.push((format!("  {text}"), Role::Text));
        }
        if let Some(errors) = status.data_errors.filter(|errors| *errors > 0) {
            let text =
                format!("✗ {errors} files or blocks have permanent errors: zpool status -v {}", pool.name);
            lines.push((text, Role::Critical));
        }
        let (text, role) = scan_words(status.scan.as_ref(), snapshot);
        lines.push((text, role));
    }
    lines
}

fn vdev_mark(vdev: &&Vdev) -> (&'static str, Role) {
    match (&*vdev.state, vdev.errors()) {
        ("ONLINE" | "AVAIL" | "INUSE" | "", 0) => ("·", Role::Muted),
        ("ONLINE" | "DEGRADED", _) => ("!", Role::Warning),
        _ => ("✗", Role::Critical),
    }
}

fn vdev_cell(snapshot: &Snapshot, vdev: &Vdev, part: Part, (old, columns): (bool, u16)) -> (String, Role) {
    let text = if old { Role::Stale } else { Role::Text };
    let disk = vdev.disk.as_deref().and_then(|disk| snapshot.storage.disk(disk));
    match part {
        Part::Name => {
            // A link by id is long, and its beginning is the same for all.
            let name = vdev.name.strip_prefix("/dev/disk/by-id/").or_else(|| vdev.name.strip_prefix("/dev/"));
            let class = match (&*vdev.class, vdev.depth) {
                ("normal", _) | (_, 1..) => String::new(),
                (class, 0) => format!("{class}: "),
            };
            let indent = "  ".repeat(usize::from(vdev.depth));
            let room = columns.saturating_sub(width(&indent) + width(&class));
            (format!("{indent}{class}{}", end_of(name.unwrap_or(&vdev.name), room)), text)
        }
        Part::State => {
            let role = match vdev_mark(&vdev).1 {
                Role::Muted => text,
                other => other,
            };
            (vdev.state.to_string(), role)
        }
        Part::Errors(count) => match count(vdev) {
            0 => ("0".into(), Role::Muted),
            errors => (errors.to_string(), Role::Critical),
        },
        Part::Slow => match vdev.slow_ios {
            None | Some(0) => (String::new(), Role::Muted),
            Some(slow) => (slow.to_string(), Role::Warning),
        },
        Part::Disk => (vdev.disk.as_deref().unwrap_or_default().to_owned(), Role::Muted),
        Part::Read => disk.map_or_else(no_disk, |disk| words::reading(&disk.read, Role::Text)),
        Part::Write => disk.map_or_else(no_disk, |disk| words::reading(&disk.write, Role::Text)),
    }
}

/// A mirror is no device, and an unplugged leg has none.
fn no_disk() -> (String, Role) {
    (String::new(), Role::Muted)
}

/// The end of a name that is too long: links by id differ there.
fn end_of(name: &str, columns: u16) -> String {
    let excess = width(name).saturating_sub(columns);
    if excess == 0 {
        return name.to_owned();
    }
    let end: String = name.chars().skip(usize::from(excess) + 1).collect();
    format!("…{end}")
}

fn filesystem(each: &FileSystem, area: Rect, pen: &mut Pen<'_>) {
    if area.height < 2 {
        return;
    }
    pen.rule(area.x, area.y, area.width, &format!("File system {}", each.mount_point));
    let device = each.disk.as_deref().map_or_else(String::new, |disk| format!(", device {disk}"));
    let mode = if each.read_only { "read-only" } else { "read and write" };
    let text = format!("{} of type {}, {mode}{device}", each.source, each.kind);
    let mut y = area.y + 1;
    let failure = each.size.as_ref().err().map(|absence| (format!("space: {absence}"), Role::Warning));
    for (text, role) in std::iter::once((text, Role::Text)).chain(failure) {
        for line in wrapped(&text, area.width.max(1)) {
            if y >= area.bottom() {
                return;
            }
            pen.text(area.x, y, area.width, &line, role);
            y += 1;
        }
    }
}
