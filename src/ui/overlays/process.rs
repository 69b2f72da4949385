//! Everything about one process.

use super::{Line, labelled, labelled_reading};
use crate::app::State;
use crate::model::{Process, ProcessFacts, ProcessKey, ProcessKind, ProcessUtilization, Reading};
use crate::ui::theme::Role;
use crate::ui::words;
use std::time::Duration;

pub(super) fn lines(state: &State, key: ProcessKey, columns: u16) -> Vec<Line> {
    let found = state.snapshot().and_then(|s| Some((s, s.processes.iter().find(|p| p.key == key)?)));
    let Some((snapshot, process)) = found else {
        let gone = format!("Process {} is no longer in the list.", key.pid);
        return vec![vec![(gone, Role::Muted)]];
    };
    let mut lines = labelled("PID", &pid(process), Role::Strong, columns);
    if let Some(ended) = process.ended {
        let ago = words::duration(snapshot.mono.since(ended));
        lines.extend(labelled(
            "ended",
            &format!("{ago} ago; what follows was last seen"),
            Role::Warning,
            columns,
        ));
    }
    if let Some(facts) = process.facts.as_deref() {
        if !facts.visible {
            let text = "outside this PID namespace: run kgtop on the host to see more";
            lines.extend(labelled("", text, Role::Warning, columns));
        }
        lines.extend(labelled_reading("user", &facts.user, columns));
        lines.extend(labelled_reading("name", &facts.name, columns));
        lines.extend(labelled_reading("parent", &facts.parent, columns));
        lines.extend(started(state, facts, snapshot.wall.0, columns));
    }
    lines.extend(shares(process, columns));
    for load in snapshot.storage.loads.iter().filter(|load| load.usage.key == key) {
        lines.extend(labelled("model", &words::model_use(load), Role::Text, columns));
    }
    lines.extend(labelled_reading("CPU", &process.cpu, columns));
    if let Some(host) = &process.host {
        lines.extend(labelled_reading("host memory", &host.resident, columns));
        if let Ok(letter) = host.state {
            let (text, role) = match letter {
                'D' => {
                    ("D: in uninterruptible sleep, cannot be killed until the kernel lets go", Role::Critical)
                }
                'Z' => ("Z: dead, not yet collected by its parent", Role::Warning),
                'T' | 't' => ("T: stopped", Role::Warning),
                'R' => ("R: running", Role::Text),
                _ => ("S: sleeping", Role::Text),
            };
            lines.extend(labelled("state", text, role, columns));
        }
    }
    if let Some(facts) = process.facts.as_deref() {
        lines.extend(place(facts, columns));
    }
    lines
}

fn pid(process: &Process) -> String {
    let inner = process.facts.as_ref().and_then(|facts| facts.inner_pid);
    match inner {
        Some(inner) => format!("{} ({inner} inside its container)", process.key.pid),
        None => process.key.pid.to_string(),
    }
}

fn started(state: &State, facts: &ProcessFacts, now: i64, columns: u16) -> Vec<Line> {
    let text: Reading<String> = facts.started.as_ref().map_err(Clone::clone).map(|started| {
        let ago = u64::try_from(now.saturating_sub(started.0)).unwrap_or(0);
        let offset = state.settings.utc_offset_seconds;
        let date = words::date(started.0, offset);
        let time = words::time_of_day(started.0, offset);
        format!("{} ago, {date} {time} {}", words::duration(Duration::from_micros(ago)), words::zone(offset))
    });
    labelled_reading("started", &text, columns)
}

fn shares(process: &Process, columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    for share in &process.gpus {
        let name = share.index.map_or_else(|| share.gpu.to_string(), |index| index.to_string());
        let instance = share.gpu_instance.map_or_else(String::new, |id| format!(" MIG {id}"));
        let kind = match share.kind {
            ProcessKind::Compute => "compute",
            ProcessKind::Graphics => "graphics",
            ProcessKind::Mps => "compute through MPS",
            ProcessKind::ComputeGraphics => "compute and graphics",
        };
        let (memory, _) = words::reading(&share.memory, Role::Text);
        let work = match &share.utilization {
            Ok(ProcessUtilization { sm, memory, encoder, decoder, .. }) => {
                format!("SM {sm}, memory interface {memory}, encoder {encoder}, decoder {decoder}")
            }
            Err(absence) => format!("SM {}", absence.label()),
        };
        let text = format!("{kind}, VRAM {memory}, {work}");
        lines.extend(labelled(&format!("GPU {name}{instance}"), &text, Role::Text, columns));
    }
    lines
}

fn place(facts: &ProcessFacts, columns: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(job) = &facts.slurm_job {
        lines.extend(labelled("Slurm job", job, Role::Text, columns));
    }
    if let Some(pod) = &facts.pod {
        lines.extend(labelled("pod", pod, Role::Text, columns));
    }
    if let Some(container) = &facts.container {
        let text = format!("{} {}", container.runtime, container.id);
        lines.extend(labelled("container", &text, Role::Text, columns));
    }
    if let Some(unit) = &facts.unit {
        lines.extend(labelled("unit", unit, Role::Text, columns));
    }
    lines.extend(labelled_reading("cgroup", &facts.cgroup, columns));
    let command = facts.command.as_ref().map_err(Clone::clone).map(|arguments| arguments.join(" "));
    lines.extend(labelled_reading("command", &command, columns));
    match &facts.environment {
        Ok(variables) if variables.is_empty() => {
            lines.extend(labelled("environment", "nothing of interest set", Role::Muted, columns));
        }
        Ok(variables) => {
            for (index, (name, value)) in variables.iter().enumerate() {
                let label = if index == 0 { "environment" } else { "" };
                lines.extend(labelled(label, &format!("{name}={value}"), Role::Text, columns));
            }
        }
        Err(absence) => lines.extend(labelled("environment", absence.label(), Role::Absent, columns)),
    }
    lines
}
