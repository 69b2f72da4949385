//! The thread that reads the files that the doctor judges. It reads nothing unless somebody asks, and it may be
//! abandoned: a file of a driver that hangs never answers, and what was read before it is posted without it.

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

pub(super) fn start(root: &Root, shared: &Arc<Shared>) {
    let (root, shared) = (root.clone(), Arc::clone(shared));
    spawn("doctor", move || {
        let (mut round, mut read, mut whole) = (0, None, false);
        loop {
            round = shared.next_lists(round, Duration::ZERO);
            let now = (shared.clock.mono)();
            if !shared.board().demand.host_files {
                // Whoever looks next wants it at once.
                read = None;
                continue;
            }
            if read.is_some_and(|read| now.since(read) < LOOK_AGAIN) {
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
