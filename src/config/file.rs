//! The config file: TOML, every key optional, an unknown key an error that names the nearest valid one.

use super::Config;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Keys of the file, for the suggestion in an error.
const KEYS: [&str; 9] =
    ["interval", "tab", "theme", "read_only", "gpus", "window", "mouse", "nvml_lib", "model_paths"];

/// The chart windows that can be chosen, in minutes.
const WINDOWS: [u64; 4] = [1, 5, 15, 60];

/// The file, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Seconds between samples, 0.1 to 60.
    pub interval: Option<f64>,
    /// Tab to open.
    pub tab: Option<String>,
    /// Theme: name or file.
    pub theme: Option<String>,
    /// No action can be expressed.
    pub read_only: Option<bool>,
    /// GPUs to show.
    pub gpus: Option<Vec<String>>,
    /// Length of the charts in minutes: 1, 5, 15 or 60.
    pub window: Option<u64>,
    /// Take the mouse over.
    pub mouse: Option<bool>,
    /// The NVML library to load.
    pub nvml_lib: Option<PathBuf>,
    /// Folders of models to look through besides the usual places; absolute.
    pub model_paths: Option<Vec<String>>,
}

/// What is wrong with a config file, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}: {problem}")]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl FileConfig {
    /// Parses a file's text.
    ///
    /// # Errors
    /// For text that is not TOML, an unknown key, or a value out of range; with the line.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let at = |offset: usize, problem: String| ConfigError {
            file: file.to_owned(),
            line: text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1),
            problem,
        };
        let parsed: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, explain(error.message()))
        })?;
        let line_of = |key: &str| text.find(key).unwrap_or(0);
        if let Some(interval) = parsed.interval
            && !(0.1..=60.0).contains(&interval)
        {
            return Err(at(
                line_of("interval"),
                format!("interval = {interval} is not within 0.1 to 60 seconds"),
            ));
        }
        if let Some(window) = parsed.window
            && !WINDOWS.contains(&window)
        {
            return Err(at(line_of("window"), format!("window = {window} is none of 1, 5, 15, 60 minutes")));
        }
        let relative = parsed.model_paths.iter().flatten().find(|path| !path.starts_with('/'));
        if let Some(path) = relative {
            let problem = format!("model_paths: \"{path}\" is not absolute; write it from / on");
            return Err(at(line_of("model_paths"), problem));
        }
        Ok(parsed)
    }

    pub(super) fn apply(&self, config: &mut Config) {
        if let Some(interval) = self.interval {
            config.interval = Duration::from_secs_f64(interval);
        }
        if let Some(window) = self.window {
            config.window = Duration::from_secs(window * 60);
        }
        if let Some(theme) = &self.theme {
            config.theme.clone_from(theme);
        }
        if let Some(mouse) = self.mouse {
            config.mouse = mouse;
        }
        if let Some(gpus) = &self.gpus {
            config.gpus.clone_from(gpus);
        }
        if let Some(paths) = &self.model_paths {
            config.model_paths.clone_from(paths);
        }
        config.tab = self.tab.clone().or_else(|| config.tab.take());
        config.nvml_lib = self.nvml_lib.clone().or_else(|| config.nvml_lib.take());
    }
}

/// serde's message for an unknown key lists all keys; name the nearest one instead.
fn explain(message: &str) -> String {
    let Some(key) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) else {
        return message.to_owned();
    };
    let nearest = KEYS.iter().min_by_key(|known| distance(key, known));
    match nearest {
        Some(known) if distance(key, known) <= known.len() / 2 => {
            format!("unknown key `{key}`; did you mean `{known}`?")
        }
        _ => format!("unknown key `{key}`; the keys are {}", KEYS.join(", ")),
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_key() {
        let error = FileConfig::parse("theme = \"dark\"\nintervall = 1\n", "/etc/kgtop.toml").unwrap_err();
        assert_eq!(error.to_string(), "/etc/kgtop.toml:2: unknown key `intervall`; did you mean `interval`?");
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        for text in ["interval = 0", "interval = -1", "interval = nan", "window = 7"] {
            let error = FileConfig::parse(text, "f").unwrap_err().to_string();
            assert!(error.contains("0.1 to 60") || error.contains("1, 5, 15, 60"), "{error}");
        }
    }

    #[test]
    fn folders_of_models_are_absolute() {
        let file = FileConfig::parse("model_paths = [\"/data/models\"]", "f").unwrap();
        assert_eq!(file.model_paths.as_deref(), Some(&["/data/models".to_owned()][..]));
        let error = FileConfig::parse("mouse = true\nmodel_paths = [\"data\"]", "f").unwrap_err();
        assert_eq!(error.to_string(), "f:2: model_paths: \"data\" is not absolute; write it from / on");
        let error = FileConfig::parse("model_path = []", "f").unwrap_err();
        assert!(error.to_string().contains("`model_paths`"), "{error}");
    }

    #[test]
    fn distances() {
        assert_eq!(distance("interval", "interval"), 0);
        assert_eq!(distance("intervall", "interval"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
