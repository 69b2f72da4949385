//! The thread that follows the model stores and the processes that read them. What may block does so on lanes of
//! their own: this thread only starts them and posts what they found.

use super::board::Board;
use super::shared::Shared;
use super::writer::spawn;
use crate::model::{Grouped, ModelStore, ModelUse, ProcessKey, SourceState};
use crate::sources::models::{FileIndex, ModelScanner, SCAN_PATIENCE, StoreEnvironment, UseWatcher};
use crate::sources::root::Root;
use crate::units::Mono;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "models";
/// One file of `/proc/PID` that takes longer than this is passed over.
const USE_PATIENCE: Duration = Duration::from_secs(2);
/// The list is handed over again after this time: whoever joins the stream in its middle waits no longer for it.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(60);
/// How often to look while neither the models nor the processes that read them are shown.
const HIDDEN: Duration = Duration::from_secs(5);
/// For so long after the start what was found is taken over at once, not at the next round: a snapshot that is asked
/// for once ends with the second sample.
const FIRST_LOOKS: Duration = Duration::from_secs(3);
const LOOK_SOON: Duration = Duration::from_millis(50);

/// The models' part of the board.
#[derive(Default)]
pub(super) struct Parts {
    store: Option<Grouped<ModelStore>>,
    uses: Option<Grouped<Vec<ModelUse>>>,
}

impl Parts {
    /// The stores, if they are to be handed over.
    pub(super) fn take_store(&mut self) -> Option<Grouped<ModelStore>> {
        self.store.take()
    }

    /// The uses, if they were looked at.
    pub(super) fn take_uses(&mut self) -> Option<Grouped<Vec<ModelUse>>> {
        self.uses.take()
    }
}

/// Follows them for as long as the process lives.
pub(super) fn start(root: &Root, folders: &[String], shared: &Arc<Shared>) {
    let (root, folders, shared) = (root.clone(), folders.to_vec(), Arc::clone(shared));
    spawn(NAME, move || follow(&root, folders, &shared));
}

fn follow(root: &Root, folders: Vec<String>, shared: &Shared) {
    // A captured machine is not the one whose environment this is.
    let variable = |name: &str| if root.is_live() { std::env::var(name).ok() } else { None };
    let environment = StoreEnvironment::read(variable);
    let mut scanner = ModelScanner::new(root.clone(), environment, folders, shared.clock, SCAN_PATIENCE);
    let mut watcher = UseWatcher::new(root.clone(), shared.clock, USE_PATIENCE);
    let mut index: Arc<FileIndex> = Arc::default();
    let mut store: Option<ModelStore> = None;
    let mut handed_over = Mono(0);
    let mut had_uses = false;
    let mut had_trouble = false;
    let (start, mut round) = ((shared.clock.mono)(), 0);
    loop {
        let now = (shared.clock.mono)();
        round = if now.since(start) < FIRST_LOOKS {
            shared.round_or_deadline(round, now.plus(LOOK_SOON))
        } else {
            let shown = |board: &Board| board.demand.storage || board.demand.process_utilization;
            shared.next_look(round, shown, now.plus(HIDDEN))
        };
        let now = (shared.clock.mono)();
        let scanned = scanner.poll(now);
        let changed = scanned.is_some_and(|scanned| {
            index = scanned.index;
            let changed = store.as_ref() != Some(&scanned.store);
            store = Some(scanned.store);
            changed
        });
        let due = changed || store.is_some() && now.since(handed_over) >= HAND_OVER_AGAIN;
        let processes: Vec<ProcessKey> = shared.board().facts.keys().copied().collect();
        let uses = watcher.poll(&processes, &index, now);
        let mut blocked = scanner.blocked();
        blocked.extend(watcher.blocked());
        let trouble = blocked.first().map(|path| format!("{path} does not answer and was passed over"));
        shared.put(|board| {
            if due {
                board.models.store = store.clone().map(|value| Grouped { at: now, value });
            }
            if let Some(value) = uses {
                // An empty list is said once.
                let any = !value.is_empty();
                if any || had_uses {
                    board.models.uses = Some(Grouped { at: now, value });
                }
                had_uses = any;
            }
            match &trouble {
                Some(text) => board.source(NAME, SourceState::Degraded, text),
                None if had_trouble => board.source(NAME, SourceState::Ok, ""),
                None => {}
            }
        });
        had_trouble = trouble.is_some();
        if due {
            handed_over = now;
        }
    }
}
