//! `kgtop storage`: the tab as text.

use super::function;
use super::models::models;
use crate::analysis::storage::advice;
use crate::model::{
    Absence, Dataset, DiskRates, FileSystem, PoolView, Reading, ScanState, Snapshot, Storage, known,
};
use crate::report::text::aligned;
use crate::units::{Bytes, BytesPerSecond, format_age, printable_lines};
use std::fmt::{Display, Write as _};

/// `kgtop storage`: the tab as text; what cannot be asked first, what could be better last.
#[must_use]
pub fn storage_text(snapshot: &Snapshot) -> String {
    let storage = &snapshot.storage;
    let mut out = String::new();
    if storage.zfs_absent() {
        out.push_str("ZFS is absent: its kernel module is not loaded\n");
    }
    for (what, failure) in [("zpool", &storage.status.failure), ("zfs list", &storage.properties.failure)] {
        if let Some(failure) = failure {
            // What to do about it is known for this one only.
            let advice = match failure.value {
                Absence::NoPermission => {
                    ": /dev/zfs may not be opened; run kgtop as root, or add its udev rule"
                }
                _ => "",
            };
            let _ = writeln!(out, "{what}: {}{advice}", failure.value);
        }
    }
    pools(&mut out, snapshot);
    arc(&mut out, storage);
    datasets(&mut out, storage);
    filesystems(&mut out, storage);
    devices(&mut out, storage);
    models(&mut out, snapshot);
    for advice in advice(snapshot) {
        let _ = writeln!(
            out,
            "\n{}: {}\n  {} · {}\n  {}",
            advice.severity.name(),
            advice.summary,
            advice.rule,
            advice.evidence,
            advice.advice
        );
        if let Some(command) = &advice.command {
            let _ = writeln!(out, "    $ {command}");
        }
    }
    printable_lines(&out).into_owned()
}

pub(super) fn cell<T: Display>(reading: &Reading<T>) -> String {
    match reading {
        Ok(value) => value.to_string(),
        Err(absence) => absence.label().to_owned(),
    }
}

pub(super) fn header<const N: usize>(titles: [&str; N]) -> Vec<Vec<String>> {
    vec![titles.map(String::from).to_vec()]
}

fn pools(out: &mut String, snapshot: &Snapshot) {
    let storage = &snapshot.storage;
    let pools = storage.pools();
    if pools.is_empty() {
        return;
    }
    let mut rows =
        header(["Pool", "State", "Size", "Alloc", "Cap", "Avail", "Frag", "Read", "Write", "Scan"]);
    for pool in &pools {
        let absence = storage.spaces.absence();
        let space = |read: &dyn Fn(&crate::model::PoolSpace) -> String| {
            pool.space.map_or_else(|| absence.label().to_owned(), read)
        };
        let state = match pool.healthy() {
            Some(false) if pool.state.as_deref() == Ok("ONLINE") => "ONLINE, errors".to_owned(),
            _ => cell(&pool.state),
        };
        rows.push(vec![
            pool.name.to_string(),
            state,
            space(&|space| cell(&space.size)),
            space(&|space| cell(&space.allocated)),
            space(&|space| cell(&space.capacity.clone().map(|percent| format!("{percent} %")))),
            cell(&pool.available),
            space(&|space| cell(&space.fragmentation.clone().map(|percent| format!("{percent} %")))),
            cell(&pool.read),
            cell(&pool.write),
            scan_words(snapshot, pool),
        ]);
    }
    aligned(out, &rows, &[0, 1, 9]);
    for pool in &pools {
        for vdev in pool.status.into_iter().flat_map(|status| &status.vdevs) {
            if vdev.errors() > 0 || &*vdev.state != "ONLINE" {
                let _ = writeln!(
                    out,
                    "{} {}: {}, {} read, {} write, {} checksum errors",
                    pool.name,
                    vdev.name,
                    vdev.state,
                    vdev.read_errors,
                    vdev.write_errors,
                    vdev.checksum_errors
                );
            }
        }
    }
}

fn scan_words(snapshot: &Snapshot, pool: &PoolView<'_>) -> String {
    let Some(status) = pool.status else { return snapshot.storage.status.absence().label().to_owned() };
    let Some(scan) = &status.scan else { return "never scrubbed".into() };
    let what = function(scan);
    match (scan.state, scan.ended, scan.done) {
        (ScanState::Running, _, Some(done)) => format!("{what} {:.1} %", done * 100.0),
        (ScanState::Finished, Some(ended), _) => {
            let seconds = snapshot.wall.0.div_euclid(1_000_000) - ended;
            let age = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            format!("{what} {} ago, {} errors", format_age(age), scan.errors.unwrap_or(0))
        }
        (ScanState::Paused, ..) => format!("{what} paused"),
        (ScanState::Cancelled, ..) => format!("{what} cancelled"),
        _ => what.to_owned(),
    }
}

fn arc(out: &mut String, storage: &Storage) {
    let Some(kernel) = storage.zfs() else { return };
    let percent = |ratio: &Reading<f64>| cell(&ratio.clone().map(|ratio| format!("{:.1} %", ratio * 100.0)));
    let _ = writeln!(
        out,
        "\nARC {} of {} (target {}); hits {} of what programs asked for, {} of all requests",
        cell(&kernel.cache.size),
        cell(&kernel.cache.target_max),
        cell(&kernel.cache.target),
        percent(&storage.cache.demand_hit_ratio),
        percent(&storage.cache.hit_ratio),
    );
    if kernel.cache.has_second_level() {
        let _ = writeln!(
            out,
            "L2ARC {} in {} on its devices; hits {} of all ARC misses",
            cell(&kernel.cache.l2_size),
            cell(&kernel.cache.l2_device_size),
            percent(&storage.cache.l2_hit_ratio),
        );
    }
}

fn datasets(out: &mut String, storage: &Storage) {
    let datasets = storage.datasets();
    if datasets.is_empty() {
        return;
    }
    let absence = storage.properties.absence();
    let mut rows = header([
        "Dataset", "Used", "Avail", "Refer", "Snaps", "Ratio", "Record", "Compress", "atime", "Primary",
        "Second", "Read", "Write",
    ]);
    for dataset in &datasets {
        let of = |read: &dyn Fn(&Dataset) -> String| {
            dataset.properties.map_or_else(|| absence.label().to_owned(), read)
        };
        let rate = |read: &dyn Fn(&crate::model::DatasetRates) -> Reading<BytesPerSecond>| {
            dataset.rates.map_or_else(|| "–".to_owned(), |rates| cell(&read(rates)))
        };
        rows.push(vec![
            dataset.name.to_string(),
            of(&|each| cell(&each.used)),
            of(&|each| cell(&each.available)),
            of(&|each| cell(&each.referenced)),
            of(&|each| cell(&each.used_by_snapshots)),
            of(&|each| cell(&each.compress_ratio.clone().map(|ratio| format!("{ratio:.2}")))),
            of(&|each| cell(&each.record_size)),
            of(&|each| each.compression.to_string()),
            of(&|each| cell(&each.atime.clone().map(|on| if on { "on" } else { "off" }))),
            of(&|each| each.primary_cache.to_string()),
            of(&|each| each.secondary_cache.to_string()),
            rate(&|rates| rates.read.clone()),
            rate(&|rates| rates.write.clone()),
        ]);
    }
    out.push('\n');
    aligned(out, &rows, &[0, 7, 8, 9, 10]);
}

fn filesystems(out: &mut String, storage: &Storage) {
    let others: Vec<&FileSystem> =
        storage.filesystems.get().into_iter().flatten().filter(|each| &*each.kind != "zfs").collect();
    if others.is_empty() {
        return;
    }
    let mut rows = header(["File system", "Type", "Size", "Avail", "Source"]);
    for each in others {
        rows.push(vec![
            each.mount_point.to_string(),
            each.kind.to_string(),
            cell::<Bytes>(&each.size),
            cell::<Bytes>(&each.available),
            each.source.to_string(),
        ]);
    }
    out.push('\n');
    aligned(out, &rows, &[0, 1, 4]);
}

fn devices(out: &mut String, storage: &Storage) {
    // Those that a pool or a file system lies on, or all where nobody could say; the rest is in the JSON.
    let vdevs = storage.status.get().into_iter().flatten().flat_map(|status| &status.vdevs);
    let names = vdevs.filter_map(|vdev| vdev.disk.as_deref());
    let mounts = storage.filesystems.get().into_iter().flatten().filter_map(|each| each.disk.as_deref());
    let used: std::collections::BTreeSet<&str> = names.chain(mounts).collect();
    let every = storage.vdevs_unknown();
    let disks: Vec<&DiskRates> =
        storage.disks.iter().filter(|disk| every || used.contains(&*disk.name)).collect();
    if disks.is_empty() {
        return;
    }
    let ms =
        |reading: &Reading<f64>| known(reading).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
    let mut rows = header(["Device", "Read", "Write", "Read time", "Write time", "Busy", "Queue"]);
    for disk in disks {
        rows.push(vec![
            disk.name.to_string(),
            cell(&disk.read),
            cell(&disk.write),
            ms(&disk.read_ms),
            ms(&disk.write_ms),
            cell(&disk.busy),
            disk.in_flight.to_string(),
        ]);
    }
    out.push('\n');
    aligned(out, &rows, &[0]);
}
