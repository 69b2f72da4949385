//! The config file: TOML, every key optional, an unknown key an error that names the nearest valid one.

use super::Config;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::{Spanned, Value};

/// Keys of the file, for the suggestion in an error.
const KEYS: [&str; 9] =
    ["interval", "tab", "theme", "read_only", "gpus", "window", "mouse", "nvml_lib", "model_paths"];

/// The chart windows that can be chosen, in minutes.
const WINDOWS: [u64; 4] = [1, 5, 15, 60];

/// Of a wrong value this much is repeated.
const SHOWN_AT_MOST: usize = 40;

/// The file, as written.
#[derive(Clone, Debug, Default)]
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
    /// The file.
    name: String,
    /// Where each value stands.
    lines: BTreeMap<String, usize>,
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
        let line = |offset: usize| text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1);
        let at = |offset: usize, problem: String| ConfigError {
            file: file.to_owned(),
            line: line(offset),
            problem,
        };
        let entries: BTreeMap<Spanned<String>, Spanned<Value>> = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, error.message().replace('\n', "; "))
        })?;
        let mut parsed = Self { name: file.to_owned(), ..Self::default() };
        for (key, value) in &entries {
            let name = key.get_ref().as_str();
            parsed.lines.insert(name.to_owned(), line(value.span().start));
            parsed.take(name, value.get_ref()).map_err(|wrong| match wrong {
                Wrong::Key => at(key.span().start, unknown(name)),
                Wrong::Value(right) => {
                    at(value.span().start, format!("{name} must be {right}, not {}", shown(value.get_ref())))
                }
            })?;
        }
        Ok(parsed)
    }

    /// An error about the value of `key`, for what only those who use it can judge.
    #[must_use]
    pub fn refuse(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError {
            file: self.name.clone(),
            line: self.lines.get(key).copied().unwrap_or(1),
            problem: format!("{key}: {problem}"),
        }
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<(), Wrong> {
        match key {
            "interval" => {
                let seconds = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
                let seconds = seconds.filter(|seconds| (0.1..=60.0).contains(seconds));
                self.interval = Some(seconds.ok_or(Wrong::Value("a number of seconds from 0.1 to 60"))?);
            }
            "tab" => {
                self.tab = Some(word(value).ok_or(Wrong::Value("the number or the name of a tab"))?);
            }
            "theme" => {
                let right = "\"dark\", \"light\", \"high-contrast\" or a file in quotes";
                self.theme = Some(value.as_str().ok_or(Wrong::Value(right))?.to_owned());
            }
            "read_only" => self.read_only = Some(flag(value)?),
            "mouse" => self.mouse = Some(flag(value)?),
            "gpus" => {
                let right = "a list of indexes, UUIDs or PCI addresses, as in [0, \"GPU-5a3b1c00\"]";
                self.gpus = Some(list(value, word).ok_or(Wrong::Value(right))?);
            }
            "window" => {
                let minutes = value.as_integer().and_then(|minutes| u64::try_from(minutes).ok());
                let minutes = minutes.filter(|minutes| WINDOWS.contains(minutes));
                self.window = Some(minutes.ok_or(Wrong::Value("1, 5, 15 or 60 (minutes)"))?);
            }
            "nvml_lib" => {
                let path = value.as_str().filter(|path| !path.is_empty());
                self.nvml_lib = Some(path.ok_or(Wrong::Value("a file in quotes"))?.into());
            }
            "model_paths" => {
                let right = "a list of folders in quotes, each written from / on";
                let absolute =
                    |each: &Value| each.as_str().filter(|path| path.starts_with('/')).map(String::from);
                self.model_paths = Some(list(value, absolute).ok_or(Wrong::Value(right))?);
            }
            _ => return Err(Wrong::Key),
        }
        Ok(())
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

/// What is wrong with an entry.
enum Wrong {
    /// There is no such key.
    Key,
    /// It has another value than this.
    Value(&'static str),
}

fn flag(value: &Value) -> Result<bool, Wrong> {
    value.as_bool().ok_or(Wrong::Value("true or false"))
}

/// A word, or a number without quotes.
fn word(value: &Value) -> Option<String> {
    let number = value.as_integer().filter(|number| *number >= 0);
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned).or_else(|| number.map(|number| number.to_string()))
}

fn list(value: &Value, each: impl Fn(&Value) -> Option<String>) -> Option<Vec<String>> {
    value.as_array()?.iter().map(each).collect()
}

/// A value as it may stand in a message.
fn shown(value: &Value) -> String {
    let text = value.to_string().replace('\n', " ");
    if text.chars().count() <= SHOWN_AT_MOST {
        return text;
    }
    text.chars().take(SHOWN_AT_MOST).chain(['…']).collect()
}

/// Names the nearest key.
fn unknown(key: &str) -> String {
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
    fn a_wrong_value_is_told_by_its_own_line_its_key_and_what_it_must_be() {
        let cases = [
            ("interval = 0", "interval must be a number of seconds from 0.1 to 60, not 0"),
            ("interval = nan", "interval must be a number of seconds from 0.1 to 60, not nan"),
            ("interval = \"1\"", "interval must be a number of seconds from 0.1 to 60, not \"1\""),
            ("window = 7", "window must be 1, 5, 15 or 60 (minutes), not 7"),
            ("window = -1", "window must be 1, 5, 15 or 60 (minutes), not -1"),
            ("mouse = \"no\"", "mouse must be true or false, not \"no\""),
            (
                "gpus = 0",
                "gpus must be a list of indexes, UUIDs or PCI addresses, as in [0, \"GPU-5a3b1c00\"], not 0",
            ),
            (
                "model_paths = [\"data\"]",
                "model_paths must be a list of folders in quotes, each written from / on, not [\"data\"]",
            ),
        ];
        for (text, problem) in cases {
            // The comment names the keys: the line is that of the value all the same.
            let text = format!("# interval window mouse gpus model_paths\ntheme = \"dark\"\n{text}\n");
            let error = FileConfig::parse(&text, "f").unwrap_err().to_string();
            assert_eq!(error, format!("f:3: {problem}"));
        }
        let error = FileConfig::parse("mouse = true\ntheme 3\n", "f").unwrap_err();
        assert_eq!(error.line, 2, "{error}");
    }

    #[test]
    fn numbers_need_no_quotes() {
        let file = FileConfig::parse("tab = 3\ngpus = [0, \"1\"]\ninterval = 2\n", "f").unwrap();
        assert_eq!((file.tab.as_deref(), file.interval), (Some("3"), Some(2.0)));
        assert_eq!(file.gpus, Some(vec!["0".to_owned(), "1".to_owned()]));
    }

    #[test]
    fn what_the_users_of_a_value_refuse_has_its_line_too() {
        let file = FileConfig::parse("mouse = true\ntab = \"foo\"\n", "f").unwrap();
        assert_eq!(file.refuse("tab", "no such tab").to_string(), "f:2: tab: no such tab");
    }

    #[test]
    fn folders_of_models_are_absolute() {
        let file = FileConfig::parse("model_paths = [\"/data/models\"]", "f").unwrap();
        assert_eq!(file.model_paths.as_deref(), Some(&["/data/models".to_owned()][..]));
        let error = FileConfig::parse("model_path = []", "f").unwrap_err();
        assert!(error.to_string().contains("`model_paths`"), "{error}");
    }

    /// The file in the documentation has every key, with its default.
    #[test]
    fn the_documented_file_has_every_key_with_its_default() {
        let text = include_str!("../../docs/config.toml");
        assert!(
            FileConfig::parse(text, "docs/config.toml").unwrap().lines.is_empty(),
            "as it is, it says nothing"
        );
        let set: String = text
            .lines()
            .map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')).unwrap_or(""))
            .collect::<Vec<_>>()
            .join("\n");
        let file = FileConfig::parse(&set, "docs/config.toml").unwrap();
        let missing: Vec<&&str> = KEYS.iter().filter(|key| !file.lines.contains_key(**key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let mut config = Config::default();
        file.apply(&mut config);
        let default = Config {
            // Said by name; without them the first tab is opened and the loader looks for the library.
            tab: Some("gpus".to_owned()),
            nvml_lib: Some("libnvidia-ml.so.1".into()),
            ..Config::default()
        };
        assert_eq!(config, default);
        assert_eq!(file.read_only, Some(default.read_only));
    }

    #[test]
    fn distances() {
        assert_eq!(distance("interval", "interval"), 0);
        assert_eq!(distance("intervall", "interval"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
