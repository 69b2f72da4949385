//! The snapshots of the selected dataset, as far as they were listed.

use super::table::{Table, column};
use crate::app::State;
use crate::model::{DatasetView, ListingState, Snapshot, ZfsSnapshot};
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, width};
use crate::ui::words;
use crate::units::format_age;
use ratatui::layout::Rect;
use std::time::Duration;

#[derive(Clone, Copy)]
enum Id {
    Name,
    Used,
    Referenced,
    Age,
    Holds,
    Clones,
}

const COLUMNS: [Column<Id>; 6] = [
    column(Id::Name, "snapshot", (14, 44), 0, Align::Left),
    column(Id::Used, "used", (8, 8), 0, Align::Right),
    column(Id::Referenced, "refer", (8, 8), 2, Align::Right),
    column(Id::Age, "age", (4, 4), 0, Align::Right),
    column(Id::Holds, "holds", (5, 5), 3, Align::Right),
    column(Id::Clones, "clones", (10, 80), 4, Align::Left),
];

pub(super) fn render(
    state: &State,
    snapshot: &Snapshot,
    row: &DatasetView<'_>,
    area: Rect,
    pen: &mut Pen<'_>,
) {
    let listing = state.snapshots_shown(&snapshot.storage);
    let (text, role) = match listing {
        None => ("asking for the names … [Esc calls it off]".to_owned(), Role::Info),
        Some(listing) => {
            let done = listing.rows.len();
            let total = listing.total.map_or_else(|| "?".to_owned(), |total| total.to_string());
            match listing.state {
                ListingState::Running if listing.total.is_none() => {
                    ("asking for the names … [Esc calls it off]".to_owned(), Role::Info)
                }
                ListingState::Running => (format!("{done} of {total} … [Esc calls it off]"), Role::Info),
                ListingState::Done if done == 0 => ("none [Esc closes]".to_owned(), Role::Muted),
                ListingState::Done => (format!("{done} [Esc closes]"), Role::Muted),
                ListingState::Cancelled => {
                    (format!("called off at {done} of {total} [Esc closes]"), Role::Warning)
                }
                ListingState::Failed => {
                    let why = listing.problem.as_deref().unwrap_or("it does not say why");
                    (format!("failed: {why} [Esc closes]"), Role::Warning)
                }
            }
        }
    };
    let title = format!("Snapshots of {}", row.name);
    pen.rule(area.x, area.y, area.width, &title);
    let x = area.x + width(&title) + 1;
    let x = pen.text(x, area.y, area.right().saturating_sub(x), " ", Role::Text);
    pen.text(x.saturating_sub(1), area.y, area.right().saturating_sub(x), &format!("{text} "), role);
    let rows = listing.map(|listing| listing.rows.as_slice()).unwrap_or_default();
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let selected = state.storage.snapshot.min(rows.len().saturating_sub(1));
    let table = Table::new(body, &COLUMNS, selected, rows.len());
    let marked = (!rows.is_empty()).then_some(selected);
    table.draw(rows, marked, pen, |_| (" ", Role::Text), |row, id, _| cell(snapshot, row, id));
}

fn cell(snapshot: &Snapshot, row: &ZfsSnapshot, id: Id) -> (String, Role) {
    match id {
        Id::Name => (format!("@{}", row.name), Role::Strong),
        Id::Used => words::reading(&row.used, Role::Text),
        Id::Referenced => words::reading(&row.referenced, Role::Text),
        Id::Age => {
            let age = row.created.clone().map(|created| {
                let seconds = snapshot.wall.0.div_euclid(1_000_000) - created;
                format_age(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
            });
            words::reading(&age, Role::Text)
        }
        Id::Holds => match &row.holds {
            Ok(0) => ("0".into(), Role::Muted),
            other => words::reading(other, Role::Info),
        },
        Id::Clones => (row.clones.join(", "), Role::Text),
    }
}
