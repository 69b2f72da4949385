//! What the monitor tells its collector, on standard input: which groups are shown. The end of it is the end.

use super::board::Shared;
use super::writer::{Output, spawn};
use crate::model::{Bye, Record};
use crate::sources::nvml;
use crate::stream::{self, control};
use std::io::BufRead;
use std::sync::Arc;

pub(super) fn follow_standard_input(shared: Arc<Shared>, out: Output) {
    spawn("control", move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if let Ok(demand) = control::decode(&line) {
                shared.post(|board| board.demand = demand);
            }
        }
        out.line(stream::line(&Record::Bye(Bye { reason: "end_of_input".into(), restart: false })));
        out.finish();
        nvml::leave(0);
    });
}
