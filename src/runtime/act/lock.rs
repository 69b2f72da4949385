//! One action per GPU at a time, over all kgtops of a machine.

use crate::units::Wall;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Modes of the locks and of their directory: whoever may read a file may lock it (`flock(2)`), and so could keep
/// root from acting.
const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// A held lock; it ends with the value, and with the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why a GPU cannot be locked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    /// Somebody else acts.
    #[error("another kgtop acts on this GPU right now ({holder}): wait until it is done")]
    Held {
        /// Who, as the lock says.
        holder: String,
    },
    /// The lock's file cannot be made.
    #[error("the lock {path} cannot be taken: {error}")]
    Failed {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Takes the lock of a GPU.
pub(super) fn take(directory: &Path, uuid: &str, wall: Wall) -> Result<Lock, LockError> {
    // A UUID comes from the driver; a file name is made of nothing else than letters, digits and dashes.
    let name: String = uuid.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let path = directory.join(format!("{name}.lock"));
    let failed = |error| LockError::Failed { path: path.display().to_string(), error };
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(directory).map_err(failed)?;
    let opened = File::open(directory).and_then(|opened| tighten(&opened, DIRECTORY));
    opened.map_err(failed)?;
    let mut file = private(&path).map_err(failed)?;
    if !tried(&file, 1, Duration::ZERO) {
        let mut holder = String::new();
        let _unreadable = file.read_to_string(&mut holder);
        return Err(LockError::Held { holder: holder.trim().to_owned() });
    }
    let text = format!("PID {}, since {} µs of the epoch\n", std::process::id(), wall.0);
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(failed)?;
    Ok(Lock { _file: file })
}

/// Opens a file that nobody else may open, and so nobody else may lock.
pub(super) fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).mode(FILE).open(path)?;
    tighten(&file, FILE)?;
    Ok(file)
}

/// Takes away what others may: an earlier version, or another umask, left it to them.
fn tighten(file: &File, mode: u32) -> std::io::Result<()> {
    let now = file.metadata()?.mode() & 0o7777;
    if now & !mode == 0 { Ok(()) } else { file.set_permissions(Permissions::from_mode(now & mode)) }
}

/// Locks the file for as long as it is open; false when another one held it at each of so many tries.
pub(super) fn tried(file: &File, tries: u32, apart: Duration) -> bool {
    for left in (0..tries).rev() {
        if flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return true;
        }
        if left > 0 {
            std::thread::sleep(apart);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_open_a_lock_and_so_nobody_else_may_hold_it() {
        let directory = tempfile::tempdir().unwrap();
        let locks = directory.path().join("run/kgtop");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        drop(take(&locks, "GPU-1", Wall(0)).unwrap());
        let file = locks.join("GPU-1.lock");
        assert_eq!((mode(&locks), mode(&file)), (0o700, 0o600));
        // As an earlier version left them.
        std::fs::set_permissions(&locks, Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let _held = take(&locks, "GPU-1", Wall(0)).unwrap();
        assert_eq!((mode(&locks), mode(&file)), (0o700, 0o600));
        assert!(matches!(take(&locks, "GPU-1", Wall(0)), Err(LockError::Held { .. })));
    }
}
