//! Kind, mode and owner of a file.

/// Owner, mode and kind of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, set-user-id and the like included (`0o660`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Major and minor number of a device file.
    pub device: Option<(u32, u32)>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link (only where links are not followed).
    Link,
    /// A character or block device.
    Device,
    /// A pipe or a socket.
    Other,
}

/// Identity, size and times of a file, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Device that it lies on, as `stat` numbers it.
    pub device: u64,
    /// Inode on that device.
    pub inode: u64,
    /// Length, bytes.
    pub size: u64,
    /// What it takes on disk, bytes.
    pub on_disk: u64,
    /// Last change of its content, ns since the epoch.
    pub modified_ns: i64,
    /// Last read that the file system noted, ns since the epoch.
    pub accessed_ns: i64,
}

impl FileStat {
    pub(super) fn from_stat(stat: &rustix::fs::Stat) -> Self {
        /// Unit of `st_blocks` (stat(2)).
        const BLOCK: u64 = 512;
        let ns = |seconds: i64, ns: u64| {
            seconds.saturating_mul(1_000_000_000).saturating_add(i64::try_from(ns).unwrap_or_default())
        };
        Self {
            kind: Metadata::from_stat(stat).kind,
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            on_disk: u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(BLOCK),
            modified_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
            accessed_ns: ns(stat.st_atime, stat.st_atime_nsec),
        }
    }
}

impl Metadata {
    pub(super) fn from_stat(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let kind = match file_type {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
            _ => FileKind::Other,
        };
        let device = (kind == FileKind::Device)
            .then(|| (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)));
        Self { kind, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, device }
    }
}
