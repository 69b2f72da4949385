//! The audit log: JSON lines, on the disk before anything is sent and after it is over.

use crate::actions::{AuditEntry, Outcome, Phase, Plan};
use crate::units::Clock;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Modes of directory and log: what root did to the machine everybody on it may know, and every user's screen shows;
/// what a user did is the user's.
const ROOT_MODES: (u32, u32) = (0o755, 0o644);
const USER_MODES: (u32, u32) = (0o700, 0o600);

/// The log is moved to `.1` beyond this size; two files are kept.
const ROTATE_AT: u64 = 8 << 20;

/// Every entry of these logs and of the files that they were rotated to, oldest first within a log. What cannot be
/// read, and lines of other versions, are left out.
pub(super) fn entries(logs: &[PathBuf]) -> Vec<AuditEntry> {
    let mut entries: Vec<AuditEntry> = logs
        .iter()
        .flat_map(|log| [rotated(log), log.clone()])
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>())
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
#[error("the audit log {} cannot be written: {error}", path.display())]
pub(super) struct AuditError {
    path: PathBuf,
    error: std::io::Error,
}

impl AuditError {
    /// No space left: what it takes is room, and an action that makes room is not to be refused for it.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }
}

/// The open log.
pub(super) struct Audit {
    path: PathBuf,
    file: File,
}

impl Audit {
    /// Opens the log, and moves one that is too long out of the way.
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        Self::opened(path).map_err(|error| AuditError { path: path.to_owned(), error })
    }

    fn opened(path: &Path) -> std::io::Result<Self> {
        let (of_directory, of_file) =
            if rustix::process::geteuid().is_root() { ROOT_MODES } else { USER_MODES };
        let directory = path.parent().unwrap_or_else(|| Path::new("/"));
        DirBuilder::new().recursive(true).mode(of_directory).create(directory)?;
        let open = || OpenOptions::new().create(true).append(true).mode(of_file).open(path);
        let mut file = open()?;
        // Two kgtops that act on two GPUs would both move it, the second one the new log over the old.
        flock(&file, FlockOperation::LockExclusive)?;
        let held = file.metadata()?;
        let is_it =
            std::fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino()));
        if held.len() > ROTATE_AT && is_it {
            std::fs::rename(path, rotated(path))?;
            file = open()?;
        } else if !is_it {
            file = open()?;
        } else {
            flock(&file, FlockOperation::Unlock)?;
        }
        // The name of a new file is the directory's to keep.
        File::open(directory)?.sync_all()?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes a line and waits until it is on the disk.
    pub(super) fn write(
        &mut self,
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
        let written = serde_json::to_vec(&entry).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            // One write: lines of two programs do not mix.
            self.file.write_all(&line)?;
            self.file.sync_data()
        });
        written.map_err(|error| AuditError { path: self.path.clone(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_too_long_moves_out_of_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kgtop/audit.jsonl");
        drop(Audit::open(&path).unwrap());
        File::options().write(true).open(&path).unwrap().set_len(ROTATE_AT + 1).unwrap();
        drop(Audit::open(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(std::fs::metadata(path.with_extension("jsonl.1")).unwrap().len(), ROTATE_AT + 1);
        // The next one leaves the old log alone.
        drop(Audit::open(&path).unwrap());
        assert_eq!(std::fs::metadata(path.with_extension("jsonl.1")).unwrap().len(), ROTATE_AT + 1);
    }
}
