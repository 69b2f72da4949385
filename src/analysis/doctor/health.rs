//! Health of the GPUs as the findings have it, the errors that the kernel log tells, and the log itself.

use super::context::{counted, listed};
use super::{Check, Context, Found, Layer, Need};
use crate::analysis::events::Incident;
use crate::analysis::kernel_log::Kind;
use crate::analysis::{Severity, xid};
use crate::model::{Absence, Gpu, GpuState, SourceState, read};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "gpus_answer",
        layer: Layer::Health,
        title: "GPUs answer",
        needs: &[Need::Gpu, Need::Ours, Need::Nvml],
        symptom: "nvidia-smi hangs, or: Unable to determine the device handle for GPU: GPU is lost",
        run: |context| by_rules(context, &ANSWER, each_interval, "every GPU answers"),
    },
    Check {
        id: "memory_health",
        layer: Layer::Health,
        title: "ECC and row remapping",
        needs: &[Need::Gpu, Need::Ours, Need::Nvml],
        symptom: "CUDA error: uncorrectable ECC error encountered; losses that turn to NaN",
        run: |context| {
            by_rules(context, &MEMORY, slow, "no uncorrected error since the driver loaded, nothing pending")
        },
    },
    Check {
        id: "link_health",
        layer: Layer::Health,
        title: "NVLink and PCIe errors",
        needs: &[Need::Gpu, Need::Ours, Need::Nvml],
        symptom: "NCCL hangs or is slow on one node of many",
        run: |context| by_rules(context, &LINKS, slow, "no link is down or has rising errors"),
    },
    Check {
        id: "power_and_heat",
        layer: Layer::Health,
        title: "power and temperature",
        needs: &[Need::Gpu, Need::Ours, Need::Nvml],
        symptom: "Performance degrades over time",
        run: |context| {
            by_rules(context, &HEAT, each_interval, "nothing but the power cap holds the clocks back")
        },
    },
    Check {
        id: "xid_errors",
        layer: Layer::Health,
        title: "errors in the kernel log",
        needs: &[],
        symptom: "NVRM: Xid … in the kernel log",
        run: errors,
    },
    Check {
        id: "kernel_log",
        layer: Layer::KernelLog,
        title: "kernel log readable",
        needs: &[],
        symptom: "dmesg: read kernel buffer failed: Operation not permitted",
        run: kernel_log,
    },
];

const ANSWER: [&str; 7] = [
    "gpu_lost",
    "gpu_reset_required",
    "gpu_refused",
    "gpu_unreadable",
    "gpu_stalled",
    "driver_stalled",
    "recovery_action",
];
const MEMORY: [&str; 7] = [
    "uncorrected_ecc",
    "uncontained_ecc",
    "contained_ecc",
    "sram_threshold_exceeded",
    "row_remap_failed",
    "row_remap_pending",
    "page_retirement_pending",
];
const LINKS: [&str; 4] = ["nvlink_down", "nvlink_errors", "pcie_replays", "fatal_sxid"];
const HEAT: [&str; 6] = [
    "hw_thermal_slowdown",
    "hw_power_brake",
    "hw_slowdown",
    "sw_thermal_slowdown",
    "temperature_near_limit",
    "power_cap_lowered",
];

/// Why the groups of each interval say nothing of this GPU.
fn each_interval(gpu: &Gpu) -> Option<Absence> {
    match (&gpu.fast, &gpu.live) {
        (None, None) => Some(unread(gpu)),
        (fast, live) => {
            read::refusal(fast.as_ref().map(|group| &group.value), live.as_ref().map(|group| &group.value))
                .cloned()
        }
    }
}

/// The same of the slow group.
fn slow(gpu: &Gpu) -> Option<Absence> {
    match &gpu.health {
        None => Some(unread(gpu)),
        Some(group) => group.value.refusal().cloned(),
    }
}

fn unread(gpu: &Gpu) -> Absence {
    if gpu.state == GpuState::Lost { Absence::Lost } else { Absence::NotRequested }
}

/// GPUs that should answer and of which nothing was read, with the reason.
fn unreadable(context: &Context<'_>, reads: fn(&Gpu) -> Option<Absence>) -> Vec<String> {
    let ours = |gpu: &&Gpu| matches!(gpu.state, GpuState::Ok | GpuState::Stalled | GpuState::Lost);
    let gpus = context.answering().iter().filter(ours);
    gpus.filter_map(|gpu| {
        let name = gpu.index().map_or_else(|| gpu.id.to_string(), |index| index.to_string());
        Some(format!("GPU {name}: {}", reads(gpu)?))
    })
    .collect()
}

/// What the findings of these rules come to: a critical one fails, a warning warns, information passes; but nothing
/// passes that was not read.
fn by_rules(context: &Context<'_>, rules: &[&str], reads: fn(&Gpu) -> Option<Absence>, well: &str) -> Found {
    let told: Vec<_> = context.verdicts.iter().filter(|verdict| rules.contains(&verdict.rule)).collect();
    let worst = told.iter().map(|verdict| verdict.severity).max();
    let summary = || {
        let worse = told.iter().filter(|verdict| Some(verdict.severity) == worst);
        worse.map(|verdict| verdict.summary.as_str()).collect::<Vec<_>>().join("; ")
    };
    let found = match worst {
        Some(Severity::Critical) => Found::fail(summary()),
        Some(Severity::Warning) => Found::warn(summary()),
        Some(Severity::Info) | None => match unreadable(context, reads) {
            unread if unread.is_empty() => Found::pass(well),
            unread => return Found::skip(format!("not readable: {}", listed(unread.into_iter()))),
        },
    };
    let found = told.iter().fold(found, |found, verdict| {
        found.seen(context.place(verdict, verdict.rule), verdict.evidence.clone())
    });
    let bad = told.iter().filter(|verdict| verdict.severity > Severity::Info);
    found.advise_each(bad.map(|verdict| (context.about(verdict), &*verdict.advice)))
}

/// Faults of GPU, switch and link; what an application did wrong is no fault of the machine.
fn is_fault(incident: &Incident) -> bool {
    let of_machine = match incident.kind {
        Kind::Xid => incident.code.is_none_or(|code| !xid::APPLICATION.contains(&code)),
        Kind::Sxid | Kind::OffBus | Kind::InitFailed => true,
        Kind::Aer => incident.fatal == Some(true),
        _ => false,
    };
    of_machine && !incident.user_space && incident.severity > Severity::Info
}

fn errors(context: &Context<'_>) -> Found {
    let log = context.snapshot.sources.iter().find(|source| &*source.name == "kernel_log");
    let readable = log.is_some_and(|source| source.state != SourceState::Unavailable);
    let faults = context.incidents.iter().filter(|incident| is_fault(incident));
    // What the driver left behind when it was loaded anew, or calls recovered, is history.
    let ended = |fault: &Incident| context.incidents.iter().any(|later| later.ends(fault));
    let (over, faults): (Vec<&&Incident>, Vec<&&Incident>) = faults.partition(|fault| ended(fault));
    let Some(worst) = faults.iter().map(|incident| incident.severity).max() else {
        if !readable && context.incidents.is_empty() {
            return Found::skip("the kernel log is not read here");
        }
        let others =
            context.incidents.iter().filter(|incident| incident.kind == Kind::Xid && !incident.user_space);
        let applications = others.clone().filter(|incident| !is_fault(incident)).count();
        let found = Found::pass(match (over.len(), applications) {
            (0, 0) => "no error of a GPU in the kernel log".to_owned(),
            (0, count) => format!("{} of applications, none of the machine", counted(count, "error")),
            (count, _) => format!(
                "no error since the driver was loaded anew or the GPU recovered; {} before",
                counted(count, "error")
            ),
        });
        if over.is_empty() {
            return others.take(3).fold(found, with_lines);
        }
        return over.iter().rev().take(3).fold(found, |found, incident| with_lines(found, incident));
    };
    let named = listed(faults.iter().rev().take(3).map(|incident| match incident.pci {
        Some(pci) => format!("{} ({pci})", incident.summary),
        None => incident.summary.clone(),
    }));
    let found = if worst == Severity::Critical { Found::fail(named) } else { Found::warn(named) };
    let found = faults.iter().rev().take(3).fold(found, |found, incident| with_lines(found, incident));
    let worst = faults.iter().rev().filter(|incident| incident.severity == worst).take(3);
    let found = found.advise_each(worst.map(|incident| {
        let at = || incident.pci.map_or_else(String::new, |pci| format!("GPU at {pci}"));
        (incident.gpu_index.map_or_else(at, |index| format!("GPU {index}")), &*incident.advice)
    }));
    let code = faults.iter().rev().find_map(|incident| incident.code.filter(|_| incident.kind == Kind::Xid));
    match code {
        Some(code) => found.fix(format!("kgtop explain xid {code}")).fix("kgtop events"),
        None => found.fix("kgtop events"),
    }
}

fn with_lines(found: Found, incident: &&Incident) -> Found {
    let place = incident.source;
    let place = match place {
        crate::model::EventSource::Kmsg => "/dev/kmsg",
        crate::model::EventSource::Journal => "journalctl -k",
        crate::model::EventSource::File => "log",
        crate::model::EventSource::Nvml => "NVML event",
        crate::model::EventSource::Action => "kgtop",
    };
    incident.raw.iter().take(2).fold(found, |found, line| found.seen(place, &**line))
}

fn kernel_log(context: &Context<'_>) -> Found {
    let Some(source) = context.snapshot.sources.iter().find(|source| &*source.name == "kernel_log") else {
        return Found::skip("this stream has no kernel log");
    };
    let reason = if source.reason.is_empty() { "readable" } else { &*source.reason };
    match source.state {
        SourceState::Ok => Found::pass("kernel events are seen").seen("kernel_log", reason),
        SourceState::Degraded => Found::pass("kernel events are seen, with gaps").seen("kernel_log", reason),
        SourceState::Unavailable if context.in_container() => {
            Found::skip(format!("a container does not see the host's kernel log ({reason})"))
        }
        SourceState::Unavailable
            if context.file("/dev/kmsg").is_some_and(|file| file.lines == Err(Absence::NotSupported)) =>
        {
            Found::skip(format!("there is no kernel log here ({reason})"))
        }
        SourceState::Unavailable => Found::warn("kernel events are not seen")
            .seen("kernel_log", reason)
            .fix("sudo sysctl kernel.dmesg_restrict=0   # or run as root, or join the groups adm or systemd-journal"),
    }
}
