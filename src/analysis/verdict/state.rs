//! GPUs that are gone or do not answer.

use super::rule::{Context, Finding, Rule, address, label, ok};
use super::{Area, Severity};
use crate::analysis::{advice, xid};
use crate::model::nvml_code::{
    GPU_IS_LOST, INSUFFICIENT_POWER, NO_PERMISSION, RESET_REQUIRED, UNKNOWN, code_words,
};
use crate::model::{Absence, Gpu, GpuState, SourceState, StuckCall, read};
use crate::units::{Mono, format_age};
use std::time::Duration;

/// A collector that loses samples for this long is told: shorter gaps are a busy machine.
const DEGRADED_AFTER: Duration = Duration::from_secs(2);

/// What helps against `RESET_REQUIRED`.
const RESET_BY_KGTOP: &str = "End what uses the GPU, then reset it: kgtop act reset --gpu ADDRESS. If it does not come back, \
                              reboot the node.";
const RESET_BY_HAND: &str = "End what uses the GPU, then reset it: nvidia-smi --gpu-reset -i ADDRESS. If it does not come \
                             back, reboot the node.";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "gpu_lost",
        severity: Severity::Critical,
        area: Area::Events,
        needs: "NVML",
        threshold: "NVML answers GPU_IS_LOST (15), or the device left the bus",
        advice: "A reset cannot bring it back. Drain the node and reboot it; if it is lost again, check power, \
                 seating and cooling, then replace it.",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &["gpu_stalled", "recovery_action", "critical_xid"],
        check: lost,
    },
    Rule {
        id: "gpu_reset_required",
        severity: Severity::Critical,
        area: Area::Events,
        needs: "NVML",
        threshold: "NVML answers RESET_REQUIRED (16)",
        advice: RESET_BY_HAND,
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &["gpu_stalled", "recovery_action", "critical_xid"],
        check: reset_required,
    },
    Rule {
        id: "gpu_refused",
        severity: Severity::Critical,
        area: Area::Events,
        needs: "NVML",
        threshold: "NVML gives no handle, with another code than NO_PERMISSION (4)",
        advice: "Look in dmesg for what the driver says of this GPU (RmInitAdapter, Xid); then reboot the node.",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &["gpu_stalled", "recovery_action"],
        check: refused,
    },
    Rule {
        id: "gpu_unreadable",
        severity: Severity::Critical,
        area: Area::Doctor,
        needs: "NVML",
        threshold: "the GPU is there, and every reading of an interval is refused or fails",
        advice: "Look in dmesg; in a container, restart it (a systemctl daemon-reload on the host takes away its \
                 access to /dev/nvidia*).",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &[],
        check: unreadable,
    },
    Rule {
        id: "gpu_stalled",
        severity: Severity::Critical,
        area: Area::Events,
        needs: "NVML",
        threshold: "a call is not back at the collector's deadline",
        advice: "Look for Xid 45, 79, 119 or 120 in the kernel log. The processes on this GPU may not be killable; \
                 plan a reboot of the node.",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &[],
        check: stalled,
    },
    Rule {
        id: "driver_stalled",
        severity: Severity::Critical,
        area: Area::Events,
        needs: "NVML",
        threshold: "a call about no GPU is not back at the collector's deadline",
        advice: "Look in the kernel log for GSP timeouts (Xid 119). Starting more monitors makes it worse.",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &["collector_degraded"],
        check: driver_stalled,
    },
    Rule {
        id: "recovery_action",
        severity: Severity::Critical,
        area: Area::Events,
        needs: "NVML field 230 (R570 and later)",
        threshold: "anything but 0 (none), as the driver recommends (nvml.h, nvmlDeviceGpuRecoveryAction_t)",
        advice: "Do what the driver recommends; until then the GPU takes no new work.",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &["critical_xid"],
        check: recovery,
    },
    Rule {
        id: "collector_degraded",
        severity: Severity::Warning,
        area: Area::Doctor,
        needs: "the collector's own report",
        threshold: "NVML answers in part, samples were dropped, or a newer kgtop names a GPU's state, for 2 s (own choice)",
        advice: "Look at the source's reason below; what it reads may be old or missing.",
        raise_after: DEGRADED_AFTER,
        clear_after: Duration::ZERO,
        covers: &[],
        check: degraded,
    },
];

/// GPUs that are lost, with the code by which the driver refuses them, where it is known.
fn gone<'a>(context: &Context<'a>) -> impl Iterator<Item = (&'a Gpu, Option<u32>)> {
    let gone = context.snapshot.gpus.iter().filter(|gpu| gpu.state == GpuState::Lost);
    gone.map(|gpu| (gpu, gpu.refusal))
}

fn answers(code: u32) -> String {
    format!("NVML answers {}", code_words(code))
}

fn lost(context: &Context<'_>) -> Vec<Finding> {
    gone(context)
        .filter(|(_, refusal)| refusal.is_none_or(|code| code == GPU_IS_LOST))
        .map(|(gpu, refusal)| {
            let evidence = refusal.map_or_else(
                || "it left the bus, or the driver refuses it without a code".to_owned(),
                answers,
            );
            Finding {
                summary: format!("GPU {} is lost: the driver can no longer reach it", label(gpu)),
                since: Some(gpu.state_since),
                ..Finding::of(gpu, "", evidence)
            }
        })
        .collect()
}

fn reset_required(context: &Context<'_>) -> Vec<Finding> {
    gone(context)
        .filter(|(_, refusal)| *refusal == Some(RESET_REQUIRED))
        .map(|(gpu, _)| Finding {
            since: Some(gpu.state_since),
            // kgtop resets no GPU whose name it cannot read.
            advice: Some(advice::about(
                if gpu.info.uuid.is_ok() { RESET_BY_KGTOP } else { RESET_BY_HAND },
                address(gpu),
            )),
            ..Finding::of(gpu, "the driver wants it reset before it answers again", answers(RESET_REQUIRED))
        })
        .collect()
}

fn refused(context: &Context<'_>) -> Vec<Finding> {
    gone(context)
        .filter_map(|(gpu, refusal)| Some((gpu, refusal?)))
        .filter(|(_, code)| ![GPU_IS_LOST, RESET_REQUIRED].contains(code))
        .map(|(gpu, code)| Finding {
            since: Some(gpu.state_since),
            advice: match code {
                // nvml.h: "A device's external power cables are not properly attached".
                INSUFFICIENT_POWER => Some(
                    "Its external power cables are not properly attached: power the node down and check cables, \
                     plugs and power supply."
                        .into(),
                ),
                UNKNOWN => Some(
                    "Look in dmesg for what the driver says of this GPU; in a container, restart it (a systemctl \
                     daemon-reload on the host takes away its access to /dev/nvidia*)."
                        .into(),
                ),
                _ => None,
            },
            ..Finding::of(
                gpu,
                &format!("the driver refuses it: {}", code_words(code)),
                format!("nvmlDeviceGetHandleByIndex_v2: {}", code_words(code)),
            )
        })
        .collect()
}

/// A GPU that nothing was read of is not a healthy one.
fn unreadable(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at)).map(|group| &group.value);
        let reason = read::refusal(fast, context.live(gpu))?;
        let (severity, advice) = if *reason == Absence::NoPermission {
            let advice = "Check the mode of its device file (/dev/nvidia0 and on) and the groups of this user; in a \
                          container, whether it was given this GPU.";
            (Severity::Warning, Some(advice.into()))
        } else {
            (Severity::Critical, None)
        };
        let evidence = match reason {
            Absence::NoPermission => format!("{} in every reading", code_words(NO_PERMISSION)),
            other => format!("every reading {other}"),
        };
        Some(Finding {
            severity: Some(severity),
            advice,
            ..Finding::of(gpu, &format!("nothing of it can be read: {reason}"), evidence)
        })
    })
}

fn waits(call: &StuckCall) -> String {
    match &call.wait_channel {
        Some(channel) => format!("{} waits in {channel}", call.call),
        None => format!("{} entered and not left", call.call),
    }
}

/// One finding however many wait: the driver has one lock, so the oldest call is the suspect.
fn stalled(context: &Context<'_>) -> Vec<Finding> {
    let mut waiting: Vec<_> = (context.snapshot.gpus.iter())
        .filter(|gpu| gpu.state == GpuState::Stalled)
        .filter_map(|gpu| Some((gpu, gpu.stuck.as_ref()?)))
        .collect();
    waiting.sort_by_key(|(_, call)| call.since);
    let Some(((gpu, call), behind)) = waiting.split_first() else { return Vec::new() };
    let age = format_age(context.snapshot.mono.since(call.since));
    let summary = match behind.len() {
        0 => format!("GPU {}: driver call {} has not returned for {age}", label(gpu), call.call),
        1 => format!(
            "Driver lock: {} on GPU {} has not returned for {age}; 1 more GPU waits behind it",
            call.call,
            label(gpu)
        ),
        more => format!(
            "Driver lock: {} on GPU {} has not returned for {age}; {more} more GPUs wait behind it",
            call.call,
            label(gpu)
        ),
    };
    vec![Finding {
        summary,
        others: behind.iter().map(|(gpu, _)| gpu.id.clone()).collect(),
        since: Some(call.since),
        ..Finding::of(gpu, "", waits(call))
    }]
}

fn driver_stalled(context: &Context<'_>) -> Vec<Finding> {
    let age = |since: Mono| format_age(context.snapshot.mono.since(since));
    let calls = context.snapshot.stuck.iter();
    calls
        .map(|call| Finding {
            subject: call.call.to_string(),
            summary: format!("Driver call {} has not returned for {}", call.call, age(call.since)),
            evidence: waits(call),
            since: Some(call.since),
            ..Finding::default()
        })
        .collect()
}

fn recovery(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let action = ok(&context.live(gpu)?.recovery_action).filter(|action| *action != 0)?;
        let (name, _, advice) = xid::recovery(action);
        let advice = advice::about(advice, address(gpu));
        let fact = format!("the driver asks for: {name}");
        let evidence = format!("recovery action {action} (NVML field 230)");
        Some(Finding { advice: Some(advice), ..Finding::of(gpu, &fact, evidence) })
    })
}

fn degraded(context: &Context<'_>) -> Vec<Finding> {
    // Where it is in part because GPUs give nothing, those are told one by one.
    let answers = context.answering().next().is_some() && unreadable(context).is_empty();
    let partly = context.snapshot.sources.iter().filter(|source| {
        // Other sources depend on rights that an ordinary user does not have; NVML in part is a fault.
        &*source.name == "nvml" && source.state == SourceState::Degraded && answers
    });
    let unknown = context.snapshot.gpus.iter().filter(|gpu| gpu.state == GpuState::Unknown).map(|gpu| {
        let fact = "in a state that only a newer kgtop knows";
        let evidence = "the stream names a GPU state that this version does not have";
        let advice = "Look at this stream with the kgtop that wrote it.".to_owned();
        Finding { advice: Some(advice), ..Finding::of(gpu, fact, evidence) }
    });
    partly
        .filter(|_| context.snapshot.gpus.iter().all(|gpu| gpu.state != GpuState::Stalled))
        .map(|source| Finding {
            subject: source.name.to_string(),
            summary: format!("The collector reads {} in part only", source.name),
            evidence: source.reason.to_string(),
            ..Finding::default()
        })
        .chain(unknown)
        .collect()
}
