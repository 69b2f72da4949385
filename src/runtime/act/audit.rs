//! The audit log: JSON lines, on the disk before anything is sent and after it is over.

use super::lock;
use crate::actions::{AuditEntry, Outcome, Phase, Plan};
use crate::units::Clock;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Modes of directory and log: what root did to the machine everybody on it may know, and every user's screen shows;
/// what a user did is the user's.
const ROOT_MODES: (u32, u32) = (0o755, 0o644);
const USER_MODES: (u32, u32) = (0o700, 0o600);

/// The log is moved to `.1` beyond this size; two files are kept.
const ROTATE_AT: u64 = 8 << 20;

/// How often and how far apart the log's lock is tried: another kgtop holds it for as long as a line takes to reach
/// the disk. Five seconds of it leave a plan of that moment good.
const TRIES: u32 = 100;
/// See [`TRIES`].
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Every entry of these logs and of the files that they were rotated to, oldest first within a log. What cannot be
/// read, and lines of other versions, are left out.
pub(super) fn entries(logs: &[PathBuf]) -> Vec<AuditEntry> {
    let mut entries: Vec<AuditEntry> = logs
        .iter()
        .flat_map(|log| [rotated(log), log.clone()])
        .filter_map(|path| std::fs::read(path).ok())
        // Line by line: one that was cut off, perhaps within a letter, is alone in being lost.
        .flat_map(|bytes| {
            let lines = bytes.split(|byte| *byte == b'\n');
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect::<Vec<_>>()
        })
        .collect();
    entries.sort_by_key(|entry| entry.wall_us);
    entries
}

/// Where a log goes that is too long.
fn rotated(path: &Path) -> PathBuf {
    path.with_extension("jsonl.1")
}

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuditError {
    /// The file or its directory.
    #[error("the audit log {} cannot be written: {error}", path.display())]
    Write {
        /// The log.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another one writes, and does not end.
    #[error(
        "the audit log is held by another kgtop, which has written to it for {} s: see who has {} open",
        (BETWEEN_TRIES * TRIES).as_secs(),
        path.display()
    )]
    Held {
        /// The lock.
        path: PathBuf,
    },
}

impl AuditError {
    /// No space left: what it takes is room, and an action that makes room is not to be refused for it.
    pub(super) fn is_full(&self) -> bool {
        let Self::Write { error, .. } = self else { return false };
        matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }
}

/// The log.
pub(super) struct Audit {
    path: PathBuf,
}

impl Audit {
    /// The log at `path`. It is opened for each line: it may be moved out of the way in between.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Writes a line and waits until it is on the disk.
    pub(super) fn write(
        &self,
        clock: Clock,
        plan: &Plan,
        outcome: Option<&Outcome>,
    ) -> Result<(), AuditError> {
        let mut entry = AuditEntry {
            wall_us: (clock.wall)().0,
            mono_us: (clock.mono)().0,
            phase: if outcome.is_some() { Phase::After } else { Phase::Before },
            uid: rustix::process::getuid().as_raw(),
            sudo_user: std::env::var("SUDO_USER").ok(),
            pid: std::process::id(),
            summary: String::new(),
            plan: plan.clone(),
            outcome: outcome.cloned(),
        };
        // One line tells a change that is over. What may take its time, or never end, is told when it begins, too.
        if entry.phase == Phase::After || plan.change.takes_the_gpu_away() {
            entry.summary = entry.words();
        }
        let mut line = serde_json::to_vec(&entry).map_err(|error| self.failed(error.into()))?;
        line.push(b'\n');
        self.append(&line)
    }

    fn failed(&self, error: std::io::Error) -> AuditError {
        AuditError::Write { path: self.path.clone(), error }
    }

    /// Adds a line to what is there, and moves a log that is too long out of the way.
    fn append(&self, line: &[u8]) -> Result<(), AuditError> {
        let modes = if rustix::process::geteuid().is_root() { ROOT_MODES } else { USER_MODES };
        let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
        DirBuilder::new().recursive(true).mode(modes.0).create(directory).map_err(|e| self.failed(e))?;
        // Everybody may read root's log, and whoever may read a file may lock it: the lock is a file of its own.
        let path = self.path.with_extension("lock");
        let lock = lock::private(&path).map_err(|e| self.failed(e))?;
        if !lock::tried(&lock, TRIES, BETWEEN_TRIES) {
            return Err(AuditError::Held { path });
        }
        self.append_alone(line, modes.1, directory).map_err(|error| self.failed(error))
    }

    /// The same where no other kgtop writes meanwhile.
    fn append_alone(&self, line: &[u8], mode: u32, directory: &Path) -> std::io::Result<()> {
        let open = || OpenOptions::new().create(true).read(true).append(true).mode(mode).open(&self.path);
        let mut file = open()?;
        let mut length = file.metadata()?.len();
        if length > ROTATE_AT {
            std::fs::rename(&self.path, rotated(&self.path))?;
            file = open()?;
            length = 0;
        }
        // The name of a new file is the directory's to keep.
        File::open(directory)?.sync_all()?;
        // A line that was cut off (by a full disk, or with the machine) takes no other one with it.
        let cut_off = length.checked_sub(1).is_some_and(|last| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, last).is_ok() && byte != *b"\n"
        });
        let written = if cut_off { file.write_all(b"\n") } else { Ok(()) };
        if let Err(error) = written.and_then(|()| file.write_all(line)) {
            // Half a line says nothing; a device has no length to go back to.
            let _a_device = file.set_len(length);
            return Err(error);
        }
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::super::execute::tests::{clock, plan};
    use super::*;
    use rustix::fs::{FlockOperation, flock};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc::channel;

    fn log() -> (tempfile::TempDir, Audit) {
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::new(&directory.path().join("kgtop/audit.jsonl"));
        (directory, audit)
    }

    #[test]
    fn a_log_that_is_too_long_moves_out_of_the_way() {
        let (_kept, audit) = log();
        audit.append(b"first\n").unwrap();
        File::options().write(true).open(&audit.path).unwrap().set_len(ROTATE_AT + 1).unwrap();
        audit.append(b"second\n").unwrap();
        assert_eq!(std::fs::read_to_string(&audit.path).unwrap(), "second\n");
        let old = || std::fs::metadata(rotated(&audit.path)).unwrap().len();
        assert_eq!(old(), ROTATE_AT + 1);
        // The next one leaves the old log alone.
        audit.append(b"third\n").unwrap();
        assert_eq!(old(), ROTATE_AT + 1);
    }

    #[test]
    fn who_may_only_read_the_log_holds_nobody_up() {
        let (_kept, audit) = log();
        audit.append(b"first\n").unwrap();
        let reader = File::open(&audit.path).unwrap();
        flock(&reader, FlockOperation::LockExclusive).unwrap();
        let (done, ended) = channel();
        let path = audit.path.clone();
        std::thread::spawn(move || done.send(Audit::new(&path).append(b"second\n").is_ok()));
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(true));
        let lock = audit.path.with_extension("lock");
        assert_eq!(std::fs::metadata(lock).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_was_cut_off_takes_no_other_one_with_it() {
        let (_kept, audit) = log();
        audit.write(clock(), &plan(), None).unwrap();
        let whole = std::fs::read(&audit.path).unwrap();
        // Within the arrow of the summary, whose letter has three bytes.
        let mut cut = whole.clone();
        cut.extend_from_slice(b"{\"summary\":\"700 W \xe2\x86");
        std::fs::write(&audit.path, cut).unwrap();
        audit.write(clock(), &plan(), Some(&Outcome::Refused { refusals: Vec::new() })).unwrap();
        let phases: Vec<Phase> =
            entries(std::slice::from_ref(&audit.path)).iter().map(|entry| entry.phase).collect();
        assert_eq!(phases, [Phase::Before, Phase::After]);
    }
}
