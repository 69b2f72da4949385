//! Whole screens: what they show, in which roles, at which sizes; and what holds for all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/frames.rs"]
mod support;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use kgtop::app::{
    Effect, Message, Mode, Overlay, Replay, ReplayProgress, Settings, State, Tab, Window, update,
};
use kgtop::model::{EventSource, RawEvent, Record, StuckCall};
use kgtop::ui::{ColourDepth, Theme, input};
use kgtop::units::{Mono, Wall};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::time::Duration;
use support::{Condition, Rig, START, START_WALL, frame, roles, text};

const SECONDS: u64 = 260;
const SIZES: [(u16, u16); 4] = [(200, 60), (120, 40), (80, 24), (40, 12)];

fn live(rig: Rig) -> State {
    rig.state(SECONDS, Settings::default(), Mode::Live)
}

fn on(mut state: State, tab: Tab) -> State {
    update(&mut state, Message::SelectTab(tab));
    state
}

/// Presses keys as a terminal would send them; gives the effects of the last.
fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '←' => KeyCode::Left,
            '→' => KeyCode::Right,
            '↓' => KeyCode::Down,
            '↑' => KeyCode::Up,
            '⇥' => KeyCode::BackTab,
            other => KeyCode::Char(other),
        };
        effects = event(state, &Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
    effects
}

const SCREEN: Rect = Rect { x: 0, y: 0, width: 120, height: 40 };

fn event(state: &mut State, event: &Event) -> Vec<Effect> {
    input::message_for(state, SCREEN, event).map_or_else(Vec::new, |message| update(state, message))
}

fn shows(state: &State, columns: u16, rows: u16) -> String {
    text(&frame(state, &Theme::embedded("dark").unwrap(), columns, rows))
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

// ---- pictures ----

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

#[test]
fn sixteen_gpus() {
    check("gpus-sixteen", &live(Rig::new(16, 8, Condition::Healthy)), 120, 40);
    check("gpus-sixteen", &live(Rig::new(16, 8, Condition::Healthy)), 40, 12);
}

#[test]
fn a_lost_gpu_says_so_in_place_of_its_values() {
    let mut state = live(Rig::new(8, 8, Condition::Lost));
    press(&mut state, "jjj");
    check("gpus-lost", &state, 120, 40);
    check("gpus-lost", &state, 80, 24);
    check("gpus-lost", &state, 40, 12);
}

#[test]
fn a_stuck_call_is_named() {
    let mut state = live(Rig::new(8, 8, Condition::Stuck));
    press(&mut state, "jjj");
    check("gpus-stuck", &state, 120, 40);
}

#[test]
fn a_hot_gpu() {
    let mut state = live(Rig::new(8, 8, Condition::Throttled));
    press(&mut state, "jjj");
    check("gpus-throttled", &state, 120, 40);
}

#[test]
fn cards_without_gpm_nvlink_or_ecc() {
    check("gpus-plain", &live(Rig::new(2, 4, Condition::Plain)), 120, 40);
}

#[test]
fn one_gpu_on_a_wide_screen() {
    check("gpus-one", &live(Rig::new(1, 3, Condition::Healthy)), 160, 50);
}

#[test]
fn mig_instances() {
    check("gpus-mig", &live(Rig::new(2, 4, Condition::Mig)), 120, 40);
}

#[test]
fn nothing_may_be_read() {
    check("gpus-no-permission", &live(Rig::new(2, 4, Condition::NoPermission)), 120, 40);
}

#[test]
fn without_a_driver() {
    let state = live(Rig::new(2, 0, Condition::NoDriver));
    check("no-driver", &state, 120, 40);
    check("no-driver", &state, 80, 24);
    check("no-driver", &state, 40, 12);
}

#[test]
fn before_the_first_record() {
    check("skeleton", &State::new(Settings::default(), Mode::Live), 80, 24);
}

#[test]
fn overlays() {
    let mut state = on(live(Rig::new(8, 20, Condition::Lost)), Tab::Processes);
    press(&mut state, "\n");
    check("process-details", &state, 120, 40);
    press(&mut state, "\u{1b}f");
    check("findings", &state, 80, 24);
    press(&mut state, "\u{1b}?");
    check("help", &state, 80, 24);
}

#[test]
fn all_that_is_read_of_a_gpu() {
    for (name, condition) in
        [("healthy", Condition::Healthy), ("lost", Condition::Lost), ("plain", Condition::Plain)]
    {
        let mut state = live(Rig::new(4, 4, condition));
        press(&mut state, "jjji");
        check(&format!("gpu-details-{name}"), &state, 120, 40);
        check(&format!("gpu-details-{name}"), &state, 80, 24);
    }
    let mut state = live(Rig::new(2, 4, Condition::Mig));
    press(&mut state, "i");
    let screen = shows(&state, 120, 60);
    assert!(screen.contains("MIG instances") && screen.contains("compute instance"), "{screen}");
}

#[test]
fn tree_and_filter() {
    let mut state = on(live(Rig::new(8, 20, Condition::Healthy)), Tab::Processes);
    press(&mut state, "t/slurm");
    check("processes-tree-filter", &state, 120, 40);
}

#[test]
fn a_paused_replay() {
    let replay = Replay { paused: true, ..Replay::new("incident.kgtop") };
    let mut state =
        Rig::new(8, 8, Condition::Throttled).state(SECONDS, Settings::default(), Mode::Replay(replay));
    let progress = ReplayProgress {
        position: Duration::from_secs(259),
        length: Some(Duration::from_secs(3_725)),
        ..ReplayProgress::default()
    };
    update(&mut state, Message::Replayed(progress));
    check("replay-paused", &state, 80, 24);
}

#[test]
fn a_source_that_left() {
    let mut state = live(Rig::new(8, 8, Condition::Healthy));
    let reason = "the collector crashed (signal 11)".to_string();
    update(&mut state, Message::SourceEnded { reason, restarting_in: Some(Duration::from_secs(10)) });
    for second in 0..8 {
        let now = Mono((START + SECONDS + second) * 1_000_000);
        update(&mut state, Message::Tick(now, Wall(0)));
    }
    assert!(state.wants_tick());
    check("source-ended", &state, 80, 24);
}

// ---- what holds for all of them ----

/// A number that the screen cut: an ellipsis right after a digit that a unit should follow.
fn cut_number(line: &str) -> bool {
    let characters: Vec<char> = line.chars().collect();
    let cut = |pair: &[char]| pair[1] == '…' && (pair[0].is_ascii_digit() || pair[0] == '.');
    // The title of the detail holds the name of the card, which may be cut anywhere.
    characters.windows(2).any(cut) && !line.starts_with("GPU ")
}

/// Two cells of a table that touch or overlap: a unit that goes on as another word.
fn touching(line: &str) -> bool {
    ["GiB", "MiB", "MHz", "°C", "GB/s", "MB/s", " W", "%"].iter().any(|unit| {
        line.match_indices(unit).any(|(at, unit)| {
            let number_before = line[..at].ends_with(|c: char| c.is_ascii_digit());
            number_before && line[at + unit.len()..].starts_with(char::is_alphanumeric)
        })
    })
}

/// The driver reports an Xid of GPU 0.
fn xid(state: &mut State) {
    let text = "NVRM: Xid (PCI:0000:19:00): 79, pid=1234, name=python3, GPU has fallen off the bus.";
    let event = RawEvent {
        at: Mono((START + 229) * 1_000_000),
        wall: Wall((START_WALL + 229) * 1_000_000),
        source: EventSource::Kmsg,
        priority: Some(3),
        facility: Some(0),
        gpu: None,
        text: text.into(),
    };
    update(state, Message::Record(Box::new(Record::Event(event))));
}

#[test]
fn every_tab_in_every_condition_at_every_size() {
    let theme = Theme::probe();
    let sizes = [
        (200, 60),
        (160, 50),
        (120, 40),
        (104, 30),
        (80, 24),
        (60, 16),
        (40, 12),
        (30, 6),
        (29, 5),
        (3, 2),
        (1, 1),
    ];
    let paused = Mode::Replay(Replay { paused: true, ..Replay::new("incident.kgtop") });
    let live = Condition::ALL.map(|condition| (condition, Mode::Live));
    for (condition, mode) in live.into_iter().chain([(Condition::Throttled, paused)]) {
        for (gpus, processes) in [(1, 0), (8, 20), (16, 40)] {
            let mut state =
                Rig::new(gpus, processes, condition).state(230, Settings::default(), mode.clone());
            // A healthy rig with a driver error in its log is a condition of its own; so is one that is lost.
            if matches!(condition, Condition::Healthy | Condition::Lost) {
                xid(&mut state);
            }
            for tab in Tab::ALL {
                // Keys open windows and move: what they do hardly depends on how many GPUs there are.
                let pressed: &[&str] =
                    if gpus == 8 { &["", "j", "?", "f", "\n", "G", "i"] } else { &["", "\n"] };
                for keys in pressed {
                    let mut state = on(state.clone(), *tab);
                    press(&mut state, keys);
                    for (columns, rows) in sizes {
                        let buffer = frame(&state, &theme, columns, rows);
                        // Panics where a cell is drawn in no role; text wider than its place would overlap.
                        let _ = roles(&buffer, &theme);
                        let text = text(&buffer);
                        // Command lines, job names and texts in windows may be cut anywhere.
                        let numbers = state.tab() == Tab::Gpus && *state.overlay() == Overlay::None;
                        for line in text.lines().filter(|_| numbers) {
                            assert!(
                                !cut_number(line) && !touching(line),
                                "{condition:?} {gpus} GPUs {tab:?} {keys:?} {columns}x{rows}: {line}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_reading_that_is_absent_is_never_a_zero() {
    let state = live(Rig::new(2, 4, Condition::NoPermission));
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("no perm"), "{screen}");
    let state = live(Rig::new(2, 4, Condition::Mig));
    let row = shows(&state, 120, 40).lines().nth(4).unwrap().to_string();
    assert!(row.contains("n/a"), "{row}");
}

#[test]
fn all_gpus_are_seen_at_the_promised_sizes() {
    let seen = |gpus: u32, columns, rows| {
        let screen = shows(&live(Rig::new(gpus, 0, Condition::Healthy)), columns, rows);
        screen.lines().filter(|line| line.starts_with(['✓', 'i']) && line.contains('%')).count()
    };
    assert_eq!(seen(8, 80, 24), 8);
    assert_eq!(seen(16, 120, 40), 16);
    assert_eq!(seen(8, 40, 12), 8);
}

#[test]
fn a_second_changes_only_the_newest_column_of_a_chart() {
    let rig = Rig::new(1, 0, Condition::Healthy);
    let mut state = rig.state(400, Settings::default(), Mode::Live);
    let theme = Theme::probe();
    let (mut turns, mut quiet) = (0, 0);
    for second in 400..520 {
        let before = frame(&state, &theme, 160, 50);
        update(&mut state, Message::Record(Box::new(rig.sample(second))));
        let after = frame(&state, &theme, 160, 50);
        // Below the table and left of the facts there are only charts; their headings change with the value.
        let mut columns = std::collections::BTreeMap::<u16, usize>::new();
        for y in 6..49 {
            let heading = text(&after).lines().nth(usize::from(y)).unwrap_or_default().contains('┄');
            for x in (0..108).filter(|_| !heading) {
                if before[(x, y)] != after[(x, y)] {
                    *columns.entry(x).or_default() += 1;
                }
            }
        }
        // Two charts side by side: the newest column of each, or that and the one that was just begun.
        if columns.len() <= 4 { quiet += 1 } else { turns += 1 }
    }
    assert!(turns <= 4, "{turns} page turns in 120 s, {quiet} quiet seconds");
}

/// Bytes that a terminal of that size gets per second, on average.
fn bytes_per_second(rig: Rig, tab: Tab, seconds: u64) -> usize {
    let mut state = on(rig.state(400, Settings::default(), Mode::Live), tab);
    let theme = Theme::embedded("dark").unwrap();
    let mut sent = Vec::new();
    let options = ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(Rect::new(0, 0, 160, 50)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut sent), options).unwrap();
    terminal.draw(|frame| kgtop::ui::render(&state, &theme, frame)).unwrap();
    drop(terminal);
    let first = sent.len();
    let mut sent = Vec::new();
    let options = ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(Rect::new(0, 0, 160, 50)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut sent), options).unwrap();
    terminal.draw(|frame| kgtop::ui::render(&state, &theme, frame)).unwrap();
    for second in 400..400 + seconds {
        update(&mut state, Message::Record(Box::new(rig.sample(second))));
        terminal.draw(|frame| kgtop::ui::render(&state, &theme, frame)).unwrap();
    }
    drop(terminal);
    (sent.len() - first) / seconds as usize
}

#[test]
fn a_screen_of_moving_gpus_stays_within_its_bytes() {
    let two = bytes_per_second(Rig::new(2, 4, Condition::Healthy), Tab::Gpus, 120);
    let eight = bytes_per_second(Rig::new(8, 20, Condition::Healthy), Tab::Gpus, 120);
    let idle = bytes_per_second(Rig::new(8, 20, Condition::Idle), Tab::Gpus, 60);
    let table = bytes_per_second(Rig::new(8, 20, Condition::Healthy), Tab::Processes, 60);
    println!("bytes per second: 2 GPUs {two}, 8 GPUs {eight}, 8 idle {idle}, processes {table}");
    assert!(two <= 1_500, "{two} bytes per second with two GPUs under a load that never rests");
    assert!(idle <= 400, "{idle} bytes per second with eight idle GPUs");
    assert!(table <= 600, "{table} bytes per second of the process table");
}

#[test]
fn without_colour_nothing_is_told_by_colour() {
    let state = live(Rig::new(8, 8, Condition::Lost));
    let theme = Theme::embedded("dark").unwrap().without_colour();
    let buffer = frame(&state, &theme, 120, 40);
    for cell in &buffer.content {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
    let text = text(&buffer);
    assert!(text.contains("✗  3"), "{text}");
    assert!(text.contains("░"), "bands have a texture of their own");
}

#[test]
fn sixteen_colours_are_enough() {
    let theme = Theme::embedded("light").unwrap().for_depth(ColourDepth::Sixteen);
    let buffer = frame(&live(Rig::new(8, 8, Condition::Throttled)), &theme, 120, 40);
    for cell in &buffer.content {
        let plain = |colour| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
        assert!(plain(cell.fg) && plain(cell.bg), "{cell:?}");
    }
}

// ---- messages ----

#[test]
fn a_theme_with_a_background_paints_every_cell_and_one_without_leaves_it_to_the_terminal() {
    let state = live(Rig::new(2, 2, Condition::Healthy));
    let grounds = |theme: &str| {
        let buffer = frame(&state, &Theme::embedded(theme).unwrap(), 120, 40);
        buffer.content.iter().map(|cell| cell.bg).collect::<Vec<Color>>()
    };
    assert!(grounds("high-contrast").iter().all(|ground| *ground != Color::Reset));
    let dark = grounds("dark");
    assert!(dark.iter().filter(|ground| **ground == Color::Reset).count() > dark.len() / 2);
}

#[test]
fn tabs_by_number_and_around() {
    let mut state = live(Rig::new(2, 4, Condition::Healthy));
    press(&mut state, "2");
    assert_eq!(state.tab(), Tab::Processes);
    press(&mut state, "\t");
    assert_eq!(Some(&state.tab()), Tab::ALL.get(2));
    press(&mut state, "⇥");
    assert_eq!(state.tab(), Tab::Processes);
    press(&mut state, "⇥⇥");
    assert_eq!(Some(&state.tab()), Tab::ALL.last());
    press(&mut state, "\t2");
    assert_eq!(state.tab(), Tab::Processes);
    press(&mut state, "9");
    assert_eq!(state.tab(), Tab::Processes);
}

#[test]
fn what_is_shown_is_asked_for() {
    let mut state = live(Rig::new(2, 4, Condition::Healthy));
    assert!(state.demand().gpm && !state.demand().process_utilization);
    let effects = press(&mut state, "2");
    let Some(Effect::Demand(demand)) = effects.last() else { panic!("{effects:?}") };
    assert!(demand.process_utilization && !demand.gpm);
    assert_eq!(press(&mut state, "j"), []);
    let plain = live(Rig::new(2, 4, Condition::Plain));
    assert!(plain.demand().pcie_throughput);
}

#[test]
fn quitting_works_from_wherever_one_is() {
    let mut state = live(Rig::new(2, 4, Condition::Healthy));
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
    press(&mut state, "2/");
    assert_eq!(press(&mut state, "q"), [], "q is text while a filter is typed");
    let control_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(event(&mut state, &control_c), [Effect::Quit]);
    press(&mut state, "\u{1b}?");
    assert_eq!(press(&mut state, "q"), [], "q closes a window");
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
}

#[test]
fn a_frozen_screen_stands_still_and_says_since_when() {
    let rig = Rig::new(2, 4, Condition::Healthy);
    let mut state = live(rig);
    press(&mut state, " ");
    let before = shows(&state, 120, 40);
    for second in SECONDS..SECONDS + 5 {
        update(&mut state, Message::Record(Box::new(rig.sample(second))));
    }
    let after = shows(&state, 120, 40);
    assert!(after.contains("frozen 5s ago"), "{after}");
    let below = |screen: &str| screen.lines().skip(1).map(String::from).collect::<Vec<_>>();
    assert_eq!(below(&before), below(&after));
    press(&mut state, " ");
    assert!(!shows(&state, 120, 40).contains("frozen"));
}

#[test]
fn the_selection_stays_on_its_process_as_rows_move() {
    let rig = Rig::new(4, 12, Condition::Healthy);
    let mut state = on(live(rig), Tab::Processes);
    press(&mut state, "jj");
    let selected = |state: &State| {
        let theme = Theme::probe();
        let buffer = frame(state, &theme, 120, 40);
        let row = (0..40)
            .find(|y| theme.role_of_foreground(buffer[(3, *y)].fg) == Some(kgtop::ui::Role::Selection));
        let row = row.expect("a row is selected");
        (4..13).map(|x| buffer[(x, row)].symbol()).collect::<String>()
    };
    let pid = selected(&state);
    press(&mut state, "r");
    assert_eq!(selected(&state), pid);
    press(&mut state, "ss");
    assert_eq!(selected(&state), pid);
    update(&mut state, Message::Record(Box::new(rig.sample(SECONDS))));
    assert_eq!(selected(&state), pid);
}

#[test]
fn pasted_text_is_only_ever_text() {
    let mut state = on(live(Rig::new(2, 6, Condition::Healthy)), Tab::Processes);
    assert_eq!(event(&mut state, &Event::Paste("q\n".into())), []);
    press(&mut state, "/");
    event(&mut state, &Event::Paste("vllm\u{1b}[31m".into()));
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("vllm[31m"), "{screen}");
    assert!(!screen.contains('\u{1b}'));
}

#[test]
fn a_filter_narrows_and_esc_drops_it() {
    let mut state = on(live(Rig::new(2, 6, Condition::Healthy)), Tab::Processes);
    press(&mut state, "/VLLM\n");
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("2 running") && !screen.contains("Xorg"), "{screen}");
    press(&mut state, "/ gpu:0\n");
    assert!(shows(&state, 120, 40).contains("1 running"));
    press(&mut state, "\u{1b}");
    assert!(shows(&state, 120, 40).contains("Xorg"));
}

#[test]
fn replay_keys() {
    let mode = Mode::Replay(Replay::new("x"));
    let mut state = Rig::new(2, 0, Condition::Healthy).state(60, Settings::default(), mode);
    let progress = ReplayProgress { position: Duration::from_secs(60), ..ReplayProgress::default() };
    update(&mut state, Message::Replayed(progress));
    assert_eq!(press(&mut state, " "), [Effect::ReplayPause(true)]);
    assert_eq!(press(&mut state, "←"), [Effect::ReplaySeek(Duration::from_secs(50))]);
    assert_eq!(press(&mut state, "→"), [Effect::ReplaySeek(Duration::from_secs(70))]);
    assert_eq!(press(&mut state, "."), [Effect::ReplayStep(1)]);
    assert_eq!(press(&mut state, "+"), [Effect::ReplaySpeed(2.0)]);
    assert_eq!(press(&mut state, "--"), [Effect::ReplaySpeed(0.5)]);
    assert!(!state.wants_tick());
}

#[test]
fn the_demo_is_one_key_away_without_a_driver() {
    let mut state = live(Rig::new(1, 0, Condition::NoDriver));
    assert_eq!(press(&mut state, "d").first(), Some(&Effect::StartDemo(String::new())));
    assert!(matches!(state.mode(), Mode::Demo { .. }));
    let mut with = live(Rig::new(1, 0, Condition::Healthy));
    assert_eq!(press(&mut with, "d"), []);
}

#[test]
fn the_help_begins_with_the_keys_of_the_tab_and_wraps_them() {
    for tab in Tab::ALL {
        let mut state = on(live(Rig::new(2, 2, Condition::Healthy)), *tab);
        press(&mut state, "?");
        let help = text(&frame(&state, &Theme::probe(), 120, 200));
        let place = |part: &str| help.find(part).unwrap_or_else(|| panic!("{part} is not in\n{help}"));
        let own = place(&format!("│ {}", tab.title()));
        assert!(own < place("Everywhere") && place("Everywhere") < place("Elsewhere"), "{help}");
        let narrow = text(&frame(&state, &Theme::probe(), 40, 400));
        let mut lines = narrow.lines().filter(|line| line.starts_with('│'));
        assert!(lines.all(|line| !line.contains('…')), "{narrow}");
    }
}

#[test]
fn a_stream_that_ended_offers_no_key_that_cannot_start_it() {
    for (mode, offered) in [(Mode::Live, true), (Mode::Remote, false)] {
        let mut state = Rig::new(2, 2, Condition::Healthy).state(SECONDS, Settings::default(), mode);
        let reason = "the stream on standard input ended".into();
        update(&mut state, Message::SourceEnded { reason, restarting_in: None });
        let screen = text(&frame(&state, &Theme::probe(), 120, 40));
        assert!(screen.contains("The source ended: the stream"), "{screen}");
        assert_eq!(screen.contains("R starts one"), offered, "{screen}");
    }
}

#[test]
fn late_data_is_greyed_with_its_age() {
    let mut state = live(Rig::new(2, 2, Condition::Healthy));
    assert!(!state.wants_tick());
    assert_eq!(state.tick_after(), Some(Duration::from_secs(3)));
    for second in 0..6 {
        update(&mut state, Message::Tick(Mono((START + SECONDS + second) * 1_000_000), Wall(0)));
    }
    assert!(state.wants_tick());
    let theme = Theme::probe();
    let buffer = frame(&state, &theme, 120, 40);
    assert!(text(&buffer).contains("no data for 6s"), "{}", text(&buffer));
    let old = "! no reading for 6s: what stands below is old";
    assert!(text(&buffer).contains(old) && !text(&buffer).contains("all clear"), "{}", text(&buffer));
    let mut listed = state.clone();
    press(&mut listed, "f");
    let window = text(&frame(&listed, &theme, 120, 40));
    assert!(window.contains("what stands here is old") && !window.contains("nothing to report"), "{window}");
    let stale = buffer
        .content
        .iter()
        .filter(|cell| theme.role_of_foreground(cell.fg) == Some(kgtop::ui::Role::Stale));
    assert!(stale.count() > 20);
}

#[test]
fn no_age_and_no_wait_is_told_in_no_seconds() {
    let mut state = live(Rig::new(2, 2, Condition::Healthy));
    let reason = "the collector died".to_owned();
    update(&mut state, Message::SourceEnded { reason, restarting_in: Some(Duration::ZERO) });
    let screen = shows(&state, 160, 40);
    assert!(screen.contains("no data, just now") && screen.contains("a new one starts now"), "{screen}");
    assert!(!screen.contains("0s"), "{screen}");
}

#[test]
fn a_collector_that_hangs_is_named() {
    let mut state = live(Rig::new(2, 2, Condition::Healthy));
    let call = StuckCall {
        gpu: None,
        call: "nvmlInit_v2".into(),
        since: Mono(0),
        wait_channel: Some("rm_init_adapter".into()),
        ended: false,
    };
    update(&mut state, Message::SourceStuck { pid: 4_242, call: Some(call) });
    let screen = shows(&state, 160, 40);
    assert!(
        screen.contains("PID 4242") && screen.contains("nvmlInit_v2 (waits in rm_init_adapter)"),
        "{screen}"
    );
}

/// The line of the verdict strip.
fn strip(state: &State) -> String {
    shows(state, 120, 40).lines().nth(2).unwrap().to_owned()
}

#[test]
fn the_strip_names_the_key_to_the_evidence_of_the_worst_finding() {
    let mut state = on(live(Rig::new(8, 20, Condition::Throttled)), Tab::Storage);
    assert!(
        strip(&state).starts_with("✗ GPU 3: the hardware cuts the clocks: too hot [v]"),
        "{}",
        strip(&state)
    );
    press(&mut state, "v");
    assert_eq!(state.tab(), Tab::Limits);
    assert!(shows(&state, 120, 40).contains("GPU 3 · "));

    let mut state = on(live(Rig::new(8, 20, Condition::Lost)), Tab::Limits);
    press(&mut state, "v");
    assert_eq!(state.tab(), Tab::Events);
    press(&mut state, "1");
    assert!(shows(&state, 120, 40).contains("GPU 3 · "), "the GPU is selected on every tab");

    // While a filter is typed it is a letter.
    press(&mut state, "2/v");
    assert_eq!(state.tab(), Tab::Processes);
}

#[test]
fn every_finding_in_the_list_leads_to_its_tab_with_its_gpu_selected() {
    let mut tabs = std::collections::BTreeSet::new();
    for condition in [Condition::Lost, Condition::Throttled, Condition::Healthy] {
        let mut state = live(Rig::new(8, 20, condition));
        let findings = state.verdicts().to_vec();
        assert!(!findings.is_empty());
        for (place, finding) in findings.iter().enumerate() {
            press(&mut state, "\u{1b}1f");
            press(&mut state, &"↓".repeat(place));
            let list = shows(&state, 120, 40);
            let selected = list.lines().find(|line| line.contains("│ › ")).unwrap();
            assert!(selected.contains(&finding.summary[..20]), "{place} is in view: {list}");
            press(&mut state, "\n");
            let tab = Tab::of(finding.area);
            assert_eq!((state.tab(), state.overlay()), (tab, &Overlay::None), "{}", finding.summary);
            tabs.insert(tab.number());
            let index = findings_gpu(&state, finding.gpu.as_ref());
            if let Some(index) = index.filter(|_| tab == Tab::Topology) {
                assert!(shows(&state, 120, 40).contains(&format!("GPU{index} ")));
            }
            if let Some(index) = index.filter(|_| tab == Tab::Processes) {
                assert!(shows(&state, 120, 40).contains(&format!("gpu:{index}")), "{}", finding.summary);
            }
            press(&mut state, "1");
            if let Some(index) = index {
                assert!(shows(&state, 120, 40).contains(&format!("GPU {index} · ")), "{}", finding.summary);
            }
        }
    }
    assert!(tabs.len() >= 4, "findings of several areas were followed: {tabs:?}");
}

fn findings_gpu(state: &State, id: Option<&kgtop::model::GpuId>) -> Option<u32> {
    let gpu = state.snapshot()?.gpus.iter().find(|gpu| Some(&gpu.id) == id)?;
    gpu.info.index.as_ref().ok().copied()
}

#[test]
fn the_mouse_selects_sorts_and_opens() {
    let click = |x, y| {
        Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: x,
            row: y,
            modifiers: KeyModifiers::NONE,
        })
    };
    let mut state = live(Rig::new(8, 20, Condition::Lost));
    event(&mut state, &click(20, 6));
    assert!(shows(&state, 120, 40).contains("GPU 2 ·"));
    event(&mut state, &click(3, 2));
    assert!(shows(&state, 120, 40).contains("╭─ Findings"));
    event(&mut state, &click(0, 39));
    event(&mut state, &click(12, 1));
    assert_eq!(state.tab(), Tab::Processes);
    event(&mut state, &click(8, 4));
    assert!(shows(&state, 120, 40).contains("▲PID"));
}

#[test]
fn what_the_collector_complains_of_is_one_key_away_and_bounded() {
    let mut state = live(Rig::new(1, 0, Condition::Healthy));
    press(&mut state, "E");
    assert!(shows(&state, 120, 40).contains("nothing yet"));
    press(&mut state, "\u{1b}");
    for number in 0..1_000 {
        update(
            &mut state,
            Message::CollectorStderr(format!("complaint {number}: \u{1b}[2Jlibnvidia-ml said so")),
        );
    }
    press(&mut state, "E");
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("complaint 800:") && !screen.contains("complaint 799:"), "{screen}");
    assert!(!screen.contains('\u{1b}'));
    for _ in 0..300 {
        press(&mut state, "j");
    }
    assert!(shows(&state, 120, 40).contains("complaint 999:"));
}

/// The headings of the process table: the column that it is sorted by has an arrow.
fn headings(state: &State) -> String {
    let screen = shows(state, 200, 60);
    let line = screen.lines().find(|line| line.contains("PID") && line.contains("command")).unwrap();
    assert_eq!(line.matches(['▲', '▼']).count(), 1, "{line}");
    line.to_owned()
}

#[test]
fn every_column_can_be_sorted_by_in_both_orders() {
    let mut state = on(live(Rig::new(4, 12, Condition::Healthy)), Tab::Processes);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..11 {
        let forward = headings(&state);
        let column = forward.replace('▼', "▲");
        let order = |state: &State| -> Vec<String> {
            let screen = shows(state, 200, 60);
            let pid =
                |line: &str| line.split_whitespace().find(|word| word.starts_with("210")).map(str::to_owned);
            screen.lines().skip(5).filter_map(pid).collect()
        };
        let before = order(&state);
        press(&mut state, "r");
        let backward = headings(&state);
        assert_eq!(column, backward.replace('▼', "▲"));
        assert_ne!(forward, backward, "the arrow turns");
        assert_ne!(before, order(&state), "sorted by {forward}");
        press(&mut state, "r");
        assert_eq!(before, order(&state));
        seen.insert(column);
        press(&mut state, "s");
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}

#[test]
fn windows_go_around() {
    let mut state = live(Rig::new(1, 0, Condition::Healthy));
    for label in [Window::M15, Window::M60, Window::M1, Window::M5].map(Window::label) {
        press(&mut state, "w");
        assert!(shows(&state, 120, 40).contains(&format!("last {label} [w]")));
    }
}

/// How many rows the screen says that it does not hold: ` ↑ 2 ↓ 3 more`.
fn more(screen: &str) -> usize {
    let told = screen.lines().filter_map(|line| {
        let (before, _) = line.rsplit_once(" more")?;
        let numbers = before.split(['↑', '↓']).skip(1).map(|part| part.trim().parse().ok());
        let numbers: Option<Vec<usize>> = numbers.collect();
        numbers.filter(|numbers| !numbers.is_empty())
    });
    told.flatten().sum()
}

#[test]
fn rows_that_the_screen_does_not_hold_are_counted() {
    let rig = Rig::new(16, 20, Condition::Healthy);
    // How the rows of a tab begin.
    let row_of = |tab: Tab, line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        match tab {
            Tab::Gpus => line.starts_with(['✓', 'i', '!']) && line.contains('%'),
            Tab::Processes => {
                let pid = line.trim_start_matches(['†', 'D', 'Z', '!', ' ']).split(' ').next().unwrap_or("");
                pid == "–" || pid.parse::<u32>().is_ok_and(|pid| pid > 20_000)
            }
            _ => first.parse::<u32>().is_ok() && (line.contains(" W") || line.contains("/700")),
        }
    };
    // Twenty processes, and memory of two GPUs that nobody owns.
    for (tab, count) in [(Tab::Gpus, 16), (Tab::Limits, 16), (Tab::Processes, 22)] {
        for keys in ["", "G", "jjjjjjjj"] {
            let mut state = on(live(rig), tab);
            press(&mut state, keys);
            for (columns, rows) in [(200, 60), (120, 40), (80, 24), (40, 12), (30, 6)] {
                let screen = shows(&state, columns, rows);
                let seen = screen.lines().filter(|line| row_of(tab, line)).count();
                assert_eq!(seen + more(&screen), count, "{tab:?} {keys} {columns}x{rows}: {screen}");
            }
        }
    }
}

#[test]
fn what_a_silent_gpu_last_said_is_not_taken_for_now() {
    let mut state = live(Rig::new(8, 8, Condition::Lost));
    press(&mut state, "jjji");
    let screen = shows(&state, 120, 60);
    let recovery = screen.lines().find(|line| line.contains("is what the driver asks for")).unwrap();
    assert!(recovery.contains("lost  is") || recovery.contains("lost is"), "{recovery}");
    // The share of a process on it is as grey as its memory.
    let state = on(live(Rig::new(8, 8, Condition::Lost)), Tab::Processes);
    let theme = Theme::probe();
    let (screen, map) = (shows(&state, 120, 40), roles(&frame(&state, &theme, 120, 40), &theme));
    let of_gpu = |number: &str| {
        let row = |line: &str| line.split_whitespace().nth(2) == Some(number) && line.contains(" GiB");
        let place = screen.lines().position(row).unwrap();
        let cells: Vec<char> = screen.lines().nth(place).unwrap().chars().collect();
        let sign = cells.iter().position(|cell| *cell == '%').unwrap();
        map.lines().nth(place).unwrap().chars().nth(sign).unwrap()
    };
    assert_ne!(of_gpu("3"), of_gpu("4"), "{screen}{map}");
    assert!(map.contains(&format!("{} stale", of_gpu("3"))), "{map}");
}

#[test]
fn a_process_started_on_a_date_and_the_sorted_heading_is_whole() {
    let mut state = on(live(Rig::new(8, 20, Condition::Healthy)), Tab::Processes);
    press(&mut state, "\n");
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("ago, 2026-08-"), "{screen}");
    press(&mut state, "\u{1b}");
    let mut seen = false;
    for _ in 0..11 {
        press(&mut state, "s");
        let line = headings(&state);
        assert!(!line.contains('…'), "{line}");
        seen |= line.contains("type▲") || line.contains("type▼");
    }
    assert!(seen);
}

#[test]
fn a_page_skips_no_line_unread() {
    let mut state = live(Rig::new(8, 8, Condition::Lost));
    press(&mut state, "i");
    for (columns, rows) in [(30, 6), (40, 12), (80, 24), (120, 30)] {
        let screen = Rect { x: 0, y: 0, width: columns, height: rows };
        let key = |state: &mut State, code| {
            let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
            let message = input::message_for(state, screen, &event).unwrap();
            update(state, message);
        };
        // The lines between the frame's sides.
        let seen = |state: &State| -> Vec<String> {
            let screen: Vec<Vec<char>> =
                shows(state, columns, rows).lines().map(|line| line.chars().collect()).collect();
            let top = screen.iter().position(|line| line.contains(&'╭')).unwrap();
            let side = |corner| screen[top].iter().position(|cell| *cell == corner).unwrap();
            let (left, right) = (side('╭'), side('╮'));
            let inner = screen.iter().skip(top + 1).take_while(|line| line[left] == '│');
            inner.map(|line| line[left + 1..right].iter().collect()).collect()
        };
        key(&mut state, KeyCode::Home);
        let mut all = seen(&state);
        let room = all.len();
        loop {
            let before = seen(&state);
            key(&mut state, KeyCode::Down);
            if seen(&state) == before {
                break;
            }
            all.extend(seen(&state).last().cloned());
        }
        key(&mut state, KeyCode::Home);
        let mut first = 0;
        while first < all.len() - room {
            key(&mut state, KeyCode::PageDown);
            // The last line that was read stays in sight, where there is more than one.
            first = (first + (room - 1).max(1)).min(all.len() - room);
            assert_eq!(seen(&state), all[first..first + room], "{columns}x{rows}");
        }
        key(&mut state, KeyCode::PageUp);
        first = first.saturating_sub((room - 1).max(1));
        assert_eq!(seen(&state), all[first..first + room], "{columns}x{rows}");
    }
}

#[test]
fn a_long_window_scrolls_no_further_than_its_end() {
    let mut state = live(Rig::new(1, 0, Condition::Healthy));
    press(&mut state, "?");
    for _ in 0..200 {
        press(&mut state, "j");
    }
    let end = shows(&state, 120, 40);
    press(&mut state, "k");
    assert_ne!(shows(&state, 120, 40), end, "one key up moves at once");
}
