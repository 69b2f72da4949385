//! The key table: what each key does, where. The footer and the help are made from it, and the input looks into it.

mod actions;
mod table;

use super::tabs;
use crate::app::{Message, Mode, Overlay, State, Tab, actions as acts, processes};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use table::{FILTER, FINDINGS, GLOBAL, NO_DRIVER, OVERLAY, REPLAY};

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

/// An entry of a tab's table: how its intents become messages, keys, label, word for the footer, help, intent.
macro_rules! bind {
    ($message:path, $keys:expr, $label:literal, $short:literal, $help:literal, $intent:expr) => {
        $crate::ui::keys::Binding {
            keys: &$keys,
            label: $label,
            short: $short,
            help: $help,
            message: || $message($intent),
        }
    };
}
pub(super) use bind;

/// Where a table of keys holds.
pub(super) struct Context {
    /// Its name, for the help.
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) bindings: &'static [Binding],
}

/// The contexts that hold now; in the first that knows a key it means what it means there.
pub(super) fn active(state: &State) -> Vec<&'static Context> {
    match &state.overlay {
        Overlay::None => {}
        overlay if state.acts() => return actions::active(state, overlay),
        Overlay::Findings { .. } if !state.verdicts().is_empty() => return vec![&FINDINGS, &OVERLAY],
        _ => return vec![&OVERLAY],
    }
    if types_text(state) {
        return vec![&FILTER];
    }
    let mut contexts = Vec::with_capacity(5);
    if matches!(state.mode, Mode::Replay(_)) {
        contexts.push(&REPLAY);
    }
    if state.on_driver_page() {
        contexts.push(&NO_DRIVER);
    } else {
        contexts.push(tabs::keys(state.tab));
    }
    if state.may_act() {
        contexts.push(&actions::OPEN);
    }
    contexts.push(&GLOBAL);
    contexts
}

/// All contexts, for the help: where nothing can be acted on, the keys for it are not there either.
pub(super) fn all(with_actions: bool) -> Vec<&'static Context> {
    let tabs = Tab::ALL.iter().map(|tab| tabs::keys(*tab));
    let acting = actions::ALL.into_iter().filter(|_| with_actions);
    [&GLOBAL]
        .into_iter()
        .chain(tabs)
        .chain(acting)
        .chain([&FILTER, &REPLAY, &NO_DRIVER, &FINDINGS, &OVERLAY])
        .collect()
}

/// Whether keys are text of the filter.
pub(super) fn types_text(state: &State) -> bool {
    state.tab == Tab::Processes && state.processes.editing && matches!(state.overlay, Overlay::None)
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
        Key { code: KeyCode::Char(character), modifiers: KeyModifiers::NONE }
            if actions::types_text(state) =>
        {
            Some(Message::Actions(acts::Intent::Type(character)))
        }
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
        for context in all(true) {
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
