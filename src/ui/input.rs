//! From an event of the terminal to a message.

use super::{chrome, keys, layout, overlays, tabs};
use crate::app::findings::Concern;
use crate::app::{Message, Motion, Overlay, State, Tab};
use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

/// What `event` means on a screen of `area`; `None` if it means nothing.
#[must_use]
pub fn message_for(state: &State, area: Rect, event: &Event) -> Option<Message> {
    let message = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => keys::message(state, key),
        Event::Mouse(mouse) => mouse_message(state, area, mouse),
        Event::Paste(text) => Some(Message::Paste(text.clone())),
        Event::Resize(columns, rows) => Some(Message::Resize(*columns, *rows)),
        _ => None,
    }?;
    Some(match message {
        Message::MoveOverlay { motion, .. } => {
            let overlays::Shown { first, last, room } = overlays::shown(state, area);
            Message::MoveOverlay { motion: motion.paged(room), first, last }
        }
        other => other,
    })
}

fn mouse_message(state: &State, area: Rect, mouse: &MouseEvent) -> Option<Message> {
    let layout = layout(state, area)?;
    let position = Position { x: mouse.column, y: mouse.row };
    let motion = match mouse.kind {
        MouseEventKind::ScrollUp => Some(Motion::Previous),
        MouseEventKind::ScrollDown => Some(Motion::Next),
        _ => None,
    };
    let click = matches!(mouse.kind, MouseEventKind::Down(MouseButton::Left));
    if let Some(overlay) = layout.overlay {
        return match motion {
            Some(motion) => Some(Message::MoveOverlay { motion, first: 0, last: 0 }),
            None if click && overlay.contains(position) => overlays::hit(state, overlay, position),
            // A click beside a window closes it.
            None => (click && !overlay.contains(position)).then_some(Message::CloseOverlay),
        };
    }
    if let Some(motion) = motion {
        return (!state.on_driver_page()).then(|| tabs::moved(state.tab, motion));
    }
    if !click || !matches!(state.overlay, Overlay::None) {
        return None;
    }
    if layout.tabs.contains(position) {
        return chrome::tab_at(layout.tabs, position.x).map(Message::SelectTab);
    }
    if layout.verdict.contains(position) {
        return match state.concerns().as_slice() {
            [] => None,
            [Concern::Check(_)] => Some(Message::SelectTab(Tab::Doctor)),
            _ => Some(Message::ShowFindings),
        };
    }
    if layout.body.contains(position) && !state.on_driver_page() {
        return tabs::hit(state, layout.body, position);
    }
    None
}
