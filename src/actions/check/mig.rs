//! What stands in the way of making and destroying MIG instances.

use super::super::command::smi_address;
use super::super::facts::GpuFacts;
use super::super::mig::MigFacts;
use super::super::plan::{Refusal, RefusalKind};
use super::refusal;
use crate::model::Absence;

/// MIG mode has to be on: turning it on takes a reset, which is a plan of its own.
fn mode(gpu: &GpuFacts, found: &mut Vec<Refusal>) -> bool {
    let (kind, reason) = match &gpu.mig {
        Ok(true) => return true,
        Ok(false) => (
            RefusalKind::Mig,
            format!(
                "MIG mode is off: it is turned on with nvidia-smi -i {} -mig 1, and takes a reset of the GPU",
                gpu.address.as_deref().map_or_else(|| "ADDRESS".to_owned(), smi_address)
            ),
        ),
        Err(Absence::NotSupported) => (RefusalKind::NotSupported, "this GPU knows no MIG".to_owned()),
        Err(absence) => (RefusalKind::Unread, format!("the MIG mode could not be read: {absence}")),
    };
    found.push(refusal(kind, reason));
    false
}

pub(super) fn create(gpu: &GpuFacts, wanted: &[String], found: &mut Vec<Refusal>) {
    if !mode(gpu, found) {
        return;
    }
    if wanted.is_empty() || wanted.iter().any(|profile| !is_name(profile)) {
        found.push(refusal(
            RefusalKind::OutOfRange,
            "name profiles by number or name: 19, or 1g.18gb; kgtop act mig list has them",
        ));
        return;
    }
    let offered = match &gpu.mig_offered {
        Ok(offered) => offered,
        Err(absence) => {
            let reason = format!("the profiles that the GPU offers could not be read: {absence}");
            found.push(refusal(RefusalKind::Unread, reason));
            return;
        }
    };
    let names = || offered.iter().map(|p| format!("{} ({})", p.name, p.id)).collect::<Vec<_>>().join(", ");
    for profile in wanted {
        if !offered.iter().any(|known| known.is_called(profile)) {
            found.push(refusal(
                RefusalKind::NotSupported,
                format!("the GPU has no profile {profile}; it has {}", names()),
            ));
        }
    }
    for profile in offered {
        let asked = wanted.iter().filter(|name| profile.is_called(name)).count();
        if let Ok(free) = profile.free
            && asked > usize::try_from(free).unwrap_or(usize::MAX)
        {
            found.push(refusal(
                RefusalKind::OutOfRange,
                format!("{asked} of {} are asked for, and there is room for {free}", profile.name),
            ));
        }
    }
}

/// It becomes an argument: letters, digits and what profile names have.
fn is_name(profile: &str) -> bool {
    let first = profile.chars().next().is_some_and(|c| c.is_ascii_digit());
    first && profile.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+'))
}

pub(super) fn destroy(gpu: &GpuFacts, number: Option<u32>, found: &mut Vec<Refusal>) {
    if !mode(gpu, found) {
        return;
    }
    let instances = match &gpu.mig_instances {
        Ok(instances) => instances,
        Err(absence) => {
            let reason = format!("the MIG instances could not be read: {absence}");
            found.push(refusal(RefusalKind::Unread, reason));
            return;
        }
    };
    let meant: Vec<&MigFacts> = instances
        .iter()
        .filter(|instance| number.is_none_or(|number| instance.instance == Ok(number)))
        .collect();
    if meant.is_empty() {
        let there: Vec<String> = instances.iter().map(MigFacts::name).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        let what = number.map_or_else(|| "instance".to_owned(), |number| format!("GPU instance {number}"));
        found.push(refusal(
            RefusalKind::NotSupported,
            format!("there is no {what} to destroy; there are: {there}"),
        ));
    }
    for instance in meant {
        match &instance.processes {
            Ok(pids) => found.extend(pids.iter().map(|pid| {
                let reason = format!("PID {pid} runs on {}: end it or let it finish", instance.name());
                refusal(RefusalKind::Held, reason)
            })),
            Err(absence) => found.push(refusal(
                RefusalKind::Unread,
                format!("the processes on {} could not be read: {absence}", instance.name()),
            )),
        }
    }
}
