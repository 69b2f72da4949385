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

/// Draws `parts` from left to right over a track, to an eighth of a cell. A little is not nothing: the first part
/// is seen from its first eighth on.
pub(in crate::ui) fn bar(pen: &mut Pen<'_>, x: u16, y: u16, columns: u16, parts: &[BarPart]) {
    let all = u32::from(columns) * 8;
    let mut end = 0.0_f64;
    let mut ends = Vec::with_capacity(parts.len());
    for part in parts {
        end = (end + part.share.clamp(0.0, 1.0)).min(1.0);
        let eighths = (end * f64::from(all)).round() as u32;
        ends.push((if part.share > 0.0 { eighths.max(1) } else { eighths }, part.role));
    }
    let role_at =
        |eighth: u32| ends.iter().find(|(end, _)| eighth < *end).map_or(Role::BarTrack, |(_, role)| *role);
    for column in 0..columns {
        let left = u32::from(column) * 8;
        let (first, last) = (role_at(left), role_at(left + 7));
        let change = (1..8).find(|eighth| role_at(left + eighth) != first);
        match change {
            Some(eighths) if first != Role::BarTrack => {
                let symbol = EIGHTHS.get(eighths as usize).copied().unwrap_or(" ");
                pen.cell(x + column, y, symbol, pen.theme().split(first, last));
            }
            _ => pen.cell(x + column, y, texture(pen, first), pen.theme().style(first)),
        }
    }
}

/// What a whole cell of a role looks like: without colour, textures stand in for shades.
fn texture(pen: &Pen<'_>, role: Role) -> &'static str {
    match (pen.theme().has_colour(), role) {
        (false, Role::BarTrack) => "·",
        (false, Role::BarReserved) => "▒",
        _ => "█",
    }
}
