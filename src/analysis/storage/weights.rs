//! How datasets of weights are set up.

use super::{Advice, AdviceRule, quoted};
use crate::analysis::Severity;
use crate::model::{Dataset, ModelAccess, Snapshot, Storage};
use crate::units::Bytes;

/// The record size for files that are read from end to end (OpenZFS documentation, workload tuning).
const RECORD: u64 = 1 << 20;
/// A dataset with less on it has no model that loading would take long for.
const LEAST: u64 = 32 << 20;
/// A ratio below this has saved less than a twentieth: the weights do not compress.
const INCOMPRESSIBLE: f64 = 1.05;
/// Words by which a dataset of weights is known where no model was found on it.
const NAMES: [&str; 9] =
    ["model", "weight", "huggingface", "hf", "ollama", "gguf", "safetensors", "llm", "checkpoint"];

pub(super) const METADATA_ONLY: AdviceRule = AdviceRule {
    id: "zfs_weights_metadata_only",
    threshold: "primarycache other than all on a dataset of weights (measured: 22 to 256 times the bytes from disk when \
                they are mapped)",
    check: |snapshot| each(snapshot, |dataset| metadata_only(&snapshot.storage, dataset)),
};

pub(super) const RECORD_SIZE: AdviceRule = AdviceRule {
    id: "zfs_weights_recordsize",
    threshold: "recordsize below 1 MiB on a dataset of weights (OpenZFS documentation, workload tuning)",
    check: |snapshot| each(snapshot, record_size),
};

pub(super) const COMPRESSION: AdviceRule = AdviceRule {
    id: "zfs_weights_compression",
    threshold: "gzip or zstd where the real ratio is below 1.05; lz4 gives up early on what does not compress",
    check: |snapshot| each(snapshot, compression),
};

pub(super) const ATIME: AdviceRule = AdviceRule {
    id: "zfs_weights_atime",
    threshold: "atime=on on a dataset of weights: each read of a file writes metadata (zfsprops(7))",
    check: |snapshot| each(snapshot, atime),
};

/// The file systems that hold weights.
fn each(snapshot: &Snapshot, check: impl Fn(&Dataset) -> Option<Advice>) -> Vec<Advice> {
    let storage = &snapshot.storage;
    let datasets = storage.properties.get().into_iter().flatten();
    datasets.filter(|dataset| holds_weights(storage, dataset)).filter_map(check).collect()
}

/// Whether a dataset holds weights: models were found or are mapped on it, or its name says so.
pub(super) fn holds_weights(storage: &Storage, dataset: &Dataset) -> bool {
    let enough = dataset.referenced.as_ref().is_ok_and(|bytes| bytes.0 >= LEAST);
    !dataset.volume
        && enough
        && (has_models(storage, dataset) || mapped(storage, dataset).is_some() || is_named_so(dataset))
}

fn has_models(storage: &Storage, dataset: &Dataset) -> bool {
    let found = storage.models.as_ref().map(|group| group.value.models.as_slice()).unwrap_or_default();
    found.iter().any(|model| model.mount.as_ref() == Ok(&dataset.name))
}

fn is_named_so(dataset: &Dataset) -> bool {
    let last = dataset.name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let mut words = last.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| {
        NAMES.iter().any(|name| if name.len() > 3 { word.starts_with(name) } else { word == *name })
    })
}

fn advise(rule: &AdviceRule, severity: Severity, dataset: &Dataset) -> Advice {
    Advice {
        rule: rule.id,
        severity,
        subject: dataset.name.to_string(),
        summary: String::new(),
        evidence: String::new(),
        advice: String::new(),
        command: None,
    }
}

/// The process that maps a model on it, if one does.
fn mapped(storage: &Storage, dataset: &Dataset) -> Option<String> {
    let on_it = storage
        .loads
        .iter()
        .map(|load| &load.usage)
        .find(|usage| usage.access == ModelAccess::Mapped && usage.mount.as_ref() == Ok(&dataset.name))?;
    Some(format!("PID {} maps {}", on_it.key.pid, on_it.name))
}

fn metadata_only(storage: &Storage, dataset: &Dataset) -> Option<Advice> {
    let cache = &*dataset.primary_cache;
    if !matches!(cache, "metadata" | "none") {
        return None;
    }
    Some(Advice {
        summary: format!("{}: primarycache={cache}, so weights that are mapped are read many times over", dataset.name),
        evidence: format!(
            "zfs list: primarycache={cache}; {}",
            mapped(storage, dataset).unwrap_or_else(|| "safetensors and llama.cpp map their files".into())
        ),
        advice: "Each fault of a mapped page then reads a whole record from disk, and the L2ARC gets no data either. \
                 metadata is right only for programs that read with large reads and never map:"
            .into(),
        command: Some(format!("zfs set primarycache=all {}", quoted(&dataset.name))),
        ..advise(&METADATA_ONLY, Severity::Warning, dataset)
    })
}

fn record_size(dataset: &Dataset) -> Option<Advice> {
    let record = dataset.record_size.as_ref().ok()?.0;
    if record == 0 || record >= RECORD {
        return None;
    }
    let referenced = dataset.referenced.as_ref().ok()?.0;
    let (now, then) = (referenced.div_ceil(record), referenced.div_ceil(RECORD));
    Some(Advice {
        summary: format!("{}: records of {} KiB for weights; 1 MiB reads faster", dataset.name, record / 1024),
        evidence: format!(
            "recordsize {} KiB: {} are {now} records, with 1 MiB they would be {then}",
            record / 1024,
            Bytes(referenced)
        ),
        advice: "Fewer records are fewer lookups of metadata on a read from end to end. The change holds for files that \
                 are written after it: copy the models anew.".into(),
        command: Some(format!("zfs set recordsize=1M {}", quoted(&dataset.name))),
        ..advise(&RECORD_SIZE, Severity::Info, dataset)
    })
}

fn compression(dataset: &Dataset) -> Option<Advice> {
    let heavy = dataset.compression.starts_with("gzip") || dataset.compression.starts_with("zstd");
    let ratio = *dataset.compress_ratio.as_ref().ok()?;
    if !heavy || ratio >= INCOMPRESSIBLE {
        return None;
    }
    Some(Advice {
        summary: format!("{}: {} on weights that do not compress", dataset.name, dataset.compression),
        evidence: format!("compression={}, compressratio {ratio:.2}", dataset.compression),
        advice: "It costs CPU on each write and saves nothing. lz4 gives up early on such data; the change holds for \
                 what is written after it:"
            .into(),
        command: Some(format!("zfs set compression=lz4 {}", quoted(&dataset.name))),
        ..advise(&COMPRESSION, Severity::Info, dataset)
    })
}

fn atime(dataset: &Dataset) -> Option<Advice> {
    (dataset.atime == Ok(true)).then(|| Advice {
        summary: format!("{}: each load writes access times (atime=on)", dataset.name),
        evidence: "zfs list: atime=on".into(),
        advice: "Nobody asks when weights were last read, and snapshots hold what it writes:".into(),
        command: Some(format!("zfs set atime=off {}", quoted(&dataset.name))),
        ..advise(&ATIME, Severity::Info, dataset)
    })
}
