//! Tab 1: all GPUs, a line each, and the selected one in detail.

pub(super) mod detail;
mod facts;
mod overview;

use super::View;
use crate::app::gpus::Intent;
use crate::app::{Message, Motion, State};
use crate::ui::keys::{Binding, Context, ch, key};
use crate::ui::widgets::Pen;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View =
    View { render, keys: &KEYS, hit, moved: |motion| Message::Gpus(Intent::Move(motion)) };

static KEYS: Context = Context {
    name: "GPUs",
    bindings: &[
        Binding {
            keys: &[key(KeyCode::Up), ch('k')],
            label: "↑",
            short: "",
            help: "previous GPU (also k)",
            message: || Message::Gpus(Intent::Move(Motion::Previous)),
        },
        Binding {
            keys: &[key(KeyCode::Down), ch('j')],
            label: "↑↓",
            short: "GPU",
            help: "next GPU (also j)",
            message: || Message::Gpus(Intent::Move(Motion::Next)),
        },
        Binding {
            keys: &[key(KeyCode::Home), ch('g'), key(KeyCode::PageUp)],
            label: "Home",
            short: "",
            help: "first GPU (also g, PgUp)",
            message: || Message::Gpus(Intent::Move(Motion::First)),
        },
        Binding {
            keys: &[key(KeyCode::End), ch('G'), key(KeyCode::PageDown)],
            label: "End",
            short: "",
            help: "last GPU (also G, PgDn)",
            message: || Message::Gpus(Intent::Move(Motion::Last)),
        },
        Binding {
            keys: &[ch('w'), ch('l'), key(KeyCode::Right)],
            label: "w",
            short: "window",
            help: "charts over 1, 5, 15 or 60 min, longer (also l, →)",
            message: || Message::Gpus(Intent::NextWindow),
        },
        Binding {
            keys: &[ch('W'), ch('h'), key(KeyCode::Left)],
            label: "W",
            short: "",
            help: "the same, shorter (also h, ←)",
            message: || Message::Gpus(Intent::PreviousWindow),
        },
        Binding {
            keys: &[ch('i')],
            label: "i",
            short: "details",
            help: "all that is read of this GPU, or why it is not",
            message: || Message::Gpus(Intent::ShowDetails),
        },
        Binding {
            keys: &[key(KeyCode::Enter), ch('p')],
            label: "Enter",
            short: "its processes",
            help: "the processes of this GPU (also p)",
            message: || Message::Gpus(Intent::ShowProcesses),
        },
        Binding {
            keys: &[ch('y')],
            label: "y",
            short: "",
            help: "copy its UUID",
            message: || Message::Gpus(Intent::CopyUuid),
        },
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
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let (top, _) = parts(state, area);
    let row = overview::row_at(state, top, area, position.y)?;
    state.gpus_shown().nth(row).map(|gpu| Message::Gpus(Intent::Select(gpu.id.clone())))
}
