//! Reports of one snapshot for programs and pipes: JSON, CSV, text, and Prometheus' text format.
//!
//! None of them invents anything: an absent reading is `null` with its reason (JSON), an empty cell (CSV), its label
//! (text), or left out (Prometheus). `storage` and `events` are in the JSON only when a snapshot has them.

mod csv;
mod doctor;
mod events;
mod json;
mod object;
mod prometheus;
mod read;
mod text;
mod topology;

pub use csv::csv;
pub use doctor::{doctor_json, doctor_text, explain_json, explain_text};
pub use events::{event_json, events_json, events_text, explain_sxid, explain_throttle, explain_xid};
pub use json::json;
pub use prometheus::prometheus;
pub use text::text;

use crate::units::Wall;

/// RFC 3339 in UTC, to the millisecond: `2026-05-12T08:30:00.250Z`.
fn rfc3339(wall: Wall) -> Option<String> {
    jiff::Timestamp::from_microsecond(wall.0).ok().map(|time| format!("{time:.3}"))
}

/// Name of a recovery action (NVML field 230).
fn recovery_action(action: u32) -> String {
    let names = [
        "none",
        "gpu_reset",
        "node_reboot",
        "drain_p2p",
        "drain_and_reset",
        "recover_imex_domain",
        "bus_reset",
        "system_reboot",
    ];
    named(action, &names)
}

/// Name of a compute mode.
fn compute_mode(mode: u32) -> String {
    named(mode, &["default", "exclusive_thread", "prohibited", "exclusive_process"])
}

/// Name of a fabric registration state.
fn fabric_state(state: u32) -> String {
    named(state, &["not_supported", "not_started", "in_progress", "completed"])
}

/// The name at that number; a number that has none says itself.
fn named(number: u32, names: &[&str]) -> String {
    let name = usize::try_from(number).ok().and_then(|index| names.get(index));
    name.map_or_else(|| format!("unknown_{number}"), |name| (*name).to_owned())
}
