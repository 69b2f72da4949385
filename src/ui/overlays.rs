//! What lies over the screen: help, findings, a process, a notice. Each is a list of lines in one frame.

mod findings;
mod gpu;
mod help;
mod process;

use super::theme::Role;
use super::widgets::{Pen, width};
use super::words;
use crate::app::{Overlay, State};
use ratatui::layout::Rect;

/// A line of an overlay: pieces of text with their roles.
type Line = Vec<(String, Role)>;

/// Widest text that is still read in one go.
const WIDEST: u16 = 100;

/// Where the overlay stands in the body of the screen.
pub(super) fn area(state: &State, body: Rect) -> Option<Rect> {
    if matches!(state.overlay, Overlay::None) {
        return None;
    }
    let margin = if body.width > 60 { 4 } else { 0 };
    let wide = (body.width - margin).min(WIDEST + 4);
    let lines = u16::try_from(lines(state, wide.saturating_sub(4)).len()).unwrap_or(u16::MAX);
    let high = lines.saturating_add(2).min(body.height).max(3.min(body.height));
    let x = body.x + (body.width - wide) / 2;
    let y = body.y + (body.height - high) / 3;
    Some(Rect { x, y, width: wide, height: high })
}

/// The last line that can stand at the top.
pub(super) fn last_line(state: &State, screen: Rect) -> usize {
    let Some(area) = super::layout(state, screen).and_then(|layout| layout.overlay) else { return 0 };
    lines(state, area.width.saturating_sub(4))
        .len()
        .saturating_sub(usize::from(area.height.saturating_sub(2)))
}

fn lines(state: &State, columns: u16) -> Vec<Line> {
    match &state.overlay {
        Overlay::None => Vec::new(),
        Overlay::Help { .. } => help::lines(state, columns),
        Overlay::Findings { .. } => findings::lines(state, columns),
        Overlay::Gpu { id, .. } => gpu::lines(state, id, columns),
        Overlay::Process { key, .. } => process::lines(state, *key, columns),
        Overlay::Notice { lines, .. } if lines.is_empty() => vec![vec![("nothing yet".into(), Role::Muted)]],
        Overlay::Notice { lines, .. } => {
            let wrapped = lines.iter().flat_map(|line| wrapped(line, columns));
            wrapped.map(|line| vec![(line, Role::Text)]).collect()
        }
    }
}

/// Draws the overlay.
pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let (title, scroll) = match &state.overlay {
        Overlay::None => return,
        Overlay::Help { scroll } => ("Keys".into(), *scroll),
        Overlay::Findings { scroll } => ("Findings".into(), *scroll),
        Overlay::Gpu { id, scroll } => (gpu::title(state, id), *scroll),
        Overlay::Process { scroll, .. } => ("Process".into(), *scroll),
        Overlay::Notice { title, scroll, .. } => (title.clone(), *scroll),
    };
    pen.fill(area, Role::Text);
    frame(area, &title, pen);
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2),
    };
    let lines = lines(state, inner.width);
    let room = usize::from(inner.height);
    let first = scroll.min(lines.len().saturating_sub(room));
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(first)) {
        let mut x = inner.x;
        for (text, role) in line {
            x = pen.text(x, y, inner.right().saturating_sub(x), text, *role);
        }
    }
    let below = lines.len().saturating_sub(first + room);
    if below > 0 {
        let more = format!(" {below} more lines ↓ ");
        let at = area.right().saturating_sub(width(&more) + 2);
        pen.text(at, area.bottom() - 1, width(&more), &more, Role::Key);
    }
}

fn frame(area: Rect, title: &str, pen: &mut Pen<'_>) {
    let across = "─".repeat(usize::from(area.width.saturating_sub(2)));
    pen.text(area.x, area.y, area.width, &format!("╭{across}╮"), Role::Border);
    pen.text(area.x, area.bottom() - 1, area.width, &format!("╰{across}╯"), Role::Border);
    for y in area.y + 1..area.bottom() - 1 {
        pen.text(area.x, y, 1, "│", Role::Border);
        pen.text(area.right() - 1, y, 1, "│", Role::Border);
    }
    pen.text(area.x + 2, area.y, area.width.saturating_sub(4), &format!(" {title} "), Role::Title);
}

/// `text` in lines of at most `columns`, broken at spaces where there are any.
pub(in crate::ui) fn wrapped(text: &str, columns: u16) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_string();
        if !line.is_empty() && width(&line) + 1 + width(&word) > columns {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        while width(&word) > columns.max(1) && line.is_empty() {
            let head: String = word.chars().take(usize::from(columns.max(1))).collect();
            word = word.chars().skip(head.chars().count()).collect();
            lines.push(head);
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

/// A label and its text, wrapped beneath itself.
fn labelled(label: &str, text: &str, role: Role, columns: u16) -> Vec<Line> {
    const LABEL: usize = 14;
    let room = columns.saturating_sub(LABEL as u16);
    wrapped(text, room)
        .into_iter()
        .enumerate()
        .map(|(index, part)| {
            let label = if index == 0 { label } else { "" };
            vec![(format!("{label:<LABEL$}"), Role::Muted), (part, role)]
        })
        .collect()
}

/// A reading in a labelled line.
fn labelled_reading<T: std::fmt::Display>(
    label: &str,
    reading: &crate::model::Reading<T>,
    columns: u16,
) -> Vec<Line> {
    match reading {
        Ok(value) => labelled(label, &value.to_string(), Role::Text, columns),
        Err(absence) => labelled(label, &words::absent(absence).0, Role::Absent, columns),
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_are_kept_whole_where_they_fit() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("a", 0), ["a"]);
    }
}
