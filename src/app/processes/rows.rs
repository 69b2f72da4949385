//! From a snapshot to the rows of the table: filter, order, tree.

use super::{ProcessesState, Row, RowKind, SortKey};
use crate::app::Settings;
use crate::model::{Process, ProcessFacts, ProcessKind, Snapshot};
use crate::units::Bytes;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Memory without an owner is shown from here on: each context leaves a few dozen MiB that the driver counts to
/// nobody.
const UNATTRIBUTED_FROM: Bytes = Bytes(256 << 20);

/// The rows for `snapshot`, in order.
pub(super) fn rows(snapshot: &Snapshot, table: &ProcessesState, settings: &Settings) -> Vec<Row> {
    let terms: Vec<String> = table.filter.split_whitespace().map(str::to_lowercase).collect();
    let mut keyed: Vec<(Key, usize)> = snapshot
        .processes
        .iter()
        .enumerate()
        .filter(|(_, process)| shown(snapshot, process, settings) && matches(process, &terms))
        .map(|(index, process)| (Key::of(process, table.sort), index))
        .collect();
    keyed.sort_by(|(a, first), (b, second)| compare(a, b, table).then(first.cmp(second)));
    let order: Vec<usize> = keyed.into_iter().map(|(_, index)| index).collect();

    let mut rows = if table.tree { as_tree(snapshot, &order) } else { flat(&order) };
    let orphans = snapshot.gpus.iter().enumerate().filter(|(_, gpu)| {
        settings.shows(gpu)
            && gpu.unattributed.as_ref().is_ok_and(|memory| *memory >= UNATTRIBUTED_FROM)
            && terms.iter().all(|term| {
                "no owner".contains(term.as_str())
                    || gpu.index().is_some_and(|index| *term == format!("gpu:{index}"))
            })
    });
    let orphans: Vec<Row> =
        orphans.map(|(index, _)| Row { kind: RowKind::Unattributed(index), depth: 0 }).collect();
    // What is held now comes before what has ended.
    let ended = |row: &Row| match row.kind {
        RowKind::Process(index) => snapshot.processes.get(index).is_some_and(|p| p.ended.is_some()),
        _ => false,
    };
    let place = rows.iter().position(ended).filter(|_| !table.tree).unwrap_or(rows.len());
    rows.splice(place..place, orphans);
    rows
}

fn shown(snapshot: &Snapshot, process: &Process, settings: &Settings) -> bool {
    process.gpus.iter().any(|share| snapshot.gpu(&share.gpu).is_none_or(|gpu| settings.shows(gpu)))
}

fn flat(order: &[usize]) -> Vec<Row> {
    order.iter().map(|index| Row { kind: RowKind::Process(*index), depth: 0 }).collect()
}

/// Each process under its parent, where the parent holds a GPU too; siblings whose parent does not, under a row
/// of that parent's PID.
fn as_tree(snapshot: &Snapshot, order: &[usize]) -> Vec<Row> {
    let process = |index: usize| snapshot.processes.get(index);
    let pids: BTreeMap<u32, usize> = order
        .iter()
        .filter_map(|index| Some((*index, process(*index)?)))
        .filter(|(_, process)| process.ended.is_none())
        .map(|(index, process)| (process.key.pid, index))
        .collect();
    let mut children: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut parent_of: BTreeMap<usize, u32> = BTreeMap::new();
    for index in order {
        let facts = process(*index).and_then(|process| process.facts.as_ref());
        if let Some(Ok(parent)) = facts.map(|facts| &facts.parent)
            && *parent > 1
            && process(*index).is_some_and(|process| process.key.pid != *parent)
        {
            children.entry(*parent).or_default().push(*index);
            parent_of.insert(*index, *parent);
        }
    }
    let mut rows = Vec::with_capacity(order.len());
    let mut done = BTreeSet::new();
    for index in order {
        if done.contains(index) {
            continue;
        }
        // A parent in the table comes with its children: this one waits for it.
        match parent_of.get(index) {
            Some(parent) if pids.contains_key(parent) => {}
            Some(parent) if children.get(parent).is_some_and(|siblings| siblings.len() > 1) => {
                rows.push(Row { kind: RowKind::Parent(*parent), depth: 0 });
                for sibling in children.get(parent).into_iter().flatten() {
                    descend(snapshot, *sibling, 1, &children, &mut done, &mut rows);
                }
            }
            _ => descend(snapshot, *index, 0, &children, &mut done, &mut rows),
        }
    }
    // Parents that name each other (a PID reused between two reads) would never be reached.
    for index in order {
        descend(snapshot, *index, 0, &children, &mut done, &mut rows);
    }
    rows
}

/// Deeper than this the tree only moves the command out of sight.
const DEPTH_AT_MOST: u16 = 6;

fn descend(
    snapshot: &Snapshot,
    index: usize,
    depth: u16,
    children: &BTreeMap<u32, Vec<usize>>,
    done: &mut BTreeSet<usize>,
    rows: &mut Vec<Row>,
) {
    if !done.insert(index) {
        return;
    }
    rows.push(Row { kind: RowKind::Process(index), depth });
    let Some(process) = snapshot.processes.get(index).filter(|process| process.ended.is_none()) else {
        return;
    };
    for child in children.get(&process.key.pid).into_iter().flatten() {
        descend(snapshot, *child, (depth + 1).min(DEPTH_AT_MOST), children, done, rows);
    }
}

/// A process's value in the sort column; absent ones come last in either order.
#[derive(Debug)]
struct Key {
    ended: bool,
    number: Option<f64>,
    text: Option<String>,
}

impl Key {
    fn of(process: &Process, sort: SortKey) -> Self {
        let number = |number: f64| (Some(number), None);
        let text = |text: Option<String>| (None, text);
        let facts = process.facts.as_deref();
        let host = process.host.as_ref();
        let (number, text) = match sort {
            SortKey::Pid => number(f64::from(process.key.pid)),
            SortKey::User => text(facts.and_then(|facts| Some(facts.user.as_ref().ok()?.to_string()))),
            SortKey::Gpu => (process.gpus.iter().filter_map(|gpu| gpu.index).min().map(f64::from), None),
            SortKey::Kind => number(process.gpus.iter().map(|gpu| kind_rank(gpu.kind)).fold(9.0, f64::min)),
            SortKey::Memory => (process.memory().ok().map(|bytes| bytes.0 as f64), None),
            SortKey::Sm => (process.sm().ok().map(|percent| f64::from(percent.0)), None),
            SortKey::Cpu => (process.cpu.as_ref().ok().map(|percent| f64::from(percent.0)), None),
            SortKey::HostMemory => (host.and_then(|host| Some(host.resident.as_ref().ok()?.0 as f64)), None),
            // The earlier it began, the older it is.
            SortKey::Age => (facts.and_then(|facts| Some(-(facts.started.as_ref().ok()?.0 as f64))), None),
            SortKey::Placement => text(facts.and_then(placement)),
            SortKey::Command => text(facts.map(command_text)),
        };
        Self { ended: process.ended.is_some(), number, text: text.map(|text| text.to_lowercase()) }
    }
}

fn kind_rank(kind: ProcessKind) -> f64 {
    match kind {
        ProcessKind::Compute => 0.0,
        ProcessKind::Mps => 1.0,
        ProcessKind::ComputeGraphics => 2.0,
        ProcessKind::Graphics => 3.0,
    }
}

fn compare(a: &Key, b: &Key, table: &ProcessesState) -> Ordering {
    let descending = table.sort.descends() != table.reversed;
    let turn = |order: Ordering| if descending { order.reverse() } else { order };
    let by_number = match (a.number, b.number) {
        (Some(a), Some(b)) => turn(a.total_cmp(&b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let by_text = match (&a.text, &b.text) {
        (Some(a), Some(b)) => turn(a.cmp(b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    a.ended.cmp(&b.ended).then(by_number).then(by_text)
}

/// Whether every term occurs in something that the table or its details show of the process.
fn matches(process: &Process, terms: &[String]) -> bool {
    if terms.is_empty() {
        return true;
    }
    let mut text = process.key.pid.to_string();
    for share in &process.gpus {
        if let Some(index) = share.index {
            // Writing to a String cannot fail.
            let _ = write!(text, " gpu:{index}");
        }
    }
    text.push(' ');
    if let Some(facts) = process.facts.as_deref() {
        let mut add = |part: &str| {
            text.push(' ');
            text.push_str(part);
        };
        for part in [&facts.user, &facts.name].into_iter().flatten() {
            add(part);
        }
        for argument in facts.command.iter().flatten() {
            add(argument);
        }
        if let Some(container) = &facts.container {
            add(&container.runtime);
            add(&container.id);
        }
        for part in [&facts.pod, &facts.slurm_job, &facts.unit].into_iter().flatten() {
            add(part);
        }
        if facts.slurm_job.is_some() {
            add("slurm");
        }
    }
    text.push(' ');
    let text = text.to_lowercase();
    terms.iter().all(|term| {
        // `gpu:1` must not find `gpu:12`.
        if term.starts_with("gpu:") {
            text.contains(&format!(" {term} "))
        } else {
            text.contains(term.as_str())
        }
    })
}

/// The command line, or the short name where the command line cannot be read.
fn command_text(facts: &ProcessFacts) -> String {
    match (&facts.command, &facts.name) {
        (Ok(arguments), _) if !arguments.is_empty() => arguments.join(" "),
        (_, Ok(name)) => name.to_string(),
        _ => String::new(),
    }
}

/// Whose job it is, the most telling name first: Slurm job, pod, container, systemd unit.
pub(crate) fn placement(facts: &ProcessFacts) -> Option<String> {
    let short = |id: &str| id.chars().take(12).collect::<String>();
    if let Some(job) = &facts.slurm_job {
        return Some(format!("slurm {job}"));
    }
    if let Some(pod) = &facts.pod {
        return Some(format!("pod {}", short(pod)));
    }
    if let Some(container) = &facts.container {
        return Some(format!("{} {}", container.runtime, short(&container.id)));
    }
    facts.unit.as_ref().map(ToString::to_string)
}
