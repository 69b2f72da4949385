//! A lane per clock event reason: whether it holds, for how long it did, and when.

use crate::analysis::Severity;
use crate::analysis::limits::{Holds, Lane, ReasonState, lane, reasons};
use crate::app::State;
use crate::model::{Absence, Gpu, Reading, ReasonSeconds};
use crate::ui::tabs::past::is_past;
use crate::ui::theme::Role;
use crate::ui::widgets::Pen;
use ratatui::layout::Rect;

/// Columns of a reason's name and mark.
const NAME: u16 = 29;
/// Columns of a number of seconds.
const SECONDS: u16 = 7;
/// The windows of the time counters, in the order of the screen.
const WINDOWS: [&str; 4] = ["1 min", "10 min", "60 min", "driver load"];
/// The last window has a name that needs more: the time since the driver was loaded.
const SINCE_LOAD: u16 = 12;
/// A lane narrower than this says nothing.
const LANE_AT_LEAST: u16 = 12;
/// Lines left for what stands below.
const BELOW: u16 = 6;

/// Draws as many as there is room for; gives the lines used.
pub(super) fn render(state: &State, gpu: &Gpu, area: Rect, pen: &mut Pen<'_>) -> u16 {
    let mut states = reasons(gpu);
    let room = usize::from(area.height.saturating_sub(if area.height > 2 * BELOW { BELOW } else { 0 }));
    if states.len() + 1 > room {
        // What holds or has held stays; what never did goes first.
        states.sort_by_key(rank);
        states.truncate(room.saturating_sub(1));
    }
    if area.height == 0 {
        return 0;
    }
    let columns = columns(area);
    headings(state, area, &columns, pen);
    for (y, each) in (area.y + 1..area.bottom()).zip(&states) {
        line(state, gpu, each, Rect { y, height: 1, ..area }, &columns, pen);
    }
    u16::try_from(states.len()).unwrap_or(0).saturating_add(1).min(area.height)
}

/// The lesser, the sooner it is shown.
fn rank(state: &ReasonState<'_>) -> u8 {
    let held = state.seconds.is_some_and(|seconds| {
        let windows = [&seconds.last_1m, &seconds.last_10m, &seconds.last_60m];
        windows.iter().any(|window| matches!(window, Ok(held) if *held > 0.0))
    });
    match (state.holds, state.reason.severity) {
        (Holds::Yes | Holds::Partly, _) => 0,
        _ if held => 1,
        (Holds::No, severity) if severity > Severity::Info => 2,
        (Holds::No, _) => 3,
        (Holds::Unknown, _) => 4,
    }
}

/// Columns of that many windows.
fn all_of(windows: usize) -> u16 {
    (0..windows).map(wide).sum()
}

/// Columns of a window.
const fn wide(window: usize) -> u16 {
    if window + 1 == WINDOWS.len() { SINCE_LOAD } else { SECONDS }
}

struct Columns {
    windows: usize,
    /// First column and width of the lane.
    lane: Option<(u16, u16)>,
}

fn columns(area: Rect) -> Columns {
    let after = |windows: usize| NAME + all_of(windows) + 2;
    let fits = |windows: usize| after(windows) + LANE_AT_LEAST <= area.width;
    // The longest windows go first, then the lane.
    let windows = (1..=WINDOWS.len()).rev().find(|windows| fits(*windows));
    match windows {
        Some(windows) => {
            let x = area.x + after(windows);
            Columns { windows, lane: Some((x, area.right() - x)) }
        }
        None => {
            let windows = usize::from(area.width.saturating_sub(NAME) / SECONDS).min(WINDOWS.len());
            Columns { windows, lane: None }
        }
    }
}

fn headings(state: &State, area: Rect, columns: &Columns, pen: &mut Pen<'_>) {
    pen.text(area.x, area.y, NAME, "reason", Role::Muted);
    for (nth, title) in WINDOWS.iter().take(columns.windows).enumerate() {
        pen.right(area.x + NAME + all_of(nth), area.y, wide(nth), title, Role::Muted);
    }
    if let Some((x, width)) = columns.lane {
        pen.text(x, area.y, width, &format!("last {} [w]", state.gpus.window.label()), Role::Muted);
    }
}

fn line(state: &State, gpu: &Gpu, each: &ReasonState<'_>, area: Rect, columns: &Columns, pen: &mut Pen<'_>) {
    let past = is_past(state, gpu);
    let role = if past { Role::Stale } else { role_of(each) };
    // A shape for each state: colour alone says nothing to some.
    let mark = match each.holds {
        Holds::Yes => "●",
        Holds::Partly => "◐",
        Holds::No => "·",
        Holds::Unknown => "?",
    };
    pen.text(area.x, area.y, 2, mark, role);
    pen.text(area.x + 2, area.y, NAME - 2, each.reason.name, role);
    for window in 0..columns.windows {
        let (text, role) = seconds(each.seconds, window, each.holds);
        let role = if past { Role::Stale } else { role };
        pen.right(area.x + NAME + all_of(window), area.y, wide(window), &text, role);
    }
    if let Some((x, width)) = columns.lane {
        draw_lane(state, gpu, each, (x, area.y, width), pen);
    }
}

const fn role_of(each: &ReasonState<'_>) -> Role {
    match (each.holds, each.reason.severity) {
        (Holds::No, _) => Role::Muted,
        (Holds::Unknown, _) => Role::Absent,
        (_, Severity::Critical) => Role::Critical,
        (_, Severity::Warning) => Role::Warning,
        _ if each.reason.is_throttling() => Role::Info,
        _ => Role::Muted,
    }
}

/// Seconds of one window, or why they are not known.
fn seconds(counters: Option<&ReasonSeconds>, window: usize, holds: Holds) -> (String, Role) {
    let Some(counters) = counters else {
        // The driver counts no time of this reason; the lane shows when it was seen.
        return (if holds == Holds::Unknown { "n/a" } else { "" }.into(), Role::Absent);
    };
    let all: [&Reading<f32>; 4] =
        [&counters.last_1m, &counters.last_10m, &counters.last_60m, &counters.since_driver_load];
    match all.get(window) {
        Some(Ok(seconds)) => (spent(*seconds), if *seconds > 0.0 { Role::Text } else { Role::Faint }),
        Some(Err(Absence::InsufficientHistory { .. })) | None => ("–".into(), Role::Absent),
        Some(Err(absence)) => (absence.label().into(), Role::Absent),
    }
}

/// `3.2 s`, `58 s`, `12 min`, `3.4 h`, `2.1 d`.
fn spent(seconds: f32) -> String {
    match seconds {
        0.0..=0.0 => "0 s".into(),
        ..9.95 => format!("{seconds:.1} s"),
        ..599.5 => format!("{seconds:.0} s"),
        ..5_970.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} d", seconds / 86_400.0),
    }
}

/// The past of one reason, in columns that are aligned to absolute time, so that only the newest changes.
fn draw_lane(state: &State, gpu: &Gpu, each: &ReasonState<'_>, at: (u16, u16, u16), pen: &mut Pen<'_>) {
    let (x, y, width) = at;
    let (Some(history), Some(snapshot)) = (state.history(gpu), state.snapshot()) else { return };
    let step = state.gpus.window.seconds().div_ceil(u64::from(width.max(1))).max(1);
    let newest = snapshot.mono.seconds() / step;
    for column in 0..width {
        let back = u64::from(width - 1 - column);
        let Some(bucket) = newest.checked_sub(back) else { continue };
        let mark = lane(history, each.reason.bit, bucket * step, (bucket + 1) * step);
        let (symbol, role) = match mark {
            Lane::Empty => continue,
            Lane::Clear if each.holds == Holds::Unknown => continue,
            Lane::Clear => ("·", Role::Faint),
            Lane::Part => ("▄", held(each)),
            Lane::Full => ("█", held(each)),
        };
        pen.text(x + column, y, 1, symbol, role);
    }
}

const fn held(each: &ReasonState<'_>) -> Role {
    match each.reason.severity {
        Severity::Critical => Role::Critical,
        Severity::Warning => Role::Warning,
        Severity::Info if each.reason.is_throttling() => Role::Info,
        Severity::Info => Role::Muted,
    }
}

#[cfg(test)]
mod tests {
    use super::spent;

    #[test]
    fn seconds_fit_their_column_at_any_length() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (3.24, "3.2 s"),
            (59.6, "60 s"),
            (600.0, "10 min"),
            (7_200.0, "2.0 h"),
            (1e6, "11.6 d"),
        ] {
            assert_eq!(spent(seconds), text);
        }
        for exponent in 0..8 {
            assert!(spent(9.99 * 10_f32.powi(exponent)).chars().count() <= 8);
        }
    }
}
