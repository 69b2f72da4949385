use super::*;
use crate::model::{Deriver, Record, Snapshot};
use crate::sources::scenario::{Scenario, ScenarioPlayer, embedded};
use crate::units::{Mono, Wall};

const WALL: Wall = Wall(1_790_000_000_000_000);

const HEAD: &str = "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h100\"\n";
const POOL: &str = "[[storage.pool]]\nname = \"tank\"\nsize_gib = 100\nallocated_gib = 40\navailable_gib = 50\n\
                    scrub_days = 3\n[[storage.pool.vdev]]\nname = \"mirror-0\"\ndevices = [\"sda1\", \"sdb1\"]\n";
const DATASET: &str = "[[storage.dataset]]\nname = \"tank/models\"\nused_gib = 30\nmount_point = \"/m\"\n\
                       read_mb_per_second = 1000\nwritten_mb_per_second = 100\ncached_percent = 50\n";

fn after(text: &str, seconds: u64) -> Snapshot {
    let player = ScenarioPlayer::new(Scenario::parse(text, "rig.toml").unwrap(), WALL, Mono(1_000_000_000));
    let mut deriver = Deriver::new();
    let samples = |record: &Record| matches!(record, Record::Sample(_));
    let mut seen = 0;
    let mut last = None;
    for record in player {
        seen += u64::from(samples(&record));
        last = deriver.push(record).or(last);
        if seen > seconds {
            break;
        }
    }
    last.unwrap()
}

fn error(text: &str) -> String {
    Scenario::parse(text, "rig.toml").unwrap_err().to_string()
}

#[test]
fn rates_are_those_that_were_written_and_a_mirror_writes_every_leg() {
    let root = "[[storage.dataset]]\nname = \"tank\"\nused_gib = 40\n";
    let storage = after(&format!("{HEAD}{POOL}{root}{DATASET}"), 23).storage;
    let pools = storage.pools();
    assert_eq!(pools.len(), 1);
    assert_eq!(pools[0].healthy(), Some(true));
    assert_eq!(pools[0].available, Ok(Bytes(50 << 30)));
    let near = |rate: f64, wanted: f64| assert!((rate / wanted - 1.0).abs() < 0.2, "{rate} for {wanted}");
    near(pools[0].asked.clone().unwrap().0, 1e9);
    near(pools[0].read.clone().unwrap().0, 0.5e9);
    near(pools[0].write.clone().unwrap().0, 0.2e9);
    let scan = pools[0].status.unwrap().scan.unwrap();
    assert_eq!(scan.ended, Some(1_790_000_000 - 3 * 86_400));
    assert_eq!(pools[0].status.unwrap().vdevs.len(), 3);
    let disk = storage.disk("sda1").unwrap();
    near(disk.read_ms.clone().unwrap(), 0.14);
}

#[test]
fn a_model_that_is_loaded_is_read_from_its_dataset() {
    let quiet = DATASET.replace("= 1000", "= 0").replace("= 50", "= 0");
    let model = "[[process]]\npid = 7\nname = \"vllm\"\ncommand = [\"vllm\"]\ngpus = 0\n[[model]]\nname = \"m\"\n\
                 weights_gb = 20\ndata_type = \"BF16\"\nmount = \"tank/models\"\n[[model.use]]\npid = 7\n\
                 gb_per_second = 2\n";
    let rate = |seconds| {
        let storage = after(&format!("{HEAD}{POOL}{quiet}{model}"), seconds).storage;
        storage.datasets()[0].rates.unwrap().read.clone().unwrap().0
    };
    assert!((rate(6) - 2e9).abs() < 1e7, "{}", rate(6));
    assert_eq!(rate(20), 0.0, "all of it was read");
}

#[test]
fn without_pools_there_is_no_zfs_and_the_file_systems_are_shown() {
    let text = format!(
        "{HEAD}[[storage.filesystem]]\nmount_point = \"/\"\nkind = \"xfs\"\nsource = \"/dev/sda1\"\nsize_gib = 9\n\
         available_gib = 4\n"
    );
    let storage = after(&text, 3).storage;
    assert!(storage.zfs_absent());
    assert_eq!(storage.filesystems.get().unwrap()[0].available, Ok(Bytes(4 << 30)));
}

#[test]
fn what_no_machine_has_is_refused_by_name() {
    let refused = |text: &str, part: &str| {
        let message = error(&format!("{HEAD}{text}"));
        assert!(message.starts_with("rig.toml") && message.contains(part), "{message}");
    };
    refused("[storage]\nverson = \"2\"\n", "unknown field `verson`; did you mean `version`?");
    refused(&POOL.replace("scrub_days", "scrub_day"), "did you mean `scrub_days`?");
    refused(&POOL.replace("size_gib = 100", "size_gib = 100\nstate = \"ONLIN\""), "did you mean `ONLINE`?");
    refused(&POOL.replace("= 40", "= 140"), "the pool tank holds more than its size");
    refused(&POOL.replace("sdb1", "sda1"), "the device sda1 twice");
    refused(&format!("{POOL}{POOL}").replacen("sd", "xd", 2), "the pool tank twice");
    refused(&format!("{POOL}{DATASET}").replace("tank/", "bank/"), "bank/models lies on a pool");
    refused(&format!("{POOL}{}", DATASET.replace("= 50", "= 101")), "`cached_percent` is 101");
    refused(&format!("{POOL}{}", DATASET.replace("= 1000", "= nan")), "`read_mb_per_second` is NaN");
    refused("[storage.cache]\nsize_gib = 1\nmost_gib = 2\n", "a `cache` and no pool");
}

#[test]
fn the_demo_has_a_healthy_store_with_models_on_it() {
    let snapshot = after(embedded("incident-8xh100").unwrap(), 30);
    let pools = snapshot.storage.pools();
    assert_eq!(pools[0].healthy(), Some(true));
    assert!(pools[0].read.as_ref().unwrap().0 > 1e9);
    let models = &snapshot.storage.models.as_ref().unwrap().value.models;
    assert!(models.iter().all(|model| model.mount.as_deref() == Ok("rpool/ai/models")));
    assert!(snapshot.storage.cache.demand_hit_ratio.is_ok());
}
