//! The keys that belong to no tab.

use super::{Binding, Context, ch, ctrl, key};
use crate::app::{Message, Motion, findings, processes};
use crossterm::event::KeyCode;

pub(super) static GLOBAL: Context = Context {
    name: "Everywhere",
    bindings: &[&[
        Binding {
            keys: &[ch('?')],
            label: "?",
            short: "help",
            help: "show all keys",
            message: || Message::ShowHelp,
        },
        Binding {
            keys: &[ch('q'), ctrl('c')],
            label: "q",
            short: "quit",
            help: "quit (also Ctrl-C)",
            message: || Message::Quit,
        },
        Binding {
            keys: &[ch('f')],
            label: "f",
            short: "findings",
            help: "all findings, with evidence and advice",
            message: || Message::ShowFindings,
        },
        Binding {
            keys: &[ch('v')],
            label: "v",
            short: "",
            help: "to the evidence of the worst finding",
            message: || Message::Findings(findings::Intent::OpenWorst),
        },
        Binding {
            keys: &[ch(' ')],
            label: "Space",
            short: "freeze",
            help: "hold the screen still, or let it go on",
            message: || Message::ToggleFreeze,
        },
        Binding {
            keys: &[key(KeyCode::Tab)],
            label: "Tab",
            short: "",
            help: "next tab (also 1 to 7)",
            message: || Message::NextTab,
        },
        Binding {
            keys: &[key(KeyCode::BackTab)],
            label: "Shift-Tab",
            short: "",
            help: "previous tab",
            message: || Message::PreviousTab,
        },
        Binding {
            keys: &[ch('E')],
            label: "E",
            short: "",
            help: "what the collector wrote to standard error",
            message: || Message::ShowCollectorLog,
        },
        Binding {
            keys: &[ch('B')],
            label: "B",
            short: "",
            help: "write one file for the ticket",
            message: || Message::WriteBundle,
        },
        Binding {
            keys: &[ch('R')],
            label: "R",
            short: "",
            help: "start a fresh collector now",
            message: || Message::RestartCollector,
        },
        Binding {
            keys: &[ctrl('z')],
            label: "Ctrl-Z",
            short: "",
            help: "suspend; fg comes back",
            message: || Message::Suspend,
        },
    ]],
};

pub(super) static REPLAY: Context = Context {
    name: "Replay",
    bindings: &[&[
        Binding {
            keys: &[ch(' ')],
            label: "Space",
            short: "pause",
            help: "pause, or go on",
            message: || Message::TogglePause,
        },
        Binding {
            keys: &[key(KeyCode::Left)],
            label: "←",
            short: "",
            help: "10 s back",
            message: || Message::Seek(-10),
        },
        Binding {
            keys: &[key(KeyCode::Right)],
            label: "→",
            short: "10 s",
            help: "10 s forward",
            message: || Message::Seek(10),
        },
        Binding {
            keys: &[ch('{')],
            label: "{",
            short: "",
            help: "5 min back",
            message: || Message::Seek(-300),
        },
        Binding {
            keys: &[ch('}')],
            label: "}",
            short: "",
            help: "5 min forward",
            message: || Message::Seek(300),
        },
        Binding {
            keys: &[ch(',')],
            label: ",",
            short: "",
            help: "a sample back, and pause",
            message: || Message::Step(-1),
        },
        Binding {
            keys: &[ch('.')],
            label: ".",
            short: "step",
            help: "a sample forward, and pause",
            message: || Message::Step(1),
        },
        Binding {
            keys: &[ch('+'), ch('=')],
            label: "+",
            short: "faster",
            help: "faster",
            message: || Message::Faster,
        },
        Binding {
            keys: &[ch('-')],
            label: "-",
            short: "slower",
            help: "slower",
            message: || Message::Slower,
        },
    ]],
};

pub(super) static NO_DRIVER: Context = Context {
    name: "Without a driver",
    bindings: &[&[Binding {
        keys: &[ch('d')],
        label: "d",
        short: "demo",
        help: "show the demo",
        message: || Message::StartDemo,
    }]],
};

/// `first` and `last` are filled in by the input, which knows how long the text is.
pub(super) const fn scroll(motion: Motion) -> Message {
    Message::MoveOverlay { motion, first: 0, last: 0 }
}

/// Ahead of [`OVERLAY`], while a finding stands.
pub(super) static FINDINGS: Context = Context {
    name: "Among the findings",
    bindings: &[&[
        Binding {
            keys: &[key(KeyCode::Enter)],
            label: "Enter",
            short: "evidence",
            help: "to the tab that shows its evidence, its GPU selected",
            message: || Message::Findings(findings::Intent::Open),
        },
        Binding {
            keys: &[key(KeyCode::Up), ch('k')],
            label: "↑",
            short: "",
            help: "the one above (also k)",
            message: || Message::Findings(findings::Intent::Move(Motion::Previous)),
        },
        Binding {
            keys: &[key(KeyCode::Down), ch('j')],
            label: "↓",
            short: "next",
            help: "the one below (also j)",
            message: || Message::Findings(findings::Intent::Move(Motion::Next)),
        },
        Binding {
            keys: &[key(KeyCode::PageDown), ch(' ')],
            label: "PgDn",
            short: "scroll",
            help: "a page down (also Space)",
            message: || scroll(Motion::PageDown),
        },
    ]],
};

/// Moving in the text of a window.
pub(super) static SCROLL: [Binding; 6] = [
    Binding {
        keys: &[key(KeyCode::Up), ch('k')],
        label: "↑",
        short: "",
        help: "up (also k)",
        message: || scroll(Motion::Previous),
    },
    Binding {
        keys: &[key(KeyCode::Down), ch('j')],
        label: "↓",
        short: "scroll",
        help: "down (also j)",
        message: || scroll(Motion::Next),
    },
    Binding {
        keys: &[key(KeyCode::PageUp)],
        label: "PgUp",
        short: "",
        help: "a page up",
        message: || scroll(Motion::PageUp),
    },
    Binding {
        keys: &[key(KeyCode::PageDown), ch(' ')],
        label: "PgDn",
        short: "",
        help: "a page down (also Space)",
        message: || scroll(Motion::PageDown),
    },
    Binding {
        keys: &[key(KeyCode::Home), ch('g')],
        label: "Home",
        short: "",
        help: "to the top (also g)",
        message: || scroll(Motion::First),
    },
    Binding {
        keys: &[key(KeyCode::End), ch('G')],
        label: "End",
        short: "",
        help: "to the end (also G)",
        message: || scroll(Motion::Last),
    },
];

/// Leaving from within a window or a line of input.
static LEAVING: [Binding; 2] = [
    Binding { keys: &[ctrl('c')], label: "Ctrl-C", short: "", help: "quit", message: || Message::Quit },
    Binding { keys: &[ctrl('z')], label: "Ctrl-Z", short: "", help: "suspend", message: || Message::Suspend },
];

pub(super) static OVERLAY: Context = Context {
    name: "In a window like this one",
    bindings: &[
        &[Binding {
            keys: &[key(KeyCode::Esc), key(KeyCode::Enter), ch('q')],
            label: "Esc",
            short: "close",
            help: "close it (also q, Enter)",
            message: || Message::CloseOverlay,
        }],
        &SCROLL,
        &LEAVING,
    ],
};

pub(super) static FILTER: Context = Context {
    name: "While a filter is typed",
    bindings: &[
        &[
            Binding {
                keys: &[key(KeyCode::Enter)],
                label: "Enter",
                short: "keep",
                help: "keep the filter",
                message: || Message::Processes(processes::Intent::AcceptFilter),
            },
            Binding {
                keys: &[key(KeyCode::Esc)],
                label: "Esc",
                short: "drop",
                help: "drop the filter",
                message: || Message::Processes(processes::Intent::ClearFilter),
            },
            Binding {
                keys: &[key(KeyCode::Backspace)],
                label: "Backspace",
                short: "",
                help: "remove a character",
                message: || Message::Processes(processes::Intent::Backspace),
            },
        ],
        &LEAVING,
    ],
};
