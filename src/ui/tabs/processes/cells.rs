//! The cells of one row of the process table.

use crate::app::State;
use crate::app::processes::{Row, RowKind, SortKey, placement};
use crate::model::{
    Absence, Gpu, GpuState, Process, ProcessFacts, ProcessGpu, ProcessKind, Reading, Snapshot, known,
};
use crate::ui::theme::Role;
use crate::ui::words;
use crate::units::{Percent, format_age};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// A row with what it shows.
pub(super) struct Cells<'a> {
    what: What<'a>,
    snapshot: &'a Snapshot,
    depth: u16,
    /// Nothing here moves any more: the data is late.
    late: bool,
}

enum What<'a> {
    Process(&'a Process),
    Unattributed(&'a Gpu),
    Parent(u32),
    Gone,
}

impl<'a> Cells<'a> {
    pub(super) fn new(state: &State, snapshot: &'a Snapshot, row: Row) -> Self {
        let what = match row.kind {
            RowKind::Process(index) => snapshot.processes.get(index).map_or(What::Gone, What::Process),
            RowKind::Unattributed(index) => snapshot.gpus.get(index).map_or(What::Gone, What::Unattributed),
            RowKind::Parent(pid) => What::Parent(pid),
        };
        let late = state.is_stale();
        Self { what, snapshot, depth: row.depth, late }
    }

    /// D for a process that nothing can end, Z for a dead one, a dagger for an ended one.
    pub(super) fn mark(&self) -> (&'static str, Role) {
        match self.what {
            What::Process(process) if process.ended.is_some() => ("†", Role::Stale),
            What::Process(process) => match process.host.as_ref().and_then(|host| known(&host.state)) {
                Some('D') => ("D", Role::Critical),
                Some('Z') => ("Z", Role::Warning),
                Some('T' | 't') => ("T", Role::Warning),
                _ => (" ", Role::Text),
            },
            What::Unattributed(_) => ("!", Role::Warning),
            What::Parent(_) | What::Gone => (" ", Role::Text),
        }
    }

    pub(super) fn cell(&self, column: SortKey) -> (String, Role) {
        match self.what {
            What::Process(process) => {
                let (text, role) = self.of_process(process, column);
                let past = process.ended.is_some() || self.late || self.is_of_silent_gpus(process, column);
                (text, if past { Role::Stale } else { role })
            }
            What::Unattributed(gpu) => of_unattributed(gpu, column),
            What::Parent(pid) => match column {
                SortKey::Pid => (pid.to_string(), Role::Muted),
                SortKey::Command => ("parent, holds no GPU itself".into(), Role::Muted),
                _ => (String::new(), Role::Muted),
            },
            What::Gone => (String::new(), Role::Muted),
        }
    }

    /// Whether a column says what only GPUs tell of which none answers any more.
    fn is_of_silent_gpus(&self, process: &Process, column: SortKey) -> bool {
        let silent =
            |share: &ProcessGpu| self.snapshot.gpu(&share.gpu).is_some_and(|gpu| gpu.state != GpuState::Ok);
        matches!(column, SortKey::Memory | SortKey::Sm) && process.gpus.iter().all(silent)
    }

    fn of_process(&self, process: &Process, column: SortKey) -> (String, Role) {
        let facts = process.facts.as_deref();
        match column {
            SortKey::Pid => (process.key.pid.to_string(), Role::Text),
            SortKey::User => fact(facts, |facts| facts.user.clone()),
            SortKey::Gpu => (gpus(process), Role::Text),
            SortKey::Kind => (kind(process).into(), Role::Muted),
            SortKey::Memory => words::reading(&process.memory(), Role::Strong),
            SortKey::Sm => words::reading(&process.sm(), Role::Text),
            SortKey::Cpu => words::reading(&process.cpu.clone().map(|cpu| Percent(cpu.0)), Role::Text),
            SortKey::HostMemory => match &process.host {
                Some(host) => words::reading(&host.resident, Role::Text),
                None => words::absent(&Absence::NotRequested),
            },
            SortKey::Age => fact(facts, |facts| {
                let age = self.snapshot.wall.0.saturating_sub(facts.started.clone()?.0);
                Ok(format_age(Duration::from_micros(u64::try_from(age).unwrap_or(0))))
            }),
            SortKey::Placement => (facts.and_then(placement).unwrap_or_else(|| "–".into()), Role::Muted),
            SortKey::Command => self.command(process, facts),
        }
    }

    fn command(&self, process: &Process, facts: Option<&ProcessFacts>) -> (String, Role) {
        let indent = match self.depth {
            0 => String::new(),
            depth => format!("{}└ ", "  ".repeat(usize::from(depth - 1))),
        };
        let note = process.ended.map_or_else(String::new, |ended| {
            format!("ended {} ago · ", format_age(self.snapshot.mono.since(ended)))
        });
        // The model says more of a process than its first arguments.
        let model = self.snapshot.storage.loads.iter().find(|load| load.usage.key == process.key);
        let note = match model {
            Some(load) if load.loading() => format!("{note}▶ {} · ", words::model_use(load)),
            Some(load) => format!("{note}{} · ", load.usage.name),
            None => note,
        };
        let Some(facts) = facts else { return (format!("{indent}{note}–"), Role::Absent) };
        if !facts.visible {
            return (format!("{indent}{note}outside this PID namespace"), Role::Absent);
        }
        let (text, role) = match (&facts.command, &facts.name) {
            (Ok(arguments), _) if !arguments.is_empty() => (short_command(arguments), Role::Text),
            (_, Ok(name)) => (format!("[{name}]"), Role::Text),
            (Err(absence), _) | (_, Err(absence)) => words::absent(absence),
        };
        (format!("{indent}{note}{text}"), role)
    }
}

/// The command line with the program's name only: the way to it (`/opt/venv/bin/`) would take all the room.
fn short_command(arguments: &[Arc<str>]) -> String {
    let (program, rest) =
        arguments.split_first().map_or(("", arguments), |(program, rest)| (&**program, rest));
    // A title that a program gave itself may hold slashes and spaces: it stays as it is.
    let is_path = program.starts_with('/') && !program.contains(' ');
    let name = if is_path { program.rsplit('/').next().unwrap_or(program) } else { program };
    std::iter::once(name).chain(rest.iter().map(|argument| &**argument)).collect::<Vec<_>>().join(" ")
}

fn fact<T: Display>(
    facts: Option<&ProcessFacts>,
    read: impl Fn(&ProcessFacts) -> Reading<T>,
) -> (String, Role) {
    words::reading(&facts.map_or(Err(Absence::NotRequested), read), Role::Text)
}

/// Numbers of the GPUs, runs of three and more shortened: `0-3,6`.
fn gpus(process: &Process) -> String {
    let mut numbers: Vec<u32> = process.gpus.iter().filter_map(|share| share.index).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return "–".into();
    }
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let run = |(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    let mut text = runs.iter().map(run).collect::<Vec<_>>().join(",");
    let instance = process.gpus.iter().find_map(|share| share.gpu_instance);
    if let Some(instance) = instance {
        text = format!("{text}:{instance}");
    }
    text
}

fn kind(process: &Process) -> &'static str {
    let has = |wanted: ProcessKind| process.gpus.iter().any(|share| share.kind == wanted);
    let compute = has(ProcessKind::Compute) || has(ProcessKind::ComputeGraphics);
    let graphics = has(ProcessKind::Graphics) || has(ProcessKind::ComputeGraphics);
    match (has(ProcessKind::Mps), compute, graphics) {
        (true, ..) => "M",
        (_, true, true) => "C+G",
        (_, false, true) => "G",
        _ => "C",
    }
}

fn of_unattributed(gpu: &Gpu, column: SortKey) -> (String, Role) {
    match column {
        SortKey::Gpu => (gpu.index().map_or_else(|| "–".into(), |index| index.to_string()), Role::Text),
        SortKey::Memory => words::reading(&gpu.unattributed, Role::Warning),
        SortKey::Pid => ("–".into(), Role::Muted),
        SortKey::Command => {
            ("no owner: in use by no process; a dead context, or another namespace".into(), Role::Warning)
        }
        _ => (String::new(), Role::Muted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_stands_without_the_way_to_it() {
        let command =
            |line: &[&str]| short_command(&line.iter().map(|part| Arc::from(*part)).collect::<Vec<_>>());
        assert_eq!(command(&["/opt/venv/bin/python", "-u", "/srv/train.py"]), "python -u /srv/train.py");
        assert_eq!(command(&["python3"]), "python3");
        assert_eq!(
            command(&["/usr/bin/sshd: worker [listener] a/b"]),
            "/usr/bin/sshd: worker [listener] a/b"
        );
        assert_eq!(command(&[]), "");
    }
}
