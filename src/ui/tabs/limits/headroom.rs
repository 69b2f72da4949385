//! How far the selected GPU is from its limits, and what to do.

use crate::analysis::Severity;
use crate::analysis::limits::{advice, power_headroom, thresholds};
use crate::app::State;
use crate::model::{Gpu, known};
use crate::ui::overlays::wrapped;
use crate::ui::tabs::past::is_past;
use crate::ui::theme::Role;
use crate::ui::widgets::{Pen, width};
use crate::ui::words;
use ratatui::layout::Rect;

/// Degrees left from which on a threshold is near.
const NEAR_DEGREES: f32 = 5.0;

type Pieces = Vec<(String, Role)>;

pub(super) fn render(state: &State, gpu: &Gpu, area: Rect, pen: &mut Pen<'_>) {
    let past = is_past(state, gpu);
    let told = |line: &Pieces| line.len() > 1;
    let facts: Vec<Pieces> = [power(gpu), temperature(gpu), clocks(gpu)].into_iter().filter(told).collect();
    let (grave, rest): (Vec<_>, Vec<_>) =
        advice(gpu).into_iter().partition(|(severity, _)| *severity > Severity::Info);
    let said = |found: Vec<(Severity, String)>| -> Vec<Pieces> {
        found.iter().flat_map(|found| sentences(found, area.width)).collect()
    };
    // What is wrong comes before the numbers; the rest after them.
    let lines: Vec<Pieces> = [said(grave), facts, said(rest)].concat();
    let mut y = area.y;
    for pieces in lines {
        let mut x = area.x;
        for (text, role) in pieces {
            let role = if past { Role::Stale } else { role };
            if x > area.x && x + width(&text) > area.right() {
                x = area.x + LABEL;
                y += 1;
            }
            if y >= area.bottom() {
                return;
            }
            let text = if x == area.x + LABEL { text.trim_start_matches(" · ") } else { &text };
            x = pen.text(x, y, area.right().saturating_sub(x), text, role);
        }
        y += 1;
    }
}

/// A sentence of advice, its mark before it.
fn sentences((severity, text): &(Severity, String), columns: u16) -> Vec<Pieces> {
    let (mark, role) = words::mark(*severity);
    let role = if *severity == Severity::Info { Role::Text } else { role };
    let lines = wrapped(text, columns.saturating_sub(2).max(1)).into_iter().enumerate();
    lines.map(|(nth, line)| vec![(format!("{} {line}", if nth == 0 { mark } else { " " }), role)]).collect()
}

/// Columns of a label.
const LABEL: u16 = 12;

fn label(text: &str) -> (String, Role) {
    (format!("{text:<12}"), Role::Muted)
}

fn power(gpu: &Gpu) -> Pieces {
    let mut pieces = vec![label("power")];
    let info = &gpu.info;
    let draw = gpu.fast.as_ref().and_then(|fast| known(&fast.value.power));
    let cap = gpu.live.as_ref().and_then(|live| known(&live.value.power_limit));
    if let Some(draw) = draw {
        pieces.push((format!("{:.0} W ", draw.mean), Role::Strong));
        pieces.push((format!("({:.0} to {:.0})", draw.min, draw.max), Role::Muted));
    }
    if let Some(cap) = cap {
        pieces.push((format!(" of {cap}"), Role::Text));
    }
    if let Some(left) = power_headroom(gpu) {
        pieces.push((format!(" · {left} headroom"), Role::Text));
    }
    if let Some(default) = known(&info.default_power_limit) {
        let changed = cap.is_some_and(|cap| (cap.0 - default.0).abs() >= 1.0);
        pieces.push((format!(" · default {default}"), if changed { Role::Info } else { Role::Text }));
    }
    if let (Some(least), Some(most)) = (known(&info.min_power_limit), known(&info.max_power_limit)) {
        pieces.push((format!(" · range {:.0} to {most}", least.0), Role::Text));
    }
    pieces
}

fn temperature(gpu: &Gpu) -> Pieces {
    let mut pieces = vec![label("temperature")];
    let live = gpu.live.as_ref().map(|live| &live.value);
    if let Some(now) = live.and_then(|live| known(&live.temperature)) {
        pieces.push((format!("{now}"), Role::Strong));
    }
    if let Some(memory) = live.and_then(|live| known(&live.memory_temperature)) {
        pieces.push((format!(", memory {memory}"), Role::Text));
    }
    for threshold in thresholds(gpu) {
        let at = match (&threshold.at, &threshold.limit) {
            (Ok(at), Ok(limit)) => format!("{at} (T.Limit {:+.0})", limit.0),
            (Ok(at), Err(_)) => at.to_string(),
            (Err(_), Ok(limit)) => format!("T.Limit {:+.0}", limit.0),
            (Err(_), Err(_)) => continue,
        };
        let (left, role) = match threshold.left {
            Some(left) if left <= 0.0 => (format!(", {:.0} °C over", -left), Role::Critical),
            Some(left) if left <= NEAR_DEGREES => (format!(", {left:.0} °C left"), Role::Warning),
            Some(left) => (format!(", {left:.0} °C left"), Role::Text),
            None => (String::new(), Role::Text),
        };
        pieces.push((format!(" · {} {at}{left}", threshold.name), role));
    }
    pieces
}

fn clocks(gpu: &Gpu) -> Pieces {
    let mut pieces = vec![label("clocks")];
    let fast = gpu.fast.as_ref().map(|fast| &fast.value);
    let live = gpu.live.as_ref().map(|live| &live.value);
    let share = |now: f32, most: f32| {
        if most > 0.0 { format!(" ({:.0}%)", now / most * 100.0) } else { String::new() }
    };
    if let Some(clock) = fast.and_then(|fast| known(&fast.sm_clock)) {
        let most = known(&gpu.info.max_sm_clock);
        let of =
            most.map_or_else(String::new, |most| format!(" of {most}{}", share(clock.mean, most.0 as f32)));
        pieces.push((format!("SM {:.0} MHz{of}", clock.mean), Role::Text));
    }
    if let Some(clock) = live.and_then(|live| known(&live.memory_clock)) {
        let of = known(&gpu.info.max_memory_clock)
            .map_or_else(String::new, |most| format!(" of {most}{}", share(clock.0 as f32, most.0 as f32)));
        pieces.push((format!(" · memory {clock}{of}"), Role::Text));
    }
    if let Some(state) = live.and_then(|live| known(&live.performance_state)) {
        pieces.push((format!(" · P{state}"), Role::Text));
    }
    pieces
}
