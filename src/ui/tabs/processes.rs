//! Tab 2: who holds GPU memory.

use super::View;
use crate::app::processes::Intent;
use crate::app::{Message, Motion, State};
use crate::ui::keys::{Binding, Context, ch, key};
use crate::ui::widgets::Pen;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View =
    View { render, keys: &KEYS, hit, moved: |motion| Message::Processes(Intent::Move(motion)) };

static KEYS: Context = Context {
    name: "Processes",
    bindings: &[
        Binding {
            keys: &[key(KeyCode::Up), ch('k')],
            label: "↑",
            short: "",
            help: "up (also k)",
            message: || Message::Processes(Intent::Move(Motion::Previous)),
        },
        Binding {
            keys: &[key(KeyCode::Down), ch('j')],
            label: "↓",
            short: "",
            help: "down (also j)",
            message: || Message::Processes(Intent::Move(Motion::Next)),
        },
    ],
};

fn render(_state: &State, _area: Rect, _pen: &mut Pen<'_>) {}

fn hit(_state: &State, _area: Rect, _position: Position) -> Option<Message> {
    None
}
