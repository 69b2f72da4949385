//! Arguments over the file over the defaults, resolved into one [`Config`].

mod file;

pub use file::{ConfigError, FileConfig};

use std::path::PathBuf;
use std::time::Duration;

/// Environment variable that removes every action when it is set to anything but nothing or `0`.
pub const READ_ONLY_VARIABLE: &str = "KGTOP_READ_ONLY";

/// Everything that can be configured, decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Time between samples.
    pub interval: Duration,
    /// Tab to open, as written; the screen knows the names.
    pub tab: Option<String>,
    /// Theme: a name or a file.
    pub theme: String,
    /// No action can be expressed.
    pub read_only: bool,
    /// GPUs to show; empty is all.
    pub gpus: Vec<String>,
    /// Length of the history charts.
    pub window: Duration,
    /// Take the mouse over.
    pub mouse: bool,
    /// The NVML library in place of `libnvidia-ml.so.1`.
    pub nvml_lib: Option<PathBuf>,
    /// Folders of models to look through besides the usual places.
    pub model_paths: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            tab: None,
            theme: "dark".to_owned(),
            read_only: false,
            gpus: Vec::new(),
            window: Duration::from_secs(300),
            mouse: true,
            nvml_lib: None,
            model_paths: Vec::new(),
        }
    }
}

/// What the command line says; `None` where it says nothing.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// `--interval`
    pub interval: Option<Duration>,
    /// `--tab`
    pub tab: Option<String>,
    /// `--theme`
    pub theme: Option<String>,
    /// `--read-only`
    pub read_only: bool,
    /// `--gpu`
    pub gpus: Vec<String>,
    /// `--nvml-lib`
    pub nvml_lib: Option<PathBuf>,
}

/// Decides. `files` are in the order of their weight: the system's before the user's; each later one wins, except
/// that nobody but the system can lift the system's `read_only`.
#[must_use]
pub fn resolve(arguments: Arguments, files: &[FileConfig], read_only_variable: Option<&str>) -> Config {
    let mut config = Config::default();
    for file in files {
        file.apply(&mut config);
    }
    config.read_only = files.iter().any(|file| file.read_only == Some(true))
        || arguments.read_only
        || read_only_variable.is_some_and(|value| !value.is_empty() && value != "0");
    config.interval = arguments.interval.unwrap_or(config.interval);
    config.tab = arguments.tab.or(config.tab);
    config.theme = arguments.theme.unwrap_or(config.theme);
    config.nvml_lib = arguments.nvml_lib.or(config.nvml_lib);
    if !arguments.gpus.is_empty() {
        config.gpus = arguments.gpus;
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_win_over_the_file_and_the_file_over_the_defaults() {
        let file = FileConfig::parse("interval = 2.5\ntheme = \"light\"\n", "config.toml").unwrap();
        let config = resolve(Arguments::default(), std::slice::from_ref(&file), None);
        assert_eq!((config.interval, config.theme.as_str()), (Duration::from_millis(2_500), "light"));
        let arguments = Arguments { theme: Some("dark".into()), ..Arguments::default() };
        assert_eq!(resolve(arguments, &[file], None).theme, "dark");
    }

    #[test]
    fn read_only_cannot_be_lifted_by_a_later_file() {
        let system = FileConfig::parse("read_only = true", "system").unwrap();
        let user = FileConfig::parse("read_only = false", "user").unwrap();
        assert!(resolve(Arguments::default(), &[system, user], None).read_only);
        assert!(resolve(Arguments::default(), &[], Some("1")).read_only);
        assert!(!resolve(Arguments::default(), &[], Some("0")).read_only);
    }
}
