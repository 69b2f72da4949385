//! Storage as real pools showed it, second by second: captured texts, counters that go on from them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "a test that cannot go on says so by a panic; each test uses a part"
)]

use kgtop::model::{
    Absence, Dataset, DiskCounters, FileSystem, Grouped, PoolSpace, PoolStatus, Reading, StorageSample,
    ZfsKernel,
};
use kgtop::sources::root::Root;
use kgtop::sources::zfs::{ZfsReader, parse_datasets, parse_pools, parse_status_json, parse_status_text};
use kgtop::units::{Bytes, Mono};
use std::path::{Path, PathBuf};

/// The captured states.
pub const STATES: [&str; 11] = [
    "2.3.9-healthy",
    "2.3.9-scrub",
    "2.3.9-degraded",
    "2.3.9-cksum",
    "2.3.9-full",
    "2.3.9-full92",
    "2.3.9-pulled",
    "2.3.9-suspended",
    "2.3.9-devzfs-0600",
    "2.1.11-healthy",
    "2.1.11-degraded",
];

/// When the captures say that they were made: the last scrub of one of them ended shortly before.
const TOOLS_EVERY: u64 = 10;

pub struct Machine {
    pub kernel: Reading<ZfsKernel>,
    pub status: Reading<Vec<PoolStatus>>,
    pub pools: Reading<Vec<PoolSpace>>,
    pub datasets: Reading<Vec<Dataset>>,
    pub filesystems: Vec<FileSystem>,
    /// From this second on the tools give no answer.
    pub tools_fail_from: Option<u64>,
    /// What `rpool/ai/models` is read with, bytes a second, and what the disks read for it.
    pub read: (u64, u64),
    /// Bytes of one read.
    pub read_size: u64,
    pub senders: Vec<u32>,
}

pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zfs").join(path)
}

fn text(state: &str, name: &str) -> Option<String> {
    std::fs::read_to_string(fixture(&format!("{state}/{name}"))).ok()
}

impl Machine {
    /// What was captured of that state.
    pub fn captured(state: &str) -> Self {
        let root = Root::open(&fixture(&format!("{state}/root"))).unwrap();
        let denied = state.ends_with("0600");
        let status = match text(state, "zpool_status_json.txt") {
            _ if denied => Err(Absence::NoPermission),
            Some(json) => parse_status_json(&json).map_err(|error| Absence::failed(0, error.to_string())),
            None => parse_status_text(&text(state, "zpool_status_paths.txt").unwrap())
                .map_err(|error| Absence::failed(0, error.to_string())),
        };
        let or_denied = |name| if denied { None } else { text(state, name) };
        Self {
            kernel: ZfsReader::new(root).read(),
            status: status.map(with_disks),
            pools: or_denied("zpool_list.txt")
                .map_or(Err(Absence::NoPermission), |text| Ok(parse_pools(&text).unwrap())),
            datasets: or_denied("zfs_list.txt")
                .map_or(Err(Absence::NoPermission), |text| Ok(parse_datasets(&text).unwrap())),
            filesystems: vec![filesystem("/", "ext4", "/dev/nvme9n1p2", Some("nvme9n1p2"), Ok((1_800, 900)))],
            tools_fail_from: None,
            read: (3_000_000_000, 3_100_000_000),
            read_size: 1 << 20,
            senders: Vec::new(),
        }
    }

    /// A machine whose models lie elsewhere.
    pub fn without_zfs() -> Self {
        let gone = Err(Absence::failed(0, "does not answer: its server or device is gone"));
        Self {
            kernel: Err(Absence::NotSupported),
            status: Err(Absence::NotRequested),
            pools: Err(Absence::NotRequested),
            datasets: Err(Absence::NotRequested),
            filesystems: vec![
                filesystem("/", "ext4", "/dev/nvme9n1p2", Some("nvme9n1p2"), Ok((1_800, 900))),
                filesystem("/data", "xfs", "/dev/mapper/data", Some("dm-0"), Ok((15_000, 700))),
                filesystem("/home", "btrfs", "/dev/sdc1", Some("sdc1"), Ok((4_000, 3_500))),
                filesystem("/mnt/models", "nfs4", "store:/models", None, gone),
            ],
            tools_fail_from: None,
            read: (0, 400_000_000),
            read_size: 1 << 20,
            senders: Vec::new(),
        }
    }

    /// What is read in that second.
    pub fn sample(&self, second: u64, at: Mono) -> Option<Box<StorageSample>> {
        let kernel = self.kernel.clone().map(|mut kernel| {
            for dataset in kernel.datasets.iter_mut().filter(|each| &*each.name == "rpool/ai/models") {
                dataset.read_bytes += second * self.read.0;
                dataset.reads += second * self.read.0 / self.read_size;
            }
            kernel.cache.demand_data_hits = kernel.cache.demand_data_hits.map(|hits| hits + second * 900);
            kernel.cache.hits = kernel.cache.hits.map(|hits| hits + second * 1_000);
            kernel.cache.demand_data_misses =
                kernel.cache.demand_data_misses.map(|misses| misses + second * 100);
            kernel.cache.misses = kernel.cache.misses.map(|misses| misses + second * 500);
            kernel
        });
        let group = |value| Some(Grouped { at, value });
        let mut sample = StorageSample {
            kernel: Some(Grouped { at, value: kernel }),
            disks: group(Ok(self.disks(second))),
            senders: Some(Grouped { at, value: Ok(self.senders.clone()) }),
            ..StorageSample::default()
        };
        if second.is_multiple_of(TOOLS_EVERY) {
            let fails = self.tools_fail_from.is_some_and(|from| second >= from);
            let late = || Absence::failed(0, "zpool gave no answer within 5 s and was killed");
            fn or<T: Clone>(fails: bool, late: Absence, value: &Reading<T>) -> Reading<T> {
                if fails { Err(late) } else { value.clone() }
            }
            if self.status != Err(Absence::NotRequested) {
                sample.status = Some(Grouped { at, value: or(fails, late(), &self.status) });
                sample.pools = Some(Grouped { at, value: or(fails, late(), &self.pools) });
                sample.datasets = Some(Grouped { at, value: or(fails, late(), &self.datasets) });
            }
            sample.filesystems = Some(Grouped { at, value: Ok(self.filesystems.clone()) });
        }
        Some(Box::new(sample))
    }

    fn disks(&self, second: u64) -> Vec<DiskCounters> {
        // Each read goes to one leg of the mirror.
        let share = self.read.1 / 2;
        ["vda1", "vdb1", "nvme9n1p2", "dm-0", "sdc1"]
            .into_iter()
            .map(|name| DiskCounters {
                name: name.into(),
                reads: second * share / 131_072,
                read_bytes: second * share,
                read_ms: second * share / 131_072 / 4,
                writes: second * 100,
                written_bytes: second * 12_000_000,
                write_ms: second * 900,
                in_flight: 3,
                busy_ms: second * 640,
            })
            .collect()
    }
}

/// The guest of the captures had its legs on these devices.
fn with_disks(mut pools: Vec<PoolStatus>) -> Vec<PoolStatus> {
    for vdev in pools.iter_mut().flat_map(|pool| &mut pool.vdevs) {
        let path = vdev.path.as_deref().unwrap_or_default();
        let known =
            [("TB_A-part1", "vda1"), ("TB_B-part1", "vdb1"), ("/dev/vda1", "vda1"), ("/dev/vdb1", "vdb1")];
        vdev.disk = known.iter().find(|(end, _)| path.ends_with(end)).map(|(_, disk)| (*disk).into());
    }
    pools
}

fn filesystem(
    mount_point: &str,
    kind: &str,
    source: &str,
    disk: Option<&str>,
    gib: Reading<(u64, u64)>,
) -> FileSystem {
    let (size, available) = match gib {
        Ok((size, available)) => (Ok(Bytes(size << 30)), Ok(Bytes(available << 30))),
        Err(absence) => (Err(absence.clone()), Err(absence)),
    };
    FileSystem {
        mount_point: mount_point.into(),
        kind: kind.into(),
        source: source.into(),
        disk: disk.map(Into::into),
        read_only: false,
        size,
        available,
    }
}
