//! GPUs that are gone or do not answer.

use super::rule::{Context, Finding, Rule, address, label, ok};
use super::{Area, Severity};
use crate::analysis::{advice, xid};
use crate::model::{GpuState, SourceState, StuckCall};
use crate::units::{Mono, format_age};
use std::time::Duration;

/// A collector that loses samples for this long is told: shorter gaps are a busy machine.
const DEGRADED_AFTER: Duration = Duration::from_secs(2);

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
        covers: &["gpu_stalled", "recovery_action"],
        check: lost,
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
        needs: "NVML field 230 (R565 and later)",
        threshold: "anything but 0 (none), as the driver recommends (nvml.h, nvmlDeviceGpuRecoveryAction_t)",
        advice: "Do what the driver recommends; until then the GPU takes no new work.",
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &[],
        check: recovery,
    },
    Rule {
        id: "collector_degraded",
        severity: Severity::Warning,
        area: Area::Doctor,
        needs: "the collector's own report",
        threshold: "NVML answers in part, or samples were dropped, for 2 s (own choice)",
        advice: "Look at the source's reason below; what it reads may be old or missing.",
        raise_after: DEGRADED_AFTER,
        clear_after: Duration::ZERO,
        covers: &[],
        check: degraded,
    },
];

fn lost(context: &Context<'_>) -> Vec<Finding> {
    let gone = context.snapshot.gpus.iter().filter(|gpu| gpu.state == GpuState::Lost);
    gone.map(|gpu| Finding {
        summary: format!("GPU {} is lost: the driver can no longer reach it", label(gpu)),
        since: Some(gpu.state_since),
        ..Finding::of(gpu, "", "NVML answers GPU_IS_LOST (15)")
    })
    .collect()
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
    let answers = context.answering().next().is_some();
    let partly = context.snapshot.sources.iter().filter(|source| {
        // Other sources depend on rights that an ordinary user does not have; NVML in part is a fault.
        &*source.name == "nvml" && source.state == SourceState::Degraded && answers
    });
    partly
        .filter(|_| context.snapshot.gpus.iter().all(|gpu| gpu.state != GpuState::Stalled))
        .map(|source| Finding {
            subject: source.name.to_string(),
            summary: format!("The collector reads {} in part only", source.name),
            evidence: source.reason.to_string(),
            ..Finding::default()
        })
        .collect()
}
