//! Whether all files of a model are here. A download that broke off, or one part that was copied alone, has a header
//! like any other: what it holds must not pass for the whole.

use super::HeaderError;
use super::bounded::Bounded;
use super::found::{Found, WeightFile, part_of};
use super::tree::Tree;
use crate::model::{Absence, ModelHeader};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;

/// An index names each tensor: some MB for models of hundreds of experts a layer.
const INDEX_AT_MOST: u64 = 64 << 20;
/// No model is split into more files.
const FILES_AT_MOST: usize = 4_096;
/// What the index of a model in parts ends with.
pub(super) const INDEX_END: &str = ".safetensors.index.json";

/// How many files of weights the model has in all, where fewer are here.
///
/// # Errors
/// An index cannot be read, so that nothing tells whether the model is whole.
pub(super) fn expected(
    tree: &Tree<'_>,
    found: &Found,
    headers: &[Arc<ModelHeader>],
) -> Result<Option<u64>, String> {
    let here = found.weights.len() as u64;
    let split = headers.iter().filter_map(|header| header.split).max().unwrap_or_default();
    let mut missing = numbered(&found.weights)
        .max(split.saturating_sub(here))
        .max(found.named_elsewhere.saturating_sub(here));
    for index in &found.indexes {
        missing = missing.max(by_index(tree, index, &found.weights)?);
    }
    Ok((missing > 0).then(|| here.saturating_add(missing)))
}

/// What is said of a model of which `here` of `all` files are here.
pub(super) fn in_part(here: u64, all: u64) -> Absence {
    let text = match here {
        0 => format!("none of {all} files of weights is here"),
        1 => format!("1 of {all} files of weights is here"),
        _ => format!("{here} of {all} files of weights are here"),
    };
    Absence::failed(0, text)
}

/// Files that the names of others (`-00001-of-00004`) call for.
fn numbered(files: &[WeightFile]) -> u64 {
    let mut sets: BTreeMap<(&str, u64), BTreeSet<u64>> = BTreeMap::new();
    for file in files {
        if let Some((before, number, count)) = part_of(&file.path) {
            sets.entry((before, count)).or_default().insert(number);
        }
    }
    let missing =
        |((_, count), numbers): ((&str, u64), BTreeSet<u64>)| count.saturating_sub(numbers.len() as u64);
    sets.into_iter().map(missing).fold(0, u64::saturating_add)
}

/// Files that an index names and that are not here. One that names none of the files beside it is of another set of
/// them (the maker's `consolidated` files, another precision).
fn by_index(tree: &Tree<'_>, index: &str, files: &[WeightFile]) -> Result<u64, String> {
    let (folder, own) = index.rsplit_once('/').unwrap_or(("", index));
    let names = tree
        .open(index)
        .map_err(|absence| absence.to_string())
        .and_then(|opened| read_index(File::from(opened)).map_err(|error| error.to_string()))
        .map_err(|problem| format!("{own}: {problem}"))?;
    let here: BTreeSet<&str> =
        files.iter().filter_map(|file| file.path.strip_prefix(folder)?.strip_prefix('/')).collect();
    let missing = names.iter().filter(|name| !here.contains(name.as_str())).count();
    let another = missing == names.len() && !here.is_empty();
    Ok(if another { 0 } else { missing as u64 })
}

/// The names of files in an index: the values of its `weight_map`.
fn read_index(file: impl Read) -> Result<BTreeSet<String>, HeaderError> {
    let reader = BufReader::new(Bounded::new(file.take(INDEX_AT_MOST)));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let names = Index.deserialize(&mut json).and_then(|names| json.end().map(|()| names));
    names.map_err(|error| HeaderError::Invalid { format: "safetensors index", message: error.to_string() })
}

/// The object around the map.
struct Index;
/// The map: each tensor's file.
struct WeightMap;

impl<'de> DeserializeSeed<'de> for Index {
    type Value = BTreeSet<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Index {
    type Value = BTreeSet<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "weight_map" {
                names = map.next_value_seed(WeightMap)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(names)
    }
}

impl<'de> DeserializeSeed<'de> for WeightMap {
    type Value = BTreeSet<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WeightMap {
    type Value = BTreeSet<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors to files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        while map.next_key::<IgnoredAny>()?.is_some() {
            let name = map.next_value::<String>()?;
            // NAME_MAX; a name in a folder below is no name of this format.
            if name.len() > 255 {
                return Err(A::Error::custom("a file's name of more than 255 bytes"));
            }
            names.insert(name);
            if names.len() > FILES_AT_MOST {
                return Err(A::Error::custom(format!("more than {FILES_AT_MOST} files")));
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_gives_each_file_once() {
        let text = br#"{"metadata":{"total_size":16},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}}"#;
        let names = read_index(&text[..]).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["m-1.safetensors", "m-2.safetensors"]);
        for bad in
            [&br#"{"weight_map":{"a":1}}"#[..], br#"{"weight_map":"#, br#"[]"#, br#"{"weight_map":{}} x"#]
        {
            assert!(read_index(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn what_is_said_counts() {
        for (here, said) in [
            (0, "none of 4 files of weights is here"),
            (1, "1 of 4 files of weights is here"),
            (3, "3 of 4 files of weights are here"),
        ] {
            assert_eq!(in_part(here, 4), Absence::failed(0, said));
        }
    }
}
