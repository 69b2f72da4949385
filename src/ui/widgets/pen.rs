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
        let text = fitted(text, columns.min(area.right() - x));
        self.buffer.set_stringn(x, y, printable(&text), usize::from(columns), style).0
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
        if area.is_empty() {
            return;
        }
        for y in area.top()..area.bottom() {
            let start = self.buffer.index_of(area.left(), y);
            let row = self.buffer.content.get_mut(start..start + usize::from(area.width));
            row.into_iter().for_each(|row| row.fill(empty.clone()));
        }
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
