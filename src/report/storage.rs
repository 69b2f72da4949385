//! Storage: as JSON in a snapshot and for `kgtop storage --format json`, and as text.

mod models;
mod text;

pub use text::storage_text;

use super::object::{Json, Object, rounded};
use super::rfc3339;
use crate::analysis::storage::{Advice, advice};
use crate::model::{
    Absence, CacheRates, Dataset, DatasetView, DiskRates, FileSystem, Kept, PoolView, Reading, Scan,
    ScanFunction, ScanState, Snapshot, Storage, Vdev, ZfsCache,
};
use crate::units::Wall;
use serde_json::Value;

/// Storage as an object.
pub(super) fn json(snapshot: &Snapshot) -> Value {
    let storage = &snapshot.storage;
    let mut object = Object::default();
    object.put("zfs_version", &zfs_version(storage));
    stale(&mut object, snapshot, "pools", &storage.status);
    object.set("pools", storage.pools().iter().map(|each| pool(snapshot, each)).collect());
    match storage.zfs() {
        Some(kernel) => object.set("arc", cache(&kernel.cache, &storage.cache)),
        None => {
            let absence = storage.kernel.as_ref().and_then(|group| group.value.as_ref().err().cloned());
            object.put::<u64>("arc", &Err(absence.unwrap_or(Absence::NotRequested)));
        }
    }
    stale(&mut object, snapshot, "datasets", &storage.properties);
    let properties_absent = storage.properties.absence();
    let datasets = storage.datasets();
    object.set("datasets", datasets.iter().map(|each| dataset(each, &properties_absent)).collect());
    object.set("devices", storage.disks.iter().map(disk).collect());
    if let Some(absence) = &storage.disks_absent {
        object.note("devices", absence);
    }
    object.set("filesystems", storage.filesystems.get().into_iter().flatten().map(filesystem).collect());
    object.set("models", super::models::models(snapshot));
    object.set("model_stores", super::models::places(snapshot));
    object.set("advice", advice(snapshot).iter().map(advice_json).collect());
    object.with_absent()
}

fn zfs_version(storage: &Storage) -> Reading<std::sync::Arc<str>> {
    match storage.kernel.as_ref().map(|group| &group.value) {
        Some(Ok(kernel)) => kernel.version.clone(),
        Some(Err(absence)) => Err(absence.clone()),
        None => Err(Absence::NotRequested),
    }
}

/// How old a list of the tools is, and why there is none that is newer.
fn stale<T>(object: &mut Object, snapshot: &Snapshot, name: &str, kept: &Kept<T>) {
    let age = kept.value.as_ref().map(|value| rounded(snapshot.mono.since(value.at).as_secs_f64(), 1));
    object.set(&format!("{name}_age_seconds"), age.unwrap_or(Value::Null));
    let problem = kept.failure.as_ref().map(|failure| Value::from(failure.value.to_string()));
    object.set(&format!("{name}_problem"), problem.unwrap_or(Value::Null));
}

fn pool(snapshot: &Snapshot, pool: &PoolView<'_>) -> Value {
    let storage = &snapshot.storage;
    let mut object = Object::default();
    object.set("name", pool.name.to_json());
    object.put("state", &pool.state);
    object.set("healthy", pool.healthy().into());
    let space = |read: &dyn Fn(&crate::model::PoolSpace) -> Reading<u64>| {
        pool.space.map_or_else(|| Err(storage.spaces.absence()), read)
    };
    object.put("size_bytes", &space(&|space| space.size.clone().map(|bytes| bytes.0)));
    object.put("allocated_bytes", &space(&|space| space.allocated.clone().map(|bytes| bytes.0)));
    object.put("available_bytes", &pool.available);
    object.put("capacity_percent", &space(&|space| space.capacity.clone().map(u64::from)));
    object.put("fragmentation_percent", &space(&|space| space.fragmentation.clone().map(u64::from)));
    object.put("read_bytes_per_second", &pool.read);
    object.put("write_bytes_per_second", &pool.write);
    let text = |text: Option<&std::sync::Arc<str>>| text.map_or(Value::Null, Json::to_json);
    let status = pool.status;
    object.set("status", text(status.and_then(|status| status.status.as_ref())));
    object.set("action", text(status.and_then(|status| status.action.as_ref())));
    object.set("message_id", text(status.and_then(|status| status.message_id.as_ref())));
    object.set("data_errors", status.and_then(|status| status.data_errors).into());
    object.set("scan", status.and_then(|status| status.scan.as_ref()).map_or(Value::Null, scan));
    match status {
        Some(status) => object.set("vdevs", status.vdevs.iter().map(vdev).collect()),
        None => object.put::<u64>("vdevs", &Err(storage.status.absence())),
    }
    object.with_absent()
}

const fn function(scan: &Scan) -> &'static str {
    match scan.function {
        ScanFunction::Scrub => "scrub",
        ScanFunction::Resilver => "resilver",
    }
}

fn scan(scan: &Scan) -> Value {
    let state = match scan.state {
        ScanState::Running => "running",
        ScanState::Paused => "paused",
        ScanState::Finished => "finished",
        ScanState::Cancelled => "cancelled",
    };
    let time = |at: Option<i64>| at.and_then(|at| rfc3339(Wall(at.saturating_mul(1_000_000)))).into();
    let mut object = Object::default();
    object.set("function", function(scan).into());
    object.set("state", state.into());
    object.set("done_percent", scan.done.map_or(Value::Null, |done| rounded(f64::from(done) * 100.0, 1)));
    object.set("started", time(scan.started));
    object.set("ended", time(scan.ended));
    object.set("errors", scan.errors.into());
    object.bare()
}

fn vdev(vdev: &Vdev) -> Value {
    let mut object = Object::default();
    object.set("depth", u32::from(vdev.depth).into());
    object.set("class", vdev.class.to_json());
    object.set("name", vdev.name.to_json());
    object.set("device", vdev.disk.as_ref().map_or(Value::Null, Json::to_json));
    object.set("state", vdev.state.to_json());
    object.set("read_errors", vdev.read_errors.into());
    object.set("write_errors", vdev.write_errors.into());
    object.set("checksum_errors", vdev.checksum_errors.into());
    object.set("slow_ios", vdev.slow_ios.into());
    object.bare()
}

fn cache(cache: &ZfsCache, rates: &CacheRates) -> Value {
    let percent = |ratio: &Reading<f64>| ratio.clone().map(|ratio| ratio * 100.0);
    let mut object = Object::default();
    object.put("size_bytes", &cache.size);
    object.put("target_bytes", &cache.target);
    object.put("target_min_bytes", &cache.target_min);
    object.put("target_max_bytes", &cache.target_max);
    object.put("data_bytes", &cache.data);
    object.put("metadata_bytes", &cache.metadata);
    object.put("hit_percent", &percent(&rates.hit_ratio));
    object.put("demand_hit_percent", &percent(&rates.demand_hit_ratio));
    object.put("l2.size_bytes", &cache.l2_size);
    object.put("l2.device_size_bytes", &cache.l2_device_size);
    object.put("l2.header_size_bytes", &cache.l2_header_size);
    object.put("l2.hit_percent_of_arc_misses", &percent(&rates.l2_hit_ratio));
    object.put("l2.read_bytes_per_second", &rates.l2_read);
    object.put("l2.write_bytes_per_second", &rates.l2_write);
    object.put("l2.errors", &cache.l2_errors);
    object.with_absent()
}

fn dataset(dataset: &DatasetView<'_>, absence: &Absence) -> Value {
    let mut object = Object::default();
    object.set("name", dataset.name.to_json());
    object.set("pool", dataset.pool.to_json());
    match dataset.properties {
        Some(properties) => self::properties(&mut object, properties),
        None => object.note("properties", absence),
    }
    if let Some(rates) = dataset.rates {
        object.put("read_bytes_per_second", &rates.read);
        object.put("write_bytes_per_second", &rates.write);
        object.put("reads_per_second", &rates.reads);
    }
    object.with_absent()
}

fn properties(object: &mut Object, properties: &Dataset) {
    object.set("type", if properties.volume { "volume" } else { "filesystem" }.into());
    object.put("used_bytes", &properties.used);
    object.put("available_bytes", &properties.available);
    object.put("referenced_bytes", &properties.referenced);
    object.put("used_by_snapshots_bytes", &properties.used_by_snapshots);
    object.put("compress_ratio", &properties.compress_ratio);
    object.put("record_size_bytes", &properties.record_size);
    object.set("compression", properties.compression.to_json());
    object.put("atime", &properties.atime);
    object.set("primary_cache", properties.primary_cache.to_json());
    object.set("secondary_cache", properties.secondary_cache.to_json());
    object.set("origin", properties.origin.as_ref().map_or(Value::Null, Json::to_json));
    object.set("key_loaded", properties.key_loaded.into());
    object.put("mounted", &properties.mounted);
    object.set("mount_point", properties.mount_point.as_ref().map_or(Value::Null, Json::to_json));
}

fn disk(disk: &DiskRates) -> Value {
    let mut object = Object::default();
    object.set("name", disk.name.to_json());
    object.put("read_bytes_per_second", &disk.read);
    object.put("write_bytes_per_second", &disk.write);
    object.put("read_milliseconds", &disk.read_ms);
    object.put("write_milliseconds", &disk.write_ms);
    object.put("busy_percent", &disk.busy);
    object.set("in_flight", disk.in_flight.into());
    object.with_absent()
}

fn filesystem(each: &FileSystem) -> Value {
    let mut object = Object::default();
    object.set("mount_point", each.mount_point.to_json());
    object.set("type", each.kind.to_json());
    object.set("source", each.source.to_json());
    object.set("device", each.disk.as_ref().map_or(Value::Null, Json::to_json));
    object.set("read_only", each.read_only.into());
    object.put("size_bytes", &each.size);
    object.put("available_bytes", &each.available);
    object.with_absent()
}

fn advice_json(advice: &Advice) -> Value {
    let mut object = Object::default();
    object.set("rule", advice.rule.into());
    object.set("severity", advice.severity.name().into());
    object.set("subject", advice.subject.as_str().into());
    object.set("summary", advice.summary.as_str().into());
    object.set("evidence", advice.evidence.as_str().into());
    object.set("advice", advice.advice.as_str().into());
    object.set("command", advice.command.as_deref().into());
    object.bare()
}

/// `kgtop storage --format json`: the `storage` of a snapshot alone.
#[must_use]
pub fn storage_json(snapshot: &Snapshot) -> String {
    format!("{:#}\n", json(snapshot))
}
