//! The selected GPU: charts and facts.

use crate::app::State;
use crate::ui::widgets::Pen;
use ratatui::layout::Rect;

pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some((_, gpu)) = state.selected_gpu() else { return };
    pen.rule(area.x, area.y, area.width, &gpu.id.to_string());
}
