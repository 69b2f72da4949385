//! The thread that reads the files that the doctor judges. It reads nothing unless somebody asks, and it may be
//! abandoned: a file of a driver that hangs never answers, and what was read before it is posted without it.

use super::board::Shared;
use super::writer::spawn;
use crate::model::{Grouped, HostFiles};
use crate::sources::doctor;
use crate::sources::root::Root;
use std::sync::Arc;
use std::time::Duration;

/// How often the files are read while somebody looks: a scan costs some hundred small files, and an operator who
/// has just repaired something wants to see it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// What did not change is sent again after this long, so that a recording that is entered in its middle has it.
const SEND_AGAIN: Duration = Duration::from_secs(300);

pub(super) fn start(root: &Root, shared: &Arc<Shared>) {
    let (root, shared) = (root.clone(), Arc::clone(shared));
    spawn("doctor", move || {
        let (mut round, mut read, mut sent) = (0, None, None);
        let mut last: Option<HostFiles> = None;
        loop {
            round = shared.next_lists(round, Duration::ZERO);
            let now = (shared.clock.mono)();
            let wanted = shared.board().demand.host_files;
            if !wanted {
                // Whoever looks next wants it at once.
                (read, sent) = (None, None);
                continue;
            }
            if read.is_some_and(|read| now.since(read) < LOOK_AGAIN) {
                continue;
            }
            read = Some(now);
            let due = sent.is_none_or(|sent| now.since(sent) >= SEND_AGAIN);
            doctor::scan(&root, &mut |found| {
                // The first part alone is news only while nothing better is known.
                let partial = found.pending.is_some();
                if (partial && last.is_some()) || (!due && last.as_ref() == Some(&found)) {
                    return;
                }
                let at = (shared.clock.mono)();
                if !partial {
                    last = Some(found.clone());
                    sent = Some(at);
                }
                shared.post(|board| board.host_files = Some(Grouped { at, value: found }));
            });
        }
    });
}
