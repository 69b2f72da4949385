//! What a plan on the screen needs of this host, read anew for each plan.

use super::{Place, audit, away, facts, host, signal};
use crate::actions::{Change, HostFacts, Outcome, Refusal, RefusalKind, undoables};
use crate::app::actions::{Preflight, Wanted};
use crate::units::Clock;

/// Reads this host.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Reader {
    pub(in crate::runtime) place: Place,
    pub(in crate::runtime) clock: Clock,
}

impl Reader {
    /// The host, and who asks.
    pub(in crate::runtime) fn host(&self) -> HostFacts {
        host::facts(&self.place.root)
    }

    /// What can be taken back on that GPU in this boot, the newest last.
    pub(in crate::runtime) fn undoables(&self, uuid: &str) -> Vec<Change> {
        let entries = audit::entries(&self.place.audits);
        let found = undoables(&entries, uuid, &self.host().boot_id);
        found.into_iter().rev().map(|undoable| undoable.undo).collect()
    }

    /// What a plan for what is wanted needs.
    pub(in crate::runtime) fn preflight(&self, wanted: &Wanted) -> Preflight {
        let host = if wanted.change.takes_the_gpu_away() {
            facts::with_holders_of(self.host(), &self.place.root, wanted.minor, None)
        } else {
            self.host()
        };
        let nice = wanted.process.and_then(|key| signal::niceness(key.pid));
        let proof =
            wanted.process.map(|key| host::prove(&self.place.root, host::DEVICE_FILES, key.pid, key.start));
        let unproven = proof
            .and_then(Result::err)
            .map(|error| Refusal { kind: RefusalKind::NotProven, reason: error.to_string() })
            .or_else(|| away::missing_tool(&self.place, self.clock, &wanted.change));
        Preflight { wanted: wanted.clone(), now: (self.clock.mono)(), host, nice, unproven }
    }
}

/// Exit status of a child that refused before it could say so in its own words.
const REFUSED: &str = "exit status: 3";

/// What is to be said of a child that ended with `status` and without a last word; `complaint` is what it wrote to
/// standard error.
pub(in crate::runtime) fn without_a_word(status: &str, complaint: &str) -> Outcome {
    if status == REFUSED {
        let reason = complaint.strip_prefix("kgtop: ").unwrap_or(complaint);
        let reason = reason.strip_prefix("refused: ").unwrap_or(reason).to_owned();
        return Outcome::Refused { refusals: vec![Refusal { kind: RefusalKind::Outdated, reason }] };
    }
    let complaint = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
    Outcome::Failed {
        error: format!("the process that carried the plan out died ({status}){complaint}"),
        now: None,
        advice: "whether anything was sent stands in the audit log; look at the value before going on"
            .to_owned(),
    }
}
