//! Plans for a process.

use super::change::Change;
use super::facts::{HostFacts, ProcessTarget};
use super::plan::{Loss, PLAN_FORMAT, Plan, Refusal, RefusalKind, Target, Weight};
use super::settings::signal_number;
use crate::units::Mono;

/// Least and greatest niceness (`setpriority(2)`).
const NICE: std::ops::RangeInclusive<i32> = -20..=19;

/// Plans `change` for a process.
#[must_use]
pub fn plan_process(target: &ProcessTarget, host: &HostFacts, change: Change, now: Mono) -> Plan {
    let holder = &target.holder;
    let pid = holder.pid;
    let name = holder.name.as_deref().unwrap_or("process");
    let user = holder.user.as_deref().unwrap_or("unknown user");
    let weight =
        if change.is_destructive() { Weight::Typed { text: pid.to_string() } } else { Weight::YesNo };
    Plan {
        format: PLAN_FORMAT,
        target: Target::Process { pid, start: holder.start, label: format!("{name} of {user}") },
        boot_id: host.boot_id.clone(),
        made_at: now.0,
        expected: target
            .nice
            .map(|nice| nice.to_string())
            .filter(|_| matches!(change, Change::Renice { .. })),
        already: matches!(&change, Change::Renice { nice } if target.nice == Some(*nice)),
        range: matches!(change, Change::Renice { .. })
            .then(|| "-20 (first) to 19 (last), default 0".to_owned()),
        command: command(pid, &change),
        steps: Vec::new(),
        disturbed: vec![holder.clone()],
        unseen: None,
        drain: Vec::new(),
        lost: losses(&change),
        refusals: refusals(target, host, &change),
        lasting: match change {
            Change::Renice { .. } => "until the process ends".to_owned(),
            _ => "for good".to_owned(),
        },
        effect: effect(&change),
        undo: match (&change, target.nice) {
            (Change::Renice { .. }, Some(nice)) => Some(Change::Renice { nice }),
            (Change::Signal { name }, _) if name == "STOP" => {
                Some(Change::Signal { name: "CONT".to_owned() })
            }
            _ => None,
        },
        weight,
        change,
        digest: String::new(),
    }
    .sealed()
}

fn command(pid: u32, change: &Change) -> String {
    match change {
        Change::Signal { name } => format!("kill -s {name} {pid}"),
        Change::Renice { nice } => format!("renice -n {nice} -p {pid}"),
        _ => String::new(),
    }
}

fn losses(change: &Change) -> Vec<Loss> {
    match change {
        Change::Signal { name } if ["KILL", "TERM", "INT", "QUIT", "HUP"].contains(&name.as_str()) => vec![
            Loss { what: "what the process has not saved".to_owned(), restore: None },
            Loss { what: "ranks of the same job on other GPUs will hang or fail".to_owned(), restore: None },
        ],
        _ => Vec::new(),
    }
}

fn effect(change: &Change) -> Option<String> {
    let Change::Signal { name } = change else { return None };
    Some(
        match name.as_str() {
            "TERM" => "asks the process to end; it may clean up, and may refuse",
            "INT" => "as Ctrl-C does",
            "KILL" => {
                "ends the process at once; one that is stuck in the driver stays until its call returns"
            }
            "STOP" => "holds the process still; its GPU memory stays taken",
            "CONT" => "lets a stopped process go on",
            _ => return None,
        }
        .to_owned(),
    )
}

fn refusals(target: &ProcessTarget, host: &HostFacts, change: &Change) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut refuse = |kind, reason: String| found.push(Refusal { kind, reason });
    if !host.pids_visible {
        refuse(
            RefusalKind::NotProven,
            "the driver names processes by their PID on the host, and /proc here shows the PIDs of a container: \
             the same number is another process here"
                .to_owned(),
        );
    } else if !target.visible || target.holder.start == 0 {
        refuse(
            RefusalKind::NotProven,
            format!(
                "PID {} cannot be proven to be the process on the GPU: /proc does not show it",
                target.holder.pid
            ),
        );
    }
    if target.holder.pid <= 1 {
        refuse(RefusalKind::NotProven, "PID 1 is never sent anything".to_owned());
    }
    match change {
        Change::Signal { name } if signal_number(name).is_none() => {
            refuse(RefusalKind::NotSupported, format!("{name} is no signal that kgtop sends"));
        }
        Change::Renice { nice } if !NICE.contains(nice) => {
            refuse(RefusalKind::OutOfRange, format!("{nice} is out of range: -20 to 19 can be set"));
        }
        Change::Renice { nice } if !host.is_root && target.nice.is_none_or(|now| *nice < now) => {
            refuse(
                RefusalKind::NotRoot,
                "only root can raise a process's priority: run it through sudo".to_owned(),
            );
        }
        Change::Signal { .. } | Change::Renice { .. } => {}
        _ => refuse(RefusalKind::WrongRemedy, "this is about a GPU, not a process".to_owned()),
    }
    found
}
