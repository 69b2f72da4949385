//! The events tab: which incidents are shown, and which one is selected.

use super::{Effect, Motion, Overlay, State};
use crate::analysis::Severity;
use crate::analysis::events::{EventLog, Incident};
use crate::analysis::xid;
use crate::model::Gpu;

/// State of the tab.
#[derive(Clone, Debug, Default)]
pub struct EventsState {
    pub(crate) log: EventLog,
    /// The selected incident; `None`: the newest.
    pub(crate) selected: Option<u64>,
    /// What is shown.
    pub(crate) filter: Filter,
}

/// Which incidents are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All of them.
    #[default]
    All,
    /// Warnings and worse.
    Warnings,
    /// Critical ones.
    Critical,
    /// Those of the GPU that is selected in tab 1.
    SelectedGpu,
}

impl Filter {
    const fn next(self) -> Self {
        match self {
            Self::All => Self::Warnings,
            Self::Warnings => Self::Critical,
            Self::Critical => Self::SelectedGpu,
            Self::SelectedGpu => Self::All,
        }
    }

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Warnings => "warnings and worse",
            Self::Critical => "critical",
            Self::SelectedGpu => "of the selected GPU",
        }
    }
}

/// What the user can want here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Select another incident.
    Move(Motion),
    /// Select the incident of that place.
    SelectRow(usize),
    /// The next filter.
    NextFilter,
    /// Open the selected incident with its raw lines.
    ShowRaw,
}

impl State {
    /// The incidents that are shown, the newest first.
    pub(crate) fn incidents_shown(&self) -> Vec<&Incident> {
        let until = if self.is_frozen() { self.snapshot().map(|snapshot| snapshot.mono) } else { None };
        let gpu = self.selected_gpu().map(|(_, gpu)| &gpu.id);
        let shown = |incident: &&Incident| {
            let filter = match self.events.filter {
                Filter::All => true,
                Filter::Warnings => incident.severity >= Severity::Warning,
                Filter::Critical => incident.severity == Severity::Critical,
                Filter::SelectedGpu => incident.gpu.as_ref() == gpu,
            };
            filter && until.is_none_or(|until| incident.first.mono <= until)
        };
        self.events.log.incidents().rev().filter(shown).collect()
    }

    /// What happened to a GPU and was worse than information, the oldest first.
    pub(crate) fn incidents_of(&self, gpu: &Gpu) -> impl Iterator<Item = &Incident> {
        let of_gpu = move |incident: &&Incident| {
            incident.gpu.as_ref() == Some(&gpu.id) && incident.severity > Severity::Info
        };
        self.events.log.incidents().filter(of_gpu)
    }

    /// Place of the selected incident among those shown.
    pub(crate) fn selected_incident(&self, shown: &[&Incident]) -> usize {
        let selected = self.events.selected;
        selected.and_then(|id| shown.iter().position(|incident| incident.id == id)).unwrap_or(0)
    }
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: Intent) -> Vec<Effect> {
    let shown = state.incidents_shown();
    let place = state.selected_incident(&shown);
    let id = |place: usize| shown.get(place).map(|incident| incident.id);
    match intent {
        Intent::Move(motion) => {
            let moved = motion.apply(place, shown.len());
            // At the top the selection follows what is newest.
            let selected = if moved == 0 { None } else { id(moved) };
            state.events.selected = selected;
        }
        Intent::SelectRow(place) => state.events.selected = id(place),
        Intent::NextFilter => state.events.filter = state.events.filter.next(),
        Intent::ShowRaw => {
            if let Some(incident) = shown.get(place) {
                let overlay = Overlay::Notice {
                    title: incident.summary.clone(),
                    lines: raw_lines(incident),
                    scroll: 0,
                };
                state.overlay = overlay;
            }
        }
    }
    Vec::new()
}

/// An incident in full.
fn raw_lines(incident: &Incident) -> Vec<String> {
    let mut lines = vec![incident.summary.clone(), String::new()];
    if let Some(process) = incident.process_text() {
        lines.push(format!("process: {process}"));
    }
    if incident.count > 1 {
        lines.push(format!("reported {} times", incident.count));
    }
    for (code, count) in &incident.consequences {
        let what = xid::xid(*code).map_or("", |entry| entry.meaning);
        lines.push(format!("followed by Xid {code} × {count}: {what}"));
    }
    lines.push(format!("what to do: {}", incident.advice));
    if let Some((immediate, investigatory)) = incident.actions {
        lines.push(format!("NVIDIA: {}", xid::actions_text(immediate, investigatory)));
    }
    lines.push(String::new());
    lines.push("as it was logged:".into());
    lines.extend(incident.raw.iter().map(ToString::to_string));
    if incident.raw_left_out > 0 {
        lines.push(format!("… and {} more lines", incident.raw_left_out));
    }
    lines
}
