//! Sentences with a label before them, each wrapped beneath its own text.

use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::Pen;
use ratatui::layout::Rect;

/// Label, text and role; without a label the text is a finding that begins with its mark.
pub(super) type Sentence = (&'static str, String, Role);

/// Columns of a mark and the blank after it.
const MARK: u16 = 2;

/// Draws as many as there is room for, the labels in `label` columns; the line below the last.
pub(super) fn draw(sentences: &[Sentence], label: u16, area: Rect, pen: &mut Pen<'_>) -> u16 {
    let mut y = area.y;
    for (name, text, role) in sentences {
        let (indent, text) = match text.split_once(' ').filter(|_| name.is_empty()) {
            Some((mark, rest)) => {
                pen_in(pen, area, y, MARK, mark, *role);
                (MARK, rest)
            }
            None => {
                pen_in(pen, area, y, label, name, Role::Muted);
                (label, text.as_str())
            }
        };
        let columns = area.width.saturating_sub(indent).max(1);
        for line in wrapped(text, columns) {
            if y >= area.bottom() {
                return y;
            }
            pen.text(area.x + indent, y, columns, &line, *role);
            y += 1;
        }
    }
    y
}

fn pen_in(pen: &mut Pen<'_>, area: Rect, y: u16, columns: u16, text: &str, role: Role) {
    if y < area.bottom() {
        pen.text(area.x, y, columns.min(area.width), text, role);
    }
}
