//! What there is to say of one GPU in words: findings first, then who uses it, its health, its identity.

mod health;

use super::overview::group;
use crate::app::State;
use crate::model::{Absence, Gpu, GpuState, Process, Reading, Snapshot, known, read};
use crate::ui::overlays::wrapped;
use crate::ui::tabs::past::{is_past, last_values};
use crate::ui::theme::Role;
use crate::ui::widgets::{Pen, fitted};
use crate::ui::words;
use crate::units::Bytes;
use ratatui::layout::Rect;
use std::fmt::Display;

type Line = Vec<(String, Role)>;

/// Width of a label.
const LABEL: usize = 9;
/// Processes that are named here; the processes tab has them all.
const PROCESSES: usize = 5;

pub(super) fn render(state: &State, snapshot: &Snapshot, gpu: &Gpu, area: Rect, pen: &mut Pen<'_>) {
    let past = is_past(state, gpu);
    let sections = [
        findings(state, snapshot, gpu, area.width),
        if past { vec![vec![(last_values(state, snapshot, gpu), Role::Stale)]] } else { Vec::new() },
        processes(snapshot, gpu),
        instances(gpu),
        throttle(gpu, area.width),
        memory(gpu),
        heat(gpu),
        health::health(snapshot, gpu),
        identity(gpu),
    ];
    let lines: usize = sections.iter().map(Vec::len).sum();
    // Air between the sections only where nothing is lost by it.
    let air = lines + sections.len() <= usize::from(area.height);
    let mut y = area.y;
    for (nth, section) in sections.iter().enumerate() {
        for line in section {
            if y >= area.bottom() {
                return;
            }
            let mut x = area.x;
            for (text, role) in line {
                let role = if past && nth > 0 { Role::Stale } else { *role };
                x = pen.text(x, y, area.right().saturating_sub(x), text, role);
            }
            y += 1;
        }
        y += u16::from(air && !section.is_empty());
    }
}

fn label(text: &str) -> (String, Role) {
    (format!("{text:<LABEL$}"), Role::Muted)
}

fn line<T: Display>(name: &str, reading: &Reading<T>) -> Line {
    vec![label(name), words::reading(reading, Role::Text)]
}

/// What was found about this GPU, with what to do about it.
fn findings(state: &State, snapshot: &Snapshot, gpu: &Gpu, columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    for verdict in state.verdicts().iter().filter(|verdict| verdict.gpu.as_ref() == Some(&gpu.id)) {
        let (mark, role) = words::mark(verdict.severity);
        let texts =
            [(&verdict.summary, role), (&verdict.evidence, Role::Muted), (&verdict.advice, Role::Text)];
        for (nth, (text, role)) in texts.into_iter().enumerate() {
            for (row, part) in wrapped(text, columns.saturating_sub(2)).into_iter().enumerate() {
                let mark = if nth == 0 && row == 0 { mark } else { " " };
                lines.push(vec![(format!("{mark} "), role), (part, role)]);
            }
        }
    }
    if lines.is_empty() {
        lines.push(match gpu.state {
            GpuState::Ok => vec![("✓ nothing to report".to_string(), Role::Good)],
            _ => {
                let age = snapshot.mono.since(gpu.state_since);
                words::state_words(gpu, age).into_iter().collect()
            }
        });
    }
    lines
}

/// The processes with the most memory here.
fn processes(snapshot: &Snapshot, gpu: &Gpu) -> Vec<Line> {
    let share = |process: &Process| {
        let shares = process.gpus.iter().filter(|share| share.gpu == gpu.id);
        shares.filter_map(|share| known(&share.memory)).max().unwrap_or_default()
    };
    let mut found: Vec<(&Process, Bytes)> = snapshot
        .processes
        .iter()
        .filter(|process| process.ended.is_none() && process.gpus.iter().any(|share| share.gpu == gpu.id))
        .map(|process| (process, share(process)))
        .collect();
    found.sort_by_key(|(process, memory)| (std::cmp::Reverse(*memory), process.key));
    let mut lines = Vec::new();
    for (index, (process, _)) in found.iter().take(PROCESSES).enumerate() {
        let memory = process
            .gpus
            .iter()
            .find(|share| share.gpu == gpu.id)
            .map_or(Err(Absence::NotRequested), |share| share.memory.clone());
        let (memory, role) = words::reading(&memory, Role::Text);
        let facts = process.facts.as_deref();
        let user = facts.and_then(|facts| known(&facts.user)).unwrap_or_else(|| "?".into());
        let name = facts.and_then(|facts| known(&facts.name)).unwrap_or_else(|| "?".into());
        lines.push(vec![
            label(if index == 0 { "processes" } else { "" }),
            (format!(" {:>7} ", process.key.pid), Role::Muted),
            (format!("{memory:>8} "), role),
            (format!("{:<8} ", fitted(&user, 8)), Role::Text),
            (name.to_string(), Role::Text),
        ]);
    }
    let others = found.len().saturating_sub(PROCESSES);
    if found.is_empty() {
        lines.push(vec![label("processes"), (" none".into(), Role::Muted)]);
    } else if others > 0 {
        lines.push(vec![label(""), (format!(" and {others} more [Enter]"), Role::Muted)]);
    }
    if let Ok(memory) = &gpu.unattributed
        && *memory >= Bytes(256 << 20)
    {
        lines.push(vec![
            label(""),
            (format!(" {:>7} ", "–"), Role::Muted),
            (format!("{memory:>8} owned by no process"), Role::Warning),
        ]);
    }
    lines
}

/// MIG instances, each with its memory.
fn instances(gpu: &Gpu) -> Vec<Line> {
    let Some(mig) = &gpu.mig else { return Vec::new() };
    let Ok(instances) = &mig.value else { return Vec::new() };
    let mut lines = Vec::new();
    for instance in instances {
        let id = known(&instance.gpu_instance).map_or_else(|| "–".into(), |id| id.to_string());
        let (profile, _) = words::reading(&instance.profile, Role::Text);
        let memory = match (&instance.memory_used, &instance.memory_total) {
            (Ok(used), Ok(total)) => (words::used_of(*used, *total), Role::Text),
            (Err(absence), _) | (_, Err(absence)) => words::absent(absence),
        };
        let first = lines.is_empty();
        lines.push(vec![
            label(if first { "MIG" } else { "" }),
            (format!(" {id:>2}  {profile:<10} "), Role::Text),
            memory,
        ]);
    }
    lines
}

/// The clock event reasons of now, and the seconds in them.
fn throttle(gpu: &Gpu, columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    match group(gpu.fast.as_ref(), |fast| fast.clock_events.clone()) {
        Err(absence) => lines.push(vec![label("throttle"), words::absent(&absence)]),
        Ok(events) => {
            for (short, long, role) in words::clock_events(events.any) {
                for (row, part) in wrapped(&long, columns.saturating_sub(20)).into_iter().enumerate() {
                    let first = row == 0;
                    lines.push(vec![
                        label(if lines.is_empty() { "throttle" } else { "" }),
                        (format!("{:<10} ", if first { short } else { "" }), role),
                        (part, Role::Text),
                    ]);
                }
            }
            if lines.is_empty() {
                lines.push(vec![label("throttle"), ("none".into(), Role::Text)]);
            }
        }
    }
    for reason in &gpu.throttle.seconds {
        if let Ok(seconds) = reason.last_10m
            && seconds >= 0.5
        {
            let name = reason.reason.replace('_', " ");
            lines.push(vec![label(""), (format!("{name}: {seconds:.0} s of the last 10 min"), Role::Muted)]);
        }
    }
    lines
}

fn memory(gpu: &Gpu) -> Vec<Line> {
    let live = gpu.live.as_ref();
    let used = group(live, |live| live.memory_used.clone());
    let free = group(live, |live| live.memory_free.clone());
    let reserved = group(live, |live| live.memory_reserved.clone());
    let part = |name: &str, reading: &Reading<Bytes>| {
        let (text, role) = words::reading(reading, Role::Text);
        [(text, role), (format!(" {name}   "), Role::Muted)]
    };
    let mut memory = vec![label("memory")];
    memory.extend(part("used", &used));
    memory.extend(part("free", &free));
    let mut apart = vec![label("")];
    apart.extend(part("reserved by the driver", &reserved));
    let clock = group(live, |live| live.memory_clock.clone());
    let heat = group(live, |live| live.memory_temperature.clone());
    let mut lines = vec![memory, apart];
    if clock.is_ok() || heat.is_ok() {
        let (clock, role) = words::reading(&clock, Role::Text);
        let (heat, heat_role) = words::reading(&heat, Role::Text);
        lines.push(vec![
            label(""),
            (clock, role),
            (" clock   ".into(), Role::Muted),
            (heat, heat_role),
            (" memory".into(), Role::Muted),
        ]);
    }
    lines
}

/// Where it slows down and where it gives up; the fan, where it has one of its own.
fn heat(gpu: &Gpu) -> Vec<Line> {
    let slowdown = words::reading(&read::threshold(gpu, |thresholds| &thresholds.slowdown), Role::Text);
    let shutdown = words::reading(&read::threshold(gpu, |thresholds| &thresholds.shutdown), Role::Text);
    let muted = |text: &str| (text.to_owned(), Role::Muted);
    let mut line = vec![label("heat"), slowdown, muted(" slowdown   "), shutdown, muted(" shutdown")];
    if let Ok(fan) = read::live(gpu, |live| &live.fan) {
        line.extend([(format!("   {fan}"), Role::Text), muted(" fan")]);
    }
    vec![line]
}

fn identity(gpu: &Gpu) -> Vec<Line> {
    let info = &gpu.info;
    let pair = |one: (&str, (String, Role)), two: (&str, (String, Role))| {
        let (text, role) = one.1;
        vec![label(one.0), (format!("{text:<16} "), role), (format!("{} ", two.0), Role::Muted), two.1]
    };
    let text = |reading: &Reading<std::sync::Arc<str>>| words::reading(reading, Role::Text);
    let number = |reading: &Reading<u32>| words::reading(reading, Role::Text);
    vec![
        line("UUID", &info.uuid),
        pair(("PCI", text(&info.pci_bus_id)), ("serial", text(&info.serial))),
        pair(("VBIOS", text(&info.vbios)), ("GSP", text(&info.gsp))),
        pair(("InfoROM", text(&info.inforom)), ("part", text(&info.board_part))),
        pair(("minor", number(&info.minor)), ("NUMA", number(&info.numa_node))),
        pair(("module", number(&info.module_id)), ("CPUs", text(&info.cpu_affinity))),
    ]
}
