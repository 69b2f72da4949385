//! Writes text by role into the buffer, and never outside of it.

use crate::ui::theme::{Role, Theme};
use crate::units::printable;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that `text` takes.
pub(in crate::ui) fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// `text` in at most `columns`, with an ellipsis where something is left out.
pub(in crate::ui) fn fitted(text: &str, columns: u16) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut room = usize::from(columns).saturating_sub(1);
    let mut cut = String::new();
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if columns > room {
            break;
        }
        room -= columns;
        cut.push(character);
    }
    if columns > 0 {
        cut.push('…');
    }
    Cow::Owned(cut)
}

/// The buffer and the theme.
pub(in crate::ui) struct Pen<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
}

impl<'a> Pen<'a> {
    pub(in crate::ui) const fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        Self { buffer, theme }
    }

    /// The theme.
    pub(in crate::ui) const fn theme(&self) -> &'a Theme {
        self.theme
    }

    /// Writes at most `columns` of `text`; gives the column after it.
    pub(in crate::ui) fn text(&mut self, x: u16, y: u16, columns: u16, text: &str, role: Role) -> u16 {
        let style = self.theme.style(role);
        self.styled(x, y, columns, text, style)
    }

    /// The same, to the right end of `columns`.
    pub(in crate::ui) fn right(&mut self, x: u16, y: u16, columns: u16, text: &str, role: Role) {
        let text = fitted(text, columns);
        let start = x + columns.saturating_sub(width(&text));
        self.text(start, y, columns, &text, role);
    }

    /// The same, with a style. Text from the outside cannot carry control characters to the terminal: they are
    /// shown as `·`.
    pub(in crate::ui) fn styled(&mut self, x: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
        let area = self.buffer.area;
        if y < area.y || y >= area.bottom() || x < area.x || x >= area.right() || columns == 0 {
            return x;
        }
        let room = columns.min(area.right() - x);
        if let Some(end) = self.plain(x, y, room, text, style) {
            return end;
        }
        let text = fitted(text, room);
        self.buffer.set_stringn(x, y, printable(&text), usize::from(columns), style).0
    }

    /// Text of printable ASCII that fits, as nearly all is: a byte is a column there, and no graphemes are to be found.
    fn plain(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> Option<u16> {
        let columns = u16::try_from(text.len()).ok().filter(|columns| *columns <= room)?;
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        for (cell, byte) in self.cells(x, y, columns)?.iter_mut().zip(text.bytes()) {
            cell.set_char(char::from(byte)).set_style(style);
        }
        Some(x + columns)
    }

    /// One cell.
    pub(in crate::ui) fn cell(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(symbol).set_style(style);
        }
    }

    /// Empties `area` in the colours of a role.
    pub(in crate::ui) fn fill(&mut self, area: Rect, role: Role) {
        let mut empty = Cell::EMPTY;
        empty.set_style(self.theme.style(role));
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            if let Some(row) = self.cells(area.left(), y, area.width) {
                row.fill(empty.clone());
            }
        }
    }

    /// Cells of one row; `None` where they are not all in it.
    fn cells(&mut self, x: u16, y: u16, columns: u16) -> Option<&mut [Cell]> {
        let area = self.buffer.area;
        let (row, column) = (y.checked_sub(area.y)?, x.checked_sub(area.x)?);
        if row >= area.height || area.width.checked_sub(column)? < columns {
            return None;
        }
        let start = usize::from(row) * usize::from(area.width) + usize::from(column);
        self.buffer.content.get_mut(start..start + usize::from(columns))
    }

    /// Lays a role over what is written.
    pub(in crate::ui) fn over(&mut self, area: Rect, role: Role) {
        let style = self.theme.over(role);
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// A line across, with a title in it.
    pub(in crate::ui) fn rule(&mut self, x: u16, y: u16, columns: u16, title: &str) {
        let mut at = x;
        if !title.is_empty() {
            at = self.text(x, y, columns, title, Role::Title);
            at = self.text(at, y, (x + columns).saturating_sub(at), " ", Role::Border);
        }
        let rest = (x + columns).saturating_sub(at);
        self.text(at, y, rest, &"─".repeat(usize::from(rest)), Role::Border);
    }
}
