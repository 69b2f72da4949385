//! Datasets as a tree or by activity; below, everything about the selected one, or its snapshots.

use super::sentences::{self, Sentence};
use super::table::{Table, column};
use super::{snapshots, staleness, without_zfs};
use crate::app::State;
use crate::model::{Dataset, DatasetView, Reading, Snapshot};
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen};
use crate::ui::words;
use crate::units::{Bytes, Mono};
use ratatui::layout::{Position, Rect};
use std::fmt::Display;

#[derive(Clone, Copy)]
enum Id {
    Name,
    Used,
    Available,
    Referenced,
    Snapshots,
    Ratio,
    RecordSize,
    Compression,
    Atime,
    PrimaryCache,
    SecondaryCache,
    Read,
    Write,
    Chart,
}

const COLUMNS: [Column<Id>; 14] = [
    column(Id::Name, "dataset", (14, 40), 0, Align::Left),
    column(Id::Used, "used", (8, 8), 3, Align::Right),
    column(Id::Available, "avail", (8, 8), 7, Align::Right),
    column(Id::Referenced, "refer", (8, 8), 8, Align::Right),
    column(Id::Snapshots, "snaps", (8, 8), 6, Align::Right),
    column(Id::Ratio, "ratio", (5, 5), 9, Align::Right),
    column(Id::RecordSize, "record", (8, 8), 5, Align::Right),
    column(Id::Compression, "compress", (8, 8), 10, Align::Left),
    column(Id::Atime, "atime", (5, 5), 11, Align::Left),
    column(Id::PrimaryCache, "primary", (8, 8), 4, Align::Left),
    column(Id::SecondaryCache, "second", (8, 8), 12, Align::Left),
    column(Id::Read, "read", (9, 9), 0, Align::Right),
    column(Id::Write, "write", (9, 9), 1, Align::Right),
    column(Id::Chart, "last minute", (12, 12), 2, Align::Left),
];

/// Columns of a label in the detail.
const LABEL: u16 = 11;
/// Buckets of the small chart: a minute.
const CHART: usize = 12;
/// Heights of the small chart.
const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Lines of the detail, where there is room for it.
const DETAIL: u16 = 9;
/// From this height on there is a detail.
const WITH_DETAIL: u16 = 16;

fn parts(state: &State, area: Rect) -> (Rect, Rect) {
    // A list of snapshots takes half of it.
    let below = match (state.storage.snapshots_of.is_some(), area.height >= WITH_DETAIL) {
        (true, _) => area.height / 2,
        (false, true) => DETAIL,
        (false, false) => 0,
    };
    let table = Rect { height: area.height - below, ..area };
    (table, Rect { y: table.bottom(), height: below, ..area })
}

pub(super) fn render(state: &State, snapshot: &Snapshot, area: Rect, pen: &mut Pen<'_>) {
    let storage = &snapshot.storage;
    if let Some(text) = without_zfs(state, storage) {
        pen.text(area.x, area.y, area.width, text, Role::Muted);
        return;
    }
    let (at, below) = parts(state, area);
    let rows = state.datasets_shown(storage);
    let at = match staleness(snapshot, "zfs list", &storage.properties) {
        Some((text, role)) if at.height > 2 => {
            pen.text(at.x, at.y, at.width, &text, role);
            Rect { y: at.y + 1, height: at.height - 1, ..at }
        }
        _ => at,
    };
    let selected = state.selected_dataset(&rows);
    let table = Table::new(at, &COLUMNS, selected, rows.len());
    table.draw(&rows, Some(selected), pen, mark, |row, id, _| cell(state, snapshot, row, id));
    let Some(row) = rows.get(selected).filter(|_| below.height > 0) else { return };
    if state.storage.snapshots_of.is_some() {
        snapshots::render(state, snapshot, row, below, pen);
    } else {
        detail(state, row, below, pen);
    }
}

pub(super) fn row_at(state: &State, snapshot: &Snapshot, area: Rect, position: Position) -> Option<usize> {
    if state.storage.snapshots_of.is_some() || without_zfs(state, &snapshot.storage).is_some() {
        return None;
    }
    let rows = state.datasets_shown(&snapshot.storage);
    let (at, _) = parts(state, area);
    let note = u16::from(snapshot.storage.properties.failure.is_some() && at.height > 2);
    let at = Rect { y: at.y + note, height: at.height - note, ..at };
    Table::new(at, &COLUMNS, state.selected_dataset(&rows), rows.len()).row_at(position, rows.len())
}

fn mark(row: &DatasetView<'_>) -> (&'static str, Role) {
    match row.properties {
        Some(properties) if properties.key_loaded == Some(false) => ("◌", Role::Warning),
        Some(properties) if properties.origin.is_some() => ("⑂", Role::Muted),
        Some(properties) if properties.volume => ("▪", Role::Muted),
        _ => (" ", Role::Muted),
    }
}

fn cell(state: &State, snapshot: &Snapshot, row: &DatasetView<'_>, id: Id) -> (String, Role) {
    let old = snapshot.storage.properties.failure.is_some() || snapshot.storage.suspended(&row.pool);
    let text = if old { Role::Stale } else { Role::Text };
    match id {
        Id::Name => (name(state, row), Role::Strong),
        Id::Read | Id::Write => match row.rates {
            Some(rates) => {
                let rate = if matches!(id, Id::Read) { &rates.read } else { &rates.write };
                match rate {
                    Ok(rate) if rate.0 < 1.0 => ("0 B/s".into(), Role::Muted),
                    other => words::reading(other, Role::Text),
                }
            }
            // Not mounted: nothing counts what happens to it.
            None => ("–".into(), Role::Absent),
        },
        Id::Chart => (small_chart(state, row, snapshot.mono), Role::Series1),
        other => match row.properties {
            Some(properties) => property(properties, other, text),
            None => words::absent(&snapshot.storage.properties.absence()),
        },
    }
}

fn name(state: &State, row: &DatasetView<'_>) -> String {
    if state.storage.by_activity {
        return row.name.to_string();
    }
    let depth = row.name.matches('/').count();
    let last = row.name.rsplit('/').next().unwrap_or_default();
    format!("{}{last}", "  ".repeat(depth))
}

fn property(dataset: &Dataset, id: Id, role: Role) -> (String, Role) {
    fn or_dash<T: Display>(reading: &Reading<T>, role: Role) -> (String, Role) {
        words::reading(reading, role)
    }
    match id {
        Id::Used => or_dash(&dataset.used, role),
        Id::Available => match dataset.available {
            Ok(Bytes(0)) => ("0 B".into(), Role::Critical),
            _ => or_dash(&dataset.available, role),
        },
        Id::Referenced => or_dash(&dataset.referenced, role),
        Id::Snapshots => or_dash(&dataset.used_by_snapshots, role),
        Id::Ratio => or_dash(&dataset.compress_ratio.clone().map(|ratio| format!("{ratio:.2}")), role),
        Id::RecordSize => or_dash(&dataset.record_size.clone().map(record), role),
        Id::Compression => (dataset.compression.to_string(), role),
        Id::Atime => or_dash(&dataset.atime.clone().map(|on| if on { "on" } else { "off" }), role),
        Id::PrimaryCache => (dataset.primary_cache.to_string(), role),
        Id::SecondaryCache => (dataset.secondary_cache.to_string(), role),
        Id::Name | Id::Read | Id::Write | Id::Chart => (String::new(), role),
    }
}

/// A record size is a power of two: `1 MiB`, `128 KiB`.
fn record(bytes: Bytes) -> String {
    match bytes.0 {
        bytes if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// Read and written together over the last minute, five seconds a column, against the most of it.
fn small_chart(state: &State, row: &DatasetView<'_>, now: Mono) -> String {
    let Some(tracks) = state.dataset_tracks(row) else { return String::new() };
    let (read, write) = (tracks.read.last(now, CHART), tracks.write.last(now, CHART));
    let sums: Vec<f32> = read.iter().zip(&write).map(|(read, write)| read + write).collect();
    let most = sums.iter().copied().filter(|value| value.is_finite()).fold(0.0, f32::max);
    let level = |value: f32| {
        if !value.is_finite() {
            return " ";
        }
        let share = if most > 0.0 { value / most } else { 0.0 };
        LEVELS.get(((share * 7.0).round() as usize).min(7)).copied().unwrap_or(" ")
    };
    sums.into_iter().map(level).collect()
}

fn detail(state: &State, row: &DatasetView<'_>, area: Rect, pen: &mut Pen<'_>) {
    pen.rule(area.x, area.y, area.width, &row.name);
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    sentences::draw(&sentences(state, row), LABEL, below, pen);
}

fn sentences(state: &State, row: &DatasetView<'_>) -> Vec<Sentence> {
    let mut lines = Vec::new();
    let say = |label, text: String| (label, text, Role::Text);
    if let Some(properties) = row.properties {
        let place = match &properties.mount_point {
            _ if properties.key_loaded == Some(false) => "locked: its key is not loaded".to_owned(),
            _ if properties.volume => "a volume".to_owned(),
            Some(point) if properties.mounted == Ok(true) => format!("mounted at {point}"),
            Some(point) => format!("not mounted (mountpoint {point})"),
            None => "not mounted".to_owned(),
        };
        lines.push(say("where", place));
        let space = [
            ("used", &properties.used),
            ("available", &properties.available),
            ("referenced", &properties.referenced),
            ("by snapshots", &properties.used_by_snapshots),
        ];
        let space = space.map(|(name, bytes)| format!("{} {name}", words::reading(bytes, Role::Text).0));
        lines.push(say("space", space.join(", ")));
        let ratio = properties.compress_ratio.clone().map(|ratio| format!("{ratio:.2}"));
        let record = properties.record_size.clone().map(record);
        lines.push(say(
            "layout",
            format!(
                "records of {}, compression {} (ratio {})",
                words::reading(&record, Role::Text).0,
                properties.compression,
                words::reading(&ratio, Role::Text).0,
            ),
        ));
        let atime =
            words::reading(&properties.atime.clone().map(|on| if on { "on" } else { "off" }), Role::Text).0;
        lines.push(say(
            "caching",
            format!(
                "primarycache {}, secondarycache {}, atime {atime}",
                properties.primary_cache, properties.secondary_cache
            ),
        ));
        if let Some(origin) = &properties.origin {
            lines.push(say("clone of", origin.to_string()));
        }
    }
    if let Some(rates) = row.rates {
        let reads = words::reading(&rates.reads.clone().map(|reads| format!("{reads:.0}")), Role::Text).0;
        lines.push(say(
            "traffic",
            format!(
                "{} read, {} written by programs, {reads} reads/s (a fault of a mapped page is one)",
                words::reading(&rates.read, Role::Text).0,
                words::reading(&rates.write, Role::Text).0,
            ),
        ));
    }
    for advice in state.storage_advice().into_iter().filter(|advice| *advice.subject == *row.name) {
        let (mark, role) = words::mark(advice.severity);
        lines.push(("", format!("{mark} {}", advice.summary), role));
    }
    lines
}
