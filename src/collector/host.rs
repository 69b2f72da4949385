//! The thread that reads the host's side of the GPU processes. `/proc` can block: it has a thread of its own, and
//! the memory-backed files are read by a worker that may be abandoned.

use super::shared::Shared;
use super::writer::spawn;
use crate::model::{Grouped, ProcessFacts, ProcessKey, SourceState};
use crate::sources::processes::{FactsWorker, ProcessReader, host_pids_visible};
use crate::sources::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn start(root: &Root, shared: &Arc<Shared>) {
    let root = root.clone();
    let shared = Arc::clone(shared);
    spawn("processes", move || follow(&root, &shared));
}

/// Reading the memory-backed files of one process may take this long before its reader is given up.
const FACTS_PATIENCE: Duration = Duration::from_secs(2);

/// How long a round waits for the facts of a process that was not there before.
const NEWCOMER_PATIENCE: Duration = Duration::from_millis(10);

/// How long to wait for the process lists of slow GPUs before reading what is known of the others.
const LISTS_PATIENCE: Duration = Duration::from_millis(100);

fn follow(root: &Root, shared: &Shared) {
    let visible = host_pids_visible(root);
    shared.put(|board| {
        board.host_pids_visible = Some(visible);
        board.inventory_version += 1;
    });
    let mut reader = ProcessReader::new(root.clone());
    let mut worker = FactsWorker::spawn(root.clone(), shared.clock, FACTS_PATIENCE);
    let mut known: BTreeSet<ProcessKey> = BTreeSet::new();
    let mut done = 0;
    loop {
        let round = shared.next_lists(done, LISTS_PATIENCE);
        let pids = shared.board().pids();
        let processes = reader.read(&pids);
        let at = (shared.clock.mono)();
        let current: BTreeSet<ProcessKey> = processes.iter().map(|process| process.key).collect();
        for key in &current {
            worker.request(*key);
        }
        worker.retain(&current);
        let mut learned = worker.poll(at);
        // A process that is new is answered in a millisecond, unless it is wedged: worth waiting for, so that its
        // first sample has its name.
        if !current.is_subset(&known) {
            std::thread::sleep(NEWCOMER_PATIENCE);
            learned.extend(worker.poll((shared.clock.mono)()));
        }
        let stuck = worker.stuck(at);
        shared.finish(|board| {
            let changed = learn(&mut board.facts, learned, &current);
            board.inventory_version += u64::from(changed);
            board.processes = Some(Grouped { at, value: processes });
            board.processes_round = round;
            match stuck {
                Some(read) => board.source(
                    "processes",
                    SourceState::Degraded,
                    &format!(
                        "/proc/{}/{} does not answer: the process is wedged and was skipped",
                        read.pid, read.file
                    ),
                ),
                None => board.source("processes", SourceState::Ok, ""),
            }
        });
        known = current;
        done = round;
    }
}

fn learn(
    facts: &mut BTreeMap<ProcessKey, ProcessFacts>,
    learned: Vec<ProcessFacts>,
    current: &BTreeSet<ProcessKey>,
) -> bool {
    let before = facts.len();
    facts.retain(|key, _| current.contains(key));
    let mut changed = facts.len() != before;
    for fact in learned {
        changed |= facts.get(&fact.key) != Some(&fact);
        facts.insert(fact.key, fact);
    }
    changed
}
