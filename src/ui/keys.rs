//! The key table: what each key does, where. The footer and the help are made from it, and the input looks into it.

mod actions;
mod table;

use super::tabs;
use crate::app::{Message, Mode, Overlay, State, Tab, actions as acts, processes};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::borrow::Cow;
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
    /// How footer and help write the first of them.
    pub(super) label: &'static str,
    /// What they do, in a word or two, for the footer; empty: not in the footer. Neighbours with the same word are one
    /// entry there (`↑↓ GPU`).
    pub(super) short: &'static str,
    /// What they do, for the help.
    pub(super) help: &'static str,
    /// The message.
    pub(super) message: fn() -> Message,
}

/// An entry of a tab's table: how its intents become messages, keys, label, word for the footer, help, intent.
macro_rules! bind {
    ($message:path, $keys:expr, $label:literal, $short:literal, $help:expr, $intent:expr) => {
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

/// Moving in a list that may be long: `Motion` to intent to message, the word for the footer, what first and last are.
macro_rules! list {
    ($message:path, $intent:path, $short:literal, $first:literal, $last:literal) => {{
        use crossterm::event::KeyCode;
        use $crate::app::Motion;
        use $crate::ui::keys::{bind, ch, key};
        [
            bind!(
                $message,
                [key(KeyCode::Up), ch('k')],
                "↑",
                $short,
                "up (also k)",
                $intent(Motion::Previous)
            ),
            bind!(
                $message,
                [key(KeyCode::Down), ch('j')],
                "↓",
                $short,
                "down (also j)",
                $intent(Motion::Next)
            ),
            bind!($message, [key(KeyCode::PageUp)], "PgUp", "", "ten up", $intent(Motion::PageUp)),
            bind!($message, [key(KeyCode::PageDown)], "PgDn", "", "ten down", $intent(Motion::PageDown)),
            bind!($message, [key(KeyCode::Home), ch('g')], "Home", "", $first, $intent(Motion::First)),
            bind!($message, [key(KeyCode::End), ch('G')], "End", "", $last, $intent(Motion::Last)),
        ]
    }};
}
pub(super) use list;

/// Moving among a few: as above, and what each is called.
macro_rules! few {
    ($message:path, $intent:path, $what:literal) => {{
        use crossterm::event::KeyCode;
        use $crate::app::Motion;
        use $crate::ui::keys::{bind, ch, key};
        [
            bind!(
                $message,
                [key(KeyCode::Up), ch('k')],
                "↑",
                $what,
                concat!("previous ", $what, " (also k)"),
                $intent(Motion::Previous)
            ),
            bind!(
                $message,
                [key(KeyCode::Down), ch('j')],
                "↓",
                $what,
                concat!("next ", $what, " (also j)"),
                $intent(Motion::Next)
            ),
            bind!(
                $message,
                [key(KeyCode::Home), ch('g'), key(KeyCode::PageUp)],
                "Home",
                "",
                concat!("first ", $what, " (also g, PgUp)"),
                $intent(Motion::First)
            ),
            bind!(
                $message,
                [key(KeyCode::End), ch('G'), key(KeyCode::PageDown)],
                "End",
                "",
                concat!("last ", $what, " (also G, PgDn)"),
                $intent(Motion::Last)
            ),
        ]
    }};
}
pub(super) use few;

/// Where a table of keys holds.
pub(super) struct Context {
    /// Its name, for the help.
    pub(super) name: &'static str,
    /// Its keys, in groups that several contexts can share.
    pub(super) bindings: &'static [&'static [Binding]],
}

impl Context {
    fn all(&self) -> impl Iterator<Item = &'static Binding> {
        self.bindings.iter().copied().flatten()
    }
}

/// A binding and how it is written, where an earlier context may have taken some of its keys.
pub(super) struct Entry {
    pub(super) label: Cow<'static, str>,
    pub(super) binding: &'static Binding,
}

/// The entries of contexts of which an earlier one wins: what has no key left is not there.
pub(super) fn entries(contexts: &[&'static Context]) -> Vec<(&'static Context, Vec<Entry>)> {
    let mut taken: Vec<Key> = Vec::new();
    let mut all = Vec::with_capacity(contexts.len());
    for context in contexts {
        let entries = context.all().filter_map(|binding| entry(binding, &taken)).collect();
        taken.extend(context.all().flat_map(|binding| binding.keys));
        all.push((*context, entries));
    }
    all
}

fn entry(binding: &'static Binding, taken: &[Key]) -> Option<Entry> {
    let free = binding.keys.iter().position(|key| !taken.contains(key))?;
    let label = match (free, binding.keys.get(free)?.code) {
        (0, _) => binding.label.into(),
        (_, KeyCode::Char(character)) => character.to_string().into(),
        (_, code) => code.to_string().into(),
    };
    Some(Entry { label, binding })
}

/// The contexts that hold now; in the first that knows a key it means what it means there.
pub(super) fn active(state: &State) -> Vec<&'static Context> {
    match &state.overlay {
        Overlay::None => beneath(state),
        overlay if state.acts() => actions::active(state, overlay),
        Overlay::Findings { .. } if !state.verdicts().is_empty() => vec![&FINDINGS, &OVERLAY],
        _ => vec![&OVERLAY],
    }
}

/// The contexts that hold where no window is open.
pub(super) fn beneath(state: &State) -> Vec<&'static Context> {
    if types_text(state) {
        return vec![&FILTER];
    }
    let mut contexts = Vec::with_capacity(6);
    if matches!(state.mode, Mode::Replay(_)) {
        contexts.push(&REPLAY);
    }
    if state.on_driver_page() {
        contexts.push(&NO_DRIVER);
    } else {
        contexts.extend(tabs::keys(state));
    }
    if state.may_act() {
        contexts.push(&actions::OPEN);
    }
    contexts.push(&GLOBAL);
    contexts
}

/// All contexts, for the help: where nothing can be acted on, the keys for it are not there either.
pub(super) fn all(with_actions: bool) -> Vec<&'static Context> {
    let tabs = Tab::ALL.iter().flat_map(|tab| tabs::all_keys(*tab));
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
    let found =
        active(state).into_iter().flat_map(Context::all).find(|binding| binding.keys.contains(&pressed));
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
            for binding in context.all() {
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
            let binding = context.all().find(|binding| binding.keys.contains(&ctrl('c')));
            assert!(matches!(binding.map(|b| (b.message)()), Some(Message::Quit)), "{}", context.name);
        }
    }

    #[test]
    fn a_key_that_an_earlier_context_took_is_not_written() {
        let labels = |contexts: &[&'static Context], short: &str| {
            let found = entries(contexts).into_iter().flat_map(|(_, entries)| entries);
            let of_word = found.filter(|entry| entry.binding.short == short);
            of_word.map(|entry| entry.label.to_string()).collect::<Vec<_>>()
        };
        let topology = tabs::all_keys(Tab::Topology).next().unwrap();
        assert_eq!(labels(&[topology], "column"), ["←", "→"]);
        assert_eq!(labels(&[&REPLAY, topology], "column"), ["h", "l"], "the arrows seek");
        assert_eq!(labels(&[&REPLAY, &GLOBAL], "freeze"), Vec::<String>::new(), "and Space pauses");
    }
}
