//! The threads that read where the devices are: sysfs now and then, the driver's view of pairs once per opening. Both
//! begin when the first sample is out, so that it waits for neither.

use super::shared::Shared;
use super::writer::spawn;
use crate::model::{GpuPair, Topology};
use crate::sources::nvml::{Caller, Session};
use crate::sources::root::Root;
use crate::sources::topology;
use std::sync::Arc;
use std::time::Duration;

/// How often the bus is looked at again: links are trained anew and ports go down, and a scan costs some hundred
/// small files.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What the two threads found.
#[derive(Default)]
pub(super) struct Parts {
    bus: Option<Topology>,
    pairs: Vec<GpuPair>,
}

impl Parts {
    /// As it goes into the inventory.
    pub(super) fn inventory(&self) -> Option<Box<Topology>> {
        if self.bus.is_none() && self.pairs.is_empty() {
            return None;
        }
        let bus = self.bus.clone().unwrap_or_default();
        Some(Box::new(Topology { pairs: self.pairs.clone(), ..bus }))
    }
}

/// Follows the bus for as long as the process lives.
pub(super) fn start(root: &Root, shared: &Arc<Shared>) {
    let root = root.clone();
    let shared = Arc::clone(shared);
    spawn("topology", move || {
        shared.next_lists(0, Duration::ZERO);
        loop {
            let found = topology::scan(&root);
            shared.put(|board| {
                if board.topology.bus.as_ref() != Some(&found) {
                    board.topology.bus = Some(found);
                    board.inventory_version += 1;
                }
            });
            std::thread::sleep(LOOK_AGAIN);
        }
    });
}

/// Asks the driver for the pairs. A thread of its own: any call may block, and its slot shows which.
pub(super) fn ask_driver(session: Session, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    spawn("pairs", move || {
        shared.next_lists(1, Duration::ZERO);
        let caller = Caller::new(shared.clock);
        shared.put(|board| board.others.push(caller.slot()));
        let pairs = session.pairs(&caller);
        shared.put(|board| {
            board.topology.pairs = pairs;
            board.inventory_version += 1;
        });
    });
}
