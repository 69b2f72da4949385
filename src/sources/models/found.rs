//! A model as the scan of names and sizes finds it, before any header is read.

use super::tree::Tree;
use crate::model::{ModelFormat, Reading, Unfinished};
use crate::sources::root::{FileKind, FileStat};
use crate::units::Bytes;
use std::collections::HashSet;

/// A file of weights.
#[derive(Clone, Debug)]
pub(super) struct WeightFile {
    pub(super) path: String,
    pub(super) stat: FileStat,
}

/// A model before its headers are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) revision: Option<String>,
    pub(super) path: String,
    pub(super) weights: Vec<WeightFile>,
    pub(super) config: Option<String>,
    /// Indexes of models in parts, beside the weights.
    pub(super) indexes: Vec<String>,
    /// Files of weights that a manifest names; 0 without one.
    pub(super) named_elsewhere: u64,
    pub(super) size: u64,
    pub(super) on_disk: u64,
    pub(super) unreferenced: u64,
    pub(super) unfinished: Unfinished,
}

impl Found {
    pub(super) fn format(&self) -> Option<ModelFormat> {
        self.weights.first().and_then(|file| format_of(&file.path))
    }

    /// Adds a file to the sizes.
    pub(super) fn add_size(&mut self, stat: &FileStat) {
        self.size = self.size.saturating_add(stat.size);
        self.on_disk = self.on_disk.saturating_add(stat.on_disk);
    }
}

pub(super) fn add_unfinished(unfinished: &mut Unfinished, stat: &FileStat) {
    unfinished.files += 1;
    unfinished.size = Bytes(unfinished.size.0.saturating_add(stat.on_disk));
}

/// The format by the end of a name; blobs of Ollama are named by their digest and are GGUF.
pub(super) fn format_of(path: &str) -> Option<ModelFormat> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.ends_with(".safetensors") {
        Some(ModelFormat::Safetensors)
    } else if name.ends_with(".gguf") || name.starts_with("sha256") {
        Some(ModelFormat::Gguf)
    } else {
        None
    }
}

/// Name of a model by the name of its file: without its end, and without `-00001-of-00004`.
pub(super) fn stem(name: &str) -> &str {
    let stem = name.strip_suffix(".gguf").or_else(|| name.strip_suffix(".safetensors")).unwrap_or(name);
    in_part(stem).map_or(stem, |(name, ..)| name)
}

/// What stands before the number of a part, its number and the number of all parts, of a path that ends with
/// `-00001-of-00004.gguf`.
pub(super) fn part_of(path: &str) -> Option<(&str, u64, u64)> {
    let stem = path.strip_suffix(".gguf").or_else(|| path.strip_suffix(".safetensors"))?;
    let (before, number, count) = in_part(stem)?;
    Some((before, number.parse().ok()?, count.parse().ok()?))
}

fn in_part(stem: &str) -> Option<(&str, &str, &str)> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, count) = stem.rsplit_once("-of-").filter(|(_, count)| digits(count))?;
    let (name, number) = before.rsplit_once('-').filter(|(_, number)| digits(number))?;
    Some((name, number, count))
}

/// A file of weights at a path, if it is a regular file.
pub(super) fn weight_file(tree: &Tree<'_>, path: String) -> Reading<Option<WeightFile>> {
    let stat = tree.stat(&path)?;
    Ok((stat.kind == FileKind::File).then_some(WeightFile { path, stat }))
}

/// Sums sizes of files, each inode once.
#[derive(Default)]
pub(super) struct Once(HashSet<(u64, u64)>);

impl Once {
    pub(super) fn first(&mut self, stat: &FileStat) -> bool {
        self.0.insert((stat.device, stat.inode))
    }

    pub(super) fn contains(&self, stat: &FileStat) -> bool {
        self.0.contains(&(stat.device, stat.inode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems() {
        for (name, expected) in [
            ("Llama-3.2-3B-Instruct-Q4_K_M.gguf", "Llama-3.2-3B-Instruct-Q4_K_M"),
            ("model-00002-of-00004.safetensors", "model"),
            ("made-of-iron.gguf", "made-of-iron"),
            ("x-of-2.gguf", "x-of-2"),
            ("-1-of-2.gguf", ""),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
        assert_eq!(part_of("/a/model-00002-of-00004.safetensors"), Some(("/a/model", 2, 4)));
        assert_eq!(part_of("/a/model-1-of-61.gguf"), Some(("/a/model", 1, 61)));
        for whole in ["/a/x-of-2.gguf", "/a/m--of-.gguf", "/a/sha256-00-of-11", "/a/model.gguf"] {
            assert_eq!(part_of(whole), None, "{whole}");
        }
    }
}
