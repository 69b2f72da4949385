//! What root may load and run: nothing that somebody else could have written.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether this user may load or run the file: root only what nobody else can have written. It is refused rather
/// than left out: what was meant for that file must not reach the system's.
pub(super) fn is_trusted(file: &Path) -> bool {
    !rustix::process::geteuid().is_root() || only_root_writes(file)
}

/// Whether the file and every directory above it belong to root and nobody else may write them (in a sticky
/// directory nobody else can replace it).
fn only_root_writes(file: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let Ok(file) = std::fs::canonicalize(file) else { return false };
    file.ancestors().all(|path| {
        std::fs::metadata(path).is_ok_and(|metadata| {
            let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
            metadata.uid() == 0 && (metadata.mode() & OTHERS_WRITE == 0 || sticky)
        })
    })
}
