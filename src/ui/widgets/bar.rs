//! A level as a bar of eighths, in parts.

use super::Pen;
use crate::ui::theme::Role;

/// Parts of a cell, from the left, by eighths.
const EIGHTHS: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// One part of a bar.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct BarPart {
    /// Its share of the whole, 0 to 1.
    pub(in crate::ui) share: f64,
    /// Its role.
    pub(in crate::ui) role: Role,
}

/// Draws `parts` from left to right over a track. Boundaries between parts fall on whole cells, the end of the
/// last one on an eighth.
pub(in crate::ui) fn bar(pen: &mut Pen<'_>, x: u16, y: u16, columns: u16, parts: &[BarPart]) {
    let track = if pen.theme().has_colour() { "█" } else { "·" };
    let track_style = pen.theme().style(Role::BarTrack);
    for column in 0..columns {
        pen.cell(x + column, y, track, track_style);
    }
    let mut from = 0_u16;
    let mut end = 0.0_f64;
    for (index, part) in parts.iter().enumerate() {
        end = (end + part.share.clamp(0.0, 1.0)).min(1.0);
        let eighths = (end * f64::from(columns) * 8.0).round() as u16;
        let (whole, rest) =
            if index + 1 == parts.len() { (eighths / 8, eighths % 8) } else { ((eighths + 4) / 8, 0) };
        let style = pen.theme().style(part.role);
        let full = if part.role == Role::BarReserved && !pen.theme().has_colour() { "▒" } else { "█" };
        for column in from..whole.min(columns) {
            pen.cell(x + column, y, full, style);
        }
        from = from.max(whole.min(columns));
        // A little is not nothing.
        let rest = if eighths == 0 && part.share > 0.0 && from == 0 { 1 } else { rest };
        if rest > 0 && from < columns {
            let style = pen.theme().split(part.role, Role::BarTrack);
            pen.cell(x + from, y, EIGHTHS.get(usize::from(rest)).copied().unwrap_or(" "), style);
            from += 1;
        }
    }
}
