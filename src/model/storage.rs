//! Storage as it was read: ZFS pools, datasets and cache. Raw counters; rates are derived from two readings.

mod sample;
mod view;

pub use sample::{DiskCounters, FileSystem, ListingState, SnapshotBatch, StorageSample, ZfsSnapshot};
pub use view::{
    CacheRates, DatasetKey, DatasetRates, DatasetView, DiskRates, Kept, PoolView, SnapshotListing, Storage,
};

use super::group::readings;
use super::{Absence, Reading};
use crate::units::Bytes;
use std::sync::Arc;

/// What the kernel statistics say, which costs no process and needs no right.
#[derive(Clone, Debug, PartialEq)]
pub struct ZfsKernel {
    /// Version of the loaded module (`2.3.9-1`).
    pub version: Reading<Arc<str>>,
    /// The adaptive replacement cache.
    pub cache: ZfsCache,
    /// The imported pools, by name.
    pub pools: Vec<ZfsPoolState>,
    /// Mounted file systems and zvols, by pool and object set.
    pub datasets: Vec<DatasetCounters>,
}

/// An imported pool as the kernel knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ZfsPoolState {
    /// Name of the pool.
    pub name: Arc<str>,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `OFFLINE`, `REMOVED`, `UNAVAIL` or `SUSPENDED`.
    pub state: Reading<Arc<str>>,
}

impl ZfsPoolState {
    /// Whether I/O to the pool waits for an administrator: anything that opens or lists a file on it may never
    /// return.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.state.as_deref().is_ok_and(|state| state == "SUSPENDED")
    }
}

/// What programs asked of one dataset since it was mounted: logical I/O, from cache or disk alike. A fault of a
/// mapped file counts as one read of a page, so bytes are right and operations are not comparable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetCounters {
    /// Pool that it belongs to.
    pub pool: Arc<str>,
    /// Identity within the pool (`objsetid` of `zfs list`): survives a rename.
    pub objset: u64,
    /// Name; may contain blanks.
    pub name: Arc<str>,
    /// Time since boot at which the counters began, ns: another value means that they began anew.
    pub created_ns: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Read operations.
    pub reads: u64,
    /// Write operations.
    pub writes: u64,
}

readings! {
    /// `arcstats`: sizes in bytes, the rest are counters since the module was loaded.
    pub struct ZfsCache {
        /// Size now (`size`).
        size: Bytes,
        /// Size that it aims at (`c`).
        target: Bytes,
        /// Least target (`c_min`).
        target_min: Bytes,
        /// Greatest target (`c_max`).
        target_max: Bytes,
        /// File data (`data_size`).
        data: Bytes,
        /// Metadata (`metadata_size`).
        metadata: Bytes,
        /// What the data would take without compression (`uncompressed_size`).
        uncompressed: Bytes,
        /// What it takes (`compressed_size`).
        compressed: Bytes,
        /// Requests answered.
        hits: u64,
        /// Requests that found the block on its way (`iohits`, since 2.2).
        io_hits: u64,
        /// Requests that went to disk.
        misses: u64,
        /// Of these: data that a program asked for, found.
        demand_data_hits: u64,
        /// Data that a program asked for, on its way.
        demand_data_io_hits: u64,
        /// Data that a program asked for, read.
        demand_data_misses: u64,
        /// Metadata asked for, found.
        demand_metadata_hits: u64,
        /// Metadata asked for, on its way.
        demand_metadata_io_hits: u64,
        /// Metadata asked for, read.
        demand_metadata_misses: u64,
        /// Second level: found there.
        l2_hits: u64,
        /// Second level: not found; counts every miss of the first level, also of datasets that cannot be in it.
        l2_misses: u64,
        /// Second level: logical size.
        l2_size: Bytes,
        /// Second level: size on the device.
        l2_device_size: Bytes,
        /// Memory that its headers cost (`l2_hdr_size`).
        l2_header_size: Bytes,
        /// Second level: bytes read.
        l2_read_bytes: u64,
        /// Second level: bytes written.
        l2_written_bytes: u64,
        /// Second level: checksum, read and write errors together.
        l2_errors: u64,
    }
}

impl ZfsCache {
    /// Whether there is a second level.
    #[must_use]
    pub fn has_second_level(&self) -> bool {
        self.l2_size.as_ref().is_ok_and(|size| size.0 > 0)
    }
}

/// Hits of all requests between two readings, 0 to 1; `None` where nothing was asked for or a counter restarted.
/// Requests that found the block on its way are no hits.
#[must_use]
pub fn hit_ratio(before: [u64; 3], after: [u64; 3]) -> Option<f64> {
    let [hits, io_hits, misses] = before;
    let hits = after[0].checked_sub(hits)?;
    let all = hits + after[1].checked_sub(io_hits)? + after[2].checked_sub(misses)?;
    (all > 0).then(|| hits as f64 / all as f64)
}

/// What `zpool status` says of a pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolStatus {
    /// Name of the pool.
    pub name: Arc<str>,
    /// State of the pool; may be `ONLINE` while `status` or an error counter says otherwise.
    pub state: Arc<str>,
    /// What is wrong, in ZFS's words.
    pub status: Option<Arc<str>>,
    /// What ZFS advises.
    pub action: Option<Arc<str>>,
    /// Id of the message (`ZFS-8000-9P`).
    pub message_id: Option<Arc<str>>,
    /// The last or running scrub or resilver; `None` if there never was one.
    pub scan: Option<Scan>,
    /// Files or blocks with permanent errors.
    pub data_errors: Option<u64>,
    /// The vdevs in ZFS's order, each with its depth below the pool.
    pub vdevs: Vec<Vdev>,
}

impl PoolStatus {
    /// Whether everything is as it should be: `ONLINE` alone does not say so.
    #[must_use]
    pub fn healthy(&self) -> bool {
        &*self.state == "ONLINE"
            && self.status.is_none()
            && self.data_errors.is_none_or(|errors| errors == 0)
            && self.vdevs.iter().all(|vdev| vdev.errors() == 0)
    }
}

/// One line of the vdev tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vdev {
    /// 0 for a top-level vdev.
    pub depth: u8,
    /// `normal`, `logs`, `cache`, `spares`, `special`, `dedup`.
    pub class: Arc<str>,
    /// Name (`mirror-0`) or device.
    pub name: Arc<str>,
    /// Device file of a leaf.
    pub path: Option<Arc<str>>,
    /// The kernel's name of that device (`nvme0n1p1`), where it could be found.
    pub disk: Option<Arc<str>>,
    /// State of the vdev.
    pub state: Arc<str>,
    /// Read errors since the counters were cleared.
    pub read_errors: u64,
    /// Write errors.
    pub write_errors: u64,
    /// Checksum errors.
    pub checksum_errors: u64,
    /// I/Os that took more than 30 s; `None` where ZFS does not say.
    pub slow_ios: Option<u64>,
}

impl Vdev {
    /// Read, write and checksum errors together.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.read_errors.saturating_add(self.write_errors).saturating_add(self.checksum_errors)
    }
}

/// What a scan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFunction {
    /// Verifies every block.
    Scrub,
    /// Rebuilds a device.
    Resilver,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanState {
    /// Runs.
    Running,
    /// Stopped for now.
    Paused,
    /// Came to its end.
    Finished,
    /// Was given up.
    Cancelled,
}

/// A scrub or resilver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scan {
    /// What it does.
    pub function: ScanFunction,
    /// How far it is.
    pub state: ScanState,
    /// Part done of a running one, 0 to 1.
    pub done: Option<f32>,
    /// When it began, seconds since the epoch.
    pub started: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// Errors that it could not repair.
    pub errors: Option<u64>,
}

/// What `zpool list` says of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpace {
    /// Name of the pool.
    pub name: Arc<str>,
    /// Raw size.
    pub size: Reading<Bytes>,
    /// Raw space taken.
    pub allocated: Reading<Bytes>,
    /// Raw space left. Not what can be written: ZFS keeps 1/32 of the pool (at least 128 MiB) back.
    pub free: Reading<Bytes>,
    /// Fragmentation of the free space, per cent.
    pub fragmentation: Reading<u32>,
    /// Raw space taken, per cent.
    pub capacity: Reading<u32>,
    /// Health, as in `zpool list`.
    pub health: Arc<str>,
}

/// What `zfs list` says of a file system or volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Name; may contain blanks.
    pub name: Arc<str>,
    /// Whether it is a volume.
    pub volume: bool,
    /// Space of it and all below.
    pub used: Reading<Bytes>,
    /// Space that can still be written: quotas, reservations and what ZFS keeps back are taken off.
    pub available: Reading<Bytes>,
    /// Space that its own files refer to.
    pub referenced: Reading<Bytes>,
    /// Space that only its snapshots hold.
    pub used_by_snapshots: Reading<Bytes>,
    /// Logical over physical size.
    pub compress_ratio: Reading<f64>,
    /// Greatest record; block size of a volume.
    pub record_size: Reading<Bytes>,
    /// Compression (`lz4`, `zstd-3`, `off`, `on`).
    pub compression: Arc<str>,
    /// Whether reading a file writes its access time.
    pub atime: Reading<bool>,
    /// What the ARC keeps: `all`, `metadata`, `none`.
    pub primary_cache: Arc<str>,
    /// What the L2ARC keeps.
    pub secondary_cache: Arc<str>,
    /// Snapshot that it was cloned from.
    pub origin: Option<Arc<str>>,
    /// Identity within the pool, joins it to [`DatasetCounters::objset`].
    pub objset: Reading<u64>,
    /// Whether the key of an encrypted dataset is loaded; `None` if it is not encrypted.
    pub key_loaded: Option<bool>,
    /// Whether it is mounted.
    pub mounted: Reading<bool>,
    /// Where; `None` for `none`, `legacy` and volumes.
    pub mount_point: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_for_has_no_ratio_and_a_restart_neither() {
        assert_eq!(hit_ratio([5, 0, 5], [5, 0, 5]), None);
        assert_eq!(hit_ratio([5, 0, 5], [1, 0, 9]), None);
        assert_eq!(hit_ratio([0, 0, 0], [6, 1, 3]), Some(0.6));
    }
}
