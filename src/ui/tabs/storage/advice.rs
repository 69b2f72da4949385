//! What could be better, the gravest first: what, on what evidence, and the command that would change it.

use crate::analysis::storage::Advice;
use crate::app::State;
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::Pen;
use crate::ui::words;
use ratatui::layout::Rect;

pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let advice = state.storage_advice();
    if advice.is_empty() {
        pen.text(area.x, area.y, area.width, "✓ nothing to advise on what was read", Role::Good);
        return;
    }
    let mut y = area.y;
    let first = state.storage.advice.min(advice.len().saturating_sub(1));
    if first > 0 {
        pen.text(area.x, y, area.width, &format!("▴ {first} above"), Role::Key);
        y += 1;
    }
    for each in advice.iter().skip(first) {
        for (indent, text, role) in lines(each, area.width) {
            if y >= area.bottom() {
                return;
            }
            pen.text(area.x + indent, y, area.width.saturating_sub(indent), &text, role);
            y += 1;
        }
        y += 1;
    }
}

fn lines(advice: &Advice, columns: u16) -> Vec<(u16, String, Role)> {
    let (mark, role) = words::mark(advice.severity);
    let mut lines = Vec::new();
    let mut say = |indent: u16, text: &str, role: Role| {
        for line in wrapped(text, columns.saturating_sub(indent).max(1)) {
            lines.push((indent, line, role));
        }
    };
    say(0, &format!("{mark} {}", advice.summary), role);
    say(2, &format!("{} · {}", advice.rule, advice.evidence), Role::Muted);
    say(2, &advice.advice, Role::Text);
    if let Some(command) = &advice.command {
        say(4, &format!("$ {command}"), Role::Strong);
    }
    lines
}
