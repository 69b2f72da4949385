//! The model at a path that somebody named: a file, or a folder with one model.

use super::cache::HeaderCache;
use super::config_json::{CONFIG_LIMIT, read_config};
use super::describe::{describe, describe_part};
use super::found::{Found, format_of};
use super::mounts::Mounts;
use super::plain::{plain, plain_path};
use super::tree::Tree;
use super::{folder, parts};
use crate::model::ModelShape;
use crate::sources::root::{FileKind, Root};
use std::cell::Cell;
use std::collections::BTreeSet;

/// Name and shape of the model at `path`.
///
/// # Errors
/// Nothing is there, it is no model, it is several, or a header cannot be read: the text says which.
pub fn model_at(root: &Root, path: &str) -> Result<(String, ModelShape), String> {
    let path = path.trim_end_matches('/');
    let mounts = Mounts::read(root);
    let blocked = BTreeSet::new();
    let tree = Tree { root, mounts: &mounts, blocked: &blocked, enter: &|_| true, looked: Cell::new(0) };
    let untouched = |absence: crate::model::Absence| match absence {
        crate::model::Absence::NotSupported => format!("{path}: there is no such file or folder"),
        other => format!("{path}: {other}"),
    };
    mounts.touchable(root, path).map_err(untouched)?;
    let stat = tree.stat(path).map_err(untouched)?;
    let is_file = stat.kind == FileKind::File;
    let folder = match path.rsplit_once('/') {
        Some((folder, name)) if is_file => {
            format_of(name).ok_or_else(|| format!("{path}: neither a .gguf nor a .safetensors file"))?;
            folder
        }
        _ => path,
    };
    let mut all = Vec::new();
    let mut take = |found: Found| all.push(found);
    if is_file {
        folder::scan_flat(&tree, folder, &mut take).map_err(untouched)?;
        all.retain(|found| found.weights.iter().any(|file| file.path == path));
    } else {
        folder::scan(&tree, folder, &mut take).map_err(untouched)?;
    }
    match all.as_slice() {
        [] => Err(format!("{path}: no .gguf or .safetensors files below it")),
        [found] => shape(&tree, found).map(|shape| (plain(&found.name), shape)),
        several => {
            let names: Vec<String> = several.iter().map(|found| plain_path(&found.path)).take(8).collect();
            Err(format!("{path}: {} models; name one of them: {}", several.len(), names.join(", ")))
        }
    }
}

fn shape(tree: &Tree<'_>, found: &Found) -> Result<ModelShape, String> {
    let cache = HeaderCache::default();
    let mut headers = Vec::new();
    for file in &found.weights {
        headers.push(
            cache
                .header(tree, file, 1)
                .map_err(|problem| format!("{}: {problem}", plain_path(&file.path)))?,
        );
    }
    let config = match &found.config {
        Some(path) => {
            let text = tree.read(path, CONFIG_LIMIT).map_err(|absence| format!("{path}: {absence}"))?;
            Some(read_config(&text).map_err(|error| format!("{path}: {error}"))?)
        }
        None => None,
    };
    let here = found.weights.len() as u64;
    Ok(match parts::expected(tree, found, &headers).map_err(|problem| plain_path(&problem))? {
        Some(all) => describe_part(&headers, config.as_ref(), &parts::in_part(here, all)),
        None => describe(&headers, config.as_ref()),
    })
}
