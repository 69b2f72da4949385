//! An Ollama store: manifests `REGISTRY/NAMESPACE/MODEL/TAG` that name blobs by digest; several tags share a blob.

use super::found::{Found, add_unfinished, weight_file};
use super::tree::Tree;
use crate::model::{Reading, Unfinished};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A manifest has a few hundred bytes.
const MANIFEST_LIMIT: usize = 1 << 20;
/// The layer that holds the weights.
const WEIGHTS: &str = "application/vnd.ollama.image.model";
/// What names leave out when it is this.
const DEFAULTS: (&str, &str) = ("registry.ollama.ai", "library");
/// Folders above a tag: registry, namespace (of several parts elsewhere), model.
const DEPTH_AT_MOST: u32 = 6;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    config: Option<Layer>,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(default, rename = "mediaType")]
    media_type: String,
    digest: String,
}

/// Hands over each model of a store; gives the downloads that did not end.
pub(super) fn scan(tree: &Tree<'_>, store: &str, take: &mut dyn FnMut(Found)) -> Reading<Unfinished> {
    let blobs = format!("{store}/blobs");
    let mut by_weights: BTreeMap<Vec<String>, Found> = BTreeMap::new();
    let mut counted: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    let root = format!("{store}/manifests");
    // Fails where the store cannot be listed; a manifest that cannot be read is left out alone.
    tree.list(&root)?;
    manifests(tree, &root, "", DEPTH_AT_MOST, &mut |name, manifest| {
        let mut weights: Vec<String> = manifest
            .layers
            .iter()
            .filter(|layer| layer.media_type == WEIGHTS)
            .filter_map(blob_name)
            .collect();
        weights.sort_unstable();
        if weights.is_empty() {
            return;
        }
        let seen = counted.entry(weights.clone()).or_default();
        let found = by_weights.entry(weights.clone()).or_insert_with(|| {
            let files = weights.iter().filter_map(|blob| {
                let path = format!("{blobs}/{blob}");
                // Old versions wrote a colon.
                let old = format!("{blobs}/{}", blob.replacen('-', ":", 1));
                weight_file(tree, path).or_else(|_missing| weight_file(tree, old)).ok().flatten()
            });
            Found {
                name: name.clone(),
                revision: weights.first().map(|blob| blob.chars().take("sha256-".len() + 12).collect()),
                path: format!("{root}/{name}"),
                weights: files.collect(),
                named_elsewhere: weights.len() as u64,
                ..Found::default()
            }
        });
        if found.name != name {
            found.aliases.push(name);
        }
        for blob in manifest.layers.iter().chain(&manifest.config).filter_map(blob_name) {
            if let Ok(stat) = tree.stat(&format!("{blobs}/{blob}"))
                && seen.insert(blob)
            {
                found.add_size(&stat);
            }
        }
    });
    for (_, mut found) in by_weights {
        if let Some(first) = found.weights.first() {
            found.path.clone_from(&first.path);
        }
        take(found);
    }
    let mut unfinished = Unfinished::default();
    tree.each_name(&blobs, &mut |name| {
        // `-partial` holds the data, `-partial-0` and so on how far each part is.
        if name.ends_with("-partial")
            && let Ok(stat) = tree.stat(&format!("{blobs}/{name}"))
        {
            add_unfinished(&mut unfinished, &stat);
        }
        true
    })?;
    Ok(unfinished)
}

/// Name of a blob's file; a digest that could lead elsewhere is none.
fn blob_name(layer: &Layer) -> Option<String> {
    let (kind, digest) = layer.digest.split_once(':')?;
    let plain = kind == "sha256" && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| format!("sha256-{digest}"))
}

/// Calls `take` with the name and content of each manifest below `path`.
fn manifests(tree: &Tree<'_>, path: &str, name: &str, depth: u32, take: &mut dyn FnMut(String, Manifest)) {
    for entry in tree.list(path).unwrap_or_default() {
        let (path, name) = (format!("{path}/{entry}"), format!("{name}/{entry}"));
        match tree.read(&path, MANIFEST_LIMIT) {
            Ok(bytes) => {
                if let Ok(manifest) = serde_json::from_slice(&bytes) {
                    take(short_name(&name), manifest);
                }
            }
            // A directory cannot be read.
            Err(_) if depth > 0 => manifests(tree, &path, &name, depth - 1, take),
            Err(_) => {}
        }
    }
}

/// `llama3.2:3b`, `acme/mine:v1`, `hf.co/ORG/REPO:TAG`: as `ollama list` writes it.
fn short_name(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let (model, tag) = path.rsplit_once('/').unwrap_or((path, "latest"));
    let model = model.strip_prefix(DEFAULTS.0).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    let model = model.strip_prefix(DEFAULTS.1).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    format!("{model}:{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_ollama_lists_them() {
        assert_eq!(short_name("/registry.ollama.ai/library/llama3.2/3b"), "llama3.2:3b");
        assert_eq!(short_name("/registry.ollama.ai/acme/mine/v1"), "acme/mine:v1");
        assert_eq!(short_name("/hf.co/ORG/REPO/Q4_K_M"), "hf.co/ORG/REPO:Q4_K_M");
    }

    #[test]
    fn a_digest_leads_nowhere_else() {
        let layer = |digest: &str| Layer { media_type: String::new(), digest: digest.into() };
        assert_eq!(blob_name(&layer("sha256:../../etc/passwd")), None);
        assert_eq!(blob_name(&layer("sha256:00ff")).as_deref(), Some("sha256-00ff"));
    }
}
