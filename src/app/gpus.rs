//! The GPUs tab: which GPU is selected, how long the charts are.

use super::{Effect, Motion, Overlay, State, Window};
use crate::model::{Gpu, GpuId};

/// State of the tab.
#[derive(Clone, Debug, Default)]
pub struct GpusState {
    /// The selected GPU, by identity: it stays selected when others come and go.
    pub(crate) selected: Option<GpuId>,
    /// How much of the past the charts show.
    pub(crate) window: Window,
}

/// What the user can want here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Select another GPU.
    Move(Motion),
    /// Select that GPU.
    Select(GpuId),
    /// The next longer window.
    NextWindow,
    /// The next shorter window.
    PreviousWindow,
    /// That window.
    SetWindow(Window),
    /// Copy the UUID.
    CopyUuid,
    /// Show all that is read of this GPU.
    ShowDetails,
    /// Show the processes of this GPU.
    ShowProcesses,
}

impl State {
    /// The GPUs on the screen, in inventory order.
    pub(crate) fn gpus_shown(&self) -> impl Iterator<Item = &Gpu> {
        let gpus = self.snapshot().map(|snapshot| snapshot.gpus.as_slice()).unwrap_or_default();
        gpus.iter().filter(|gpu| self.settings.shows(gpu))
    }

    /// The selected GPU and its place in the list; the first if none was selected yet.
    pub(crate) fn selected_gpu(&self) -> Option<(usize, &Gpu)> {
        let selected = self.gpus.selected.as_ref();
        self.gpus_shown()
            .enumerate()
            .find(|(_, gpu)| Some(&gpu.id) == selected)
            .or_else(|| self.gpus_shown().enumerate().next())
    }
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: Intent) -> Vec<Effect> {
    match intent {
        Intent::Move(motion) => {
            let count = state.gpus_shown().count();
            let from = state.selected_gpu().map_or(0, |(index, _)| index);
            let selected = state.gpus_shown().nth(motion.apply(from, count)).map(|gpu| gpu.id.clone());
            state.gpus.selected = selected;
        }
        Intent::Select(id) => state.gpus.selected = Some(id),
        Intent::NextWindow => state.gpus.window = state.gpus.window.next(),
        Intent::PreviousWindow => state.gpus.window = state.gpus.window.previous(),
        Intent::SetWindow(window) => state.gpus.window = window,
        Intent::CopyUuid => {
            if let Some((_, gpu)) = state.selected_gpu() {
                let id = gpu.id.to_string();
                state.notice = Some(format!("copied {id}"));
                return vec![Effect::Copy(id)];
            }
        }
        Intent::ShowDetails => {
            if let Some((_, gpu)) = state.selected_gpu() {
                state.overlay = Overlay::Gpu { id: gpu.id.clone(), scroll: 0 };
            }
        }
        Intent::ShowProcesses => {
            let filter = state.selected_gpu().and_then(|(_, gpu)| gpu.index());
            state.processes.filter = filter.map_or_else(String::new, |index| format!("gpu:{index}"));
            state.tab = super::Tab::Processes;
        }
    }
    Vec::new()
}
