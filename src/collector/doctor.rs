//! The thread that reads the files that the doctor judges: once at the start, for what fails is told on every tab;
//! then often while somebody looks, seldom while nobody does. It may be abandoned: a file of a driver that hangs never
//! answers, and what was read before it is posted without it.

use super::shared::Shared;
use super::writer::spawn;
use crate::model::Grouped;
use crate::sources::doctor;
use crate::sources::root::Root;
use crate::units::Mono;
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
        let (mut whole, mut looked, mut refreshes) = (false, true, 0);
        loop {
            let read = (shared.clock.mono)();
            doctor::scan(&root, &mut |found| {
                // A part is news only while nothing better is known.
                let partial = found.pending.is_some();
                if !(partial && whole) {
                    whole |= !partial;
                    let at = (shared.clock.mono)();
                    shared.put(|board| board.host_files = Some(Grouped { at, value: found }));
                }
            });
            shared.wait_until(|board| {
                // Whoever begins to look wants it at once, and so does who has changed something.
                let looks = board.demand.host_files;
                let at_once = looks && !looked || board.refreshes != refreshes;
                (looked, refreshes) = (looks, board.refreshes);
                match (at_once, looks) {
                    (true, _) => Mono(0),
                    (false, true) => read.plus(LOOK_AGAIN),
                    (false, false) => read.plus(UNASKED),
                }
            });
        }
    });
}
