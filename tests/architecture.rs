//! Holds the imports of every file against the table in `src/lib.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// Module → modules it may import. `main` is the binary; the modules below "everything" may import all.
const RULES: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("model", &["units"]),
    ("stream", &["model", "units"]),
    // Of the sources only the recording, which is the stream in a file.
    ("sources", &["stream", "model", "units"]),
    ("analysis", &["model", "units"]),
    ("actions", &["model", "units"]),
    ("config", &["units"]),
    ("collector", &["sources", "stream", "model", "units"]),
    ("app", &["model", "analysis", "actions", "config", "units"]),
    ("ui", &["app", "model", "analysis", "actions", "config", "units"]),
    ("report", &["model", "analysis", "units"]),
];

/// Modules that wire the others and may import everything.
const WIRING: &[&str] = &["terminal", "runtime", "cli", "main", "lib"];

/// Segments after `crate::` (or another root) in every path of a file, `use` trees included.
struct Imports {
    roots: &'static [&'static str],
    with_tests: bool,
    found: BTreeSet<String>,
}

impl Imports {
    /// What `code` takes from the roots.
    fn of(code: &str, roots: &'static [&'static str], with_tests: bool) -> BTreeSet<String> {
        let mut imports = Self { roots, with_tests, found: BTreeSet::new() };
        imports.visit_file(&syn::parse_file(code).unwrap());
        imports.found
    }

    fn tree(&mut self, tree: &syn::UseTree, below_root: bool) {
        match tree {
            syn::UseTree::Path(path) if below_root => {
                self.found.insert(path.ident.to_string());
            }
            syn::UseTree::Path(path) => {
                let is_root = self.roots.iter().any(|root| path.ident == root);
                self.tree(&path.tree, is_root);
            }
            syn::UseTree::Name(name) if below_root => {
                self.found.insert(name.ident.to_string());
            }
            syn::UseTree::Rename(name) if below_root => {
                self.found.insert(name.ident.to_string());
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, below_root)),
            _ => {}
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if self.with_tests || !is_for_tests(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, false);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| self.roots.iter().any(|root| first.ident == root))
            && let Some(second) = segments.next()
        {
            self.found.insert(second.ident.to_string());
        }
        syn::visit::visit_path(self, path);
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap().to_path_buf();
            let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (relative, module, text)
        })
        .collect()
}

#[test]
fn imports_point_downwards() {
    let mut broken = Vec::new();
    for (path, module, text) in sources() {
        if WIRING.contains(&module.as_str()) {
            continue;
        }
        let allowed = RULES
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{}: module `{module}` is not in the table", path.display()))
            .1;
        let is_recording = path.starts_with("sources/recording") || path == Path::new("sources/recording.rs");
        for import in Imports::of(&text, &["crate", "kgtop"], true) {
            let is_allowed = match (module.as_str(), import.as_str()) {
                ("sources", "stream") => is_recording,
                (_, import) => import == module || allowed.contains(&import),
            };
            if !is_allowed {
                broken.push(format!("{}: `{module}` must not import `{import}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn unsafe_code_stands_in_one_module() {
    for (path, _, text) in sources() {
        if text.contains("allow(unsafe_code") {
            assert_eq!(path, Path::new("sources/nvml/raw.rs"));
        }
    }
}

#[test]
fn colours_stand_in_the_theme_alone() {
    for (path, _, text) in sources() {
        let in_theme = path.starts_with("ui/theme") || path == Path::new("ui/theme.rs");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(in_theme || !code.contains("Color::"), "{} names a colour", path.display());
    }
}

#[test]
fn the_terminal_and_the_clocks_stay_out_of_the_pure_modules() {
    let pure = ["units", "model", "stream", "analysis", "app", "ui", "report", "config"];
    for (path, module, text) in sources() {
        let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
        if !pure.contains(&module.as_str()) || is_test {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let taken = Imports::of(&text, &["std"], false);
        for banned in ["fs", "process", "thread", "net"] {
            assert!(!taken.contains(banned), "{} uses std::{banned}", path.display());
        }
        assert!(!code.contains("clock_gettime"), "{} reads a clock", path.display());
    }
}
