//! The list of what can be done to a GPU or a process.

use super::ask::{Ask, Question};
use super::{Subject, plan};
use crate::actions::{Change, ClockDomain, ComputeMode, EccCounters, GpuFacts, SIGNALS};
use crate::app::{Effect, Overlay, State};
use crate::model::{GpuId, Reading, known};
use crate::units::Watts;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Everything.
    Actions,
    /// The compute modes.
    ComputeModes,
}

/// An open list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// What it is about.
    pub(crate) subject: Subject,
    /// Which.
    pub(crate) list: List,
    /// The selected entry.
    pub(crate) selected: usize,
}

impl Menu {
    pub(super) const fn new(subject: Subject, list: List) -> Self {
        Self { subject, list, selected: 0 }
    }
}

/// What follows when an entry is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is planned.
    Plan(Change),
    /// A value is asked for first.
    Ask(Question),
    /// Another list opens.
    Open(List),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it does.
    pub label: String,
    /// How it is now, where that is known; else what else there is to say.
    pub now: String,
    /// What follows.
    pub then: Then,
}

fn entry(label: impl Into<String>, now: impl Into<String>, then: Then) -> Entry {
    Entry { label: label.into(), now: now.into(), then }
}

impl State {
    /// The entries of a list, as things are now.
    pub(crate) fn entries(&self, menu: &Menu) -> Vec<Entry> {
        match (&menu.subject, menu.list) {
            (Subject::Gpu(id), List::Actions) => {
                let mut entries = self.undo_entries(&menu.subject);
                entries.extend(self.gpu_facts(id).iter().flat_map(gpu_entries));
                entries
            }
            (Subject::Gpu(id), List::ComputeModes) => {
                let now = self.gpu_facts(id).and_then(|facts| known(&facts.compute_mode));
                compute_modes(now)
            }
            (Subject::Process(_), _) => {
                let mut entries = self.undo_entries(&menu.subject);
                entries.extend(process_entries());
                entries
            }
        }
    }

    fn undo_entries(&self, subject: &Subject) -> Vec<Entry> {
        let back = |change: &Change| format!("Undo: {} back to {}", change.setting(), change.wanted());
        self.undoable(subject)
            .rev()
            .map(|undo| entry(back(&undo.change), "", Then::Plan(undo.change.clone())))
            .collect()
    }

    /// What is known of a GPU now, however still the screen stands.
    pub(super) fn gpu_facts(&self, id: &GpuId) -> Option<GpuFacts> {
        let snapshot = &*self.current.as_ref()?.snapshot;
        let gpu = snapshot.gpus.iter().find(|gpu| gpu.id == *id)?;
        Some(GpuFacts::of_snapshot(snapshot, gpu))
    }
}

/// A reading, or why there is none.
fn told<T>(reading: &Reading<T>, text: impl Fn(&T) -> String) -> String {
    reading.as_ref().map_or_else(|absence| absence.label().to_owned(), text)
}

fn milliwatts(watts: Watts) -> u32 {
    (watts.0 * 1_000.0).round() as u32
}

fn gpu_entries(facts: &GpuFacts) -> Vec<Entry> {
    let range = |(least, most): &(Watts, Watts)| format!(", {least} to {most}");
    let limit = told(&facts.power_limit, ToString::to_string);
    let range = facts.power_range.as_ref().map(range).unwrap_or_default();
    let mut entries = vec![entry("Power limit…", format!("{limit}{range}"), Then::Ask(Question::PowerLimit))];
    if let Some(default) = known(&facts.default_power_limit) {
        let change = Change::PowerLimit { milliwatts: milliwatts(default) };
        entries.push(entry("Power limit back to the default", default.to_string(), Then::Plan(change)));
    }
    let domains = [
        (ClockDomain::Graphics, told(&facts.max_graphics_clock, |clock| format!("up to {clock}"))),
        (ClockDomain::Memory, told(&facts.max_memory_clock, |clock| format!("up to {clock}"))),
    ];
    for (domain, highest) in domains {
        let name = domain.name();
        entries.push(entry(format!("Lock the {name} clock…"), highest, Then::Ask(Question::Clocks(domain))));
        let lift = Then::Plan(Change::UnlockClocks { domain });
        entries.push(entry(format!("Lift the lock of the {name} clock"), "", lift));
    }
    let clocks = Then::Plan(Change::DefaultApplicationClocks);
    entries.push(entry("Application clocks back to default", "", clocks));
    // Where it cannot be read both are offered, and the plan says what stands in the way.
    let persistence = told(&facts.persistence, |on| if *on { "on" } else { "off" }.to_owned());
    let turns: &[bool] = match facts.persistence {
        Ok(true) => &[false],
        Ok(false) => &[true],
        Err(_) => &[true, false],
    };
    for on in turns {
        let label = format!("Persistence mode {}", if *on { "on" } else { "off" });
        entries.push(entry(label, format!("now {persistence}"), Then::Plan(Change::Persistence { on: *on })));
    }
    let mode = |number: &u32| {
        ComputeMode::from_number(*number).map_or_else(|| number.to_string(), |mode| mode.name().to_owned())
    };
    let now = format!("now {}", told(&facts.compute_mode, mode));
    entries.push(entry("Compute mode…", now, Then::Open(List::ComputeModes)));
    for counters in [EccCounters::Volatile, EccCounters::Aggregate] {
        let change = Change::ClearEcc { counters };
        let now = facts.current(&change).unwrap_or_else(|| "cannot be read".to_owned());
        entries.push(entry(format!("Clear the {} ECC counters", counters.name()), now, Then::Plan(change)));
    }
    entries.extend(mig_entries(facts));
    entries.push(entry("Reset the GPU", "", Then::Plan(Change::Reset)));
    entries
}

/// Instances are destroyed here; which can be made only the driver tells, and `kgtop act mig` asks it.
fn mig_entries(facts: &GpuFacts) -> Vec<Entry> {
    let instances = facts.mig_instances.as_deref().unwrap_or_default();
    let mut entries: Vec<Entry> = instances
        .iter()
        .filter_map(|instance| {
            let number = *instance.instance.as_ref().ok()?;
            let change = Change::MigDestroy { instance: Some(number) };
            Some(entry(format!("Destroy MIG instance {}", instance.name()), "", Then::Plan(change)))
        })
        .collect();
    if instances.len() > 1 {
        let now = format!("{} of them", instances.len());
        let change = Change::MigDestroy { instance: None };
        entries.push(entry("Destroy all MIG instances", now, Then::Plan(change)));
    }
    entries
}

fn compute_modes(now: Option<u32>) -> Vec<Entry> {
    [ComputeMode::Default, ComputeMode::ExclusiveProcess, ComputeMode::Prohibited]
        .into_iter()
        .map(|mode| {
            let is = if Some(mode.number()) == now { "as it is now" } else { "" };
            entry(format!("Compute mode {}", mode.name()), is, Then::Plan(Change::ComputeMode { mode }))
        })
        .collect()
}

fn process_entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = SIGNALS
        .iter()
        .map(|(name, number)| {
            let does = match *name {
                "TERM" => "asks it to end",
                "INT" => "as Ctrl-C does",
                "KILL" => "ends it at once",
                "HUP" => "many servers read their configuration again",
                "QUIT" => "ends it, often with a core dump",
                "STOP" => "holds it still",
                "CONT" => "lets it go on",
                _ => "as the program defines it",
            };
            let change = Change::Signal { name: (*name).to_owned() };
            entry(format!("Send SIG{name} ({number})"), does, Then::Plan(change))
        })
        .collect();
    entries.push(entry("Niceness…", "-20 (first) to 19 (last)", Then::Ask(Question::Niceness)));
    entries
}

/// Moves the selection: `to` gets the place and the number of entries.
pub(super) fn select(state: &mut State, to: impl FnOnce(usize, usize) -> usize) {
    let Overlay::Actions(menu) = &state.overlay else { return };
    let count = state.entries(menu).len();
    let place = to(menu.selected, count).min(count.saturating_sub(1));
    if let Overlay::Actions(menu) = &mut state.overlay {
        menu.selected = place;
    }
}

/// Takes the selected entry.
pub(super) fn choose(state: &mut State) -> Vec<Effect> {
    let Overlay::Actions(menu) = &state.overlay else { return Vec::new() };
    let subject = menu.subject.clone();
    let Some(entry) = state.entries(menu).into_iter().nth(menu.selected) else { return Vec::new() };
    match entry.then {
        Then::Plan(change) => return plan::begin(state, subject, change),
        Then::Ask(question) => state.overlay = Overlay::Ask(Ask::new(subject, question)),
        Then::Open(list) => state.overlay = Overlay::Actions(Menu::new(subject, list)),
    }
    Vec::new()
}
