//! What is mounted where, and whether anything below it may be touched: a suspended pool answers no `open`.

use crate::model::{Absence, Reading};
use crate::sources::mounts::{Mount, every};
use crate::sources::root::Root;

/// All mounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads them, which touches no file system. Where they cannot be read, nothing is known to be mounted.
    pub(super) fn read(root: &Root) -> Self {
        Self(every(root).unwrap_or_default())
    }

    /// The mount that a path lies on; the last one mounted there counts.
    pub(super) fn of(&self, path: &str) -> Option<&Mount> {
        let below = |point: &str| {
            point == "/"
                || path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().rev().filter(|mount| below(&mount.point)).max_by_key(|mount| mount.point.len())
    }

    /// Fails when the path lies on a pool that is suspended now: listing or opening there would never return.
    pub(super) fn touchable(&self, root: &Root, path: &str) -> Reading<()> {
        let Some(mount) = self.of(path).filter(|mount| mount.kind == "zfs") else { return Ok(()) };
        let pool = mount.source.split('/').next().unwrap_or_default();
        match root.read_value(&format!("/proc/spl/kstat/zfs/{pool}/state")) {
            Ok(state) if &*state == "SUSPENDED" => Err(Absence::failed(
                0,
                format!("pool {pool} is suspended: nothing below {} is touched", mount.point),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_wins_and_blanks_survive() {
        let text = "22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                    40 22 0:40 / /models rw,noatime shared:9 - zfs rpool/ai/with\\040space rw,xattr\n\
                    41 22 0:41 / /mod rw - tmpfs tmpfs rw\n";
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("proc/self")).unwrap();
        std::fs::write(tree.path().join("proc/self/mountinfo"), text).unwrap();
        let mounts = Mounts::read(&Root::open(tree.path()).unwrap());
        let mount = mounts.of("/models/hub/x").unwrap();
        assert_eq!((mount.source.as_str(), mount.notes_reads), ("rpool/ai/with space", false));
        assert_eq!(mounts.of("/modelsX").unwrap().point, "/");
    }
}
