//! What a change costs: what is lost with the command that brings it back, and how schedulers take work away first.

use super::change::Change;
use super::command::gpu_command;
use super::facts::{GpuFacts, HolderFacts, milliwatts};
use super::mig::MigFacts;
use super::plan::Loss;
use super::settings::EccCounters;
use crate::model::known;

pub(super) fn losses(gpu: &GpuFacts, change: &Change, address: &str) -> Vec<Loss> {
    let loss = |what: &str, restore: Option<String>| Loss { what: what.to_owned(), restore };
    match change {
        Change::Persistence { on: false } => vec![loss(
            "power limit, clock locks and volatile ECC counters, as soon as the last client leaves",
            None,
        )],
        Change::ClearEcc { counters } => {
            vec![loss(&format!("the {} ECC counters", counters.name()), None)]
        }
        Change::UnlockClocks { .. } => {
            vec![loss("the lock that is set, if one is: the driver does not tell which", None)]
        }
        Change::Reset | Change::LastResort { .. } => reset_losses(gpu, address),
        Change::DefaultApplicationClocks => {
            vec![loss("the application clocks that are set", None)]
        }
        Change::MigDestroy { instance } => mig_losses(gpu, *instance, address),
        _ => Vec::new(),
    }
}

fn reset_losses(gpu: &GpuFacts, address: &str) -> Vec<Loss> {
    let mut lost = Vec::new();
    let mut push = |what: String, restore: Option<String>| lost.push(Loss { what, restore });
    if let (Ok(limit), Ok(default)) = (&gpu.power_limit, &gpu.default_power_limit)
        && limit != default
    {
        let again = Change::PowerLimit { milliwatts: milliwatts(*limit) };
        push(format!("power limit {}", again.wanted()), Some(gpu_command(address, &again)));
    }
    push("clock locks and application clocks, if any are set".to_owned(), None);
    if let Some(mode) = known(&gpu.compute_mode).and_then(super::ComputeMode::from_number)
        && mode != super::ComputeMode::Default
    {
        push(
            format!("compute mode {}", mode.name()),
            Some(gpu_command(address, &Change::ComputeMode { mode })),
        );
    }
    let layout = again(gpu.mig_instances.iter().flatten());
    if let Change::MigCreate { profiles } = &layout
        && !profiles.is_empty()
    {
        push(format!("MIG layout {}", profiles.join(",")), Some(gpu_command(address, &layout)));
    }
    let counts = gpu.current(&Change::ClearEcc { counters: EccCounters::Volatile });
    push(
        counts.map_or_else(
            || "volatile ECC counters".to_owned(),
            |counts| format!("volatile ECC counters: {counts} (this plan in the audit log keeps them)"),
        ),
        None,
    );
    push("ranks on other GPUs of a job that uses this one will hang".to_owned(), None);
    lost
}

/// The change that makes the instances again that are destroyed, under other UUIDs; `None` where a profile is not
/// known.
pub(super) fn made_again(gpu: &GpuFacts, number: Option<u32>) -> Option<Change> {
    let is_meant = |instance: &&MigFacts| number.is_none_or(|number| instance.instance == Ok(number));
    let meant: Vec<&MigFacts> = gpu.mig_instances.iter().flatten().filter(is_meant).collect();
    let known = !meant.is_empty() && meant.iter().all(|instance| instance.profile.is_ok());
    known.then(|| again(meant.into_iter()))
}

/// The change that makes these instances again; where a profile is not known nothing stands for it.
fn again<'a>(instances: impl Iterator<Item = &'a MigFacts>) -> Change {
    Change::MigCreate { profiles: instances.filter_map(|instance| instance.profile.clone().ok()).collect() }
}

fn mig_losses(gpu: &GpuFacts, number: Option<u32>, address: &str) -> Vec<Loss> {
    let is_meant = |instance: &&MigFacts| number.is_none_or(|number| instance.instance == Ok(number));
    let meant = || gpu.mig_instances.iter().flatten().filter(is_meant);
    let names: Vec<String> = meant().map(MigFacts::name).collect();
    if names.is_empty() {
        return Vec::new();
    }
    vec![
        Loss { what: names.join(", "), restore: Some(gpu_command(address, &again(meant()))) },
        Loss { what: "their UUIDs: an instance that is made again has another".to_owned(), restore: None },
    ]
}

/// The commands with which the schedulers of these processes take work away.
pub(super) fn drain(disturbed: &[HolderFacts], hostname: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut add = |command: String| {
        if !commands.contains(&command) {
            commands.push(command);
        }
    };
    for holder in disturbed {
        if let Some(job) = &holder.slurm_job {
            let job = job.split('.').next().unwrap_or(job);
            add(format!("scontrol update NodeName={hostname} State=DRAIN Reason=gpu"));
            add(format!("scancel {job}"));
        } else if holder.pod.is_some() {
            add(format!("kubectl drain {hostname} --ignore-daemonsets"));
        } else if let Some((runtime, id)) = &holder.container
            && ["docker", "podman"].contains(&runtime.as_str())
        {
            add(format!("{runtime} stop {}", id.chars().take(12).collect::<String>()));
        }
    }
    commands
}
