//! What the monitor tells its collector, on standard input: which groups are shown, and whose snapshots to list. The
//! end of it is the end.

use super::shared::Shared;
use super::writer::{Output, line, spawn};
use crate::model::{Bye, Record};
use crate::sources::nvml;
use crate::stream::control::{self, Control};
use std::io::BufRead;
use std::sync::Arc;

pub(super) fn follow_standard_input(shared: Arc<Shared>, out: Output) {
    spawn("control", move || {
        for text in std::io::stdin().lock().lines() {
            let Ok(text) = text else { break };
            match control::decode(&text) {
                Ok(Some(Control::Demand(demand))) => shared.ask(|board| board.demand = demand),
                Ok(Some(Control::Snapshots(dataset))) => {
                    shared.ask(|board| board.storage.ask_snapshots(dataset));
                }
                Ok(Some(Control::Refresh)) => shared.ask(|board| board.refreshes += 1),
                Ok(None) | Err(_) => {}
            }
        }
        out.last(line(&Record::Bye(Bye { reason: "end_of_input".into(), restart: false })));
        out.finish();
        nvml::leave(0);
    });
}
