//! Throughput of the kernel log's path: lines, stamps, filter, parser and coalescing, over a mixed log.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kgtop::analysis::events::EventLog;
use kgtop::model::EventSource;
use kgtop::sources::kernel_log::{Saved, read_saved};
use kgtop::units::Wall;
use std::hint::black_box;

const CORPUS: &str = include_str!("../tests/fixtures/logs/corpus.tsv");

/// About 8 MiB: ordinary lines of a busy server, with the whole corpus among them every few thousand lines.
fn mixed() -> Vec<u8> {
    let ordinary = [
        "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
        "audit: type=1400 audit(1700000000.123:456): apparmor=\"ALLOWED\" operation=\"open\" profile=\"x\"",
        "docker0: port 1(veth1a2b3c4) entered blocking state",
        "IPv6: ADDRCONF(NETDEV_CHANGE): veth1a2b3c4: link becomes ready",
        "EXT4-fs (nvme0n1p2): mounted filesystem with ordered data mode. Opts: (null)",
        "mlx5_core 0000:5e:00.0 ens1f0np0: Link up",
        "pcieport 0000:00:1c.0: PME: Signaling with IRQ 122",
        "perf: interrupt took too long (2501 > 2500), lowering kernel.perf_event_max_sample_rate to 79750",
    ];
    let mut log = String::new();
    let mut number = 0;
    while log.len() < 8 << 20 {
        for line in ordinary.iter().cycle().take(4_000) {
            number += 1;
            let stamp = match number % 4 {
                0 => format!("[{:>5}.{:06}] ", number / 1_000, number % 1_000_000),
                1 => "Nov 24 04:45:11 rig-07 kernel: ".to_owned(),
                2 => {
                    format!("2026-11-24T04:45:11.123456+00:00 rig-07 kernel: [{:>5}.000000] ", number / 1_000)
                }
                _ => "[Tue Nov 24 04:45:11 2026] ".to_owned(),
            };
            log.push_str(&stamp);
            log.push_str(line);
            log.push('\n');
        }
        for line in CORPUS.lines().filter_map(|line| line.split_once('\t')) {
            log.push_str(line.1);
            log.push('\n');
        }
    }
    log.into_bytes()
}

fn throughput(criterion: &mut Criterion) {
    let log = mixed();
    let how = Saved {
        source: EventSource::File,
        zone: jiff::tz::TimeZone::UTC,
        now: Wall(1_795_521_600_000_000),
        boot: None,
    };
    let mut group = criterion.benchmark_group("kernel_log");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.sample_size(20);
    group.bench_function("mixed", |bencher| {
        bencher.iter_batched(
            EventLog::default,
            |mut events| {
                let skipped = read_saved(black_box(&*log), &how, &mut |event| {
                    events.push(&event, None);
                });
                black_box((skipped.is_ok(), events))
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
