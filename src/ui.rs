//! From [`State`] to a frame, and from an event to a [`Message`](crate::app::Message). No I/O, no clock, no
//! change of state: what is scrolled to follows from the selection.
//!
//! * [`render`] draws; [`layout()`] says where things are, for drawing and for the mouse.
//! * [`input`] holds the way from a key or a click to a message; the key table also makes the footer and the help.
//! * A tab is one file in `ui/tabs/` and one line in its table.

mod chrome;
pub mod input;
mod keys;
mod no_driver;
pub(in crate::ui) mod overlays;
mod strip;
mod tabs;
pub mod theme;
mod widgets;
mod words;

pub use theme::{ColourDepth, Role, Theme, ThemeError};

use crate::app::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use widgets::Pen;

/// The least size that anything is drawn at.
const LEAST: (u16, u16) = (30, 6);

/// Where the parts of the screen are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Host, driver, sources, time.
    pub header: Rect,
    /// The worst finding.
    pub verdict: Rect,
    /// The tab bar.
    pub tabs: Rect,
    /// The tab.
    pub body: Rect,
    /// Keys.
    pub footer: Rect,
    /// What lies over the tab, if something does.
    pub overlay: Option<Rect>,
}

/// Where the parts of the screen are in `area`; `None` when it is too small for any.
#[must_use]
pub fn layout(state: &State, area: Rect) -> Option<Layout> {
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return None;
    }
    let line = |y: u16| Rect { y, height: 1, ..area };
    // A low pane spends its lines on GPUs: the tab bar is the first to go.
    let with_tabs = area.height >= 14;
    let top = area.y + if with_tabs { 3 } else { 2 };
    let bottom = area.bottom() - 1;
    let body = Rect { y: top, height: bottom - top, ..area };
    Some(Layout {
        header: line(area.y),
        verdict: line(area.y + if with_tabs { 2 } else { 1 }),
        tabs: Rect { height: u16::from(with_tabs), ..line(area.y + 1) },
        body,
        footer: line(bottom),
        overlay: overlays::area(state, body),
    })
}

/// Whether a plan that is open stands on the screen whole enough to be confirmed: on a pane that is too low for the
/// change and the question it has not been seen.
#[must_use]
pub fn confirmable(state: &State) -> bool {
    overlays::confirmable(state)
}

/// Draws the whole screen.
pub fn render(state: &State, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), theme);
    // The frame comes empty, in the terminal's own colours.
    if theme.paints() {
        pen.fill(area, Role::Text);
    }
    let Some(layout) = layout(state, area) else {
        let text = format!("kgtop needs {} × {}", LEAST.0, LEAST.1);
        pen.text(area.x, area.y, area.width, &text, Role::Text);
        return;
    };
    chrome::header(state, layout.header, &mut pen);
    chrome::tab_bar(state, layout.tabs, &mut pen);
    strip::render(state, layout.verdict, &mut pen);
    if state.on_driver_page() {
        no_driver::render(state, layout.body, &mut pen);
    } else {
        tabs::render(state, layout.body, &mut pen);
    }
    if let Some(area) = layout.overlay {
        overlays::render(state, area, &mut pen);
    }
    chrome::footer(state, layout.footer, &mut pen);
}
