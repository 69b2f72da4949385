//! A made-up rig that can be acted on: its records with the settings that plans rest on, the host that plans are made
//! for, and input as a terminal sends it.

use super::support::{Condition, Rig};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use kgtop::actions::{HostFacts, Refusal};
use kgtop::app::actions::{LocalAuthority, Preflight};
use kgtop::app::{Effect, Message, Mode, Settings, State, update};
use kgtop::model::Record;
use kgtop::ui::input;
use kgtop::units::{Mono, Wall, Watts};
use ratatui::layout::Rect;

/// The boot of [`Rig::header`].
const BOOT: &str = "11111111-2222-3333-4444-555555555555";

/// The settings of one GPU that plans rest on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    pub watts: f32,
    pub persistence: bool,
    pub compute_mode: u32,
}

impl Default for Setting {
    fn default() -> Self {
        Self { watts: 700.0, persistence: true, compute_mode: 0 }
    }
}

/// The sample of that second, with the settings as they are.
pub fn sample(rig: &Rig, second: u64, settings: &[Setting]) -> Record {
    let Record::Sample(mut sample) = rig.sample(second) else { panic!("not a sample") };
    for (gpu, setting) in sample.gpus.iter_mut().zip(settings) {
        if let Some(health) = &mut gpu.health {
            health.value.power_limit_set = Ok(Watts(setting.watts));
            health.value.persistence = Ok(setting.persistence);
            health.value.compute_mode = Ok(setting.compute_mode);
            health.value.ecc_corrected_aggregate = Ok(0);
            health.value.ecc_uncorrected_aggregate = Ok(0);
        }
    }
    Record::Sample(sample)
}

pub fn host(is_root: bool) -> HostFacts {
    HostFacts {
        hostname: "rig-07".into(),
        boot_id: BOOT.into(),
        is_root,
        program: "/usr/local/bin/kgtop".into(),
        pids_visible: true,
        in_container: false,
        proc_partial: None,
        drm_loaded: false,
        fabric_manager: Some(false),
        open_by: Some(Vec::new()),
    }
}

/// What was read for what is asked among these effects.
pub fn preflight(effects: &[Effect], now: Mono, is_root: bool, refusal: Option<Refusal>) -> Preflight {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Preflight(wanted) => Some(wanted.clone()),
        _ => None,
    });
    Preflight {
        wanted: asked.expect("a plan asks"),
        now,
        host: host(is_root),
        nice: Some(0),
        unproven: refusal,
    }
}

/// A state after some seconds of that rig, with the right to act wherever it can be had.
pub fn state(rig: &Rig, seconds: u64, settings: Settings, mode: Mode) -> State {
    let authority = LocalAuthority::over(&host(true)).unwrap();
    let mut state = State::new(settings, mode).with_authority(authority);
    update(&mut state, Message::Record(Box::new(rig.header())));
    update(&mut state, Message::Record(Box::new(rig.inventory())));
    let settings = vec![Setting::default(); rig.gpus as usize];
    for second in 0..seconds {
        update(&mut state, Message::Record(Box::new(sample(rig, second, &settings))));
    }
    state
}

/// A live rig of two GPUs: a process on each of the first two, nobody on the others.
pub fn rig() -> Rig {
    Rig::new(4, 2, Condition::Healthy)
}

pub fn tick(state: &mut State, now: Mono) -> Vec<Effect> {
    update(state, Message::Tick(now, Wall(0)))
}

/// An event as the screen of that size takes it.
pub fn event(state: &mut State, (columns, rows): (u16, u16), event: &Event) -> Vec<Effect> {
    let screen = Rect { x: 0, y: 0, width: columns, height: rows };
    input::message_for(state, screen, event).map_or_else(Vec::new, |message| update(state, message))
}

/// The key that a terminal sends for a character; Enter, Esc and arrows by their signs.
pub fn key(character: char) -> Event {
    let code = match character {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        '\u{8}' => KeyCode::Backspace,
        '\t' => KeyCode::Tab,
        '↓' => KeyCode::Down,
        '↑' => KeyCode::Up,
        other => KeyCode::Char(other),
    };
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}
