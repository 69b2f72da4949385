//! What root may load and run: nothing that somebody else could have written.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The name by which this user may load or run the file; `None` where it may not: root only what nobody else can have
/// written. It is refused rather than left out: what was meant for that file must not reach the system's. For root the
/// name has no link in it any more, so that what was looked at is what is used.
pub(in crate::runtime) fn trusted(file: &Path) -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        return Some(file.to_owned());
    }
    match std::fs::canonicalize(file) {
        Ok(file) => only_root_writes(&file).then_some(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => absent(file),
        Err(_unreadable) => None,
    }
}

/// The name of a file that is not there, where nobody else can put one there.
fn absent(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).ok()?;
    let (there, directory) =
        file.ancestors().find_map(|path| Some((path, std::fs::canonicalize(path).ok()?)))?;
    let rest = file.strip_prefix(there).ok()?;
    let goes_down = rest.components().all(|part| matches!(part, Component::Normal(_)));
    // In a sticky directory nobody else can replace a file, and everybody can make one.
    let is_closed = std::fs::metadata(&directory).is_ok_and(|metadata| metadata.mode() & OTHERS_WRITE == 0);
    (goes_down && is_closed && only_root_writes(&directory)).then(|| directory.join(rest))
}

const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Whether the file of that canonical name and every directory above it belong to root and nobody else may write them
/// (in a sticky directory nobody else can replace it).
fn only_root_writes(file: &Path) -> bool {
    file.ancestors().all(|path| {
        std::fs::metadata(path).is_ok_and(|metadata| {
            let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
            metadata.uid() == 0 && (metadata.mode() & OTHERS_WRITE == 0 || sticky)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn root_uses_what_was_looked_at_and_nothing_that_others_can_put_there() {
        if !rustix::process::geteuid().is_root() {
            assert_eq!(trusted(Path::new("anything")), Some("anything".into()));
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().canonicalize().unwrap().join(name);
        std::fs::write(path("library.so"), "").unwrap();
        symlink(path("library.so"), path("link.so")).unwrap();
        assert_eq!(trusted(&path("link.so")), Some(path("library.so")));
        assert_eq!(trusted(&path("absent/library.so")), Some(path("absent/library.so")));
        assert_eq!(trusted(&path("absent/../library.so")), None);
        let mode = |name: &str, mode| std::fs::set_permissions(path(name), Permissions::from_mode(mode));
        mode("library.so", 0o666).unwrap();
        assert_eq!(trusted(&path("link.so")), None);
        // As /tmp is.
        std::fs::create_dir(path("open")).unwrap();
        mode("open", 0o1777).unwrap();
        assert_eq!(trusted(&path("open/absent.so")), None);
        std::fs::write(path("open/library.so"), "").unwrap();
        assert_eq!(trusted(&path("open/library.so")), Some(path("open/library.so")));
    }
}
