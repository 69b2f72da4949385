//! The doctor tab: what the checks found, in which order, and which one is selected.

use super::{Effect, Motion, Overlay, State, Tab};
use crate::analysis::doctor::{self, Examined, Layer, Outcome};
use crate::analysis::events::Incident;
use crate::model::{Grouped, HostFiles, Inventory, Snapshot};
use std::sync::Arc;

/// In which order the checks stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What is wrong first, the rest from the bottom layer to the top one.
    #[default]
    WorstFirst,
    /// From the bottom layer to the top one.
    Layers,
}

impl Order {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorstFirst => "worst first",
            Self::Layers => "by layer",
        }
    }
}

/// What the doctor tab remembers.
#[derive(Clone, Debug, Default)]
pub struct DoctorState {
    /// What the checks found in the snapshot that is shown, in the order that is shown.
    pub(crate) examined: Vec<Examined>,
    /// The order.
    pub(crate) order: Order,
    /// The selected check; `None`: the first, whatever it is.
    selected: Option<&'static str>,
    /// The snapshot and the order that were examined last.
    of: Option<(Arc<Snapshot>, Order)>,
    /// What failed when the facts were last new; `None`: nothing, or they were not read.
    pub(super) failed: Option<Failed>,
    /// The facts that `failed` stands on.
    judged: Option<Facts>,
}

/// Checks that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// How many.
    pub count: usize,
    /// What the most likely cause among them found.
    pub first: String,
}

/// What the checks rest on and what is seldom read: they are made again when one of these is new.
#[derive(Clone, Debug)]
struct Facts {
    files: Arc<Grouped<HostFiles>>,
    inventory: Arc<Inventory>,
}

impl Facts {
    /// Those of a snapshot, once the files of the host were read, all of them.
    fn of(snapshot: &Snapshot) -> Option<Self> {
        let files = snapshot.host_files.as_ref().filter(|group| group.value.pending.is_none())?;
        Some(Self { files: Arc::clone(files), inventory: Arc::clone(&snapshot.inventory) })
    }

    fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.files, &other.files) && Arc::ptr_eq(&self.inventory, &other.inventory)
    }
}

/// What can be asked of the doctor tab.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Move the selection.
    Move(Motion),
    /// Select that row.
    SelectRow(usize),
    /// The other order.
    NextOrder,
    /// Open the selected check in full.
    ShowDetail,
    /// Copy the commands of the selected check.
    CopyCommands,
}

impl State {
    /// Place of the selected check.
    pub(crate) fn selected_check(&self) -> usize {
        let selected = self.doctor.selected;
        self.doctor.examined.iter().position(|one| Some(one.check.id) == selected).unwrap_or(0)
    }

    /// The checks that failed, as far as the files of the host were read. Those of health are left out: they say what
    /// the findings say, and go with them.
    pub(crate) const fn failed_check(&self) -> Option<&Failed> {
        self.doctor.failed.as_ref()
    }

    /// Whether the checks were made of what is shown: before the files of the host are read, all of them, that no
    /// check failed says nothing.
    pub const fn doctor_has_judged(&self) -> bool {
        self.doctor.judged.is_some()
    }

    /// Counts what failed, when the facts are new.
    fn refresh_failed(&mut self) {
        let facts = self.shown().and_then(|shown| Facts::of(&shown.snapshot));
        let Some((facts, shown)) = facts.zip(self.shown()) else {
            (self.doctor.failed, self.doctor.judged) = (None, None);
            return;
        };
        if self.doctor.judged.as_ref().is_some_and(|judged| judged.are(&facts)) {
            return;
        }
        let incidents: Vec<&Incident> = self.events.log.incidents().collect();
        let mut failed = doctor::examine(&shown.snapshot, &shown.verdicts, &incidents);
        failed.retain(|one| one.found.outcome == Outcome::Fail && one.check.layer != Layer::Health);
        doctor::worst_first(&mut failed);
        let count = failed.len();
        self.doctor.failed = failed.into_iter().next().map(|one| Failed { count, first: one.found.summary });
        self.doctor.judged = Some(facts);
    }

    /// Examines what is shown, unless it was or nobody looks.
    pub(super) fn refresh_doctor(&mut self) {
        self.refresh_failed();
        if self.tab != Tab::Doctor {
            self.doctor.of = None;
            return;
        }
        let Some(shown) = self.shown() else {
            (self.doctor.examined, self.doctor.of) = (Vec::new(), None);
            return;
        };
        let order = self.doctor.order;
        let known = self.doctor.of.as_ref();
        if known.is_some_and(|(of, by)| Arc::ptr_eq(of, &shown.snapshot) && *by == order) {
            return;
        }
        let snapshot = Arc::clone(&shown.snapshot);
        let until = if self.is_frozen() { Some(snapshot.mono) } else { None };
        let happened = |incident: &&Incident| until.is_none_or(|until| incident.first.mono <= until);
        let incidents: Vec<&Incident> = self.events.log.incidents().filter(happened).collect();
        let mut examined = doctor::examine(&snapshot, &shown.verdicts, &incidents);
        if order == Order::WorstFirst {
            doctor::worst_first(&mut examined);
        }
        self.doctor.examined = examined;
        self.doctor.of = Some((snapshot, order));
    }
}

/// Selects what is worst.
pub(super) fn show_worst(state: &mut State) {
    (state.doctor.order, state.doctor.selected) = (Order::WorstFirst, None);
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: &Intent) -> Vec<Effect> {
    let place = state.selected_check();
    let id = |state: &State, place: usize| state.doctor.examined.get(place).map(|one| one.check.id);
    match intent {
        Intent::Move(motion) => {
            let moved = motion.apply(place, state.doctor.examined.len());
            // At the top the selection follows what is worst.
            state.doctor.selected = if moved == 0 { None } else { id(state, moved) };
        }
        Intent::SelectRow(place) => state.doctor.selected = id(state, *place),
        Intent::NextOrder => {
            state.doctor.order = match state.doctor.order {
                Order::WorstFirst => Order::Layers,
                Order::Layers => Order::WorstFirst,
            };
        }
        Intent::ShowDetail => {
            if let Some(one) = state.doctor.examined.get(place) {
                let title = format!("{}: {}", one.check.layer.title(), one.check.title);
                state.overlay = Overlay::Notice { title, lines: in_full(one), scroll: 0 };
            }
        }
        Intent::CopyCommands => {
            let commands = state.doctor.examined.get(place).map(|one| one.found.fix.join("\n"));
            let Some(commands) = commands.filter(|commands| !commands.is_empty()) else {
                state.notice = Some("this check has no commands".into());
                return Vec::new();
            };
            state.notice = Some("copied the commands".into());
            return vec![Effect::Copy(commands)];
        }
    }
    Vec::new()
}

/// A check in full.
fn in_full(Examined { check, found }: &Examined) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", found.outcome.name(), found.summary), String::new()];
    let seen = if found.outcome == Outcome::Fail { "seen as" } else { "would be seen as" };
    lines.push(format!("{seen}: {}", check.symptom));
    lines.extend(found.advice.iter().map(|advice| format!("what to do: {advice}")));
    if !found.fix.is_empty() {
        lines.extend([String::new(), "commands:".into()]);
        lines.extend(found.fix.iter().map(|command| format!("$ {command}")));
    }
    if !found.evidence.is_empty() {
        lines.extend([String::new(), "evidence:".into()]);
        lines.extend(found.evidence.iter().map(|seen| format!("{}: {}", seen.place, seen.text)));
    }
    lines
}
