//! All keys, from the key table.

use super::{Line, wrapped};
use crate::app::State;
use crate::ui::keys::{self, Context};
use crate::ui::theme::Role;

/// Columns of the key before what it does.
const KEY: u16 = 13;

/// What holds here first, then the rest.
pub(super) fn lines(state: &State, columns: u16) -> Vec<Line> {
    let here = keys::beneath(state);
    let mut rest = keys::all(state.authority().is_some());
    rest.retain(|context| !here.iter().any(|known| std::ptr::eq(*known, *context)));
    let mut lines = Vec::new();
    section(&mut lines, &here, columns);
    lines.extend([Vec::new(), vec![("Elsewhere".into(), Role::Strong)]]);
    for context in rest {
        section(&mut lines, &[context], columns);
    }
    lines
}

/// Contexts of which an earlier one wins.
fn section(lines: &mut Vec<Line>, contexts: &[&'static Context], columns: u16) {
    for (context, entries) in keys::entries(contexts) {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![(context.name.to_string(), Role::Title)]);
        for entry in entries {
            let mut label = format!("  {:<11}", entry.label);
            for part in wrapped(entry.binding.help, columns.saturating_sub(KEY)) {
                lines.push(vec![
                    (std::mem::replace(&mut label, " ".repeat(KEY.into())), Role::Key),
                    (part, Role::Text),
                ]);
            }
        }
    }
}
