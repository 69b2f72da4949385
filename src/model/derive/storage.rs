//! Storage between samples: the last value of each group, rates from two distinct readings, histories.

use super::counters::per_second;
use super::loads::LoadFold;
use crate::model::{
    Absence, CacheRates, DatasetCounters, DatasetKey, DatasetRates, DiskCounters, DiskRates, Grouped,
    History, Kept, ListingState, Metric, Reading, SnapshotBatch, SnapshotListing, Storage, StorageSample,
    Track, ZfsCache, ZfsKernel, hit_ratio,
};
use crate::units::{BytesPerSecond, Mono, Percent};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Datasets of which a history is kept: the busiest ones seen first; two tracks of half a KiB each.
const TRACKS_AT_MOST: usize = 1_024;
/// Snapshots of one dataset that are kept.
const SNAPSHOTS_AT_MOST: usize = 20_000;

/// Read and written over time.
#[derive(Clone, Debug, Default)]
pub struct DatasetTracks {
    /// Read, bytes per second.
    pub read: Track,
    /// Written, bytes per second.
    pub write: Track,
}

/// What is kept of storage between samples.
#[derive(Clone, Debug, Default)]
pub(super) struct StorageFold {
    view: Storage,
    disks: Option<Grouped<Vec<DiskCounters>>>,
    pub(super) history: History,
    tracks: BTreeMap<DatasetKey, DatasetTracks>,
    loads: LoadFold,
}

impl StorageFold {
    /// Takes the groups of one sample; gives the view.
    pub(super) fn push(&mut self, sample: Option<StorageSample>) -> Arc<Storage> {
        if let Some(sample) = sample {
            keep(&mut self.view.status, sample.status);
            keep(&mut self.view.spaces, sample.pools);
            keep(&mut self.view.properties, sample.datasets);
            keep(&mut self.view.filesystems, sample.filesystems);
            if let Some(models) = sample.models {
                self.view.models = Some(Arc::new(models));
            }
            self.view.loads = self.loads.push(sample.model_uses);
            if sample.senders.is_some() {
                self.view.senders = sample.senders;
            }
            self.view.gpu_direct = sample.gpu_direct.or(self.view.gpu_direct);
            if let Some(disks) = sample.disks {
                self.take_disks(disks);
            }
            if let Some(kernel) = sample.kernel {
                self.take_kernel(kernel);
            }
        }
        Arc::new(self.view.clone())
    }

    /// The tracks of a dataset.
    pub(super) fn tracks(&self, key: &DatasetKey) -> Option<&DatasetTracks> {
        self.tracks.get(key)
    }

    /// Takes a part of a listing of snapshots.
    pub(super) fn take_batch(&mut self, batch: SnapshotBatch) {
        let begun = |listing: &Arc<SnapshotListing>| listing.dataset == batch.dataset && !batch.first;
        let mut listing = match self.view.listing.take().filter(begun) {
            Some(listing) => Arc::unwrap_or_clone(listing),
            None => SnapshotListing { dataset: batch.dataset, ..SnapshotListing::default() },
        };
        listing.total = batch.total.or(listing.total);
        listing.state = batch.state;
        listing.problem = batch.problem;
        let room = SNAPSHOTS_AT_MOST.saturating_sub(listing.rows.len());
        listing.rows.extend(batch.rows.into_iter().take(room));
        self.view.listing = Some(Arc::new(listing));
    }

    /// The collector left: what it was listing will not come.
    pub(super) fn end(&mut self) {
        if let Some(listing) = &mut self.view.listing
            && listing.state == ListingState::Running
        {
            Arc::make_mut(listing).state = ListingState::Cancelled;
        }
    }

    fn take_kernel(&mut self, new: Grouped<Reading<ZfsKernel>>) {
        let old = self.view.kernel.take();
        if let Some(old) = &old
            && old.at >= new.at
        {
            self.view.kernel = Some(Arc::clone(old)); // handed over again, not read again
            return;
        }
        let before = old.as_ref().and_then(|old| Some((old.at, old.value.as_ref().ok()?)));
        match (before, &new.value) {
            (Some((then, before)), Ok(after)) => self.compare(then, before, new.at, after),
            _ => {
                self.view.cache = CacheRates::default();
                self.view.activity = Arc::default();
            }
        }
        if let Ok(kernel) = &new.value
            && let Ok(size) = &kernel.cache.size
        {
            let size = size.gib() as f32;
            self.history.add(Metric::ArcSize, new.at, size, size, size);
        }
        self.view.kernel = Some(Arc::new(new));
    }

    fn compare(&mut self, then: Mono, before: &ZfsKernel, now: Mono, after: &ZfsKernel) {
        let seconds = now.since(then).as_secs_f64();
        self.view.cache = cache_rates(&before.cache, &after.cache, seconds);
        if let Ok(ratio) = self.view.cache.demand_hit_ratio {
            spread(&mut self.history, Metric::ArcDemandHits, then, now, (ratio * 100.0) as f32);
        }
        let old: BTreeMap<(&str, u64), &DatasetCounters> =
            before.datasets.iter().map(|each| ((&*each.pool, each.objset), each)).collect();
        let mut activity = BTreeMap::new();
        for each in &after.datasets {
            let rates = dataset_rates(old.get(&(&*each.pool, each.objset)).copied(), each, seconds);
            let key = (Arc::clone(&each.pool), each.objset);
            if self.tracks.contains_key(&key) || self.tracks.len() < TRACKS_AT_MOST {
                let tracks = self.tracks.entry(key.clone()).or_default();
                if let (Ok(read), Ok(write)) = (&rates.read, &rates.write) {
                    tracks.read.add(then, now, read.0 as f32);
                    tracks.write.add(then, now, write.0 as f32);
                }
            }
            activity.insert(key, rates);
        }
        // What was unmounted has no counters; its history goes with it.
        self.tracks.retain(|key, _| activity.contains_key(key));
        self.view.activity = Arc::new(activity);
    }

    fn take_disks(&mut self, new: Grouped<Reading<Vec<DiskCounters>>>) {
        if self.disks.as_ref().is_some_and(|old| old.at >= new.at) {
            return;
        }
        let Grouped { at, value } = new;
        let counters = match value {
            Ok(counters) => counters,
            Err(absence) => {
                self.view.disks = Arc::default();
                self.view.disks_absent = Some(absence);
                self.disks = None;
                return;
            }
        };
        let old = self.disks.take();
        let then = old.as_ref().map(|old| old.at);
        let before: BTreeMap<&str, &DiskCounters> =
            old.iter().flat_map(|old| &old.value).map(|disk| (&*disk.name, disk)).collect();
        let seconds = then.map_or(0.0, |then| at.since(then).as_secs_f64());
        let rates = counters.iter().map(|disk| disk_rates(before.get(&*disk.name).copied(), disk, seconds));
        self.view.disks = Arc::new(rates.collect());
        self.view.disks_absent = None;
        if let Some(then) = then {
            self.remember_pools(then, at);
        }
        self.disks = Some(Grouped { at, value: counters });
    }

    /// Read and written by the devices of all pools; by those of the file systems where there is no ZFS.
    fn remember_pools(&mut self, then: Mono, at: Mono) {
        let pools = self.view.pools();
        let rates: Vec<(f64, f64)> = if pools.is_empty() {
            let mut names: Vec<&str> = self
                .view
                .filesystems
                .get()
                .into_iter()
                .flatten()
                .filter_map(|each| each.disk.as_deref())
                .collect();
            names.sort_unstable();
            names.dedup();
            let disks = names.into_iter().filter_map(|name| self.view.disk(name));
            disks.filter_map(|disk| both(&disk.read, &disk.write)).collect()
        } else {
            pools.iter().filter_map(|pool| both(&pool.read, &pool.write)).collect()
        };
        if rates.is_empty() {
            return;
        }
        let (read, write) =
            rates.iter().fold((0.0, 0.0), |(read, write), each| (read + each.0, write + each.1));
        spread(&mut self.history, Metric::PoolRead, then, at, read as f32);
        spread(&mut self.history, Metric::PoolWrite, then, at, write as f32);
    }
}

fn both(read: &Reading<BytesPerSecond>, write: &Reading<BytesPerSecond>) -> Option<(f64, f64)> {
    Some((read.as_ref().ok()?.0, write.as_ref().ok()?.0))
}

/// A mean over more than this says nothing about each second of it, and is drawn at its end only.
const SPREAD_AT_MOST: u64 = 15;

/// Adds a mean to each second that it was taken over.
fn spread(history: &mut History, metric: Metric, then: Mono, now: Mono, value: f32) {
    let first = (then.seconds() + 1).max(now.seconds().saturating_sub(SPREAD_AT_MOST)).min(now.seconds());
    for second in first..=now.seconds() {
        history.add(metric, Mono(second * 1_000_000), value, value, value);
    }
}

/// Keeps the newest value, and the newest failure after it.
fn keep<T>(kept: &mut Kept<T>, new: Option<Grouped<Reading<T>>>) {
    let Some(Grouped { at, value }) = new else { return };
    match value {
        Ok(value) => {
            kept.value = Some(Arc::new(Grouped { at, value }));
            kept.failure = None;
        }
        Err(absence) => kept.failure = Some(Grouped { at, value: absence }),
    }
}

fn unseen() -> Absence {
    Absence::InsufficientHistory { seen_seconds: 0.0 }
}

fn rate(before: u64, after: u64, seconds: f64) -> Reading<f64> {
    per_second(&Ok(before), &Ok(after), seconds)
}

/// Rates of a dataset. Counters that began anew (mounted again, imported again) say nothing of the interval.
fn dataset_rates(before: Option<&DatasetCounters>, after: &DatasetCounters, seconds: f64) -> DatasetRates {
    let Some(before) = before.filter(|before| before.created_ns == after.created_ns) else {
        return DatasetRates { read: Err(unseen()), write: Err(unseen()), reads: Err(unseen()) };
    };
    DatasetRates {
        read: rate(before.read_bytes, after.read_bytes, seconds).map(BytesPerSecond),
        write: rate(before.written_bytes, after.written_bytes, seconds).map(BytesPerSecond),
        reads: rate(before.reads, after.reads, seconds),
    }
}

fn disk_rates(before: Option<&DiskCounters>, after: &DiskCounters, seconds: f64) -> DiskRates {
    let name = Arc::clone(&after.name);
    let in_flight = after.in_flight;
    let Some(before) = before else {
        return DiskRates {
            name,
            read: Err(unseen()),
            write: Err(unseen()),
            read_ms: Err(unseen()),
            write_ms: Err(unseen()),
            busy: Err(unseen()),
            in_flight,
        };
    };
    let latency =
        |ms: (u64, u64), count: (u64, u64)| match (ms.1.checked_sub(ms.0), count.1.checked_sub(count.0)) {
            (Some(ms), Some(count)) if count > 0 => Ok(ms as f64 / count as f64),
            // Nothing was done, so nothing took time.
            _ => Err(Absence::NotSupported),
        };
    DiskRates {
        name,
        read: rate(before.read_bytes, after.read_bytes, seconds).map(BytesPerSecond),
        write: rate(before.written_bytes, after.written_bytes, seconds).map(BytesPerSecond),
        read_ms: latency((before.read_ms, after.read_ms), (before.reads, after.reads)),
        write_ms: latency((before.write_ms, after.write_ms), (before.writes, after.writes)),
        busy: rate(before.busy_ms, after.busy_ms, seconds).map(|ms| Percent((ms / 10.0).min(100.0) as f32)),
        in_flight,
    }
}

/// Requests answered, on their way, and missed: the sum of some kinds. Rows that came with a later version count as
/// none.
fn requests<const N: usize>(kinds: [[&Reading<u64>; 3]; N]) -> Reading<[u64; 3]> {
    let mut sums = [0_u64; 3];
    for [hits, io_hits, misses] in kinds {
        let io_hits = io_hits.as_ref().copied().unwrap_or(0);
        for (sum, add) in sums.iter_mut().zip([hits.clone()?, io_hits, misses.clone()?]) {
            *sum = sum.saturating_add(add);
        }
    }
    Ok(sums)
}

fn all_requests(cache: &ZfsCache) -> Reading<[u64; 3]> {
    requests([[&cache.hits, &cache.io_hits, &cache.misses]])
}

fn demand_requests(cache: &ZfsCache) -> Reading<[u64; 3]> {
    requests([
        [&cache.demand_data_hits, &cache.demand_data_io_hits, &cache.demand_data_misses],
        [&cache.demand_metadata_hits, &cache.demand_metadata_io_hits, &cache.demand_metadata_misses],
    ])
}

fn second_level_requests(cache: &ZfsCache) -> Reading<[u64; 3]> {
    requests([[&cache.l2_hits, &Ok(0), &cache.l2_misses]])
}

fn cache_rates(before: &ZfsCache, after: &ZfsCache, seconds: f64) -> CacheRates {
    let over = |of: fn(&ZfsCache) -> Reading<[u64; 3]>| hit_ratio(of(before)?, of(after)?).ok_or_else(unseen);
    CacheRates {
        hit_ratio: over(all_requests),
        demand_hit_ratio: over(demand_requests),
        l2_hit_ratio: over(second_level_requests),
        l2_read: per_second(&before.l2_read_bytes, &after.l2_read_bytes, seconds).map(BytesPerSecond),
        l2_write: per_second(&before.l2_written_bytes, &after.l2_written_bytes, seconds).map(BytesPerSecond),
    }
}
