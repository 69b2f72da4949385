//! The topology tab: which pair is selected, and whether the advice has the room.

use super::{Effect, Motion, State};
use crate::analysis::topology::Matrix;

/// State of the tab. Devices are known by their labels: places move when devices come and go.
#[derive(Clone, Debug, Default)]
pub struct TopologyState {
    row: Option<String>,
    column: Option<String>,
}

/// What the user can want here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Another row.
    MoveRow(Motion),
    /// Another column.
    MoveColumn(Motion),
    /// That cell.
    Select(usize, usize),
}

impl State {
    /// The matrix of what is shown.
    pub(crate) fn matrix(&self) -> Matrix {
        self.snapshot().map(Matrix::new).unwrap_or_default()
    }

    /// Row and column of the selected pair; the first two devices if none was selected yet.
    pub(crate) fn selected_pair(&self, matrix: &Matrix) -> (usize, usize) {
        let place = |label: &Option<String>, otherwise: usize| {
            let label = label.as_ref();
            let found = matrix.devices.iter().position(|device| Some(&device.label) == label);
            found.unwrap_or_else(|| otherwise.min(matrix.devices.len().saturating_sub(1)))
        };
        (place(&self.topology.row, 0), place(&self.topology.column, 1))
    }
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: &Intent) -> Vec<Effect> {
    let matrix = state.matrix();
    let count = matrix.devices.len();
    let (row, column) = state.selected_pair(&matrix);
    let (row, column) = match intent {
        Intent::MoveRow(motion) => (motion.apply(row, count), column),
        Intent::MoveColumn(motion) => (row, motion.apply(column, count)),
        Intent::Select(row, column) => (*row, *column),
    };
    let label = |place: usize| matrix.devices.get(place).map(|device| device.label.clone());
    state.topology = TopologyState { row: label(row), column: label(column) };
    Vec::new()
}
