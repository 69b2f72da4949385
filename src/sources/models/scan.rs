//! One pass over all stores: names and sizes first, then the headers that are not known yet.

use super::cache::HeaderCache;
use super::config_json::{CONFIG_LIMIT, read_config};
use super::describe::{describe, describe_part};
use super::found::Found;
use super::mounts::Mounts;
use super::places::{StoreEnvironment, layout, places};
use super::plain::{failed, plain, plain_path};
use super::tree::{FILES_AT_MOST, Tree};
use super::{folder, hub, ollama, parts};
use crate::model::{
    Absence, ModelShape, ModelStore, Reading, StoreKind, StorePlace, StoredModel, Unfinished,
};
use crate::sources::root::Root;
use crate::units::{Bytes, Wall};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// More models are counted, not kept.
const MODELS_AT_MOST: usize = 4_096;
/// More files of weights are not matched with the files of processes.
const FILES_MATCHED_AT_MOST: usize = 65_536;
/// What is found is handed over again each time so many headers were read.
const HAND_OVER_EVERY: usize = 32;

/// Which file belongs to which model.
#[derive(Clone, Debug, Default)]
pub struct FileIndex {
    /// Place of the model and length of the file, by device and inode.
    files: HashMap<((u32, u32), u64), (u32, u64)>,
    names: Vec<(Arc<str>, Arc<str>, u64)>,
}

/// The model that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belongs<'a> {
    /// Path of the model.
    pub path: &'a Arc<str>,
    /// Its name.
    pub name: &'a Arc<str>,
    /// Its files of weights.
    pub files: u64,
    /// Length of this file.
    pub size: u64,
}

impl FileIndex {
    /// The model that the file of this device (major and minor number) and inode belongs to.
    #[must_use]
    pub fn model_of(&self, device: (u32, u32), inode: u64) -> Option<Belongs<'_>> {
        let (place, size) = *self.files.get(&(device, inode))?;
        let (path, name, files) = self.names.get(usize::try_from(place).ok()?)?;
        Some(Belongs { path, name, files: *files, size })
    }
}

/// What a scan hands over: the stores so far, and which file belongs to which model.
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// The stores.
    pub store: ModelStore,
    /// The files.
    pub index: Arc<FileIndex>,
}

/// What a scan needs.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) root: Root,
    pub(super) environment: StoreEnvironment,
    pub(super) folders: Vec<String>,
    pub(super) cache: HeaderCache,
    pub(super) blocked: BTreeSet<String>,
    /// Number of the scan.
    pub(super) number: u64,
}

struct Pass<'a> {
    tree: Tree<'a>,
    job: &'a Job,
    found: Vec<(Found, StoredModel)>,
    store: ModelStore,
}

/// Scans; `enter` is called before each path is touched and `hand_over` with what is known so far, the last time
/// with everything.
pub(super) fn scan(job: &Job, enter: &dyn Fn(&str) -> bool, hand_over: &mut dyn FnMut(Scanned)) {
    let mounts = Mounts::read(&job.root);
    let tree = Tree { root: &job.root, mounts: &mounts, blocked: &job.blocked, enter, looked: Cell::new(0) };
    let mut pass = Pass { tree, job, found: Vec::new(), store: ModelStore::default() };
    pass.list();
    hand_over(pass.scanned(false));
    let number = pass.found.len();
    let mut read = 0;
    for place in 0..number {
        if pass.describe(place) {
            read += 1;
            if read % HAND_OVER_EVERY == 0 {
                hand_over(pass.scanned(false));
            }
        }
    }
    job.cache.retain(job.number);
    hand_over(pass.scanned(true));
}

impl Pass<'_> {
    /// Names and sizes.
    fn list(&mut self) {
        let mut seen = BTreeSet::new();
        for place in places(&self.job.environment, &self.job.folders, &self.job.root) {
            let stat = self
                .tree
                .mounts
                .touchable(&self.job.root, &place.path)
                .and_then(|()| self.tree.stat(&place.path));
            let stat = match stat {
                Ok(stat) => stat,
                Err(absence) => {
                    // A usual place that is not there, or in a home that is closed, is nothing to speak of.
                    let usual = matches!(absence, Absence::NotSupported | Absence::NoPermission);
                    if place.named || !usual {
                        self.store.places.push(StorePlace {
                            kind: place.kind,
                            path: plain_path(&place.path).into(),
                            user: place.user.clone(),
                            models: Err(absence),
                            unfinished: Unfinished::default(),
                        });
                    }
                    continue;
                }
            };
            // The same directory under two names.
            if !seen.insert((stat.device, stat.inode)) {
                continue;
            }
            let kind = match place.kind {
                StoreKind::Folder => layout(&self.tree, &place.path),
                kind => kind,
            };
            let before = self.found.len();
            let mut unfinished = Unfinished::default();
            let mut taken = Vec::new();
            let mut take = |found: Found| taken.push(found);
            let scanned = match kind {
                StoreKind::HuggingFace => hub::scan(&self.tree, &place.path, &mut take),
                StoreKind::Ollama => {
                    ollama::scan(&self.tree, &place.path, &mut take).map(|found| unfinished = found)
                }
                StoreKind::Folder => folder::scan(&self.tree, &place.path, &mut take),
            };
            for found in taken {
                self.keep(found, kind, place.user.as_ref());
            }
            let models = scanned.map(|()| (self.found.len() - before) as u64);
            if models == Err(Absence::NoPermission) && !place.named {
                continue;
            }
            self.store.places.push(StorePlace {
                kind,
                path: plain_path(&place.path).into(),
                user: place.user,
                models,
                unfinished,
            });
        }
        if self.tree.looked.get() > FILES_AT_MOST {
            self.store.left_out += 1;
        }
        self.found.sort_by(|a, b| a.1.name.cmp(&b.1.name).then_with(|| a.1.path.cmp(&b.1.path)));
    }

    fn keep(&mut self, found: Found, kind: StoreKind, user: Option<&Arc<str>>) {
        if self.found.len() >= MODELS_AT_MOST {
            self.store.left_out += 1;
            return;
        }
        let mount = self.tree.mounts.of(&found.path);
        let of_mount = |of: fn(&crate::sources::mounts::Mount) -> &str| -> Reading<Arc<str>> {
            mount.map(|mount| plain_path(of(mount)).into()).ok_or(Absence::NotSupported)
        };
        let model = StoredModel {
            name: plain(&found.name).into(),
            aliases: found.aliases.iter().map(|alias| plain(alias).into()).collect(),
            revision: found.revision.as_deref().map(|revision| plain(revision).into()),
            store: kind,
            path: plain_path(&found.path).into(),
            user: user.cloned(),
            format: found.format().ok_or(Absence::NotSupported),
            shape: ModelShape::absent(&Absence::NotRequested),
            files: found.weights.len() as u64,
            files_in_all: None,
            size: Bytes(found.size),
            on_disk: Bytes(found.on_disk),
            unreferenced: Bytes(found.unreferenced),
            unfinished: found.unfinished,
            last_used: self.last_used(&found, mount.is_none_or(|mount| mount.notes_reads)),
            mount: of_mount(|mount| &mount.source),
            file_system: of_mount(|mount| &mount.kind),
        };
        self.found.push((found, model));
    }

    fn last_used(&self, found: &Found, notes_reads: bool) -> Reading<Wall> {
        if !notes_reads {
            return Err(Absence::NotSupported);
        }
        let accessed = found.weights.iter().map(|file| self.job.cache.accessed(&file.stat)).max();
        accessed.map(|ns| Wall(ns / 1_000)).ok_or(Absence::NotSupported)
    }

    /// Reads headers and `config.json` of one model; gives whether there was anything to read.
    fn describe(&mut self, place: usize) -> bool {
        let Some((found, model)) = self.found.get_mut(place) else { return false };
        if found.weights.is_empty() {
            let reason = match parts::expected(&self.tree, found, &[]) {
                Ok(Some(all)) => {
                    model.files_in_all = Some(all);
                    parts::in_part(0, all)
                }
                Ok(None) => Absence::failed(0, "no files of weights"),
                Err(problem) => failed(problem),
            };
            model.shape = ModelShape::absent(&reason);
            return false;
        }
        let mut headers = Vec::with_capacity(found.weights.len());
        for file in &found.weights {
            match self.job.cache.header(&self.tree, file, self.job.number) {
                Ok(header) => headers.push(header),
                Err(problem) => {
                    // Sizes and counts of a part would pass for the whole.
                    let name = file.path.rsplit('/').next().unwrap_or_default();
                    model.shape = ModelShape::absent(&failed(format!("{name}: {problem}")));
                    return true;
                }
            }
        }
        let config = found.config.as_ref().and_then(|path| {
            let text = self.tree.read(path, CONFIG_LIMIT).ok()?;
            read_config(&text).ok()
        });
        model.shape = match parts::expected(&self.tree, found, &headers) {
            Ok(None) => describe(&headers, config.as_ref()),
            Ok(Some(all)) => {
                model.files_in_all = Some(all);
                describe_part(&headers, config.as_ref(), &parts::in_part(model.files, all))
            }
            Err(problem) => describe_part(&headers, config.as_ref(), &failed(problem)),
        };
        true
    }

    fn scanned(&self, complete: bool) -> Scanned {
        let mut store = self.store.clone();
        store.complete = complete;
        store.models = self.found.iter().map(|(_, model)| model.clone()).collect();
        let mut index = FileIndex::default();
        for (place, (found, model)) in self.found.iter().enumerate() {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            index.names.push((Arc::clone(&model.path), Arc::clone(&model.name), model.files));
            for file in &found.weights {
                if index.files.len() < FILES_MATCHED_AT_MOST {
                    let device = (rustix::fs::major(file.stat.device), rustix::fs::minor(file.stat.device));
                    index.files.insert((device, file.stat.inode), (place, file.stat.size));
                }
            }
        }
        Scanned { store, index: Arc::new(index) }
    }
}
