//! All keys, from the key table.

use super::Line;
use crate::app::State;
use crate::ui::keys;
use crate::ui::theme::Role;

/// What holds here first, then the rest.
pub(super) fn lines(state: &State, _columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    for context in keys::all(state.authority().is_some()) {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![(context.name.to_string(), Role::Title)]);
        for binding in context.bindings {
            lines.push(vec![
                (format!("  {:<11}", binding.label), Role::Key),
                (binding.help.to_string(), Role::Text),
            ]);
        }
    }
    lines
}
