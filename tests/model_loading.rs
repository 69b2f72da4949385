//! A real process that reads a model, from its open file to the JSON: the driver is the stand-in, all else this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_push_string,
    clippy::disallowed_methods,
    reason = "a test may panic"
)]

#[path = "support/models.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod models;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use kgtop::model::Deriver;
use kgtop::{report, stream};
use models::{Repository, safetensors};
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the file is waited for to have moved.
const PATIENCE: Duration = Duration::from_secs(120);

/// The collector of a machine whose only GPU process is this test.
struct Collector(Child);

impl Collector {
    fn start(home: &Path, scenario: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .args(["stream", "--interval", "1", "--nvml-lib"])
            .arg(stand_in::stand_in_library())
            .env("KGTOP_STAND_IN", scenario)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env_remove("HF_HOME")
            .env_remove("HF_HUB_CACHE")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// The JSON of each snapshot that its records make.
    fn snapshots(&mut self) -> impl Iterator<Item = serde_json::Value> {
        let mut deriver = Deriver::new();
        BufReader::new(self.0.stdout.take().unwrap()).lines().filter_map(move |line| {
            let snapshot = deriver.push(stream::decode(&line.unwrap()).unwrap()?)?;
            Some(serde_json::from_str(&report::json(&snapshot, &[])).unwrap())
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_process_that_reads_a_model_is_told_with_its_position_and_rate() {
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let kthreadd = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if namespace != Path::new("pid:[4026531836]") && kthreadd.trim() != "kthreadd" {
        // The driver's PIDs are not those of this namespace: kgtop says nothing of such a process, by design.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let hub = home.path().join(".cache/huggingface/hub");
    let (header, size) = safetensors(&[("model.embed_tokens.weight".into(), "BF16", vec![128_000, 8_192])]);
    let repository = Repository { hub: &hub, name: "acme/big" };
    repository.file("c0ffee", "model.safetensors", "blob", &header, size);
    repository.reference("main", "c0ffee");
    let scenario = home.path().join("rig.toml");
    let pid = std::process::id();
    let text = format!(
        "title = \"a reader\"\nduration_seconds = 60\nend = \"loop\"\n[[gpu]]\nmodel = \"h200\"\n[[process]]\npid = {pid}\n\
         name = \"reader\"\ncommand = [\"reader\"]\ngpus = [0]\nmemory_mib = 1000\n"
    );
    std::fs::write(&scenario, text).unwrap();

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let path = repository.path().join("snapshots/c0ffee/model.safetensors");
            let mut file = std::fs::File::open(path).unwrap();
            let mut buffer = vec![0_u8; 1 << 20];
            // 100 MB/s at most, so that the file lasts for twenty seconds; then from its start again.
            while !done.load(Ordering::Relaxed) {
                if file.read(&mut buffer).unwrap() == 0 {
                    file.rewind().unwrap();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let mut seen = serde_json::Value::Null;
        let until = Instant::now() + PATIENCE;
        for json in Collector::start(home.path(), &scenario).snapshots() {
            seen = json["processes"][0]["model_files"][0].clone();
            let moved = seen["rate_bytes_per_second"].as_f64().is_some_and(|rate| rate > 0.0);
            if moved {
                let model =
                    json["storage"]["models"].as_array().unwrap().iter().find(|m| m["name"] == "acme/big");
                assert_eq!(model.unwrap()["processes"], serde_json::json!([pid]));
            }
            if moved || Instant::now() > until {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(seen["model"], "acme/big");
        assert_eq!((&seen["access"], &seen["rate_source"]), (&"open".into(), &"file position".into()));
        assert_eq!(seen["size_bytes"], size);
        let percent = seen["done_percent"].as_f64().unwrap();
        assert!(
            (0.0..=100.0).contains(&percent) && seen["rate_bytes_per_second"].as_f64().unwrap() > 0.0,
            "{seen:#}"
        );
    });
}
