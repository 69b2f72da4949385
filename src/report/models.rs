//! The models of a snapshot as JSON.

use super::fit::put_shape;
use super::object::{Json, Object, rounded};
use super::rfc3339;
use crate::model::{ModelLoad, ProcessKey, Snapshot, StoredModel};
use serde_json::Value;

/// `storage.models`.
pub(super) fn models(snapshot: &Snapshot) -> Value {
    let store = snapshot.storage.models.as_ref().map(|group| &group.value);
    store.map_or(Value::Null, |store| store.models.iter().map(|each| model(snapshot, each)).collect())
}

/// `storage.model_stores`: where was looked.
pub(super) fn places(snapshot: &Snapshot) -> Value {
    let store = snapshot.storage.models.as_ref().map(|group| &group.value);
    let places = store.into_iter().flat_map(|store| &store.places).map(|place| {
        let mut object = Object::default();
        object.set("kind", place.kind.name().into());
        object.set("path", place.path.to_json());
        object.set("user", place.user.as_ref().map_or(Value::Null, Json::to_json));
        object.put("models", &place.models);
        object.set("unfinished.files", place.unfinished.files.into());
        object.set("unfinished.size_bytes", place.unfinished.size.to_json());
        object.with_absent()
    });
    places.collect()
}

fn model(snapshot: &Snapshot, model: &StoredModel) -> Value {
    let mut object = Object::default();
    object.set("name", model.name.to_json());
    object.set("aliases", model.aliases.iter().map(Json::to_json).collect());
    object.set("revision", model.revision.as_ref().map_or(Value::Null, Json::to_json));
    object.set("store", model.store.name().into());
    object.set("path", model.path.to_json());
    object.set("user", model.user.as_ref().map_or(Value::Null, Json::to_json));
    object.put("format", &model.format.clone().map(|format| format.name().to_owned()));
    put_shape(&mut object, &model.shape);
    object.set("files", model.files.into());
    object.set("files_in_all", model.files_in_all.unwrap_or(model.files).into());
    object.set("size_bytes", model.size.to_json());
    object.set("on_disk_bytes", model.on_disk.to_json());
    object.set("unreferenced_bytes", model.unreferenced.to_json());
    object.set("unfinished.files", model.unfinished.files.into());
    object.set("unfinished.size_bytes", model.unfinished.size.to_json());
    object.put("last_used", &model.last_used.clone().map(|wall| rfc3339(wall).unwrap_or_default()));
    object.put("mount", &model.mount);
    object.put("file_system", &model.file_system);
    let uses = snapshot.storage.loads.iter().filter(|load| load.usage.path == model.path);
    object.set("processes", uses.map(|load| load.usage.key.pid).collect());
    object.with_absent()
}

/// `model_files` of a process.
pub(super) fn model_files(snapshot: &Snapshot, key: ProcessKey) -> Value {
    snapshot.storage.loads.iter().filter(|load| load.usage.key == key).map(used).collect()
}

fn used(load: &ModelLoad) -> Value {
    let usage = &load.usage;
    let mut object = Object::default();
    object.set("model", usage.name.to_json());
    object.set("path", usage.path.to_json());
    object.set("access", access(usage.access).into());
    object.set("files", usage.files.into());
    object.put("files_of_model", &usage.files_of_model);
    object.put("size_bytes", &usage.size);
    object.put("mount", &usage.mount);
    object.set("loading", load.loading().into());
    object.put("rate_bytes_per_second", &load.rate);
    object.set("rate_source", load.source.title().into());
    object.put("done_percent", &load.done);
    match &load.left {
        Ok(left) => object.set("seconds_left", rounded(left.as_secs_f64(), 1)),
        Err(absence) => {
            object.set("seconds_left", Value::Null);
            object.note("seconds_left", absence);
        }
    }
    object.with_absent()
}

const fn access(access: crate::model::ModelAccess) -> &'static str {
    match access {
        crate::model::ModelAccess::Open => "open",
        crate::model::ModelAccess::Mapped => "mapped",
    }
}
