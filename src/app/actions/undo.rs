//! Taking back: the last change of each setting, planned like any other.

use super::{List, Subject, plan};
use crate::actions::Change;
use crate::app::{Effect, Overlay, State};
use crate::model::GpuId;

/// A change that was made, and what takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// Of what.
    pub(crate) subject: Subject,
    /// What takes it back.
    pub(crate) change: Change,
}

/// Plans the last change of what is selected back, or of what ran where its window is open.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    // From the window of a run it is what ran that is taken back.
    let subject = match (&state.overlay, state.run()) {
        (Overlay::Progress { .. }, Some(run)) => Some(run.subject.clone()),
        _ => state.subject(),
    };
    match subject {
        Some(Subject::Gpu(gpu)) => {
            state.actions.undo_wanted = Some(gpu.clone());
            vec![Effect::ReadUndoables(gpu)]
        }
        Some(process) => begin_last(state, &process),
        None => Vec::new(),
    }
}

/// Plans the last change of `subject` back.
fn begin_last(state: &mut State, subject: &Subject) -> Vec<Effect> {
    let last = state.undoable(subject).next_back().cloned();
    match last {
        Some(undo) => plan::begin(state, undo.subject, undo.change),
        None => {
            state.notice = Some("nothing was changed here that could be undone".into());
            Vec::new()
        }
    }
}

/// What the audit log says of a GPU came.
pub(in crate::app) fn take_undoables(state: &mut State, gpu: &GpuId, changes: Vec<Change>) -> Vec<Effect> {
    if state.authority().is_none() {
        return Vec::new();
    }
    let subject = Subject::Gpu(gpu.clone());
    let before = state.undoable(&subject).count();
    let after = changes.len();
    // They stand first in the list: what is selected there stays selected.
    if let Overlay::Actions(menu) = &mut state.overlay
        && menu.subject == subject
        && menu.list == List::Actions
        && menu.selected >= before
    {
        menu.selected = menu.selected - before + after;
    }
    state.actions.undo.retain(|undo| undo.subject != subject);
    state.actions.undo.extend(changes.into_iter().map(|change| Undo { subject: subject.clone(), change }));
    if state.actions.undo_wanted.as_ref() == Some(gpu) {
        state.actions.undo_wanted = None;
        // Whoever opened something else meanwhile has other things in mind.
        if matches!(state.overlay, Overlay::None | Overlay::Progress { .. }) {
            return begin_last(state, &subject);
        }
    }
    Vec::new()
}

impl State {
    /// The last change of each setting of `subject`, with what takes it back; the newest last.
    pub(crate) fn undoable<'a>(&'a self, subject: &'a Subject) -> impl DoubleEndedIterator<Item = &'a Undo> {
        self.actions.undo.iter().filter(move |undo| undo.subject == *subject)
    }
}
