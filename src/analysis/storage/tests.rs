use super::*;
use crate::model::{
    Dataset, DatasetCounters, Deriver, DiskCounters, Grouped, HostProcess, Inventory, ListingState,
    PoolSpace, PoolStatus, ProcessFacts, ProcessKey, ProcessKind, ProcessOnGpu, Record, Sample, Scan,
    ScanFunction, ScanState, SnapshotBatch, StorageSample, Vdev, ZfsCache, ZfsKernel, ZfsPoolState,
};
use crate::model::{GpuId, GpuSample, GpuState};
use crate::units::{Bytes, Mono, Wall};

const DAY: i64 = 86_400;
const NOW: i64 = 1_800_000_000;

fn dataset(name: &str) -> Dataset {
    Dataset {
        name: name.into(),
        volume: false,
        used: Ok(Bytes(150_000_000_000)),
        available: Ok(Bytes(1 << 40)),
        referenced: Ok(Bytes(140_000_000_000)),
        used_by_snapshots: Ok(Bytes(0)),
        compress_ratio: Ok(1.0),
        record_size: Ok(Bytes(1 << 20)),
        compression: "lz4".into(),
        atime: Ok(false),
        primary_cache: "all".into(),
        secondary_cache: "all".into(),
        origin: None,
        objset: Ok(5),
        key_loaded: None,
        mounted: Ok(true),
        mount_point: Some("/models".into()),
    }
}

fn vdev(class: &str, name: &str) -> Vdev {
    Vdev {
        class: class.into(),
        name: name.into(),
        path: Some(format!("/dev/{name}").into()),
        disk: Some(name.into()),
        state: "ONLINE".into(),
        ..Vdev::default()
    }
}

/// A machine with one pool: what it reads at second 10 and at second 20.
struct Case {
    datasets: Vec<Dataset>,
    status: PoolStatus,
    capacity: u32,
    /// Read from `tank/models` and by the disks in the ten seconds, and the bytes of one read.
    read: (u64, u64, u64),
    senders: Vec<u32>,
    gpu_direct: bool,
    trains: bool,
    listing: Option<usize>,
}

impl Case {
    fn new(change: impl FnOnce(&mut Self)) -> Self {
        let ended = Some(NOW - 5 * DAY);
        let scan = Scan {
            function: ScanFunction::Scrub,
            state: ScanState::Finished,
            done: None,
            started: ended,
            ended,
            errors: Some(0),
        };
        let status = PoolStatus {
            name: "tank".into(),
            state: "ONLINE".into(),
            scan: Some(scan),
            vdevs: vec![vdev("normal", "sda"), vdev("normal", "sdb")],
            ..PoolStatus::default()
        };
        let mut case = Self {
            datasets: vec![Dataset { objset: Ok(1), ..dataset("tank") }, dataset("tank/models")],
            status,
            capacity: 40,
            read: (0, 0, 4_096),
            senders: Vec::new(),
            gpu_direct: false,
            trains: false,
            listing: None,
        };
        change(&mut case);
        case
    }

    fn models(&mut self) -> &mut Dataset {
        &mut self.datasets[1]
    }

    fn name(&self) -> std::sync::Arc<str> {
        self.datasets.get(1).map_or_else(|| "tank/models".into(), |dataset| dataset.name.clone())
    }

    fn sample(&self, second: u64) -> Record {
        let at = Mono(second * 1_000_000);
        let part = u64::from(second > 10);
        let counters = DatasetCounters {
            pool: "tank".into(),
            objset: 5,
            name: self.name(),
            created_ns: 1,
            read_bytes: self.read.0 * part,
            written_bytes: 0,
            reads: self.read.0 * part / self.read.2,
            writes: 0,
        };
        let kernel = ZfsKernel {
            version: Ok("2.3.9-1".into()),
            cache: ZfsCache::default(),
            pools: vec![ZfsPoolState { name: "tank".into(), state: Ok(self.status.state.clone()) }],
            datasets: vec![counters],
        };
        let disk = |name: &str| DiskCounters {
            name: name.into(),
            reads: 1,
            read_bytes: self.read.1 / 2 * part,
            ..DiskCounters::default()
        };
        let space = PoolSpace {
            name: "tank".into(),
            size: Ok(Bytes(1 << 42)),
            allocated: Ok(Bytes(1 << 40)),
            free: Ok(Bytes(1 << 41)),
            fragmentation: Ok(1),
            capacity: Ok(self.capacity),
            health: self.status.state.clone(),
        };
        let storage = StorageSample {
            kernel: Some(Grouped { at, value: Ok(kernel) }),
            status: Some(Grouped { at, value: Ok(vec![self.status.clone()]) }),
            pools: Some(Grouped { at, value: Ok(vec![space]) }),
            datasets: Some(Grouped { at, value: Ok(self.datasets.clone()) }),
            disks: Some(Grouped { at, value: Ok(vec![disk("sda"), disk("sdb")]) }),
            senders: Some(Grouped { at, value: Ok(self.senders.clone()) }),
            gpu_direct: Some(self.gpu_direct),
            ..StorageSample::default()
        };
        let mut gpu = GpuSample::new(GpuId("GPU-1".into()), GpuState::Ok);
        let on_gpu = ProcessOnGpu {
            pid: 7,
            kind: ProcessKind::Compute,
            memory: Ok(Bytes(1)),
            gpu_instance: None,
            compute_instance: None,
        };
        gpu.processes = Some(Grouped { at, value: Ok(if self.trains { vec![on_gpu] } else { Vec::new() }) });
        let host = HostProcess {
            key: ProcessKey { pid: 7, start: 1 },
            state: Ok('R'),
            cpu_ns: Ok(0),
            resident: Ok(Bytes(0)),
        };
        Record::Sample(Box::new(Sample {
            mono: at,
            wall: Wall(NOW * 1_000_000),
            gpus: vec![gpu],
            processes: Some(Grouped { at, value: vec![host] }),
            storage: Some(Box::new(storage)),
            ..Sample::default()
        }))
    }

    fn advice(&self) -> Vec<Advice> {
        let mut deriver = Deriver::new();
        let facts = ProcessFacts {
            command: Ok(vec!["python".into(), "/srv/train_lora.py".into()]),
            key: ProcessKey { pid: 7, start: 1 },
            visible: true,
            inner_pid: None,
            parent: Ok(1),
            user: Ok("ana".into()),
            name: Ok("python".into()),
            environment: Ok(Vec::new()),
            cgroup: Ok("/".into()),
            container: None,
            pod: None,
            slurm_job: None,
            unit: None,
            started: Ok(Wall(0)),
        };
        let inventory = Inventory { processes: vec![facts], ..Inventory::default() };
        deriver.push(Record::Inventory(Box::new(inventory)));
        if let Some(rows) = self.listing {
            let row = crate::model::ZfsSnapshot {
                name: "a".into(),
                used: Ok(Bytes(0)),
                referenced: Ok(Bytes(0)),
                created: Ok(NOW),
                holds: Ok(0),
                clones: Vec::new(),
            };
            let batch = SnapshotBatch {
                dataset: self.name(),
                first: true,
                rows: vec![row; rows],
                state: ListingState::Done,
                ..SnapshotBatch::default()
            };
            deriver.push(Record::Snapshots(batch));
        }
        deriver.push(self.sample(10));
        advice(&deriver.push(self.sample(20)).unwrap())
    }

    fn rules(&self) -> Vec<&'static str> {
        self.advice().iter().map(|advice| advice.rule).collect()
    }
}

/// What the change makes of a machine on which there is nothing to advise.
fn told(change: impl FnOnce(&mut Case)) -> Vec<&'static str> {
    Case::new(change).rules()
}

fn one(rule: &str, change: impl FnOnce(&mut Case)) -> Advice {
    let mut found = Case::new(change).advice();
    found.retain(|advice| advice.rule == rule);
    assert_eq!(found.len(), 1, "{rule}: {found:?}");
    found.remove(0)
}

#[test]
fn a_machine_that_is_well_gets_no_advice_and_every_rule_stands_once() {
    assert_eq!(told(|_| {}), Vec::<&str>::new());
    let mut ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert!(RULES.iter().all(|rule| !rule.threshold.is_empty()));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), RULES.len());
    for verdict in VERDICTS {
        assert!(ids.contains(&verdict.id), "{}", verdict.id);
    }
}

/// 2.1.11: 6.9 MB for 1,773 MB; 2.3.9: 25.2 MB for 560 MB.
#[test]
fn mapped_files_behind_a_metadata_cache_are_told_live() {
    let mapped = |asked: u64, disks: u64| {
        move |case: &mut Case| {
            case.models().primary_cache = "metadata".into();
            case.read = (asked, disks, 4_096);
        }
    };
    let found = one("zfs_read_amplification", mapped(6_900_000, 1_773_000_000));
    assert!(found.summary.contains("257 times"), "{}", found.summary);
    assert_eq!(found.command.as_deref(), Some("zfs set primarycache=all tank/models"));
    one("zfs_read_amplification", mapped(25_200_000, 560_000_000));
    // Two legs of a mirror read half each: their sum is what was read once, and no amplification.
    let rules = told(mapped(560_000_000, 560_000_000));
    assert!(!rules.contains(&"zfs_read_amplification"), "{rules:?}");
    // Prefetching reads somewhat more.
    let rules = told(mapped(400_000_000, 1_000_000_000));
    assert!(!rules.contains(&"zfs_read_amplification"), "{rules:?}");
}

#[test]
fn what_reads_beside_the_datasets_is_no_amplification() {
    let amplified = |case: &mut Case| {
        case.models().primary_cache = "metadata".into();
        case.read = (6_900_000, 1_773_000_000, 4_096);
    };
    let silent = |change: &dyn Fn(&mut Case)| {
        let rules = told(|case| {
            amplified(case);
            change(case);
        });
        assert!(!rules.contains(&"zfs_read_amplification"), "{rules:?}");
    };
    for function in [ScanFunction::Scrub, ScanFunction::Resilver] {
        silent(&|case| {
            case.status.scan =
                Some(Scan { function, state: ScanState::Running, ..case.status.scan.unwrap() });
        });
    }
    silent(&|case| case.senders = vec![4_711]);
    // Large reads are no faults of pages.
    silent(&|case| case.read.2 = 1 << 20);
    // Nobody waits for disks that read so little.
    silent(&|case| case.read = (1_500_000, 100_000_000, 4_096));
    // Next to nothing was asked for: a snapshot is read, which no dataset counts.
    silent(&|case| case.read.0 = 900_000);
}

#[test]
fn an_amplification_with_another_cause_gets_other_advice() {
    let found = one("zfs_read_amplification", |case| case.read = (6_900_000, 1_773_000_000, 4_096));
    assert!(found.advice.contains("smaller recordsize"), "{}", found.advice);
    let found = one("zfs_read_amplification", |case| {
        case.read = (6_900_000, 1_773_000_000, 4_096);
        case.datasets.clear();
    });
    assert!(found.evidence.contains("properties could not be read"), "{}", found.evidence);
}

#[test]
fn weights_behind_a_metadata_cache_are_told_from_the_properties() {
    let found = one("zfs_weights_metadata_only", |case| case.models().primary_cache = "metadata".into());
    assert_eq!(found.severity, Severity::Warning);
    one("zfs_weights_metadata_only", |case| case.models().primary_cache = "none".into());
    let elsewhere = told(|case| {
        case.models().name = "tank/postgres".into();
        case.models().primary_cache = "metadata".into();
    });
    assert_eq!(elsewhere, Vec::<&str>::new());
    let empty = told(|case| {
        case.models().referenced = Ok(Bytes(1 << 20));
        case.models().primary_cache = "metadata".into();
    });
    assert_eq!(empty, Vec::<&str>::new());
}

/// The guide's arithmetic: 140 GB are 1.1 million records of 128 KiB, and 133,515 of 1 MiB.
#[test]
fn small_records_are_counted() {
    let found = one("zfs_weights_recordsize", |case| case.models().record_size = Ok(Bytes(128 << 10)));
    assert!(
        found.evidence.contains("1068116 records, with 1 MiB they would be 133515"),
        "{}",
        found.evidence
    );
    assert!(found.advice.contains("files that are written after it"), "{}", found.advice);
    assert_eq!(told(|case| case.models().record_size = Ok(Bytes(16 << 20))), Vec::<&str>::new());
}

#[test]
fn heavy_compression_that_saves_nothing_is_told_and_lz4_is_left_alone() {
    for compression in ["gzip-9", "gzip", "zstd", "zstd-19"] {
        let found = one("zfs_weights_compression", |case| case.models().compression = compression.into());
        assert_eq!(found.command.as_deref(), Some("zfs set compression=lz4 tank/models"));
    }
    for compression in ["lz4", "off", "on"] {
        assert_eq!(told(|case| case.models().compression = compression.into()), Vec::<&str>::new());
    }
    let saves = told(|case| {
        case.models().compression = "zstd".into();
        case.models().compress_ratio = Ok(1.4);
    });
    assert_eq!(saves, Vec::<&str>::new());
}

#[test]
fn access_times_of_weights() {
    one("zfs_weights_atime", |case| case.models().atime = Ok(true));
    let other = told(|case| {
        case.models().name = "tank/home".into();
        case.models().atime = Ok(true);
    });
    assert_eq!(other, Vec::<&str>::new());
}

#[test]
fn pools_that_fill() {
    let severity = |capacity: u32, available: u64| {
        let case = Case::new(|case| {
            case.capacity = capacity;
            case.datasets[0].available = Ok(Bytes(available));
        });
        case.advice().first().map(|advice| (advice.rule, advice.severity))
    };
    assert_eq!(severity(79, 1 << 40), None);
    assert_eq!(severity(80, 1 << 40), Some(("zfs_pool_full", Severity::Warning)));
    assert_eq!(severity(90, 1 << 40), Some(("zfs_pool_full", Severity::Critical)));
    // Slop: writes fail although an eighth is free.
    assert_eq!(severity(87, 0), Some(("zfs_pool_full", Severity::Critical)));
}

#[test]
fn scrubs_that_were_missed() {
    let ended =
        |days: i64| move |case: &mut Case| case.status.scan.as_mut().unwrap().ended = Some(NOW - days * DAY);
    assert_eq!(told(ended(35)), Vec::<&str>::new());
    let found = one("zfs_scrub_old", ended(36));
    assert!(found.summary.contains("36 days ago"), "{}", found.summary);
    one("zfs_scrub_old", |case| case.status.scan = None);
    let given_up = one("zfs_scrub_old", |case| {
        ended(3)(case);
        case.status.scan.as_mut().unwrap().state = ScanState::Cancelled;
    });
    assert!(given_up.summary.contains("was cancelled"), "{}", given_up.summary);
    let runs = told(|case| {
        ended(90)(case);
        case.status.scan.as_mut().unwrap().state = ScanState::Running;
    });
    assert_eq!(runs, Vec::<&str>::new());
}

#[test]
fn online_with_errors_is_told_and_so_is_a_fault() {
    let found = one("zfs_unhealthy", |case| case.status.vdevs[1].checksum_errors = 259);
    assert!(
        found.summary.contains("ONLINE with errors: sdb: 0 read, 0 write, 259 checksum"),
        "{}",
        found.summary
    );
    let found = one("zfs_unhealthy", |case| {
        case.status.state = "DEGRADED".into();
        case.status.vdevs[1].state = "OFFLINE".into();
    });
    assert_eq!(
        (found.severity, found.summary.as_str()),
        (Severity::Warning, "Pool tank is DEGRADED: sdb is OFFLINE")
    );
    assert_eq!(
        one("zfs_unhealthy", |case| case.status.state = "FAULTED".into()).severity,
        Severity::Critical
    );
    let suspended = told(|case| case.status.state = "SUSPENDED".into());
    assert_eq!(suspended, ["zfs_suspended"], "one finding for one cause");
}

#[test]
fn a_second_level_that_gets_nothing() {
    let change = |case: &mut Case| {
        case.status.vdevs.push(vdev("cache", "nvme0n1p1"));
        case.models().primary_cache = "metadata".into();
    };
    one("zfs_l2arc_cannot_help", change);
    let helps = told(|case| {
        change(case);
        case.models().primary_cache = "all".into();
    });
    assert_eq!(helps, Vec::<&str>::new());
    let none = told(|case| case.models().primary_cache = "metadata".into());
    assert!(!none.contains(&"zfs_l2arc_cannot_help"), "{none:?}");
}

#[test]
fn checkpoints_without_a_snapshot_before_a_run() {
    let change = |case: &mut Case| {
        case.models().name = "tank/checkpoints".into();
        case.trains = true;
    };
    let found = one("zfs_checkpoints_unsaved", change);
    assert_eq!(found.command.as_deref(), Some("zfs snapshot tank/checkpoints@before-run"));
    let held = told(|case| {
        change(case);
        case.models().used_by_snapshots = Ok(Bytes(1));
    });
    assert_eq!(held, Vec::<&str>::new());
    let nobody = told(|case| {
        change(case);
        case.trains = false;
    });
    assert_eq!(nobody, Vec::<&str>::new());
    // Listed: one of which no block changed since is one all the same.
    let listed = told(|case| {
        change(case);
        case.listing = Some(1);
    });
    assert_eq!(listed, Vec::<&str>::new());
    let none = one("zfs_checkpoints_unsaved", |case| {
        change(case);
        case.listing = Some(0);
    });
    assert_eq!(none.evidence, "zfs list -t snapshot: none");
}

#[test]
fn gpu_direct_and_locked_datasets() {
    one("zfs_gpu_direct", |case| case.gpu_direct = true);
    one("zfs_key_not_loaded", |case| case.models().key_loaded = Some(false));
    assert_eq!(told(|case| case.models().key_loaded = Some(true)), Vec::<&str>::new());
}

#[test]
fn names_with_blanks_are_quoted() {
    assert_eq!(quoted("tank/a b"), "'tank/a b'");
    assert_eq!(quoted("tank/it's"), r"'tank/it'\''s'");
    assert_eq!(quoted("tank/a-b_c.d:e"), "tank/a-b_c.d:e");
}

#[test]
fn a_dataset_on_which_a_model_is_mapped_is_one_of_weights_whatever_its_name() {
    let case = Case::new(|case| {
        case.models().name = "tank/srv".into();
        case.models().primary_cache = "metadata".into();
    });
    assert_eq!(case.rules(), Vec::<&str>::new());
    let mut deriver = Deriver::new();
    deriver.push(case.sample(10));
    let mut snapshot = deriver.push(case.sample(20)).unwrap();
    let unread = || Err(crate::model::Absence::NotRequested);
    let usage = crate::model::ModelUse {
        key: ProcessKey { pid: 4_711, start: 1 },
        at: Mono(20_000_000),
        path: "/srv/llama".into(),
        name: "Llama-3.1-70B".into(),
        access: crate::model::ModelAccess::Mapped,
        files: 1,
        files_of_model: Err(crate::model::Absence::NotRequested),
        size: unread(),
        position: unread(),
        resident: unread(),
        read: unread(),
        mount: Ok("tank/srv".into()),
    };
    let load = crate::model::ModelLoad {
        usage,
        rate: Err(crate::model::Absence::NotRequested),
        source: crate::model::RateSource::Resident,
        done: Err(crate::model::Absence::NotRequested),
        left: Err(crate::model::Absence::NotRequested),
    };
    std::sync::Arc::make_mut(&mut snapshot.storage).loads = std::sync::Arc::new(vec![load]);
    let found = advice(&snapshot);
    assert_eq!(found[0].rule, "zfs_weights_metadata_only");
    assert!(found[0].evidence.contains("PID 4711 maps Llama-3.1-70B"), "{}", found[0].evidence);
}
