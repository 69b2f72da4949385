//! The looks at processes, on a thread that may be given up.

use super::{Look, Uses};
use crate::model::{ModelUse, ProcessKey};
use crate::sources::lane::{Lane, LaneState};
use crate::sources::models::mounts::Mounts;
use crate::sources::models::scan::FileIndex;
use crate::sources::root::Root;
use crate::units::{Clock, Mono};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A file of a process that did not answer is asked again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(120);
/// Mounts come and go rarely.
const MOUNTS_EVERY: Duration = Duration::from_secs(60);

/// Watches which processes have models open or mapped.
#[derive(Debug)]
pub struct UseWatcher {
    root: Root,
    lane: Lane<(Uses, Vec<ModelUse>)>,
    uses: Uses,
    mounts: Arc<Mounts>,
    mounts_next: Mono,
    /// Files that did not answer, and since when.
    blocked: BTreeMap<String, Mono>,
}

impl UseWatcher {
    /// A watcher; one file that takes longer than `patience` is given up.
    #[must_use]
    pub fn new(root: Root, clock: Clock, patience: Duration) -> Self {
        Self {
            root,
            lane: Lane::new("model uses", clock, patience),
            uses: Uses::default(),
            mounts: Arc::default(),
            mounts_next: Mono(0),
            blocked: BTreeMap::new(),
        }
    }

    /// Begins to look at `processes` unless a look is under way or none is due; gives what the last one found. Never
    /// blocks.
    pub fn poll(
        &mut self,
        processes: &[ProcessKey],
        index: &Arc<FileIndex>,
        now: Mono,
    ) -> Option<Vec<ModelUse>> {
        let (answers, state) = self.lane.poll(now);
        let mut found = None;
        for (uses, list) in answers {
            self.uses = uses;
            found = Some(list);
        }
        match state {
            LaneState::GivenUp { what, since } => {
                self.blocked.insert(what, since);
            }
            LaneState::Busy => return found,
            LaneState::Idle => {}
        }
        self.blocked.retain(|_, since| now.since(*since) < TRY_AGAIN);
        if !self.uses.is_due(processes, now) {
            return found;
        }
        if now >= self.mounts_next {
            self.mounts = Arc::new(Mounts::read(&self.root));
            self.mounts_next = now.plus(MOUNTS_EVERY);
        }
        let (root, index, mounts) = (self.root.clone(), Arc::clone(index), Arc::clone(&self.mounts));
        let (mut uses, processes, blocked) = (self.uses.clone(), processes.to_vec(), self.blocked.clone());
        self.lane.start(move |reporter| {
            let enter = |path: &str| !blocked.contains_key(path) && reporter.enter(path);
            let look = Look { root: &root, index: &index, mounts: &mounts, now, enter: &enter };
            let list = uses.look(&look, &processes);
            reporter.send((uses, list));
        });
        found
    }

    /// The files that did not answer.
    #[must_use]
    pub fn blocked(&self) -> Vec<&str> {
        self.blocked.keys().map(String::as_str).collect()
    }
}
