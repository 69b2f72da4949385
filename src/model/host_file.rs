//! Files of the host as they were found: the evidence on which the doctor judges the layers below the GPU.

use super::{Absence, Reading};
use std::sync::Arc;

/// All that was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFiles {
    /// By path, each once.
    pub files: Vec<HostFile>,
    /// What is still being read, and may never answer (a file of a driver that hangs); `None` when all was read.
    pub pending: Option<Arc<str>>,
}

impl HostFiles {
    /// The file of that path, if it was looked at.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&HostFile> {
        let place = self.files.binary_search_by(|file| (*file.path).cmp(path)).ok()?;
        self.files.get(place)
    }
}

/// One file, directory, link or device node. What was not asked of it is absent (`NotRequested`); what is not there
/// is `NotSupported`.
#[derive(Clone, Debug, PartialEq)]
pub struct HostFile {
    /// Its path.
    pub path: Arc<str>,
    /// The lines of its text that were kept, with their numbers from 1.
    pub lines: Reading<Vec<(u32, Arc<str>)>>,
    /// The names in a directory that were kept.
    pub names: Reading<Vec<Arc<str>>>,
    /// Where a symbolic link points to.
    pub link: Reading<Arc<str>>,
    /// Permission bits.
    pub mode: Reading<u32>,
    /// Owner.
    pub uid: Reading<u32>,
    /// Group.
    pub gid: Reading<u32>,
    /// Major and minor number of a device node.
    pub device: Reading<(u32, u32)>,
    /// SELinux label.
    pub label: Reading<Arc<str>>,
}

impl HostFile {
    /// A file of which nothing was asked yet.
    #[must_use]
    pub fn new(path: impl Into<Arc<str>>) -> Self {
        Self {
            path: path.into(),
            lines: Err(Absence::NotRequested),
            names: Err(Absence::NotRequested),
            link: Err(Absence::NotRequested),
            mode: Err(Absence::NotRequested),
            uid: Err(Absence::NotRequested),
            gid: Err(Absence::NotRequested),
            device: Err(Absence::NotRequested),
            label: Err(Absence::NotRequested),
        }
    }

    /// The text of its first line, without blanks at its ends.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.lines.as_ref().ok()?.first().map(|(_, text)| text.trim())
    }
}
