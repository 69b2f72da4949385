//! Where model stores may be: what the environment, the homes of the users and the config name.

use super::tree::Tree;
use crate::model::StoreKind;
use crate::sources::root::Root;
use std::collections::BTreeSet;
use std::sync::Arc;

/// No machine's `/etc/passwd` is longer.
const PASSWD_LIMIT: usize = 1 << 20;
/// Users whose homes are looked at.
const USERS_AT_MOST: usize = 256;

/// The variables of the environment that say where a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreEnvironment {
    /// `HF_HUB_CACHE` (and its older name `HUGGINGFACE_HUB_CACHE`).
    pub hub_cache: Option<String>,
    /// `HF_HOME`.
    pub hf_home: Option<String>,
    /// `XDG_CACHE_HOME`.
    pub cache_home: Option<String>,
    /// `OLLAMA_MODELS`.
    pub ollama_models: Option<String>,
    /// `HOME`.
    pub home: Option<String>,
}

impl StoreEnvironment {
    /// Asks for each variable; one that is empty is not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).filter(|value| value.starts_with('/'));
        Self {
            hub_cache: get("HF_HUB_CACHE").or_else(|| get("HUGGINGFACE_HUB_CACHE")),
            hf_home: get("HF_HOME"),
            cache_home: get("XDG_CACHE_HOME"),
            ollama_models: get("OLLAMA_MODELS"),
            home: get("HOME"),
        }
    }
}

/// A place to look through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: StoreKind,
    pub(super) path: String,
    pub(super) user: Option<Arc<str>>,
    /// Somebody named it: that it is not there is worth saying.
    pub(super) named: bool,
}

/// Every place, those that were named first. A folder is what it looks like: a cache of Hugging Face, a store of
/// Ollama, or a folder of files.
pub(super) fn places(environment: &StoreEnvironment, folders: &[String], root: &Root) -> Vec<Place> {
    let mut found = Vec::new();
    let mut add = |kind, path: String, user: Option<&Arc<str>>, named| {
        let path = path.trim_end_matches('/').to_owned();
        found.push(Place { kind, path, user: user.cloned(), named });
    };
    for folder in folders {
        add(StoreKind::Folder, folder.clone(), None, true);
    }
    let hub = environment
        .hub_cache
        .clone()
        .or_else(|| environment.hf_home.as_ref().map(|home| format!("{home}/hub")))
        .or_else(|| environment.cache_home.as_ref().map(|cache| format!("{cache}/huggingface/hub")));
    if let Some(path) = hub {
        add(
            StoreKind::HuggingFace,
            path,
            None,
            environment.hub_cache.is_some() || environment.hf_home.is_some(),
        );
    }
    if let Some(path) = &environment.ollama_models {
        add(StoreKind::Ollama, path.clone(), None, true);
    }
    let own = environment.home.iter().map(|home| (home.clone(), None));
    let users = homes(root).into_iter().map(|(user, home)| (home, Some(user)));
    for (home, user) in own.chain(users) {
        let home = home.trim_end_matches('/');
        add(StoreKind::HuggingFace, format!("{home}/.cache/huggingface/hub"), user.as_ref(), false);
        add(StoreKind::Ollama, format!("{home}/.ollama/models"), user.as_ref(), false);
    }
    let mut seen = BTreeSet::new();
    found.retain(|place| seen.insert(place.path.clone()));
    found
}

/// Users with a home of their own (the service of Ollama has one, too).
fn homes(root: &Root) -> Vec<(Arc<str>, String)> {
    let text = root.read_to_string("/etc/passwd", PASSWD_LIMIT).unwrap_or_default();
    let home = |line: &str| {
        let mut fields = line.split(':');
        let user = fields.next().filter(|user| !user.is_empty())?;
        let home = fields.nth(4)?;
        // Homes of services: none, or a directory of the system.
        let apart = home.starts_with('/') && home != "/" && !home.starts_with("/nonexistent");
        let system = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/dev", "/proc", "/run", "/etc"];
        (apart && !system.contains(&home)).then(|| (user.into(), home.to_owned()))
    };
    text.lines().filter_map(home).take(USERS_AT_MOST).collect()
}

/// What a folder looks like.
pub(super) fn layout(tree: &Tree<'_>, path: &str) -> StoreKind {
    let mut kind = StoreKind::Folder;
    let (mut manifests, mut blobs) = (false, false);
    let looked = tree.each_name(path, &mut |name| {
        manifests |= name == "manifests";
        blobs |= name == "blobs";
        if name.starts_with("models--") {
            kind = StoreKind::HuggingFace;
        }
        true
    });
    if looked.is_ok() && manifests && blobs {
        kind = StoreKind::Ollama;
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_variable_wins_and_relative_ones_do_not_count() {
        let environment = StoreEnvironment::read(|name| match name {
            "HF_HOME" => Some("/data/hf".into()),
            "HF_HUB_CACHE" => Some("relative".into()),
            "XDG_CACHE_HOME" => Some("/cache".into()),
            "HOME" => Some("/home/ada".into()),
            _ => None,
        });
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        let found = places(&environment, &["/models/".into()], &root);
        let paths: Vec<&str> = found.iter().map(|place| place.path.as_str()).collect();
        let expected =
            ["/models", "/data/hf/hub", "/home/ada/.cache/huggingface/hub", "/home/ada/.ollama/models"];
        assert_eq!(paths, expected);
    }
}
