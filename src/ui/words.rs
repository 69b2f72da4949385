//! Values as words: with their unit, or with the reason why there is none.

use super::theme::Role;
use crate::analysis::Severity;
use crate::analysis::clock_events::{self, ClockEventReason};
use crate::app::doctor::Failed;
use crate::model::{Absence, Gpu, GpuState, ModelAccess, ModelLoad, Reading, nvml_code};
use crate::units::{Bytes, format_age};
use std::fmt::Display;
use std::time::Duration;

/// A reading as text and role: the value in `role`, or the reason's label.
pub(super) fn reading<T: Display>(reading: &Reading<T>, role: Role) -> (String, Role) {
    match reading {
        Ok(value) => (value.to_string(), role),
        Err(absence) => absent(absence),
    }
}

/// The label of an absence.
pub(super) fn absent(absence: &Absence) -> (String, Role) {
    (absence.label().to_string(), Role::Absent)
}

/// The label of an absence in a column that is too narrow for it; values come back as they are.
pub(super) fn narrowed(text: String, role: Role, columns: u16) -> String {
    if role != Role::Absent || super::widgets::width(&text) <= columns {
        return text;
    }
    let short = match text.as_str() {
        "no perm" => "deny",
        "asleep" => "slp",
        "error" => "err",
        _ => return text,
    };
    if super::widgets::width(short) <= columns { short.into() } else { "–".into() }
}

/// How a process has a model, and how far it has read it: `loading Llama-3.1-8B at 3.10 GB/s (file position), 40% read`.
pub(super) fn model_use(load: &ModelLoad) -> String {
    let usage = &load.usage;
    let on = usage.mount.as_ref().map_or_else(|_| String::new(), |mount| format!(" on {mount}"));
    let files = match &usage.files_of_model {
        Ok(all) if *all > 1 => format!(", {} of {all} files", usage.files),
        _ => String::new(),
    };
    let part = load.done.as_ref().map_or_else(|_| String::new(), |part| format!(", {part} read"));
    let left =
        load.left.as_ref().map_or_else(|_| String::new(), |left| format!(", {} left", format_age(*left)));
    let how = match usage.access {
        ModelAccess::Open => "open",
        ModelAccess::Mapped => "mapped",
    };
    match &load.rate {
        Ok(rate) if load.loading() => {
            format!("loading {}{on} at {rate} ({}){files}{part}{left}", usage.name, load.source.title())
        }
        _ => format!("{}{on}, {how}{files}", usage.name),
    }
}

/// The mark of a severity: its shape says as much as its colour.
pub(super) const fn mark(severity: Severity) -> (&'static str, Role) {
    match severity {
        Severity::Info => ("i", Role::Info),
        Severity::Warning => ("!", Role::Warning),
        Severity::Critical => ("✗", Role::Critical),
    }
}

/// What a GPU's row says in place of its values.
pub(super) fn state_words(gpu: &Gpu, age: Duration) -> Option<(String, Role)> {
    let since = format_age(age);
    match gpu.state {
        GpuState::Ok => None,
        GpuState::Lost => {
            let words = match gpu.refusal {
                None | Some(nvml_code::GPU_IS_LOST) => format!("LOST from the bus {since} ago"),
                Some(nvml_code::RESET_REQUIRED) => format!("NEEDS A RESET for {since}"),
                Some(code) => format!("REFUSED by the driver for {since}: {}", nvml_code::code_words(code)),
            };
            Some((words, Role::Critical))
        }
        GpuState::Stalled => {
            let call = gpu.stuck.as_ref().map_or("a driver call", |call| &*call.call);
            Some((format!("STALLED in {call} for {since}"), Role::Critical))
        }
        GpuState::Asleep => Some(("asleep: left so, reading would wake it".into(), Role::Muted)),
        GpuState::NotOpened => {
            Some(("not read: opening the driver would keep GPUs from sleeping".into(), Role::Muted))
        }
        GpuState::NoDriver => Some(("no NVIDIA driver serves it".into(), Role::Warning)),
        GpuState::PassedThrough => Some(("belongs to a virtual machine (vfio-pci)".into(), Role::Muted)),
        GpuState::Unknown => Some(("in a state that only a newer kgtop knows".into(), Role::Warning)),
    }
}

/// The name without what all of them share.
pub(super) fn short_name(name: &str) -> &str {
    let name = name.strip_prefix("NVIDIA ").unwrap_or(name);
    name.strip_prefix("GeForce ").unwrap_or(name)
}

/// Names of the clock event reasons that fit into a cell, the gravest first. What they mean, and how grave they are,
/// stands in the catalogue.
const CLOCK_EVENTS: [(u64, &str); 11] = [
    (clock_events::HW_THERMAL_SLOWDOWN, "HW THERM"),
    (clock_events::HW_POWER_BRAKE_SLOWDOWN, "PWR BRAKE"),
    (clock_events::HW_SLOWDOWN, "HW SLOW"),
    (clock_events::SW_THERMAL_SLOWDOWN, "SW THERM"),
    (clock_events::SW_POWER_CAP, "pwr cap"),
    (0x200, "board"),
    (0x400, "reliable"),
    (0x10, "sync"),
    (0x02, "app clk"),
    (0x100, "display"),
    (clock_events::GPU_IDLE, "idle"),
];

fn clock_event_role(reason: &ClockEventReason) -> Role {
    match reason.severity {
        Severity::Critical => Role::Critical,
        Severity::Warning => Role::Warning,
        Severity::Info if reason.is_throttling() => Role::Info,
        Severity::Info => Role::Muted,
    }
}

/// The gravest of the clock event reasons of `mask`, short.
pub(super) fn clock_event(mask: u64) -> (&'static str, Role) {
    match clock_events(mask).first() {
        None => ("none", Role::Muted),
        Some((short, _, role)) => (short, *role),
    }
}

/// All clock event reasons of `mask`, the gravest first, explained; bits that no driver had yet are one more.
pub(super) fn clock_events(mask: u64) -> Vec<(&'static str, String, Role)> {
    let decoded = clock_events::decode(mask, None);
    let reason = |bit: u64| decoded.reasons.iter().find(|reason| reason.bit == bit);
    let mut found: Vec<_> = CLOCK_EVENTS
        .iter()
        .filter_map(|(bit, short)| {
            let reason = reason(*bit)?;
            Some((*short, reason.meaning.to_owned(), clock_event_role(reason)))
        })
        .collect();
    if decoded.unknown != 0 {
        found.push(("other", format!("reasons of a newer driver: {:#x}", decoded.unknown), Role::Info));
    }
    found
}

/// `used/total` in one unit, so that they can be compared: `118.2/141 GiB`.
pub(super) fn used_of(used: Bytes, total: Bytes) -> String {
    if total.0 >= 1 << 30 {
        format!("{:.1}/{:.0} GiB", used.gib(), total.gib())
    } else {
        format!("{:.0}/{:.0} MiB", used.mib(), total.mib())
    }
}

/// How many of something: `1 replay`, `2 replays`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What the doctor found, in a sentence.
pub(super) fn failed_checks(failed: &Failed) -> String {
    let first = if failed.count > 1 { ", the first" } else { "" };
    format!("doctor: {} failed{first}: {}", counted(failed.count as u64, "check"), failed.first)
}

/// A duration as people say it: `1h 05m`, `3d 4h`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// The time of day at `wall_us` µs since the epoch, `offset` seconds east of UTC: `14:03:22`.
pub(super) fn time_of_day(wall_us: i64, offset: i32) -> String {
    let seconds = (wall_us.div_euclid(1_000_000) + i64::from(offset)).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The date at `wall_us` µs since the epoch, `offset` seconds east of UTC: `2026-08-20`.
pub(super) fn date(wall_us: i64, offset: i32) -> String {
    let seconds = wall_us.div_euclid(1_000_000).saturating_add(i64::from(offset));
    let at = jiff::Timestamp::from_second(seconds).map(|at| jiff::tz::Offset::UTC.to_datetime(at));
    at.map_or_else(|_out_of_range| "–".into(), |at| at.date().to_string())
}

/// The offset as it stands behind a time: `UTC`, `+02:00`.
pub(super) fn zone(offset: i32) -> String {
    if offset == 0 {
        return "UTC".into();
    }
    let minutes = offset.unsigned_abs() / 60;
    format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_reason_is_named() {
        assert_eq!(clock_event(0), ("none", Role::Muted));
        assert_eq!(clock_event(0x48).0, "HW THERM");
        assert_eq!(clock_event(0x05).0, "pwr cap");
        assert_eq!(clock_event(1 << 40).0, "other");
        assert_eq!(clock_event(0x200 | 1 << 40), ("board", Role::Info));
        assert_eq!(clock_event(0x1), ("idle", Role::Muted));
    }

    #[test]
    fn every_reason_of_the_catalogue_has_a_short_name_and_its_grade() {
        for reason in &clock_events::REASONS {
            let all = clock_events(reason.bit);
            let [(short, meaning, role)] = all.as_slice() else { panic!("{}: {all:?}", reason.name) };
            assert!(short.len() <= 9 && meaning == reason.meaning, "{short}");
            assert_eq!(*role == Role::Critical, reason.severity == Severity::Critical, "{short}");
        }
        assert!(clock_events(0x800)[0].1.contains("0x800"));
    }

    #[test]
    fn times_of_day_know_their_zone() {
        assert_eq!(time_of_day(0, 0), "00:00:00");
        assert_eq!(time_of_day(0, -3_600), "23:00:00");
        assert_eq!((date(0, 0), date(0, -3_600)), ("1970-01-01".into(), "1969-12-31".into()));
        assert_eq!(date(i64::MAX, 0).as_str(), date(i64::MAX, 1).as_str());
        assert_eq!((zone(0), zone(19_800), zone(-3_600)), ("UTC".into(), "+05:30".into(), "-01:00".into()));
    }
}
