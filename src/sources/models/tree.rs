//! The files of the stores, read so that whatever blocks can be given up: each path is announced before it is
//! touched, and none is touched on a suspended pool or where a read has not returned before.

use super::mounts::Mounts;
use crate::model::{Absence, Reading};
use crate::sources::root::{FileStat, Root};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

/// More files than this are not looked at in one scan: what is beyond is counted as left out.
pub(super) const FILES_AT_MOST: u64 = 1_000_000;
/// More names than this in one directory are left out where they must be sorted.
const NAMES_AT_MOST: usize = 20_000;

/// The files of the stores.
pub(super) struct Tree<'a> {
    pub(super) root: &'a Root,
    pub(super) mounts: &'a Mounts,
    /// Paths that did not answer before.
    pub(super) blocked: &'a BTreeSet<String>,
    /// Called before a path is touched; gives whether anybody still waits.
    pub(super) enter: &'a dyn Fn(&str) -> bool,
    /// Files looked at.
    pub(super) looked: Cell<u64>,
}

impl Tree<'_> {
    fn begin(&self, path: &str) -> Reading<()> {
        if self.blocked.contains(path) {
            return Err(Absence::failed(0, format!("{path} does not answer")));
        }
        if !(self.enter)(path) {
            return Err(Absence::failed(0, "given up"));
        }
        Ok(())
    }

    /// Names in a directory, in its own order.
    pub(super) fn each_name(&self, path: &str, visit: &mut dyn FnMut(&str) -> bool) -> Reading<()> {
        self.begin(path)?;
        self.mounts.touchable(self.root, path)?;
        self.root.each_name(path, &mut |name| {
            self.looked.set(self.looked.get() + 1);
            self.looked.get() <= FILES_AT_MOST && visit(name)
        })
    }

    /// Names in a directory, sorted.
    pub(super) fn list(&self, path: &str) -> Reading<Vec<String>> {
        let mut names = Vec::new();
        self.each_name(path, &mut |name| {
            names.push(name.to_owned());
            names.len() < NAMES_AT_MOST
        })?;
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn stat(&self, path: &str) -> Reading<FileStat> {
        self.begin(path)?;
        self.root.stat(path)
    }

    pub(super) fn read(&self, path: &str, limit: usize) -> Reading<Vec<u8>> {
        self.begin(path)?;
        self.root.read(path, limit)
    }

    pub(super) fn text(&self, path: &str, limit: usize) -> Option<String> {
        let bytes = self.read(path, limit).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn open(&self, path: &str) -> Reading<OwnedFd> {
        self.begin(path)?;
        self.root.open_unnoticed(path)
    }
}
