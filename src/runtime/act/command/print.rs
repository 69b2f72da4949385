//! What `kgtop act` prints.

use crate::actions::{
    Change, HostFacts, MigProfile, Outcome, Plan, Refusal, RefusalKind, Target, power_unit,
};
use crate::model::Reading;
use crate::runtime::commands::EXIT_REFUSED;
use color_eyre::eyre::{Context, Result};
use std::io::Write;
use std::process::ExitCode;

/// Exit status when some of several plans were carried out.
const EXIT_PARTLY: u8 = 5;

pub(super) fn plans_text(plans: &[Plan], host: &HostFacts) -> String {
    let mut text: String = plans.iter().map(|plan| plan.text() + "\n").collect();
    for plan in plans.iter().filter(|plan| plan.needs_only_root()) {
        text.push_str("with root's rights: ");
        text.push_str(&plan.sudo_line(&host.program));
        text.push('\n');
    }
    text
}

pub(super) fn report(plans: &[Plan], outcomes: &[Outcome], json: bool) -> Result<ExitCode> {
    if json {
        #[derive(serde::Serialize)]
        struct Entry<'a> {
            plan: &'a Plan,
            result: &'a Outcome,
        }
        let entries: Vec<Entry<'_>> =
            plans.iter().zip(outcomes).map(|(plan, result)| Entry { plan, result }).collect();
        say(&to_json(&entries))?;
    } else {
        for (plan, outcome) in plans.iter().zip(outcomes) {
            let (Target::Gpu { label, .. } | Target::Process { label, .. }) = &plan.target;
            say(&format!("{label}: {}\n", outcome.text()))?;
        }
    }
    let statuses: Vec<u8> = outcomes.iter().map(Outcome::exit_status).collect();
    let first = statuses.first().copied().unwrap_or(0);
    let done = statuses.contains(&0);
    Ok(ExitCode::from(match () {
        () if statuses.iter().all(|status| *status == first) => first,
        () if done => EXIT_PARTLY,
        () => 4,
    }))
}

pub(super) fn print_unit(plans: &[Plan]) -> Result<ExitCode> {
    // Out of range now is out of range at boot; who asks does not matter for a text.
    let wrong: Vec<&Refusal> =
        plans.iter().flat_map(|plan| &plan.refusals).filter(|r| r.kind != RefusalKind::NotRoot).collect();
    if let Some(refusal) = wrong.first() {
        say_error(&format!("refused: {}\n", refusal.reason));
        return Ok(ExitCode::from(EXIT_REFUSED));
    }
    let limits: Vec<(String, u32)> = plans
        .iter()
        .filter_map(|plan| match (&plan.target, &plan.change) {
            (Target::Gpu { address, .. }, Change::PowerLimit { milliwatts }) => {
                Some((address.clone(), *milliwatts))
            }
            _ => None,
        })
        .collect();
    let unit = power_unit(&limits);
    say_error(&format!(
        "# {}; nothing was installed. To install:\n{}\n# To undo:\n{}\n",
        unit.name, unit.install, unit.undo
    ));
    say(&unit.text)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

pub(super) fn say(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).wrap_err("standard output could not be written to")
        }
        _ => Ok(()),
    }
}

pub(super) fn say_error(text: &str) {
    let _closed = std::io::stderr().write_all(text.as_bytes());
}

/// Profiles of MIG instances, GPU by GPU.
pub(super) fn print_profiles(offered: &[(String, Reading<Vec<MigProfile>>)], json: bool) -> Result<ExitCode> {
    let failed = offered.iter().any(|(_, profiles)| profiles.is_err());
    if json {
        let entries: Vec<serde_json::Value> = offered
            .iter()
            .map(|(uuid, profiles)| match profiles {
                Ok(profiles) => serde_json::json!({
                    "uuid": uuid,
                    "profiles": profiles.iter().map(profile_json).collect::<Vec<_>>(),
                }),
                Err(absence) => serde_json::json!({ "uuid": uuid, "problem": absence.to_string() }),
            })
            .collect();
        say(&to_json(&entries))?;
    } else {
        for (uuid, profiles) in offered {
            say(&format!("{uuid}\n"))?;
            match profiles {
                Ok(profiles) => {
                    say(&format!(
                        "  {:>7}  {:<14} {:>11}  {:>4}  {:>4}\n",
                        "profile", "name", "memory", "free", "most"
                    ))?;
                    for profile in profiles {
                        let free = profile.free.as_ref().map_or_else(|_| "?".to_owned(), ToString::to_string);
                        say(&format!(
                            "  {:>7}  {:<14} {:>7} MiB  {free:>4}  {:>4}\n",
                            profile.id, profile.name, profile.memory_mib, profile.most
                        ))?;
                    }
                }
                Err(absence) => say(&format!("  profiles could not be read: {absence}\n"))?,
            }
        }
    }
    Ok(ExitCode::from(if failed { EXIT_REFUSED } else { 0 }))
}

fn profile_json(profile: &MigProfile) -> serde_json::Value {
    let mut value = serde_json::json!({
        "id": profile.id,
        "name": profile.name,
        "memory_mib": profile.memory_mib,
        "most": profile.most,
    });
    // Absent where the driver does not tell.
    if let (Ok(free), Some(object)) = (&profile.free, value.as_object_mut()) {
        object.insert("free".to_owned(), (*free).into());
    }
    value
}
