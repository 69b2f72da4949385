//! A table of the storage tab: headings, rows, the selected one marked.

use crate::ui::tabs::tell_hidden;
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, Placed, place};
use crate::ui::words;
use ratatui::layout::{Position, Rect};

/// A column.
pub(super) const fn column<Id>(
    id: Id,
    title: &'static str,
    widths: (u16, u16),
    rank: u8,
    align: Align,
) -> Column<Id> {
    Column { id, title, least: widths.0, most: widths.1, rank, align }
}

/// Where a table stands.
pub(super) struct Table<Id> {
    /// The line of headings.
    pub(super) headings: Rect,
    /// The rows.
    pub(super) rows: Rect,
    /// The first row shown.
    pub(super) first: usize,
    /// The columns that fit.
    pub(super) columns: Vec<Placed<Id>>,
}

/// Columns of the longest word on hidden rows.
const HINT: u16 = 20;

/// The mark before a row.
const MARK: u16 = 2;

impl<Id: Copy> Table<Id> {
    /// A table of `count` rows in `area`, so that `selected` is among those shown.
    pub(super) fn new(area: Rect, columns: &[Column<Id>], selected: usize, count: usize) -> Self {
        let headings = Rect { height: area.height.min(1), ..area };
        let rows = Rect { y: headings.bottom(), height: area.height - headings.height, ..area };
        let first = crate::ui::tabs::first_row(selected, count, usize::from(rows.height));
        let columns = place(columns, area.x + MARK, area.width.saturating_sub(MARK), 1);
        Self { headings, rows, first, columns }
    }

    /// Draws headings and rows. `cell` gives the text of a cell of that width, `mark` what stands before a row.
    pub(super) fn draw<T>(
        &self,
        rows: &[T],
        selected: Option<usize>,
        pen: &mut Pen<'_>,
        mark: impl Fn(&T) -> (&'static str, Role),
        cell: impl Fn(&T, Id, u16) -> (String, Role),
    ) {
        if self.headings.height == 0 {
            return;
        }
        for column in &self.columns {
            put(pen, column, self.headings.y, column.title, Role::Muted);
        }
        // Beside the headings only: a number without its heading says less than a hidden row.
        let end = self.columns.last().map_or(self.headings.x, |column| column.x + column.width);
        let free = Rect { x: end, width: self.headings.right().saturating_sub(end), ..self.headings };
        if free.width >= HINT {
            tell_hidden(free, self.first, usize::from(self.rows.height), rows.len(), pen);
        }
        let lines = self.rows.top()..self.rows.bottom();
        for (y, (nth, row)) in lines.zip(rows.iter().enumerate().skip(self.first)) {
            let (text, role) = mark(row);
            pen.text(self.rows.x, y, 1, text, role);
            for column in &self.columns {
                let (text, role) = cell(row, column.id, column.width);
                put(pen, column, y, &words::narrowed(text, role, column.width), role);
            }
            if selected == Some(nth) {
                pen.over(Rect { y, height: 1, ..self.rows }, Role::Selection);
            }
        }
    }

    /// The row under a click.
    pub(super) fn row_at(&self, position: Position, count: usize) -> Option<usize> {
        if !self.rows.contains(position) {
            return None;
        }
        let row = self.first + usize::from(position.y - self.rows.y);
        (row < count).then_some(row)
    }
}

fn put<Id>(pen: &mut Pen<'_>, column: &Placed<Id>, y: u16, text: &str, role: Role) {
    match column.align {
        Align::Left => drop(pen.text(column.x, y, column.width, text, role)),
        Align::Right => pen.right(column.x, y, column.width, text, role),
    }
}
