//! Writing a file that was not there before, whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    /// The file is there already.
    #[error("{}: exists already; name another file or remove it first", .0.display())]
    Exists(PathBuf),
    /// It cannot be made or written.
    #[error("{}: {error}{}", path.display(), advice(error))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no home to have a state directory in.
    #[error("there is no home directory to write it to: name a file with -o")]
    NoHome,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing was left behind: make room, or name a file elsewhere with kgtop bundle -o"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; name a file elsewhere with kgtop bundle -o"
        }
        _ => "",
    }
}

/// The directory for bundles, made if need be.
pub(super) fn directory() -> Result<PathBuf, SaveError> {
    let own = directories::ProjectDirs::from("", "", "kgtop");
    let directory = own.and_then(|own| Some(own.state_dir()?.join("bundles"))).ok_or(SaveError::NoHome)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|error| SaveError::Write { path: directory.clone(), error })?;
    Ok(directory)
}

/// Whether a new file can be made there, before anybody waits for what is to go into it. Nothing is left behind.
pub(super) fn check(path: &Path) -> Result<(), SaveError> {
    drop(create(path)?);
    std::fs::remove_file(path).map_err(|error| SaveError::Write { path: path.to_owned(), error })
}

fn create(path: &Path) -> Result<File, SaveError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SaveError::Exists(path.to_owned())),
        other => other.map_err(|error| SaveError::Write { path: path.to_owned(), error }),
    }
}

/// Writes a new file for its owner alone. What could not be written in full is removed again.
pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let mut file = create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _gone = std::fs::remove_file(path);
        SaveError::Write { path: path.to_owned(), error }
    })
}
