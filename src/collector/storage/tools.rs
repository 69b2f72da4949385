//! The thread that runs `zpool` and `zfs`: one child at a time, each with a deadline, none while the module is not
//! loaded (run by root it would load it), none for a pool that is suspended.

use super::super::shared::Shared;
use super::super::writer::{Output, line, spawn};
use crate::model::{
    Absence, Grouped, ListingState, Reading, Record, SnapshotBatch, SourceState, ZfsPoolState,
};
use crate::sources::root::Root;
use crate::sources::zfs::{Progress, ToolError, Tools, ZfsTools, list_snapshots, name_disks};
use crate::units::Mono;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Name of the source.
const NAME: &str = "zfs";
/// How often `zpool status` and `zpool list` run while storage is shown: 5 ms of a core each.
const POOLS_EVERY: Duration = Duration::from_secs(10);
/// The same while nobody looks. A pool whose state changes is asked about at once.
const POOLS_HIDDEN: Duration = Duration::from_secs(60);
/// How often `zfs list` runs while storage is shown: 15 ms of a core.
const DATASETS_EVERY: Duration = Duration::from_secs(60);
/// The same while nobody looks.
const DATASETS_HIDDEN: Duration = Duration::from_secs(300);

pub(super) fn start(root: &Root, directory: Option<&Path>, shared: &Arc<Shared>, out: &Output) {
    let tools = match directory {
        Some(directory) => Tools::below(directory.to_owned()),
        None if root.is_live() => Tools::default(),
        // A captured machine is not asked through the tools of this one.
        None => return,
    };
    let (root, shared, out) = (root.clone(), Arc::clone(shared), out.clone());
    let mut thread = Thread {
        root,
        shared,
        out,
        tools: ZfsTools::new(tools),
        pools_at: None,
        datasets_at: None,
        states: Vec::new(),
    };
    spawn(NAME, move || thread.follow());
}

/// What went wrong, in words and as an absence.
type Problem = (String, Absence);

fn problem_of<T>(answer: &Result<T, ToolError>) -> Option<Problem> {
    answer.as_ref().err().map(|error| (error.to_string(), absence_of(error)))
}

struct Thread {
    root: Root,
    shared: Arc<Shared>,
    out: Output,
    tools: ZfsTools,
    pools_at: Option<Mono>,
    datasets_at: Option<Mono>,
    /// States of the pools when they were last asked about.
    states: Vec<ZfsPoolState>,
}

impl Thread {
    fn follow(&mut self) {
        super::wait_for_kernel(&self.shared);
        let mut question = 0;
        loop {
            let (pools, shown, asked, asking) = {
                let board = self.shared.board();
                let storage = &board.storage;
                (storage.pools.clone(), board.demand.storage, storage.asked.clone(), storage.question)
            };
            match pools {
                Some(pools) => {
                    self.ask(&pools, shown);
                    if asking != question {
                        question = asking;
                        if let Some(dataset) = asked {
                            self.list(&dataset, question, &pools);
                        }
                    }
                }
                None if asking != question => {
                    question = asking;
                    if let Some(dataset) = asked {
                        self.refuse(dataset, "the ZFS module is not loaded");
                    }
                }
                None => {}
            }
            self.shared.wait_until(|board| match &board.storage.pools {
                _ if board.storage.question != question => Mono(0),
                Some(pools) if *pools == self.states => {
                    let (pools, datasets) = self.due(board.demand.storage);
                    pools.min(datasets)
                }
                Some(_) => Mono(0),
                None => Mono(u64::MAX),
            });
        }
    }

    /// When the pools are to be asked about again, and when the datasets.
    fn due(&self, shown: bool) -> (Mono, Mono) {
        let due = |last: Option<Mono>, every: Duration| last.map_or(Mono(0), |last| last.plus(every));
        (
            due(self.pools_at, if shown { POOLS_EVERY } else { POOLS_HIDDEN }),
            due(self.datasets_at, if shown { DATASETS_EVERY } else { DATASETS_HIDDEN }),
        )
    }

    /// Runs what is due.
    fn ask(&mut self, pools: &[ZfsPoolState], shown: bool) {
        let now = (self.shared.clock.mono)();
        let changed = self.states != pools;
        let (pools_at, datasets_at) = self.due(shown);
        let (pools_due, datasets_due) = (changed || now >= pools_at, changed || now >= datasets_at);
        if !pools_due && !datasets_due {
            return;
        }
        self.states = pools.to_vec();
        let answering: Vec<&str> =
            pools.iter().filter(|pool| !pool.suspended()).map(|pool| &*pool.name).collect();
        if answering.is_empty() && !pools.is_empty() {
            self.pools_at = Some(now);
            self.datasets_at = Some(now);
            let why = "every pool is suspended: the ZFS tools are not run, the last values are kept";
            self.shared.put(|board| board.source(NAME, SourceState::Degraded, why));
            return;
        }
        // Named only where one must be left out, or could be: a name costs nothing, and all is all.
        let named: &[&str] = if answering.len() == pools.len() { &[] } else { &answering };
        let mut problem = None;
        if pools_due {
            self.pools_at = Some(now);
            problem = self.ask_pools(named);
        }
        if datasets_due {
            self.datasets_at = Some(now);
            match &problem {
                // What `zpool` could not do `zfs` cannot do a moment later.
                Some((_, absence)) => self.no_datasets(absence),
                None => problem = self.ask_datasets(named),
            }
        }
        let left_out = pools.len() - answering.len();
        self.shared.put(|board| match problem {
            Some((problem, _)) => board.source(NAME, SourceState::Degraded, &problem),
            None if left_out > 0 => {
                let why = format!("{left_out} suspended: not asked about, the last values are kept");
                board.source(NAME, SourceState::Degraded, &why);
            }
            None => board.source(NAME, SourceState::Ok, ""),
        });
    }

    /// `zpool status` and `zpool list`; gives what went wrong, in words and as an absence.
    fn ask_pools(&mut self, named: &[&str]) -> Option<Problem> {
        let status = self.tools.status(named).map(|mut status| {
            name_disks(&self.root, &mut status);
            status
        });
        let mut problem = problem_of(&status);
        let status = self.stamp(status);
        self.shared.put(|board| board.storage.pending.status = Some(status));
        let spaces = match &problem {
            Some((_, absence)) => Err(absence.clone()),
            None => {
                let spaces = self.tools.pools(named);
                problem = problem_of(&spaces);
                spaces.map_err(|error| absence_of(&error))
            }
        };
        let at = (self.shared.clock.mono)();
        self.shared.put(|board| board.storage.pending.pools = Some(Grouped { at, value: spaces }));
        problem
    }

    fn ask_datasets(&mut self, named: &[&str]) -> Option<Problem> {
        let datasets = self.tools.datasets(named);
        let problem = problem_of(&datasets);
        let datasets = self.stamp(datasets);
        self.shared.put(|board| board.storage.pending.datasets = Some(datasets));
        problem
    }

    fn no_datasets(&self, absence: &Absence) {
        let at = (self.shared.clock.mono)();
        let value = Err(absence.clone());
        self.shared.put(|board| board.storage.pending.datasets = Some(Grouped { at, value }));
    }

    fn stamp<T>(&self, answer: Result<T, ToolError>) -> Grouped<Reading<T>> {
        let at = (self.shared.clock.mono)();
        Grouped { at, value: answer.map_err(|error| absence_of(&error)) }
    }

    fn list(&mut self, dataset: &Arc<str>, question: u64, pools: &[ZfsPoolState]) {
        let pool = dataset.split('/').next().unwrap_or_default();
        if pools.iter().any(|each| &*each.name == pool && each.suspended()) {
            self.refuse(Arc::clone(dataset), "its pool is suspended");
            return;
        }
        let batch = |first: bool, state: ListingState| SnapshotBatch {
            dataset: Arc::clone(dataset),
            first,
            state,
            ..SnapshotBatch::default()
        };
        self.send(batch(true, ListingState::Running));
        let (shared, out) = (Arc::clone(&self.shared), self.out.clone());
        let cancelled = || shared.board().storage.question != question;
        let result = list_snapshots(self.tools.tools(), dataset, &cancelled, &mut |progress| {
            let part = match progress {
                Progress::Total(total) => {
                    SnapshotBatch { total: Some(total), ..batch(false, ListingState::Running) }
                }
                Progress::Rows(rows) => SnapshotBatch { rows, ..batch(false, ListingState::Running) },
            };
            out.line(line(&Record::Snapshots(part)));
        });
        let last = match result {
            Ok(()) => batch(false, ListingState::Done),
            Err(ToolError::Cancelled) => batch(false, ListingState::Cancelled),
            Err(error) => SnapshotBatch {
                problem: Some(error.to_string().into()),
                ..batch(false, ListingState::Failed)
            },
        };
        self.send(last);
    }

    fn refuse(&self, dataset: Arc<str>, why: &str) {
        self.send(SnapshotBatch {
            dataset,
            first: true,
            state: ListingState::Failed,
            problem: Some(why.into()),
            ..SnapshotBatch::default()
        });
    }

    fn send(&self, batch: SnapshotBatch) {
        self.out.line(line(&Record::Snapshots(batch)));
    }
}

fn absence_of(error: &ToolError) -> Absence {
    match error {
        ToolError::Failed { message, .. } if message.to_ascii_lowercase().contains("permission denied") => {
            Absence::NoPermission
        }
        other => Absence::failed(0, other.to_string()),
    }
}
