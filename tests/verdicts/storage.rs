//! A pool whose readings a scenario's records get, and what goes wrong with it.

use kgtop::model::{
    Absence, Dataset, DatasetCounters, DiskCounters, Grouped, PoolSpace, PoolStatus, Record, Scan,
    ScanFunction, ScanState, StorageSample, Vdev, ZfsCache, ZfsKernel, ZfsPoolState,
};
use kgtop::units::Bytes;

/// A pool as it is read.
pub(crate) struct Pool {
    pub(crate) state: &'static str,
    pub(crate) checksum_errors: u64,
    pub(crate) capacity: u32,
    pub(crate) available: u64,
    pub(crate) primary_cache: &'static str,
    /// Bytes a second that programs read, and the disks, both legs together.
    pub(crate) read: (u64, u64),
    /// Bytes of one read.
    pub(crate) read_size: u64,
    pub(crate) scrub: bool,
    pub(crate) sends: bool,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            state: "ONLINE",
            checksum_errors: 0,
            capacity: 40,
            available: 1 << 40,
            primary_cache: "metadata",
            read: (20_000_000, 21_000_000),
            read_size: 4_096,
            scrub: false,
            sends: false,
        }
    }
}

fn leg(name: &str, checksum_errors: u64) -> Vdev {
    Vdev {
        depth: 1,
        class: "normal".into(),
        name: name.into(),
        path: Some(format!("/dev/{name}").into()),
        disk: Some(name.into()),
        state: "ONLINE".into(),
        checksum_errors,
        ..Vdev::default()
    }
}

/// Gives a sample what is read of `pool`. The counters have read what they read at full speed since the start:
/// `seconds` of it.
pub(crate) fn put(record: &mut Record, pool: &Pool, totals: (u64, u64)) {
    let Record::Sample(sample) = record else { return };
    let at = sample.mono;
    let (asked, disks) = totals;
    let mirror =
        Vdev { class: "normal".into(), name: "mirror-0".into(), state: pool.state.into(), ..Vdev::default() };
    let scan = pool.scrub.then_some(Scan {
        function: ScanFunction::Scrub,
        state: ScanState::Running,
        done: Some(0.5),
        started: None,
        ended: None,
        errors: Some(0),
    });
    let status = PoolStatus {
        name: "tank".into(),
        state: pool.state.into(),
        scan,
        vdevs: vec![mirror, leg("sda", 0), leg("sdb", pool.checksum_errors)],
        ..PoolStatus::default()
    };
    let disk = |name: &str| DiskCounters {
        name: name.into(),
        read_bytes: disks / 2,
        reads: 1,
        ..DiskCounters::default()
    };
    let counters = DatasetCounters {
        pool: "tank".into(),
        objset: 5,
        name: "tank/models".into(),
        created_ns: 1,
        read_bytes: asked,
        written_bytes: 0,
        reads: asked / pool.read_size,
        writes: 0,
    };
    let dataset = |name: &str, objset: u64| Dataset {
        name: name.into(),
        volume: false,
        used: Ok(Bytes(1 << 38)),
        available: Ok(Bytes(pool.available)),
        referenced: Ok(Bytes(1 << 38)),
        used_by_snapshots: Ok(Bytes(0)),
        compress_ratio: Ok(1.0),
        record_size: Ok(Bytes(1 << 20)),
        compression: "lz4".into(),
        atime: Ok(false),
        primary_cache: pool.primary_cache.into(),
        secondary_cache: "all".into(),
        origin: None,
        objset: Ok(objset),
        key_loaded: None,
        mounted: Ok(true),
        mount_point: None,
    };
    let space = PoolSpace {
        name: "tank".into(),
        size: Ok(Bytes(1 << 42)),
        allocated: Ok(Bytes(1 << 40)),
        free: Ok(Bytes(1 << 41)),
        fragmentation: Ok(3),
        capacity: Ok(pool.capacity),
        health: pool.state.into(),
    };
    let kernel = ZfsKernel {
        version: Ok("2.3.9-1".into()),
        cache: ZfsCache::absent(&Absence::NotSupported),
        pools: vec![ZfsPoolState { name: "tank".into(), state: Ok(pool.state.into()) }],
        datasets: vec![counters],
    };
    let senders = if pool.sends { vec![4_711] } else { Vec::new() };
    sample.storage = Some(Box::new(StorageSample {
        kernel: Some(Grouped { at, value: Ok(kernel) }),
        status: Some(Grouped { at, value: Ok(vec![status]) }),
        pools: Some(Grouped { at, value: Ok(vec![space]) }),
        datasets: Some(Grouped { at, value: Ok(vec![dataset("tank", 1), dataset("tank/models", 5)]) }),
        disks: Some(Grouped { at, value: Ok(vec![disk("sda"), disk("sdb")]) }),
        senders: Some(Grouped { at, value: Ok(senders) }),
        ..StorageSample::default()
    }));
}

/// Readings of a pool that is well but from `from` to `to`.
pub(crate) fn between(record: &mut Record, at: f64, (from, to): (f64, f64), bad: &Pool) {
    let well = Pool::default();
    let held = (at.clamp(from, to) - from).round() as u64;
    let rest = at.round() as u64 - held;
    let totals = (well.read.0 * rest + bad.read.0 * held, well.read.1 * rest + bad.read.1 * held);
    let now = if from <= at && at < to { bad } else { &well };
    // One read is as large as it is over all of the time: the counters of operations must not go back.
    put(record, &Pool { read_size: bad.read_size, ..copy(now) }, totals);
}

fn copy(pool: &Pool) -> Pool {
    Pool { ..*pool }
}
