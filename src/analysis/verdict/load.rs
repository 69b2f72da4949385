//! Memory and work.

use super::rule::{Context, Finding, Rule, label, ok};
use super::{Area, Severity};
use crate::model::{Gpu, Process};
use crate::units::{Bytes, Percent};
use std::time::Duration;

/// Memory without an owner from which it is told (own choice: contexts of the driver and of graphics are smaller).
const UNOWNED: Bytes = Bytes(1 << 30);
/// A process that ends gives its memory back within this time.
const ENDING: Duration = Duration::from_secs(5);
/// Memory in use from which a GPU counts as nearly full.
const FULL_PERCENT: f32 = 95.0;
/// Memory in use from which a GPU without work counts as allocated but idle.
const ALLOCATED_PERCENT: f32 = 50.0;
/// How long it must be without work.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// `utilization.gpu` from which a GPU calls itself busy, and what it must do to be so (own choice, below what any
/// of the measured loads reach).
const BUSY_PERCENT: f32 = 90.0;
const SM_PERCENT: f32 = 10.0;
const DRAM_PERCENT: f32 = 5.0;
const LINK_RATE: f64 = 1e9;
/// The time over which it must do nothing.
const BUSY_FOR: Duration = Duration::from_secs(60);

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "memory_without_owner",
        severity: Severity::Warning,
        area: Area::Processes,
        needs: "all host PIDs, and memory that the GPU does not share with the CPU",
        threshold: "1 GiB for 5 s (own choice)",
        advice: "A process that ended badly, or one of another PID namespace: fuser -v /dev/nvidia*; else reset the \
                 GPU.",
        raise_after: ENDING,
        clear_after: Duration::ZERO,
        covers: &[],
        check: |context| {
            context.each(|gpu| {
                let memory = ok(&gpu.unattributed).filter(|memory| *memory >= UNOWNED)?;
                Some(Finding::of(
                    gpu,
                    &format!("{memory} belong to no process"),
                    format!("{memory} in use beside all processes"),
                ))
            })
        },
    },
    Rule {
        id: "memory_nearly_full",
        severity: Severity::Info,
        area: Area::Processes,
        needs: "NVML's memory reading",
        threshold: "95 % (own choice; inference servers preallocate)",
        advice: "Normal for a server that preallocates; else the next allocation may fail.",
        raise_after: Duration::ZERO,
        clear_after: Duration::from_secs(5),
        covers: &[],
        check: |context| {
            context.each(|gpu| {
                let (used, share) = used(context, gpu)?;
                (share >= FULL_PERCENT).then(|| {
                    Finding::of(gpu, &format!("{share:.0}% of its memory in use"), format!("{used} in use"))
                })
            })
        },
    },
    Rule {
        id: "allocated_but_idle",
        severity: Severity::Info,
        area: Area::Processes,
        needs: "NVML's memory and utilisation readings",
        threshold: "50 % of memory in use and no work for 60 s (own choice)",
        advice: "Normal for a server that waits for requests; else find out whether the job still lives.",
        raise_after: IDLE_FOR,
        clear_after: Duration::ZERO,
        covers: &[],
        check: |context| {
            context.each(|gpu| {
                let (used, share) = used(context, gpu)?;
                let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at))?;
                let idle = ok(&fast.value.utilization)?.max < 1.0;
                (idle && share >= ALLOCATED_PERCENT).then(|| {
                    Finding::of(
                        gpu,
                        &format!("{share:.0}% of its memory in use and no work"),
                        format!("{used} in use, utilisation 0%{}", owner(context, gpu)),
                    )
                })
            })
        },
    },
    Rule {
        id: "busy_but_idle",
        severity: Severity::Info,
        area: Area::Gpus,
        needs: "GPM (Hopper and later)",
        threshold: "utilisation 90 % with SM below 10 %, DRAM below 5 % and links below 1 GB/s for 60 s (own choice)",
        advice: "A kernel is there and waits, on a peer or on the host: look for a rank that hangs (NCCL), with \
                 py-spy or its logs.",
        raise_after: BUSY_FOR,
        clear_after: Duration::ZERO,
        covers: &[],
        check: |context| context.each(|gpu| busy_but_idle(context, gpu)),
    },
];

fn used(context: &Context<'_>, gpu: &Gpu) -> Option<(Bytes, f32)> {
    let live = context.live(gpu)?;
    let used = ok(&live.memory_used)?;
    let share = Percent::of(used.0 as f64, ok(&live.memory_total)?.0 as f64)?;
    Some((used, share.0))
}

fn owner(context: &Context<'_>, gpu: &Gpu) -> String {
    let holds =
        |process: &&Process| process.ended.is_none() && process.gpus.iter().any(|share| share.gpu == gpu.id);
    let mut pids: Vec<String> =
        context.snapshot.processes.iter().filter(holds).map(|process| process.key.pid.to_string()).collect();
    pids.truncate(4);
    if pids.is_empty() { String::new() } else { format!(", held by PID {}", pids.join(", ")) }
}

fn busy_but_idle(context: &Context<'_>, gpu: &Gpu) -> Option<Finding> {
    let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at))?;
    let busy = ok(&fast.value.utilization)?.mean;
    let gpm = &gpu
        .gpm
        .as_ref()
        .filter(|group| context.snapshot.mono.since(group.at) <= Duration::from_secs(7))?
        .value;
    let (sm, dram) = (ok(&gpm.sm)?.0, ok(&gpm.dram)?.0);
    let links = [&gpu.rates.pcie_rx, &gpu.rates.pcie_tx, &gpu.rates.nvlink_rx, &gpu.rates.nvlink_tx];
    let traffic: f64 = links.into_iter().filter_map(ok).map(|rate| rate.0).sum();
    let idle = sm < SM_PERCENT && dram < DRAM_PERCENT && traffic < LINK_RATE;
    (busy >= BUSY_PERCENT && idle).then(|| Finding {
        summary: format!("GPU {}: busy by its utilisation, and does next to nothing", label(gpu)),
        ..Finding::of(gpu, "", format!("utilisation {busy:.0}%, SM {sm:.0}%, DRAM {dram:.0}%"))
    })
}
