//! The storage tab: every state of the captured pools, at four sizes, and what holds for all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/storage.rs"]
mod storage;
#[allow(dead_code, reason = "shared with the other frame tests")]
#[path = "support/frames.rs"]
mod support;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use kgtop::app::storage::{Intent, Section};
use kgtop::app::{Effect, Message, Mode, Settings, State, Tab, update};
use kgtop::model::{Absence, ListingState, Record, SnapshotBatch, ZfsSnapshot};
use kgtop::sources::scenario::{Scenario, ScenarioPlayer, embedded};
use kgtop::ui::{Theme, input};
use kgtop::units::{Bytes, Mono, Wall};
use ratatui::layout::Rect;
use storage::{Machine, STATES};
use support::{Condition, Rig, START, START_WALL, frame, roles, text};

const SIZES: [(u16, u16); 4] = [(200, 60), (120, 40), (80, 24), (40, 12)];
const SECONDS: u64 = 90;
const SCREEN: Rect = Rect { x: 0, y: 0, width: 120, height: 40 };

/// The tab of a machine after a while.
fn state_of(machine: &Machine) -> State {
    let rig = Rig::new(2, 2, Condition::Healthy);
    let settings = Settings { tab: Tab::Storage, ..Settings::default() };
    let mut state = State::new(settings, Mode::Live);
    update(&mut state, Message::Record(Box::new(rig.header())));
    update(&mut state, Message::Record(Box::new(rig.inventory())));
    for second in 0..SECONDS {
        let mut record = rig.sample(second);
        if let Record::Sample(sample) = &mut record {
            sample.storage = machine.sample(second, sample.mono);
        }
        update(&mut state, Message::Record(Box::new(record)));
    }
    state
}

fn section(mut state: State, section: Section) -> State {
    update(&mut state, Message::Storage(Intent::SelectSection(section)));
    state
}

fn press(state: &mut State, code: KeyCode) -> Vec<Effect> {
    let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    input::message_for(state, SCREEN, &event).map_or_else(Vec::new, |message| update(state, message))
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

#[test]
fn pools_of_every_captured_state() {
    for captured in STATES {
        let state = state_of(&Machine::captured(captured));
        let name = format!("storage-pools-{}", captured.replace('.', "_"));
        for (columns, rows) in SIZES {
            check(&name, &state, columns, rows);
        }
    }
}

#[test]
fn every_section_of_a_healthy_machine() {
    let state = state_of(&Machine::captured("2.3.9-healthy"));
    for each in Section::ALL {
        let state = section(state.clone(), each);
        for (columns, rows) in SIZES {
            check(&format!("storage-{}", each.title().to_lowercase()), &state, columns, rows);
        }
    }
}

#[test]
fn without_zfs_the_file_systems_are_shown_and_its_absence_is_said() {
    let state = state_of(&Machine::without_zfs());
    for (columns, rows) in SIZES {
        check("storage-without-zfs", &state, columns, rows);
    }
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("ZFS is absent"), "{screen}");
    assert!(screen.contains("/mnt/models") && screen.contains("nfs4"), "{screen}");
    assert!(screen.contains("does not answer"), "{screen}");
}

#[test]
fn without_permission_the_kernel_still_says_states_and_traffic() {
    let state = state_of(&Machine::captured("2.3.9-devzfs-0600"));
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("no perm") && screen.contains("ONLINE"), "{screen}");
    let datasets = section(state, Section::Datasets);
    for (columns, rows) in SIZES {
        check("storage-datasets-no-permission", &datasets, columns, rows);
    }
    let screen = shows(&datasets, 120, 40);
    assert!(screen.contains("with space") && screen.contains("3.00 GB/s"), "{screen}");
}

#[test]
fn a_suspended_pool_is_the_finding_on_every_tab() {
    let mut state = state_of(&Machine::captured("2.3.9-suspended"));
    assert!(shows(&state, 120, 40).contains("SUSPENDED"));
    for tab in Tab::ALL {
        update(&mut state, Message::SelectTab(*tab));
        let strip = shows(&state, 120, 40).lines().nth(2).unwrap().to_owned();
        assert!(strip.contains("Pool scratch is SUSPENDED"), "{strip}");
    }
}

#[test]
fn online_with_errors_is_told_as_such() {
    for (captured, pool) in [("2.3.9-cksum", "rpool"), ("2.3.9-pulled", "scratch")] {
        let screen = shows(&state_of(&Machine::captured(captured)), 120, 40);
        assert!(screen.contains(&format!("Pool {pool} is ONLINE with errors")), "{screen}");
    }
    let full = shows(&state_of(&Machine::captured("2.3.9-full")), 120, 40);
    assert!(full.contains("nothing available"), "87 % and nothing left: {full}");
}

#[test]
fn values_that_are_old_say_how_old_and_why() {
    let machine = Machine { tools_fail_from: Some(30), ..Machine::captured("2.3.9-degraded") };
    let state = state_of(&machine);
    check("storage-stale", &state, 120, 40);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("zpool status: 1m old") && screen.contains("gave no answer"), "{screen}");
    assert!(screen.contains("DEGRADED"), "the last value stays: {screen}");
}

fn row(number: u64) -> ZfsSnapshot {
    ZfsSnapshot {
        name: format!("run-{number}").into(),
        used: Ok(Bytes(number << 20)),
        referenced: Ok(Bytes(140 << 30)),
        created: Ok(START_WALL - number as i64 * 3_600),
        holds: Ok(u32::from(number == 1)),
        clones: if number == 2 { vec!["rpool/ai/eval-a".into()] } else { Vec::new() },
    }
}

#[test]
fn snapshots_are_asked_for_shown_as_they_come_and_called_off() {
    let mut state = section(state_of(&Machine::captured("2.3.9-healthy")), Section::Datasets);
    press(&mut state, KeyCode::Down);
    let effects = press(&mut state, KeyCode::Enter);
    let [Effect::ListSnapshots(Some(dataset))] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(shows(&state, 120, 40).contains("asking for the names"));
    let batch = |first, total, rows, listing| {
        let state = listing;
        let dataset = dataset.clone();
        Message::Record(Box::new(Record::Snapshots(SnapshotBatch {
            dataset,
            first,
            total,
            rows,
            state,
            problem: None,
        })))
    };
    update(&mut state, batch(true, None, Vec::new(), ListingState::Running));
    update(&mut state, batch(false, Some(1_808), Vec::new(), ListingState::Running));
    update(&mut state, batch(false, None, (1..=64).map(row).collect(), ListingState::Running));
    // What was folded is seen with the next sample.
    let next = |state: &mut State, second| {
        let rig = Rig::new(2, 2, Condition::Healthy);
        update(state, Message::Record(Box::new(rig.sample(second))));
    };
    next(&mut state, SECONDS);
    check("storage-snapshots", &state, 120, 40);
    check("storage-snapshots", &state, 80, 24);
    assert!(shows(&state, 120, 40).contains("64 of 1808"));
    assert_eq!(press(&mut state, KeyCode::Esc), [Effect::ListSnapshots(None)]);
    // One that ended has nothing to call off.
    press(&mut state, KeyCode::Enter);
    update(&mut state, batch(true, Some(1), vec![row(1)], ListingState::Done));
    next(&mut state, SECONDS + 1);
    assert_eq!(press(&mut state, KeyCode::Esc), []);
}

#[test]
fn nothing_is_asked_of_a_machine_that_is_not_this_one() {
    let mut state = section(state_of(&Machine::captured("2.3.9-healthy")), Section::Datasets);
    let record = Record::Snapshots(SnapshotBatch::default());
    update(&mut state, Message::Record(Box::new(record)));
    let settings = Settings { tab: Tab::Storage, ..Settings::default() };
    let mut remote = State::new(settings, Mode::Remote);
    let rig = Rig::new(1, 1, Condition::Healthy);
    let mut sample = rig.sample(0);
    if let Record::Sample(sample) = &mut sample {
        sample.storage = Machine::captured("2.3.9-healthy").sample(0, sample.mono);
    }
    update(&mut remote, Message::Record(Box::new(sample)));
    let mut remote = section(remote, Section::Datasets);
    assert_eq!(press(&mut remote, KeyCode::Enter), []);
}

#[test]
fn every_state_and_section_at_every_size() {
    let theme = Theme::probe();
    let sizes = [(200, 60), (120, 40), (80, 24), (60, 16), (40, 12), (30, 6), (29, 5), (3, 2), (1, 1)];
    let machines = STATES.iter().map(|captured| Machine::captured(captured)).chain([Machine::without_zfs()]);
    for machine in machines {
        let state = state_of(&machine);
        for each in Section::ALL {
            for keys in [KeyCode::Null, KeyCode::End, KeyCode::Char('s'), KeyCode::Enter] {
                let mut state = section(state.clone(), each);
                press(&mut state, keys);
                for (columns, rows) in sizes {
                    let _ = roles(&frame(&state, &theme, columns, rows), &theme);
                }
            }
        }
    }
}

#[test]
fn a_click_selects_the_row_and_the_section_under_it() {
    let mut state = state_of(&Machine::captured("2.3.9-healthy"));
    let click = |state: &mut State, column: usize, row: usize| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        let event =
            MouseEvent { kind, column: column as u16, row: row as u16, modifiers: KeyModifiers::NONE };
        let message = input::message_for(state, SCREEN, &Event::Mouse(event)).unwrap();
        update(state, message);
    };
    let screen = shows(&state, 120, 40);
    let at = screen.lines().position(|line| line.contains("scratch")).unwrap();
    click(&mut state, 4, at);
    assert!(shows(&state, 120, 40).contains("Pool scratch"));
    let bar = screen.lines().nth(3).unwrap().to_owned();
    click(&mut state, bar.find("Datasets").unwrap(), 3);
    assert!(shows(&state, 120, 40).contains("models"));
}

#[test]
fn a_reading_that_failed_is_never_a_zero() {
    let mut machine = Machine::captured("2.3.9-healthy");
    machine.kernel = Err(Absence::failed(5, "Input/output error"));
    let screen = shows(&section(state_of(&machine), Section::Cache), 120, 40);
    assert!(screen.contains("Input/output error"), "{screen}");
    assert!(!screen.contains("0 B"), "{screen}");
}

#[test]
fn the_demo_shows_a_store_that_is_well() {
    let name = "incident-8xh100";
    let scenario = Scenario::parse(embedded(name).unwrap(), name).unwrap();
    let mode = Mode::Demo { name: name.into() };
    let mut state = State::new(Settings { tab: Tab::Storage, ..Settings::default() }, mode);
    for record in
        ScenarioPlayer::new(scenario, Wall(START_WALL * 1_000_000), Mono(START * 1_000_000)).take(30)
    {
        update(&mut state, Message::Record(Box::new(record)));
    }
    let has = |section_of: Section, part: &str| {
        let screen = shows(&section(state.clone(), section_of), 120, 40);
        assert!(screen.contains(part), "{part} is not in\n{screen}");
    };
    has(Section::Pools, "✓ rpool ");
    has(Section::Cache, "246 GiB now");
    has(Section::Datasets, "checkpoints");
    has(Section::Devices, "rpool mirror-1");
    has(Section::Models, "…/Llama-3.1-8B-Instruct");
    has(Section::Advice, "✓ nothing to advise on what was read");
    let mut elsewhere = section(state, Section::Pools);
    assert_eq!(press(&mut elsewhere, KeyCode::Enter), []);
    let footer = |state: &State| shows(state, 120, 40).lines().last().unwrap_or_default().to_owned();
    assert!(
        !footer(&elsewhere).contains("Enter") && !footer(&elsewhere).contains("fit"),
        "keys of other sections"
    );
    assert!(footer(&section(elsewhere.clone(), Section::Datasets)).contains("Enter snapshots"));
    assert!(footer(&section(elsewhere, Section::Models)).contains("F fit"));
}
