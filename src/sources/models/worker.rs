//! The scan in a niced thread that may be abandoned, again and again.

use super::cache::HeaderCache;
use super::places::StoreEnvironment;
use super::scan::{Job, Scanned, scan};
use crate::sources::lane::{Lane, LaneState};
use crate::sources::root::Root;
use crate::units::{Clock, Mono};
use std::collections::BTreeMap;
use std::time::Duration;

/// One file or directory that takes longer than this to answer is passed over: more than a disk that spins up needs.
pub const SCAN_PATIENCE: Duration = Duration::from_secs(10);
/// Time from the end of a scan to the next. Known headers are not read again, so it costs one `stat` per file, and
/// the index of a model in parts.
const SCAN_AGAIN: Duration = Duration::from_secs(300);
/// The same while something is being loaded from the network.
const SCAN_AGAIN_SOON: Duration = Duration::from_secs(30);
/// A path that did not answer is tried again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(300);
/// The scan gives way to everything else (nice(2)).
const NICE: i32 = 19;

/// Scans the stores from time to time.
#[derive(Debug)]
pub struct ModelScanner {
    root: Root,
    environment: StoreEnvironment,
    folders: Vec<String>,
    cache: HeaderCache,
    lane: Lane<Scanned>,
    /// Paths that did not answer, and since when.
    blocked: BTreeMap<String, Mono>,
    number: u64,
    next: Mono,
}

impl ModelScanner {
    /// A scanner of the stores that the environment and `folders` name. The first scan begins with the first
    /// [`poll`](Self::poll).
    #[must_use]
    pub fn new(
        root: Root,
        environment: StoreEnvironment,
        folders: Vec<String>,
        clock: Clock,
        patience: Duration,
    ) -> Self {
        Self {
            root,
            environment,
            folders,
            cache: HeaderCache::default(),
            lane: Lane::new("model scan", clock, patience),
            blocked: BTreeMap::new(),
            number: 0,
            next: Mono(0),
        }
    }

    /// The newest state of the stores, if there is a new one. Never blocks.
    pub fn poll(&mut self, now: Mono) -> Option<Scanned> {
        let (answers, state) = self.lane.poll(now);
        let newest = answers.into_iter().next_back();
        if let Some(scanned) = newest.as_ref().filter(|scanned| scanned.store.complete) {
            let loading = scanned.store.models.iter().any(|model| model.unfinished.files > 0)
                || scanned.store.places.iter().any(|place| place.unfinished.files > 0);
            self.next = now.plus(if loading { SCAN_AGAIN_SOON } else { SCAN_AGAIN });
        }
        match state {
            LaneState::GivenUp { what, since } => {
                self.blocked.insert(what, since);
                self.start(now);
            }
            LaneState::Idle if now >= self.next => self.start(now),
            LaneState::Idle | LaneState::Busy => {}
        }
        newest
    }

    /// The paths that did not answer.
    #[must_use]
    pub fn blocked(&self) -> Vec<&str> {
        self.blocked.keys().map(String::as_str).collect()
    }

    fn start(&mut self, now: Mono) {
        self.blocked.retain(|_, since| now.since(*since) < TRY_AGAIN);
        self.number += 1;
        self.next = now.plus(SCAN_AGAIN);
        let job = Job {
            root: self.root.clone(),
            environment: self.environment.clone(),
            folders: self.folders.clone(),
            cache: self.cache.clone(),
            blocked: self.blocked.keys().cloned().collect(),
            number: self.number,
        };
        self.lane.start(move |reporter| {
            // Of this thread alone: on Linux, a PID of 0 names the calling thread.
            let _refused = rustix::process::setpriority_process(None, NICE);
            scan(&job, &|path| reporter.enter(path), &mut |scanned| reporter.send(scanned));
        });
    }
}

/// One scan on the calling thread, for commands that answer once. Nothing of a suspended pool is touched, but a path
/// that does not answer blocks.
#[must_use]
pub fn scan_once(root: &Root, environment: &StoreEnvironment, folders: &[String]) -> Scanned {
    let mut last = Scanned::default();
    scan_in_steps(root, environment, folders, &mut |scanned| last = scanned);
    last
}

/// The same, with what is known so far at each step: the first has names and sizes, the last has everything.
pub fn scan_in_steps(
    root: &Root,
    environment: &StoreEnvironment,
    folders: &[String],
    step: &mut dyn FnMut(Scanned),
) {
    let job = Job {
        root: root.clone(),
        environment: environment.clone(),
        folders: folders.to_vec(),
        cache: HeaderCache::default(),
        blocked: std::collections::BTreeSet::new(),
        number: 1,
    };
    scan(&job, &|_| true, step);
}
