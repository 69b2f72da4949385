//! The plan on the screen: made from the newest snapshot and from what was just read of this host, and made anew
//! when it grows old or when what it rests on changes.

use super::Subject;
use crate::actions::{
    Change, HolderFacts, HostFacts, Plan, ProcessTarget, Refusal, STALE_AFTER, Weight, plan_gpu, plan_process,
};
use crate::app::{Effect, Overlay, State};
use crate::model::ProcessKey;
use crate::units::Mono;
use std::time::Duration;

/// A plan of this age is made anew: so much is left of [`STALE_AFTER`] that it is still good when it arrives where
/// it is carried out.
const RENEW_AFTER: Duration = Duration::from_secs(STALE_AFTER.as_secs() - 2);

/// What the runtime is asked to read for a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is wanted.
    pub change: Change,
    /// The process that it is about.
    pub process: Option<ProcessKey>,
    /// Number N of `/dev/nvidiaN` of the GPU that it is about.
    pub minor: Option<u32>,
}

/// What was read of this host for a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// What was asked.
    pub wanted: Wanted,
    /// When.
    pub now: Mono,
    /// The host, and who asks.
    pub host: HostFacts,
    /// Niceness of the process.
    pub nice: Option<i32>,
    /// Why the process is not proven to be the one that is meant.
    pub unproven: Option<Refusal>,
}

/// A plan on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanView {
    /// What it is about.
    pub(crate) subject: Subject,
    /// What is wanted.
    pub(crate) change: Change,
    /// The plan; `None` while what it needs is read.
    pub(crate) plan: Option<Plan>,
    /// Which of the plans that were put on the screen.
    pub(crate) generation: u64,
    /// It has been seen: it can be confirmed.
    pub(crate) armed: bool,
    /// What was typed to confirm it.
    pub(crate) typed: String,
    /// How often it was made anew.
    pub(crate) renewed: u32,
    /// What had changed when it was last replaced by another one.
    pub(crate) changed: Option<String>,
    /// First line shown.
    pub(crate) scroll: usize,
    /// What it needs is being read.
    asked: bool,
    /// What it was made from.
    preflight: Option<Preflight>,
}

impl PlanView {
    /// How it is confirmed, if it can be.
    pub(crate) fn weight(&self) -> Option<&Weight> {
        self.plan.as_ref().filter(|plan| plan.is_allowed() && !plan.already).map(|plan| &plan.weight)
    }

    /// Whether characters are what confirms it.
    #[must_use]
    pub(crate) fn is_typed(&self) -> bool {
        matches!(self.weight(), Some(Weight::Typed { .. }))
    }

    pub(super) fn backspace(&mut self) {
        self.typed.pop();
    }

    /// What this host said when the plan was made.
    pub(crate) fn host(&self) -> Option<&HostFacts> {
        self.preflight.as_ref().map(|preflight| &preflight.host)
    }
}

impl State {
    /// The plan that waits to have been seen; input confirms nothing before.
    #[must_use]
    pub fn plan_to_be_seen(&self) -> Option<u64> {
        match &self.overlay {
            Overlay::Plan(view) if !view.armed && view.weight().is_some() => Some(view.generation),
            _ => None,
        }
    }

    /// Whether the next key may confirm a plan.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        matches!(&self.overlay, Overlay::Plan(view) if view.armed && view.weight().is_some())
    }

    /// Age of the plan on the screen.
    pub(crate) fn plan_age(&self) -> Option<Duration> {
        let Overlay::Plan(view) = &self.overlay else { return None };
        Some(self.actions.now?.since(Mono(view.plan.as_ref()?.made_at)))
    }
}

/// Asks for what a plan needs; the plan follows.
pub(super) fn begin(state: &mut State, subject: Subject, change: Change) -> Vec<Effect> {
    state.actions.generation += 1;
    let view = PlanView {
        subject,
        change,
        plan: None,
        generation: state.actions.generation,
        armed: false,
        typed: String::new(),
        renewed: 0,
        changed: None,
        scroll: 0,
        asked: true,
        preflight: None,
    };
    let wanted = wanted(state, &view);
    state.overlay = Overlay::Plan(Box::new(view));
    // What is rarely read (limits, modes, counters) may be ten seconds old: it is read anew meanwhile.
    vec![Effect::Preflight(wanted), Effect::ReadAgain]
}

fn wanted(state: &State, view: &PlanView) -> Wanted {
    let (process, minor) = match &view.subject {
        Subject::Process(key) => (Some(*key), None),
        Subject::Gpu(id) => (None, state.gpu_facts(id).and_then(|facts| facts.minor.ok())),
    };
    Wanted { change: view.change.clone(), process, minor }
}

/// What was asked for came.
pub(in crate::app) fn take_preflight(state: &mut State, preflight: Preflight) -> Vec<Effect> {
    if state.authority().is_none() {
        state.drop_action();
        return Vec::new();
    }
    state.actions.now = state.actions.now.max(Some(preflight.now));
    let Overlay::Plan(view) = &state.overlay else { return Vec::new() };
    // An answer to what a plan asked that was closed meanwhile says nothing about this one.
    if !view.asked || preflight.wanted != wanted(state, view) {
        return Vec::new();
    }
    let Overlay::Plan(view) = &mut state.overlay else { return Vec::new() };
    view.asked = false;
    view.preflight = Some(preflight);
    remake(state, true);
    Vec::new()
}

/// Looks whether the plan on the screen still stands; `data` says that a new reading came.
pub(in crate::app) fn review(state: &mut State, data: bool) -> Vec<Effect> {
    if state.authority().is_none() {
        state.drop_action();
        return Vec::new();
    }
    let old = state.plan_age().is_some_and(|age| age >= RENEW_AFTER);
    let Overlay::Plan(view) = &mut state.overlay else { return Vec::new() };
    if view.asked || view.plan.is_none() {
        return Vec::new();
    }
    if old {
        view.asked = true;
        let Overlay::Plan(view) = &state.overlay else { return Vec::new() };
        return vec![Effect::Preflight(wanted(state, view))];
    }
    if data {
        remake(state, false);
    }
    Vec::new()
}

/// Makes the plan from the newest snapshot and the newest preflight. One that says the same keeps what was typed;
/// `fresh` says that its preflight is new, and so its age. Any other has to be seen again.
fn remake(state: &mut State, fresh: bool) {
    let Overlay::Plan(view) = &state.overlay else { return };
    let Some(preflight) = &view.preflight else { return };
    let made = if fresh { preflight.now } else { state.actions.now.unwrap_or(preflight.now) };
    let Some(plan) = make(state, view, preflight, made) else {
        state.overlay = Overlay::None;
        state.notice = Some("what this was about is not there any more; nothing was sent".into());
        return;
    };
    let generation = state.actions.generation + 1;
    let Overlay::Plan(view) = &mut state.overlay else { return };
    match &view.plan {
        Some(old) if substance(old) == substance(&plan) => {
            if fresh {
                view.renewed += 1;
                view.plan = Some(plan);
            }
        }
        old => {
            if let Some(old) = old {
                view.renewed += 1;
                view.changed = Some(difference(old, &plan));
            }
            view.plan = Some(plan);
            view.generation = generation;
            view.armed = false;
            view.typed.clear();
            state.actions.generation = generation;
        }
    }
}

fn make(state: &State, view: &PlanView, preflight: &Preflight, now: Mono) -> Option<Plan> {
    let host = &preflight.host;
    let plan = match &view.subject {
        Subject::Gpu(id) => plan_gpu(&state.gpu_facts(id)?, host, view.change.clone(), now),
        Subject::Process(key) => {
            let snapshot = &*state.current.as_ref()?.snapshot;
            let mut target = ProcessTarget::of_snapshot(snapshot, *key)?;
            target.nice = preflight.nice;
            plan_process(&target, host, view.change.clone(), now)
        }
    };
    Some(match &preflight.unproven {
        Some(refusal) if plan.is_allowed() => plan.refused(refusal.clone()),
        _ => plan,
    })
}

/// A plan without what changes by itself: its age, and the ages and memory of those it disturbs.
fn substance(plan: &Plan) -> Plan {
    let still = |holder: &HolderFacts| HolderFacts { age_seconds: None, memory: None, ..holder.clone() };
    Plan {
        made_at: 0,
        digest: String::new(),
        disturbed: plan.disturbed.iter().map(still).collect(),
        ..plan.clone()
    }
}

fn difference(old: &Plan, new: &Plan) -> String {
    let pids = |plan: &Plan| plan.disturbed.iter().map(|holder| holder.pid).collect::<Vec<_>>();
    if old.expected != new.expected {
        let now = new.expected.as_deref().unwrap_or("not readable");
        format!("the {} is {now} now", new.change.setting())
    } else if pids(old) != pids(new) {
        "other processes are on the GPU now".to_owned()
    } else if old.refusals != new.refusals {
        "what stands in its way changed".to_owned()
    } else {
        "what it rests on changed".to_owned()
    }
}

/// Whether the plan is young enough to be confirmed.
pub(super) fn is_fresh(state: &State) -> bool {
    state.plan_age().is_some_and(|age| age < STALE_AFTER)
}
