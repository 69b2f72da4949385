//! What is mounted where, and whether anything below it may be touched: a suspended pool answers no `open`.

use crate::model::{Absence, Reading};
use crate::sources::root::Root;
use std::sync::Arc;

/// A machine with thousands of containers has some thousand mounts.
const MOUNTINFO_LIMIT: usize = 4 << 20;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: Arc<str>,
    /// Kind of file system.
    pub file_system: Arc<str>,
    /// What is mounted (`rpool/ai/models`, `/dev/md0`, `nas:/models`).
    pub source: Arc<str>,
    /// Whether reads are noted in access times.
    pub notes_reads: bool,
}

/// All mounts.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads `/proc/self/mountinfo`, which touches no file system.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let text = root.read_to_string("/proc/self/mountinfo", MOUNTINFO_LIMIT).unwrap_or_default();
        Self(text.lines().filter_map(parse).collect())
    }

    /// The mount that a path lies on; the last one mounted there counts.
    #[must_use]
    pub fn of(&self, path: &str) -> Option<&Mount> {
        let below = |point: &str| {
            point == "/"
                || path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().rev().filter(|mount| below(&mount.point)).max_by_key(|mount| mount.point.len())
    }

    /// Fails when the path lies on a pool that is suspended now: listing or opening there would never return.
    ///
    /// # Errors
    /// The pool is suspended.
    pub fn touchable(&self, root: &Root, path: &str) -> Reading<()> {
        let Some(mount) = self.of(path).filter(|mount| &*mount.file_system == "zfs") else { return Ok(()) };
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

fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let point = unescape(left.next()?);
    let options = left.next()?;
    let mut right = right.split(' ');
    let file_system = right.next()?;
    let source = unescape(right.next()?);
    Some(Mount {
        point: point.into(),
        file_system: file_system.into(),
        source: source.into(),
        notes_reads: !options.split(',').any(|option| option == "noatime"),
    })
}

/// Blanks, tabs, line ends and backslashes are written `\040` (proc(5)).
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, after.get(3..)) {
            (Some(code), Some(tail)) if code.is_ascii() => {
                out.push(char::from(code));
                rest = tail;
            }
            _ => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_wins_and_blanks_survive() {
        let text = "22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                    40 22 0:40 / /models rw,noatime shared:9 - zfs rpool/ai/with\\040space rw,xattr\n\
                    41 22 0:41 / /mod rw - tmpfs tmpfs rw\n";
        let mounts = Mounts(text.lines().filter_map(parse).collect());
        let mount = mounts.of("/models/hub/x").unwrap();
        assert_eq!((&*mount.source, mount.notes_reads), ("rpool/ai/with space", false));
        assert_eq!(&*mounts.of("/modelsX").unwrap().point, "/");
    }
}
