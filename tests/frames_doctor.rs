//! Frames of the doctor tab: made-up machines whose files the scenario carries.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

#[path = "support/frames.rs"]
#[allow(dead_code, reason = "shared with the other frame tests")]
mod support;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use kgtop::app::{Effect, Message, Mode, Overlay, Settings, State, Tab, update};
use kgtop::model::Demand;
use kgtop::sources::scenario::{Scenario, ScenarioPlayer, embedded};
use kgtop::ui::{Theme, input};
use kgtop::units::{Mono, Wall};
use ratatui::layout::Rect;
use std::time::Duration;
use support::{frame, roles, text};

const SIZES: [(u16, u16); 4] = [(200, 60), (120, 40), (80, 24), (40, 12)];
const SCREEN: Rect = Rect { x: 0, y: 0, width: 120, height: 40 };

/// The doctor's tab after that many seconds of a scenario.
fn state_of(name: &str, text: &str, seconds: u64) -> State {
    let scenario = Scenario::parse(text, name).unwrap();
    let mut player = ScenarioPlayer::new(scenario, Wall(1_767_225_600_000_000), Mono(500_000_000_000));
    let mut state = State::new(Settings { tab: Tab::Doctor, ..Settings::default() }, Mode::Live);
    while player.position() < Duration::from_secs(seconds) {
        let Some(record) = player.next() else { break };
        update(&mut state, Message::Record(Box::new(record)));
    }
    state
}

fn shown(name: &str, seconds: u64) -> State {
    state_of(name, embedded(name).unwrap(), seconds)
}

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

fn shows(state: &State, columns: u16, rows: u16) -> String {
    text(&frame(state, &Theme::embedded("dark").unwrap(), columns, rows))
}

fn press(state: &mut State, code: KeyCode) -> Vec<Effect> {
    let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    input::message_for(state, SCREEN, &event).map_or_else(Vec::new, |message| update(state, message))
}

#[test]
fn a_healthy_rig() {
    let state = shown("healthy-8xh100", 5);
    for (columns, rows) in SIZES {
        check("doctor-healthy", &state, columns, rows);
    }
}

#[test]
fn an_incident() {
    let state = shown("incident-8xh100", 200);
    for (columns, rows) in SIZES {
        check("doctor-incident", &state, columns, rows);
    }
}

#[test]
fn each_gpu_of_a_check_has_its_own_advice_and_evidence() {
    let text = shows(&shown("incident-8xh100", 200), 200, 60);
    for expected in ["GPU 4: A reset cannot bring it back.", "GPU 6: Start no new work", "GPU 4, gpu_lost: "]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn without_a_driver() {
    let state = shown("no-driver", 5);
    for (columns, rows) in SIZES {
        check("doctor-no-driver", &state, columns, rows);
    }
}

#[test]
fn keys_move_order_open_and_copy() {
    let mut state = shown("no-driver", 5);
    let first = shows(&state, 120, 40);
    assert!(first.contains("✗ fail"), "{first}");
    assert!(first.contains("$ sudo modprobe nvidia"), "{first}");
    let effects = press(&mut state, KeyCode::Char('y'));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Copy(text) if text.contains("modprobe"))),
        "{effects:?}"
    );
    press(&mut state, KeyCode::Enter);
    assert!(matches!(state.overlay(), Overlay::Notice { .. }));
    let opened = shows(&state, 120, 40);
    assert!(opened.contains("commands:") && opened.contains("evidence:"), "{opened}");
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Char('o'));
    let layers = shows(&state, 120, 40);
    assert!(layers.contains("by layer"), "{layers}");
    assert_ne!(first, layers);
    press(&mut state, KeyCode::End);
    let last = shows(&state, 120, 40);
    assert!(last.contains("kernel log readable ─"), "{last}");
    // The selection is a check, not a place: it stays through another order.
    press(&mut state, KeyCode::Char('o'));
    assert!(shows(&state, 120, 40).contains("kernel log readable ─"));
}

#[test]
fn a_click_selects_and_a_second_one_opens() {
    let mut state = shown("healthy-8xh100", 5);
    let click = Event::Mouse(MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: 20,
        row: 8,
        modifiers: KeyModifiers::NONE,
    });
    let before = shows(&state, 120, 40);
    let message = input::message_for(&state, SCREEN, &click).unwrap();
    update(&mut state, message);
    assert_ne!(shows(&state, 120, 40), before);
    let message = input::message_for(&state, SCREEN, &click).unwrap();
    update(&mut state, message);
    assert!(matches!(state.overlay(), Overlay::Notice { .. }));
}

#[test]
fn the_files_are_asked_for_only_while_the_tab_is_shown() {
    let mut state = shown("healthy-8xh100", 2);
    assert_eq!(state.demand(), Demand { host_files: true, ..Demand::default() });
    update(&mut state, Message::SelectTab(Tab::Gpus));
    assert!(!state.demand().host_files);
    let effects = update(&mut state, Message::SelectTab(Tab::Doctor));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Demand(demand) if demand.host_files)));
}

#[test]
fn nothing_is_told_of_rigs_that_are_well() {
    for name in ["healthy-1xh200", "healthy-2xh200", "healthy-8xh100", "idle", "mig", "laptop-asleep"] {
        let state = shown(name, 20);
        let screen = shows(&state, 200, 60);
        assert!(!screen.contains("✗ fail") && !screen.contains("! warn"), "{name}: {screen}");
        assert!(screen.contains("✓ pass"), "{name}: {screen}");
    }
}

#[test]
fn a_fault_is_told_and_goes_when_it_ends() {
    let hot = shows(&shown("throttled", 30), 200, 60);
    assert!(hot.contains("✗ fail") && hot.contains("power and temperature"), "{hot}");
    let cool = shows(&shown("throttled", 119), 200, 60);
    assert!(!cool.contains("✗ fail"), "{cool}");
}

#[test]
fn the_strip_tells_of_a_failed_check_on_every_tab_once_it_was_read() {
    let base = embedded("idle").unwrap();
    let lacks = format!("{base}\n[[host_file]]\npath = \"/usr/bin\"\nnames = [\"dockerd\"]\n");
    for (text, fails) in [(lacks.as_str(), true), (base, false)] {
        let mut state = state_of("own", text, 5);
        assert!(state.verdicts().is_empty(), "only the doctor has something to say: {:?}", state.verdicts());
        for tab in Tab::ALL {
            update(&mut state, Message::SelectTab(*tab));
            let said = strip(&state);
            assert_eq!(said.starts_with("✗ doctor: 1 check failed: "), fails, "{said}");
            assert_eq!(said.ends_with(" [7]"), fails, "{said}");
            assert_eq!(said.contains("all clear"), !fails, "{said}");
        }
        update(&mut state, Message::SelectTab(Tab::Gpus));
        press(&mut state, KeyCode::Char('v'));
        assert_eq!(state.tab(), if fails { Tab::Doctor } else { Tab::Gpus });
    }
}

/// The strip of a screen.
fn strip(state: &State) -> String {
    shows(state, 120, 40).lines().nth(2).unwrap().trim_end().to_owned()
}

#[test]
fn what_is_only_worth_knowing_hides_no_failed_check_and_the_window_lists_both() {
    let full =
        "title = \"t\"\nduration_seconds = 600\n[[gpu]]\nmodel = \"h100\"\ncount = 1\nload = \"full\"\n";
    let lacks = format!("{full}[[host_file]]\npath = \"/usr/bin\"\nnames = [\"dockerd\"]\n");
    let mut state = state_of("own", &lacks, 60);
    update(&mut state, Message::SelectTab(Tab::Gpus));
    let findings: Vec<_> = state.verdicts().iter().map(|verdict| verdict.severity).collect();
    assert_eq!(findings, [kgtop::analysis::Severity::Info], "a power cap that holds");
    let said = strip(&state);
    assert!(said.starts_with("✗ doctor: 1 check failed: ") && said.ends_with(" [7] +1 more [f]"), "{said}");
    press(&mut state, KeyCode::Char('f'));
    let window = shows(&state, 120, 40);
    let place = |part: &str| window.rfind(part).unwrap_or_else(|| panic!("{part} is not in\n{window}"));
    assert!(place("the power limit holds") < place("✗ doctor: 1 check failed"));
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Char('v'));
    assert_eq!(state.tab(), Tab::Doctor);
    // Without the failed check the note is what is told.
    let noted = strip(&state_of("own", full, 60));
    assert!(noted.starts_with("i GPU 0: the power limit holds") && noted.ends_with(" [v] [f]"), "{noted}");
}

#[test]
fn what_ends_a_job_stands_before_what_was_there_first() {
    let state = shown("incident-8xh100", 290);
    let rules: Vec<_> = state.verdicts().iter().map(|verdict| verdict.rule).collect();
    let place = |rule: &str| rules.iter().position(|other| *other == rule);
    assert!(place("gpu_lost") < place("recovery_action"), "{rules:?}");
    assert_eq!(place("gpu_lost"), Some(0), "{rules:?}");
}

#[test]
fn that_nothing_failed_is_known_only_once_the_files_were_read() {
    let mut state = State::new(Settings::default(), Mode::Live);
    assert!(!state.doctor_has_judged());
    let scenario = Scenario::parse(embedded("idle").unwrap(), "idle").unwrap();
    let mut player = ScenarioPlayer::new(scenario, Wall(1_767_225_600_000_000), Mono(500_000_000_000));
    while player.position() < Duration::from_secs(3) {
        let mut record = player.next().unwrap();
        if let kgtop::model::Record::Sample(sample) = &mut record {
            sample.host_files = None;
        }
        update(&mut state, Message::Record(Box::new(record)));
    }
    assert!(!state.doctor_has_judged());
    assert!(shown("idle", 3).doctor_has_judged());
}

/// The tab of a demo after that many seconds.
fn tab_of(name: &str, tab: Tab, seconds: u64) -> State {
    let mut state = shown(name, seconds);
    update(&mut state, Message::SelectTab(tab));
    state
}

#[test]
fn where_nobody_could_be_asked_nothing_is_counted() {
    let processes = shows(&tab_of("init-stalled", Tab::Processes, 30), 120, 40);
    assert!(processes.contains("– running"), "{processes}");
    assert!(processes.contains("the driver does not answer: no GPU is known yet"), "{processes}");
    assert!(!processes.contains("no process holds a GPU"), "{processes}");
    let limits = shows(&tab_of("init-stalled", Tab::Limits, 30), 120, 40);
    assert!(limits.contains("the driver does not answer: no GPU is known yet"), "{limits}");
    for (name, count) in [("init-stalled", 8), ("no-driver", 2)] {
        let topology = shows(&tab_of(name, Tab::Topology, 30), 120, 40);
        let said = format!("{count} NVIDIA GPUs are on the PCI bus; how devices are joined was not read");
        assert!(topology.contains(&said), "{name}: {topology}");
    }
}

#[test]
fn a_filter_that_matches_no_gpu_says_so_on_each_tab() {
    let scenario = Scenario::parse(embedded("healthy-2xh200").unwrap(), "healthy-2xh200").unwrap();
    let mut player = ScenarioPlayer::new(scenario, Wall(1_767_225_600_000_000), Mono(500_000_000_000));
    let settings = Settings { gpu_filter: vec!["77".into()], ..Settings::default() };
    let mut state = State::new(settings, Mode::Live);
    while player.position() < Duration::from_secs(3) {
        update(&mut state, Message::Record(Box::new(player.next().unwrap())));
    }
    for tab in [Tab::Gpus, Tab::Processes, Tab::Limits] {
        update(&mut state, Message::SelectTab(tab));
        let screen = shows(&state, 120, 40);
        assert!(screen.contains("no GPU matches --gpu"), "{tab:?}: {screen}");
    }
}

#[test]
fn a_gpu_that_does_not_answer_is_not_free_of_limits() {
    for (name, gpu, said) in [("lost", 2, "LOST from the bus"), ("stalled", 3, "STALLED in")] {
        let mut state = tab_of(name, Tab::Limits, 110);
        for _ in 0..gpu {
            press(&mut state, KeyCode::Down);
        }
        for (columns, rows) in SIZES {
            let screen = shows(&state, columns, rows);
            let title = screen.lines().find(|line| line.starts_with(&format!("GPU {gpu} ·"))).unwrap();
            assert!(title.contains(said), "{name} {columns}x{rows}: {screen}");
            assert!(columns < 80 || title.contains("last values, "), "{title}");
            assert!(!screen.contains("nothing holds it back"), "{name}: {screen}");
        }
        // What was read last is grey, all of it.
        let theme = Theme::probe();
        let map = roles(&frame(&state, &theme, 120, 40), &theme);
        let screen = shows(&state, 120, 40);
        let power = screen.lines().position(|line| line.starts_with("power  ")).unwrap();
        let (text, roles) = (screen.lines().nth(power).unwrap(), map.lines().nth(power).unwrap());
        assert!(text.contains("headroom"), "{screen}");
        let first = roles.chars().next().unwrap();
        assert!(roles.chars().all(|role| role == first || role == ' '), "{roles}");
        assert!(map.contains(&format!("{first} stale")), "{map}");
    }
}

#[test]
fn values_without_new_data_are_said_to_be_old_on_the_limits() {
    let mut state = tab_of("healthy-2xh200", Tab::Limits, 10);
    update(&mut state, Message::Tick(Mono(500_000_000_000 + 60_000_000), Wall(0)));
    let screen = shows(&state, 120, 40);
    let title = screen.lines().find(|line| line.starts_with("GPU 0 ·")).unwrap();
    assert!(title.contains("last values, ") && !title.contains("hold"), "{screen}");
}

#[test]
fn a_scenario_may_say_what_the_host_lacks() {
    let base = embedded("healthy-1xh200").unwrap();
    let text = format!("{base}\n[[host_file]]\npath = \"/usr/bin\"\nnames = [\"dockerd\"]\n");
    let screen = shows(&state_of("own", &text, 3), 200, 60);
    assert!(
        screen.contains("Docker cannot give GPUs to containers") || screen.contains("✗ fail"),
        "{screen}"
    );
}
