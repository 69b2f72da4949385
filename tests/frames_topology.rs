//! Frames of the tabs Topology, Limits and Events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_push_string,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

#[path = "support/frames.rs"]
#[allow(dead_code, reason = "shared with the other frame tests")]
mod support;
#[path = "support/sysfs.rs"]
mod sysfs;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use kgtop::app::{Message, Mode, Settings, State, Tab, update};
use kgtop::model::{Absence, GpuPair, Record};
use kgtop::sources::root::Root;
use kgtop::sources::scenario::{Scenario, ScenarioPlayer};
use kgtop::sources::topology::scan;
use kgtop::ui::{Theme, input};
use kgtop::units::{Mono, Wall};
use ratatui::layout::Rect;
use std::time::Duration;
use support::{Condition, Rig, frame, roles, text};

const SECONDS: u64 = 260;
const SIZES: [(u16, u16); 4] = [(200, 60), (120, 40), (80, 24), (40, 12)];

/// The bus of a rig: a switch for two GPUs and as many NICs, two sockets.
fn bus(rig: &Rig, nics: u32) -> String {
    let mut text = String::from("node 0 0-55,112-167\nnode 1 56-111,168-223\n");
    let near = |index: u32, of: u32| {
        let node = index * 2 / of.max(2);
        (node, if node == 0 { "0-55,112-167" } else { "56-111,168-223" })
    };
    for index in 0..rig.gpus {
        let (node, cpus) = near(index, rig.gpus);
        let switch = 0x10 + index / 2;
        text += &format!(
            "gpu - pci0000:{switch:02x}/0000:{switch:02x}:01.0/0000:a{:x}:00.0/0000:b{:x}:{:02x}.0/0000:{:02x}:00.0 {node} {cpus}\n",
            index / 2,
            index / 2,
            index % 2,
            0x19 + index * 8
        );
    }
    for index in 0..nics {
        let (node, cpus) = near(index, nics);
        let switch = index * rig.gpus.div_ceil(2) / nics.max(1);
        text += &format!(
            "nic mlx5_{index} pci0000:{:02x}/0000:{:02x}:01.0/0000:a{switch:x}:00.0/0000:b{switch:x}:{:02x}.0/0000:c{index:x}:00.0 {node} {cpus}\n",
            0x10 + switch,
            0x10 + switch,
            8 + index % 4,
        );
    }
    text
}

fn state_of(rig: &Rig, nics: u32, change: impl Fn(&mut kgtop::model::Inventory)) -> State {
    let directory = tempfile::tempdir().unwrap();
    sysfs::build(directory.path(), &bus(rig, nics));
    let topology = scan(&Root::open(directory.path()).unwrap());
    let mut state = State::new(Settings::default(), Mode::Live);
    update(&mut state, Message::Record(Box::new(rig.header())));
    let Record::Inventory(mut inventory) = rig.inventory() else { panic!() };
    inventory.topology = Some(Box::new(topology));
    for gpu in &mut inventory.gpus {
        gpu.nvswitch_links = gpu.nvlinks.clone();
    }
    change(&mut inventory);
    update(&mut state, Message::Record(Box::new(Record::Inventory(inventory))));
    for second in 0..SECONDS {
        update(&mut state, Message::Record(Box::new(rig.sample(second))));
    }
    state
}

fn with_pairs(inventory: &mut kgtop::model::Inventory) {
    let addresses: Vec<_> = inventory.gpus.iter().map(|gpu| gpu.pci_bus_id.clone().unwrap()).collect();
    let pairs = &mut inventory.topology.as_mut().unwrap().pairs;
    for (nth, a) in addresses.iter().enumerate() {
        for b in &addresses[nth + 1..] {
            pairs.push(GpuPair {
                a: a.clone(),
                b: b.clone(),
                ancestor: Ok(50),
                p2p_read: Ok(0),
                p2p_write: Ok(0),
                p2p_nvlink: Ok(0),
                p2p_atomics: Ok(0),
                p2p_pci: Ok(5),
            });
        }
    }
}

fn on(mut state: State, tab: Tab) -> State {
    update(&mut state, Message::SelectTab(tab));
    state
}

const SCREEN: Rect = Rect { x: 0, y: 0, width: 120, height: 40 };

fn press(state: &mut State, keys: &str) {
    for key in keys.chars() {
        let event = Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
        if let Some(message) = input::message_for(state, SCREEN, &event) {
            update(state, message);
        }
    }
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
fn topology_of_eight_gpus_and_eight_nics() {
    let state = on(state_of(&Rig::new(8, 8, Condition::Healthy), 8, with_pairs), Tab::Topology);
    for (columns, rows) in SIZES {
        check("topology-healthy", &state, columns, rows);
    }
}

#[test]
fn the_selected_pair_says_what_peers_may_do() {
    let rig = Rig::new(8, 20, Condition::Healthy);
    let mut state = on(state_of(&rig, 8, with_pairs), Tab::Topology);
    press(&mut state, "l");
    let screen = shows(&state, 200, 60);
    let line = screen.lines().find(|line| line.contains("P2P")).unwrap();
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("P2P read OK write OK NVLink OK atomics OK PCIe not supported"),
        "each status by its name, and none of them a bare number: {words}"
    );
}

#[test]
fn topology_of_sixteen_gpus_keeps_its_headings() {
    let mut state = on(state_of(&Rig::new(16, 8, Condition::Healthy), 8, with_pairs), Tab::Topology);
    check("topology-sixteen", &state, 120, 40);
    press(&mut state, "Gllllllllllllllllllllll");
    check("topology-sixteen-end", &state, 80, 24);
    let screen = shows(&state, 80, 24);
    assert!(screen.lines().any(|line| line.contains("NIC7") && line.contains('◂')), "{screen}");
}

#[test]
fn a_narrow_link_under_load_is_marked() {
    let state = on(state_of(&Rig::new(8, 8, Condition::Throttled), 0, with_pairs), Tab::Topology);
    let screen = shows(&state, 120, 40);
    assert!(screen.contains("! GPU3: PCIe x4 of x16 under load"), "{screen}");
    let idle = on(state_of(&Rig::new(8, 0, Condition::Idle), 0, with_pairs), Tab::Topology);
    assert!(!shows(&idle, 120, 40).contains("! GPU"));
}

#[test]
fn topology_without_a_driver() {
    let state =
        on(state_of(&Rig::new(4, 0, Condition::Plain), 2, |inventory| inventory.gpus.clear()), Tab::Topology);
    check("topology-no-nvml", &state, 120, 40);
}

#[test]
fn limits_healthy_and_hot() {
    let state = on(state_of(&Rig::new(8, 8, Condition::Healthy), 0, |_| {}), Tab::Limits);
    for (columns, rows) in SIZES {
        check("limits-healthy", &state, columns, rows);
    }
    let mut hot = on(state_of(&Rig::new(8, 8, Condition::Throttled), 0, |_| {}), Tab::Limits);
    press(&mut hot, "jjj");
    for (columns, rows) in SIZES {
        check("limits-throttled", &hot, columns, rows);
    }
}

#[test]
fn a_reason_outside_the_mask_is_unknown() {
    let state = on(state_of(&Rig::new(1, 0, Condition::Idle), 0, |_| {}), Tab::Limits);
    let screen = shows(&state, 120, 40);
    assert!(screen.lines().any(|line| line.starts_with("? board_limit")), "{screen}");
    assert!(screen.lines().any(|line| line.starts_with("· hw_thermal_slowdown")), "{screen}");
}

#[test]
fn both_tabs_in_every_condition_at_every_size() {
    let theme = Theme::probe();
    let sizes = [(200, 60), (120, 40), (80, 24), (60, 16), (40, 12), (30, 6), (29, 5), (3, 2), (1, 1)];
    for condition in Condition::ALL {
        for (gpus, nics) in [(1, 0), (16, 8)] {
            let state = state_of(&Rig::new(gpus, 8, condition), nics, with_pairs);
            for tab in [Tab::Topology, Tab::Limits] {
                for keys in ["", "jl", "G"] {
                    let mut state = on(state.clone(), tab);
                    press(&mut state, keys);
                    for (columns, rows) in sizes {
                        let _ = roles(&frame(&state, &theme, columns, rows), &theme);
                    }
                }
            }
        }
    }
}

#[test]
fn devices_that_the_matrix_does_not_hold_are_counted() {
    let mut state = on(state_of(&Rig::new(8, 0, Condition::Healthy), 8, with_pairs), Tab::Topology);
    for (columns, rows) in [(80, 24), (40, 12)] {
        let screen = shows(&state, columns, rows);
        let starts = |line: &&str| line.starts_with("GPU") || line.starts_with("NIC");
        // Rows of the matrix stand above the line that names the pair.
        let rows_seen =
            screen.lines().take_while(|line| !line.contains("GPU0 – GPU1")).filter(starts).count();
        let said = format!("↓ {} more", 16 - rows_seen);
        assert!(rows_seen < 16 && screen.contains(&said), "{said}: {screen}");
    }
    press(&mut state, "G");
    let tells = |columns, rows| shows(&state, columns, rows).lines().any(|line| line.ends_with(" more"));
    assert!(tells(80, 24) && !tells(200, 60));
}

#[test]
fn a_click_selects_the_cell_that_is_under_it() {
    let mut state = on(state_of(&Rig::new(8, 0, Condition::Healthy), 0, with_pairs), Tab::Topology);
    let screen = shows(&state, 120, 40);
    let row = screen.lines().position(|line| line.starts_with("GPU5")).unwrap();
    let click = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: 6 + 6 * 2 + 4,
        row: row as u16,
        modifiers: KeyModifiers::NONE,
    };
    let message = input::message_for(&state, SCREEN, &Event::Mouse(click)).unwrap();
    update(&mut state, message);
    assert!(shows(&state, 120, 40).contains("GPU5 – GPU2"));
}

#[test]
fn what_was_not_read_is_said() {
    let state = on(
        state_of(&Rig::new(2, 0, Condition::Healthy), 0, |inventory| {
            inventory.topology = None;
            for gpu in &mut inventory.gpus {
                gpu.nvlinks = Err(Absence::NotSupported);
                gpu.nvswitch_links = Err(Absence::NotSupported);
            }
        }),
        Tab::Topology,
    );
    assert!(shows(&state, 120, 40).contains("not read yet"));
}

#[test]
fn events_of_the_incident() {
    let text = include_str!("../assets/scenarios/incident-8xh100.toml");
    let scenario = Scenario::parse(text, "incident").unwrap();
    let mut player = ScenarioPlayer::new(scenario, Wall(1_790_000_000_000_000), Mono(3_600_000_000));
    let mut state = State::new(Settings::default(), Mode::Demo { name: "incident-8xh100".into() });
    while player.next_at().is_some_and(|at| at < Duration::from_secs(210)) {
        update(&mut state, Message::Record(Box::new(player.next().unwrap())));
    }
    let state = on(state, Tab::Events);
    for (columns, rows) in SIZES {
        check("events-incident", &state, columns, rows);
    }
}
