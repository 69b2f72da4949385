//! `kgtop fit`: text and JSON.

use super::object::Object;
use crate::analysis::fit::{Alternative, Candidate, Fit, Machine, Need, Outcome, words};
use crate::model::{ModelShape, Reading};
use crate::units::printable;
use serde_json::{Map, Value};

/// The judgement for people: the sentence first, then its numbers.
#[must_use]
pub fn fit_text(name: &str, shape: &ModelShape, fit: &Fit, machine: &Machine) -> String {
    let mut lines = vec![words::model(name, shape), words::sentence(fit, machine)];
    let needs = words::needs(shape, fit);
    if !needs.is_empty() {
        lines.extend([String::new(), "On one GPU alone:".to_owned()]);
        lines.extend(needs);
    }
    let sets = words::sets(fit, machine);
    if !sets.is_empty() {
        lines.push(String::new());
        lines.extend(sets);
    }
    let notes = words::notes(shape, fit, machine);
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.push(String::new());
    // A model's name and architecture are whatever its file says.
    let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
    lines.join("\n")
}

/// The judgement as one JSON object.
#[must_use]
pub fn fit_json(name: &str, shape: &ModelShape, fit: &Fit, machine: &Machine) -> String {
    let mut root = Map::new();
    root.insert("format".into(), 1.into());
    root.insert("model".into(), model(name, shape));
    let mut request = Object::default();
    request.set("context_tokens", fit.request.context.into());
    request.set("batch", fit.request.batch.into());
    request.set("kv_type", fit.request.kv_type.name().into());
    root.insert("request".into(), request.bare());
    let outcome = match &fit.outcome {
        Outcome::Fits { .. } => "fits",
        Outcome::FitsWith(_) => "fits_with",
        Outcome::No { .. } => "does_not_fit",
        Outcome::Unknown(_) => "not_judged",
    };
    root.insert("outcome".into(), outcome.into());
    root.insert("summary".into(), words::sentence(fit, machine).into());
    if let Outcome::Fits { candidate: chosen, largest_context } = &fit.outcome {
        root.insert("gpus".into(), chosen.gpus.clone().into());
        root.insert("mig_instance".into(), chosen.instance.clone().into());
        root.insert("largest_context_tokens".into(), (*largest_context).into());
    }
    if let Outcome::FitsWith(others) = &fit.outcome {
        root.insert("alternatives".into(), others.iter().map(alternative).collect());
    }
    if let Outcome::No { when_empty, gpus_needed, .. } = &fit.outcome {
        root.insert("fits_when_empty".into(), (*when_empty).into());
        root.insert("gpus_needed".into(), (*gpus_needed).into());
    }
    root.insert("one_gpu".into(), fit.alone.as_ref().map_or(Value::Null, need));
    root.insert("candidates".into(), fit.candidates.iter().map(candidate).collect());
    root.insert("notes".into(), words::notes(shape, fit, machine).into());
    format!("{:#}\n", Value::Object(root))
}

/// What is known of a model, for this and for the JSON of a snapshot.
pub(super) fn put_shape(object: &mut Object, shape: &ModelShape) {
    object.put("architecture", &shape.architecture);
    object.put("parameters", &shape.parameters);
    object.put("weights_bytes", &shape.weights);
    object.put("data_type", &shape.data_type);
    let kv = |of: &dyn Fn(&crate::model::KvCache) -> u64| -> Reading<u64> {
        shape.kv.as_ref().map(of).map_err(Clone::clone)
    };
    object.put("kv_elements_per_token", &kv(&|cache| cache.per_token()));
    object.put(
        "kv_bytes_per_token_f16",
        &kv(&|cache| crate::analysis::fit::KvType::F16.bytes(cache.per_token())),
    );
    if let Ok(cache) = &shape.kv
        && cache.windowed > 0
    {
        object.set("sliding_window_tokens", cache.window.into());
    }
    object.set("layers", shape.geometry.layers.into());
    object.set("context_tokens", shape.geometry.context.into());
    object.set("experts", shape.geometry.experts.into());
    object.set("experts_used", shape.geometry.experts_used.into());
}

fn model(name: &str, shape: &ModelShape) -> Value {
    let mut object = Object::default();
    object.set("name", name.into());
    put_shape(&mut object, shape);
    object.with_absent()
}

fn need(need: &Need) -> Value {
    let mut object = Object::default();
    object.set("weights_bytes", need.weights.0.into());
    object.set("kv_bytes", need.kv.0.into());
    object.set("activations_bytes", need.activations.map(|bytes| bytes.0).into());
    object.set("framework_bytes", need.framework.0.into());
    object.set("sum_bytes", need.sum().0.into());
    object.bare()
}

fn candidate(candidate: &Candidate) -> Value {
    let mut object = Object::default();
    object.set("gpus", candidate.gpus.clone().into());
    object.set("mig_instance", candidate.instance.clone().into());
    object.set("nvlink", (candidate.linked && candidate.gpus.len() > 1).into());
    object.set("free_bytes", candidate.free.0.into());
    object.set("need", need(&candidate.need));
    object.set("fits", candidate.fits().into());
    object.bare()
}

fn alternative(alternative: &Alternative) -> Value {
    let mut object = Object::default();
    object.set("context_tokens", alternative.context.into());
    object.set("kv_type", alternative.kv_type.name().into());
    object.set("on", candidate(&alternative.candidate));
    object.bare()
}
