//! Whole screens: what they show, in which roles, at which sizes.

#[path = "support/frames.rs"]
mod support;

use kgtop::app::{Message, Mode, Settings, State, Tab, update};
use kgtop::ui::Theme;
use support::{Condition, Rig, frame, roles, text};

const SECONDS: u64 = 260;

fn live(rig: Rig) -> State {
    rig.state(SECONDS, Settings::default(), Mode::Live)
}

fn on(mut state: State, tab: Tab) -> State {
    update(&mut state, Message::SelectTab(tab));
    state
}

/// Compares text and role map with `snapshots/`.
fn check(name: &str, state: &State, columns: u16, rows: u16) {
    let theme = Theme::probe();
    let buffer = frame(state, &theme, columns, rows);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        let size = format!("{name}-{columns}x{rows}");
        insta::assert_snapshot!(size.clone(), text(&buffer));
        insta::assert_snapshot!(format!("{size}-roles"), roles(&buffer, &theme));
    });
}

const SIZES: [(u16, u16); 4] = [(200, 60), (120, 40), (80, 24), (40, 12)];

#[test]
fn gpus_healthy() {
    let state = live(Rig::new(8, 20, Condition::Healthy));
    for (columns, rows) in SIZES {
        check("gpus-healthy", &state, columns, rows);
    }
}

#[test]
fn processes_healthy() {
    let state = on(live(Rig::new(8, 20, Condition::Healthy)), Tab::Processes);
    for (columns, rows) in SIZES {
        check("processes-healthy", &state, columns, rows);
    }
}
