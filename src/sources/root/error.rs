//! Why a directory cannot be a root.

use rustix::io::Errno;
use std::path::PathBuf;

/// Why a directory cannot be a root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The directory could not be opened.
    #[error("{path}: cannot be opened as a root directory: {source}", path = path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// `root.toml` could not be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// `root.toml` is wrong.
    #[error("{path}:{line}: {message}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        message: String,
    },
}
