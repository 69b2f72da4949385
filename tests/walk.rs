//! A walk of random keys, pastes and mouse events through every state, with an engine that carries out whatever it
//! is given: nothing reaches it that was not confirmed, and nothing at all from a replay, a demo, a remote stream, a
//! read-only screen or one that shows another boot.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/acting.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod acting;
#[path = "support/frames.rs"]
#[allow(dead_code, reason = "shared with the frame tests")]
mod support;

use acting::Setting;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use kgtop::actions::{Change, Outcome, Plan, Progress, Refusal, RefusalKind, Target};
use kgtop::app::{Effect, Message, Mode, Overlay, Replay, Settings, State, update};
use kgtop::model::GpuId;
use kgtop::ui::Theme;
use kgtop::units::{Mono, Wall};
use std::collections::VecDeque;
use std::time::Duration;
use support::{START, frame, text};

const STEPS: usize = 100_000;
const SCREEN: (u16, u16) = (120, 40);
/// As the runtime has it: so long is a plan looked at before it can be confirmed.
const LOOKED_AT: Duration = Duration::from_millis(250);

/// SplitMix64: the same walk each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len() as u64) as usize]
    }
}

/// What a plan on the screen asks, read off the screen.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Key,
    YesNo,
    Typed(String),
}

impl Asked {
    fn on(screen: &str) -> Option<Self> {
        if screen.contains("Go on? y goes on") {
            return Some(Self::Key);
        }
        if let Some((_, rest)) = screen.split_once("Type ") {
            return Some(Self::Typed(rest.split(" and Enter").next().unwrap().to_owned()));
        }
        screen.contains("Go on? y/N").then_some(Self::YesNo)
    }
}

/// What the operator has seen and done, kept apart from the program's own state.
#[derive(Default)]
struct Witness {
    /// What is asked by the plan that can be confirmed now.
    asked: Option<Asked>,
    /// Keys since then.
    keys: Vec<KeyCode>,
    /// Keys since no window was open.
    steps: usize,
    /// The screen before the last key.
    screen: String,
}

impl Witness {
    /// Whether what was typed since the plan was seen confirms what it asks.
    fn confirms(&self) -> bool {
        match &self.asked {
            None => false,
            Some(Asked::Key) => self.keys.last() == Some(&KeyCode::Char('y')),
            Some(Asked::YesNo) => {
                self.keys.last() == Some(&KeyCode::Enter) && self.keys.contains(&KeyCode::Char('y'))
            }
            Some(Asked::Typed(target)) => {
                let mut typed = String::new();
                let (last, before) = self.keys.split_last().unwrap();
                for key in before {
                    match key {
                        KeyCode::Char(character) => typed.push(*character),
                        KeyCode::Backspace => drop(typed.pop()),
                        KeyCode::Enter => typed.clear(),
                        _ => {}
                    }
                }
                *last == KeyCode::Enter && typed.trim().eq_ignore_ascii_case(target)
            }
        }
    }
}

/// A run of the walk.
struct Walk {
    dice: Dice,
    state: State,
    rig: support::Rig,
    settings: Vec<Setting>,
    is_root: bool,
    second: u64,
    now: Mono,
    quiet_since: Mono,
    generation: Option<u64>,
    witness: Witness,
    /// Keys that are still to be pressed.
    planned: VecDeque<char>,
    /// What the engine answers, later.
    answers: VecDeque<Message>,
    theme: Theme,
    /// What was carried out.
    log: Vec<Change>,
    /// What takes it back, by GPU.
    undo: Vec<(GpuId, Change)>,
    /// What else the runtime was asked for that has to do with actions.
    wanted: Vec<&'static str>,
    refused_pastes: usize,
}

impl Walk {
    fn new(seed: u64, state: State, is_root: bool) -> Self {
        let rig = acting::rig();
        let now = Mono((START + 40) * 1_000_000);
        Self {
            dice: Dice(seed),
            state,
            rig,
            settings: vec![Setting::default(); rig.gpus as usize],
            is_root,
            second: 40,
            now,
            quiet_since: now,
            generation: None,
            witness: Witness::default(),
            planned: VecDeque::new(),
            answers: VecDeque::new(),
            theme: Theme::embedded("dark").unwrap(),
            log: Vec::new(),
            undo: Vec::new(),
            wanted: Vec::new(),
            refused_pastes: 0,
        }
    }

    /// What is asked by the window that is open, read off the screen.
    fn asked(&self) -> Option<Asked> {
        matches!(self.state.overlay(), Overlay::Plan(_)).then(|| Asked::on(&self.screen())).flatten()
    }

    fn screen(&self) -> String {
        text(&frame(&self.state, &self.theme, SCREEN.0, SCREEN.1))
    }

    fn step(&mut self) {
        let pause = match self.dice.roll(20) {
            0 => 0,
            1 => 2_500_000,
            2 if self.dice.roll(20) == 0 => 11_000_000,
            // Somebody reads before going on.
            _ if self.state.plan_to_be_seen().is_some() && self.dice.roll(2) == 0 => 300_000,
            _ => 20_000 + self.dice.roll(200_000),
        };
        self.now = Mono(self.now.0 + pause);
        self.look();
        match self.dice.roll(100) {
            0..1 => {
                self.second += 1;
                self.somebody_else();
                let sample = acting::sample(&self.rig, self.second, &self.settings);
                self.send(Message::Record(Box::new(sample)));
            }
            1..8 => self.send(Message::Tick(self.now, Wall(0))),
            8..14 => self.mouse(),
            14..18 => self.paste(),
            18..20 => self.burst(),
            20..24 if !self.answers.is_empty() => {
                let answer = self.answers.pop_front().unwrap();
                self.send(answer);
            }
            _ => {
                let key = self.key();
                self.press(key);
            }
        }
        // What was asked of this host comes soon.
        while let Some(Message::Preflight(_) | Message::Undoables(..)) = self.answers.front() {
            let answer = self.answers.pop_front().unwrap();
            self.send(answer);
        }
    }

    /// As the runtime does: a plan that was on the screen for a while without a key has been seen.
    fn look(&mut self) {
        let waiting = self.state.plan_to_be_seen();
        if waiting != self.generation {
            self.generation = waiting;
            self.quiet_since = self.now;
        }
        if let Some(generation) = waiting
            && self.now.since(self.quiet_since) >= LOOKED_AT
        {
            self.send(Message::PlanSeen(generation));
            self.witness.asked = self.asked();
            self.witness.keys.clear();
        }
    }

    /// Settings change under the plan.
    fn somebody_else(&mut self) {
        if self.dice.roll(12) == 0 {
            let place = self.dice.roll(4) as usize;
            self.settings[place].watts = *self.dice.pick(&[700.0, 600.0, 450.0]);
        }
    }

    fn key(&mut self) -> KeyEvent {
        if let Some(character) = self.planned.pop_front() {
            let Event::Key(key) = acting::key(character) else { panic!("not a sample") };
            return key;
        }
        let often = if self.state.acts() { 2 } else { 5 };
        if self.dice.roll(often) == 0 {
            self.plan_ahead();
        }
        let character = || KeyCode::Char(' ');
        let code = match self.dice.roll(10) {
            0 => KeyCode::Enter,
            1 => *self.dice.pick(&[
                KeyCode::Esc,
                KeyCode::Tab,
                KeyCode::BackTab,
                KeyCode::Backspace,
                KeyCode::Up,
                KeyCode::Down,
                KeyCode::Left,
                KeyCode::Right,
                KeyCode::PageUp,
                KeyCode::PageDown,
                KeyCode::Home,
                KeyCode::End,
                KeyCode::Delete,
                KeyCode::F(5),
            ]),
            2 => KeyCode::Char('a'),
            3 => KeyCode::Char('y'),
            _ => char::from_u32(0x20 + self.dice.roll(95) as u32).map_or_else(character, KeyCode::Char),
        };
        let modifiers = match self.dice.roll(30) {
            0 => KeyModifiers::CONTROL,
            1 => KeyModifiers::ALT,
            _ => KeyModifiers::NONE,
        };
        KeyEvent::new(code, modifiers)
    }

    /// Now and then the hands know what they do: to a plan, or to its confirmation, right or wrong.
    fn plan_ahead(&mut self) {
        let keys = match (&self.state.overlay(), self.witness.asked.clone()) {
            (Overlay::Plan(_), Some(Asked::Key)) => "y".to_owned(),
            (Overlay::Plan(_), Some(Asked::YesNo)) => {
                self.dice.pick(&["y\n", "\n", "ny\n", "y\u{1b}"]).to_string()
            }
            (Overlay::Plan(_), Some(Asked::Typed(target))) => match self.dice.roll(4) {
                0 => "y\n".to_owned(),
                1 => format!("{target}0\n"),
                2 => format!("x\u{8}{target}\n"),
                _ => format!("{target}\n"),
            },
            (Overlay::Ask(_), _) => {
                format!("{}\n", self.dice.pick(&["250", "80%", "900", "300,900", "5", "-3", "x"]))
            }
            (Overlay::Actions(_), _) => "↓".repeat(self.dice.roll(14) as usize) + "\n",
            (Overlay::None, _) => {
                let tab = self.dice.pick(&["1", "2", "2", "4"]);
                format!("\u{1b}{tab}{}a", "↓".repeat(self.dice.roll(4) as usize))
            }
            _ => "\u{1b}".to_owned(),
        };
        self.planned.extend(keys.chars());
    }

    fn press(&mut self, key: KeyEvent) {
        if self.state.acts() {
            self.send(Message::Tick(self.now, Wall(0)));
        }
        // Only these can confirm anything: the screen is drawn no oftener than it is looked at.
        let may = self.state.is_armed() && matches!(key.code, KeyCode::Enter | KeyCode::Char('y'));
        self.witness.screen = if may { self.screen() } else { String::new() };
        if matches!(self.state.overlay(), Overlay::None) {
            self.witness.steps = 0;
        }
        self.quiet_since = self.now;
        let modifiers = key.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
        self.witness.keys.push(if modifiers.is_empty() { key.code } else { KeyCode::Null });
        self.witness.steps += 1;
        let effects = acting::event(&mut self.state, SCREEN, &Event::Key(key));
        self.take(effects, true);
    }

    /// Keys all at once, as a paste in a terminal that does not mark it: the runtime sees that more are there.
    fn burst(&mut self) {
        let mut keys: Vec<char> = match self.witness.asked.clone() {
            Some(Asked::Typed(target)) => target.chars().chain(['\n']).collect(),
            _ => "y\ny\n".chars().collect(),
        };
        keys.truncate(2 + self.dice.roll(5) as usize);
        for place in 0..keys.len() {
            if self.state.is_armed() && place + 1 < keys.len() {
                self.quiet_since = self.now;
                self.send(Message::Hasty);
                self.witness.asked = None;
            } else {
                let Event::Key(key) = acting::key(keys[place]) else { panic!("not a sample") };
                self.press(key);
            }
        }
    }

    fn paste(&mut self) {
        let pasted = match self.witness.asked.clone() {
            Some(Asked::Typed(target)) => target,
            _ => (*self.dice.pick(&["y", "y\n", "250\n", "19:00", "a\r\ny\r"])).to_owned(),
        };
        if self.state.is_armed() {
            self.refused_pastes += 1;
            // It takes what was typed before with it.
            self.witness.keys.clear();
        }
        self.quiet_since = self.now;
        let effects = acting::event(&mut self.state, SCREEN, &Event::Paste(pasted));
        self.take(effects, false);
    }

    fn mouse(&mut self) {
        let kind = *self.dice.pick(&[
            MouseEventKind::Down(MouseButton::Left),
            MouseEventKind::Down(MouseButton::Right),
            MouseEventKind::Up(MouseButton::Left),
            MouseEventKind::Moved,
            MouseEventKind::ScrollUp,
            MouseEventKind::ScrollDown,
        ]);
        let column = self.dice.roll(u64::from(SCREEN.0)) as u16;
        let row = self.dice.roll(u64::from(SCREEN.1)) as u16;
        let mouse = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        let effects = acting::event(&mut self.state, SCREEN, &Event::Mouse(mouse));
        self.take(effects, false);
    }

    fn send(&mut self, message: Message) {
        let effects = update(&mut self.state, message);
        self.take(effects, false);
    }

    /// The runtime and the engine: all that is asked is done.
    fn take(&mut self, effects: Vec<Effect>, by_key: bool) {
        for effect in effects {
            match effect {
                Effect::Preflight(wanted) => {
                    self.wanted.push("preflight");
                    let refusal = (self.dice.roll(15) == 0).then(|| Refusal {
                        kind: RefusalKind::NotProven,
                        reason: "it is another process now".into(),
                    });
                    let asked = [Effect::Preflight(wanted)];
                    let preflight = acting::preflight(&asked, self.now, self.is_root, refusal);
                    self.answers.push_front(Message::Preflight(Box::new(preflight)));
                }
                Effect::Act(confirmed) => self.carry_out(confirmed.plan(), by_key),
                Effect::Sudo(words) => {
                    self.wanted.push("sudo");
                    assert!(by_key && !self.is_root, "{words:?}");
                    self.send(Message::SudoEnded { text: "through sudo: done".into() });
                }
                Effect::ReadUndoables(gpu) => {
                    self.wanted.push("undoables");
                    let of_gpu =
                        self.undo.iter().filter(|(of, _)| *of == gpu).map(|(_, change)| change.clone());
                    let changes = of_gpu.collect();
                    self.answers.push_front(Message::Undoables(gpu, changes));
                }
                Effect::HoldCollector(_) => self.wanted.push("hold"),
                _ => {}
            }
        }
    }

    fn carry_out(&mut self, plan: &Plan, by_key: bool) {
        let seen = &self.witness;
        let told =
            format!("{:?}\nasked {:?}, keys {:?}\n{}", plan.change, seen.asked, seen.keys, seen.screen);
        assert!(by_key, "not by a key: {told}");
        assert!(self.is_root || plan.change.is_about_process(), "{told}");
        assert!(plan.is_allowed(), "{told}");
        assert!(seen.steps >= 2, "fewer than two deliberate steps: {told}");
        assert!(seen.confirms(), "not confirmed: {told}");
        let typed = matches!(seen.asked, Some(Asked::Typed(_)));
        assert_eq!(typed, cannot_be_taken_back(&plan.change), "{told}");
        // What is carried out is what stood on the screen when the last key was pressed.
        let together =
            |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect::<String>();
        assert!(together(&seen.screen).contains(&together(&plan.change.wanted())), "{told}");
        assert!(self.now.since(Mono(plan.made_at)) < Duration::from_secs(10), "stale: {told}");
        self.log.push(plan.change.clone());
        self.set(plan);
        let outcome = match self.dice.roll(5) {
            0 => Outcome::Failed {
                error: "NO_PERMISSION".into(),
                now: Some("700 W".into()),
                advice: "look".into(),
            },
            1 => Outcome::Refused { refusals: Vec::new() },
            _ => Outcome::Done { verified: "read back".into() },
        };
        if plan.change.takes_the_gpu_away() {
            self.answers.push_back(Message::ActProgress(Progress::Collector { wanted: false }));
            self.answers.push_back(Message::ActProgress(Progress::Collector { wanted: true }));
        }
        self.answers.push_back(Message::ActProgress(Progress::Step { text: "setting it".into() }));
        self.answers.push_back(Message::ActProgress(Progress::End(outcome)));
        self.witness.asked = None;
    }

    fn set(&mut self, plan: &Plan) {
        let Target::Gpu { uuid, .. } = &plan.target else { return };
        let place = (0..self.rig.gpus).find(|index| &*support::Rig::id(*index).0 == uuid.as_str()).unwrap();
        let setting = &mut self.settings[place as usize];
        self.undo.extend(plan.undo.clone().map(|change| (support::Rig::id(place), change)));
        match &plan.change {
            Change::PowerLimit { milliwatts } => setting.watts = *milliwatts as f32 / 1_000.0,
            Change::Persistence { on } => setting.persistence = *on,
            Change::ComputeMode { mode } => setting.compute_mode = mode.number(),
            _ => {}
        }
    }
}

/// Told apart here on its own: what ends something or loses something for good.
fn cannot_be_taken_back(change: &Change) -> bool {
    match change {
        Change::Reset | Change::LastResort { .. } | Change::ClearEcc { .. } | Change::MigDestroy { .. } => {
            true
        }
        Change::Signal { name } => name == "KILL",
        _ => false,
    }
}

fn live(settings: Settings, mode: Mode) -> State {
    acting::state(&acting::rig(), 40, settings, mode)
}

#[test]
fn every_change_has_its_confirmation_before_it() {
    let mut walk = Walk::new(7, live(Settings::default(), Mode::Live), true);
    for _ in 0..STEPS {
        walk.step();
    }
    let of = |what: fn(&Change) -> bool| walk.log.iter().filter(|change| what(change)).count();
    let typed = of(cannot_be_taken_back);
    let resets = of(|change| *change == Change::Reset);
    let signals = of(Change::is_about_process);
    println!(
        "{STEPS} steps: {} changes, {typed} typed, {resets} resets, {signals} to processes, {} pastes on a plan",
        walk.log.len(),
        walk.refused_pastes
    );
    // A walk that never acts would prove nothing.
    assert!(walk.log.len() > 100 && typed > 20 && resets > 0 && signals > 5 && walk.refused_pastes > 20);
}

#[test]
fn who_is_not_root_changes_nothing_but_through_sudo() {
    let mut walk = Walk::new(11, live(Settings::default(), Mode::Live), false);
    for _ in 0..STEPS / 4 {
        walk.step();
    }
    assert_eq!(of_gpu(&walk.log), 0);
    assert!(walk.wanted.contains(&"sudo"));
}

fn of_gpu(log: &[Change]) -> usize {
    log.iter().filter(|change| !change.is_about_process()).count()
}

#[test]
fn nothing_can_be_expressed_without_the_right_to_act_here() {
    let read_only = Settings { read_only: true, ..Settings::default() };
    let mut other_boot = State::new(Settings::default(), Mode::Live);
    let mut host = acting::host(true);
    host.boot_id = "another".into();
    other_boot = other_boot.with_authority(kgtop::app::actions::LocalAuthority::over(&host).unwrap());
    let rig = acting::rig();
    update(&mut other_boot, Message::Record(Box::new(rig.header())));
    update(&mut other_boot, Message::Record(Box::new(rig.inventory())));
    for second in 0..40 {
        update(&mut other_boot, Message::Record(Box::new(rig.sample(second))));
    }
    let without = State::new(Settings::default(), Mode::Live);
    for (name, state) in [
        ("replay", live(Settings::default(), Mode::Replay(Replay::new("x")))),
        ("demo", live(Settings::default(), Mode::Demo { name: "x".into() })),
        ("remote", live(Settings::default(), Mode::Remote)),
        ("read-only", live(read_only, Mode::Live)),
        ("another boot", other_boot),
        ("nothing read yet", without),
    ] {
        let mut walk = Walk::new(13, state, true);
        for step in 0..STEPS / 5 {
            walk.step();
            assert!(!walk.state.acts() && !walk.state.may_act(), "{name}");
            if step % 500 == 0 {
                let screen = walk.screen();
                assert!(!screen.contains("actions") && !screen.contains("can be done"), "{name}: {screen}");
            }
        }
        assert_eq!((walk.log.len(), walk.wanted.len()), (0, 0), "{name}");
    }
}
