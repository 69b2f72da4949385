//! The models that are stored here, and who loads them: what is loading above, the list, everything about the selected
//! one below.

use super::sentences::{self, Sentence};
use super::table::{Table, column};
use crate::analysis::fit::{KvType, words as fit};
use crate::analysis::loading;
use crate::app::State;
use crate::model::{ModelLoad, ModelStore, Process, Snapshot, StoredModel, known};
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, width};
use crate::ui::words;
use crate::units::{Bytes, format_age};
use ratatui::layout::{Position, Rect};
use std::fmt::Write as _;
use std::time::Duration;

#[derive(Clone, Copy)]
enum Id {
    Name,
    Parameters,
    Type,
    Size,
    Cache,
    Context,
    Used,
    By,
    On,
    Store,
    User,
}

const COLUMNS: [Column<Id>; 11] = [
    column(Id::Name, "model", (20, 48), 0, Align::Left),
    column(Id::Parameters, "params", (7, 7), 2, Align::Right),
    column(Id::Type, "type", (7, 10), 1, Align::Left),
    column(Id::Size, "size", (8, 8), 0, Align::Right),
    column(Id::Cache, "KV/token", (8, 8), 5, Align::Right),
    column(Id::Context, "context", (9, 9), 7, Align::Right),
    column(Id::Used, "read", (9, 9), 4, Align::Right),
    column(Id::By, "used by", (17, 24), 3, Align::Left),
    column(Id::On, "on", (15, 24), 6, Align::Left),
    column(Id::Store, "store", (12, 12), 8, Align::Left),
    column(Id::User, "user", (8, 8), 9, Align::Left),
];

/// Columns of a label in the detail.
const LABEL: u16 = 11;
/// Sentences above the list, at most.
const SENTENCES: usize = 3;
/// Lines of the detail, where there is room for it.
const DETAIL: u16 = 10;
/// From this height on there is a detail.
const WITH_DETAIL: u16 = 16;

/// What stands above the list: what is loading, else where was looked.
fn above(snapshot: &Snapshot, store: &ModelStore, columns: u16) -> Vec<(String, Role)> {
    let sentences = said(snapshot, store);
    let lines = sentences.into_iter().flat_map(|(text, role)| {
        let lines = wrapped(&text, columns.max(1)).into_iter().enumerate();
        // What goes on stands beside the text, not below the mark.
        lines.map(move |(nth, line)| (if nth == 0 { line } else { format!("  {line}") }, role))
    });
    lines.collect()
}

fn said(snapshot: &Snapshot, store: &ModelStore) -> Vec<(String, Role)> {
    let loading = loading::sentences(snapshot, &snapshot.storage.loads);
    let more = loading.len().saturating_sub(SENTENCES);
    let mut lines: Vec<(String, Role)> =
        loading.into_iter().take(SENTENCES).map(|text| (format!("▶ {text}"), Role::Info)).collect();
    if more > 0 {
        lines.push((format!("  and {more} more"), Role::Info));
    }
    for place in &store.places {
        if let Err(absence) = &place.models {
            lines.push((format!("! {}: {absence}", place.path), Role::Warning));
        }
    }
    if !store.complete {
        lines.push(("  still reading headers of models".to_owned(), Role::Muted));
    }
    if store.left_out > 0 {
        lines.push((format!("! {} more models or files are left out", store.left_out), Role::Warning));
    }
    lines
}

struct Parts {
    above: Rect,
    table: Rect,
    below: Rect,
}

fn parts(area: Rect, above: usize) -> Parts {
    let high = u16::try_from(above).unwrap_or(u16::MAX).min(area.height / 3);
    let below = if area.height >= WITH_DETAIL { DETAIL } else { 0 };
    let top = Rect { height: high, ..area };
    let table = Rect { y: top.bottom(), height: area.height.saturating_sub(high + below), ..area };
    Parts { above: top, table, below: Rect { y: table.bottom(), height: below, ..area } }
}

/// Draws the section.
pub(super) fn render(state: &State, snapshot: &Snapshot, area: Rect, pen: &mut Pen<'_>) {
    let Some(store) = state.models_shown() else {
        pen.text(area.x, area.y, area.width, "the stores of models are being looked for", Role::Muted);
        return;
    };
    let lines = above(snapshot, store, area.width);
    let parts = parts(area, lines.len());
    for (y, (text, role)) in (parts.above.y..parts.above.bottom()).zip(&lines) {
        pen.text(area.x, y, area.width, text, *role);
    }
    if store.models.is_empty() {
        let text = match store.places.iter().filter(|place| place.models.is_ok()).count() {
            0 if store.complete => {
                "no store of models was found: name folders in the config (model_paths), or set HF_HOME or OLLAMA_MODELS"
            }
            0 => "looking for models",
            _ => "the stores hold no models",
        };
        let rows = parts.table.y..parts.table.bottom();
        for (y, line) in rows.zip(wrapped(text, area.width.max(1))) {
            pen.text(area.x, y, area.width, &line, Role::Muted);
        }
        return;
    }
    let selected = state.selected_model(&store.models);
    let table = Table::new(parts.table, &COLUMNS, selected, store.models.len());
    let mark = |model: &StoredModel| mark(snapshot, model);
    table.draw(&store.models, Some(selected), pen, mark, |model, id, columns| {
        cell(snapshot, model, id, columns)
    });
    if let Some(model) = store.models.get(selected).filter(|_| parts.below.height > 0) {
        detail(snapshot, model, parts.below, pen);
    }
}

pub(super) fn row_at(state: &State, snapshot: &Snapshot, area: Rect, position: Position) -> Option<usize> {
    let store = state.models_shown()?;
    let parts = parts(area, above(snapshot, store, area.width).len());
    let selected = state.selected_model(&store.models);
    Table::new(parts.table, &COLUMNS, selected, store.models.len()).row_at(position, store.models.len())
}

fn loads<'a>(snapshot: &'a Snapshot, model: &'a StoredModel) -> impl Iterator<Item = &'a ModelLoad> {
    snapshot.storage.loads.iter().filter(|load| load.usage.path == model.path)
}

fn process<'a>(snapshot: &'a Snapshot, load: &ModelLoad) -> Option<&'a Process> {
    snapshot.processes.iter().find(|process| process.key == load.usage.key)
}

fn who(snapshot: &Snapshot, load: &ModelLoad) -> String {
    let name = process(snapshot, load).and_then(|process| known(&process.facts.as_ref()?.name));
    let pid = load.usage.key.pid;
    name.map_or_else(|| pid.to_string(), |name| format!("{name} {pid}"))
}

fn mark(snapshot: &Snapshot, model: &StoredModel) -> (&'static str, Role) {
    if loads(snapshot, model).any(ModelLoad::loading) {
        ("▶", Role::Info)
    } else if loads(snapshot, model).next().is_some() {
        ("●", Role::Good)
    } else if model.unfinished.files > 0 {
        ("↓", Role::Warning)
    } else if matches!(model.shape.weights, Err(crate::model::Absence::Failed { .. })) {
        ("!", Role::Warning)
    } else {
        (" ", Role::Muted)
    }
}

/// A model's name in so many columns: its end tells it from others, so the organisation before it goes first.
fn short_name(name: &str, columns: u16) -> String {
    match name.rsplit_once('/') {
        Some((_, own)) if width(name) > columns => format!("…/{own}"),
        _ => name.to_owned(),
    }
}

fn cell(snapshot: &Snapshot, model: &StoredModel, id: Id, columns: u16) -> (String, Role) {
    let shape = &model.shape;
    match id {
        Id::Name => (short_name(&model.name, columns), Role::Strong),
        // Not "error": what is here can be read, and it is not the whole.
        Id::Parameters if model.files_in_all.is_some() => ("partial".into(), Role::Warning),
        Id::Parameters => words::reading(&shape.parameters.clone().map(fit::parameters), Role::Text),
        Id::Type => words::reading(&shape.data_type, Role::Text),
        Id::Size => (model.size.to_string(), Role::Text),
        Id::Cache => {
            let bytes = shape.kv.clone().map(|cache| Bytes(KvType::F16.bytes(cache.per_token())));
            words::reading(&bytes, Role::Text)
        }
        Id::Context => match shape.geometry.context {
            Some(tokens) => (fit::grouped(tokens), Role::Text),
            None => ("–".into(), Role::Absent),
        },
        Id::Used => match &model.last_used {
            Ok(at) => (ago(snapshot, at.0), Role::Text),
            Err(absence) => words::absent(absence),
        },
        Id::By => {
            let all: Vec<String> = loads(snapshot, model).map(|load| who(snapshot, load)).collect();
            match all.as_slice() {
                [] => ("–".into(), Role::Muted),
                [one] => (one.clone(), Role::Text),
                [first, ..] => (format!("{first} +{}", all.len() - 1), Role::Text),
            }
        }
        Id::On => words::reading(&model.mount, Role::Text),
        Id::Store => (model.store.title().to_owned(), Role::Muted),
        Id::User => match &model.user {
            Some(user) => (user.to_string(), Role::Muted),
            None => ("–".into(), Role::Muted),
        },
    }
}

fn ago(snapshot: &Snapshot, at_us: i64) -> String {
    let age = u64::try_from(snapshot.wall.0.saturating_sub(at_us)).unwrap_or(0);
    format!("{} ago", format_age(Duration::from_micros(age)))
}

fn detail(snapshot: &Snapshot, model: &StoredModel, area: Rect, pen: &mut Pen<'_>) {
    pen.rule(area.x, area.y, area.width, &model.name);
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    sentences::draw(&sentences(snapshot, model), LABEL, below, pen);
}

/// Everything about a model: the finding first.
fn sentences(snapshot: &Snapshot, model: &StoredModel) -> Vec<Sentence> {
    let say = |label, text: String| (label, text, Role::Text);
    let mut lines = Vec::new();
    if let Err(crate::model::Absence::Failed { text, .. }) = &model.shape.weights {
        lines.push(("", format!("! {text}"), Role::Warning));
    }
    if model.unfinished.files > 0 {
        let files = model.unfinished.files;
        let text = format!(
            "! {files} unfinished download{} of {}",
            if files == 1 { "" } else { "s" },
            model.unfinished.size
        );
        lines.push(("", text, Role::Warning));
    }
    for load in loads(snapshot, model) {
        lines.push(say("used by", format!("{}: {}", who(snapshot, load), words::model_use(load))));
    }
    let shape = &model.shape;
    let mut what = Vec::new();
    what.extend(known(&shape.architecture).map(|name| name.to_string()));
    what.extend(known(&shape.parameters).map(|number| format!("{} parameters", fit::grouped(number))));
    what.extend(known(&shape.data_type).map(|kind| kind.to_string()));
    if let (Some(experts), Some(used)) = (shape.geometry.experts, shape.geometry.experts_used) {
        what.push(format!("{experts} experts, {used} per token"));
    }
    if !what.is_empty() {
        lines.push(say("model", what.join(", ")));
    }
    let cache = match &shape.kv {
        Ok(cache) => {
            let bytes = Bytes(KvType::F16.bytes(cache.per_token()));
            let window = if cache.windowed > 0 {
                format!(", some layers keep {} tokens", fit::grouped(cache.window))
            } else {
                String::new()
            };
            format!("{bytes} a token at f16{window}")
        }
        Err(absence) => format!("not known: {absence}"),
    };
    // One header that cannot be read is said once.
    if shape.kv.is_ok() || shape.kv.as_ref().err() != shape.weights.as_ref().err() {
        lines.push(say("KV cache", cache));
    }
    let files = match model.files_in_all {
        Some(all) => format!("{} of {all} files", model.files),
        None if model.files == 1 => "1 file".to_owned(),
        None => format!("{} files", model.files),
    };
    let mut size = format!("{} in {files} of weights", model.size);
    if model.on_disk < model.size {
        let _never = write!(size, ", {} on disk", model.on_disk);
    }
    if model.unreferenced.0 > 0 {
        let _never = write!(size, ", {} of it in no revision", model.unreferenced);
    }
    lines.push(say("size", size));
    let at = match (&model.mount, &model.file_system) {
        (Ok(mount), Ok(kind)) => format!(" on {mount} ({kind})"),
        _ => String::new(),
    };
    lines.push(say("path", format!("{}{at}", model.path)));
    let read = match &model.last_used {
        Ok(at) => ago(snapshot, at.0),
        Err(_) => "not known: the file system does not note reads (atime off)".to_owned(),
    };
    lines.push(say("last read", read));
    if let Some(revision) = &model.revision {
        lines.push(say("revision", revision.to_string()));
    }
    if !model.aliases.is_empty() {
        lines.push(say("also", model.aliases.join(", ")));
    }
    lines
}
