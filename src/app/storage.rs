//! The storage tab: which section is shown, what is selected in it, whose snapshots are listed.

use super::{Effect, Mode, Motion, Overlay, State};
use crate::analysis::Severity;
use crate::analysis::fit::{Machine, words};
use crate::analysis::storage::Advice;
use crate::model::{
    Absence, DatasetView, FileSystem, ListingState, ModelStore, PoolView, SnapshotListing, Storage,
    StoredModel,
};
use std::cmp::Reverse;
use std::sync::Arc;

/// The parts of the tab, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    /// Pools, or the file systems where there is no ZFS.
    #[default]
    Pools,
    /// ARC and L2ARC.
    Cache,
    /// Datasets.
    Datasets,
    /// Block devices.
    Devices,
    /// The models that are stored here.
    Models,
    /// What could be better.
    Advice,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pools, Self::Cache, Self::Datasets, Self::Devices, Self::Models, Self::Advice];

    /// What the screen calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pools => "Pools",
            Self::Cache => "Cache",
            Self::Datasets => "Datasets",
            Self::Devices => "Devices",
            Self::Models => "Models",
            Self::Advice => "Advice",
        }
    }

    fn moved(self, by: isize) -> Self {
        let index = Self::ALL.iter().position(|section| *section == self).unwrap_or(0).cast_signed();
        let index = (index + by).rem_euclid(Self::ALL.len().cast_signed());
        Self::ALL.get(index.cast_unsigned()).copied().unwrap_or(self)
    }
}

/// State of the tab. What is selected is known by its name: rows come and go.
#[derive(Clone, Debug, Default)]
pub struct StorageState {
    /// The section that is shown.
    pub(crate) section: Section,
    /// The selected pool or file system.
    place: Option<Arc<str>>,
    /// The selected dataset.
    dataset: Option<Arc<str>>,
    /// Whether datasets are sorted by what they do, in place of by name.
    pub(crate) by_activity: bool,
    /// The selected device.
    device: Option<Arc<str>>,
    /// The selected model, by its path.
    model: Option<Arc<str>>,
    /// The first advice shown.
    pub(crate) advice: usize,
    /// The dataset whose snapshots are shown in place of its properties.
    pub(crate) snapshots_of: Option<Arc<str>>,
    /// The selected snapshot.
    pub(crate) snapshot: usize,
}

/// What the user can want here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Another row.
    Move(Motion),
    /// That row.
    SelectRow(usize),
    /// The section to the right.
    NextSection,
    /// The section to the left.
    PreviousSection,
    /// That section.
    SelectSection(Section),
    /// Sort the datasets by activity, or by name.
    ToggleOrder,
    /// Judge whether the selected model fits into the memory of the GPUs.
    ShowFit,
    /// List the snapshots of the selected dataset.
    ShowSnapshots,
    /// Call the listing off, or close it.
    CloseSnapshots,
}

/// A row of the first section.
#[derive(Clone, Debug)]
pub(crate) enum Place<'a> {
    /// A pool.
    Pool(PoolView<'a>),
    /// A file system that is none of ZFS.
    FileSystem(&'a FileSystem),
}

impl Place<'_> {
    /// What it is known by.
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Pool(pool) => Arc::clone(&pool.name),
            Self::FileSystem(each) => Arc::clone(&each.mount_point),
        }
    }

    /// How bad it stands; `None` where all is well, or too little was read to say so.
    pub(crate) fn severity(&self) -> Option<Severity> {
        match self {
            Self::Pool(pool) => crate::analysis::storage::severity_of(pool),
            Self::FileSystem(each) if matches!(each.size, Err(Absence::Failed { .. })) => {
                Some(Severity::Warning)
            }
            Self::FileSystem(_) => None,
        }
    }
}

/// A row of the devices.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// The kernel's name.
    pub(crate) name: Arc<str>,
    /// What lies on it: `rpool mirror-0`, `/mnt/models`.
    pub(crate) holds: String,
    /// State and errors, of a vdev.
    pub(crate) vdev: Option<crate::model::Vdev>,
}

/// Pools first, then the file systems beside them.
pub(crate) fn places(storage: &Storage) -> Vec<Place<'_>> {
    let filesystems = storage.filesystems.get().into_iter().flatten().filter(|each| &*each.kind != "zfs");
    storage.pools().into_iter().map(Place::Pool).chain(filesystems.map(Place::FileSystem)).collect()
}

/// The leaves of all pools, then the devices of the file systems beside them; all others too where the tools could
/// not say what the pools lie on.
pub(crate) fn devices(storage: &Storage) -> Vec<Device> {
    let mut devices = Vec::new();
    for status in storage.status.get().into_iter().flatten() {
        let mut above: Vec<Arc<str>> = Vec::new();
        for vdev in &status.vdevs {
            above.truncate(usize::from(vdev.depth));
            above.push(Arc::clone(&vdev.name));
            if vdev.path.is_none() {
                continue;
            }
            let group = match (&*vdev.class, above.len().checked_sub(2).and_then(|parent| above.get(parent)))
            {
                ("normal", Some(parent)) => format!("{} {parent}", status.name),
                ("normal", None) => status.name.to_string(),
                (class, Some(parent)) => format!("{} {class} {parent}", status.name),
                (class, None) => format!("{} {class}", status.name),
            };
            let short = || vdev.name.rsplit('/').next().unwrap_or_default().into();
            devices.push(Device {
                name: vdev.disk.clone().unwrap_or_else(short),
                holds: group,
                vdev: Some(vdev.clone()),
            });
        }
    }
    for each in storage.filesystems.get().into_iter().flatten() {
        if let Some(disk) = &each.disk
            && !devices.iter().any(|device| &device.name == disk)
        {
            devices.push(Device { name: Arc::clone(disk), holds: each.mount_point.to_string(), vdev: None });
        }
    }
    if storage.vdevs_unknown() {
        for disk in storage.disks.iter() {
            if !devices.iter().any(|device| device.name == disk.name) {
                devices.push(Device {
                    name: Arc::clone(&disk.name),
                    holds: "a pool or nothing".into(),
                    vdev: None,
                });
            }
        }
    }
    devices
}

fn place_of<T>(rows: &[T], selected: Option<&Arc<str>>, name: impl Fn(&T) -> Arc<str>) -> usize {
    selected.and_then(|selected| rows.iter().position(|row| &name(row) == selected)).unwrap_or(0)
}

impl State {
    /// Storage as it is shown.
    pub(crate) fn storage_shown(&self) -> Option<&Storage> {
        self.snapshot().map(|snapshot| &*snapshot.storage)
    }

    /// The selected one of `places`: until one was chosen, the worst.
    pub(crate) fn selected_place(&self, places: &[Place<'_>]) -> usize {
        if self.storage.place.is_none() {
            let worst =
                places.iter().enumerate().max_by_key(|(nth, place)| (place.severity(), Reverse(*nth)));
            return worst.map_or(0, |(nth, _)| nth);
        }
        place_of(places, self.storage.place.as_ref(), Place::name)
    }

    /// The datasets in the order of the screen.
    pub(crate) fn datasets_shown<'a>(&self, storage: &'a Storage) -> Vec<DatasetView<'a>> {
        let mut datasets = storage.datasets();
        if self.storage.by_activity {
            // Stable: those that do nothing keep their order.
            datasets.sort_by(|a, b| b.traffic().total_cmp(&a.traffic()));
        }
        datasets
    }

    /// The selected one of `datasets`.
    pub(crate) fn selected_dataset(&self, datasets: &[DatasetView<'_>]) -> usize {
        place_of(datasets, self.storage.dataset.as_ref(), |dataset| Arc::clone(&dataset.name))
    }

    /// The selected one of `devices`.
    pub(crate) fn selected_device(&self, devices: &[Device]) -> usize {
        place_of(devices, self.storage.device.as_ref(), |device| Arc::clone(&device.name))
    }

    /// The model stores as they are shown.
    pub(crate) fn models_shown(&self) -> Option<&ModelStore> {
        self.storage_shown()?.models.as_ref().map(|group| &group.value)
    }

    /// The selected one of `models`.
    pub(crate) fn selected_model(&self, models: &[StoredModel]) -> usize {
        place_of(models, self.storage.model.as_ref(), |model| Arc::clone(&model.path))
    }

    /// The listing of snapshots that is shown, if one is.
    pub(crate) fn snapshots_shown<'a>(&self, storage: &'a Storage) -> Option<&'a SnapshotListing> {
        let wanted = self.storage.snapshots_of.as_ref()?;
        storage.listing.as_deref().filter(|listing| &listing.dataset == wanted)
    }

    /// What could be better about storage.
    pub(crate) fn storage_advice(&self) -> Vec<Advice> {
        self.snapshot().map(crate::analysis::storage::advice).unwrap_or_default()
    }

    /// How many rows the section has, and which one is selected.
    fn storage_rows(&self) -> (usize, usize) {
        let Some(storage) = self.storage_shown() else { return (0, 0) };
        match self.storage.section {
            Section::Pools => {
                let places = places(storage);
                (places.len(), self.selected_place(&places))
            }
            Section::Cache => (0, 0),
            Section::Datasets if self.storage.snapshots_of.is_some() => {
                let rows = self.snapshots_shown(storage).map_or(0, |listing| listing.rows.len());
                (rows, self.storage.snapshot)
            }
            Section::Datasets => {
                let datasets = self.datasets_shown(storage);
                (datasets.len(), self.selected_dataset(&datasets))
            }
            Section::Devices => {
                let devices = devices(storage);
                (devices.len(), self.selected_device(&devices))
            }
            Section::Models => {
                let models =
                    storage.models.as_ref().map(|group| group.value.models.as_slice()).unwrap_or_default();
                (models.len(), self.selected_model(models))
            }
            Section::Advice => (self.storage_advice().len(), self.storage.advice),
        }
    }
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: &Intent) -> Vec<Effect> {
    match intent {
        Intent::Move(motion) => {
            let (count, selected) = state.storage_rows();
            select(state, motion.apply(selected, count));
        }
        Intent::SelectRow(row) => select(state, *row),
        Intent::NextSection => state.storage.section = state.storage.section.moved(1),
        Intent::PreviousSection => state.storage.section = state.storage.section.moved(-1),
        Intent::SelectSection(section) => state.storage.section = *section,
        Intent::ToggleOrder => state.storage.by_activity = !state.storage.by_activity,
        Intent::ShowFit => show_fit(state),
        Intent::ShowSnapshots => return show_snapshots(state),
        Intent::CloseSnapshots => return close_snapshots(state),
    }
    Vec::new()
}

fn select(state: &mut State, row: usize) {
    let Some(storage) = state.storage_shown() else { return };
    match state.storage.section {
        Section::Pools => state.storage.place = places(storage).get(row).map(Place::name),
        Section::Cache => {}
        Section::Datasets if state.storage.snapshots_of.is_some() => state.storage.snapshot = row,
        Section::Datasets => {
            let name = state.datasets_shown(storage).get(row).map(|dataset| Arc::clone(&dataset.name));
            state.storage.dataset = name;
        }
        Section::Devices => {
            state.storage.device = devices(storage).get(row).map(|device| Arc::clone(&device.name));
        }
        Section::Models => {
            let models =
                storage.models.as_ref().map(|group| group.value.models.as_slice()).unwrap_or_default();
            state.storage.model = models.get(row).map(|model| Arc::clone(&model.path));
        }
        Section::Advice => state.storage.advice = row,
    }
}

/// Whether the selected model fits, with the usual context and with all that it was trained for.
fn show_fit(state: &mut State) {
    let Some(snapshot) = state.snapshot().filter(|_| state.storage.section == Section::Models) else {
        return;
    };
    let Some(store) = state.models_shown() else { return };
    let Some(model) = store.models.get(state.selected_model(&store.models)) else { return };
    let machine = Machine::of(snapshot);
    let title = format!("Does {} fit?", model.name);
    let lines = words::page(&model.shape, &machine);
    state.overlay = Overlay::Notice { title, lines, scroll: 0 };
}

/// Listing snapshots costs an ioctl each: only a person asks for it, and only of a collector that runs here.
fn show_snapshots(state: &mut State) -> Vec<Effect> {
    let Some(storage) = state.storage_shown() else { return Vec::new() };
    if state.storage.snapshots_of.is_some() || state.storage.section != Section::Datasets {
        return Vec::new();
    }
    let datasets = state.datasets_shown(storage);
    let Some(dataset) = datasets.get(state.selected_dataset(&datasets)) else { return Vec::new() };
    let name = Arc::clone(&dataset.name);
    if state.mode != Mode::Live {
        state.notice = Some("snapshots are listed on the machine itself: this is not live".into());
        return Vec::new();
    }
    state.storage.dataset = Some(Arc::clone(&name));
    state.storage.snapshots_of = Some(Arc::clone(&name));
    state.storage.snapshot = 0;
    vec![Effect::ListSnapshots(Some(name))]
}

fn close_snapshots(state: &mut State) -> Vec<Effect> {
    if state.storage.snapshots_of.is_none() {
        return Vec::new();
    }
    let listing = state.storage_shown().and_then(|storage| state.snapshots_shown(storage));
    let runs = listing.is_none_or(|listing| listing.state == ListingState::Running);
    state.storage.snapshots_of = None;
    // One that has ended has nothing to call off.
    if runs { vec![Effect::ListSnapshots(None)] } else { Vec::new() }
}
