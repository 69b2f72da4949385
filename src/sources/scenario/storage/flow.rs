//! What has flowed until a time: bytes of datasets and devices, requests to the cache. All of it only ever rises.

use super::pool_of;
use super::spec::{CacheSpec, DatasetSpec, StorageSpec, VdevSpec};
use crate::model::DiskCounters;
use std::f64::consts::TAU;

/// Counters began this long before the scenario.
const BEFORE: f64 = 3_600.0;
const MB: f64 = 1e6;
/// Rates swell and ebb by this part of them: a value that stands still looks as if nobody read it.
const SWELL: f64 = 0.15;
/// One swell, seconds.
const SWELL_SECONDS: f64 = 23.0;
/// Requests for metadata for each request for data; they are all in the cache.
const METADATA_SHARE: f64 = 0.25;
/// Bytes of one request to a device: ZFS joins neighbours up to this (`zfs_vdev_aggregation_limit_non_rotating`,
/// zfs(4)).
const REQUEST: f64 = 131_072.0;
/// Milliseconds of one read and one write, and bytes per second at which a device is busy all the time: an NVMe
/// device of a server (PCIe 4.0 x4).
const READ_MS: f64 = 0.14;
const WRITE_MS: f64 = 0.05;
const DEVICE_BYTES_PER_SECOND: f64 = 6.8e9;

/// Requests that the cache has had.
pub(super) struct Requests {
    pub(super) data_hits: u64,
    pub(super) data_misses: u64,
    pub(super) metadata_hits: u64,
}

/// What has flowed.
pub(super) struct Flow<'a> {
    pub(super) spec: &'a StorageSpec,
    /// Seconds since the start.
    pub(super) seconds: f64,
    pub(super) loaded: &'a dyn Fn(&str) -> f64,
}

impl Flow<'_> {
    /// The integral of a rate of `rate` that swells; `phase` keeps two of them apart.
    fn sum(&self, rate: f64, phase: f64) -> f64 {
        let wave =
            |t: f64| SWELL * SWELL_SECONDS / TAU * (phase.cos() - (TAU * t / SWELL_SECONDS + phase).cos());
        rate * (BEFORE + self.seconds + wave(self.seconds))
    }

    /// Bytes read and written of a dataset.
    pub(super) fn of_dataset(&self, dataset: &DatasetSpec) -> (f64, f64) {
        let phase = dataset.name.len() as f64;
        let read = self.sum(dataset.read_mb_per_second * MB, phase) + (self.loaded)(&dataset.name);
        (read, self.sum(dataset.written_mb_per_second * MB, phase))
    }

    pub(super) fn requests(&self, cache: &CacheSpec) -> Requests {
        let (rate, hits) = (cache.requests_per_second, cache.hit_percent / 100.0);
        // Hits and misses swell apart, so that their ratio moves too.
        Requests {
            data_hits: self.sum(rate * hits, 0.0) as u64,
            data_misses: self.sum(rate * (1.0 - hits), 2.0) as u64,
            metadata_hits: self.sum(rate * METADATA_SHARE, 0.0) as u64,
        }
    }

    /// The counters of all devices.
    pub(super) fn disks(&self) -> Vec<DiskCounters> {
        let mut disks = Vec::new();
        for pool in &self.spec.pool {
            let (mut read, mut written) = (0.0, 0.0);
            for dataset in self.spec.dataset.iter().filter(|each| pool_of(&each.name) == pool.name) {
                let (asked, wrote) = self.of_dataset(dataset);
                read += asked * (1.0 - dataset.cached_percent / 100.0);
                written += wrote;
            }
            let share = 1.0 / pool.vdev.len().max(1) as f64;
            for vdev in &pool.vdev {
                let devices = vdev.devices.len().max(1) as f64;
                for device in &vdev.devices {
                    disks.push(self.disk(
                        device,
                        read * share / devices,
                        written * share * copies(vdev) / devices,
                    ));
                }
            }
        }
        for device in &self.spec.device {
            let read = self.sum(device.read_mb_per_second * MB, 1.0);
            let written = self.sum(device.written_mb_per_second * MB, 1.0);
            disks.push(self.disk(&device.name, read, written));
        }
        disks.sort_by(|a, b| a.name.cmp(&b.name));
        disks
    }

    fn disk(&self, name: &str, read: f64, written: f64) -> DiskCounters {
        let (reads, writes) = (read / REQUEST, written / REQUEST);
        let elapsed_ms = (BEFORE + self.seconds) * 1_000.0;
        let waited_ms = reads * READ_MS + writes * WRITE_MS;
        DiskCounters {
            name: name.into(),
            reads: reads as u64,
            read_bytes: read as u64,
            read_ms: (reads * READ_MS) as u64,
            writes: writes as u64,
            written_bytes: written as u64,
            write_ms: (writes * WRITE_MS) as u64,
            // Little's law: as many are in flight as the time they all take fits into the time that passed.
            in_flight: (waited_ms / elapsed_ms).round() as u64,
            busy_ms: ((read + written) / DEVICE_BYTES_PER_SECOND * 1_000.0) as u64,
        }
    }
}

/// How many bytes a vdev writes for one of a file: every leg of a mirror, parity of a raidz.
fn copies(vdev: &VdevSpec) -> f64 {
    let devices = vdev.devices.len() as f64;
    let name = vdev.name.as_deref().unwrap_or_default();
    if name.starts_with("mirror") {
        return devices;
    }
    let parity = name
        .strip_prefix("raidz")
        .map_or(0.0, |rest| rest.chars().next().and_then(|digit| digit.to_digit(10)).map_or(1.0, f64::from));
    if parity < devices { devices / (devices - parity) } else { devices }
}
