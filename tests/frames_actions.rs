//! Frames of every window of an action.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may panic"
)]

#[path = "support/acting.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod acting;
#[path = "support/frames.rs"]
#[allow(dead_code, reason = "shared with the other frame tests")]
mod support;

use acting::{Setting, key};
use crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use kgtop::actions::{Change, Outcome, Progress, Refusal, RefusalKind};
use kgtop::app::actions::Preflight;
use kgtop::app::{Effect, Message, Mode, Overlay, Settings, State, update};
use kgtop::ui::Theme;
use kgtop::units::Mono;
use support::{START, frame, roles, text};

const SECONDS: u64 = 60;
const SIZES: [(u16, u16); 3] = [(120, 40), (80, 24), (40, 12)];
const NOW: Mono = Mono((START + SECONDS) * 1_000_000);

fn live() -> State {
    let mut state = acting::state(&acting::rig(), SECONDS, Settings::default(), Mode::Live);
    acting::tick(&mut state, NOW);
    state
}

/// Presses keys; gives the effects of all.
fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|character| acting::event(state, SIZES[0], &key(character))).collect()
}

/// What is read of the host comes.
fn answer(state: &mut State, preflight: Preflight) {
    update(state, Message::Preflight(Box::new(preflight)));
}

/// The plan has been looked at.
fn seen(state: &mut State) {
    let generation = state.plan_to_be_seen().expect("a plan that can be confirmed");
    update(state, Message::PlanSeen(generation));
}

fn check(name: &str, state: &State) {
    let theme = Theme::probe();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (columns, rows) in SIZES {
            let buffer = frame(state, &theme, columns, rows);
            let size = format!("action-{name}-{columns}x{rows}");
            insta::assert_snapshot!(size.clone(), text(&buffer));
            if rows == 24 {
                insta::assert_snapshot!(format!("{size}-roles"), roles(&buffer, &theme));
            }
        }
    });
}

/// A plan of the GPU that is `down` rows below the first: entry and value by keys.
fn plan(down: usize, entry: usize, value: &str) -> State {
    let mut state = live();
    let keys = format!("{}a{}\n{value}", "↓".repeat(down), "↓".repeat(entry));
    let effects = press(&mut state, &keys);
    answer(&mut state, acting::preflight(&effects, NOW, true, None));
    state
}

const ECC: usize = 9;
const RESET: usize = 11;

#[test]
fn the_lists() {
    let mut state = live();
    press(&mut state, "a↓↓");
    check("list-gpu", &state);
    press(&mut state, "\u{1b}2a↓↓");
    check("list-process", &state);
    let mut modes = live();
    press(&mut modes, "a↓↓↓↓↓↓↓↓\n");
    check("list-modes", &modes);
}

#[test]
fn a_click_selects_and_takes_an_entry_and_confirms_nothing() {
    let click = |row: &str, state: &mut State| {
        let screen = text(&frame(state, &Theme::probe(), 120, 40));
        let y = screen.lines().position(|line| line.contains(row)).expect(row) as u16;
        let kind = MouseEventKind::Down(MouseButton::Left);
        let mouse = MouseEvent { kind, column: 30, row: y, modifiers: KeyModifiers::NONE };
        acting::event(state, SIZES[0], &Event::Mouse(mouse))
    };
    let mut state = live();
    press(&mut state, "↓↓a");
    let back = "Power limit back to the default";
    assert_eq!(click(back, &mut state), []);
    let screen = text(&frame(&state, &Theme::probe(), 120, 40));
    assert!(screen.contains(&format!("› {back}")), "{screen}");
    let effects = click(back, &mut state);
    assert!(matches!(effects.first(), Some(Effect::Preflight(_))), "{effects:?}");
    let mut state = plan(2, 0, "250\n");
    seen(&mut state);
    for row in ["Go on? y goes on", "Change", "Plan: power limit"] {
        assert_eq!(click(row, &mut state), []);
    }
    assert!(state.is_armed(), "the plan is still there");
}

#[test]
fn a_value() {
    let mut state = live();
    press(&mut state, "a\n25x\n");
    check("value", &state);
}

#[test]
fn a_plan_for_each_weight() {
    let mut idle = plan(2, 0, "250\n");
    check("plan-unread", &idle);
    seen(&mut idle);
    check("plan-key", &idle);
    let mut busy = plan(0, 0, "560\n");
    seen(&mut busy);
    check("plan-yes-no", &busy);
    press(&mut busy, "y");
    check("plan-yes", &busy);
    let mut clear = plan(2, ECC, "");
    seen(&mut clear);
    press(&mut clear, "29:");
    check("plan-typed", &clear);
    let mut reset = plan(2, RESET, "");
    seen(&mut reset);
    check("plan-reset", &reset);
}

#[test]
fn plans_that_cannot_be_confirmed() {
    check("plan-out-of-range", &plan(2, 0, "900\n"));
    check("plan-already", &plan(2, 1, ""));
    check("plan-reset-held", &plan(0, RESET, ""));
    let mut state = live();
    let effects = press(&mut state, "a\n250\n");
    check("plan-being-read", &state);
    answer(&mut state, acting::preflight(&effects, NOW, false, None));
    check("plan-not-root", &state);
    let mut process = live();
    let effects = press(&mut process, "2a↓↓\n");
    let reason = "PID 21007 is another process now: the one that was meant has ended".to_owned();
    let unproven = Refusal { kind: RefusalKind::NotProven, reason };
    answer(&mut process, acting::preflight(&effects, NOW, true, Some(unproven)));
    check("plan-not-proven", &process);
}

/// The screen of that size, and what is on it.
fn sized(state: &mut State, columns: u16, rows: u16) -> String {
    update(state, Message::Resize(columns, rows));
    text(&frame(state, &Theme::probe(), columns, rows))
}

#[test]
fn a_plan_that_a_low_pane_cannot_show_is_not_confirmed_there() {
    let weights = [(plan(2, 0, "250\n"), "y goes on"), (plan(0, 0, "560\n"), "y/N"), (plan(2, ECC, ""), "›")];
    for (mut state, asks) in weights {
        seen(&mut state);
        assert!(state.is_armed());
        let (mut confirmed, mut low) = (0, 0);
        for (columns, rows) in [(120, 40), (80, 24), (40, 12), (60, 9), (60, 7), (40, 7), (30, 6)] {
            let screen = sized(&mut state, columns, rows);
            assert!(!state.is_armed(), "{columns}x{rows}: what was seen on another screen counts");
            let footer = screen.lines().last().unwrap().to_owned();
            if kgtop::ui::confirmable(&state) {
                // Both stand there, whole; and the question once it was read.
                seen(&mut state);
                let screen = sized(&mut state, columns, rows);
                assert!(state.is_armed(), "the same size is no other screen");
                assert!(screen.contains("Change ") && screen.contains(asks), "{columns}x{rows}: {screen}");
                assert!(!screen.contains("too low"), "{screen}");
                confirmed += 1;
            } else {
                assert!(screen.contains("too low to confirm"), "{columns}x{rows}: {screen}");
                assert!(!footer.contains("yes") && !footer.contains("go on"), "{columns}x{rows}: {footer}");
                let effects = press(&mut state, "y\n");
                assert!(effects.iter().all(|effect| !matches!(effect, Effect::Act(_))), "{effects:?}");
                assert!(matches!(state.overlay(), Overlay::Plan(_)), "{columns}x{rows}");
                low += 1;
            }
        }
        assert!(confirmed >= 3 && low >= 1, "{confirmed} sizes confirm, {low} do not");
    }
}

#[test]
fn why_a_plan_is_refused_can_be_read_whole_on_a_low_pane() {
    let mut state = plan(2, 0, "900\n");
    let whole = "refused: ";
    for (columns, rows) in [(60, 7), (30, 6)] {
        let mut said = String::new();
        update(&mut state, Message::MoveOverlay { motion: kgtop::app::Motion::First, first: 0, last: 0 });
        for _ in 0..12 {
            for line in sized(&mut state, columns, rows).lines().filter(|line| line.starts_with('│')) {
                let line = line.trim_matches(['│', ' ']);
                if !said.ends_with(line) {
                    said = format!("{said} {line}");
                }
            }
            acting::event(&mut state, (columns, rows), &key('↓'));
        }
        let Overlay::Plan(_) = state.overlay() else { panic!("closed") };
        assert!(said.contains(whole), "{said}");
        assert!(said.contains("200 W to 700 W") || said.contains("between 200"), "{columns}x{rows}: {said}");
    }
}

#[test]
fn what_can_be_written_scrolls_beneath_a_low_pane() {
    let mut state = live();
    press(&mut state, "a\n25x\n");
    let first = sized(&mut state, 40, 9);
    assert!(first.contains("25x▏") && first.contains("more lines ↓"), "{first}");
    let mut seen = first;
    for _ in 0..8 {
        acting::event(&mut state, (40, 9), &key('↓'));
        seen.push_str(&sized(&mut state, 40, 9));
    }
    for part in ["! a power limit is watts", "Watts (250)", "200 W to 700 W", "│ 700 W "] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!sized(&mut state, 40, 9).contains("more line"), "the end is reached");
    // What is wrong is marked where nothing else has room.
    assert!(sized(&mut state, 30, 6).contains("! 25x▏"));
}

#[test]
fn what_was_read_for_another_plan_is_not_taken_for_this_one() {
    let mut state = live();
    let of_gpu = press(&mut state, "a\n250\n");
    let of_process = press(&mut state, "\u{1b}2a\n");
    assert!(of_process.iter().any(|effect| matches!(effect, Effect::Preflight(_))), "{of_process:?}");
    answer(&mut state, acting::preflight(&of_gpu, NOW, true, None));
    assert_eq!(state.plan_to_be_seen(), None, "a plan made without its own proof");
    answer(&mut state, acting::preflight(&of_process, NOW, true, None));
    assert!(state.plan_to_be_seen().is_some());
}

#[test]
fn a_plan_that_was_made_anew() {
    let mut state = plan(2, 0, "250\n");
    seen(&mut state);
    let mut settings = [Setting::default(); 4];
    settings[2].watts = 600.0;
    let sample = acting::sample(&acting::rig(), SECONDS, &settings);
    update(&mut state, Message::Record(Box::new(sample)));
    assert!(!state.is_armed(), "what was seen is not what stands there now");
    seen(&mut state);
    check("plan-anew", &state);
}

#[test]
fn a_plan_that_grew_old_is_made_anew_and_keeps_what_was_typed() {
    let mut state = plan(2, ECC, "");
    seen(&mut state);
    press(&mut state, "29:");
    let effects = acting::tick(&mut state, NOW.plus(std::time::Duration::from_secs(8)));
    assert!(matches!(effects.first(), Some(Effect::Preflight(_))), "{effects:?}");
    let later = NOW.plus(std::time::Duration::from_secs(8));
    answer(&mut state, acting::preflight(&effects, later, true, None));
    assert!(state.is_armed());
    let screen = text(&frame(&state, &Theme::probe(), 120, 40));
    assert!(screen.contains("plan of 0 s ago, made anew once") && screen.contains("› 29:▏"), "{screen}");
    // One that cannot be made anew cannot be confirmed.
    acting::tick(&mut state, NOW.plus(std::time::Duration::from_secs(40)));
    let effects = press(&mut state, "00\n");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Act(_))), "{effects:?}");
    assert!(matches!(state.overlay(), Overlay::Plan(_)));
}

#[test]
fn a_run_and_its_ends() {
    let started = || {
        let mut state = plan(2, 0, "250\n");
        seen(&mut state);
        let effects = press(&mut state, "y");
        assert!(matches!(effects.first(), Some(Effect::Act(_))), "{effects:?}");
        for step in ["reading the GPU again", "writing to the audit log", "setting the power limit to 250 W"]
        {
            update(&mut state, Message::ActProgress(Progress::Step { text: step.into() }));
        }
        state
    };
    let mut waiting = started();
    let text = "the driver to take it".to_owned();
    update(&mut waiting, Message::ActProgress(Progress::Waiting { text, seconds: 15 }));
    check("run", &waiting);
    let end = |outcome| {
        let mut state = started();
        update(&mut state, Message::ActProgress(Progress::End(outcome)));
        state
    };
    check("run-done", &end(Outcome::Done { verified: "read back: 250 W".into() }));
    let failed = Outcome::Failed {
        error: "nvmlDeviceSetPowerManagementLimit: NO_PERMISSION".into(),
        now: Some("700 W".into()),
        advice: "look at the GPU's findings and the kernel log, then plan the power limit anew".into(),
    };
    check("run-failed", &end(failed));
    let reason = "PID 4711 acts on this GPU already".to_owned();
    let refusals = vec![Refusal { kind: RefusalKind::Locked, reason }];
    check("run-refused", &end(Outcome::Refused { refusals }));
}

#[test]
fn a_reset_stops_the_collector_and_starts_it_again() {
    let mut state = plan(2, RESET, "");
    seen(&mut state);
    let effects = press(&mut state, "29:00\n");
    assert!(matches!(effects.last(), Some(Effect::Act(_))), "{effects:?}");
    let hold = update(&mut state, Message::ActProgress(Progress::Collector { wanted: false }));
    assert_eq!(hold, [Effect::HoldCollector(true)]);
    let reason = "it leaves the GPU free for an action".to_owned();
    update(&mut state, Message::SourceEnded { reason, restarting_in: None });
    update(&mut state, Message::ActProgress(Progress::Step { text: "resetting the GPU".into() }));
    check("run-reset", &state);
    press(&mut state, "\u{1b}");
    assert_eq!(press(&mut state, "R"), [], "no collector starts in the middle of a reset");
    // It died: the collector comes back all the same.
    let died = Outcome::Failed { error: "died".into(), now: None, advice: "look".into() };
    let effects = update(&mut state, Message::ActEnded(died));
    assert!(effects.contains(&Effect::HoldCollector(false)), "{effects:?}");
}

#[test]
fn sudo_finds_the_gpu_free_where_it_is_taken_away_and_nowhere_else() {
    let through_sudo = |entry: usize, value: &str| {
        let mut state = live();
        let effects = press(&mut state, &format!("↓↓a{}\n{value}", "↓".repeat(entry)));
        answer(&mut state, acting::preflight(&effects, NOW, false, None));
        let effects = press(&mut state, "s");
        (state, effects)
    };
    let (mut state, effects) = through_sudo(RESET, "");
    assert!(matches!(effects.as_slice(), [Effect::HoldCollector(true), Effect::Sudo(_)]), "{effects:?}");
    assert_eq!(press(&mut state, "R"), [], "no collector starts meanwhile");
    let ended = |state: &mut State| update(state, Message::SudoEnded { text: "through sudo: done".into() });
    assert_eq!(ended(&mut state), [Effect::HoldCollector(false), Effect::ReadAgain]);
    assert_eq!(press(&mut state, "R"), [Effect::RestartCollector]);
    let (mut state, effects) = through_sudo(0, "250\n");
    assert!(matches!(effects.as_slice(), [Effect::Sudo(_)]), "{effects:?}");
    assert_eq!(ended(&mut state), [Effect::ReadAgain]);
}

#[test]
fn what_is_refused_for_more_than_roots_rights_is_not_copied() {
    let copied = |mut state: State| {
        let effects = press(&mut state, "c");
        effects.into_iter().find_map(|effect| match effect {
            Effect::Copy(text) => Some(text),
            _ => None,
        })
    };
    assert!(copied(plan(2, 0, "250\n")).is_some_and(|text| text.starts_with("nvidia-smi ")));
    assert_eq!(copied(plan(2, 0, "900\n")), None);
    // A process is on it.
    assert_eq!(copied(plan(0, RESET, "")), None);
    let mut state = live();
    let effects = press(&mut state, "a\n250\n");
    answer(&mut state, acting::preflight(&effects, NOW, false, None));
    assert!(copied(state).is_some_and(|text| text.starts_with("sudo ")));
}

#[test]
fn the_last_change_can_be_taken_back_with_one_key() {
    let mut state = plan(2, 0, "250\n");
    seen(&mut state);
    press(&mut state, "y");
    let done = Outcome::Done { verified: "read back: 250 W".into() };
    let effects = update(&mut state, Message::ActProgress(Progress::End(done)));
    let gpu = support::Rig::id(2);
    assert_eq!(effects, [Effect::ReadAgain, Effect::ReadUndoables(gpu.clone())]);
    let limit = || vec![Change::PowerLimit { milliwatts: 700_000 }];
    update(&mut state, Message::Undoables(gpu.clone(), limit()));
    press(&mut state, "\u{1b}a");
    check("list-undo", &state);
    // The log is read anew with each list: what is selected stays so.
    press(&mut state, "↓");
    update(&mut state, Message::Undoables(gpu.clone(), Vec::new()));
    let selected = |state: &State| {
        let screen = text(&frame(state, &Theme::probe(), 120, 40));
        screen.lines().find_map(|line| Some(line.split_once("› ")?.1.get(..14)?.to_owned())).unwrap()
    };
    assert_eq!(selected(&state), "Power limit…");
    update(&mut state, Message::Undoables(gpu.clone(), limit()));
    assert_eq!(selected(&state), "Power limit…");
    let effects = press(&mut state, "\u{1b}u");
    assert_eq!(effects.last(), Some(&Effect::ReadUndoables(gpu.clone())));
    let effects = update(&mut state, Message::Undoables(gpu, limit()));
    assert!(matches!(effects.first(), Some(Effect::Preflight(_))), "{effects:?}");
    let mut settings = [Setting::default(); 4];
    settings[2].watts = 250.0;
    let sample = acting::sample(&acting::rig(), SECONDS, &settings);
    update(&mut state, Message::Record(Box::new(sample)));
    answer(&mut state, acting::preflight(&effects, NOW, true, None));
    let screen = text(&frame(&state, &Theme::probe(), 120, 40));
    assert!(screen.contains("250 W → 700 W"), "{screen}");
    // Another GPU has nothing to undo.
    press(&mut state, "\u{1b}↑u");
    update(&mut state, Message::Undoables(support::Rig::id(1), Vec::new()));
    assert!(matches!(state.overlay(), Overlay::None));
}

#[test]
fn the_help_has_the_keys_of_actions_only_where_there_are_any() {
    let mut with = live();
    press(&mut with, "?");
    let mut without = acting::state(
        &acting::rig(),
        SECONDS,
        Settings { read_only: true, ..Settings::default() },
        Mode::Live,
    );
    press(&mut without, "?");
    let help = |state: &State| text(&frame(state, &Theme::probe(), 120, 200));
    assert!(help(&with).contains("what can be done to what is selected"));
    assert!(!help(&without).contains("can be done") && !help(&without).contains("sudo"));
}
