//! All findings, the worst first, with evidence and advice.

use super::{Line, labelled, wrapped};
use crate::analysis::Verdict;
use crate::app::{State, Tab};
use crate::model::{Snapshot, SourceState};
use crate::ui::theme::Role;
use crate::ui::words;
use crate::units::format_age;
use std::ops::Range;
use std::time::Duration;

/// What the collector costs this machine.
fn own_cost(snapshot: &Snapshot, columns: u16) -> Vec<Line> {
    let Some(cost) = snapshot.cost else { return Vec::new() };
    let (cpu, _) = words::reading(&snapshot.cost_cpu.clone().map(|cpu| format!("{:.2}%", cpu.0)), Role::Text);
    let calls = words::counted(cost.calls, "driver call");
    let seconds = Duration::from_nanos(cost.call_ns).as_secs_f64();
    let text = format!("{cpu} of one core, {} resident, {calls} in {seconds:.1} s so far", cost.resident);
    let mut lines = vec![Vec::new()];
    lines.extend(labelled("collector", &text, Role::Muted, columns));
    lines
}

/// One finding: the sentence, and beneath it what stands behind it.
fn finding(snapshot: &Snapshot, verdict: &Verdict, is_selected: bool, columns: u16) -> Vec<Line> {
    let (mark, role) = words::mark(verdict.severity);
    let (pointer, text) = if is_selected { ("› ", Role::Selection) } else { ("  ", role) };
    let mut lines = Vec::new();
    for (index, part) in wrapped(&verdict.summary, columns.saturating_sub(4)).into_iter().enumerate() {
        let (pointer, mark) = if index == 0 { (pointer, format!("{mark} ")) } else { ("  ", "  ".into()) };
        lines.push(vec![(pointer.into(), text), (mark, role), (part, text)]);
    }
    let since = words::duration(snapshot.mono.since(verdict.since));
    let tab = Tab::of(verdict.area);
    lines.extend(labelled("  since", &format!("{since} ago"), Role::Text, columns));
    lines.extend(labelled("  evidence", &verdict.evidence, Role::Text, columns));
    lines.extend(labelled("  shown in", &format!("{} {}", tab.number(), tab.title()), Role::Text, columns));
    lines.extend(labelled("  what to do", &verdict.advice, Role::Strong, columns));
    lines
}

/// What stands below the findings and cannot be selected.
fn beside(lines: &mut Vec<Line>, text: &str, (mark, role): (&'static str, Role), columns: u16) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    let mut mark = format!("  {mark} ");
    for part in wrapped(text, columns.saturating_sub(4)) {
        lines.push(vec![(std::mem::replace(&mut mark, "    ".into()), role), (part, role)]);
    }
}

/// The lines of the finding of that place, among those of [`lines`].
pub(super) fn place(state: &State, place: usize, columns: u16) -> Range<usize> {
    let Some(snapshot) = state.snapshot() else { return 0..0 };
    let mut start = 0;
    for (index, verdict) in state.verdicts().iter().enumerate() {
        let end = start + finding(snapshot, verdict, false, columns).len();
        if index == place {
            return start..end;
        }
        start = end + 1;
    }
    0..0
}

pub(super) fn lines(state: &State, columns: u16) -> Vec<Line> {
    let Some(snapshot) = state.snapshot() else {
        return vec![vec![("waiting for the first reading".into(), Role::Muted)]];
    };
    let mut lines = Vec::new();
    let selected = state.selected_finding();
    for (place, verdict) in state.verdicts().iter().enumerate() {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.extend(finding(snapshot, verdict, place == selected, columns));
    }
    if state.is_late() {
        let text = format!("no reading for {}: what stands here is old", format_age(state.data_age()));
        beside(&mut lines, &text, ("!", Role::Warning), columns);
    }
    if let Some(failed) = state.failed_check() {
        beside(&mut lines, &words::failed_checks(failed), ("✗", Role::Critical), columns);
        let tab = format!("{} {}", Tab::Doctor.number(), Tab::Doctor.title());
        lines.extend(labelled("  shown in", &tab, Role::Text, columns));
    }
    if lines.is_empty() {
        let troubled = state.concerns().len();
        let (mark, role) = if troubled == 0 { ("✓", Role::Good) } else { ("!", Role::Warning) };
        let but = if troubled == 0 { "" } else { ", but not every source works" };
        lines.push(vec![(format!("{mark} nothing to report{but}"), role)]);
    }
    lines.push(Vec::new());
    lines.push(vec![("Sources".into(), Role::Title)]);
    for source in &snapshot.sources {
        let (mark, role) = match source.state {
            SourceState::Ok => ("✓", Role::BadgeOk),
            SourceState::Degraded => ("!", Role::BadgeDegraded),
            SourceState::Unavailable => ("✗", Role::BadgeUnavailable),
        };
        let label = format!("{mark} {}", source.name);
        let text = if source.reason.is_empty() { source.state.name() } else { &source.reason };
        let mut labelled = labelled(&label, text, Role::Text, columns);
        labelled.iter_mut().flat_map(|line| line.first_mut()).for_each(|piece| piece.1 = role);
        lines.extend(labelled);
    }
    lines.extend(own_cost(snapshot, columns));
    if snapshot.missed > 0 {
        let text = format!("{} samples were dropped because the reader was slow", snapshot.missed);
        lines.push(vec![(text, Role::Muted)]);
    }
    lines
}
