//! What the kernel log says and no reading shows.

use super::rule::{Context, Finding, Rule};
use super::{Area, Severity};
use crate::analysis::events::Incident;
use crate::analysis::kernel_log::Kind;
use crate::units::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// Xid of an ECC error that was contained to one process.
const CONTAINED: u32 = 94;
/// How long a fault that ended a job and left the GPU well is told: long enough for whoever asks why the GPU idles.
const RECENT: Duration = Duration::from_secs(10 * 60);
/// Xid of one that was not.
const UNCONTAINED: u32 = 95;

const fn rule(
    id: &'static str,
    severity: Severity,
    threshold: &'static str,
    advice: &'static str,
    check: fn(&Context<'_>) -> Vec<Finding>,
) -> Rule {
    Rule {
        id,
        severity,
        area: Area::Events,
        needs: "the kernel log",
        threshold,
        advice,
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &[],
        check,
    }
}

pub(super) const RULES: &[Rule] = &[
    rule(
        "uncontained_ecc",
        Severity::Critical,
        "Xid 95 since boot (NVIDIA Xid catalogue)",
        "All work on this GPU may be corrupt. Drain the node, reset the GPU, run a field diagnostic.",
        |context| xid(context, UNCONTAINED, "an uncorrected memory error was not contained"),
    ),
    rule(
        "fatal_sxid",
        Severity::Critical,
        "an SXid that the driver calls fatal",
        "An NVSwitch failed: stop the jobs on all GPUs, reset GPUs and switches together, restart the Fabric Manager.",
        |context| {
            trusted(context, |incident| incident.kind == Kind::Sxid && incident.fatal == Some(true))
                .into_iter()
                .map(|incident| {
                    let address = incident.pci.map_or_else(String::new, |pci| format!(" of {pci}"));
                    let code = incident.code.unwrap_or_default();
                    Finding {
                        subject: format!("{code}{address}"),
                        ..told(incident, format!("NVSwitch{address}: fatal SXid {code}"))
                    }
                })
                .collect()
        },
    ),
    rule(
        "critical_xid",
        Severity::Critical,
        "a critical Xid since boot (NVIDIA Xid catalogue), but 94 and 95; or the GPU left the bus, or did not start",
        "Look at the event for what the driver says, drain the GPU and reset it.",
        critical,
    ),
    rule(
        "contained_ecc",
        Severity::Warning,
        "Xid 94 since boot (NVIDIA Xid catalogue)",
        "The process that used the page was ended; others may go on. Reset the GPU when it suits.",
        |context| xid(context, CONTAINED, "an uncorrected memory error, contained to one process"),
    ),
    rule(
        "recent_xid",
        Severity::Warning,
        "an Xid that ends a job and leaves the GPU well (NVIDIA Xid catalogue), within the last 10 min",
        "Look at the event and at the job's own log.",
        recent,
    ),
];

/// What happened on this boot, was written by the kernel, is no later than the snapshot, and is not over.
fn trusted<'a>(context: &Context<'a>, is: impl Fn(&Incident) -> bool) -> Vec<&'a Incident> {
    let now = context.snapshot.mono;
    let of_kernel = |incident: &&Incident| {
        !incident.user_space && incident.first.mono.0 != 0 && incident.first.mono <= now
    };
    let known: Vec<&Incident> = context.incidents.iter().copied().filter(of_kernel).collect();
    let over = |incident: &Incident| known.iter().any(|later| later.ends(incident));
    known.iter().copied().filter(|incident| is(incident) && !over(incident)).collect()
}

/// Where the driver says itself what it wants, or calls the GPU lost, that covers them.
fn critical(context: &Context<'_>) -> Vec<Finding> {
    faults(context, |incident| {
        incident.severity == Severity::Critical
            && matches!(incident.kind, Kind::Xid | Kind::OffBus | Kind::InitFailed)
    })
}

fn recent(context: &Context<'_>) -> Vec<Finding> {
    let now = context.snapshot.mono;
    faults(context, |incident| {
        incident.severity == Severity::Warning
            && incident.kind == Kind::Xid
            && now.since(incident.last.mono) < RECENT
    })
}

/// One finding per GPU and fault. Xids of memory errors that were contained, or not, have rules of their own.
fn faults(context: &Context<'_>, is: impl Fn(&Incident) -> bool) -> Vec<Finding> {
    let own_rule = |code: &u32| [CONTAINED, UNCONTAINED].contains(code);
    let wanted = |incident: &Incident| {
        is(incident) && !incident.code.iter().chain(incident.consequences.keys()).any(own_rule)
    };
    let mut by_fault: BTreeMap<_, (&Incident, u32)> = BTreeMap::new();
    for incident in trusted(context, wanted) {
        let (_, count) =
            by_fault.entry((place(incident), incident.summary.as_str())).or_insert((incident, 0));
        *count += incident.count;
    }
    let findings = by_fault.into_values().map(|(incident, count)| {
        let times = if count > 1 { format!(", {count} times") } else { String::new() };
        let who = incident.process_text().map_or_else(String::new, |process| format!(", {process}"));
        let summary = format!("{}: {}{who}{times}", gpu_of(incident), incident.summary);
        let advice = Some(incident.advice.clone()).filter(|advice| !advice.is_empty());
        Finding { subject: incident.summary.clone(), advice, ..told(incident, summary) }
    });
    findings.collect()
}

/// What the GPU of an incident is told apart by.
fn place(incident: &Incident) -> String {
    incident.gpu.clone().map_or_else(|| format!("{:?}", incident.pci), |id| id.to_string())
}

/// What the GPU of an incident is called.
fn gpu_of(incident: &Incident) -> String {
    incident.gpu_index.map_or_else(
        || incident.pci.map_or_else(|| "GPU ?".to_owned(), |pci| format!("GPU at {pci}")),
        |index| format!("GPU {index}"),
    )
}

fn told(incident: &Incident, summary: String) -> Finding {
    Finding {
        gpu: incident.gpu.clone(),
        summary,
        evidence: incident.raw.first().map_or_else(|| incident.summary.clone(), ToString::to_string),
        since: Some(Mono(incident.first.mono.0)),
        ..Finding::default()
    }
}

/// One finding per GPU, with the number of incidents.
fn xid(context: &Context<'_>, code: u32, fact: &str) -> Vec<Finding> {
    let mut by_gpu: BTreeMap<_, (&Incident, u32)> = BTreeMap::new();
    let is_that = |incident: &Incident| {
        incident.kind == Kind::Xid
            && (incident.code == Some(code) || incident.consequences.contains_key(&code))
    };
    for incident in trusted(context, is_that) {
        by_gpu.entry(place(incident)).or_insert((incident, 0)).1 += incident.count;
    }
    let findings = by_gpu.into_values().map(|(incident, count)| {
        let gpu = gpu_of(incident);
        let who = incident.process_text().map_or_else(String::new, |process| format!(", {process}"));
        let times = if count > 1 { format!(", {count} times") } else { String::new() };
        told(incident, format!("{gpu}: {fact} (Xid {code}{who}{times})"))
    });
    findings.collect()
}
