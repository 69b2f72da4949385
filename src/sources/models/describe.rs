//! From the headers of a model's files and its `config.json` to its shape.

use super::config_json::ModelConfig;
use crate::model::{Absence, Geometry, KvCache, ModelHeader, ModelShape, Reading};
use crate::units::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shape of a model in these files.
#[must_use]
pub fn describe(headers: &[Arc<ModelHeader>], config: Option<&ModelConfig>) -> ModelShape {
    let Some(first) = headers.first() else {
        return ModelShape::absent(&Absence::failed(0, "no header could be read"));
    };
    let bits = config.and_then(|config| config.bits);
    let sum = |of: &dyn Fn(&ModelHeader) -> Reading<u64>| {
        headers.iter().try_fold(0_u64, |sum, header| Ok(sum.saturating_add(of(header)?)))
    };
    let architecture = config
        .and_then(|config| config.architecture.clone())
        .or_else(|| first.architecture.clone())
        .ok_or_else(|| Absence::failed(0, "no config.json names the architecture"));
    ModelShape {
        architecture,
        parameters: sum(&|header| header.parameters(bits)),
        weights: sum(&|header| Ok(header.weights.0)).map(Bytes),
        data_type: data_type(headers, config),
        kv: kv(headers, config),
        geometry: geometry(headers, config),
    }
}

/// The same of a model of which some files are missing: what only all of them give is absent for that reason.
pub(super) fn describe_part(
    headers: &[Arc<ModelHeader>],
    config: Option<&ModelConfig>,
    reason: &Absence,
) -> ModelShape {
    let mut shape = describe(headers, config);
    shape.parameters = Err(reason.clone());
    shape.weights = Err(reason.clone());
    // A config.json and each file of a GGUF give the cache of all layers.
    if config.is_none() && headers.iter().all(|header| header.architecture.is_none()) {
        shape.kv = Err(reason.clone());
    }
    shape
}

fn data_type(headers: &[Arc<ModelHeader>], config: Option<&ModelConfig>) -> Reading<Arc<str>> {
    if let Some(quantisation) = headers.iter().find_map(|header| header.quantisation) {
        return Ok(quantisation.into());
    }
    if let Some(method) = config.and_then(|config| config.method.as_deref()) {
        let method = method.to_uppercase();
        return Ok(match config.and_then(|config| config.bits) {
            Some(bits) => format!("{method} {bits} bit").into(),
            None => method.into(),
        });
    }
    let mut types: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, bytes) in headers.iter().flat_map(|header| &header.types) {
        let of_type = types.entry(name).or_default();
        *of_type = of_type.saturating_add(*bytes);
    }
    let main = types.into_iter().max_by_key(|(_, bytes)| *bytes);
    main.map(|(name, _)| name.into()).ok_or_else(|| Absence::failed(0, "no tensors"))
}

fn kv(headers: &[Arc<ModelHeader>], config: Option<&ModelConfig>) -> Reading<KvCache> {
    if let Some(config) = config {
        return config.kv.clone();
    }
    // Each file of a GGUF repeats the numbers; each of a safetensors has its own layers.
    if let Some(header) = headers.iter().find(|header| header.architecture.is_some()) {
        return header.kv.clone();
    }
    let mut sum: Option<KvCache> = None;
    for cache in headers.iter().filter_map(|header| header.kv.as_ref().ok()) {
        sum = Some(sum.map_or(*cache, |sum| KvCache { full: sum.full.saturating_add(cache.full), ..sum }));
    }
    sum.ok_or_else(|| Absence::failed(0, "neither config.json nor the tensors give the cache"))
}

fn geometry(headers: &[Arc<ModelHeader>], config: Option<&ModelConfig>) -> Geometry {
    match config {
        Some(config) => config.geometry,
        None => headers.first().map_or_else(Geometry::default, |header| header.geometry),
    }
}
