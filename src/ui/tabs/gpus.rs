//! Tab 1: all GPUs, a line each, and the selected one in detail.

pub(super) mod detail;
mod facts;
mod overview;

use super::{View, tell_hidden};
use crate::app::gpus::Intent;
use crate::app::{Message, State};
use crate::ui::keys::{self, Binding, Context, bind, ch, key};
use crate::ui::widgets::Pen;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View = View::new(render, &KEYS, hit, |motion| Message::Gpus(Intent::Move(motion)));

/// How much of the past is drawn, on the tabs that draw it.
pub(super) static PAST: [Binding; 2] = [
    bind!(
        Message::Gpus,
        [ch('w'), ch('l'), key(KeyCode::Right)],
        "w",
        "window",
        "charts and lanes over 1, 5, 15 or 60 min, longer (also l, →)",
        Intent::NextWindow
    ),
    bind!(
        Message::Gpus,
        [ch('W'), ch('h'), key(KeyCode::Left)],
        "W",
        "",
        "the same, shorter (also h, ←)",
        Intent::PreviousWindow
    ),
];

static KEYS: Context = Context {
    name: "GPUs",
    bindings: &[
        &keys::few!(Message::Gpus, Intent::Move, "GPU"),
        &PAST,
        &[
            bind!(
                Message::Gpus,
                [ch('i')],
                "i",
                "details",
                "all that is read of this GPU, or why it is not",
                Intent::ShowDetails
            ),
            bind!(
                Message::Gpus,
                [key(KeyCode::Enter), ch('p')],
                "Enter",
                "its processes",
                "the processes of this GPU (also p)",
                Intent::ShowProcesses
            ),
            bind!(Message::Gpus, [ch('y')], "y", "", "copy its UUID", Intent::CopyUuid),
        ],
    ],
};

/// Lines that a detail needs to say anything.
const DETAIL_AT_LEAST: u16 = 6;

/// The overview above, the detail below if there is room for one.
fn parts(state: &State, area: Rect) -> (Rect, Option<Rect>) {
    let rows = overview::height(state, area);
    let fits = rows.saturating_add(DETAIL_AT_LEAST) <= area.height;
    // Many GPUs on a high screen scroll in its upper half; on a low one they have all of it.
    let overview = if fits {
        rows
    } else if area.height >= 4 * DETAIL_AT_LEAST {
        area.height / 2
    } else {
        return (area, None);
    };
    let detail = Rect { y: area.y + overview, height: area.height - overview, ..area };
    (Rect { height: overview, ..area }, Some(detail))
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let (top, bottom) = parts(state, area);
    overview::render(state, top, area, pen);
    if let Some(area) = bottom {
        detail::render(state, area, pen);
    }
    // On the line between the two, or over the headings, whose values have their units anyway.
    let line = Rect { height: 1, ..bottom.unwrap_or(top) };
    let (first, shown) = overview::seen(state, top, area);
    tell_hidden(line, first, shown, state.gpus_shown().count(), pen);
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let (top, _) = parts(state, area);
    let row = overview::row_at(state, top, area, position.y)?;
    state.gpus_shown().nth(row).map(|gpu| Message::Gpus(Intent::Select(gpu.id.clone())))
}
