//! A confirmed plan while it is carried out, and what came of it.

use super::plan::row;
use super::{Line, marked};
use crate::actions::{Outcome, Target};
use crate::app::State;
use crate::app::actions::Run;
use crate::ui::theme::Role;
use crate::ui::words;

pub(super) fn lines(state: &State, columns: u16) -> Vec<Line> {
    let Some(run) = state.run() else { return Vec::new() };
    let mut lines = Vec::new();
    let (of, target) = match &run.plan.target {
        Target::Gpu { label, address, .. } => ("GPU", format!("{label} at {address}")),
        Target::Process { pid, label, .. } => ("Process", format!("PID {pid}, {label}")),
    };
    lines.extend(row(of, &target, Role::Text, columns));
    let from = run.plan.expected.as_deref().map(|from| format!("{from} → ")).unwrap_or_default();
    let change = format!("{}: {from}{}", run.plan.change.setting(), run.plan.change.wanted());
    lines.extend(row("Change", &change, Role::Strong, columns));
    lines.push(Vec::new());
    steps(run, &mut lines, columns);
    lines.push(Vec::new());
    let age = state.run_age().map(took);
    match &run.outcome {
        None => {
            let age = age.map_or_else(String::new, |age| format!(" for {age}"));
            let text = format!("running{age}; it is never killed, and goes on when this window is closed");
            marked(&mut lines, "… ", &text, Role::Muted, columns);
        }
        Some(outcome) => {
            ended(outcome, &mut lines, columns);
            if let Some(age) = age {
                lines.extend(row("Took", &age, Role::Muted, columns));
            }
        }
    }
    lines
}

/// How it stands, and what it is: the rest may have no room.
pub(super) fn title(state: &State) -> String {
    state.run().map_or_else(String::new, |run| {
        let stands = match run.outcome {
            None => "Running",
            Some(Outcome::Done { .. }) => "Done",
            Some(Outcome::Refused { .. }) => "Refused",
            Some(Outcome::Failed { .. }) => "Failed",
        };
        format!("{stands}: {}: {}", run.plan.change.setting(), run.plan.change.wanted())
    })
}

/// A run is short as a rule: its time is told in more than whole seconds.
fn took(age: std::time::Duration) -> String {
    if age.as_secs() < 10 { format!("{:.1} s", age.as_secs_f32()) } else { words::duration(age) }
}

/// Every step before the last one is over; the last one is, if all is.
fn steps(run: &Run, lines: &mut Vec<Line>, columns: u16) {
    let last = run.steps.len().saturating_sub(1);
    for (place, step) in run.steps.iter().enumerate() {
        let over = place < last || matches!(run.outcome, Some(Outcome::Done { .. }));
        let (mark, role) = match (over, &run.outcome) {
            (true, _) => ("✓ ", Role::Text),
            (false, None) => ("› ", Role::Strong),
            (false, Some(_)) => ("✗ ", Role::Warning),
        };
        marked(lines, mark, step, role, columns);
    }
    if let Some((text, seconds)) = &run.waiting {
        marked(lines, "  ", &format!("waiting for {text}, {seconds} s"), Role::Warning, columns);
    }
}

fn ended(outcome: &Outcome, lines: &mut Vec<Line>, columns: u16) {
    match outcome {
        Outcome::Done { verified } => marked(lines, "✓ ", &format!("done: {verified}"), Role::Good, columns),
        Outcome::Refused { refusals } => {
            marked(lines, "✗ ", "refused: nothing was sent", Role::Critical, columns);
            for refusal in refusals {
                lines.extend(row("Why", &refusal.reason, Role::Text, columns));
            }
        }
        Outcome::Failed { error, now, advice } => {
            marked(lines, "✗ ", &format!("failed: {error}"), Role::Critical, columns);
            let now = now.as_deref().unwrap_or("cannot be read");
            lines.extend(row("Now", now, Role::Strong, columns));
            lines.extend(row("Next", advice, Role::Text, columns));
        }
    }
}
