//! The file tree that the readers of `/proc`, `/sys` and `/etc` read below: the live machine, or a directory
//! that holds a captured or made-up one.
//!
//! A directory is opened beneath with `openat2` and `RESOLVE_IN_ROOT`: an absolute link or a `..` inside it stays
//! inside it. What a directory in git cannot hold stands in its `root.toml`, see [`Root::open`].

mod error;
mod identity;
mod metadata;
mod overrides;

pub use error::RootError;
pub use identity::Identity;
pub use metadata::{FileKind, FileStat, Metadata};

use crate::model::{Absence, Reading};
use crate::units::Bytes;
use overrides::{Override, Overrides};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More entries than this in one directory are left out: a directory of a captured tree is not trusted.
const ENTRIES_AT_MOST: usize = 65_536;
/// `RESOLVE_IN_ROOT` answers `EAGAIN` while something in the tree is renamed; it is asked again this often.
const RACED_AT_MOST: usize = 8;

/// Where files are read from.
#[derive(Clone, Debug)]
pub enum Root {
    /// This machine.
    Live,
    /// A captured or made-up machine.
    Directory(Arc<Captured>),
}

/// A directory that stands for a machine, with its `root.toml`.
#[derive(Debug)]
pub struct Captured {
    path: PathBuf,
    fd: OwnedFd,
    overrides: Overrides,
}

/// The absence that an errno stands for: no permission, not there, or a failure with its code.
#[must_use]
pub fn absence_of(errno: Errno) -> Absence {
    match errno {
        Errno::ACCESS | Errno::PERM => Absence::NoPermission,
        // ESRCH is how a file in /proc/PID answers once its process is gone.
        Errno::NOENT | Errno::SRCH => Absence::NotSupported,
        other => Absence::failed(other.raw_os_error(), std::io::Error::from(other).to_string()),
    }
}

impl Root {
    /// Opens `directory` as the tree of another machine. Its `root.toml`, where it has one, holds what git
    /// cannot:
    ///
    /// ```toml
    /// [machine]                       # of the machine that was captured; default: 4096 and 100
    /// page_size = 65536
    /// clock_ticks_per_second = 100
    ///
    /// [file."/proc/4711/environ"]     # the path as a reader asks for it, before any link is followed
    /// error = "EACCES"                # reading, listing and looking at it fails like this
    /// hang = true                     # blocks the calling thread for ever
    /// link = "pid:[4026531836]"       # it is this symbolic link
    /// mode = "0600"
    /// uid = 0
    /// gid = 0
    /// device = "195:0"
    /// label = "system_u:object_r:xserver_misc_device_t:s0"
    /// ```
    ///
    /// # Errors
    /// When the directory cannot be opened, or its `root.toml` cannot be read or has a key or value that is not
    /// known: the message names file and line.
    pub fn open(directory: &Path) -> Result<Self, RootError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(directory, flags, Mode::empty())
            .map_err(|source| RootError::Open { path: directory.to_owned(), source })?;
        let toml = directory.join("root.toml");
        let overrides = match std::fs::read_to_string(&toml) {
            Ok(text) => Overrides::parse(&text).map_err(|error| RootError::Invalid {
                path: toml,
                line: error.line,
                message: error.message,
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Overrides::default(),
            Err(source) => return Err(RootError::Read { path: toml, source }),
        };
        Ok(Self::Directory(Arc::new(Captured { path: directory.to_owned(), fd, overrides })))
    }

    /// Whether this is the live machine.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// The directory, unless the root is the live machine.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Live => None,
            Self::Directory(captured) => Some(&captured.path),
        }
    }

    /// Bytes of a memory page of the machine.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        match self {
            Self::Live => procfs::page_size(),
            Self::Directory(captured) => captured.overrides.page_size,
        }
    }

    /// Ticks per second in which `/proc` counts CPU time (`USER_HZ`).
    #[must_use]
    pub fn clock_ticks_per_second(&self) -> u64 {
        match self {
            Self::Live => procfs::ticks_per_second(),
            Self::Directory(captured) => captured.overrides.clock_ticks_per_second,
        }
    }

    /// The file's first `limit` bytes; what is longer is cut off.
    ///
    /// # Errors
    /// The absence that stands for the kernel's answer, see [`absence_of`].
    pub fn read(&self, path: &str, limit: usize) -> Reading<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(path, limit, &mut bytes)?;
        Ok(bytes)
    }

    /// Like [`read`](Self::read), into a buffer that is emptied first: for files read again and again.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_into(&self, path: &str, limit: usize, bytes: &mut Vec<u8>) -> Reading<()> {
        bytes.clear();
        let file = self.open_file(path)?;
        // The files of /proc have no size: read until the end, page by page.
        while bytes.len() < limit {
            let room = (limit - bytes.len()).min(4_096);
            bytes.reserve(room);
            let before = bytes.len();
            match rustix::io::read(&file, rustix::buffer::spare_capacity(bytes)) {
                Ok(_) if bytes.len() == before => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(absence_of(errno)),
            }
        }
        bytes.truncate(limit);
        Ok(())
    }

    /// The file's first `limit` bytes as text; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_to_string(&self, path: &str, limit: usize) -> Reading<String> {
        let bytes = self.read(path, limit)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The first line of a small file, without blanks at its ends: what one value in `/sys` is.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_value(&self, path: &str) -> Reading<Arc<str>> {
        let text = self.read_to_string(path, 4_096)?;
        Ok(text.lines().next().unwrap_or_default().trim().into())
    }

    /// Opens a file for reading, without blocking on a pipe or device that has nothing to say. For files that
    /// are followed, such as `/dev/kmsg`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn open_file(&self, path: &str) -> Reading<OwnedFd> {
        self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
    }

    /// Where the symbolic link at `path` points to; no link is followed at its last part.
    ///
    /// # Errors
    /// As for [`read`](Self::read); `EINVAL` where it is no link.
    pub fn read_link(&self, path: &str) -> Reading<String> {
        let link = match self {
            Self::Live => rustix::fs::readlink(path, Vec::new()).map_err(absence_of)?,
            Self::Directory(captured) => {
                if let Some(link) = self.checked(path)?.and_then(|entry| entry.link.as_deref()) {
                    return Ok(link.to_owned());
                }
                let fd = captured.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
                // An empty path means the link itself; the kernel answers ENOENT for anything that is no link.
                rustix::fs::readlinkat(&fd, "", Vec::new()).map_err(|errno| match errno {
                    Errno::NOENT => absence_of(Errno::INVAL),
                    other => absence_of(other),
                })?
            }
        };
        Ok(link.to_string_lossy().into_owned())
    }

    /// The last part of where the link at `path` points to: a driver, a module, a device.
    ///
    /// # Errors
    /// As for [`read_link`](Self::read_link).
    pub fn link_name(&self, path: &str) -> Reading<Arc<str>> {
        let link = self.read_link(path)?;
        Ok(link.trim_end_matches('/').rsplit('/').next().unwrap_or_default().into())
    }

    /// The names in a directory, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn list(&self, path: &str) -> Reading<Vec<String>> {
        let fd = self.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let directory = Dir::new(fd).map_err(absence_of)?;
        let mut names: BTreeSet<String> = BTreeSet::new();
        if let Self::Directory(captured) = self {
            names.extend(captured.overrides.links_in(path).map(str::to_owned));
        }
        for entry in directory.take(ENTRIES_AT_MOST) {
            let entry = entry.map_err(absence_of)?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.insert(name.into_owned());
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Size of the file system at `path`, and what an ordinary user can still write there. A captured tree has no
    /// space of its own. Blocks for as long as the file system does.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn space(&self, path: &str) -> Reading<(Bytes, Bytes)> {
        self.checked(path)?;
        let Self::Live = self else { return Err(Absence::NotSupported) };
        let space = rustix::fs::statvfs(path).map_err(absence_of)?;
        let bytes = |blocks: u64| Bytes(blocks.saturating_mul(space.f_frsize));
        Ok((bytes(space.f_blocks), bytes(space.f_bavail)))
    }

    /// Calls `visit` with each name in a directory, in the directory's own order and without `.` and `..`, until it
    /// gives `false`: for directories of which nobody knows how large they are.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn each_name(&self, path: &str, visit: &mut dyn FnMut(&str) -> bool) -> Reading<()> {
        let fd = self.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let directory = Dir::new(fd).map_err(absence_of)?;
        for entry in directory {
            let entry = entry.map_err(absence_of)?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." && !visit(&name) {
                break;
            }
        }
        Ok(())
    }

    /// Opens a file for reading like [`open_file`](Self::open_file), without leaving a trace in its access time where
    /// that is allowed (to its owner and to root).
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn open_unnoticed(&self, path: &str) -> Reading<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        match self.open_with(path, flags | OFlags::NOATIME) {
            Err(Absence::NoPermission) => self.open_with(path, flags),
            other => other,
        }
    }

    /// Identity, size and times of what is at `path`, links followed.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn stat(&self, path: &str) -> Reading<FileStat> {
        self.checked(path)?;
        let stat = match self {
            Self::Live => rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty()).map_err(absence_of),
            Self::Directory(captured) => {
                captured.open(path, OFlags::PATH).and_then(|fd| rustix::fs::fstat(fd).map_err(absence_of))
            }
        };
        stat.map(|stat| FileStat::from_stat(&stat))
    }

    /// Whether there is something at `path`, links followed.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.metadata(path).is_ok()
    }

    /// Kind, mode and owner of what is at `path`, links followed.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn metadata(&self, path: &str) -> Reading<Metadata> {
        let entry = self.checked(path)?;
        let stat = match self {
            Self::Live => rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty()).map_err(absence_of),
            Self::Directory(captured) => {
                captured.open(path, OFlags::PATH).and_then(|fd| rustix::fs::fstat(fd).map_err(absence_of))
            }
        };
        let found = stat.map(|stat| Metadata::from_stat(&stat));
        match entry {
            Some(entry) => entry.complete(found),
            None => found,
        }
    }

    /// The SELinux label of what is at `path`, without the NUL that ends it; not supported where there is none.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn label(&self, path: &str) -> Reading<Arc<str>> {
        match self {
            Self::Live => {
                // A label is a security context of some dozen bytes; the kernel's own limit is a page.
                let mut label = [0_u8; 4_096];
                let length =
                    rustix::fs::getxattr(path, "security.selinux", &mut label).map_err(
                        |errno| match errno {
                            Errno::NODATA | Errno::OPNOTSUPP => Absence::NotSupported,
                            other => absence_of(other),
                        },
                    )?;
                let label = label.get(..length).unwrap_or_default();
                Ok(String::from_utf8_lossy(label).trim_end_matches('\0').into())
            }
            Self::Directory(_) => {
                let label = self.checked(path)?.and_then(|entry| entry.label.as_deref());
                label.map(Into::into).ok_or(Absence::NotSupported)
            }
        }
    }

    /// What `root.toml` says of `path`; fails or blocks where it says so.
    fn checked(&self, path: &str) -> Reading<Option<&Override>> {
        let Self::Directory(captured) = self else { return Ok(None) };
        let Some(entry) = captured.overrides.get(path) else { return Ok(None) };
        if entry.hang {
            loop {
                std::thread::park();
            }
        }
        match entry.error {
            Some(errno) => Err(absence_of(errno)),
            None => Ok(Some(entry)),
        }
    }

    fn open_with(&self, path: &str, flags: OFlags) -> Reading<OwnedFd> {
        self.checked(path)?;
        match self {
            Self::Live => rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(absence_of),
            Self::Directory(captured) => captured.open(path, flags),
        }
    }
}

impl Captured {
    fn open(&self, path: &str, flags: OFlags) -> Reading<OwnedFd> {
        let beneath = path.trim_start_matches('/');
        let beneath = if beneath.is_empty() { "." } else { beneath };
        let mut tries = 0;
        loop {
            let opened = rustix::fs::openat2(
                &self.fd,
                beneath,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                // Magic links (/proc/self/fd/3 on a mounted procfs) leave every root.
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            );
            match opened {
                Err(Errno::AGAIN) if tries < RACED_AT_MOST => tries += 1,
                other => return other.map_err(absence_of),
            }
        }
    }
}

#[cfg(test)]
mod tests;
