//! Taking back: the last change of each setting of a GPU, from the audit log.

use super::change::Change;
use super::plan::{Plan, Target};
use super::progress::Outcome;
use crate::units::Wall;
use serde::{Deserialize, Serialize};

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, for people: µs since the epoch.
    pub wall_us: i64,
    /// When, on the monotonic clock of the plan's boot, µs.
    #[serde(default)]
    pub mono_us: u64,
    /// Before it was sent, or after it was over.
    pub phase: Phase,
    /// Real user.
    pub uid: u32,
    /// Who called sudo, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
    /// The process that acted.
    pub pid: u32,
    /// The line in words, as the events show it.
    #[serde(default)]
    pub summary: String,
    /// The plan.
    pub plan: Plan,
    /// How it ended; with [`Phase::After`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// When a line of the audit log was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before anything was sent.
    Before,
    /// After it was over.
    After,
}

impl AuditEntry {
    /// The line in words: what, of which GPU or process, by whom, and how it ended.
    #[must_use]
    pub fn words(&self) -> String {
        let who = match (&self.sudo_user, self.uid) {
            (Some(user), _) => format!("{user} through sudo"),
            (None, 0) => "root".to_owned(),
            (None, uid) => format!("user {uid}"),
        };
        let end = match (&self.outcome, self.phase) {
            (Some(outcome), _) => outcome.text(),
            (None, Phase::Before) => "begins".to_owned(),
            (None, Phase::After) => "ended".to_owned(),
        };
        format!("{} by {who}: {end}", self.plan.words())
    }
}

/// A change that can be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undoable {
    /// What was changed.
    pub done: Change,
    /// What takes it back.
    pub undo: Change,
    /// The value it started from, as the plan showed it.
    pub from: Option<String>,
    /// When it was over.
    pub wall: Wall,
}

/// The last change of each setting of the GPU of that UUID that was sent in this boot and can be taken back, newest
/// first. What takes one back is planned like any other change ([`plan_gpu`](super::plan_gpu)), and is then itself
/// the last change: undone twice, it is as it was.
#[must_use]
pub fn undoables<'a>(
    entries: impl IntoIterator<Item = &'a AuditEntry>,
    uuid: &str,
    boot_id: &str,
) -> Vec<Undoable> {
    let mut last: Vec<(&AuditEntry, &Change)> = Vec::new();
    for entry in entries {
        let is_of_gpu = matches!(&entry.plan.target, Target::Gpu { uuid: of, .. } if of == uuid);
        if !is_of_gpu || entry.phase != Phase::After || entry.plan.boot_id != boot_id {
            continue;
        }
        // Nothing was sent: what was before is still the last change. A failed one may have left another value.
        if matches!(entry.outcome, Some(Outcome::Refused { .. })) {
            continue;
        }
        if entry.plan.change.takes_the_gpu_away() {
            // A reset loses all settings: what was changed before is gone with it.
            last.clear();
            continue;
        }
        let setting = entry.plan.change.setting();
        last.retain(|(other, _)| other.plan.change.setting() != setting);
        if let Some(undo) = &entry.plan.undo {
            last.push((entry, undo));
        }
    }
    last.sort_by_key(|(entry, _)| std::cmp::Reverse((entry.mono_us, entry.wall_us)));
    last.into_iter()
        .map(|(entry, undo)| Undoable {
            done: entry.plan.change.clone(),
            undo: undo.clone(),
            from: entry.plan.expected.clone(),
            wall: Wall(entry.wall_us),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{gpu, host, limit};
    use super::super::{ClockDomain, plan_gpu};
    use super::*;
    use crate::units::Mono;

    fn entry(change: Change, mono_us: u64, outcome: Outcome) -> AuditEntry {
        AuditEntry {
            wall_us: 1_000,
            mono_us,
            phase: Phase::After,
            uid: 0,
            sudo_user: Some("ann".into()),
            pid: 7,
            summary: String::new(),
            plan: plan_gpu(&gpu(), &host(), change, Mono(mono_us)),
            outcome: Some(outcome),
        }
    }

    fn done() -> Outcome {
        Outcome::Done { verified: "read back".into() }
    }

    #[test]
    fn the_last_change_of_each_setting_comes_back_newest_first() {
        let lock = Change::LockClocks { domain: ClockDomain::Graphics, least: 300, most: 900 };
        let entries = [
            entry(limit(250), 1, done()),
            entry(limit(300), 3, done()),
            entry(lock.clone(), 2, done()),
            entry(limit(400), 4, Outcome::Refused { refusals: Vec::new() }),
        ];
        let found = undoables(&entries, "GPU-1", "boot-1");
        let changes: Vec<&Change> = found.iter().map(|undoable| &undoable.done).collect();
        assert_eq!(changes, [&limit(300), &lock]);
        assert_eq!(found.first().map(|undoable| &undoable.undo), Some(&limit(700)));
        assert_eq!(undoables(&entries, "GPU-2", "boot-1"), []);
        assert_eq!(undoables(&entries, "GPU-1", "boot-2"), []);
    }

    #[test]
    fn a_reset_leaves_nothing_to_take_back() {
        let entries = [entry(limit(250), 1, done()), entry(Change::Reset, 2, done())];
        assert_eq!(undoables(&entries, "GPU-1", "boot-1"), []);
    }

    #[test]
    fn a_line_says_what_to_whom_by_whom_and_how_it_ended() {
        let words = entry(limit(250), 1, done()).words();
        assert_eq!(
            words,
            "power limit: 700 W → 250 W on GPU 3, NVIDIA H200 at 0000:41:00.0 by ann through sudo: done: read back"
        );
    }
}
