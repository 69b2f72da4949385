//! A Hugging Face cache: `models--ORG--NAME/{refs,blobs,snapshots}`, where the files of a snapshot are links to
//! blobs that several snapshots share.

use super::found::{Found, Once, WeightFile, add_unfinished, format_of, stem};
use super::parts::INDEX_END;
use super::tree::Tree;
use crate::model::{ModelFormat, Reading};
use crate::sources::root::FileKind;
use std::collections::BTreeMap;

/// A commit is 40 characters.
const REF_LIMIT: usize = 256;
/// Folders within a snapshot (`text_encoder/model.safetensors`).
const DEPTH_AT_MOST: u32 = 3;

/// Hands over each model of a cache.
pub(super) fn scan(tree: &Tree<'_>, hub: &str, take: &mut dyn FnMut(Found)) -> Reading<()> {
    for name in tree.list(hub)? {
        let Some(repository) = name.strip_prefix("models--") else { continue };
        let path = format!("{hub}/{name}");
        for found in models(tree, &path, &repository.replace("--", "/")) {
            take(found);
        }
    }
    Ok(())
}

/// The models of one repository: one, or one for each quantisation where it is a repository of GGUF files.
fn models(tree: &Tree<'_>, path: &str, name: &str) -> Vec<Found> {
    let mut whole = Found { name: name.to_owned(), path: path.to_owned(), ..Found::default() };
    let snapshots = tree.list(&format!("{path}/snapshots")).unwrap_or_default();
    let main = revision(tree, path).filter(|revision| snapshots.contains(revision));
    let Some(main) = main.or_else(|| snapshots.first().cloned()) else {
        // References without a snapshot: nothing was loaded, or not to its end.
        blobs(tree, path, &Once::default(), &mut whole);
        return if whole.unfinished.files > 0 { vec![whole] } else { Vec::new() };
    };
    whole.revision = Some(main.clone());
    let mut referenced = Once::default();
    let mut files = Vec::new();
    for snapshot in &snapshots {
        let mut of_snapshot = Vec::new();
        let below = format!("{path}/snapshots/{snapshot}");
        collect(tree, &below, DEPTH_AT_MOST, &mut of_snapshot);
        for file in &of_snapshot {
            if referenced.first(&file.stat) {
                whole.add_size(&file.stat);
            }
        }
        if *snapshot == main {
            files = of_snapshot;
        }
    }
    blobs(tree, path, &referenced, &mut whole);
    let base = format!("{path}/snapshots/{main}/");
    let top = |file: &WeightFile| file.path.strip_prefix(&base).is_some_and(|rest| !rest.contains('/'));
    whole.config =
        files.iter().find(|file| top(file) && file.path.ends_with("/config.json")).map(|f| f.path.clone());
    let indexes: Vec<WeightFile> =
        files.iter().filter(|file| file.path.ends_with(INDEX_END)).cloned().collect();
    let weights = weights(files, &top);
    let below_too = !weights.iter().any(&top);
    whole.indexes =
        indexes.into_iter().filter(|index| below_too || top(index)).map(|index| index.path).collect();
    split(whole, weights)
}

/// The files of weights that make up the model. Some repositories hold the weights twice: in parts for
/// transformers, and in one as its maker published them (`consolidated.safetensors`, folder `original`).
fn weights(files: Vec<WeightFile>, top: &dyn Fn(&WeightFile) -> bool) -> Vec<WeightFile> {
    let consolidated =
        |file: &WeightFile| file.path.rsplit('/').next().is_some_and(|name| name.starts_with("consolidated"));
    let mut weights: Vec<WeightFile> =
        files.into_iter().filter(|file| format_of(&file.path).is_some()).collect();
    if weights.iter().any(|file| top(file) && !consolidated(file)) {
        weights.retain(|file| top(file) && !consolidated(file));
    }
    if weights.iter().any(|file| file.path.ends_with(".safetensors")) {
        weights.retain(|file| file.path.ends_with(".safetensors"));
    }
    weights
}

/// Several GGUF files with names of their own are several models.
fn split(whole: Found, weights: Vec<WeightFile>) -> Vec<Found> {
    let mut by_stem: BTreeMap<String, Vec<WeightFile>> = BTreeMap::new();
    for file in weights {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let key = match format_of(&file.path) {
            Some(ModelFormat::Gguf) => stem(name).to_owned(),
            _ => String::new(),
        };
        by_stem.entry(key).or_default().push(file);
    }
    if by_stem.len() <= 1 {
        let weights = by_stem.into_values().next().unwrap_or_default();
        return vec![Found { weights, ..whole }];
    }
    let several = by_stem.into_iter().enumerate().map(|(index, (stem, weights))| {
        let mut found = Found {
            name: format!("{}:{stem}", whole.name),
            path: weights.first().map_or_else(String::new, |file| file.path.clone()),
            revision: whole.revision.clone(),
            config: whole.config.clone(),
            ..Found::default()
        };
        weights.iter().for_each(|file| found.add_size(&file.stat));
        found.weights = weights;
        if index == 0 {
            (found.unfinished, found.unreferenced) = (whole.unfinished, whole.unreferenced);
        }
        found
    });
    several.collect()
}

/// The commit of `main`, else of the first reference.
fn revision(tree: &Tree<'_>, path: &str) -> Option<String> {
    let refs = format!("{path}/refs");
    tree.text(&format!("{refs}/main"), REF_LIMIT).or_else(|| {
        let first = tree.list(&refs).ok()?.into_iter().next()?;
        tree.text(&format!("{refs}/{first}"), REF_LIMIT)
    })
}

/// Blobs that no snapshot refers to, and those that are still being loaded.
fn blobs(tree: &Tree<'_>, path: &str, referenced: &Once, found: &mut Found) {
    let below = format!("{path}/blobs");
    let _none = tree.each_name(&below, &mut |name| {
        if let Ok(stat) = tree.stat(&format!("{below}/{name}")) {
            if name.ends_with(".incomplete") {
                add_unfinished(&mut found.unfinished, &stat);
            } else if !referenced.contains(&stat) {
                found.add_size(&stat);
                found.unreferenced = found.unreferenced.saturating_add(stat.size);
            }
        }
        true
    });
}

/// All regular files below a snapshot, links followed.
fn collect(tree: &Tree<'_>, path: &str, depth: u32, files: &mut Vec<WeightFile>) {
    for name in tree.list(path).unwrap_or_default() {
        let path = format!("{path}/{name}");
        match tree.stat(&path) {
            Ok(stat) if stat.kind == FileKind::File => files.push(WeightFile { path, stat }),
            Ok(stat) if stat.kind == FileKind::Directory && depth > 0 => {
                collect(tree, &path, depth - 1, files);
            }
            _ => {}
        }
    }
}
