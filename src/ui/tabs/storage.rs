//! Tab 6: pools, cache, datasets, devices, models, advice; one section at a time, named in a line above.

mod advice;
mod cache;
mod datasets;
mod devices;
mod models;
mod pools;
mod sentences;
mod snapshots;
mod table;

use super::View;
use crate::app::storage::{Intent, Section};
use crate::app::{Message, Mode, State};
use crate::model::{Absence, Kept, Snapshot, Storage};
use crate::ui::keys::{self, Context, bind, ch, key};
use crate::ui::theme::Role;
use crate::ui::widgets::{Pen, width};
use crate::units::format_age;
use crossterm::event::KeyCode;
use ratatui::layout::{Position, Rect};

pub(super) const VIEW: View = View {
    part: section_keys,
    parts: &[&DATASETS, &MODELS],
    ..View::new(render, &KEYS, hit, |motion| Message::Storage(Intent::Move(motion)))
};

static KEYS: Context = Context {
    name: "Storage",
    bindings: &[
        &keys::list!(Message::Storage, Intent::Move, "", "to the first (also g)", "to the last (also G)"),
        &[
            bind!(
                Message::Storage,
                [key(KeyCode::Left), ch('h')],
                "←",
                "section",
                "the section to the left (also h)",
                Intent::PreviousSection
            ),
            bind!(
                Message::Storage,
                [key(KeyCode::Right), ch('l')],
                "→",
                "section",
                "the section to the right (also l)",
                Intent::NextSection
            ),
        ],
    ],
};

static DATASETS: Context = Context {
    name: "Storage, among the datasets",
    bindings: &[&[
        bind!(
            Message::Storage,
            [key(KeyCode::Enter)],
            "Enter",
            "snapshots",
            "list the snapshots of the selected dataset",
            Intent::ShowSnapshots
        ),
        bind!(
            Message::Storage,
            [key(KeyCode::Esc)],
            "Esc",
            "",
            "call the listing of snapshots off, or close it",
            Intent::CloseSnapshots
        ),
        bind!(
            Message::Storage,
            [ch('s')],
            "s",
            "order",
            "datasets by activity, or by name",
            Intent::ToggleOrder
        ),
    ]],
};

static MODELS: Context = Context {
    name: "Storage, among the models",
    bindings: &[&[bind!(
        Message::Storage,
        [ch('F')],
        "F",
        "fit",
        "whether the selected model fits into the GPUs",
        Intent::ShowFit
    )]],
};

/// Keys that hold in one section only.
fn section_keys(state: &State) -> Option<&'static Context> {
    match state.storage.section {
        Section::Datasets => Some(&DATASETS),
        Section::Models => Some(&MODELS),
        _ => None,
    }
}

/// The line of sections, and what is below it.
fn parts(area: Rect) -> (Rect, Rect) {
    let bar = Rect { height: area.height.min(1), ..area };
    (bar, Rect { y: bar.bottom(), height: area.height - bar.height, ..area })
}

fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    let (bar, body) = parts(area);
    sections(state, bar, pen);
    match state.storage.section {
        Section::Pools => pools::render(state, snapshot, body, pen),
        Section::Cache => cache::render(state, snapshot, body, pen),
        Section::Datasets => datasets::render(state, snapshot, body, pen),
        Section::Devices => devices::render(state, snapshot, body, pen),
        Section::Models => models::render(state, snapshot, body, pen),
        Section::Advice => advice::render(state, body, pen),
    }
}

/// The sections and where they stand in the line.
fn places(state: &State, area: Rect) -> Vec<(Section, u16, String)> {
    let advice = state.storage_advice().len();
    let names: Vec<(Section, String)> = Section::ALL
        .into_iter()
        .map(|section| match section {
            Section::Advice if advice > 0 => (section, format!("{} {advice}", section.title())),
            _ => (section, section.title().to_owned()),
        })
        .collect();
    // Where the names do not fit, the one that is shown stands among its neighbours, cut short.
    let all: u16 = names.iter().map(|(_, name)| width(name) + 2).sum();
    let short = all > area.width;
    let mut x = area.x;
    names
        .into_iter()
        .map(|(section, name)| {
            let name =
                if short && section != state.storage.section { name.chars().take(3).collect() } else { name };
            let text = if short { format!("{name} ") } else { format!(" {name} ") };
            let place = (section, x, text);
            x += width(&place.2);
            place
        })
        .collect()
}

fn sections(state: &State, area: Rect, pen: &mut Pen<'_>) {
    for (section, x, text) in places(state, area) {
        let role = if section == state.storage.section { Role::TabActive } else { Role::Muted };
        pen.text(x, area.y, area.right().saturating_sub(x), &text, role);
    }
}

fn hit(state: &State, area: Rect, position: Position) -> Option<Message> {
    let (bar, body) = parts(area);
    if bar.contains(position) {
        let under = |(_, x, text): &&(Section, u16, String)| (*x..*x + width(text)).contains(&position.x);
        let section = places(state, bar).iter().find(under)?.0;
        return Some(Message::Storage(Intent::SelectSection(section)));
    }
    let snapshot = state.snapshot()?;
    let row = match state.storage.section {
        Section::Pools => pools::row_at(state, snapshot, body, position),
        Section::Datasets => datasets::row_at(state, snapshot, body, position),
        Section::Devices => devices::row_at(state, snapshot, body, position),
        Section::Models => models::row_at(state, snapshot, body, position),
        Section::Cache | Section::Advice => None,
    }?;
    Some(Message::Storage(Intent::SelectRow(row)))
}

/// Why a list of the tools has no value, or how old the one is that is shown.
fn staleness<T>(snapshot: &Snapshot, what: &str, kept: &Kept<T>) -> Option<(String, Role)> {
    let failure = kept.failure.as_ref()?;
    Some(match &kept.value {
        Some(value) => {
            let age = format_age(snapshot.mono.since(value.at));
            (format!("! {what}: {age} old, {}", failure.value), Role::Stale)
        }
        None if failure.value == Absence::NoPermission => (
            format!("! {what}: /dev/zfs may not be opened: run kgtop as root, or add its udev rule"),
            Role::Warning,
        ),
        None => (format!("! {what}: {}", failure.value), Role::Warning),
    })
}

/// What is said in place of ZFS where there is none; `None` where there is.
fn without_zfs(state: &State, storage: &Storage) -> Option<&'static str> {
    match &storage.kernel {
        _ if storage.zfs_absent() => Some("ZFS is absent: its kernel module is not loaded"),
        None if storage.status.value.is_none() && storage.spaces.value.is_none() => {
            Some(match state.mode() {
                Mode::Live | Mode::Remote => "storage was not read yet",
                Mode::Demo { .. } | Mode::Replay(_) => "no storage in what is played",
            })
        }
        _ => None,
    }
}
