//! What follows from the storage groups: the last value of each beside the last failure, rates, and pools and
//! datasets put together from what kernel and tools say of them.

use super::{
    Dataset, DatasetCounters, FileSystem, ListingState, PoolSpace, PoolStatus, Scan, ScanState, Vdev,
    ZfsKernel, ZfsSnapshot,
};
use crate::model::{Absence, Grouped, ModelLoad, ModelStore, Reading};
use crate::units::{Bytes, BytesPerSecond, Percent};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The last value of a group, and why a later reading failed, if one did.
#[derive(Clone, Debug)]
pub struct Kept<T> {
    /// The last value.
    pub value: Option<Arc<Grouped<T>>>,
    /// Why there is none that is newer.
    pub failure: Option<Grouped<Absence>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, failure: None }
    }
}

impl<T> Kept<T> {
    /// The value, however old.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().map(|group| &group.value)
    }

    /// Why there is no value, where there is none.
    #[must_use]
    pub fn absence(&self) -> Absence {
        self.failure.as_ref().map_or(Absence::NotRequested, |failure| failure.value.clone())
    }
}

/// Which dataset: its pool and its object set.
pub type DatasetKey = (Arc<str>, u64);

/// Bytes per second that programs read from and wrote to a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetRates {
    /// Read.
    pub read: Reading<BytesPerSecond>,
    /// Written.
    pub write: Reading<BytesPerSecond>,
    /// Read calls per second. A fault of a mapped page counts as one.
    pub reads: Reading<f64>,
}

/// What a block device does.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskRates {
    /// The kernel's name.
    pub name: Arc<str>,
    /// Read per second.
    pub read: Reading<BytesPerSecond>,
    /// Written per second.
    pub write: Reading<BytesPerSecond>,
    /// Mean time of a read, milliseconds; absent when there was none.
    pub read_ms: Reading<f64>,
    /// Mean time of a write, milliseconds.
    pub write_ms: Reading<f64>,
    /// Part of the time in which at least one request was in flight.
    pub busy: Reading<Percent>,
    /// Requests in flight at the reading.
    pub in_flight: u64,
}

/// The cache over an interval.
#[derive(Clone, Debug)]
pub struct CacheRates {
    /// Hits of all requests, 0 to 1.
    pub hit_ratio: Reading<f64>,
    /// Hits of what programs asked for, 0 to 1: prefetching left out.
    pub demand_hit_ratio: Reading<f64>,
    /// Second level: hits of all misses of the first, 0 to 1.
    pub l2_hit_ratio: Reading<f64>,
    /// Second level: read per second.
    pub l2_read: Reading<BytesPerSecond>,
    /// Second level: written per second.
    pub l2_write: Reading<BytesPerSecond>,
}

impl Default for CacheRates {
    fn default() -> Self {
        let unseen = || Err(Absence::InsufficientHistory { seen_seconds: 0.0 });
        Self {
            hit_ratio: unseen(),
            demand_hit_ratio: unseen(),
            l2_hit_ratio: unseen(),
            l2_read: Err(Absence::InsufficientHistory { seen_seconds: 0.0 }),
            l2_write: Err(Absence::InsufficientHistory { seen_seconds: 0.0 }),
        }
    }
}

/// The snapshots of a dataset, as far as they were listed.
#[derive(Clone, Debug, Default)]
pub struct SnapshotListing {
    /// The dataset.
    pub dataset: Arc<str>,
    /// How many there are, once that is known.
    pub total: Option<u64>,
    /// Those listed, the newest first.
    pub rows: Vec<ZfsSnapshot>,
    /// How the listing is doing.
    pub state: ListingState,
    /// Why it failed.
    pub problem: Option<Arc<str>>,
}

/// Storage at a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// Kernel statistics of ZFS.
    pub kernel: Option<Arc<Grouped<Reading<ZfsKernel>>>>,
    /// `zpool status`.
    pub status: Kept<Vec<PoolStatus>>,
    /// `zpool list`.
    pub spaces: Kept<Vec<PoolSpace>>,
    /// `zfs list`.
    pub properties: Kept<Vec<Dataset>>,
    /// Mounted file systems.
    pub filesystems: Kept<Vec<FileSystem>>,
    /// Block devices.
    pub disks: Arc<Vec<DiskRates>>,
    /// Why there is nothing of block devices, where there is nothing.
    pub disks_absent: Option<Absence>,
    /// The cache over the last interval.
    pub cache: CacheRates,
    /// Rates of the datasets.
    pub activity: Arc<BTreeMap<DatasetKey, DatasetRates>>,
    /// Processes that send a ZFS stream.
    pub senders: Option<Grouped<Reading<Vec<u32>>>>,
    /// Whether the module of GPUDirect Storage is loaded.
    pub gpu_direct: Option<bool>,
    /// The model stores.
    pub models: Option<Arc<Grouped<ModelStore>>>,
    /// Who has which model, and how fast it is read.
    pub loads: Arc<Vec<ModelLoad>>,
    /// Snapshots of the dataset that was asked about last.
    pub listing: Option<Arc<SnapshotListing>>,
}

/// A pool, put together.
#[derive(Clone, Debug)]
pub struct PoolView<'a> {
    /// Its name.
    pub name: Arc<str>,
    /// Its state: the kernel's, else that of the tools.
    pub state: Reading<Arc<str>>,
    /// `zpool status` of it.
    pub status: Option<&'a PoolStatus>,
    /// `zpool list` of it.
    pub space: Option<&'a PoolSpace>,
    /// What can still be written, as its root dataset says.
    pub available: Reading<Bytes>,
    /// Read from its data vdevs per second. Each read goes to one leg of a mirror, so the sum is what was read.
    pub read: Reading<BytesPerSecond>,
    /// Written to its data vdevs per second, every leg and parity included.
    pub write: Reading<BytesPerSecond>,
    /// What programs read from its datasets per second, from cache or disk.
    pub asked: Reading<BytesPerSecond>,
}

impl PoolView<'_> {
    /// Whether I/O to it waits for an administrator.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.state.as_deref() == Ok("SUSPENDED")
    }

    /// The running scan.
    #[must_use]
    pub fn scanning(&self) -> Option<&Scan> {
        self.status?.scan.as_ref().filter(|scan| scan.state == ScanState::Running)
    }

    /// Errors of all vdevs.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.status.map_or(0, |status| status.vdevs.iter().map(Vdev::errors).fold(0, u64::saturating_add))
    }

    /// Whether everything that was read says that it is well; `None` where too little was read.
    #[must_use]
    pub fn healthy(&self) -> Option<bool> {
        match (&self.state, self.status) {
            (Ok(state), _) if &**state != "ONLINE" => Some(false),
            (_, Some(status)) => Some(status.healthy()),
            _ => None,
        }
    }
}

/// A dataset, put together.
#[derive(Clone, Debug)]
pub struct DatasetView<'a> {
    /// Its name.
    pub name: Arc<str>,
    /// Its pool.
    pub pool: Arc<str>,
    /// What `zfs list` says.
    pub properties: Option<&'a Dataset>,
    /// The kernel's counters, while it is mounted.
    pub counters: Option<&'a DatasetCounters>,
    /// Its rates; `None` while it is not mounted.
    pub rates: Option<&'a DatasetRates>,
}

impl DatasetView<'_> {
    /// Its identity, where the kernel or the tools gave one.
    #[must_use]
    pub fn key(&self) -> Option<DatasetKey> {
        let objset = self.counters.map(|counters| counters.objset);
        let objset = objset.or_else(|| self.properties?.objset.as_ref().ok().copied());
        Some((Arc::clone(&self.pool), objset?))
    }

    /// Bytes read and written per second, together.
    #[must_use]
    pub fn traffic(&self) -> f64 {
        let known = |reading: &Reading<BytesPerSecond>| reading.as_ref().map_or(0.0, |rate| rate.0);
        self.rates.map_or(0.0, |rates| known(&rates.read) + known(&rates.write))
    }
}

impl Storage {
    /// The kernel statistics, if they were read.
    #[must_use]
    pub fn zfs(&self) -> Option<&ZfsKernel> {
        self.kernel.as_ref().and_then(|group| group.value.as_ref().ok())
    }

    /// Whether the ZFS module is known not to be loaded.
    #[must_use]
    pub fn zfs_absent(&self) -> bool {
        self.kernel.as_ref().is_some_and(|group| group.value == Err(Absence::NotSupported))
    }

    /// The block device of that name.
    #[must_use]
    pub fn disk(&self, name: &str) -> Option<&DiskRates> {
        self.disks.iter().find(|disk| &*disk.name == name)
    }

    /// Pools are known and the devices below them are not: the tools were asked in vain. Any device may then be
    /// one of theirs.
    #[must_use]
    pub fn vdevs_unknown(&self) -> bool {
        self.status.value.is_none()
            && self.status.failure.is_some()
            && self.zfs().is_some_and(|kernel| !kernel.pools.is_empty())
    }

    /// All pools, those that only the kernel or only the tools know included.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolView<'_>> {
        let kernel = self.zfs().map(|kernel| kernel.pools.as_slice()).unwrap_or_default();
        let statuses = self.status.get().map(Vec::as_slice).unwrap_or_default();
        let spaces = self.spaces.get().map(Vec::as_slice).unwrap_or_default();
        let mut names: Vec<&Arc<str>> = if self.zfs().is_some() {
            // The kernel knows which pools are imported now; the tools knew it a while ago.
            kernel.iter().map(|pool| &pool.name).collect()
        } else {
            statuses.iter().map(|status| &status.name).chain(spaces.iter().map(|space| &space.name)).collect()
        };
        names.sort();
        names.dedup();
        names.into_iter().map(|name| self.pool(name)).collect()
    }

    fn pool(&self, name: &Arc<str>) -> PoolView<'_> {
        let kernel = self.zfs().and_then(|kernel| kernel.pools.iter().find(|pool| &pool.name == name));
        let status = self.status.get().and_then(|all| all.iter().find(|status| &status.name == name));
        let space = self.spaces.get().and_then(|all| all.iter().find(|space| &space.name == name));
        let state = match (kernel, status, space) {
            (Some(pool), ..) if pool.state.is_ok() => pool.state.clone(),
            (_, Some(status), _) => Ok(Arc::clone(&status.state)),
            (_, _, Some(space)) => Ok(Arc::clone(&space.health)),
            _ => Err(self.status.absence()),
        };
        let root = self.properties.get().and_then(|all| all.iter().find(|dataset| &dataset.name == name));
        let available = root.map_or_else(|| Err(self.properties.absence()), |root| root.available.clone());
        let (read, write) = self.pool_traffic(status);
        PoolView {
            name: Arc::clone(name),
            state,
            status,
            space,
            available,
            read,
            write,
            asked: self.asked(name),
        }
    }

    /// Read and written per second by the vdevs that hold data.
    fn pool_traffic(
        &self,
        status: Option<&PoolStatus>,
    ) -> (Reading<BytesPerSecond>, Reading<BytesPerSecond>) {
        let Some(status) = status else { return (Err(self.status.absence()), Err(self.status.absence())) };
        let holds_data = |vdev: &&Vdev| matches!(&*vdev.class, "normal" | "special" | "dedup");
        let (mut read, mut write, mut any) = (0.0, 0.0, false);
        for vdev in status.vdevs.iter().filter(holds_data) {
            let Some(disk) = vdev.disk.as_deref().and_then(|name| self.disk(name)) else { continue };
            let (Ok(reads), Ok(writes)) = (&disk.read, &disk.write) else { continue };
            any = true;
            read += reads.0;
            write += writes.0;
        }
        if any {
            return (Ok(BytesPerSecond(read)), Ok(BytesPerSecond(write)));
        }
        let unseen = Absence::InsufficientHistory { seen_seconds: 0.0 };
        (Err(unseen.clone()), Err(unseen))
    }

    fn asked(&self, pool: &Arc<str>) -> Reading<BytesPerSecond> {
        let mut sum = None;
        for ((of, _), rates) in self.activity.iter() {
            if of == pool
                && let Ok(rate) = &rates.read
            {
                sum = Some(sum.unwrap_or(0.0) + rate.0);
            }
        }
        sum.map(BytesPerSecond).ok_or(Absence::InsufficientHistory { seen_seconds: 0.0 })
    }

    /// All datasets by name, those that only the kernel knows included (no permission for the tools).
    #[must_use]
    pub fn datasets(&self) -> Vec<DatasetView<'_>> {
        let counters = self.zfs().map(|kernel| kernel.datasets.as_slice()).unwrap_or_default();
        let by_key: BTreeMap<(&str, u64), &DatasetCounters> =
            counters.iter().map(|each| ((&*each.pool, each.objset), each)).collect();
        let pool_of = |name: &str| -> Arc<str> { name.split('/').next().unwrap_or_default().into() };
        let mut views: Vec<DatasetView<'_>> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for dataset in self.properties.get().into_iter().flatten() {
            let pool = pool_of(&dataset.name);
            let counters =
                dataset.objset.as_ref().ok().and_then(|objset| by_key.get(&(&*pool, *objset)).copied());
            if let Some(counters) = counters {
                seen.insert((Arc::clone(&counters.pool), counters.objset));
            }
            let rates = counters.and_then(|each| self.activity.get(&(Arc::clone(&each.pool), each.objset)));
            // A rename is known to the kernel at once, to the list a minute later.
            let name = counters.map_or(&dataset.name, |counters| &counters.name);
            views.push(DatasetView {
                name: Arc::clone(name),
                pool,
                properties: Some(dataset),
                counters,
                rates,
            });
        }
        for each in counters {
            let key = (Arc::clone(&each.pool), each.objset);
            if !seen.contains(&key) {
                views.push(DatasetView {
                    name: Arc::clone(&each.name),
                    pool: Arc::clone(&each.pool),
                    properties: None,
                    counters: Some(each),
                    rates: self.activity.get(&key),
                });
            }
        }
        views.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
        views
    }

    /// Whether I/O of a pool waits for an administrator.
    #[must_use]
    pub fn suspended(&self, pool: &str) -> bool {
        self.zfs()
            .is_some_and(|kernel| kernel.pools.iter().any(|each| &*each.name == pool && each.suspended()))
    }

    /// Whether a ZFS stream is being sent.
    #[must_use]
    pub fn sending(&self) -> bool {
        self.senders.as_ref().is_some_and(|group| group.value.as_ref().is_ok_and(|pids| !pids.is_empty()))
    }
}
