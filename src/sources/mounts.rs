//! Mounted file systems that can hold models, and their space. Asking a file system for its space can block for ever
//! (a server that is gone): each is asked by a thread that may be left behind.

use super::root::Root;
use crate::model::{Absence, FileSystem, Reading};
use crate::units::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

const MOUNTS: &str = "/proc/self/mountinfo";
/// A host of containers has thousands of mounts.
const FILE_AT_MOST: usize = 4 << 20;
/// File systems that are asked for their space at most.
const MOUNTS_AT_MOST: usize = 256;
/// A file system that has not said its space by now is left to itself; a local one takes microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Types that hold files of people. `fuse.` followed by anything but [`NOT_STORES`] counts too.
const KINDS: [&str; 23] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "jfs", "zfs", "nfs", "nfs4", "cifs", "smb3",
    "ceph", "lustre", "gpfs", "beegfs", "wekafs", "9p", "virtiofs", "overlay", "fuseblk", "exfat",
];
/// File systems in user space that hold settings, not files.
const NOT_STORES: [&str; 3] = ["fuse.lxcfs", "fuse.portal", "fuse.gvfsd-fuse"];
/// Where a system starts from.
const NOT_FOR_MODELS: [&str; 3] = ["/boot", "/efi", "/snap"];

/// Lists the mounts and asks each for its space.
#[derive(Debug)]
pub struct MountReader {
    root: Root,
    /// Mount points that have not answered, each with where its answer will come.
    blocked: BTreeMap<Arc<str>, Receiver<Space>>,
}

type Space = Reading<(Bytes, Bytes)>;

impl MountReader {
    /// A reader below `root`.
    #[must_use]
    pub const fn new(root: Root) -> Self {
        Self { root, blocked: BTreeMap::new() }
    }

    /// The file systems. Those of a pool for which `suspended` says so are not asked: they might never answer.
    ///
    /// # Errors
    /// What the kernel answered when asked for the mounts.
    pub fn read(&mut self, suspended: impl Fn(&str) -> bool) -> Reading<Vec<FileSystem>> {
        let text = self.root.read_to_string(MOUNTS, FILE_AT_MOST)?;
        let mut filesystems: Vec<FileSystem> = mounts(&text)
            .into_iter()
            .map(|mount| FileSystem {
                disk: self.disk(&mount),
                mount_point: mount.point.into(),
                kind: mount.kind.into(),
                source: mount.source.into(),
                read_only: mount.read_only,
                size: Err(Absence::NotRequested),
                available: Err(Absence::NotRequested),
            })
            .collect();
        filesystems.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
        let mounted: Vec<Arc<str>> = filesystems.iter().map(|each| Arc::clone(&each.mount_point)).collect();
        self.blocked.retain(|point, _| mounted.contains(point));
        for each in &mut filesystems {
            let pool = each.source.split('/').next().unwrap_or_default();
            let space = if &*each.kind == "zfs" && suspended(pool) {
                Err(Absence::failed(0, "its pool is suspended: it is not asked"))
            } else {
                self.space(&each.mount_point)
            };
            (each.size, each.available) = match space {
                Ok((size, available)) => (Ok(size), Ok(available)),
                Err(absence) => (Err(absence.clone()), Err(absence)),
            };
        }
        Ok(filesystems)
    }

    fn disk(&self, mount: &Mount) -> Option<Arc<str>> {
        if mount.device.starts_with("0:") {
            return super::disks::disk_of(&self.root, &mount.source);
        }
        self.root.link_name(&format!("/sys/dev/block/{}", mount.device)).ok()
    }

    fn space(&mut self, point: &Arc<str>) -> Space {
        let answer = match self.blocked.remove(point) {
            Some(answer) => answer,
            None => self.ask(point),
        };
        match answer.recv_timeout(PATIENCE) {
            Ok(space) => space,
            Err(RecvTimeoutError::Disconnected) => {
                Err(Absence::failed(0, "no thread could be started to ask it"))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.blocked.insert(Arc::clone(point), answer);
                Err(Absence::failed(0, "does not answer: its server or device is gone"))
            }
        }
    }

    fn ask(&self, point: &Arc<str>) -> Receiver<Space> {
        let (sender, receiver) = channel();
        let (root, point) = (self.root.clone(), Arc::clone(point));
        let asking = std::thread::Builder::new().name("statvfs".into()).stack_size(64 * 1024);
        // A thread that cannot be started drops the sender, which is told as such.
        let _refused = asking.spawn(move || {
            // Nobody waits any more once the mount is gone.
            let _late = sender.send(root.space(&point));
        });
        receiver
    }
}

/// A line of `mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    device: String,
    /// Where.
    pub(super) point: String,
    /// Kind of file system.
    pub(super) kind: String,
    /// What is mounted.
    pub(super) source: String,
    read_only: bool,
    /// Whether reads are noted in access times.
    pub(super) notes_reads: bool,
}

/// Every mount, in the kernel's order. No file system is asked.
///
/// # Errors
/// What the kernel answered when asked for the mounts.
pub(super) fn every(root: &Root) -> Reading<Vec<Mount>> {
    let text = root.read_to_string(MOUNTS, FILE_AT_MOST)?;
    Ok(text.lines().filter_map(line).collect())
}

/// The mounts that count, each file system once: where it is mounted at the shortest path.
fn mounts(text: &str) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    for mount in text.lines().filter_map(line).filter(counts) {
        let room = found.len() < MOUNTS_AT_MOST;
        match found.iter_mut().find(|other| other.device == mount.device && other.source == mount.source) {
            Some(other) if mount.point.len() < other.point.len() => *other = mount,
            None if room => found.push(mount),
            Some(_) | None => {}
        }
    }
    found
}

fn line(line: &str) -> Option<Mount> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let (device, _root, point, options) = (before.next()?, before.next()?, before.next()?, before.next()?);
    let mut after = after.split(' ');
    Some(Mount {
        device: device.to_owned(),
        point: unescaped(point),
        kind: after.next()?.to_owned(),
        source: unescaped(after.next()?),
        read_only: options.split(',').any(|option| option == "ro"),
        notes_reads: !options.split(',').any(|option| option == "noatime"),
    })
}

fn counts(mount: &Mount) -> bool {
    let kind = mount.kind.as_str();
    let holds_files = KINDS.contains(&kind) || kind.starts_with("fuse.") && !NOT_STORES.contains(&kind);
    // The layers of containers are overlays too: only the one that is everything to this process counts.
    let is_layer = kind == "overlay" && mount.point != "/";
    let below = |prefix: &str| {
        mount.point.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    holds_files && !is_layer && !NOT_FOR_MODELS.iter().any(|prefix| below(prefix))
}

/// The kernel writes blanks, tabs, line ends and backslashes as `\` and three octal digits.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n\
        23 22 0:21 / /proc rw - proc proc rw\n\
        24 22 259:1 / /boot/efi rw - vfat /dev/nvme0n1p1 rw\n\
        25 22 0:40 / /ai/with\\040space rw - zfs rpool/ai/with\\040space rw,xattr\n\
        26 22 0:41 / /mnt/models ro - nfs4 store:/models rw,vers=4.2\n\
        27 22 0:50 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw\n\
        28 22 259:2 /srv /srv/models/of/all rw - ext4 /dev/nvme0n1p2 rw\n\
        garbage\n29 22 0:60 / /run/user/1000/doc rw - fuse.portal portal rw\n";

    #[test]
    fn each_file_system_that_can_hold_models_once() {
        let found = mounts(TEXT);
        let points: Vec<&str> = found.iter().map(|mount| mount.point.as_str()).collect();
        assert_eq!(points, ["/", "/ai/with space", "/mnt/models"]);
        assert_eq!(found[1].source, "rpool/ai/with space");
        assert!(found[2].read_only && !found[0].read_only);
    }

    #[test]
    fn one_that_does_not_answer_does_not_stop_the_others() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("proc/self")).unwrap();
        std::fs::write(tree.path().join("proc/self/mountinfo"), TEXT).unwrap();
        std::fs::write(tree.path().join("root.toml"), "[file.\"/mnt/models\"]\nhang = true\n").unwrap();
        let mut reader = MountReader::new(Root::open(tree.path()).unwrap());
        for _again in 0..2 {
            let found = reader.read(|pool| pool == "rpool").unwrap();
            let why = |nth: usize| found[nth].size.clone().unwrap_err().to_string();
            assert_eq!(why(0), "not supported here", "a captured tree has no space");
            assert!(why(1).contains("suspended"), "{}", why(1));
            assert!(why(2).contains("does not answer"), "{}", why(2));
        }
        assert_eq!(reader.blocked.len(), 1, "asked once, however often it is looked at");
    }
}
