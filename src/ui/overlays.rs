//! What lies over the screen: help, findings, a process, a notice, an action. Each is a list of lines in one frame;
//! below the lines of an action stands what is asked, which does not scroll away. What a low pane has no room for
//! is never confirmed there.

mod actions;
mod findings;
mod gpu;
mod help;
mod plan;
mod process;
mod progress;

use super::tabs::first_row;
use super::theme::Role;
use super::widgets::{Pen, width};
use super::words;
use crate::app::actions::Intent;
use crate::app::findings::Intent as Finding;
use crate::app::{Message, Overlay, State};
use ratatui::layout::{Position, Rect};

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
    let columns = wide.saturating_sub(4);
    let most = body.height.saturating_sub(2);
    let count = lines(state, columns, most).len() + asked(state, columns, most).len();
    let lines = u16::try_from(count).unwrap_or(u16::MAX);
    let high = lines.saturating_add(2).min(body.height).max(3.min(body.height));
    let x = body.x + (body.width - wide) / 2;
    let y = body.y + (body.height - high) / 3;
    Some(Rect { x, y, width: wide, height: high })
}

/// What is seen of the lines.
#[derive(Default)]
pub(super) struct Shown {
    /// The line that stands at the top.
    pub(super) first: usize,
    /// The last one that can.
    pub(super) last: usize,
    /// How many lines are seen at once.
    pub(super) room: usize,
}

/// What is seen of the lines on a screen of that size.
pub(super) fn shown(state: &State, screen: Rect) -> Shown {
    let Some(area) = super::layout(state, screen).and_then(|layout| layout.overlay) else {
        return Shown::default();
    };
    let columns = area.width.saturating_sub(4);
    let (count, room) = (lines(state, columns, inside(area)).len(), room(state, area, columns));
    Shown { first: first_line(state, columns, count, room), last: count.saturating_sub(room), room }
}

/// The line that stands at the top.
fn first_line(state: &State, columns: u16, count: usize, room: usize) -> usize {
    let last = count.saturating_sub(room);
    match &state.overlay {
        Overlay::Actions(menu) => first_row(menu.selected, count, room),
        Overlay::Findings { scroll: None, .. } => {
            let place = findings::place(state, state.selected_finding(), columns);
            place.end.saturating_sub(room).min(place.start).min(last)
        }
        other => scroll(other).min(last),
    }
}

/// Lines within the frame.
const fn inside(area: Rect) -> u16 {
    area.height.saturating_sub(2)
}

/// Lines that have room above what is asked.
fn room(state: &State, area: Rect, columns: u16) -> usize {
    usize::from(inside(area)).saturating_sub(asked(state, columns, inside(area)).len())
}

/// Whether what is to be confirmed stands on the screen whole: the change and the question. As long as the screen's
/// size is not known, it does.
pub(super) fn confirmable(state: &State) -> bool {
    let Overlay::Plan(view) = &state.overlay else { return false };
    let (columns, rows) = state.size;
    let screen = Rect { x: 0, y: 0, width: columns, height: rows };
    match super::layout(state, screen).and_then(|layout| layout.overlay) {
        Some(area) => {
            view.weight().is_some()
                && plan::fit(state, view, area.width.saturating_sub(4), inside(area)).is_some()
        }
        None => (columns, rows) == (0, 0),
    }
}

/// What stands below the lines, of which there are at most `most` together with them.
fn asked(state: &State, columns: u16, most: u16) -> Vec<Line> {
    match &state.overlay {
        Overlay::Ask(ask) => actions::asked(ask, columns, most),
        Overlay::Plan(view) => plan::parts(state, view, columns, most).1,
        _ => Vec::new(),
    }
}

fn lines(state: &State, columns: u16, most: u16) -> Vec<Line> {
    match &state.overlay {
        Overlay::None => Vec::new(),
        Overlay::Help { .. } => help::lines(state, columns),
        Overlay::Findings { .. } => findings::lines(state, columns),
        Overlay::Gpu { id, .. } => gpu::lines(state, id, columns),
        Overlay::Process { key, .. } => process::lines(state, *key, columns),
        Overlay::Actions(menu) => actions::lines(state, menu, columns),
        Overlay::Ask(ask) => actions::question(state, ask, columns, most),
        Overlay::Plan(view) => plan::parts(state, view, columns, most).0,
        Overlay::Progress { .. } => progress::lines(state, columns),
        Overlay::Notice { lines, .. } if lines.is_empty() => vec![vec![("nothing yet".into(), Role::Muted)]],
        Overlay::Notice { lines, .. } => {
            let wrapped = lines.iter().flat_map(|line| wrapped(line, columns));
            wrapped.map(|line| vec![(line, Role::Text)]).collect()
        }
    }
}

/// What a click in the overlay means: it selects an entry of a list, and takes the one that is selected. Nothing is
/// ever confirmed by it.
pub(super) fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let columns = area.width.saturating_sub(4);
    let count = lines(state, columns, inside(area)).len();
    let row = usize::from(position.y.checked_sub(area.y + 1)?);
    let room = room(state, area, columns);
    let line = first_line(state, columns, count, room) + row;
    if row >= room || line >= count {
        return None;
    }
    match &state.overlay {
        Overlay::Actions(menu) => {
            let intent = if line == menu.selected { Intent::Choose } else { Intent::Select(line) };
            Some(Message::Actions(intent))
        }
        Overlay::Findings { .. } => {
            let holds = |place: &usize| findings::place(state, *place, columns).contains(&line);
            let place = (0..state.verdicts().len()).find(holds)?;
            let is_selected = place == state.selected_finding();
            Some(Message::Findings(if is_selected { Finding::Open } else { Finding::Select(place) }))
        }
        _ => None,
    }
}

/// Draws the overlay.
pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    if matches!(state.overlay, Overlay::None) {
        return;
    }
    pen.fill(area, Role::Text);
    frame(area, &title(state), pen);
    let inner =
        Rect { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: inside(area) };
    let lines = lines(state, inner.width, inner.height);
    let room = room(state, area, inner.width);
    let first = first_line(state, inner.width, lines.len(), room);
    let asked = asked(state, inner.width, inner.height);
    let shown = lines.iter().skip(first).take(room).chain(&asked);
    for (y, line) in (inner.y..inner.bottom()).zip(shown) {
        let mut x = inner.x;
        for (text, role) in line {
            x = pen.text(x, y, inner.right().saturating_sub(x), text, *role);
        }
    }
    let below = lines.len().saturating_sub(first + room);
    if below > 0 {
        let more = format!(" {below} more {} ↓ ", if below == 1 { "line" } else { "lines" });
        let at = area.right().saturating_sub(width(&more) + 2);
        pen.text(at, area.bottom() - 1, width(&more), &more, Role::Key);
    }
}

fn title(state: &State) -> String {
    match &state.overlay {
        Overlay::None => String::new(),
        Overlay::Help { .. } => "Keys".to_owned(),
        Overlay::Findings { .. } => "Findings".to_owned(),
        Overlay::Gpu { id, .. } => gpu::title(state, id),
        Overlay::Process { .. } => "Process".to_owned(),
        Overlay::Actions(menu) => format!("Actions: {}", actions::subject(state, &menu.subject)),
        Overlay::Ask(ask) => {
            format!("{}: {}", actions::asked_for(ask), actions::subject(state, &ask.subject))
        }
        // A low pane has no room for the whole plan: what it comes to is always there.
        Overlay::Plan(view) => format!("Plan: {}: {}", view.change.setting(), view.change.wanted()),
        Overlay::Progress { .. } => progress::title(state),
        Overlay::Notice { title, .. } => title.clone(),
    }
}

fn scroll(overlay: &Overlay) -> usize {
    match overlay {
        Overlay::None | Overlay::Actions(_) => 0,
        Overlay::Ask(ask) => ask.scroll,
        Overlay::Help { scroll }
        | Overlay::Gpu { scroll, .. }
        | Overlay::Process { scroll, .. }
        | Overlay::Progress { scroll }
        | Overlay::Notice { scroll, .. } => *scroll,
        Overlay::Findings { scroll, .. } => scroll.unwrap_or(0),
        Overlay::Plan(view) => view.scroll,
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

/// A mark and its text, wrapped beside it.
fn marked(lines: &mut Vec<Line>, mark: &str, text: &str, role: Role, columns: u16) {
    for (index, part) in wrapped(text, columns.saturating_sub(2)).into_iter().enumerate() {
        let mark = if index == 0 { mark } else { "  " };
        lines.push(vec![(mark.to_owned(), role), (part, role)]);
    }
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
