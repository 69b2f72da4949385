//! State and intents of the storage tab.

use super::{Effect, Motion, State};

/// What the storage tab remembers.
#[derive(Clone, Debug, Default)]
pub struct StorageState {
    /// The selected row.
    pub(crate) selected: usize,
}

/// What can be asked of the storage tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Move the selection.
    Move(Motion),
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: &Intent) -> Vec<Effect> {
    match intent {
        Intent::Move(motion) => state.storage.selected = motion.apply(state.storage.selected, 0),
    }
    Vec::new()
}
