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
        (SourceLife::Running, Mode::Live | Mode::Remote) if state.data_age() >= state.late_after() => {
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

/// The worst that is known, in one sentence: the source first, because nothing below it is current without it.
pub(super) fn verdict_strip(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let (mark, role, text) = sentence(state);
    // `v` goes to the evidence of this one, `f` lists them all.
    let more = match state.verdicts().len() {
        0 if state.failed_check().is_some() && text.starts_with(DOCTOR) => {
            format!(" [{}]", Tab::Doctor.number())
        }
        0 => String::new(),
        1 => " [v] [f]".to_string(),
        count => format!(" [v] +{} more [f]", count - 1),
    };
    let x = pen.text(area.x, area.y, area.width, mark, role) + 1;
    let room = area.right().saturating_sub(x);
    let key = width(&more).min(room);
    let x = pen.text(x, area.y, room - key, &text, role);
    pen.text(x, area.y, key, &more, Role::Key);
}

/// How a sentence of the doctor begins.
const DOCTOR: &str = "doctor: ";

fn sentence(state: &State) -> (&'static str, Role, String) {
    match &state.source {
        SourceLife::Stuck { pid, call } => {
            let call = call.as_ref().map_or_else(String::new, |call| {
                let wait =
                    call.wait_channel.as_ref().map_or_else(String::new, |at| format!(" (waits in {at})"));
                format!(" in {}{wait}", call.call)
            });
            let age = format_age(state.data_age());
            return (
                "✗",
                Role::Critical,
                format!(
                    "The collector (PID {pid}) hangs{call} for {age} and cannot be killed; no second one is started"
                ),
            );
        }
        SourceLife::Ended { .. } if state.holds_the_collector() => {
            let text = "The collector stands still, so that the GPU is free for the action [A shows it]";
            return ("!", Role::Warning, text.into());
        }
        SourceLife::Ended { reason, restarting_in } if !matches!(state.mode, Mode::Replay(_)) => {
            let next = restarting_in.map_or_else(
                || "no new one is started [R starts one]".to_string(),
                |after| match after.saturating_sub(state.waited()) {
                    left if left.as_secs() == 0 => "a new one starts now".into(),
                    left => format!("a new one starts in {}", format_age(left)),
                },
            );
            return ("✗", Role::Critical, format!("The source ended: {reason}; {next}"));
        }
        _ => {}
    }
    if let Some(worst) = state.verdicts().first() {
        let (mark, role) = words::mark(worst.severity);
        return (mark, role, worst.summary.clone());
    }
    if let Mode::Replay(replay) = &state.mode
        && let Some(damage) = &replay.damage
    {
        return ("!", Role::Warning, format!("{} is {damage}", replay.file));
    }
    match state.snapshot() {
        None => ("○", Role::Muted, "waiting for the first reading".into()),
        Some(_) if state.without_driver() => (
            "!",
            Role::Warning,
            if state.on_driver_page() {
                "no NVIDIA driver: see below".into()
            } else {
                "no NVIDIA driver: 7 Doctor says which layer it is".into()
            },
        ),
        Some(_) if state.failed_check().is_some() => {
            let text = state.failed_check().map_or_else(String::new, |failed| {
                let checks = words::counted(failed.count as u64, "check");
                let first = if failed.count > 1 { ", the first" } else { "" };
                format!("{DOCTOR}{checks} failed{first}: {}", failed.first)
            });
            ("✗", Role::Critical, text)
        }
        Some(snapshot) if snapshot.sources.iter().any(|source| source.state != SourceState::Ok) => {
            let worst = snapshot.sources.iter().find(|source| source.state != SourceState::Ok);
            let text = worst.map_or_else(String::new, |source| {
                let reason = if source.reason.is_empty() { "no reason given" } else { &*source.reason };
                format!("nothing to report, but source {} is {}: {reason}", source.name, source.state.name())
            });
            ("!", Role::Warning, text)
        }
        Some(snapshot) => {
            let gpus = snapshot.gpus.len();
            let count = if gpus == 1 { "1 GPU".into() } else { format!("{gpus} GPUs") };
            ("✓", Role::Good, format!("all clear: {count}, nothing to report"))
        }
    }
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
    let mut shown: Vec<&keys::Binding> = Vec::new();
    for binding in keys::active(state).into_iter().flat_map(|context| context.bindings) {
        // A key that an earlier context took means something else here.
        let taken = shown.iter().any(|other| other.label == binding.label);
        if !binding.short.is_empty() && !taken {
            shown.push(binding);
        }
    }
    // Help and quit are what one looks for: they come first, and stay when the rest has no room.
    shown.sort_by_key(|binding| !matches!(binding.label, "?" | "q"));
    for binding in shown {
        let wide = width(binding.label) + 1 + width(binding.short);
        if x + wide > area.right() {
            break;
        }
        x = pen.text(x, area.y, wide, binding.label, Role::Key) + 1;
        x = pen.text(x, area.y, wide, binding.short, Role::Muted) + 2;
    }
}
