//! `[storage]` as it is written: pools, the ARC, datasets, devices and other file systems.

use super::super::error::ScenarioError;
use serde::Deserialize;
use std::collections::BTreeSet;

/// More than any rig that a person would write down.
const NAMED_AT_MOST: usize = 256;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct StorageSpec {
    /// Version of the module.
    #[serde(default = "usual_version")]
    pub(super) version: String,
    #[serde(default)]
    pub(super) cache: Option<CacheSpec>,
    /// Without one, the module of ZFS is not loaded.
    #[serde(default)]
    pub(super) pool: Vec<PoolSpec>,
    #[serde(default)]
    pub(super) dataset: Vec<DatasetSpec>,
    /// Devices that belong to no pool.
    #[serde(default)]
    pub(super) device: Vec<DeviceSpec>,
    #[serde(default)]
    pub(super) filesystem: Vec<FileSystemSpec>,
}

fn usual_version() -> String {
    "2.3.9-1".into()
}

/// The ARC.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CacheSpec {
    pub(super) size_gib: f64,
    /// Greatest target.
    pub(super) most_gib: f64,
    #[serde(default)]
    pub(super) metadata_gib: f64,
    #[serde(default)]
    pub(super) requests_per_second: f64,
    #[serde(default)]
    pub(super) hit_percent: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PoolSpec {
    pub(super) name: String,
    #[serde(default)]
    pub(super) state: StateName,
    pub(super) size_gib: f64,
    pub(super) allocated_gib: f64,
    /// What can still be written, less than what is free.
    pub(super) available_gib: f64,
    #[serde(default)]
    pub(super) fragmentation: u32,
    /// What is wrong, in ZFS's words.
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) action: Option<String>,
    #[serde(default)]
    pub(super) data_errors: u64,
    /// How long ago the last scrub ended; without it there never was one.
    #[serde(default)]
    pub(super) scrub_days: Option<f64>,
    pub(super) vdev: Vec<VdevSpec>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct VdevSpec {
    /// `mirror-0`, `raidz2-0`; without it the devices stand alone.
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) state: StateName,
    /// The kernel's names.
    pub(super) devices: Vec<String>,
    /// Of the first device.
    #[serde(default)]
    pub(super) checksum_errors: u64,
}

/// States of pools and vdevs (zpoolconcepts(7), "Device Failure and Recovery").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in super::super) enum StateName {
    #[default]
    Online,
    Degraded,
    Faulted,
    Offline,
    Removed,
    Unavail,
    Suspended,
}

impl StateName {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Degraded => "DEGRADED",
            Self::Faulted => "FAULTED",
            Self::Offline => "OFFLINE",
            Self::Removed => "REMOVED",
            Self::Unavail => "UNAVAIL",
            Self::Suspended => "SUSPENDED",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DatasetSpec {
    pub(super) name: String,
    /// Of it and all below.
    pub(super) used_gib: f64,
    /// Of its own files; without it, as much as is used.
    #[serde(default)]
    pub(super) referenced_gib: Option<f64>,
    #[serde(default)]
    pub(super) snapshots_gib: f64,
    #[serde(default = "one")]
    pub(super) compress_ratio: f64,
    #[serde(default = "usual_record")]
    pub(super) record_size_kib: u64,
    #[serde(default = "usual_compression")]
    pub(super) compression: String,
    #[serde(default)]
    pub(super) atime: bool,
    #[serde(default)]
    pub(super) primary_cache: CacheName,
    #[serde(default)]
    pub(super) secondary_cache: CacheName,
    /// Without it, it is not mounted.
    #[serde(default)]
    pub(super) mount_point: Option<String>,
    /// What programs read of it, beside what the `[[model.use]]` of models on it read.
    #[serde(default)]
    pub(super) read_mb_per_second: f64,
    #[serde(default)]
    pub(super) written_mb_per_second: f64,
    #[serde(default = "usual_read")]
    pub(super) read_size_kib: u64,
    /// How much of what is read comes from the ARC.
    #[serde(default)]
    pub(super) cached_percent: f64,
}

const fn one() -> f64 {
    1.0
}

/// The default of `recordsize` (zfsprops(7)).
const fn usual_record() -> u64 {
    128
}

fn usual_compression() -> String {
    "lz4".into()
}

const fn usual_read() -> u64 {
    1_024
}

/// What a cache keeps of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum CacheName {
    #[default]
    All,
    Metadata,
    None,
}

impl CacheName {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Metadata => "metadata",
            Self::None => "none",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DeviceSpec {
    pub(super) name: String,
    #[serde(default)]
    pub(super) read_mb_per_second: f64,
    #[serde(default)]
    pub(super) written_mb_per_second: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct FileSystemSpec {
    pub(super) mount_point: String,
    pub(super) kind: String,
    pub(super) source: String,
    #[serde(default)]
    pub(super) device: Option<String>,
    pub(super) size_gib: f64,
    pub(super) available_gib: f64,
}

impl StorageSpec {
    /// Size of the ARC, GiB.
    pub(in super::super) fn cache_gib(&self) -> Option<f64> {
        self.cache.as_ref().map(|cache| cache.size_gib)
    }

    /// Refuses what no machine could have.
    pub(in super::super) fn check(&self, file: &str) -> Result<(), ScenarioError> {
        let refuse = |message: String| Err(ScenarioError::whole(file, message));
        if self.pool.len() + self.dataset.len() + self.device.len() + self.filesystem.len() > NAMED_AT_MOST {
            return refuse(format!("[storage] names more than {NAMED_AT_MOST} things"));
        }
        for (key, value, most) in self.numbers() {
            if !value.is_finite() || value < 0.0 || value > most {
                return refuse(format!("[storage]: `{key}` is {value}: it must be between 0 and {most}"));
            }
        }
        let mut devices = BTreeSet::new();
        let in_pools = self.pool.iter().flat_map(|pool| &pool.vdev).flat_map(|vdev| &vdev.devices);
        for name in in_pools.chain(self.device.iter().map(|device| &device.name)) {
            if !devices.insert(name) {
                return refuse(format!("[storage] has the device {name} twice"));
            }
        }
        let mut names = BTreeSet::new();
        for pool in &self.pool {
            if !names.insert(&pool.name) {
                return refuse(format!("[storage] has the pool {} twice", pool.name));
            }
            if pool.allocated_gib > pool.size_gib || pool.available_gib > pool.size_gib - pool.allocated_gib {
                return refuse(format!("the pool {} holds more than its size", pool.name));
            }
            if pool.vdev.is_empty() || pool.vdev.iter().any(|vdev| vdev.devices.is_empty()) {
                return refuse(format!("the pool {} has a vdev without devices, or none", pool.name));
            }
        }
        let mut names = BTreeSet::new();
        for dataset in &self.dataset {
            if !names.insert(&dataset.name) {
                return refuse(format!("[storage] has the dataset {} twice", dataset.name));
            }
            let pool = dataset.name.split('/').next().unwrap_or_default();
            if !self.pool.iter().any(|each| each.name == pool) {
                return refuse(format!(
                    "the dataset {} lies on a pool that [storage] does not have",
                    dataset.name
                ));
            }
        }
        if self.pool.is_empty() && self.cache.is_some() {
            return refuse("[storage] has a `cache` and no pool".into());
        }
        Ok(())
    }

    /// Every number that has bounds: key, value, the greatest allowed.
    fn numbers(&self) -> Vec<(&'static str, f64, f64)> {
        /// An exbibyte, in GiB.
        const GIB: f64 = 1_073_741_824.0;
        /// More than any machine reads.
        const MB: f64 = 10_000_000.0;
        let mut numbers = Vec::new();
        if let Some(cache) = &self.cache {
            numbers.extend([
                ("size_gib", cache.size_gib, cache.most_gib),
                ("most_gib", cache.most_gib, GIB),
                ("metadata_gib", cache.metadata_gib, cache.size_gib),
                ("requests_per_second", cache.requests_per_second, 1e9),
                ("hit_percent", cache.hit_percent, 100.0),
            ]);
        }
        for pool in &self.pool {
            numbers.extend([
                ("size_gib", pool.size_gib, GIB),
                ("allocated_gib", pool.allocated_gib, GIB),
                ("available_gib", pool.available_gib, GIB),
                ("fragmentation", f64::from(pool.fragmentation), 100.0),
                ("scrub_days", pool.scrub_days.unwrap_or_default(), 36_500.0),
            ]);
        }
        for dataset in &self.dataset {
            numbers.extend([
                ("used_gib", dataset.used_gib, GIB),
                ("referenced_gib", dataset.referenced_gib.unwrap_or_default(), GIB),
                ("snapshots_gib", dataset.snapshots_gib, GIB),
                ("compress_ratio", dataset.compress_ratio, 1e3),
                ("record_size_kib", dataset.record_size_kib as f64, 16_384.0),
                ("read_size_kib", dataset.read_size_kib as f64, 1_048_576.0),
                ("read_mb_per_second", dataset.read_mb_per_second, MB),
                ("written_mb_per_second", dataset.written_mb_per_second, MB),
                ("cached_percent", dataset.cached_percent, 100.0),
            ]);
        }
        for device in &self.device {
            numbers.extend([
                ("read_mb_per_second", device.read_mb_per_second, MB),
                ("written_mb_per_second", device.written_mb_per_second, MB),
            ]);
        }
        for system in &self.filesystem {
            numbers.extend([
                ("size_gib", system.size_gib, GIB),
                ("available_gib", system.available_gib, system.size_gib),
            ]);
        }
        numbers
    }
}
