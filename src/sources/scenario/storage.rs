//! Storage of a scenario: what the kernel and the tools of ZFS would say at a time. Counters are integrals of the
//! rates that are written, so that a rate that is derived from them is the one written; the devices of a pool read
//! and write what its datasets need.

mod flow;
mod spec;

pub(super) use spec::StorageSpec;

use crate::model::{
    Absence, Dataset, DatasetCounters, FileSystem, Grouped, PoolSpace, PoolStatus, Scan, ScanFunction,
    ScanState, StorageSample, Vdev, ZfsCache, ZfsKernel, ZfsPoolState,
};
use crate::units::{Bytes, Mono, Wall};
use flow::Flow;
use spec::{CacheSpec, DatasetSpec, PoolSpec, VdevSpec};
use std::sync::Arc;

/// As often as a collector asks `zpool` while storage is shown.
const TOOLS_EVERY: u64 = 10;
const GIB: f64 = 1_073_741_824.0;
/// First object set of a dataset: those before it belong to the pool itself.
const FIRST_OBJSET: u64 = 54;
/// The least target is a thirty-second of memory (`zfs_arc_min`, zfs(4)); here of the greatest target.
const LEAST_SHARE: f64 = 32.0;
/// How long a made-up scrub takes, seconds.
const SCRUB_TAKES: i64 = 6 * 3_600;

/// When a sample is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Seconds since the start of the scenario.
    pub(super) seconds: f64,
    pub(super) at: Mono,
    /// Time of day at the start.
    pub(super) start: Wall,
    /// The first sample.
    pub(super) first: bool,
    /// Seconds between samples.
    pub(super) interval: f64,
}

/// What is read at `moment`; `loaded` gives the bytes of models on a dataset that processes have read until then.
pub(super) fn sample(spec: &StorageSpec, moment: Moment, loaded: &dyn Fn(&str) -> f64) -> StorageSample {
    let at = moment.at;
    let flow = Flow { spec, seconds: moment.seconds, loaded };
    let mut sample = StorageSample {
        kernel: Some(Grouped {
            at,
            value: if spec.pool.is_empty() { Err(Absence::NotSupported) } else { Ok(kernel(&flow)) },
        }),
        disks: Some(Grouped { at, value: Ok(flow.disks()) }),
        gpu_direct: Some(false),
        ..StorageSample::default()
    };
    let before = (moment.seconds - moment.interval).max(0.0) as u64;
    if moment.first || moment.seconds as u64 / TOOLS_EVERY != before / TOOLS_EVERY {
        sample.filesystems = Some(Grouped { at, value: Ok(filesystems(spec)) });
        if !spec.pool.is_empty() {
            let status = spec.pool.iter().map(|pool| status(pool, moment.start)).collect();
            sample.status = Some(Grouped { at, value: Ok(status) });
            sample.pools = Some(Grouped { at, value: Ok(spec.pool.iter().map(space).collect()) });
            let datasets =
                (FIRST_OBJSET..).zip(&spec.dataset).map(|(objset, each)| dataset(spec, objset, each));
            sample.datasets = Some(Grouped { at, value: Ok(datasets.collect()) });
        }
    }
    sample
}

fn bytes(gib: f64) -> Bytes {
    Bytes((gib * GIB) as u64)
}

fn pool_of(dataset: &str) -> &str {
    dataset.split('/').next().unwrap_or_default()
}

fn kernel(flow: &Flow<'_>) -> ZfsKernel {
    let counters = (FIRST_OBJSET..).zip(&flow.spec.dataset).filter(|(_, each)| each.mount_point.is_some());
    ZfsKernel {
        version: Ok(flow.spec.version.as_str().into()),
        cache: flow.spec.cache.as_ref().map_or_else(
            || ZfsCache::absent(&Absence::failed(0, "the scenario does not say")),
            |spec| cache(flow, spec),
        ),
        pools: flow
            .spec
            .pool
            .iter()
            .map(|pool| ZfsPoolState { name: pool.name.as_str().into(), state: Ok(pool.state.text().into()) })
            .collect(),
        datasets: counters
            .map(|(objset, each)| {
                let (read, written) = flow.of_dataset(each);
                let size = (each.read_size_kib.max(1) * 1_024) as f64;
                DatasetCounters {
                    pool: pool_of(&each.name).into(),
                    objset,
                    name: each.name.as_str().into(),
                    created_ns: 9_000_000_000 + objset,
                    read_bytes: read as u64,
                    written_bytes: written as u64,
                    reads: (read / size) as u64,
                    writes: (written / size) as u64,
                }
            })
            .collect(),
    }
}

fn cache(flow: &Flow<'_>, spec: &CacheSpec) -> ZfsCache {
    let requests = flow.requests(spec);
    let (size, metadata) = (bytes(spec.size_gib), bytes(spec.metadata_gib));
    let data = Bytes(size.0.saturating_sub(metadata.0));
    ZfsCache {
        size: Ok(size),
        target: Ok(size),
        target_min: Ok(bytes(spec.most_gib / LEAST_SHARE)),
        target_max: Ok(bytes(spec.most_gib)),
        data: Ok(data),
        metadata: Ok(metadata),
        uncompressed: Ok(size),
        compressed: Ok(size),
        hits: Ok(requests.data_hits + requests.metadata_hits),
        io_hits: Ok(0),
        misses: Ok(requests.data_misses),
        demand_data_hits: Ok(requests.data_hits),
        demand_data_io_hits: Ok(0),
        demand_data_misses: Ok(requests.data_misses),
        demand_metadata_hits: Ok(requests.metadata_hits),
        demand_metadata_io_hits: Ok(0),
        demand_metadata_misses: Ok(0),
        l2_hits: Ok(0),
        l2_misses: Ok(0),
        l2_size: Ok(Bytes(0)),
        l2_device_size: Ok(Bytes(0)),
        l2_header_size: Ok(Bytes(0)),
        l2_read_bytes: Ok(0),
        l2_written_bytes: Ok(0),
        l2_errors: Ok(0),
    }
}

fn status(pool: &PoolSpec, start: Wall) -> PoolStatus {
    let scan = pool.scrub_days.map(|days| {
        let ended = start.0 / 1_000_000 - (days * 86_400.0) as i64;
        Scan {
            function: ScanFunction::Scrub,
            state: ScanState::Finished,
            done: None,
            started: Some(ended - SCRUB_TAKES),
            ended: Some(ended),
            errors: Some(0),
        }
    });
    PoolStatus {
        name: pool.name.as_str().into(),
        state: pool.state.text().into(),
        status: pool.status.as_deref().map(Into::into),
        action: pool.action.as_deref().map(Into::into),
        message_id: None,
        scan,
        data_errors: Some(pool.data_errors),
        vdevs: pool.vdev.iter().flat_map(vdevs).collect(),
    }
}

fn vdevs(spec: &VdevSpec) -> Vec<Vdev> {
    let vdev = |depth, name: &str| Vdev {
        depth,
        class: "normal".into(),
        name: name.into(),
        state: spec.state.text().into(),
        slow_ios: Some(0),
        ..Vdev::default()
    };
    let top = spec.name.iter().map(|name| vdev(0, name));
    let depth = u8::from(spec.name.is_some());
    let leaves = spec.devices.iter().enumerate().map(|(place, device)| Vdev {
        path: Some(format!("/dev/{device}").into()),
        disk: Some(device.as_str().into()),
        checksum_errors: if place == 0 { spec.checksum_errors } else { 0 },
        ..vdev(depth, device)
    });
    top.chain(leaves).collect()
}

fn space(pool: &PoolSpec) -> PoolSpace {
    let share = if pool.size_gib > 0.0 { pool.allocated_gib / pool.size_gib } else { 0.0 };
    PoolSpace {
        name: pool.name.as_str().into(),
        size: Ok(bytes(pool.size_gib)),
        allocated: Ok(bytes(pool.allocated_gib)),
        free: Ok(bytes(pool.size_gib - pool.allocated_gib)),
        fragmentation: Ok(pool.fragmentation),
        capacity: Ok((share * 100.0) as u32),
        health: pool.state.text().into(),
    }
}

fn dataset(spec: &StorageSpec, objset: u64, dataset: &DatasetSpec) -> Dataset {
    Dataset {
        name: dataset.name.as_str().into(),
        volume: false,
        used: Ok(bytes(dataset.used_gib)),
        available: available(spec, dataset),
        referenced: Ok(bytes(dataset.referenced_gib.unwrap_or(dataset.used_gib))),
        used_by_snapshots: Ok(bytes(dataset.snapshots_gib)),
        compress_ratio: Ok(dataset.compress_ratio),
        record_size: Ok(Bytes(dataset.record_size_kib << 10)),
        compression: dataset.compression.as_str().into(),
        atime: Ok(dataset.atime),
        primary_cache: dataset.primary_cache.text().into(),
        secondary_cache: dataset.secondary_cache.text().into(),
        origin: None,
        objset: Ok(objset),
        key_loaded: None,
        mounted: Ok(dataset.mount_point.is_some()),
        mount_point: dataset.mount_point.as_deref().map(Into::into),
    }
}

fn available(spec: &StorageSpec, dataset: &DatasetSpec) -> Result<Bytes, Absence> {
    let pool = spec.pool.iter().find(|pool| pool.name == pool_of(&dataset.name));
    pool.map(|pool| bytes(pool.available_gib)).ok_or(Absence::NotSupported)
}

fn filesystems(spec: &StorageSpec) -> Vec<FileSystem> {
    let others = spec.filesystem.iter().map(|each| FileSystem {
        mount_point: each.mount_point.as_str().into(),
        kind: each.kind.as_str().into(),
        source: each.source.as_str().into(),
        disk: each.device.as_deref().map(Into::into),
        read_only: false,
        size: Ok(bytes(each.size_gib)),
        available: Ok(bytes(each.available_gib)),
    });
    let of_zfs = spec.dataset.iter().filter_map(|each| {
        let mount_point: Arc<str> = each.mount_point.as_deref()?.into();
        let available = available(spec, each);
        let referenced = bytes(each.referenced_gib.unwrap_or(each.used_gib));
        Some(FileSystem {
            mount_point,
            kind: "zfs".into(),
            source: each.name.as_str().into(),
            disk: None,
            read_only: false,
            // As statvfs(3) says of a dataset: what it refers to and what can still be written.
            size: available.clone().map(|available| Bytes(available.0.saturating_add(referenced.0))),
            available,
        })
    });
    others.chain(of_zfs).collect()
}

#[cfg(test)]
#[path = "storage/tests.rs"]
mod tests;
