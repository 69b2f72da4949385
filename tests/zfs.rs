//! The ZFS source against outputs and kernel statistics of real pools (OpenZFS 2.3.9 and 2.1.11).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use kgtop::model::{
    Absence, DatasetCounters, Deriver, Grouped, PoolStatus, Record, Sample, ScanFunction, ScanState,
    StorageSample, ZfsCache, ZfsKernel, ZfsPoolState,
};
use kgtop::sources::root::Root;
use kgtop::sources::zfs::{
    Progress, ToolError, Tools, ZfsReader, ZfsTools, list_snapshots, parse_datasets, parse_pools,
    parse_status_json, parse_status_text,
};
use kgtop::units::{Bytes, BytesPerSecond, Mono};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn fixture(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zfs").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn reader(state: &str) -> ZfsReader {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zfs").join(state).join("root");
    ZfsReader::new(Root::open(&root).unwrap())
}

fn json(state: &str) -> Vec<PoolStatus> {
    parse_status_json(&fixture(&format!("{state}/zpool_status_json.txt"))).unwrap()
}

fn text(state: &str) -> Vec<PoolStatus> {
    parse_status_text(&fixture(&format!("{state}/zpool_status_paths.txt"))).unwrap()
}

#[test]
fn the_kernel_names_pools_cache_and_every_mounted_dataset() {
    for state in ["2.3.9-healthy", "2.1.11-healthy", "2.3.9-devzfs-0600"] {
        let kernel = reader(state).read().unwrap();
        assert!(kernel.pools.iter().all(|pool| !pool.suspended()), "{state}");
        assert_eq!(kernel.pools.len(), 2, "{state}");
        assert_eq!(kernel.datasets.len(), 8, "{state}");
        assert!(kernel.datasets.iter().any(|dataset| &*dataset.name == "rpool/ai/with space"), "{state}");
        assert!(kernel.cache.hits.as_ref().is_ok_and(|hits| *hits > 0), "{state}");
    }
    let old = reader("2.1.11-healthy").read().unwrap();
    assert_eq!(old.cache.io_hits, Err(Absence::NotSupported), "iohits came with 2.2");
    let new = reader("2.3.9-scrub").read().unwrap();
    assert_eq!(new.cache.hits, Ok(47_020));
    assert_eq!(new.cache.io_hits, Ok(61));
    assert_eq!(new.cache.misses, Ok(377));
    assert_eq!(new.cache.target_max, Ok(Bytes(1_292_093_440)));
    assert!(new.cache.has_second_level());
}

#[test]
fn a_suspended_pool_is_seen_without_a_tool() {
    let kernel = reader("2.3.9-suspended").read().unwrap();
    let suspended: Vec<&str> =
        kernel.pools.iter().filter(|pool| pool.suspended()).map(|pool| &*pool.name).collect();
    assert_eq!(suspended, ["scratch"]);
}

#[test]
fn no_module_is_absent_and_not_empty() {
    let empty = tempfile::tempdir().unwrap();
    let mut reader = ZfsReader::new(Root::open(empty.path()).unwrap());
    assert!(!reader.loaded());
    assert_eq!(reader.read(), Err(Absence::NotSupported));
}

#[test]
fn a_statistic_that_is_garbage_costs_one_dataset_and_nothing_else() {
    let tree = tempfile::tempdir().unwrap();
    let pool = tree.path().join("proc/spl/kstat/zfs/tank");
    std::fs::create_dir_all(&pool).unwrap();
    std::fs::write(pool.join("state"), "ONLINE\n").unwrap();
    std::fs::write(pool.join("objset-0x1"), "garbage").unwrap();
    std::fs::write(pool.join("objset-0xzz"), "garbage").unwrap();
    std::fs::write(
        pool.join("objset-0x2"),
        "1 1 0x01 7 1 5 6\nname type data\ndataset_name 7    tank/a  b\nnread 4 9\n",
    )
    .unwrap();
    let kernel = ZfsReader::new(Root::open(tree.path()).unwrap()).read().unwrap();
    assert_eq!(kernel.datasets.len(), 1);
    assert_eq!((&*kernel.datasets[0].name, kernel.datasets[0].read_bytes), ("tank/a  b", 9));
    assert!(kernel.cache.size.is_err());
}

/// Both forms of the status say the same of every captured state; the text form has device paths resolved.
#[test]
fn text_and_json_agree() {
    for state in ["healthy", "scrub", "degraded", "cksum", "full", "full92", "pulled", "suspended"] {
        let state = format!("2.3.9-{state}");
        let (json, text) = (json(&state), text(&state));
        assert_eq!(json.len(), text.len(), "{state}");
        for (json, text) in json.iter().zip(&text) {
            assert_eq!(json.name, text.name, "{state}");
            assert_eq!(json.state, text.state, "{state}");
            assert_eq!(json.status, text.status, "{state}");
            assert_eq!(json.action, text.action, "{state}");
            assert_eq!(json.message_id, text.message_id, "{state}");
            assert_eq!(json.vdevs.len(), text.vdevs.len(), "{state}");
            for (json, text) in json.vdevs.iter().zip(&text.vdevs) {
                assert_eq!((json.depth, &json.class, &json.state), (text.depth, &text.class, &text.state));
                assert_eq!(json.checksum_errors, text.checksum_errors, "{state}");
                // The two commands ran one after the other while a pulled disk failed writes by the thousand.
                assert_eq!(json.write_errors > 0, text.write_errors > 0, "{state}");
            }
            assert_eq!(
                json.scan.map(|scan| (scan.function, scan.state)),
                text.scan.map(|scan| (scan.function, scan.state)),
                "{state}"
            );
        }
    }
}

#[test]
fn online_with_errors_is_not_healthy() {
    for (state, pool, message) in
        [("2.3.9-cksum", "rpool", "ZFS-8000-9P"), ("2.3.9-pulled", "scratch", "ZFS-8000-8A")]
    {
        let found = json(state).into_iter().find(|status| &*status.name == pool).unwrap();
        assert_eq!(&*found.state, "ONLINE");
        assert_eq!(found.message_id.as_deref(), Some(message));
        assert!(!found.healthy(), "{state}");
    }
    assert!(json("2.3.9-healthy").iter().all(PoolStatus::healthy));
    assert!(text("2.1.11-healthy").iter().all(PoolStatus::healthy));
    let degraded = &text("2.1.11-degraded")[0];
    assert!(!degraded.healthy());
    let leg = degraded.vdevs.iter().find(|vdev| &*vdev.state == "OFFLINE").unwrap();
    assert_eq!((leg.depth, leg.path.as_deref()), (1, Some("/dev/vdb1")));
    let classes: Vec<&str> = degraded.vdevs.iter().map(|vdev| &*vdev.class).collect();
    assert_eq!(classes, ["normal", "normal", "normal", "logs", "cache"]);
    let cksum = text("2.3.9-cksum");
    assert_eq!(cksum[0].vdevs.iter().map(|vdev| vdev.checksum_errors).sum::<u64>(), 259);
}

#[test]
fn a_scrub_tells_how_far_it_is_and_when_it_ended() {
    let running = json("2.3.9-scrub")[0].scan.unwrap();
    assert_eq!((running.function, running.state), (ScanFunction::Scrub, ScanState::Running));
    assert!((running.done.unwrap() - 0.9981).abs() < 0.000_1, "{running:?}");
    let words = text("2.3.9-scrub")[0].scan.unwrap();
    assert!((words.done.unwrap() - 0.9981).abs() < 1e-6);
    let ended = json("2.3.9-cksum")[0].scan.unwrap();
    assert_eq!((ended.state, ended.errors, ended.done), (ScanState::Finished, Some(0), None));
    assert!(ended.ended.is_some());
    assert!(text("2.3.9-cksum")[0].scan.unwrap().ended.is_some());
    assert_eq!(json("2.3.9-healthy")[1].scan, None, "never scrubbed");
}

#[test]
fn a_pool_at_87_per_cent_can_have_nothing_available() {
    let pools = parse_pools(&fixture("2.3.9-full92/zpool_list.txt")).unwrap();
    assert_eq!(pools[0].capacity, Ok(92));
    let datasets = parse_datasets(&fixture("2.3.9-full/zfs_list.txt")).unwrap();
    assert_eq!((&*datasets[0].name, datasets[0].available.clone()), ("rpool", Ok(Bytes(0))));
    assert_eq!(datasets[0].mount_point, None, "mountpoint=none");
}

#[test]
fn datasets_keep_their_names_keys_and_object_sets() {
    for state in ["2.3.9-healthy", "2.1.11-healthy"] {
        let datasets = parse_datasets(&fixture(&format!("{state}/zfs_list.txt"))).unwrap();
        let get = |name: &str| datasets.iter().find(|dataset| &*dataset.name == name).unwrap();
        assert_eq!(datasets.len(), 10);
        assert_eq!(get("rpool/secret").key_loaded, Some(false));
        assert_eq!(get("rpool/ai").key_loaded, None);
        let models = get("rpool/ai/models");
        assert_eq!((&*models.primary_cache, models.record_size.clone()), ("metadata", Ok(Bytes(1 << 20))));
        assert_eq!(get("rpool/ai/with space").mount_point.as_deref(), Some("/ai/with space"));
        assert!(get("rpool/vm-disk0").volume);
        assert!(get("rpool/ai/checkpoints-fork").origin.is_some());
        let kernel = reader(state).read().unwrap();
        for counters in &kernel.datasets {
            assert_eq!(get(&counters.name).objset, Ok(counters.objset), "{}", counters.name);
        }
    }
}

#[test]
fn answers_that_are_none_are_errors_that_name_the_place() {
    let usage = "invalid option 'j'\nusage:\n\tstatus [-c script]\n";
    assert!(parse_status_json(usage).is_err());
    assert!(parse_status_text(usage).is_err());
    let whole = fixture("2.3.9-healthy/zpool_status_json.txt");
    assert!(parse_status_json(&whole[..whole.len() / 2]).is_err());
    let error = parse_pools("rpool\t1\n").unwrap_err().to_string();
    assert_eq!(error, "zpool list: line 1: 2 columns instead of 7");
    assert_eq!(parse_pools("no pools available\n").unwrap(), []);
    assert_eq!(parse_status_text("no pools available\n").unwrap(), []);
}

/// A directory with a tool that does what `script` says.
fn tool(name: &str, script: &str) -> (tempfile::TempDir, Tools) {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let tools = Tools::new(vec![directory.path().to_owned()], Duration::from_secs(20));
    (directory, tools)
}

#[test]
fn an_older_zpool_is_asked_in_words_and_only_once_in_json() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/zfs/2.1.11-degraded/zpool_status_paths.txt");
    let script = format!(
        "echo \"$*\" >> \"${{0%/*}}/asked\"\ncase \"$*\" in *-j*) echo \"invalid option 'j'\" >&2; exit 2;; esac\n\
         cat '{}'",
        fixture.display()
    );
    let (directory, tools) = tool("zpool", &script);
    let mut zfs = ZfsTools::new(tools);
    assert_eq!(&*zfs.status(&[]).unwrap()[0].state, "DEGRADED");
    assert_eq!(&*zfs.status(&[]).unwrap()[0].state, "DEGRADED");
    let asked = std::fs::read_to_string(directory.path().join("asked")).unwrap();
    assert_eq!(asked.lines().filter(|line| line.contains("-j")).count(), 1);
}

#[test]
fn a_tool_that_refuses_or_is_missing_says_so() {
    let (_directory, mut tools) =
        tool("zpool", "echo 'Permission denied the ZFS utilities must be run as root.' >&2; exit 1");
    let error = tools.run("zpool", &["list"]).unwrap_err();
    assert!(error.to_string().contains("must be run as root"), "{error}");
    assert!(matches!(tools.run("zfs", &["list"]), Err(ToolError::Missing("zfs"))));
}

#[test]
fn a_tool_that_hangs_is_given_up() {
    let (directory, _) = tool("zpool", "exec tail -f /dev/null");
    let mut tools = Tools::new(vec![directory.path().to_owned()], Duration::from_millis(50));
    assert!(matches!(tools.run("zpool", &[]), Err(ToolError::Deadline { .. })));
    // The child could be killed, so the next one is started again.
    assert!(matches!(tools.run("zpool", &[]), Err(ToolError::Deadline { .. })));
}

fn counters(name: &str, objset: u64, created_ns: u64, read_bytes: u64) -> DatasetCounters {
    DatasetCounters {
        pool: "rpool".into(),
        objset,
        name: name.into(),
        created_ns,
        read_bytes,
        written_bytes: 0,
        reads: read_bytes / 4_096,
        writes: 0,
    }
}

fn kernel_at(second: u64, hits: [u64; 3], datasets: Vec<DatasetCounters>) -> Record {
    let cache = ZfsCache {
        demand_data_hits: Ok(hits[0]),
        demand_data_misses: Ok(hits[1]),
        demand_metadata_hits: Ok(0),
        demand_metadata_misses: Ok(0),
        hits: Ok(hits[0]),
        misses: Ok(hits[1] + hits[2]),
        ..ZfsCache::default()
    };
    let pools = vec![ZfsPoolState { name: "rpool".into(), state: Ok("ONLINE".into()) }];
    let kernel = ZfsKernel { version: Ok("2.1.11".into()), cache, pools, datasets };
    let at = Mono(second * 1_000_000);
    let storage =
        StorageSample { kernel: Some(Grouped { at, value: Ok(kernel) }), ..StorageSample::default() };
    let sample = Sample { mono: at, storage: Some(Box::new(storage)), ..Sample::default() };
    Record::Sample(Box::new(sample))
}

#[test]
fn rates_come_from_two_distinct_readings_of_one_life_of_the_counters() {
    let mut deriver = Deriver::new();
    let key = ("rpool".into(), 7);
    let mut push = |record| {
        let storage = deriver.push(record).unwrap().storage;
        (storage.activity.get(&key).map(|rates| rates.read.clone()), storage.cache.clone())
    };
    let unseen = Absence::InsufficientHistory { seen_seconds: 0.0 };
    assert_eq!(push(kernel_at(10, [0, 0, 0], vec![counters("rpool/a", 7, 1, 1_000)])).0, None);
    let (rate, cache) = push(kernel_at(20, [90, 10, 100], vec![counters("rpool/a", 7, 1, 11_000)]));
    assert_eq!(rate, Some(Ok(BytesPerSecond(1_000.0))));
    // Prefetching missed a hundred times more: what programs asked for is told apart.
    assert_eq!((cache.hit_ratio, cache.demand_hit_ratio), (Ok(0.45), Ok(0.9)));
    // The same reading again is no second one.
    let (rate, _) = push(kernel_at(20, [90, 10, 100], vec![counters("rpool/a", 7, 1, 11_000)]));
    assert_eq!(rate, Some(Ok(BytesPerSecond(1_000.0))));
    // Mounted again: the counters began anew, greater or not.
    let (rate, cache) = push(kernel_at(21, [90, 10, 100], vec![counters("rpool/a", 7, 2, 99_000)]));
    assert_eq!(rate, Some(Err(unseen.clone())));
    assert_eq!(cache.hit_ratio, Err(unseen), "nothing was asked for: no ratio, neither 0 nor 1");
    // Renamed: the object set is what it is known by.
    let (rate, _) = push(kernel_at(22, [90, 10, 100], vec![counters("rpool/b", 7, 2, 99_500)]));
    assert_eq!(rate, Some(Ok(BytesPerSecond(500.0))));
    // Unmounted.
    let (rate, _) = push(kernel_at(23, [90, 10, 100], Vec::new()));
    assert_eq!(rate, None);
}

#[test]
fn a_tool_that_fails_leaves_its_last_value_with_its_age() {
    let mut deriver = Deriver::new();
    let with = |second: u64, status: Result<Vec<PoolStatus>, Absence>| {
        let at = Mono(second * 1_000_000);
        let storage =
            StorageSample { status: Some(Grouped { at, value: status }), ..StorageSample::default() };
        let sample = Sample { mono: at, storage: Some(Box::new(storage)), ..Sample::default() };
        Record::Sample(Box::new(sample))
    };
    deriver.push(with(5, Ok(json("2.3.9-degraded"))));
    let storage = deriver.push(with(9, Err(Absence::failed(0, "gave no answer")))).unwrap().storage;
    assert_eq!(storage.status.value.as_ref().unwrap().at, Mono(5_000_000));
    assert_eq!(&*storage.pools()[0].state.clone().unwrap(), "DEGRADED");
    assert_eq!(storage.status.failure.as_ref().unwrap().at, Mono(9_000_000));
    let storage = deriver.push(with(15, Ok(json("2.3.9-healthy")))).unwrap().storage;
    assert!(storage.status.failure.is_none());
    assert_eq!(storage.pools()[0].healthy(), Some(true));
}

/// A `zfs` that knows some snapshots and writes down what it was asked.
fn snapshot_tool(body: &str) -> (tempfile::TempDir, Tools) {
    tool("zfs", &format!("echo \"$*\" >> \"${{0%/*}}/asked\"\n{body}"))
}

#[test]
fn snapshots_are_listed_newest_first_in_portions() {
    let body = "case \"$*\" in\n*'-o name rpool/ai') i=0; while [ $i -lt 150 ]; do echo rpool/ai@s$i; i=$((i+1)); done;;\n\
                *) for name do case $name in *@*) printf '%s\\t10\\t20\\t1700000000\\t1\\trpool/fork,rpool/b\\n' \"$name\";; esac; done;;\nesac";
    let (directory, mut tools) = snapshot_tool(body);
    let (mut total, mut rows, mut parts) = (0, Vec::new(), 0);
    list_snapshots(&mut tools, "rpool/ai", &|| false, &mut |progress| match progress {
        Progress::Total(count) => total = count,
        Progress::Rows(more) => {
            parts += 1;
            rows.extend(more);
        }
    })
    .unwrap();
    assert_eq!((total, rows.len(), parts), (150, 150, 3));
    assert_eq!((&*rows[0].name, &*rows[149].name), ("s149", "s0"));
    assert_eq!(
        (rows[0].used.clone(), rows[0].holds.clone(), rows[0].clones.len()),
        (Ok(Bytes(10)), Ok(1), 2)
    );
    let asked = std::fs::read_to_string(directory.path().join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 4);
}

#[test]
fn a_listing_of_snapshots_is_called_off_in_the_middle_of_a_tool() {
    let (_directory, mut tools) = snapshot_tool("exec tail -f /dev/null");
    let asked = std::cell::Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let result = list_snapshots(&mut tools, "rpool/ai", &cancelled, &mut |_| panic!("nothing was listed"));
    assert!(matches!(result, Err(ToolError::Cancelled)), "{result:?}");
}

#[test]
fn a_snapshot_destroyed_in_between_keeps_its_name_and_says_why() {
    let body = "case \"$*\" in\n*'-o name rpool/ai') echo rpool/ai@gone;;\n\
                *) echo 'cannot open: dataset does not exist' >&2; exit 1;;\nesac";
    let (_directory, mut tools) = snapshot_tool(body);
    let mut rows = Vec::new();
    list_snapshots(&mut tools, "rpool/ai", &|| false, &mut |progress| {
        if let Progress::Rows(more) = progress {
            rows.extend(more);
        }
    })
    .unwrap();
    assert_eq!(&*rows[0].name, "gone");
    assert!(rows[0].used.clone().unwrap_err().to_string().contains("does not exist"));
}
