//! A scan of 200 models in 20,000 files: the first list, the whole with every header, and again with all headers known.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::format_push_string,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, print and look at the clock"
)]

#[path = "../tests/support/models.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use kgtop::sources::models::{ModelScanner, Scanned, StoreEnvironment, scan_in_steps};
use kgtop::sources::root::Root;
use kgtop::units::{Clock, Mono, Wall};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Decoder, Repository, config, decoder, safetensors};

const MODELS: usize = 200;
const FILES_EACH: usize = 100;
const WEIGHTS_EACH: usize = 8;

/// A cache of Hugging Face: each model has eight files of weights of a 32-layer decoder, and small files besides.
fn store(hub: &Path) {
    let numbers = Decoder(32, 32, 8, 128, 4_096, 14_336, 128_256);
    let tensors = decoder(&numbers, false);
    let parts: Vec<(Vec<u8>, u64)> =
        tensors.chunks(tensors.len().div_ceil(WEIGHTS_EACH)).map(safetensors).collect();
    for model in 0..MODELS {
        let name = format!("acme/model-{model:03}");
        let repository = Repository { hub, name: &name };
        for (index, (header, size)) in parts.iter().enumerate() {
            let file = format!("model-{:05}-of-{WEIGHTS_EACH:05}.safetensors", index + 1);
            repository.file("c0ffee", &file, &format!("w{index}"), header, *size);
        }
        repository.file("c0ffee", "config.json", "config", config(&numbers, "").as_bytes(), 0);
        for small in parts.len() + 1..FILES_EACH {
            repository.file("c0ffee", &format!("file-{small}.json"), &format!("s{small}"), b"{}", 2);
        }
        repository.reference("main", "c0ffee");
    }
}

fn clock() -> Clock {
    fn mono() -> Mono {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Mono(u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1_000)
    }
    Clock { mono, wall: || Wall(0) }
}

/// Resident memory of this process in KiB, and the most that it ever was.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// One scan by the collector's own worker, for what it adds to the memory of a process.
fn memory(root: &Root, environment: &StoreEnvironment) {
    let (before, _) = resident();
    let clock = clock();
    let start = Instant::now();
    let mut scanner =
        ModelScanner::new(root.clone(), environment.clone(), Vec::new(), clock, Duration::from_secs(60));
    let mut first = None;
    let mut kept: Option<Scanned> = None;
    while kept.as_ref().is_none_or(|kept| !kept.store.complete) {
        if let Some(scanned) = scanner.poll((clock.mono)()) {
            first.get_or_insert_with(|| (start.elapsed(), scanned.store.models.len()));
            kept = Some(scanned);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let (after, most) = resident();
    eprintln!(
        "scan of {MODELS} models, {} files: first list {:?}, complete after {:?}; resident {before} -> {after} KiB, \
         at most {most} KiB",
        MODELS * FILES_EACH,
        first.unwrap(),
        start.elapsed(),
    );
}

fn scans(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path());
    let environment = StoreEnvironment {
        hub_cache: Some(directory.path().to_str().unwrap().to_owned()),
        ..StoreEnvironment::default()
    };
    let root = Root::Live;
    memory(&root, &environment);
    let mut group = criterion.benchmark_group("models");
    group.sample_size(10);
    group.bench_function("scan with all headers", |bencher| {
        bencher.iter(|| {
            scan_in_steps(&root, &environment, &[], &mut |step| {
                black_box(step);
            });
        });
    });
    group.finish();
}

criterion_group!(benches, scans);
criterion_main!(benches);
