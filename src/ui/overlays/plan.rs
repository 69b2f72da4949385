//! A plan, and below it what is asked.

use super::{Line, marked, wrapped};
use crate::actions::{Plan, Weight};
use crate::app::State;
use crate::app::actions::PlanView;
use crate::ui::theme::Role;
use crate::ui::words;
use std::ops::Range;

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

/// The rows of the plan, as `--dry-run` prints them, and which of the lines are the change; how it is confirmed stands
/// below.
fn rows(plan: &Plan, columns: u16) -> (Vec<Line>, Range<usize>) {
    let mut lines = Vec::new();
    let mut change = 0..0;
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
        let first = lines.len();
        lines.extend(row(found.label, &found.text, role, columns));
        if found.label == "Change" {
            change = first..lines.len();
        }
    }
    lines.push(Vec::new());
    (lines, change)
}

/// How a plan stands where there is not room for all of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Everything up to the change, and all that is asked.
    Whole,
    /// The change comes first.
    ChangeFirst,
    /// The same, without the age of the plan.
    WithoutAge,
}

/// How the change of a plan that can be confirmed and its question stand in `most` lines; `None`: not at all, and
/// nothing is confirmed then.
pub(super) fn fit(state: &State, view: &PlanView, columns: u16, most: u16) -> Option<Fit> {
    let (_, change) = rows(view.plan.as_ref()?, columns);
    let notes = notes(state, view, columns);
    // It must not depend on whether it was read already.
    let unread = question(view, false, columns).len();
    let question = question(view, true, columns).len().max(unread);
    let fits = |lines: usize| lines <= usize::from(most);
    if fits(change.end + notes.len() + question) {
        Some(Fit::Whole)
    } else if fits(change.len() + notes.len() + question) {
        Some(Fit::ChangeFirst)
    } else if fits(change.len() + notes.len() - 1 + question) {
        Some(Fit::WithoutAge)
    } else {
        None
    }
}

/// The lines that scroll, and what is asked below them, in `most` lines.
pub(super) fn parts(state: &State, view: &PlanView, columns: u16, most: u16) -> (Vec<Line>, Vec<Line>) {
    let Some(plan) = &view.plan else {
        let reading = vec![("reading what the plan rests on…".to_owned(), Role::Muted)];
        return (Vec::new(), vec![reading]);
    };
    let (mut rows, change) = rows(plan, columns);
    let mut notes = notes(state, view, columns);
    let mut question = question(view, view.armed, columns);
    if view.weight().is_none() {
        if notes.len() + question.len() < usize::from(most) {
            notes.append(&mut question);
            return (rows, notes);
        }
        // Too low for both: why it is refused comes first, and scrolls with the rest.
        question.append(&mut rows);
        return (question, Vec::new());
    }
    let Some(fit) = fit(state, view, columns, most) else {
        let mut lines = Vec::new();
        marked(&mut lines, "! ", "too low to confirm", Role::Warning, columns);
        lines.append(&mut rows);
        return (lines, Vec::new());
    };
    if fit != Fit::Whole {
        let first: Vec<Line> = rows.drain(change).collect();
        rows.splice(0..0, first);
    }
    if fit == Fit::WithoutAge {
        notes.pop();
    }
    notes.append(&mut question);
    (rows, notes)
}

/// What is to be known of the plan itself; its age comes last.
fn notes(state: &State, view: &PlanView, columns: u16) -> Vec<Line> {
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
    lines
}

/// What is asked, or why nothing is.
fn question(view: &PlanView, armed: bool, columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    let Some(plan) = &view.plan else { return lines };
    match view.weight() {
        None => refused(plan, &mut lines, columns),
        Some(_) if !armed => {
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
