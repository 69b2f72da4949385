//! Collects files, each once, in the bounds that keep a sample small.

use crate::model::{Absence, HostFile, HostFiles, Reading};
use crate::sources::root::Root;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Bytes of one file that are looked at: `modules.dep` of a distribution's kernel has about 1 MiB.
const FILE_AT_MOST: usize = 8 << 20;
/// Lines of one file that are kept; of more, the last.
const LINES_AT_MOST: usize = 64;
/// Names of one directory that are kept.
const NAMES_AT_MOST: usize = 256;
/// Bytes of one line that are kept.
const LINE_AT_MOST: usize = 400;

/// What was found so far.
pub(super) struct Gather<'a> {
    pub(super) root: &'a Root,
    files: BTreeMap<String, HostFile>,
}

impl<'a> Gather<'a> {
    pub(super) const fn new(root: &'a Root) -> Self {
        Self { root, files: BTreeMap::new() }
    }

    /// A copy of what was found so far.
    pub(super) fn files(&self, pending: Option<&str>) -> HostFiles {
        HostFiles { files: self.files.values().cloned().collect(), pending: pending.map(Into::into) }
    }

    fn file(&mut self, path: &str) -> &mut HostFile {
        self.files.entry(path.to_owned()).or_insert_with(|| HostFile::new(path))
    }

    /// The text of a small file, all of it.
    pub(super) fn text(&mut self, path: &str) {
        self.lines(path, |_| true);
    }

    /// The lines of a file that `keep` chooses.
    pub(super) fn lines(&mut self, path: &str, keep: impl Fn(&str) -> bool) {
        let text = self.root.read_to_string(path, FILE_AT_MOST);
        self.put_lines(path, text.map(|text| kept(&text, keep)));
    }

    /// The lines that each of the groups chooses: many of one push none of another out. A line that is there many
    /// times is kept once, the first time.
    pub(super) fn groups_of_lines(&mut self, path: &str, groups: &[fn(&str) -> bool]) {
        let text = self.root.read_to_string(path, FILE_AT_MOST);
        let lines = text.map(|text| {
            let mut lines = Vec::new();
            for keep in groups {
                let mut seen = HashSet::new();
                lines.extend(kept(&text, |line| keep(line) && seen.insert(line.trim().to_owned())));
            }
            lines.sort();
            lines.dedup();
            lines
        });
        self.put_lines(path, lines);
    }

    /// Lines that were read in another way.
    pub(super) fn put_lines(&mut self, path: &str, lines: Reading<Vec<(u32, Arc<str>)>>) {
        self.file(path).lines = lines;
    }

    /// The first bytes of a binary file, as hexadecimal text.
    pub(super) fn bytes(&mut self, path: &str, limit: usize) {
        let bytes = self.root.read(path, limit);
        let text = bytes.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.file(path).lines = text.map(|text| vec![(1, text.into())]);
    }

    /// The names in a directory that `keep` chooses; gives them too.
    pub(super) fn names(&mut self, path: &str, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let names = self.root.list(path).map(|mut names| {
            names.retain(|name| keep(name));
            names.truncate(NAMES_AT_MOST);
            names
        });
        let found = names.clone().unwrap_or_default();
        self.file(path).names = names.map(|names| names.into_iter().map(Into::into).collect());
        found
    }

    /// Where a link points to; gives it too.
    pub(super) fn link(&mut self, path: &str) -> Option<String> {
        let link = self.root.read_link(path);
        let found = link.clone().ok();
        self.file(path).link = link.map(Into::into);
        found
    }

    /// Mode and owner of a file, number of a device node, and its SELinux label.
    pub(super) fn node(&mut self, path: &str) {
        let found = self.root.metadata(path);
        let label = match &found {
            Ok(_) => self.root.label(path),
            Err(_) => Err(Absence::NotRequested),
        };
        let file = self.file(path);
        file.label = label;
        match found {
            Ok(found) => {
                file.mode = Ok(found.mode);
                file.uid = Ok(found.uid);
                file.gid = Ok(found.gid);
                file.device = found.device.ok_or(Absence::NotSupported);
            }
            // One reason says enough.
            Err(absence) => file.mode = Err(absence),
        }
    }

    /// Whether something is there; noted like [`node`](Self::node).
    pub(super) fn exists(&mut self, path: &str) -> bool {
        self.node(path);
        self.file(path).mode.is_ok()
    }
}

/// The lines that `keep` chooses, with their numbers; of too many, the last.
pub(super) fn kept(text: &str, mut keep: impl FnMut(&str) -> bool) -> Vec<(u32, Arc<str>)> {
    let chosen = text.lines().enumerate().filter(|(_, line)| keep(line));
    let mut lines: Vec<(u32, Arc<str>)> = chosen
        .map(|(index, line)| (u32::try_from(index + 1).unwrap_or(u32::MAX), shortened(line).into()))
        .collect();
    if lines.len() > LINES_AT_MOST {
        lines.drain(..lines.len() - LINES_AT_MOST);
    }
    lines
}

/// A line without what is too long of it.
pub(super) fn shortened(line: &str) -> &str {
    let end = (0..=LINE_AT_MOST.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
    line.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Whether a line speaks of one of the words, in any case.
pub(super) fn speaks_of(line: &str, words: &[&str]) -> bool {
    let line = line.to_ascii_lowercase();
    words.iter().any(|word| line.contains(word))
}

/// Whether a line is a comment of a configuration file.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}
