//! Plans for a GPU.

use super::change::{Change, format_watts};
use super::check;
use super::command::{gpu_command, steps};
use super::facts::{GpuFacts, HolderFacts, HostFacts, bus, milliwatts};
use super::losses::{drain, losses};
use super::plan::{PLAN_FORMAT, Plan, Target, Weight};
use super::settings::ClockDomain;
use crate::model::known;
use crate::units::Mono;

/// Typical throughput by power limit: per cent of the default, loss in per cent from and to. From the table in the
/// power chapter of the GPU administration guide this monitor follows; workloads differ.
const POWER_TABLE: [(u32, u32, u32); 4] = [(100, 0, 0), (85, 3, 5), (70, 10, 15), (50, 25, 35)];

/// Plans `change` for a GPU.
#[must_use]
pub fn plan_gpu(gpu: &GpuFacts, host: &HostFacts, change: Change, now: Mono) -> Plan {
    let address = gpu.address.clone().unwrap_or_default();
    let disturbed: Vec<HolderFacts> = gpu.holders.as_ref().cloned().unwrap_or_default();
    let expected = gpu.current(&change);
    let label = gpu.index.map_or_else(|| gpu.name.clone(), |index| format!("GPU {index}, {}", gpu.name));
    Plan {
        format: PLAN_FORMAT,
        boot_id: host.boot_id.clone(),
        made_at: now.0,
        already: matches!(
            change,
            Change::PowerLimit { .. } | Change::Persistence { .. } | Change::ComputeMode { .. }
        ) && expected.as_deref() == Some(change.wanted().as_str()),
        range: range(gpu, &change),
        command: gpu_command(&address, &change),
        steps: steps(gpu, &address, &change),
        drain: drain(&disturbed, &host.hostname),
        lost: losses(gpu, &change, &address),
        refusals: check::refusals(gpu, host, &change),
        lasting: lasting(gpu, &change),
        effect: effect(gpu, &change),
        undo: undo(gpu, &change),
        weight: weight(gpu, &change, &address),
        unseen: gpu.holders.as_ref().err().map(ToString::to_string),
        target: Target::Gpu { uuid: gpu.uuid.clone().unwrap_or_default(), address, label },
        expected,
        disturbed,
        change,
        digest: String::new(),
    }
    .sealed()
}

fn weight(gpu: &GpuFacts, change: &Change, address: &str) -> Weight {
    if change.is_destructive() {
        return Weight::Typed { text: typed(gpu, address) };
    }
    match change {
        Change::PowerLimit { .. } | Change::UnlockClocks { .. } | Change::DefaultApplicationClocks
            if gpu.holders.as_ref().is_ok_and(Vec::is_empty) =>
        {
            Weight::Key
        }
        _ => Weight::YesNo,
    }
}

/// What is typed for a GPU: bus and device, and the PCI domain where those do not tell it from every other one.
fn typed(gpu: &GpuFacts, address: &str) -> String {
    match address.split_once(':') {
        Some((domain, _)) if gpu.bus_is_shared || domain.chars().any(|digit| digit != '0') => {
            format!("{domain}:{}", bus(address))
        }
        _ => bus(address).to_owned(),
    }
}

fn range(gpu: &GpuFacts, change: &Change) -> Option<String> {
    match change {
        Change::PowerLimit { .. } => {
            let (least, most) = known(&gpu.power_range)?;
            let default = known(&gpu.default_power_limit)
                .map(|watts| format!(", default {}", format_watts(milliwatts(watts))))
                .unwrap_or_default();
            Some(format!(
                "{} to {}{default}",
                format_watts(milliwatts(least)),
                format_watts(milliwatts(most))
            ))
        }
        Change::LockClocks { domain, .. } => {
            let highest = match domain {
                ClockDomain::Graphics => known(&gpu.max_graphics_clock)?,
                ClockDomain::Memory => known(&gpu.max_memory_clock)?,
            };
            Some(format!("up to {highest}; the driver takes the nearest clocks it has"))
        }
        Change::ComputeMode { .. } => Some("default, exclusive-process or prohibited".to_owned()),
        Change::MigCreate { .. } => {
            let offered = gpu.mig_offered.as_ref().ok()?;
            let names: Vec<String> = offered
                .iter()
                .map(|profile| {
                    let free = known(&profile.free).map_or_else(|| "?".to_owned(), |free| free.to_string());
                    format!("{} ({}) {free} of {}", profile.name, profile.id, profile.most)
                })
                .collect();
            Some(format!("profile (number), how many more of how many: {}", names.join(", ")))
        }
        _ => None,
    }
}

fn effect(gpu: &GpuFacts, change: &Change) -> Option<String> {
    match change {
        Change::PowerLimit { milliwatts: wanted } => {
            let default = milliwatts(known(&gpu.default_power_limit)?);
            power_effect(*wanted, default)
        }
        Change::Persistence { on: true } => {
            Some("the driver stays loaded without clients: no seconds of waiting at the first use".to_owned())
        }
        Change::Persistence { on: false } => {
            Some("the driver unloads when the last client leaves; each first use then takes 1 to 3 s".to_owned())
        }
        Change::LockClocks { .. } => Some(
            "clocks stay within the range while power and temperature allow; the driver has no call that reads \
             a lock back"
                .to_owned(),
        ),
        Change::ComputeMode { .. } => Some("holds for processes that start from now on".to_owned()),
        Change::ClearEcc { .. } => {
            Some("the counters are written to the audit log first: they are evidence for a replacement".to_owned())
        }
        Change::DefaultApplicationClocks => {
            Some("clocks go up to the default again where an application clock held them down".to_owned())
        }
        Change::MigCreate { .. } => Some(
            "each instance is a device of its own, with its UUID; who names devices by MIG UUID has to be told; \
             kgtop act mig destroy takes them away again"
                .to_owned(),
        ),
        Change::MigDestroy { .. } => {
            Some("its memory and slices are free for other instances; its UUID is gone for good".to_owned())
        }
        Change::Reset => Some(
            "the GPU starts afresh within about ten seconds: pending row remaps take effect, what the driver asked \
             a reset for is done"
                .to_owned(),
        ),
        Change::LastResort { .. } => Some(
            "the driver initialises the GPU anew where a reset is refused or does not help; where this does not \
             help either, what is left is a reboot, then a power cycle"
                .to_owned(),
        ),
        Change::UnlockClocks { .. } => Some("clocks go as high as power and temperature allow".to_owned()),
        Change::Signal { .. } | Change::Renice { .. } => None,
    }
}

/// What the table says about a limit of `wanted` where `default` is the default; both mW.
fn power_effect(wanted: u32, default: u32) -> Option<String> {
    let percent = u64::from(wanted) * 100 / u64::from(default.max(1));
    if percent >= 100 {
        return Some(format!("{percent}% of the default: no loss of throughput"));
    }
    let below = POWER_TABLE.iter().find(|(at, ..)| u64::from(*at) <= percent);
    let above = POWER_TABLE.iter().rev().find(|(at, ..)| u64::from(*at) >= percent)?;
    Some(match below {
        Some((_, _, most)) => {
            format!(
                "{percent}% of the default: typically {} to {most}% less throughput under full load",
                above.1
            )
        }
        None => format!("{percent}% of the default: more than {}% less throughput under full load", above.2),
    })
}

fn undo(gpu: &GpuFacts, change: &Change) -> Option<Change> {
    Some(match change {
        Change::PowerLimit { .. } => Change::PowerLimit { milliwatts: milliwatts(known(&gpu.power_limit)?) },
        Change::LockClocks { domain, .. } => Change::UnlockClocks { domain: *domain },
        Change::Persistence { .. } => Change::Persistence { on: known(&gpu.persistence)? },
        Change::ComputeMode { .. } => {
            Change::ComputeMode { mode: super::ComputeMode::from_number(known(&gpu.compute_mode)?)? }
        }
        Change::MigDestroy { instance } => super::losses::made_again(gpu, *instance)?,
        _ => return None,
    })
}

fn lasting(gpu: &GpuFacts, change: &Change) -> String {
    match change {
        Change::PowerLimit { .. } => {
            let until = match gpu.persistence {
                Ok(true) => "until reboot or reset",
                Ok(false) => "only until the last client of the GPU leaves: persistence mode is off",
                Err(_) => "until the driver unloads",
            };
            format!("{until}; kgtop act power-limit … --print-unit prints a unit that sets it at each boot")
        }
        Change::LockClocks { .. } | Change::UnlockClocks { .. } => {
            "until reboot, reset, or the driver unloads".to_owned()
        }
        Change::Persistence { .. } => {
            "until reboot; systemctl enable --now nvidia-persistenced makes it last, systemctl disable --now \
             nvidia-persistenced undoes that"
                .to_owned()
        }
        Change::ComputeMode { .. } => "until reboot or reset".to_owned(),
        Change::MigCreate { .. } | Change::MigDestroy { .. } => {
            "until reboot or reset; nvidia-mig-parted with a unit of its own makes a layout last".to_owned()
        }
        Change::DefaultApplicationClocks => {
            "for good: the default is what reboot and reset give as well".to_owned()
        }
        Change::Reset | Change::LastResort { .. } => {
            "done once; settings are then as after a boot, and stay so until they are set again".to_owned()
        }
        _ => "for good".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effect_of_a_limit_lies_between_the_rows_of_the_table() {
        let at = |watts: u32| power_effect(watts * 1_000, 700_000).unwrap();
        assert_eq!(at(700), "100% of the default: no loss of throughput");
        assert_eq!(at(595), "85% of the default: typically 3 to 5% less throughput under full load");
        assert_eq!(at(560), "80% of the default: typically 3 to 15% less throughput under full load");
        assert_eq!(at(300), "42% of the default: more than 35% less throughput under full load");
    }

    #[test]
    fn the_bus_part_is_what_is_typed_with_the_domain_where_it_does_not_tell_one_gpu_from_another() {
        let mut gpu = super::super::tests::gpu();
        assert_eq!(typed(&gpu, "0000:41:00.0"), "41:00");
        assert_eq!(typed(&gpu, "0009:01:00.0"), "0009:01:00");
        gpu.bus_is_shared = true;
        assert_eq!(typed(&gpu, "0000:41:00.0"), "0000:41:00");
    }
}
