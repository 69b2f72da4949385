//! The processes tab: order, filter, tree and selection of the table's rows.

mod rows;

use super::{Effect, Motion, Overlay, State};
use crate::model::{GpuId, Process, ProcessKey, Snapshot};

pub(crate) use rows::placement;

/// State of the tab.
#[derive(Clone, Debug, Default)]
pub struct ProcessesState {
    /// What the rows are sorted by.
    pub(crate) sort: SortKey,
    /// Whether the order is turned around.
    pub(crate) reversed: bool,
    /// Whether rows stand under their parent.
    pub(crate) tree: bool,
    /// Words that a row must contain, all of them.
    pub(crate) filter: String,
    /// Whether keys go into the filter.
    pub(crate) editing: bool,
    /// The selected row, by identity.
    pub(crate) selected: Option<RowKey>,
    /// The rows, in order. Indices are those of the snapshot shown.
    pub(crate) rows: Vec<Row>,
}

/// What the rows can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// Process id.
    Pid,
    /// User name.
    User,
    /// Number of the first GPU.
    Gpu,
    /// Compute or graphics.
    Kind,
    /// GPU memory.
    #[default]
    Memory,
    /// SM share.
    Sm,
    /// CPU share.
    Cpu,
    /// Host memory.
    HostMemory,
    /// Time since the start.
    Age,
    /// Container, pod, job or unit.
    Placement,
    /// Command line.
    Command,
}

impl SortKey {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 11] = [
        Self::Pid,
        Self::User,
        Self::Gpu,
        Self::Kind,
        Self::Memory,
        Self::Sm,
        Self::Cpu,
        Self::HostMemory,
        Self::Age,
        Self::Placement,
        Self::Command,
    ];

    /// Whether the greatest comes first unless the order is reversed.
    #[must_use]
    pub const fn descends(self) -> bool {
        matches!(self, Self::Memory | Self::Sm | Self::Cpu | Self::HostMemory | Self::Age)
    }

    fn moved(self, by: isize) -> Self {
        let index = Self::ALL.iter().position(|key| *key == self).unwrap_or(0).cast_signed();
        let index = (index + by).rem_euclid(Self::ALL.len().cast_signed());
        Self::ALL.get(index.cast_unsigned()).copied().unwrap_or(self)
    }
}

/// What identifies a row while rows move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowKey {
    /// A process.
    Process(ProcessKey),
    /// Memory of a GPU that no process owns.
    Unattributed(GpuId),
    /// A parent that holds no GPU itself, in the tree.
    Parent(u32),
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// The process of that index in the snapshot.
    Process(usize),
    /// Memory that no process owns, of the GPU of that index in the snapshot.
    Unattributed(usize),
    /// The PID of a parent that holds no GPU itself.
    Parent(u32),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it shows.
    pub kind: RowKind,
    /// How deep it stands in the tree.
    pub depth: u16,
}

impl Row {
    /// The identity of the row.
    pub(crate) fn key(self, snapshot: &Snapshot) -> Option<RowKey> {
        match self.kind {
            RowKind::Process(index) => snapshot.processes.get(index).map(|p| RowKey::Process(p.key)),
            RowKind::Unattributed(index) => {
                snapshot.gpus.get(index).map(|gpu| RowKey::Unattributed(gpu.id.clone()))
            }
            RowKind::Parent(pid) => Some(RowKey::Parent(pid)),
        }
    }
}

/// What the user can want here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Select another row.
    Move(Motion),
    /// Select the row of that place.
    SelectRow(usize),
    /// Sort by the column to the right.
    SortNext,
    /// Sort by the column to the left.
    SortPrevious,
    /// Sort by that column; again: the other way around.
    SortBy(SortKey),
    /// The other way around.
    Reverse,
    /// Rows under their parents, or not.
    ToggleTree,
    /// Begin to type a filter.
    EditFilter,
    /// A character for the filter.
    Type(char),
    /// Remove the filter's last character.
    Backspace,
    /// Keep the filter and leave it.
    AcceptFilter,
    /// Drop the filter.
    ClearFilter,
    /// Show everything about the selected process.
    ShowDetails,
    /// Copy the command line.
    CopyCommand,
}

impl State {
    /// Place of the selected row; the first if the selected one is not there.
    pub(crate) fn selected_row(&self) -> usize {
        let Some(snapshot) = self.snapshot() else { return 0 };
        let selected = self.processes.selected.as_ref();
        let place = |row: &Row| row.key(snapshot).as_ref() == selected;
        selected.and_then(|_| self.processes.rows.iter().position(place)).unwrap_or(0)
    }

    /// The process that the selected row shows.
    pub(crate) fn selected_process(&self) -> Option<&Process> {
        match self.processes.rows.get(self.selected_row())?.kind {
            RowKind::Process(index) => self.snapshot()?.processes.get(index),
            _ => None,
        }
    }

    fn select_row(&mut self, place: usize) {
        let Some(snapshot) = self.snapshot() else { return };
        let key = self.processes.rows.get(place).and_then(|row| row.key(snapshot));
        self.processes.selected = key;
    }

    /// Brings the rows in line with the snapshot shown.
    pub(super) fn refresh_rows(&mut self) {
        let rows = match self.snapshot() {
            Some(snapshot) => rows::rows(snapshot, &self.processes, &self.settings),
            None => Vec::new(),
        };
        self.processes.rows = rows;
    }
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: Intent) -> Vec<Effect> {
    let table = &mut state.processes;
    match intent {
        Intent::Move(motion) => {
            let place = motion.apply(state.selected_row(), state.processes.rows.len());
            state.select_row(place);
        }
        Intent::SelectRow(place) => state.select_row(place),
        Intent::SortNext => table.sort = table.sort.moved(1),
        Intent::SortPrevious => table.sort = table.sort.moved(-1),
        Intent::SortBy(key) if key == table.sort => table.reversed = !table.reversed,
        Intent::SortBy(key) => (table.sort, table.reversed) = (key, false),
        Intent::Reverse => table.reversed = !table.reversed,
        Intent::ToggleTree => table.tree = !table.tree,
        Intent::EditFilter => table.editing = true,
        Intent::Type(character) => table.type_text(&character.to_string()),
        Intent::Backspace => {
            table.filter.pop();
        }
        Intent::AcceptFilter => table.editing = false,
        Intent::ClearFilter => {
            table.editing = false;
            table.filter.clear();
        }
        Intent::ShowDetails => {
            if let Some(process) = state.selected_process() {
                state.overlay = Overlay::Process { key: process.key, scroll: 0 };
            }
        }
        Intent::CopyCommand => return copy_command(state),
    }
    state.refresh_rows();
    Vec::new()
}

fn copy_command(state: &mut State) -> Vec<Effect> {
    let command = state
        .selected_process()
        .and_then(|process| process.facts.as_ref())
        .and_then(|facts| facts.command.as_ref().ok())
        .map(|arguments| arguments.join(" "));
    let Some(command) = command else { return Vec::new() };
    state.notice = Some("copied the command line".into());
    vec![Effect::Copy(command)]
}

/// A filter longer than this is a mistaken paste.
const FILTER_AT_MOST: usize = 200;

impl ProcessesState {
    /// Adds text to the filter; control characters are dropped.
    pub(super) fn type_text(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.filter.chars().count() < FILTER_AT_MOST {
                self.filter.push(character);
            }
        }
    }
}
