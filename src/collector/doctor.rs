//! The thread that reads the files that the doctor judges: once at the start, for what fails is told on every tab;
//! then often while somebody looks, seldom while nobody does. It may be abandoned: a file of a driver that hangs never
//! answers, and what was read before it is posted without it.

use super::board::Shared;
use super::writer::spawn;
use crate::model::Grouped;
use crate::sources::doctor;
use crate::sources::root::Root;
use std::sync::Arc;
use std::time::Duration;

/// How often the files are read while somebody looks: a scan costs some hundred small files, and an operator who
/// has just repaired something wants to see it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The same while nobody looks: what fails then, or was repaired, is told without anybody's asking.
const UNASKED: Duration = Duration::from_secs(600);

pub(super) fn start(root: &Root, shared: &Arc<Shared>) {
    let (root, shared) = (root.clone(), Arc::clone(shared));
    spawn("doctor", move || {
        let (mut round, mut read, mut whole) = (0, None, false);
        let (mut looked, mut refreshes) = (true, 0);
        loop {
            round = shared.next_lists(round, Duration::ZERO);
            let now = (shared.clock.mono)();
            let (looks, asked) = {
                let board = shared.board();
                (board.demand.host_files, board.refreshes)
            };
            // Whoever begins to look wants it at once, and so does who has changed something.
            let at_once = looks && !looked || asked != refreshes;
            (looked, refreshes) = (looks, asked);
            let pause = if looks { LOOK_AGAIN } else { UNASKED };
            if !at_once && read.is_some_and(|read| now.since(read) < pause) {
                continue;
            }
            read = Some(now);
            doctor::scan(&root, &mut |found| {
                // A part is news only while nothing better is known.
                let partial = found.pending.is_some();
                if !(partial && whole) {
                    whole |= !partial;
                    let at = (shared.clock.mono)();
                    shared.post(|board| board.host_files = Some(Grouped { at, value: found }));
                }
            });
        }
    });
}
