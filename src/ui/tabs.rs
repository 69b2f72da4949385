//! The table of tabs: how each is drawn, its keys, and what a click in it means.

mod doctor;
mod events;
mod gpus;
mod limits;
mod past;
mod processes;
mod storage;
mod topology;

use super::keys::Context;
use super::theme::Role;
use super::widgets::{Pen, width};
use crate::app::{Message, Motion, State, Tab};
use ratatui::layout::{Position, Rect};

/// A tab as the screen knows it. All functions are pure.
struct View {
    /// Draws it.
    render: fn(&State, Rect, &mut Pen<'_>),
    /// Its keys.
    keys: &'static Context,
    /// More keys, of the part of it that is shown.
    part: fn(&State) -> Option<&'static Context>,
    /// All that `part` can give.
    parts: &'static [&'static Context],
    /// What a click means.
    hit: fn(&State, Rect, Position) -> Option<Message>,
    /// What a turn of the wheel means.
    moved: fn(Motion) -> Message,
}

impl View {
    /// A tab whose keys are the same in all parts of it.
    const fn new(
        render: fn(&State, Rect, &mut Pen<'_>),
        keys: &'static Context,
        hit: fn(&State, Rect, Position) -> Option<Message>,
        moved: fn(Motion) -> Message,
    ) -> Self {
        Self { render, keys, part: |_| None, parts: &[], hit, moved }
    }
}

const fn view(tab: Tab) -> &'static View {
    match tab {
        Tab::Gpus => &gpus::VIEW,
        Tab::Processes => &processes::VIEW,
        Tab::Topology => &topology::VIEW,
        Tab::Limits => &limits::VIEW,
        Tab::Events => &events::VIEW,
        Tab::Storage => &storage::VIEW,
        Tab::Doctor => &doctor::VIEW,
    }
}

/// Draws the tab that is shown.
pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    (view(state.tab).render)(state, area, pen);
}

/// The keys of the tab that is shown, those of the part of it that is shown first.
pub(super) fn keys(state: &State) -> impl Iterator<Item = &'static Context> {
    let view = view(state.tab);
    (view.part)(state).into_iter().chain([view.keys])
}

/// All keys of a tab.
pub(super) fn all_keys(tab: Tab) -> impl Iterator<Item = &'static Context> {
    let view = view(tab);
    [view.keys].into_iter().chain(view.parts.iter().copied())
}

/// What a click means in the tab that is shown.
pub(super) fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    (view(state.tab).hit)(state, area, position)
}

/// What a turn of the wheel means in a tab.
pub(super) fn moved(tab: Tab, motion: Motion) -> Message {
    (view(tab).moved)(motion)
}

/// The first of `count` rows to show in `room`, so that `selected` is among them: it depends on nothing else, so
/// that drawing and hit-testing agree without a remembered offset.
pub(super) fn first_row(selected: usize, count: usize, room: usize) -> usize {
    if count <= room || room == 0 {
        return 0;
    }
    // Half a page at a time: the rows stand still while the selection moves within them.
    let step = (room / 2).max(1);
    let mut first = 0;
    while selected >= first + room {
        first += step;
    }
    first.min(count - room)
}

/// Says at the right end of `line` how many of `count` rows the screen does not hold, of which `shown` from `first` on
/// stand on it; gives what is left of the line.
pub(super) fn tell_hidden(line: Rect, first: usize, shown: usize, count: usize, pen: &mut Pen<'_>) -> Rect {
    let below = count.saturating_sub(first + shown);
    let text = match (first, below) {
        (0, 0) => return line,
        (0, below) => format!(" ↓ {below} more"),
        (above, 0) => format!(" ↑ {above} more"),
        (above, below) => format!(" ↑ {above} ↓ {below} more"),
    };
    if line.height == 0 {
        return line;
    }
    let columns = width(&text).min(line.width);
    pen.text(line.right() - columns, line.y, columns, &text, Role::Key);
    Rect { width: line.width - columns, ..line }
}

#[cfg(test)]
mod tests {
    use super::first_row;

    #[test]
    fn the_selected_row_is_always_among_those_shown() {
        for count in 0..40 {
            for room in 1..20 {
                for selected in 0..count {
                    let first = first_row(selected, count, room);
                    assert!(first <= selected && selected < first + room, "{selected} of {count} in {room}");
                    assert!(first + room <= count.max(room));
                }
            }
        }
    }
}
