//! Reports of one snapshot for programs and pipes: JSON, CSV, text, and Prometheus' text format.
//!
//! None of them invents anything: an absent reading is `null` with its reason (JSON), an empty cell (CSV), its label
//! (text), or left out (Prometheus). What was not asked for (storage of a recording made before it was read) says so.

mod csv;
mod doctor;
mod events;
mod findings;
mod fit;
mod history;
mod json;
mod models;
mod object;
mod prometheus;
mod storage;
mod text;
mod topology;

pub use csv::csv;
pub use doctor::{doctor_json, doctor_text, explain_json, explain_text};
pub use events::{event_json, events_json, events_text, explain_sxid, explain_throttle, explain_xid};
pub use findings::findings_text;
pub use fit::{fit_json, fit_text};
pub use history::history_csv;
pub use json::json;
pub use prometheus::prometheus;
pub use storage::{storage_json, storage_text};
pub use text::text;

use crate::model::{Snapshot, SourceState, read};
use crate::units::Wall;

/// Why nothing is known of any GPU, where the driver is why: a call that does not return, what was found missing, or
/// that it has not answered yet.
#[must_use]
pub fn driver_problem(snapshot: &Snapshot) -> Option<String> {
    if let Some(call) = snapshot.stuck.first() {
        let seconds = snapshot.mono.since(call.since).as_secs();
        return Some(format!("driver call {} has not returned for {seconds} s", call.call));
    }
    if let Some(problem) = &snapshot.inventory.driver.problem {
        return Some(problem.to_string());
    }
    let unasked = snapshot.gpus.is_empty() && snapshot.source("nvml").is_none();
    unasked.then(|| "the driver has not answered yet".to_owned())
}

/// Whether the driver library was open and answered, in part at least.
fn driver_is_up(snapshot: &Snapshot) -> bool {
    snapshot.source("nvml").is_some_and(|source| source.state != SourceState::Unavailable)
}

/// RFC 3339 in UTC, to the millisecond: `2026-05-12T08:30:00.250Z`.
fn rfc3339(wall: Wall) -> Option<String> {
    jiff::Timestamp::from_microsecond(wall.0).ok().map(|time| format!("{time:.3}"))
}
