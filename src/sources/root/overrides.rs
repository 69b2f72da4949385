//! `root.toml`: what a directory in git cannot hold.

use super::{FileKind, Metadata};
use crate::model::{Absence, Reading};
use rustix::io::Errno;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The errors that can be injected.
const ERRORS: [(&str, Errno); 14] = [
    ("EACCES", Errno::ACCESS),
    ("EAGAIN", Errno::AGAIN),
    ("EBUSY", Errno::BUSY),
    ("EINTR", Errno::INTR),
    ("EINVAL", Errno::INVAL),
    ("EIO", Errno::IO),
    ("ENODEV", Errno::NODEV),
    ("ENOENT", Errno::NOENT),
    ("ENOMEM", Errno::NOMEM),
    ("ENOTDIR", Errno::NOTDIR),
    ("ENXIO", Errno::NXIO),
    ("EPERM", Errno::PERM),
    ("ESRCH", Errno::SRCH),
    ("ETIMEDOUT", Errno::TIMEDOUT),
];

/// A whole `root.toml`.
#[derive(Debug)]
pub(super) struct Overrides {
    pub(super) page_size: u64,
    pub(super) clock_ticks_per_second: u64,
    files: BTreeMap<String, Override>,
}

/// What it says of one path.
#[derive(Debug, Default)]
pub(super) struct Override {
    pub(super) error: Option<Errno>,
    pub(super) hang: bool,
    pub(super) link: Option<String>,
    pub(super) label: Option<String>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    pub(super) device: Option<(u32, u32)>,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) line: usize,
    pub(super) message: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    machine: Machine,
    file: BTreeMap<String, toml::Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Machine {
    page_size: u64,
    clock_ticks_per_second: u64,
}

impl Default for Machine {
    fn default() -> Self {
        // x86-64 and nearly every other Linux.
        Self { page_size: 4_096, clock_ticks_per_second: 100 }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    error: Option<String>,
    hang: bool,
    link: Option<String>,
    label: Option<String>,
    mode: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    device: Option<String>,
}

impl Default for Overrides {
    fn default() -> Self {
        let Machine { page_size, clock_ticks_per_second } = Machine::default();
        Self { page_size, clock_ticks_per_second, files: BTreeMap::new() }
    }
}

impl Overrides {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|error| Invalid {
            line: line_of(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let Machine { page_size, clock_ticks_per_second } = file.machine;
        if page_size == 0 || clock_ticks_per_second == 0 {
            let message = "page_size and clock_ticks_per_second are at least 1".to_owned();
            return Err(Invalid { line: 1, message });
        }
        let mut files = BTreeMap::new();
        for (path, entry) in file.file {
            let line = line_of(entry.span().start);
            let entry = Override::parse(&path, entry.into_inner())
                .map_err(|message| Invalid { line, message: format!("\"{path}\": {message}") })?;
            files.insert(path, entry);
        }
        Ok(Self { page_size, clock_ticks_per_second, files })
    }

    pub(super) fn get(&self, path: &str) -> Option<&Override> {
        self.files.get(path)
    }

    /// Names of the links and device nodes that stand in `root.toml` for the directory `path`.
    pub(super) fn links_in<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let path = path.trim_end_matches('/');
        let invented = |entry: &Override| entry.link.is_some() || entry.device.is_some();
        self.files.iter().filter(move |(_, entry)| invented(entry)).filter_map(move |(file, _)| {
            let (parent, name) = file.rsplit_once('/')?;
            (parent == path).then_some(name)
        })
    }
}

impl Override {
    fn parse(path: &str, entry: Entry) -> Result<Self, String> {
        if !path.starts_with('/') || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
            return Err("write the path from / on, without empty parts, . and ..".to_owned());
        }
        let error = entry.error.map(|name| errno(&name)).transpose()?;
        let mode = entry.mode.map(|mode| parse_mode(&mode)).transpose()?;
        let device = entry.device.map(|device| parse_device(&device)).transpose()?;
        let Entry { hang, link, label, uid, gid, .. } = entry;
        Ok(Self { error, hang, link, label, mode, uid, gid, device })
    }

    /// What was found, with what `root.toml` says in its place. A device or link need not be in the tree.
    pub(super) fn complete(&self, found: Reading<Metadata>) -> Reading<Metadata> {
        let invented = self.device.is_some() || self.link.is_some();
        let mut metadata = match found {
            Ok(metadata) => metadata,
            Err(Absence::NotSupported) if invented => {
                Metadata { kind: FileKind::Link, mode: 0o777, uid: 0, gid: 0, device: None }
            }
            Err(absence) => return Err(absence),
        };
        if let Some(device) = self.device {
            metadata.kind = FileKind::Device;
            metadata.device = Some(device);
        }
        metadata.mode = self.mode.unwrap_or(metadata.mode);
        metadata.uid = self.uid.unwrap_or(metadata.uid);
        metadata.gid = self.gid.unwrap_or(metadata.gid);
        Ok(metadata)
    }
}

fn errno(name: &str) -> Result<Errno, String> {
    ERRORS.iter().find(|(known, _)| *known == name).map(|(_, errno)| *errno).ok_or_else(|| {
        let known: Vec<&str> = ERRORS.iter().map(|(name, _)| *name).collect();
        format!("error = \"{name}\" is not known; one of {}", known.join(", "))
    })
}

fn parse_mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("mode = \"{text}\" is not octal; write it like \"0660\""))
}

fn parse_device(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(':').and_then(|(major, minor)| {
        let major = major.parse().ok()?;
        Some((major, minor.parse().ok()?))
    });
    parsed.ok_or_else(|| format!("device = \"{text}\" is not MAJOR:MINOR; write it like \"195:0\""))
}
