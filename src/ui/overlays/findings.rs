//! All findings, the worst first, with evidence and advice.

use super::{Line, labelled, wrapped};
use crate::app::State;
use crate::ui::theme::Role;
use crate::ui::words;

pub(super) fn lines(state: &State, columns: u16) -> Vec<Line> {
    let Some(snapshot) = state.snapshot() else {
        return vec![vec![("waiting for the first reading".into(), Role::Muted)]];
    };
    if state.verdicts().is_empty() {
        return vec![vec![("✓ all clear: nothing to report".into(), Role::Good)]];
    }
    let mut lines = Vec::new();
    for verdict in state.verdicts() {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        let (mark, role) = words::mark(verdict.severity);
        for (index, part) in wrapped(&verdict.summary, columns.saturating_sub(2)).into_iter().enumerate() {
            lines.push(vec![(if index == 0 { format!("{mark} ") } else { "  ".into() }, role), (part, role)]);
        }
        let since = words::duration(snapshot.mono.since(verdict.since));
        lines.extend(labelled("  since", &format!("{since} ago"), Role::Text, columns));
        lines.extend(labelled("  evidence", &verdict.evidence, Role::Text, columns));
        lines.extend(labelled("  what to do", &verdict.advice, Role::Strong, columns));
    }
    lines
}
