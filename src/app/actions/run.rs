//! A confirmed plan while it is carried out, and what came of it.

use super::{Subject, Undo};
use crate::actions::{Outcome, Plan, Progress};
use crate::app::{Effect, Overlay, State};
use crate::units::Mono;
use std::time::Duration;

/// The newest step is what is looked for.
pub(super) const AT_THE_END: usize = usize::MAX;
/// Steps that are kept: a run has a dozen.
const STEPS_KEPT: usize = 200;

/// What runs, or ran last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What it is about.
    pub(crate) subject: Subject,
    /// The plan.
    pub(crate) plan: Plan,
    /// The steps begun so far.
    pub(crate) steps: Vec<String>,
    /// What is waited for, and for how long already.
    pub(crate) waiting: Option<(String, u64)>,
    /// How it ended.
    pub(crate) outcome: Option<Outcome>,
    began: Option<Mono>,
    ended: Option<Mono>,
}

impl Run {
    pub(super) const fn new(subject: Subject, plan: Plan, now: Option<Mono>) -> Self {
        Self { subject, plan, steps: Vec::new(), waiting: None, outcome: None, began: now, ended: None }
    }

    /// Whether it has not ended.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.outcome.is_none()
    }
}

impl State {
    /// How long the run has taken, or took.
    pub(crate) fn run_age(&self) -> Option<Duration> {
        let run = self.run()?;
        Some(run.ended.or(self.actions.now)?.since(run.began?))
    }
}

/// A line of progress came.
pub(in crate::app) fn progress(state: &mut State, progress: Progress) -> Vec<Effect> {
    let Some(run) = state.actions.run.as_mut().filter(|run| run.is_running()) else { return Vec::new() };
    match progress {
        Progress::Step { text } => {
            run.waiting = None;
            if run.steps.len() < STEPS_KEPT {
                run.steps.push(text);
            }
        }
        Progress::Collector { wanted } => {
            state.actions.held = !wanted;
            return vec![Effect::HoldCollector(!wanted)];
        }
        Progress::Waiting { text, seconds } => run.waiting = Some((text, seconds)),
        Progress::End(outcome) => return ended(state, outcome),
    }
    Vec::new()
}

/// It is over.
pub(in crate::app) fn ended(state: &mut State, outcome: Outcome) -> Vec<Effect> {
    let now = state.actions.now;
    let Some(run) = state.actions.run.as_mut().filter(|run| run.is_running()) else { return Vec::new() };
    run.waiting = None;
    run.ended = now;
    let sent = !matches!(outcome, Outcome::Refused { .. });
    if !matches!(state.overlay, Overlay::Progress { .. }) {
        state.notice = Some(format!("{}: {}", run.plan.change.setting(), outcome.text()));
    }
    run.outcome = Some(outcome);
    if sent && let Subject::Process(_) = &run.subject {
        let subject = run.subject.clone();
        let undo = run.plan.undo.clone();
        state.actions.undo.retain(|undo| undo.subject != subject);
        state.actions.undo.extend(undo.map(|change| Undo { subject, change }));
    }
    let Some(run) = state.run() else { return Vec::new() };
    // What the driver says now is what the screen shall show, however it ended.
    let mut effects = vec![Effect::ReadAgain];
    if let Subject::Gpu(gpu) = &run.subject {
        effects.push(Effect::ReadUndoables(gpu.clone()));
    }
    if std::mem::take(&mut state.actions.held) {
        effects.push(Effect::HoldCollector(false));
    }
    effects
}
