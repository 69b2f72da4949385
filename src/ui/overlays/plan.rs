//! A plan, and below it what is asked.

use super::{Line, marked, wrapped};
use crate::actions::{Plan, Weight};
use crate::app::State;
use crate::app::actions::PlanView;
use crate::ui::theme::Role;
use crate::ui::words;

/// Width of the labels: the longest has eight letters.
const LABEL: u16 = 10;

/// From this width on there is room for what identifies the target beyond doubt; it is seldom read.
const ROOMY: u16 = 50;

/// A label and its text, wrapped beneath itself.
pub(super) fn row(label: &str, text: &str, role: Role, columns: u16) -> Vec<Line> {
    let parts = wrapped(text, columns.saturating_sub(LABEL));
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels
        .zip(parts)
        .map(|(label, part)| vec![(format!("{label:<0$}", usize::from(LABEL)), Role::Muted), (part, role)])
        .collect()
}

/// The rows of the plan, as `--dry-run` prints them; how it is confirmed stands below.
pub(super) fn lines(view: &PlanView, columns: u16) -> Vec<Line> {
    let Some(plan) = &view.plan else { return Vec::new() };
    let mut lines = Vec::new();
    let mut above = "";
    for found in plan.rows() {
        let is_uuid = above == "GPU" && found.label.is_empty();
        above = found.label;
        if found.label == "Confirm" || is_uuid && columns < ROOMY {
            continue;
        }
        let role = match found.label {
            "Change" => Role::Strong,
            _ if found.is_refusal => Role::Critical,
            _ => Role::Text,
        };
        lines.extend(row(found.label, &found.text, role, columns));
    }
    lines.push(Vec::new());
    lines
}

/// What is asked, or why nothing is.
pub(super) fn asked(state: &State, view: &PlanView, columns: u16) -> Vec<Line> {
    let Some(plan) = &view.plan else {
        return vec![vec![("reading what the plan rests on…".to_owned(), Role::Muted)]];
    };
    let mut lines = Vec::new();
    if let Some(changed) = &view.changed {
        marked(&mut lines, "! ", &format!("made anew: {changed}"), Role::Warning, columns);
    }
    let age =
        state.plan_age().map_or_else(String::new, |age| format!("plan of {} ago", words::duration(age)));
    let again = match view.renewed {
        0 => String::new(),
        1 => ", made anew once".to_owned(),
        times => format!(", made anew {times} times"),
    };
    lines.push(vec![(format!("{age}{again}"), Role::Muted)]);
    match view.weight() {
        None => refused(plan, &mut lines, columns),
        Some(_) if !view.armed => {
            marked(&mut lines, "… ", "read it first; then it can be confirmed", Role::Muted, columns);
        }
        Some(Weight::Key) => marked(&mut lines, "? ", "Go on? y goes on, Esc leaves it", Role::Key, columns),
        Some(Weight::YesNo) if view.typed.is_empty() => {
            marked(&mut lines, "? ", "Go on? y/N", Role::Key, columns);
        }
        Some(Weight::YesNo) => {
            marked(&mut lines, "? ", "Go on? y/N  yes: Enter goes on, Esc leaves it", Role::Key, columns);
        }
        Some(Weight::Typed { text }) => {
            let question = format!("This cannot be taken back. Type {text} and Enter to go on:");
            marked(&mut lines, "? ", &question, Role::Key, columns);
            lines.push(vec![
                ("› ".to_owned(), Role::Accent),
                (view.typed.clone(), Role::Strong),
                ("▏".to_owned(), Role::Accent),
            ]);
        }
    }
    lines
}

fn refused(plan: &Plan, lines: &mut Vec<Line>, columns: u16) {
    if plan.already {
        marked(lines, "✓ ", "it is so already: there is nothing to send", Role::Good, columns);
    } else if plan.needs_only_root() {
        marked(
            lines,
            "! ",
            "only root may do this: s runs it through sudo, c copies it",
            Role::Warning,
            columns,
        );
    } else if let Some(first) = plan.refusals.first() {
        marked(lines, "✗ ", &format!("refused: {}", first.reason), Role::Critical, columns);
        let more = plan.refusals.len().saturating_sub(1);
        if more > 0 {
            let reasons = if more == 1 { "reason" } else { "reasons" };
            marked(lines, "  ", &format!("and {more} more {reasons} above"), Role::Muted, columns);
        }
    }
}
