//! ECC, repair, links and modes of one GPU.

use super::{Line, label};
use crate::model::{Absence, Gpu, Health, Reading, Snapshot, known};
use crate::ui::tabs::gpus::overview::age_note;
use crate::ui::theme::Role;
use crate::ui::words;

/// ECC, repair, links: in one line each while all is well.
pub(super) fn health(snapshot: &Snapshot, gpu: &Gpu) -> Vec<Line> {
    let Some(read) = &gpu.health else {
        return vec![vec![label("health"), words::absent(&Absence::NotRequested)]];
    };
    let health = &read.value;
    let mut lines = ecc(health);
    lines.push(repair(health));
    if let Some(nvlinks) = &gpu.nvlinks
        && !nvlinks.value.is_empty()
    {
        let up = nvlinks.value.iter().filter(|link| matches!(link.active, Ok(true))).count();
        let all = nvlinks.value.len();
        let role = if up < all { Role::Warning } else { Role::Text };
        let errors = words::reading(
            &health.nvlink_errors.clone().map(|count| words::counted(count, "error")),
            Role::Muted,
        );
        lines.push(vec![label("NVLink"), (format!("{up} of {all} up   "), role), errors]);
    }
    let replays = health.pcie_replays.clone().map(|count| words::counted(count, "replay"));
    lines.push(vec![label("PCIe"), words::reading(&replays, Role::Text)]);
    lines.push(modes(health));
    let age = snapshot.age(read);
    // The slow tier is read once a minute: older than two of them is late.
    if age.as_secs() >= 120 {
        lines.push(vec![label(""), (age_note(age), Role::Stale)]);
    }
    lines
}

fn ecc(health: &Health) -> Vec<Line> {
    let counts = |corrected: u64, uncorrected: u64, era: &str, grave: Role| {
        let role = if uncorrected > 0 { grave } else { Role::Text };
        vec![
            (format!("{corrected} corrected, "), Role::Text),
            (format!("{uncorrected} uncorrected"), role),
            (format!(" {era}"), Role::Muted),
        ]
    };
    let line = |name: &str, pieces: Line| [vec![label(name)], pieces].concat();
    let volatile =
        match (&health.ecc_enabled, &health.ecc_corrected_volatile, &health.ecc_uncorrected_volatile) {
            (Ok(false), ..) => return vec![line("ECC", vec![("off".into(), Role::Text)])],
            (_, Ok(corrected), Ok(uncorrected)) => {
                counts(*corrected, *uncorrected, "(volatile)", Role::Critical)
            }
            (_, Err(absence), _) | (_, _, Err(absence)) => vec![words::absent(absence)],
        };
    let mut lines = vec![line("ECC", volatile)];
    // What lies longer back is worth a line only when there is something.
    if let (Ok(corrected), Ok(uncorrected)) =
        (&health.ecc_corrected_aggregate, &health.ecc_uncorrected_aggregate)
        && (*corrected > 0 || *uncorrected > 0)
    {
        lines.push(line("", counts(*corrected, *uncorrected, "(aggregate)", Role::Warning)));
    }
    lines
}

/// Remapped rows; before Ampere, retired pages.
fn repair(health: &Health) -> Line {
    match (&health.remapped_corrected, &health.retired_single, &health.retired_double) {
        (Err(_), Ok(single), Ok(double)) => {
            let (note, role) = match known(&health.retired_pending) {
                Some(true) => (", one waits for a reboot", Role::Warning),
                _ => ("", Role::Text),
            };
            vec![
                label("pages"),
                (format!("{} retired", single.saturating_add(*double)), Role::Text),
                (note.into(), role),
            ]
        }
        _ => remap(health),
    }
}

fn remap(health: &Health) -> Line {
    match (&health.remapped_corrected, &health.remapped_uncorrected) {
        (Ok(corrected), Ok(uncorrected)) => {
            let (note, role) = match (known(&health.remap_failed), known(&health.remap_pending)) {
                (Some(true), _) => (", a remap FAILED", Role::Critical),
                (_, Some(true)) => (", one waits for a reset", Role::Warning),
                _ => ("", Role::Text),
            };
            vec![
                label("rows"),
                (format!("{} remapped", corrected.saturating_add(*uncorrected)), Role::Text),
                (note.into(), role),
            ]
        }
        (Err(absence), _) | (_, Err(absence)) => vec![label("rows"), words::absent(absence)],
    }
}

fn modes(health: &Health) -> Line {
    let on = |reading: &Reading<bool>| {
        words::reading(&reading.clone().map(|on| if on { "on" } else { "off" }), Role::Text)
    };
    vec![
        label("modes"),
        ("persistence ".into(), Role::Muted),
        on(&health.persistence),
        ("   MIG ".into(), Role::Muted),
        on(&health.mig),
    ]
}
