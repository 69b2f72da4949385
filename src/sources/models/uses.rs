//! Which GPU process has files of which model open or mapped, and how far it has read them: from `/proc/PID/fd`,
//! `fdinfo`, `maps` and `smaps`. A file is the same by device and inode, whatever path a container knows it by.
//!
//! `maps` and `smaps` wait for the memory lock of the process, which a wedged one may hold: they are read seldom, by a
//! thread that may be given up, and not of a process that sleeps uninterruptibly.

mod watch;

pub use watch::UseWatcher;

use super::mounts::Mounts;
use super::plain::{plain, plain_path};
use super::scan::FileIndex;
use crate::model::{Absence, ModelAccess, ModelUse, ProcessKey, Reading};
use crate::sources::processes::ProcessReader;
use crate::sources::root::{Identity, Root};
use crate::units::{Bytes, Mono};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Open files of one process that are looked at.
const FILES_AT_MOST: usize = 4_096;
/// `maps` has about 100 bytes a line; a process with tens of thousands of mappings is cut off.
const MAPS_LIMIT: usize = 4 << 20;
/// `smaps` has about 700 bytes a mapping.
const SMAPS_LIMIT: usize = 16 << 20;
const SMALL_LIMIT: usize = 4_096;
/// How often the open files of a process are looked at while it may be loading: it is new, or has a model open.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The same of one that serves since long.
const LOOK_SELDOM: Duration = Duration::from_secs(15);
/// For so long a process counts as new: reading 400 GB at 0.5 GB/s takes 14 minutes.
const NEW_FOR: Duration = Duration::from_secs(900);
/// How often `maps` is read of a process that may be loading.
const MAPS_EVERY: Duration = Duration::from_secs(10);
/// The same of one whose mappings no longer grow.
const MAPS_SELDOM: Duration = Duration::from_secs(120);

/// What is remembered of a process between looks.
#[derive(Clone, Debug, Default)]
struct Known {
    first: Mono,
    next: Mono,
    maps_next: Mono,
    /// Its mappings of models at the last look.
    mapped: Vec<ModelUse>,
    uses: Vec<ModelUse>,
}

/// Looks at processes, each at its own pace.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    known: BTreeMap<ProcessKey, Known>,
}

/// What a look needs.
pub(super) struct Look<'a> {
    pub(super) root: &'a Root,
    pub(super) index: &'a FileIndex,
    pub(super) mounts: &'a Mounts,
    pub(super) now: Mono,
    /// Called before a file of a process is read; gives whether it may be.
    pub(super) enter: &'a dyn Fn(&str) -> bool,
}

/// A file of a model in the hands of a process.
struct Held {
    path: Arc<str>,
    name: Arc<str>,
    files_of_model: Reading<u64>,
    file: String,
    size: Option<u64>,
}

impl Uses {
    /// Whether a look would find out anything: a process is new or its turn has come, or one has ended.
    pub(super) fn is_due(&self, processes: &[ProcessKey], now: Mono) -> bool {
        let due = |key: &ProcessKey| self.known.get(key).is_none_or(|known| now >= known.next);
        processes.iter().filter(|key| key.start > 0).any(due)
            || self.known.keys().any(|key| !processes.contains(key))
    }

    /// All uses by `processes`, those that are not looked at this time as they were.
    pub(super) fn look(&mut self, look: &Look<'_>, processes: &[ProcessKey]) -> Vec<ModelUse> {
        self.known.retain(|key, _| processes.contains(key));
        let mut reader = ProcessReader::new(look.root.clone());
        let mut all = Vec::new();
        for key in processes.iter().filter(|key| key.start > 0) {
            let new = Known { first: look.now, ..Known::default() };
            let known = self.known.entry(*key).or_insert(new);
            if look.now >= known.next {
                look.process(*key, known, &mut reader);
            }
            all.extend(known.uses.iter().cloned());
        }
        all
    }
}

impl Look<'_> {
    fn process(&self, key: ProcessKey, known: &mut Known, reader: &mut ProcessReader) {
        // The PID may be another's by now, or become it while its files are read.
        let mut state =
            || reader.read(&[key.pid]).into_iter().find(|now| now.key == key).map(|now| now.state);
        let Some(before) = state() else {
            (known.uses, known.mapped) = (Vec::new(), Vec::new());
            return;
        };
        let mut uses = self.open_files(key);
        if self.now >= known.maps_next && before != Ok('D') {
            let mapped = self.mappings(key, !known.mapped.is_empty());
            let resident =
                |uses: &[ModelUse]| uses.iter().map(|each| each.resident.clone()).collect::<Vec<_>>();
            let grows = resident(&mapped) != resident(&known.mapped);
            known.mapped = mapped;
            let young = self.now.since(known.first) < NEW_FOR;
            let soon = grows || young && known.mapped.is_empty();
            known.maps_next = self.now.plus(if soon { MAPS_EVERY } else { MAPS_SELDOM });
        }
        for mapped in &known.mapped {
            // A file that is mapped is often open as well; reading goes through the mapping then.
            uses.retain(|open: &ModelUse| open.path != mapped.path);
            uses.push(mapped.clone());
        }
        if state().is_none() {
            (known.uses, known.mapped) = (Vec::new(), Vec::new());
            return;
        }
        let open = uses.iter().any(|each| each.access == ModelAccess::Open);
        let busy = self.now.since(known.first) < NEW_FOR || open;
        known.next = self.now.plus(if busy { LOOK_EVERY } else { LOOK_SELDOM });
        known.uses = uses;
    }

    fn open_files(&self, key: ProcessKey) -> Vec<ModelUse> {
        let below = format!("/proc/{}/fd", key.pid);
        let mut uses: Vec<ModelUse> = Vec::new();
        let mut numbers = Vec::new();
        let mut files = BTreeSet::new();
        if !(self.enter)(&below) {
            return uses;
        }
        let _gone = self.root.each_name(&below, &mut |name| {
            numbers.push(name.to_owned());
            numbers.len() < FILES_AT_MOST
        });
        for number in numbers {
            let path = format!("{below}/{number}");
            let Ok(target) = self.root.read_link(&path) else { continue };
            if !may_be_model(&target) {
                continue;
            }
            let identity = self.root.identity(&path);
            let Some(held) = self.held(identity.ok(), &target) else { continue };
            let position = self.field(&format!("/proc/{}/fdinfo/{number}", key.pid), "pos:");
            self.add(&mut uses, key, held, ModelAccess::Open, position.map(Bytes), &mut files);
        }
        if !uses.is_empty() {
            let read = self.read_by(key.pid);
            uses.iter_mut().for_each(|each| each.read.clone_from(&read));
        }
        uses
    }

    /// Mappings of models; with what is resident of them where `resident` asks for it.
    fn mappings(&self, key: ProcessKey, resident: bool) -> Vec<ModelUse> {
        let mut uses = Vec::new();
        let (file, limit) = if resident { ("smaps", SMAPS_LIMIT) } else { ("maps", MAPS_LIMIT) };
        let path = format!("/proc/{}/{file}", key.pid);
        if !(self.enter)(&path) {
            return uses;
        }
        let Ok(text) = self.root.read_to_string(&path, limit) else { return uses };
        let mut current: Option<Held> = None;
        let mut files = BTreeSet::new();
        let mut flush = |current: Option<Held>, rss: Reading<u64>, uses: &mut Vec<ModelUse>| {
            if let Some(held) = current {
                self.add(uses, key, held, ModelAccess::Mapped, rss.map(Bytes), &mut files);
            }
        };
        let mut rss = Err(Absence::NotRequested);
        for line in text.lines() {
            match Mapping::parse(line) {
                Some(mapping) => {
                    flush(current.take(), std::mem::replace(&mut rss, Err(Absence::NotRequested)), &mut uses);
                    if may_be_model(mapping.path) {
                        current = self.held(Some(mapping.identity), mapping.path);
                    }
                }
                None => {
                    if let Some(kib) = line.strip_prefix("Rss:").and_then(first_number) {
                        rss = Ok(kib.saturating_mul(1_024));
                    }
                }
            }
        }
        flush(current, rss, &mut uses);
        uses
    }

    fn add(
        &self,
        uses: &mut Vec<ModelUse>,
        key: ProcessKey,
        held: Held,
        access: ModelAccess,
        done: Reading<Bytes>,
        files: &mut BTreeSet<String>,
    ) {
        let seen = !files.insert(held.file.clone());
        let sum = |old: &Reading<Bytes>, new: Reading<Bytes>| match (old, new) {
            (Ok(old), Ok(new)) => Ok(Bytes(old.0.saturating_add(new.0))),
            (Err(absence), _) => Err(absence.clone()),
            (_, Err(absence)) => Err(absence),
        };
        let size = held.size.map(Bytes).ok_or(Absence::NotSupported);
        if let Some(each) = uses.iter_mut().find(|each| each.path == held.path) {
            // The parts of one mapping, and other files of the model.
            if !seen {
                each.files += 1;
                each.size = sum(&each.size, size);
            }
            let slot = if access == ModelAccess::Open { &mut each.position } else { &mut each.resident };
            *slot = sum(slot, done);
            return;
        }
        // A container knows the file by another path: where a store has it, that one counts.
        let place = if held.files_of_model.is_ok() { &*held.path } else { held.file.as_str() };
        let mount = self.mounts.of(place).map(|mount| Arc::from(plain_path(&mount.source)));
        let (position, resident) = match access {
            ModelAccess::Open => (done, Err(Absence::NotRequested)),
            ModelAccess::Mapped => (Err(Absence::NotRequested), done),
        };
        uses.push(ModelUse {
            key,
            at: self.now,
            path: held.path,
            name: held.name,
            access,
            files: 1,
            files_of_model: held.files_of_model,
            size,
            position,
            resident,
            read: Err(Absence::NotRequested),
            mount: mount.ok_or(Absence::NotSupported),
        });
    }

    /// The model of a file: by device and inode, else by what its path says.
    fn held(&self, identity: Option<Identity>, path: &str) -> Option<Held> {
        let path = path.trim_end_matches(" (deleted)");
        let known = match identity {
            Some(Identity::File { device, inode }) => self.index.model_of(device, inode),
            _ => None,
        };
        if let Some(found) = known {
            return Some(Held {
                path: Arc::clone(found.path),
                name: Arc::clone(found.name),
                files_of_model: Ok(found.files),
                file: path.to_owned(),
                size: Some(found.size),
            });
        }
        let (model, name) = named_by(path)?;
        Some(Held {
            path: plain_path(&model).into(),
            name: plain(&name).into(),
            files_of_model: Err(Absence::NotSupported),
            file: path.to_owned(),
            size: None,
        })
    }

    fn read_by(&self, pid: u32) -> Reading<Bytes> {
        let path = format!("/proc/{pid}/io");
        if !(self.enter)(&path) {
            return Err(Absence::failed(0, "it does not answer"));
        }
        self.field(&path, "rchar:").map(Bytes)
    }

    /// The number behind a name at the start of a line.
    fn field(&self, path: &str, name: &str) -> Reading<u64> {
        let text = self.root.read_to_string(path, SMALL_LIMIT)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(first_number).ok_or_else(|| Absence::failed(0, format!("no {name} in {path}")))
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Whether a path may be a file of a model: by its end, or a blob of a store.
fn may_be_model(path: &str) -> bool {
    let path = path.trim_end_matches(" (deleted)");
    path.starts_with('/')
        && (path.ends_with(".safetensors")
            || path.ends_with(".gguf")
            || path.contains("/blobs/") && (path.contains("/models--") || path.contains("/blobs/sha256")))
}

/// Path and name of a model that no scanned store has, by a file of it.
fn named_by(path: &str) -> Option<(String, String)> {
    if let Some((before, after)) = path.split_once("/models--") {
        let repository = after.split('/').next()?;
        return Some((format!("{before}/models--{repository}"), repository.replace("--", "/")));
    }
    let (folder, name) = path.rsplit_once('/')?;
    if name.starts_with("sha256") {
        return Some((path.to_owned(), name.chars().take("sha256-".len() + 12).collect()));
    }
    let stem = super::found::stem(name);
    // `model-00001-of-00004.safetensors` is named by its folder.
    match stem {
        "model" | "consolidated" | "pytorch_model" => {
            Some((folder.to_owned(), folder.rsplit('/').next().unwrap_or(stem).to_owned()))
        }
        _ => Some((format!("{folder}/{stem}"), stem.to_owned())),
    }
}

/// A line of `maps`: `ADDRESS PERMISSIONS OFFSET MAJOR:MINOR INODE PATH`.
struct Mapping<'a> {
    identity: Identity,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut next = || {
            let trimmed = rest.trim_start_matches(' ');
            let (field, after) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
            rest = after;
            field
        };
        let (address, permissions, _offset, device, inode) = (next(), next(), next(), next(), next());
        let path = rest.trim_start_matches(' ');
        let is_mapping = address.contains('-') && permissions.len() == 4 && !address.ends_with(':');
        let (major, minor) = device.split_once(':').filter(|_| is_mapping)?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let device = (number(major)?, number(minor)?);
        Some(Self { identity: Identity::File { device, inode: inode.parse().ok()? }, path })
    }
}

#[cfg(test)]
mod tests;
