//! The models that are stored here.

use crate::app::State;
use crate::ui::theme::Role;
use crate::ui::widgets::Pen;
use ratatui::layout::Rect;

/// Draws the section.
pub(super) fn render(_state: &State, area: Rect, pen: &mut Pen<'_>) {
    pen.text(area.x, area.y, area.width, "no store of models was looked for", Role::Muted);
}
