//! What stands around every tab: header, verdict strip, tab bar, footer.

use super::theme::Role;
use super::widgets::{Pen, width};
use super::{keys, words};
use crate::app::{Mode, SourceLife, State, Tab};
use crate::model::{Absence, Reading, SourceState};
use crate::units::format_age;
use ratatui::layout::Rect;
use std::sync::Arc;
use std::time::Duration;

/// A piece of the header; dropped from the greatest rank on when there is no room.
struct Piece {
    text: String,
    role: Role,
    rank: u8,
}

fn piece(text: impl Into<String>, role: Role, rank: u8) -> Piece {
    Piece { text: text.into(), role, rank }
}

/// Host, driver, CUDA, interval; sources; what feeds the screen; the time of the data.
pub(super) fn header(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let mut left = vec![piece("kgtop", Role::Accent, 0)];
    if let Some(header) = &state.header
        && !header.host.hostname.is_empty()
    {
        left.push(piece(&*header.host.hostname, Role::Strong, 1));
    }
    let inventory = state.snapshot().map(|snapshot| &snapshot.inventory).or(state.inventory.as_ref());
    if let Some(inventory) = inventory {
        left.extend(version("driver", &inventory.driver.version, 3));
        left.extend(version("CUDA", &inventory.driver.cuda_version, 5));
    }
    left.push(piece(format!("every {}", seconds(state.settings.interval)), Role::Muted, 6));
    left.extend(host(state));
    let mut right = sources(state);
    if let Mode::Replay(replay) = &state.mode {
        right.push(piece(replay.file.as_str(), Role::Muted, 4));
    }
    right.push(mode(state));
    right.extend(frozen(state));
    if let Some(snapshot) = state.snapshot() {
        let offset = state.settings.utc_offset_seconds;
        right.push(piece(words::time_of_day(snapshot.wall.0, offset), Role::Text, 1));
        right.push(piece(words::zone(offset), Role::Muted, 7));
    }
    let gap = 2_u16;
    let needed = |pieces: &[Piece]| pieces.iter().map(|piece| width(&piece.text) + gap).sum::<u16>();
    while needed(&left) + needed(&right) > area.width + gap {
        let dearest = left.iter().chain(&right).map(|piece| piece.rank).max().unwrap_or(0);
        if dearest == 0 {
            break;
        }
        left.retain(|piece| piece.rank < dearest);
        right.retain(|piece| piece.rank < dearest);
    }
    let mut x = area.x;
    for piece in &left {
        x = pen.text(x, area.y, area.right().saturating_sub(x), &piece.text, piece.role) + gap;
    }
    x = area.right().saturating_sub(needed(&right).saturating_sub(gap)).max(x);
    for piece in &right {
        x = pen.text(x, area.y, area.right().saturating_sub(x), &piece.text, piece.role) + gap;
    }
}

fn version(name: &str, reading: &Reading<Arc<str>>, rank: u8) -> Option<Piece> {
    match reading {
        Ok(version) => Some(piece(format!("{name} {version}"), Role::Text, rank)),
        Err(Absence::NotRequested) => None,
        Err(absence) => Some(piece(format!("{name} {}", absence.label()), Role::Absent, rank)),
    }
}

/// `1 s`, `0.5 s`.
fn seconds(interval: Duration) -> String {
    let seconds = interval.as_secs_f32();
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") }
}

/// CPU, memory and load of the host.
fn host(state: &State) -> Vec<Piece> {
    let Some(host) = state.snapshot().map(|snapshot| &snapshot.host) else { return Vec::new() };
    let mut pieces = Vec::new();
    if let Ok(cpu) = host.cpu {
        pieces.push(piece(format!("cpu {cpu:>4}"), Role::Text, 4));
    }
    if let (Ok(used), Ok(total)) = (&host.memory_used, &host.memory_total) {
        pieces.push(piece(format!("mem {}", words::used_of(*used, *total)), Role::Text, 4));
    }
    if let [Ok(load), ..] = &host.load {
        pieces.push(piece(format!("load {load:.1}"), Role::Text, 6));
    }
    pieces
}

/// One badge per source; those that work are short and go first when room is scarce.
fn sources(state: &State) -> Vec<Piece> {
    let Some(snapshot) = state.snapshot() else { return Vec::new() };
    let badge = |name: &str, source: SourceState| match source {
        SourceState::Ok => piece(format!("{name} ✓"), Role::BadgeOk, 8),
        SourceState::Degraded => piece(format!("{name} !"), Role::BadgeDegraded, 3),
        SourceState::Unavailable => piece(format!("{name} ✗"), Role::BadgeUnavailable, 2),
    };
    snapshot.sources.iter().map(|source| badge(&source.name, source.state)).collect()
}

/// ` for 3s`; an age of no second yet is none to print.
fn for_so_long(age: Duration) -> String {
    if age.as_secs() == 0 { ", just now".into() } else { format!(" for {}", format_age(age)) }
}

/// What feeds the screen, and how it does.
fn mode(state: &State) -> Piece {
    match (&state.source, &state.mode) {
        (SourceLife::Ended { .. }, Mode::Live | Mode::Remote) => {
            piece(format!("✗ no data{}", for_so_long(state.data_age())), Role::Critical, 0)
        }
        (SourceLife::Stuck { .. }, _) => {
            piece(format!("✗ stuck{}", for_so_long(state.data_age())), Role::Critical, 0)
        }
        (SourceLife::Running, Mode::Live | Mode::Remote) if state.is_late() => {
            piece(format!("! no data for {}", format_age(state.data_age())), Role::Warning, 0)
        }
        (SourceLife::Starting, _) => piece("○ starting", Role::Muted, 0),
        (_, Mode::Live) => piece("● live", Role::Good, 0),
        (_, Mode::Remote) => piece("● remote", Role::Info, 0),
        (_, Mode::Demo { name }) if name.is_empty() => piece("◆ demo", Role::Info, 0),
        (_, Mode::Demo { name }) => piece(format!("◆ demo {name}"), Role::Info, 0),
        (_, Mode::Replay(replay)) => {
            let sign = if replay.at_end {
                "■"
            } else if replay.paused {
                "‖"
            } else {
                "▶"
            };
            let length = replay.length.map_or_else(String::new, |length| format!("/{}", clock(length)));
            let speed = if replay.paused { "paused".into() } else { format!("{}×", replay.speed) };
            let end = if replay.at_end { " end" } else { "" };
            piece(format!("{sign} replay {}{length} {speed}{end}", clock(replay.position)), Role::Info, 0)
        }
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 3_600 {
        format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

fn frozen(state: &State) -> Option<Piece> {
    state
        .is_frozen()
        .then(|| piece(format!("‖ frozen {} ago", format_age(state.shown_age())), Role::Warning, 0))
}

/// The tabs and where they stand.
fn tab_places(area: Rect) -> Vec<(Tab, u16, String)> {
    let mut x = area.x;
    Tab::ALL
        .iter()
        .map(|tab| {
            let text = format!(" {} {} ", tab.number(), tab.title());
            let place = (*tab, x, text);
            x += width(&place.2);
            place
        })
        .collect()
}

/// The tab under column `x`.
pub(super) fn tab_at(area: Rect, x: u16) -> Option<Tab> {
    let under = |(_, start, text): &&(Tab, u16, String)| (*start..*start + width(text)).contains(&x);
    tab_places(area).iter().find(under).map(|(tab, ..)| *tab)
}

/// The tab bar, as a line across.
pub(super) fn tab_bar(state: &State, area: Rect, pen: &mut Pen<'_>) {
    if area.height == 0 {
        return;
    }
    let mut end = area.x;
    for (tab, x, text) in tab_places(area) {
        let role = if tab == state.tab { Role::TabActive } else { Role::Muted };
        end = pen.text(x, area.y, area.right().saturating_sub(x), &text, role);
    }
    pen.rule(end, area.y, area.right().saturating_sub(end), "");
}

/// The keys that work here, or the notice, or the filter that is typed.
pub(super) fn footer(state: &State, area: Rect, pen: &mut Pen<'_>) {
    if let Some(notice) = &state.notice {
        pen.text(area.x, area.y, area.width, notice, Role::Info);
        return;
    }
    let mut x = area.x;
    if keys::types_text(state) {
        x = pen.text(x, area.y, area.width, "filter: ", Role::Key);
        let room = area.right().saturating_sub(x + 1);
        x = pen.text(x, area.y, room, &state.processes.filter, Role::Strong);
        x = pen.text(x, area.y, 1, "▏", Role::Accent) + 2;
    }
    let mut shown: Vec<(String, &'static str)> = Vec::new();
    for (_, entries) in keys::entries(&keys::active(state)) {
        // A pair of keys is one entry: ↑↓.
        for entry in entries.iter().filter(|entry| !entry.binding.short.is_empty()) {
            match shown.last_mut().filter(|(_, short)| *short == entry.binding.short) {
                Some((label, _)) => label.push_str(&entry.label),
                None => shown.push((entry.label.to_string(), entry.binding.short)),
            }
        }
    }
    // Help and quit are what one looks for: they come first, and stay when the rest has no room.
    shown.sort_by_key(|(label, _)| !matches!(label.as_str(), "?" | "q"));
    for (label, short) in shown {
        let wide = width(&label) + 1 + width(short);
        if x + wide > area.right() {
            break;
        }
        x = pen.text(x, area.y, wide, &label, Role::Key) + 1;
        x = pen.text(x, area.y, wide, short, Role::Muted) + 2;
    }
}
