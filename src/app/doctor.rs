//! State and intents of the doctor tab.

use super::{Effect, Motion, State};

/// What the doctor tab remembers.
#[derive(Clone, Debug, Default)]
pub struct DoctorState {
    /// The selected row.
    pub(crate) selected: usize,
}

/// What can be asked of the doctor tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Move the selection.
    Move(Motion),
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: &Intent) -> Vec<Effect> {
    match intent {
        Intent::Move(motion) => state.doctor.selected = motion.apply(state.doctor.selected, 0),
    }
    Vec::new()
}
