//! What to make of the matrix: which GPUs make a tensor-parallel group, and which jobs straddle a slow path.

use super::class::PathClass;
use super::matrix::{Cell, Device, Matrix};
use crate::analysis::{Severity, names};
use crate::model::{BusKind, GpuState, Process, ProcessFacts, Snapshot, read};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A sentence of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// How bad it is.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
}

fn say(severity: Severity, text: String) -> Advice {
    Advice { severity, text }
}

/// The GPUs that reach each other over NVLink, all with all; those with no such peer alone. By place in the matrix.
#[must_use]
pub fn groups(matrix: &Matrix) -> Vec<Vec<usize>> {
    groups_of(matrix, matrix.gpus())
}

fn groups_of(matrix: &Matrix, gpus: impl IntoIterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for gpu in gpus {
        let joins = |group: &&mut Vec<usize>| {
            group.iter().all(|member| matches!(matrix.cell(*member, gpu), Cell::NvLink(_)))
        };
        match groups.iter_mut().find(joins) {
            Some(group) => group.push(gpu),
            None => groups.push(vec![gpu]),
        }
    }
    groups
}

/// Why nothing is to be started on a device: it does not answer, or the driver asks to recover it first.
#[must_use]
pub fn unfit(snapshot: &Snapshot, device: &Device) -> Option<String> {
    let gpu = snapshot.gpu(device.gpu.as_ref()?)?;
    match gpu.state {
        GpuState::Lost => return Some("lost".into()),
        GpuState::Stalled => return Some("stalled".into()),
        _ => {}
    }
    let asked = read::live(gpu, |live| &live.recovery_action).ok().filter(|action| *action != 0)?;
    Some(format!("the driver asks for {}", names::recovery_action(asked).replace('_', " ")))
}

/// GPUs that something can be started on, and in words those that not.
fn fit(snapshot: &Snapshot, matrix: &Matrix) -> (Vec<usize>, Option<String>) {
    let why = |place: usize| matrix.devices.get(place).and_then(|device| unfit(snapshot, device));
    let (unfit, fit): (Vec<usize>, Vec<usize>) = matrix.gpus().partition(|place| why(*place).is_some());
    let named: Vec<String> = unfit
        .iter()
        .filter_map(|place| Some(format!("GPU {} ({})", list(matrix, [*place]), why(*place)?)))
        .collect();
    (fit, (!named.is_empty()).then(|| format!("Left out: {}.", named.join(", "))))
}

/// Numbers of GPUs, as the driver counts them.
fn numbers(matrix: &Matrix, places: impl IntoIterator<Item = usize>) -> Vec<u32> {
    let number = |place: usize| matrix.devices.get(place)?.label.strip_prefix("GPU")?.parse().ok();
    places.into_iter().filter_map(number).collect()
}

/// As CUDA_VISIBLE_DEVICES takes them: it knows no ranges.
fn each(matrix: &Matrix, places: &[usize]) -> String {
    let numbers = numbers(matrix, places.iter().copied());
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// `0-3`, `0,2`.
fn list(matrix: &Matrix, places: impl IntoIterator<Item = usize>) -> String {
    let numbers = numbers(matrix, places);
    let mut text = String::new();
    let mut at = numbers.iter().copied().peekable();
    while let Some(first) = at.next() {
        let mut last = first;
        while at.peek() == Some(&(last + 1)) {
            last += 1;
            at.next();
        }
        let comma = if text.is_empty() { "" } else { "," };
        text = match last - first {
            0 => format!("{text}{comma}{first}"),
            _ => format!("{text}{comma}{first}-{last}"),
        };
    }
    text
}

/// All advice, the gravest first.
#[must_use]
pub fn advice(snapshot: &Snapshot, matrix: &Matrix) -> Vec<Advice> {
    let mut found = jobs(snapshot, matrix);
    found.extend(grouping(snapshot, matrix));
    if matrix.hidden > 0 {
        let text = format!(
            "{} more GPU{} on the bus {} not given to this container (NVIDIA_VISIBLE_DEVICES, the device cgroup).",
            matrix.hidden,
            if matrix.hidden == 1 { "" } else { "s" },
            if matrix.hidden == 1 { "is" } else { "are" },
        );
        found.push(say(Severity::Info, text));
    }
    found.sort_by_key(|advice| std::cmp::Reverse(advice.severity));
    found
}

fn grouping(snapshot: &Snapshot, matrix: &Matrix) -> Option<Advice> {
    let (gpus, left_out) = fit(snapshot, matrix);
    let pairs = || gpus.iter().flat_map(|a| gpus.iter().map(move |b| matrix.cell(*a, *b)));
    if gpus.len() < 2 || pairs().any(|cell| cell == Cell::Unknown) {
        return None;
    }
    let groups = groups_of(matrix, gpus.iter().copied());
    let text = match groups.as_slice() {
        [all] => {
            let over = match left_out {
                None => format!("all {} GPUs", all.len()),
                Some(_) => format!("GPU {}", list(matrix, all.iter().copied())),
            };
            format!(
                "Tensor parallel over {over}: NVLink joins each with each (CUDA_VISIBLE_DEVICES={}).",
                each(matrix, all)
            )
        }
        several if several.iter().any(|group| group.len() > 1) => {
            let named: Vec<String> = several
                .iter()
                .filter(|group| group.len() > 1)
                .map(|group| format!("GPU {}", list(matrix, group.iter().copied())))
                .collect();
            format!(
                "Tensor parallel within {}: NVLink joins them. Pipeline or data parallel across.",
                named.join(" and within ")
            )
        }
        _ => {
            let nearest = pairs().filter(|cell| *cell != Cell::Same).min_by_key(|cell| cell.distance());
            let near = nearest.map_or_else(String::new, |cell| format!(" (the nearest pair: {cell})"));
            format!(
                "No NVLink: tensor parallelism would talk over PCIe at each layer{near}. Prefer pipeline or data \
                 parallel."
            )
        }
    };
    let text = left_out.map_or_else(|| text.clone(), |left_out| format!("{text} {left_out}"));
    Some(say(Severity::Info, text))
}

/// What holds processes together: a job, a container, a parent.
fn job_of(process: &Process) -> String {
    let alone = || format!("PID {}", process.key.pid);
    let Some(facts) = &process.facts else { return alone() };
    if let Some(job) = &facts.slurm_job {
        return format!("Slurm job {job}");
    }
    if let Some(container) = &facts.container {
        let short: String = container.id.chars().take(12).collect();
        return format!("container {short}");
    }
    match facts.parent {
        Ok(parent) if parent > 1 => format!("children of PID {parent}"),
        _ => alone(),
    }
}

/// A job and the GPUs it is on.
#[derive(Default)]
struct Job {
    gpus: BTreeSet<usize>,
    facts: Vec<Arc<ProcessFacts>>,
    names: BTreeSet<String>,
}

fn jobs(snapshot: &Snapshot, matrix: &Matrix) -> Vec<Advice> {
    let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
    for process in snapshot.processes.iter().filter(|process| process.ended.is_none()) {
        let job = jobs.entry(job_of(process)).or_default();
        job.gpus.extend(process.gpus.iter().filter_map(|on| matrix.place_of(&on.gpu)));
        if let Some(facts) = &process.facts {
            job.gpus.extend(asked_for(facts, process, matrix));
            job.names.extend(facts.name.as_ref().ok().map(ToString::to_string));
            job.facts.push(Arc::clone(facts));
        }
    }
    let mut found = Vec::new();
    for (name, job) in &jobs {
        found.extend(straddles(name, job, snapshot, matrix));
        found.extend(nccl(name, job, matrix));
    }
    found
}

fn variable<'a>(facts: &'a ProcessFacts, name: &str) -> Option<&'a str> {
    let environment = facts.environment.as_ref().ok()?;
    environment.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}

/// The GPUs that CUDA_VISIBLE_DEVICES names, for a process that already uses more than one: one that sees them all
/// and uses one is the rule, not a group.
fn asked_for(facts: &ProcessFacts, process: &Process, matrix: &Matrix) -> Vec<usize> {
    if process.gpus.len() < 2 {
        return Vec::new();
    }
    let Some(visible) = variable(facts, "CUDA_VISIBLE_DEVICES") else { return Vec::new() };
    visible.split(',').map_while(|name| named(name.trim(), matrix)).collect()
}

/// The place of a GPU as CUDA_VISIBLE_DEVICES names it. What comes after a name that is none does not count.
fn named(name: &str, matrix: &Matrix) -> Option<usize> {
    let by_uuid = |device: &Device| {
        device.gpu.as_ref().is_some_and(|id| name.starts_with("GPU-") && id.0.starts_with(name))
    };
    match name.parse::<u32>() {
        Ok(index) => matrix.devices.iter().position(|device| device.label == format!("GPU{index}")),
        Err(_) => matrix.devices.iter().position(by_uuid),
    }
}

/// The farthest pair of a set.
fn farthest(matrix: &Matrix, gpus: &BTreeSet<usize>) -> Option<(usize, usize, Cell)> {
    let pairs = gpus.iter().flat_map(|a| {
        gpus.range((std::ops::Bound::Excluded(*a), std::ops::Bound::Unbounded)).map(move |b| (*a, *b))
    });
    pairs
        .map(|(a, b)| (a, b, matrix.cell(a, b)))
        .filter(|(.., cell)| *cell != Cell::Unknown)
        .max_by_key(|(.., cell)| cell.distance())
}

fn straddles(name: &str, job: &Job, snapshot: &Snapshot, matrix: &Matrix) -> Option<Advice> {
    let (fit, _) = fit(snapshot, matrix);
    let (a, b, cell) = farthest(matrix, &job.gpus)?;
    let Cell::Path(class @ (PathClass::Phb | PathClass::Node | PathClass::Sys)) = cell else { return None };
    // Only where another choice of as many GPUs would be nearer.
    let better =
        groups_of(matrix, fit.iter().copied()).into_iter().find(|group| group.len() >= job.gpus.len());
    let one_node = || {
        let nodes =
            fit.iter().filter_map(|gpu| Some((matrix.devices.get(*gpu)?.numa_affinity.clone().ok()?, *gpu)));
        let mut by_node: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        nodes.for_each(|(node, gpu)| by_node.entry(node).or_default().push(gpu));
        by_node.into_values().find(|gpus| class == PathClass::Sys && gpus.len() >= job.gpus.len())
    };
    let (instead, why) = match better {
        Some(group) => (group, "NVLink joins"),
        None => (one_node()?, "one NUMA node holds"),
    };
    let label = |place: usize| matrix.devices.get(place).map_or("", |device| device.label.as_str());
    Some(say(
        Severity::Warning,
        format!(
            "{name} on GPU {} straddles {cell} ({}–{}: {}). {why} GPU {}.",
            list(matrix, job.gpus.iter().copied()),
            label(a),
            label(b),
            class.meaning(),
            list(matrix, instead),
        ),
    ))
}

/// How far a setting of NCCL_P2P_LEVEL lets peers talk directly, as a distance of [`Cell::distance`]. Names and
/// numbers of NCCL's documentation of its environment variables.
fn level(text: &str) -> Option<u8> {
    let class = match text.to_ascii_uppercase().as_str() {
        "LOC" => return Some(0),
        "NVL" => return Some(1),
        "PIX" => PathClass::Pix,
        "PXB" => PathClass::Pxb,
        "PHB" => PathClass::Phb,
        "SYS" => PathClass::Sys,
        _ => return None,
    };
    Some(Cell::Path(class).distance())
}

fn nccl(name: &str, job: &Job, matrix: &Matrix) -> Vec<Advice> {
    let mut found = Vec::new();
    if job.gpus.len() < 2 {
        return found;
    }
    let set = |key: &str| job.facts.iter().find_map(|facts| variable(facts, key).map(str::to_owned));
    let on = |key: &str| set(key).is_some_and(|value| !matches!(value.as_str(), "" | "0"));
    let joined = farthest(matrix, &job.gpus).is_some_and(|(.., cell)| matches!(cell, Cell::NvLink(_)));
    if on("NCCL_P2P_DISABLE") {
        let lost = if joined { ", although NVLink joins them" } else { "" };
        let severity = if joined { Severity::Warning } else { Severity::Info };
        let text = format!("{name} sets NCCL_P2P_DISABLE: its GPUs talk through host memory{lost}.");
        found.push(say(severity, text));
    } else if let Some(text) = set("NCCL_P2P_LEVEL")
        && let Some(allowed) = level(&text)
        && let Some((.., cell)) = farthest(matrix, &job.gpus)
        && cell.distance() > allowed
    {
        let text = format!(
            "{name} sets NCCL_P2P_LEVEL={text}: its farthest pair is {cell} and talks through host memory."
        );
        found.push(say(Severity::Info, text));
    }
    if on("NCCL_IB_DISABLE") && matrix.devices.iter().any(|device| device.kind == BusKind::Nic) {
        let text = format!("{name} sets NCCL_IB_DISABLE: between hosts it uses sockets, not the NICs here.");
        found.push(say(Severity::Info, text));
    }
    found
}
