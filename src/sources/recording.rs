//! Recordings: the stream in a file, one gzip member per block of at most five seconds. `zcat FILE` reads it.
//!
//! * [`RecordingWriter`] writes whole blocks only, so a killed process or a full disk costs the block in the making
//!   and nothing before it. Each block begins with the header and the inventory and can be decoded alone. What the
//!   block covers stands in the extra field of its gzip header, so a reader finds its way without decompressing.
//! * [`RecordingReader`] reads these, and plain or otherwise compressed streams too; it goes on over damage and
//!   says where it was.
//! * [`ReplayCursor`] gives the records one by one and goes to any time of the recording.

mod block;
mod data;
mod reader;
mod redact;
mod replay;
mod scan;
mod writer;

pub use block::Span;
pub use data::Data;
pub use reader::{Damage, Position, RecordingReader};
pub use redact::Redactor;
pub use replay::{ReplayCursor, Target};
pub use writer::{RecordingSink, RecordingWriter, Saved};

use std::io;
use std::path::PathBuf;

/// Why a recording could not be opened, read or written. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file of that name is there already.
    #[error("{}: exists already; name another file or remove it first", .0.display())]
    Exists(PathBuf),
    /// Opening failed.
    #[error("{}: {source}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing failed; what was saved before stays valid.
    #[error("{}: {source}; {saved}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What is in the file.
        saved: Saved,
    },
    /// The file holds no record.
    #[error("{name}: no kgtop recording: {why}")]
    NotARecording {
        /// The file.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer kgtop.
    #[error("{name}: {error}")]
    NewerFormat {
        /// The file.
        name: String,
        /// What it needs.
        error: crate::stream::DecodeError,
    },
}
