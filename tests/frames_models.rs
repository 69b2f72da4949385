//! Frames of the models: the section of the storage tab, the judgement of a model, the process that loads one.

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

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use kgtop::app::{Message, Mode, Overlay, Settings, State, Tab, update};
use kgtop::model::{Absence, Deriver, Record};
use kgtop::sources::scenario::{Scenario, ScenarioPlayer, embedded};
use kgtop::ui::{Theme, input};
use kgtop::units::{Mono, Wall};
use ratatui::layout::Rect;
use std::sync::Arc;
use support::{START, START_WALL, frame, roles, text};

const SIZES: [(u16, u16); 4] = [(200, 60), (120, 40), (80, 24), (40, 12)];

/// The demo of a model that is loaded, at a second of it.
fn records(seconds: u64) -> Vec<Record> {
    let scenario = Scenario::parse(embedded("model-load").unwrap(), "model-load").unwrap();
    let wall = Wall(START_WALL * 1_000_000);
    let player = ScenarioPlayer::new(Arc::new(scenario), wall, Mono(START * 1_000_000));
    let mut samples = 0;
    let until = move |record: &Record| {
        samples += u64::from(matches!(record, Record::Sample(_)));
        samples <= seconds + 1
    };
    player.take_while(until).collect()
}

fn state(seconds: u64) -> State {
    let mut state = State::new(Settings::default(), Mode::Live);
    for record in records(seconds) {
        update(&mut state, Message::Record(Box::new(record)));
    }
    update(&mut state, Message::SelectTab(Tab::Storage));
    state
}

fn press(state: &mut State, keys: &[KeyCode]) {
    for code in keys {
        let event = Event::Key(KeyEvent::new(*code, KeyModifiers::NONE));
        let screen = Rect { x: 0, y: 0, width: 120, height: 40 };
        if let Some(message) = input::message_for(state, screen, &event) {
            update(state, message);
        }
    }
}

/// The section of the models: the fifth.
fn models(seconds: u64) -> State {
    let mut state = state(seconds);
    press(&mut state, &[KeyCode::Right; 4]);
    state
}

fn shows(state: &State, columns: u16, rows: u16) -> String {
    text(&frame(state, &Theme::embedded("dark").unwrap(), columns, rows))
}

fn check(name: &str, state: &State, columns: u16, rows: u16) {
    let buffer = frame(state, &Theme::probe(), columns, rows);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        let size = format!("{name}-{columns}x{rows}");
        insta::assert_snapshot!(size.clone(), text(&buffer));
        insta::assert_snapshot!(format!("{size}-roles"), roles(&buffer, &Theme::probe()));
    });
}

#[test]
fn the_store_while_a_model_is_loaded() {
    let state = models(30);
    for (columns, rows) in SIZES {
        check("models-loading", &state, columns, rows);
    }
    let screen = shows(&state, 120, 40);
    let sentence =
        "vllm (pid 4711) is loading meta-llama/Llama-3.1-70B-Instruct from rpool/ai/models at 3.10 GB/s";
    assert!(screen.contains(sentence), "{screen}");
    // One file of thirty says nothing of how much of the model was read.
    assert!(!screen.contains("left"), "{screen}");
}

#[test]
fn a_model_that_was_loaded_is_no_longer_being_loaded() {
    // 141 GB at 3.1 GB/s are 45.5 s.
    let screen = shows(&models(50), 120, 40);
    assert!(!screen.contains("is loading"), "{screen}");
    assert!(screen.contains("llama-server 3822"), "{screen}");
}

#[test]
fn a_part_of_a_model_is_told_from_a_whole_one() {
    let mut state = State::new(Settings::default(), Mode::Live);
    for mut record in records(30) {
        if let Record::Sample(sample) = &mut record
            && let Some(store) = sample.storage.as_mut().and_then(|storage| storage.models.as_mut())
        {
            let model = &mut store.value.models[0];
            let reason = Absence::failed(0, "1 of 4 files of weights is here");
            (model.files, model.files_in_all) = (1, Some(4));
            (model.shape.parameters, model.shape.weights) = (Err(reason.clone()), Err(reason));
        }
        update(&mut state, Message::Record(Box::new(record)));
    }
    update(&mut state, Message::SelectTab(Tab::Storage));
    press(&mut state, &[KeyCode::Right, KeyCode::Right, KeyCode::Right, KeyCode::Right, KeyCode::Home]);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains(" partial "), "{screen}");
    assert!(screen.contains("! 1 of 4 files of weights is here"), "{screen}");
    assert!(screen.contains("in 1 of 4 files of weights"), "{screen}");
    press(&mut state, &[KeyCode::Char('F')]);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("Not judged: 1 of 4 files of weights is here."), "{screen}");
    assert!(!screen.contains("Fits"), "{screen}");
}

#[test]
fn a_broken_and_unfinished_download_says_so() {
    let mut state = models(30);
    press(&mut state, &[KeyCode::End, KeyCode::Up]);
    check("models-unfinished", &state, 120, 40);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("1 unfinished download") && screen.contains("ends early"), "{screen}");
}

#[test]
fn whether_the_selected_model_fits() {
    let mut state = models(30);
    press(&mut state, &[KeyCode::Home, KeyCode::Down, KeyCode::Char('F')]);
    assert!(matches!(state.overlay(), Overlay::Notice { .. }));
    check("models-fit", &state, 120, 40);
    check("models-fit", &state, 80, 24);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("141.1 GB of tensors") && screen.contains("NVLink"), "{screen}");
}

#[test]
fn the_process_names_its_model() {
    let mut state = state(30);
    update(&mut state, Message::SelectTab(Tab::Processes));
    let screen = shows(&state, 200, 60);
    assert!(screen.contains("loading meta-llama/Llama-3.1-70B-Instruct"), "{screen}");
    assert!(screen.contains("llama3.2:3b"), "{screen}");
    press(&mut state, &[KeyCode::Home, KeyCode::Enter]);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("model         loading meta-llama/Llama-3.1-70B-Instruct"), "{screen}");
    assert!(screen.contains("at 3.10 GB/s"), "{screen}");
}

#[test]
fn the_json_names_models_and_the_files_of_a_process() {
    let mut deriver = Deriver::new();
    let mut last = None;
    for record in records(30) {
        last = deriver.push(record).or(last);
    }
    let json: serde_json::Value = serde_json::from_str(&kgtop::report::json(&last.unwrap(), &[])).unwrap();
    let models = json["storage"]["models"].as_array().unwrap();
    let llama = models.iter().find(|model| model["name"] == "meta-llama/Llama-3.1-70B-Instruct").unwrap();
    assert_eq!(llama["parameters"], 70_553_706_496_u64);
    assert_eq!(llama["kv_bytes_per_token_f16"], 327_680);
    assert_eq!(llama["processes"], serde_json::json!([4_711]));
    assert_eq!(llama["absent"]["last_used"], "not_supported");
    let process =
        json["processes"].as_array().unwrap().iter().find(|process| process["pid"] == 4_711).unwrap();
    let files = &process["model_files"][0];
    assert_eq!((&files["access"], &files["loading"]), (&"open".into(), &true.into()));
    let rate = files["rate_bytes_per_second"].as_f64().unwrap();
    assert!((3.09e9..3.11e9).contains(&rate), "{rate}");
    assert!(files["done_percent"].is_null());
}
