//! The findings and what else is wrong: what comes first, which one is selected, and the way from one to the tab that
//! shows its evidence.

use super::doctor::Failed;
use super::topology::{self, Intent as Pair};
use super::{Effect, Motion, Overlay, State, Tab};
use crate::analysis::verdict::{Area, Key};
use crate::analysis::{Severity, Verdict};
use crate::model::{GpuId, SourceState, SourceStatus};

/// What the user can want of the findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Select another one.
    Move(Motion),
    /// Select the one of that place.
    Select(usize),
    /// Go to where the evidence of the selected one is shown.
    Open,
    /// The same for the worst one; where none stands, for what the doctor found.
    OpenWorst,
}

/// Something that is wrong, or worth knowing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Concern<'a> {
    /// A finding.
    Finding(&'a Verdict),
    /// Checks of the doctor that failed.
    Check(&'a Failed),
    /// A source that does not work as it should.
    Source(&'a SourceStatus),
}

impl Tab {
    /// The tab that shows the evidence of findings of that area.
    #[must_use]
    pub const fn of(area: Area) -> Self {
        match area {
            Area::Gpus => Self::Gpus,
            Area::Processes => Self::Processes,
            Area::Topology => Self::Topology,
            Area::Limits => Self::Limits,
            Area::Events => Self::Events,
            Area::Storage => Self::Storage,
            Area::Doctor => Self::Doctor,
        }
    }
}

impl State {
    /// All that is wrong, the worst first: findings from warnings up, what the doctor found, sources that do not work,
    /// then what is only worth knowing. A power cap that holds, as on every busy machine, hides nothing.
    pub(crate) fn concerns(&self) -> Vec<Concern<'_>> {
        let (warnings, notes): (Vec<&Verdict>, Vec<&Verdict>) =
            self.verdicts().iter().partition(|verdict| verdict.is_a_warning());
        let sources = self.snapshot().map(|snapshot| snapshot.sources.as_slice()).unwrap_or_default();
        let troubled = sources.iter().filter(|source| source.state != SourceState::Ok);
        let mut concerns: Vec<Concern<'_>> = warnings.into_iter().map(Concern::Finding).collect();
        concerns.extend(self.failed_check().map(Concern::Check));
        concerns.extend(troubled.map(Concern::Source));
        concerns.extend(notes.into_iter().map(Concern::Finding));
        concerns
    }

    /// Place of the finding that is selected in the window of findings: the worst one if none was selected yet, or
    /// the selected one does not stand any more.
    pub(crate) fn selected_finding(&self) -> usize {
        let Overlay::Findings { selected: Some(key), .. } = &self.overlay else { return 0 };
        self.verdicts().iter().position(|verdict| verdict.key() == *key).unwrap_or(0)
    }

    fn select_finding(&mut self, place: usize) {
        let key: Option<Key> = self.verdicts().get(place).map(Verdict::key);
        if let Overlay::Findings { selected, scroll } = &mut self.overlay {
            // At the top the selection follows what is worst.
            (*selected, *scroll) = (key.filter(|_| place > 0), None);
        }
    }
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: &Intent) -> Vec<Effect> {
    let place = state.selected_finding();
    match intent {
        Intent::Move(motion) => {
            let moved = motion.apply(place, state.verdicts().len());
            state.select_finding(moved);
        }
        Intent::Select(place) => state.select_finding(*place),
        Intent::Open => open(state, place),
        Intent::OpenWorst => open_worst(state),
    }
    Vec::new()
}

/// The same way for the first of the concerns.
fn open_worst(state: &mut State) {
    match state.concerns().first() {
        // The findings from warnings up stand first in both lists, and so does the first note where it is alone.
        Some(Concern::Finding(_)) => open(state, 0),
        Some(Concern::Check(_)) => {
            super::update::show_tab(state, Tab::Doctor);
            super::doctor::show_worst(state);
        }
        Some(Concern::Source(_)) => state.overlay = Overlay::Findings { selected: None, scroll: None },
        None => state.notice = Some("no finding stands: there is nothing to go to".into()),
    }
}

/// Shows the tab of a finding, with the GPU that it is about selected there.
fn open(state: &mut State, place: usize) {
    let Some(verdict) = state.verdicts().get(place) else { return };
    let (area, severity, gpu) = (verdict.area, verdict.severity, verdict.gpu.clone());
    super::update::show_tab(state, Tab::of(area));
    if let Some(gpu) = &gpu {
        state.gpus.selected = Some(gpu.clone());
    }
    match (area, &gpu) {
        (Area::Processes, Some(_)) => {
            super::gpus::update(state, super::gpus::Intent::ShowProcesses);
            state.refresh_rows();
        }
        (Area::Topology, Some(gpu)) => select_pair(state, gpu),
        (Area::Events, gpu) => select_incident(state, gpu.as_ref(), severity),
        (Area::Doctor, _) => super::doctor::show_worst(state),
        _ => {}
    }
}

/// Selects the GPU's row, and another GPU's column.
fn select_pair(state: &mut State, gpu: &GpuId) {
    let matrix = state.matrix();
    let Some(row) = matrix.devices.iter().position(|device| device.gpu.as_ref() == Some(gpu)) else { return };
    let (_, column) = state.selected_pair(&matrix);
    let column = if column == row { usize::from(row == 0) } else { column };
    topology::update(state, &Pair::Select(row, column));
}

/// Selects the newest incident that is as bad as the finding, of its GPU; a filter that hides it goes.
fn select_incident(state: &mut State, gpu: Option<&GpuId>, severity: Severity) {
    let find = |state: &State| {
        let shown = state.incidents_shown();
        let of_gpu = || shown.iter().filter(|incident| gpu.is_none() || incident.gpu.as_ref() == gpu);
        let worst = of_gpu().find(|incident| incident.severity >= severity);
        worst.or_else(|| of_gpu().next()).map(|incident| incident.id)
    };
    let mut found = find(state);
    if found.is_none() {
        let filter = std::mem::take(&mut state.events.filter);
        found = find(state);
        if found.is_none() {
            state.events.filter = filter;
        }
    }
    state.events.selected = found;
}
