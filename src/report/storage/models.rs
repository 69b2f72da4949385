//! The models that are stored here, and who loads them, as text.

use super::text::{cell, header};
use crate::analysis::fit::words as fit;
use crate::analysis::loading;
use crate::model::{Absence, ModelStore, Snapshot, StoredModel, known};
use crate::report::text::aligned;
use crate::units::{format_age, printable};
use std::fmt::Write as _;
use std::time::Duration;

/// Who is loading what, the models, and what hides some of them.
pub(super) fn models(out: &mut String, snapshot: &Snapshot) {
    let Some(store) = snapshot.storage.models.as_ref().map(|group| &group.value) else {
        out.push_str("\nThe stores of models were not looked through in time\n");
        return;
    };
    if !store.models.is_empty() {
        table(out, snapshot, store);
    } else if store.complete {
        let found = store.places.iter().any(|place| place.models.is_ok());
        out.push_str(if found {
            "\nThe model stores hold no models\n"
        } else {
            "\nNo store of models was found: name folders in the config (model_paths), or set HF_HOME or OLLAMA_MODELS\n"
        });
    }
    for sentence in loading::sentences(snapshot, &snapshot.storage.loads) {
        let _ = writeln!(out, "{}", printable(&sentence));
    }
    for place in &store.places {
        if let Err(absence) = &place.models {
            let _ = writeln!(out, "{}: {absence}", printable(&place.path));
        }
    }
    if !store.complete {
        out.push_str("Not every model was looked at in time: some are missing here, or parts of them\n");
    }
    if store.left_out > 0 {
        let _ = writeln!(out, "{} more models or files are left out", store.left_out);
    }
}

fn table(out: &mut String, snapshot: &Snapshot, store: &ModelStore) {
    let mut rows = header([
        "Model", "Params", "Type", "Size", "On disk", "Context", "Read", "Used by", "On", "Store", "User",
    ]);
    for model in &store.models {
        let shape = &model.shape;
        let pids: Vec<String> = snapshot
            .storage
            .loads
            .iter()
            .filter(|load| load.usage.path == model.path)
            .map(|load| load.usage.key.pid.to_string())
            .collect();
        rows.push(vec![
            printable(&model.name).into_owned(),
            cell(&shape.parameters.clone().map(fit::parameters)),
            printable(&cell(&shape.data_type)).into_owned(),
            model.size.to_string(),
            model.on_disk.to_string(),
            shape.geometry.context.map_or_else(|| "–".to_owned(), fit::grouped),
            read(snapshot, model),
            if pids.is_empty() { "–".to_owned() } else { pids.join(",") },
            printable(&cell(&model.mount)).into_owned(),
            model.store.title().to_owned(),
            model.user.as_deref().map_or_else(|| "–".to_owned(), |user| printable(user).into_owned()),
        ]);
    }
    out.push('\n');
    aligned(out, &rows, &[0, 2, 7, 8, 9, 10]);
    for model in &store.models {
        // What lies there is no model, or a part of one.
        if let Err(Absence::Failed { text, .. }) = &model.shape.weights {
            let _ = writeln!(out, "{}: {}", printable(&model.name), printable(text));
        }
    }
    for model in store.models.iter().filter(|model| model.unfinished.files > 0) {
        let _ = writeln!(
            out,
            "{}: {} unfinished downloads of {}",
            printable(&model.name).into_owned(),
            model.unfinished.files,
            model.unfinished.size
        );
    }
}

fn read(snapshot: &Snapshot, model: &StoredModel) -> String {
    known(&model.last_used).map_or_else(
        || "–".to_owned(),
        |at| {
            let age = u64::try_from(snapshot.wall.0.saturating_sub(at.0)).unwrap_or(0);
            format!("{} ago", format_age(Duration::from_micros(age)))
        },
    )
}
