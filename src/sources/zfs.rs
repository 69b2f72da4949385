//! ZFS. Kernel statistics below `/proc/spl/kstat/zfs` first: they cost no process, need no right and answer at
//! once also while a pool is suspended. `zpool` and `zfs` ([`Tools`]) only for what the kernel does not tell: the
//! vdev tree, scans, space and properties.
//!
//! Files are read by name, never the tree as a whole: reading `chksum_bench`, `fletcher_4_bench` or
//! `vdev_raidz_bench` starts a benchmark of seconds that cannot be interrupted.

mod kstat;
mod list;
mod snapshots;
mod status_json;
mod status_text;
mod tools;

pub use list::{DATASET_ARGUMENTS, POOL_ARGUMENTS, parse_datasets, parse_pools};
pub use snapshots::{Progress, list_snapshots};
pub use status_json::{STATUS_JSON_ARGUMENTS, parse_status_json};
pub use status_text::{STATUS_TEXT_ARGUMENTS, parse_status_text};
pub use tools::{ToolError, Tools, ZfsTools};

use super::root::Root;
use crate::model::{Absence, DatasetCounters, PoolStatus, Reading, ZfsCache, ZfsKernel, ZfsPoolState};
use crate::units::Bytes;
use kstat::Kstat;
use std::sync::Arc;

/// Where the kernel statistics stand.
const KSTATS: &str = "/proc/spl/kstat/zfs";
/// `arcstats` of 2.3 has 148 rows in 8 KiB.
const FILE_AT_MOST: usize = 64 * 1_024;
/// Datasets that are followed: beyond it, reading them all each second would be felt.
const DATASETS_AT_MOST: usize = 4_096;

/// What a tool printed is not what it prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tool}: {message}")]
pub struct ParseError {
    /// `zpool status`, `zpool list` or `zfs list`.
    pub tool: &'static str,
    /// What is wrong, and where.
    pub message: String,
}

impl ParseError {
    fn new(tool: &'static str, message: impl Into<String>) -> Self {
        Self { tool, message: message.into() }
    }
}

/// Reads the kernel statistics.
#[derive(Debug)]
pub struct ZfsReader {
    root: Root,
    buffer: Vec<u8>,
}

impl ZfsReader {
    /// A reader below `root`.
    #[must_use]
    pub const fn new(root: Root) -> Self {
        Self { root, buffer: Vec::new() }
    }

    /// Whether the module is loaded. While it is not, no ZFS tool may be run: run by root it would load it.
    #[must_use]
    pub fn loaded(&self) -> bool {
        self.root.exists(KSTATS)
    }

    /// All that is read at each interval.
    ///
    /// # Errors
    /// [`Absence::NotSupported`] where the module is not loaded, or what the kernel answered.
    pub fn read(&mut self) -> Reading<ZfsKernel> {
        let names = self.root.list(KSTATS)?;
        let mut pools = Vec::new();
        let mut datasets = Vec::new();
        for name in names {
            // Only a pool has a `state`; statistics of the module are plain files beside the pools.
            let state = self.root.read_value(&format!("{KSTATS}/{name}/state"));
            if matches!(&state, Err(Absence::NotSupported)) || not_a_directory(&state) {
                continue;
            }
            let pool: Arc<str> = name.into();
            self.read_datasets(&pool, &mut datasets);
            pools.push(ZfsPoolState { name: pool, state });
        }
        Ok(ZfsKernel {
            version: self.root.read_value("/sys/module/zfs/version"),
            cache: self.read_cache(),
            pools,
            datasets,
        })
    }

    /// A dataset that is unmounted in the middle is left out: its file is gone.
    fn read_datasets(&mut self, pool: &Arc<str>, datasets: &mut Vec<DatasetCounters>) {
        let Ok(names) = self.root.list(&format!("{KSTATS}/{pool}")) else { return };
        for name in names {
            let Some(hex) = name.strip_prefix("objset-0x") else { continue };
            let Ok(objset) = u64::from_str_radix(hex, 16) else { continue };
            if datasets.len() >= DATASETS_AT_MOST {
                return;
            }
            let path = format!("{KSTATS}/{pool}/{name}");
            let Ok(kstat) = self.read_kstat(&path) else { continue };
            let Some(dataset) = kstat.text("dataset_name") else { continue };
            let number = |row: &str| kstat.unsigned(row).unwrap_or_default();
            datasets.push(DatasetCounters {
                pool: Arc::clone(pool),
                objset,
                name: dataset.into(),
                created_ns: kstat.created_ns(),
                read_bytes: number("nread"),
                written_bytes: number("nwritten"),
                reads: number("reads"),
                writes: number("writes"),
            });
        }
    }

    fn read_cache(&mut self) -> ZfsCache {
        let kstat = match self.read_kstat(&format!("{KSTATS}/arcstats")) {
            Ok(kstat) => kstat,
            Err(reason) => return ZfsCache::absent(&reason),
        };
        let count = |row: &str| kstat.unsigned(row).ok_or(Absence::NotSupported);
        let bytes = |row: &str| count(row).map(Bytes);
        let l2_errors = ["l2_cksum_bad", "l2_io_error", "l2_writes_error"]
            .into_iter()
            .filter_map(|row| kstat.unsigned(row));
        ZfsCache {
            size: bytes("size"),
            target: bytes("c"),
            target_min: bytes("c_min"),
            target_max: bytes("c_max"),
            data: bytes("data_size"),
            metadata: bytes("metadata_size"),
            uncompressed: bytes("uncompressed_size"),
            compressed: bytes("compressed_size"),
            hits: count("hits"),
            io_hits: count("iohits"),
            misses: count("misses"),
            demand_data_hits: count("demand_data_hits"),
            demand_data_io_hits: count("demand_data_iohits"),
            demand_data_misses: count("demand_data_misses"),
            demand_metadata_hits: count("demand_metadata_hits"),
            demand_metadata_io_hits: count("demand_metadata_iohits"),
            demand_metadata_misses: count("demand_metadata_misses"),
            l2_hits: count("l2_hits"),
            l2_misses: count("l2_misses"),
            l2_size: bytes("l2_size"),
            l2_device_size: bytes("l2_asize"),
            l2_header_size: bytes("l2_hdr_size"),
            l2_read_bytes: count("l2_read_bytes"),
            l2_written_bytes: count("l2_write_bytes"),
            l2_errors: Ok(l2_errors.sum()),
        }
    }

    fn read_kstat(&mut self, path: &str) -> Reading<Kstat> {
        self.root.read_into(path, FILE_AT_MOST, &mut self.buffer)?;
        Kstat::parse(&String::from_utf8_lossy(&self.buffer))
            .ok_or_else(|| Absence::failed(0, format!("{path}: not a kernel statistic")))
    }
}

/// Gives the leaves of the trees the kernel's names of their devices.
pub fn name_disks(root: &Root, pools: &mut [PoolStatus]) {
    for vdev in pools.iter_mut().flat_map(|pool| &mut pool.vdevs) {
        vdev.disk = vdev.path.as_deref().and_then(|path| super::disks::disk_of(root, path));
    }
}

/// The processes that send a stream: they read from the disks what no dataset counts.
///
/// # Errors
/// What the kernel answered when asked for the processes.
pub fn senders(root: &Root) -> Reading<Vec<u32>> {
    let pids = root.list("/proc")?.into_iter().filter_map(|name| name.parse::<u32>().ok());
    let sends = |pid: &u32| {
        root.read_value(&format!("/proc/{pid}/comm")).is_ok_and(|name| &*name == "zfs")
            && root
                .read(&format!("/proc/{pid}/cmdline"), 4_096)
                .is_ok_and(|line| line.split(|byte| *byte == 0).nth(1) == Some(b"send"))
    };
    Ok(pids.filter(sends).collect())
}

fn not_a_directory(state: &Reading<Arc<str>>) -> bool {
    let code = rustix::io::Errno::NOTDIR.raw_os_error();
    matches!(state, Err(Absence::Failed { code: found, .. }) if *found == code)
}
