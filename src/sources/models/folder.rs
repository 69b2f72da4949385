//! A folder of GGUF and safetensors files, and of folders of them.

use super::found::{Found, Once, WeightFile, format_of, stem};
use super::parts::INDEX_END;
use super::tree::Tree;
use crate::model::{ModelFormat, Reading};
use crate::sources::root::FileKind;
use std::collections::BTreeMap;

/// Folders within folders.
const DEPTH_AT_MOST: u32 = 6;

/// Hands over each model below a folder. Links are followed; a loop of them is walked once.
pub(super) fn scan(tree: &Tree<'_>, folder: &str, take: &mut dyn FnMut(Found)) -> Reading<()> {
    let mut seen = Once::default();
    seen.first(&tree.stat(folder)?);
    walk(tree, folder, DEPTH_AT_MOST, &mut seen, take)
}

/// The same of one folder alone.
pub(super) fn scan_flat(tree: &Tree<'_>, folder: &str, take: &mut dyn FnMut(Found)) -> Reading<()> {
    walk(tree, folder, 0, &mut Once::default(), take)
}

fn walk(
    tree: &Tree<'_>,
    folder: &str,
    depth: u32,
    seen: &mut Once,
    take: &mut dyn FnMut(Found),
) -> Reading<()> {
    let mut by_model: BTreeMap<(bool, String), Vec<WeightFile>> = BTreeMap::new();
    let (mut config, mut indexes) = (None, Vec::new());
    let mut folders = Vec::new();
    for name in tree.list(folder)? {
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{folder}/{name}");
        if name.ends_with(INDEX_END) {
            indexes.push(path);
            continue;
        }
        if name == "config.json" {
            config = Some(path);
            continue;
        }
        let weights = format_of(&name).filter(|_| name.contains('.'));
        let Ok(stat) = tree.stat(&path) else { continue };
        match (stat.kind, weights) {
            (FileKind::File, Some(format)) => {
                let key = (format == ModelFormat::Gguf, stem(&name).to_owned());
                by_model.entry(key).or_default().push(WeightFile { path, stat });
            }
            (FileKind::Directory, _) if depth > 0 && seen.first(&stat) => folders.push(path),
            _ => {}
        }
    }
    hand_over(folder, config, indexes, by_model, take);
    for below in folders {
        // A folder that cannot be read costs itself alone.
        let _unreadable = walk(tree, &below, depth - 1, seen, take);
    }
    Ok(())
}

/// Safetensors beside a `config.json` or an index are one model, named by its folder; else each file is one.
fn hand_over(
    folder: &str,
    config: Option<String>,
    indexes: Vec<String>,
    by_model: BTreeMap<(bool, String), Vec<WeightFile>>,
    take: &mut dyn FnMut(Found),
) {
    let one = config.is_some() || !indexes.is_empty();
    let mut whole = Found {
        name: folder.rsplit('/').next().unwrap_or(folder).to_owned(),
        path: folder.to_owned(),
        config,
        indexes,
        ..Found::default()
    };
    for ((gguf, name), files) in by_model {
        if one && !gguf {
            files.iter().for_each(|file| whole.add_size(&file.stat));
            whole.weights.extend(files);
            continue;
        }
        let mut found = Found { name, ..Found::default() };
        found.path = files.first().map_or_else(String::new, |file| file.path.clone());
        files.iter().for_each(|file| found.add_size(&file.stat));
        found.weights = files;
        take(found);
    }
    if !whole.weights.is_empty() {
        take(whole);
    }
}
