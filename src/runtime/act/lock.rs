//! One action per GPU at a time, over all kgtops of a machine.

use crate::units::Wall;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

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
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o644)
        .open(&path)
        .map_err(failed)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _unreadable = file.read_to_string(&mut holder);
        return Err(LockError::Held { holder: holder.trim().to_owned() });
    }
    let text = format!("PID {}, since {} µs of the epoch\n", std::process::id(), wall.0);
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(failed)?;
    Ok(Lock { _file: file })
}
