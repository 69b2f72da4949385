//! What one sample holds of storage: groups that were read, each with its time, and the answer to a question about
//! snapshots.

use super::{Dataset, PoolSpace, PoolStatus, ZfsKernel};
use crate::model::{Grouped, ModelStore, ModelUse, Reading};
use crate::units::Bytes;
use std::sync::Arc;

/// The storage groups of one sample. A group that failed holds why: the fold keeps the last value beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StorageSample {
    /// Kernel statistics of ZFS; not supported where its module is not loaded.
    pub kernel: Option<Grouped<Reading<ZfsKernel>>>,
    /// `zpool status`.
    pub status: Option<Grouped<Reading<Vec<PoolStatus>>>>,
    /// `zpool list`.
    pub pools: Option<Grouped<Reading<Vec<PoolSpace>>>>,
    /// `zfs list`.
    pub datasets: Option<Grouped<Reading<Vec<Dataset>>>>,
    /// Counters of the block devices.
    pub disks: Option<Grouped<Reading<Vec<DiskCounters>>>>,
    /// Mounted file systems that can hold models.
    pub filesystems: Option<Grouped<Reading<Vec<FileSystem>>>>,
    /// Processes that send a ZFS stream, by PID. Looked for while the disks are busy reading.
    pub senders: Option<Grouped<Reading<Vec<u32>>>>,
    /// The model stores.
    pub models: Option<Grouped<ModelStore>>,
    /// GPU processes that have files of a model open or mapped.
    pub model_uses: Option<Grouped<Vec<ModelUse>>>,
    /// Whether the module of GPUDirect Storage (`nvidia-fs`) is loaded.
    pub gpu_direct: Option<bool>,
}

impl StorageSample {
    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One row of `/proc/diskstats`, since boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// The kernel's name (`nvme0n1`, `sda1`).
    pub name: Arc<str>,
    /// Reads completed.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Milliseconds that reads took, all together.
    pub read_ms: u64,
    /// Writes completed.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Milliseconds that writes took, all together.
    pub write_ms: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Milliseconds in which at least one request was in flight.
    pub busy_ms: u64,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSystem {
    /// Where it is mounted.
    pub mount_point: Arc<str>,
    /// Its type (`ext4`, `nfs4`, `zfs`).
    pub kind: Arc<str>,
    /// What is mounted: a device file, `host:/export`, a dataset.
    pub source: Arc<str>,
    /// The kernel's name of the block device below it, where there is one.
    pub disk: Option<Arc<str>>,
    /// Mounted read-only.
    pub read_only: bool,
    /// Size; failed where it does not answer.
    pub size: Reading<Bytes>,
    /// What an ordinary user can still write.
    pub available: Reading<Bytes>,
}

/// A snapshot of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct ZfsSnapshot {
    /// Name, the part after `@`.
    pub name: Arc<str>,
    /// Space that only it holds.
    pub used: Reading<Bytes>,
    /// Space that it refers to.
    pub referenced: Reading<Bytes>,
    /// When it was made, seconds since the epoch.
    pub created: Reading<i64>,
    /// Holds that keep it from being destroyed.
    pub holds: Reading<u32>,
    /// Datasets cloned from it.
    pub clones: Vec<Arc<str>>,
}

/// How a listing of snapshots is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListingState {
    /// More is to come.
    #[default]
    Running,
    /// That was all.
    Done,
    /// It was called off.
    Cancelled,
    /// It failed.
    Failed,
}

/// A part of the answer to the question which snapshots a dataset has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnapshotBatch {
    /// The dataset.
    pub dataset: Arc<str>,
    /// Whether a listing begins with this part.
    pub first: bool,
    /// How many snapshots there are, once that is known.
    pub total: Option<u64>,
    /// The next rows, the newest snapshot first.
    pub rows: Vec<ZfsSnapshot>,
    /// How the listing is doing.
    pub state: ListingState,
    /// Why it failed.
    pub problem: Option<Arc<str>>,
}
