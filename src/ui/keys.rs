//! The key table: what each key does, where. The footer and the help are made from it, and the input looks into it.

use super::tabs;
use crate::app::{Message, Mode, Motion, Overlay, State, Tab, processes};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) code: KeyCode,
    pub(super) modifiers: KeyModifiers,
}

/// A key without modifiers. Shift is part of the character.
pub(super) const fn key(code: KeyCode) -> Key {
    Key { code, modifiers: KeyModifiers::NONE }
}

/// A character.
pub(super) const fn ch(character: char) -> Key {
    key(KeyCode::Char(character))
}

/// A character with Ctrl.
pub(super) const fn ctrl(character: char) -> Key {
    Key { code: KeyCode::Char(character), modifiers: KeyModifiers::CONTROL }
}

/// What some keys do in a context.
pub(super) struct Binding {
    /// The keys, all alike.
    pub(super) keys: &'static [Key],
    /// How footer and help write them.
    pub(super) label: &'static str,
    /// What they do, in a word or two, for the footer; empty: not in the footer.
    pub(super) short: &'static str,
    /// What they do, for the help.
    pub(super) help: &'static str,
    /// The message.
    pub(super) message: fn() -> Message,
}

/// Where a table of keys holds.
pub(super) struct Context {
    /// Its name, for the help.
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) bindings: &'static [Binding],
}

const GLOBAL: Context = Context {
    name: "Everywhere",
    bindings: &[
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
            help: "next tab (also 1 to 9)",
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
    ],
};

const REPLAY: Context = Context {
    name: "Replay",
    bindings: &[
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
    ],
};

const NO_DRIVER: Context = Context {
    name: "Without a driver",
    bindings: &[Binding {
        keys: &[ch('d')],
        label: "d",
        short: "demo",
        help: "show the demo",
        message: || Message::StartDemo,
    }],
};

/// `last` is filled in by the input, which knows how long the text is.
const fn scroll(motion: Motion) -> Message {
    Message::MoveOverlay { motion, last: 0 }
}

const OVERLAY: Context = Context {
    name: "In a window like this one",
    bindings: &[
        Binding {
            keys: &[key(KeyCode::Esc), key(KeyCode::Enter), ch('q')],
            label: "Esc",
            short: "close",
            help: "close it (also q, Enter)",
            message: || Message::CloseOverlay,
        },
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
        Binding { keys: &[ctrl('c')], label: "Ctrl-C", short: "", help: "quit", message: || Message::Quit },
        Binding {
            keys: &[ctrl('z')],
            label: "Ctrl-Z",
            short: "",
            help: "suspend",
            message: || Message::Suspend,
        },
    ],
};

const FILTER: Context = Context {
    name: "While a filter is typed",
    bindings: &[
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
        Binding { keys: &[ctrl('c')], label: "Ctrl-C", short: "", help: "quit", message: || Message::Quit },
        Binding {
            keys: &[ctrl('z')],
            label: "Ctrl-Z",
            short: "",
            help: "suspend",
            message: || Message::Suspend,
        },
    ],
};

/// The contexts that hold now; in the first that knows a key it means what it means there.
pub(super) fn active(state: &State) -> Vec<&'static Context> {
    if !matches!(state.overlay, Overlay::None) {
        return vec![&OVERLAY];
    }
    if types_text(state) {
        return vec![&FILTER];
    }
    let mut contexts = Vec::with_capacity(4);
    if matches!(state.mode, Mode::Replay(_)) {
        contexts.push(&REPLAY);
    }
    if state.without_driver() {
        contexts.push(&NO_DRIVER);
    } else {
        contexts.push(tabs::keys(state.tab));
    }
    contexts.push(&GLOBAL);
    contexts
}

/// All contexts, for the help and the tests.
pub(super) fn all() -> Vec<&'static Context> {
    let tabs = Tab::ALL.iter().map(|tab| tabs::keys(*tab));
    [&GLOBAL].into_iter().chain(tabs).chain([&FILTER, &REPLAY, &NO_DRIVER, &OVERLAY]).collect()
}

/// Whether keys are text.
pub(super) fn types_text(state: &State) -> bool {
    state.tab == Tab::Processes && state.processes.editing
}

/// What a key means now.
pub(super) fn message(state: &State, event: &KeyEvent) -> Option<Message> {
    let modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
    let pressed = Key { code: event.code, modifiers };
    let found = active(state)
        .into_iter()
        .flat_map(|context| context.bindings)
        .find(|binding| binding.keys.contains(&pressed));
    if let Some(binding) = found {
        return Some((binding.message)());
    }
    match pressed {
        Key { code: KeyCode::Char(character), modifiers: KeyModifiers::NONE } if types_text(state) => {
            Some(Message::Processes(processes::Intent::Type(character)))
        }
        Key { code: KeyCode::Char(digit @ '1'..='9'), modifiers: KeyModifiers::NONE }
            if matches!(state.overlay, Overlay::None) =>
        {
            let number = usize::try_from(digit.to_digit(10)?).ok()?;
            Tab::from_number(number).map(Message::SelectTab)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_stands_twice_in_a_context_and_each_is_explained() {
        for context in all() {
            let mut seen = HashSet::new();
            for binding in context.bindings {
                assert!(!binding.help.is_empty() && !binding.label.is_empty(), "{}", context.name);
                for key in binding.keys {
                    assert!(seen.insert((key.code, key.modifiers)), "{}: {key:?} twice", context.name);
                }
            }
        }
    }

    #[test]
    fn ctrl_c_quits_from_everywhere() {
        for context in [&GLOBAL, &OVERLAY, &FILTER] {
            let quits = |b: &&Binding| b.keys.contains(&ctrl('c'));
            let binding = context.bindings.iter().find(quits);
            assert!(matches!(binding.map(|b| (b.message)()), Some(Message::Quit)), "{}", context.name);
        }
    }
}
