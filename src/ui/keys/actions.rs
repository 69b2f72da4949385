//! The keys of actions. Where nothing can be acted on, none of them is there.

use super::table::{SCROLL, scroll};
use super::{Binding, Context, bind, ch, ctrl, key, list};
use crate::app::actions::{Intent, Run};
use crate::app::{Message, Motion, Overlay, State};
use crate::ui::overlays::confirmable;
use crossterm::event::KeyCode;

/// All contexts, in the order of the help.
pub(super) static ALL: [&Context; 10] =
    [&OPEN, &LIST, &VALUE, &YES, &SUDO, &PLAN, &TYPED, &RUN, &UNDO, &LEAVE];

/// The contexts of the window that is open.
pub(super) fn active(state: &State, overlay: &Overlay) -> Vec<&'static Context> {
    let mut contexts: Vec<&'static Context> = Vec::with_capacity(4);
    match overlay {
        Overlay::Actions(_) => contexts.push(&LIST),
        Overlay::Ask(_) => contexts.push(&VALUE),
        Overlay::Plan(view) if view.is_typed() && confirmable(state) => contexts.push(&TYPED),
        Overlay::Plan(view) => {
            if view.weight().is_some() && confirmable(state) {
                contexts.push(&YES);
            }
            if view.plan.as_ref().is_some_and(crate::actions::Plan::needs_only_root) {
                contexts.push(&SUDO);
            }
            contexts.push(&PLAN);
        }
        Overlay::Progress { .. } => {
            let undoable = |run: &Run| !run.is_running() && state.undoable(&run.subject).next().is_some();
            if state.run().is_some_and(undoable) {
                contexts.push(&UNDO);
            }
            contexts.push(&RUN);
        }
        _ => {}
    }
    contexts.push(&LEAVE);
    contexts
}

/// Whether keys are text of a value or of a confirmation.
pub(super) fn types_text(state: &State) -> bool {
    match &state.overlay {
        Overlay::Ask(_) => true,
        Overlay::Plan(view) => view.is_typed(),
        _ => false,
    }
}

/// An entry with any message.
macro_rules! send {
    ($keys:expr, $label:literal, $short:literal, $help:literal, $message:expr) => {
        Binding { keys: &$keys, label: $label, short: $short, help: $help, message: || $message }
    };
}

pub(super) static OPEN: Context = Context {
    name: "Actions, on the tabs of GPUs and processes",
    bindings: &[&[
        bind!(
            Message::Actions,
            [ch('a')],
            "a",
            "actions",
            "what can be done to what is selected",
            Intent::Open
        ),
        bind!(
            Message::Actions,
            [ch('u')],
            "u",
            "",
            "plan to undo the last change of what is selected",
            Intent::Undo
        ),
        bind!(Message::Actions, [ch('A')], "A", "", "how the last action went", Intent::ShowRun),
    ]],
};

static LIST: Context = Context {
    name: "In the list of actions",
    bindings: &[
        &[bind!(
            Message::Actions,
            [key(KeyCode::Enter)],
            "Enter",
            "choose",
            "take the selected entry",
            Intent::Choose
        )],
        &list!(Message::Actions, Intent::Move, "select", "to the first (also g)", "to the last (also G)"),
        &[send!([key(KeyCode::Esc), ch('q')], "Esc", "close", "close it (also q)", Message::CloseOverlay)],
    ],
};

/// While text is typed: what corrects it, and moving in the lines above it without a letter.
static TYPING: [Binding; 5] = [
    bind!(
        Message::Actions,
        [key(KeyCode::Backspace)],
        "Backspace",
        "",
        "remove a character",
        Intent::Backspace
    ),
    send!([key(KeyCode::Up)], "↑", "", "up", scroll(Motion::Previous)),
    send!([key(KeyCode::Down)], "↓", "scroll", "down", scroll(Motion::Next)),
    send!([key(KeyCode::PageUp)], "PgUp", "", "a page up", scroll(Motion::PageUp)),
    send!([key(KeyCode::PageDown)], "PgDn", "", "a page down", scroll(Motion::PageDown)),
];

static VALUE: Context = Context {
    name: "While a value is typed",
    bindings: &[
        &[
            bind!(
                Message::Actions,
                [key(KeyCode::Enter)],
                "Enter",
                "plan it",
                "show the plan; nothing is sent yet",
                Intent::Accept
            ),
            send!([key(KeyCode::Esc)], "Esc", "leave", "leave it", Message::CloseOverlay),
        ],
        &TYPING,
    ],
};

static YES: Context = Context {
    name: "On a plan that can be confirmed",
    bindings: &[&[
        bind!(
            Message::Actions,
            [ch('y')],
            "y",
            "yes",
            "yes; where it disturbs somebody Enter has to follow",
            Intent::Yes
        ),
        bind!(Message::Actions, [ch('n')], "n", "no", "no: close it, nothing is sent", Intent::No),
    ]],
};

static SUDO: Context = Context {
    name: "On a plan that only root may carry out",
    bindings: &[&[bind!(
        Message::Actions,
        [ch('s')],
        "s",
        "sudo",
        "through sudo, on the terminal: planned and confirmed again there",
        Intent::Sudo
    )]],
};

static PLAN: Context = Context {
    name: "On a plan",
    bindings: &[
        &[
            bind!(
                Message::Actions,
                [key(KeyCode::Enter)],
                "Enter",
                "",
                "after a yes: go on; without one: close it",
                Intent::Accept
            ),
            send!([key(KeyCode::Esc), ch('q')], "Esc", "close", "close it (also q)", Message::CloseOverlay),
            bind!(Message::Actions, [ch('c')], "c", "copy", "copy the command", Intent::Copy),
        ],
        &SCROLL,
    ],
};

static TYPED: Context = Context {
    name: "On a plan that is confirmed by typing its target",
    bindings: &[
        &[
            bind!(
                Message::Actions,
                [key(KeyCode::Enter)],
                "Enter",
                "go on",
                "go on, if what was typed is the target",
                Intent::Accept
            ),
            send!([key(KeyCode::Esc)], "Esc", "close", "close it, nothing is sent", Message::CloseOverlay),
        ],
        &TYPING,
    ],
};

static UNDO: Context = Context {
    name: "When an action has ended",
    bindings: &[&[bind!(Message::Actions, [ch('u')], "u", "undo", "plan to take it back", Intent::Undo)]],
};

static RUN: Context = Context {
    name: "While an action runs",
    bindings: &[
        &[send!(
            [key(KeyCode::Esc), key(KeyCode::Enter), ch('q')],
            "Esc",
            "close",
            "close the window; what runs goes on (also q, Enter)",
            Message::CloseOverlay
        )],
        &SCROLL,
    ],
};

static LEAVE: Context = Context {
    name: "In every window of an action",
    bindings: &[&[
        send!([ctrl('c')], "Ctrl-C", "", "quit; what runs goes on", Message::Quit),
        send!([ctrl('z')], "Ctrl-Z", "", "suspend", Message::Suspend),
    ]],
};
