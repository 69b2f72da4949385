//! Models of a scenario: `[[model]]` tables, and the processes that load them.

use crate::model::{
    Absence, Geometry, Grouped, KvCache, ModelAccess, ModelFormat, ModelShape, ModelStore, ModelUse,
    ProcessKey, StoreKind, StorePlace, StoredModel, Unfinished,
};
use crate::units::{Bytes, Mono, Wall};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

const GB: f64 = 1e9;

/// A model as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelSpec {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    store: StoreName,
    #[serde(default)]
    format: FormatName,
    /// Directory of the store.
    #[serde(default = "usual_directory")]
    directory: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    parameters: Option<u64>,
    weights_gb: f64,
    data_type: String,
    #[serde(default)]
    layers: Option<u64>,
    #[serde(default)]
    heads: Option<u64>,
    #[serde(default)]
    kv_heads: Option<u64>,
    #[serde(default = "usual_head")]
    head_size: u64,
    #[serde(default)]
    hidden: Option<u64>,
    #[serde(default)]
    feed_forward: Option<u64>,
    #[serde(default)]
    vocabulary: Option<u64>,
    #[serde(default)]
    context: Option<u64>,
    #[serde(default = "one")]
    files: u64,
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    unfinished_gb: Option<f64>,
    #[serde(default)]
    last_used_hours: Option<f64>,
    #[serde(default = "usual_mount")]
    mount: String,
    #[serde(default = "usual_file_system")]
    file_system: String,
    /// The header cannot be read, and why.
    #[serde(default)]
    problem: Option<String>,
    #[serde(default, rename = "use")]
    uses: Vec<UseSpec>,
}

/// A process that has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct UseSpec {
    pid: u32,
    #[serde(default)]
    mapped: bool,
    /// Seconds into the scenario at which it begins to read; before, it has nothing of it.
    #[serde(default)]
    from: f64,
    /// How fast; 0: it was read long ago.
    #[serde(default)]
    gb_per_second: f64,
    /// Files that it has at once; without it, all.
    #[serde(default)]
    files: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoreName {
    #[default]
    HuggingFace,
    Ollama,
    Folder,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatName {
    #[default]
    Safetensors,
    Gguf,
}

fn usual_directory() -> String {
    "/models/hub".into()
}

fn usual_mount() -> String {
    "rpool/ai/models".into()
}

fn usual_file_system() -> String {
    "zfs".into()
}

const fn usual_head() -> u64 {
    128
}

const fn one() -> u64 {
    1
}

impl ModelSpec {
    const fn kind(&self) -> StoreKind {
        match self.store {
            StoreName::HuggingFace => StoreKind::HuggingFace,
            StoreName::Ollama => StoreKind::Ollama,
            StoreName::Folder => StoreKind::Folder,
        }
    }

    fn path(&self) -> Arc<str> {
        match self.store {
            StoreName::HuggingFace => {
                format!("{}/models--{}", self.directory, self.name.replace('/', "--")).into()
            }
            _ => format!("{}/{}", self.directory, self.name).into(),
        }
    }

    fn weights(&self) -> Bytes {
        Bytes((self.weights_gb.max(0.0) * GB) as u64)
    }

    fn shape(&self) -> ModelShape {
        if let Some(problem) = &self.problem {
            return ModelShape::absent(&Absence::failed(0, problem.as_str()));
        }
        let unknown = || Absence::failed(0, "the scenario does not say");
        let kv = match (self.layers, self.kv_heads) {
            (Some(layers), Some(heads)) => {
                let elements = layers.saturating_mul(heads).saturating_mul(self.head_size).saturating_mul(2);
                Ok(KvCache::full(elements, heads))
            }
            _ => Err(unknown()),
        };
        ModelShape {
            architecture: self.architecture.as_deref().map(Into::into).ok_or_else(unknown),
            parameters: self.parameters.ok_or_else(unknown),
            weights: Ok(self.weights()),
            data_type: Ok(self.data_type.as_str().into()),
            kv,
            geometry: Geometry {
                layers: self.layers,
                hidden: self.hidden,
                heads: self.heads,
                feed_forward: self.feed_forward,
                vocabulary: self.vocabulary,
                context: self.context,
                experts: None,
                experts_used: None,
            },
        }
    }

    fn model(&self, start: Wall) -> StoredModel {
        let unfinished = self.unfinished_gb.map_or_else(Unfinished::default, |gigabytes| Unfinished {
            files: 1,
            size: Bytes((gigabytes.max(0.0) * GB) as u64),
        });
        StoredModel {
            name: self.name.as_str().into(),
            aliases: self.aliases.iter().map(|alias| alias.as_str().into()).collect(),
            revision: self.revision.as_deref().map(Into::into),
            store: self.kind(),
            path: self.path(),
            user: self.user.as_deref().map(Into::into),
            format: Ok(match self.format {
                FormatName::Safetensors => ModelFormat::Safetensors,
                FormatName::Gguf => ModelFormat::Gguf,
            }),
            shape: self.shape(),
            files: self.files,
            files_in_all: None,
            size: self.weights(),
            on_disk: self.weights(),
            unreferenced: Bytes(0),
            unfinished,
            last_used: self
                .last_used_hours
                .map(|hours| Wall(start.0.saturating_sub((hours * 3.6e9) as i64)))
                .ok_or(Absence::NotSupported),
            mount: Ok(self.mount.as_str().into()),
            file_system: Ok(self.file_system.as_str().into()),
        }
    }

    fn uses(&self, t: Duration, at: Mono, start: impl Fn(u32) -> Option<u64>) -> Vec<ModelUse> {
        let of = |each: &UseSpec| {
            let seconds = t.as_secs_f64() - each.from;
            let size = self.weights().0;
            let reads = each.gb_per_second > 0.0;
            let read = if reads { (seconds.max(0.0) * each.gb_per_second * GB) as u64 } else { size };
            // A file that is read is closed when all of it was; a mapping stays.
            let over = reads && read >= size && !each.mapped;
            let key = ProcessKey { pid: each.pid, start: start(each.pid)? };
            if seconds < 0.0 || over {
                return None;
            }
            let done = || Ok(Bytes(read.min(size)));
            let none = || Err(Absence::NotRequested);
            Some(ModelUse {
                key,
                at,
                path: self.path(),
                name: self.name.as_str().into(),
                access: if each.mapped { ModelAccess::Mapped } else { ModelAccess::Open },
                files: each.files.unwrap_or(self.files),
                files_of_model: Ok(self.files),
                size: Ok(Bytes(size)),
                position: if each.mapped { none() } else { done() },
                resident: if each.mapped { done() } else { none() },
                read: Ok(Bytes(read)),
                mount: Ok(self.mount.as_str().into()),
            })
        };
        self.uses.iter().filter_map(of).collect()
    }
}

/// The stores of a scenario; `None` where it has no models.
pub(super) fn store(models: &[ModelSpec], at: Mono, start: Wall) -> Option<Grouped<ModelStore>> {
    if models.is_empty() {
        return None;
    }
    let mut places: Vec<StorePlace> = Vec::new();
    for model in models {
        match places.iter_mut().find(|place| *place.path == *model.directory) {
            Some(place) => place.models = place.models.clone().map(|number| number + 1),
            None => places.push(StorePlace {
                kind: model.kind(),
                path: model.directory.as_str().into(),
                user: model.user.as_deref().map(Into::into),
                models: Ok(1),
                unfinished: Unfinished::default(),
            }),
        }
    }
    let mut list: Vec<StoredModel> = models.iter().map(|model| model.model(start)).collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    Some(Grouped { at, value: ModelStore { places, models: list, complete: true, left_out: 0 } })
}

/// Bytes of the models on a mount that processes have read since they began to; never falls, also where a process
/// is done.
pub(super) fn bytes_read(models: &[ModelSpec], mount: &str, seconds: f64) -> f64 {
    let here = models.iter().filter(|model| model.mount == mount);
    here.flat_map(|model| model.uses.iter().map(move |each| (model, each)))
        .map(|(model, each)| {
            let passed = (seconds - each.from).max(0.0);
            (passed * each.gb_per_second.max(0.0) * GB).min(model.weights().0 as f64)
        })
        .sum()
}

/// The uses at a time; `start` gives the start time of a process that is there.
pub(super) fn uses(
    models: &[ModelSpec],
    t: Duration,
    at: Mono,
    start: impl Fn(u32) -> Option<u64>,
) -> Option<Grouped<Vec<ModelUse>>> {
    if models.is_empty() {
        return None;
    }
    let list = models.iter().flat_map(|model| model.uses(t, at, &start)).collect();
    Some(Grouped { at, value: list })
}
