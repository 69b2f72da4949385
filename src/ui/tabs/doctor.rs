//! Tab 7: the layers from the bus to the container.

use super::View;
use crate::app::Motion;
use crate::app::{Message, State, doctor::Intent};
use crate::ui::keys::{Binding, Context, ch, key};
use crate::ui::theme::Role;
use crate::ui::widgets::Pen;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View =
    View { render, keys: &KEYS, hit, moved: |motion| Message::Doctor(Intent::Move(motion)) };

macro_rules! bind {
    ($keys:expr, $label:literal, $help:literal, $intent:expr) => {
        Binding { keys: &$keys, label: $label, short: "", help: $help, message: || Message::Doctor($intent) }
    };
}

static KEYS: Context = Context {
    name: "Doctor",
    bindings: &[
        bind!([key(KeyCode::Up), ch('k')], "↑", "up (also k)", Intent::Move(Motion::Previous)),
        bind!([key(KeyCode::Down), ch('j')], "↓", "down (also j)", Intent::Move(Motion::Next)),
    ],
};

fn render(_state: &State, area: Rect, pen: &mut Pen<'_>) {
    pen.text(area.x, area.y, area.width, "No layer was checked.", Role::Muted);
}

fn hit(_state: &State, _area: Rect, _position: Position) -> Option<Message> {
    None
}
