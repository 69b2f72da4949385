//! From files and arguments to one configuration, each value checked where its line is known.

use super::commands::{Refused, Usage};
use crate::app::Tab;
use crate::cli::{GlobalArgs, ScreenArgs};
use crate::config::{self, Arguments, Config, ConfigError, FileConfig, READ_ONLY_VARIABLE};
use crate::ui::theme::{ColourDepth, Theme};
use color_eyre::eyre::{Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The system's config file: read before the user's.
const SYSTEM_CONFIG: &str = "/etc/kgtop/config.toml";

/// Decides. With `whole`, what only the screen uses is checked too: a mistake in the file is told by whichever command
/// reads it first.
pub(super) fn configure(global: &GlobalArgs, screen: &ScreenArgs, whole: bool) -> Result<Config> {
    let mut files = Vec::new();
    if let Some(file) = read_config(Path::new(SYSTEM_CONFIG), whole)? {
        files.push(file);
    }
    let user = match &global.config {
        Some(path) => Some(path.clone()),
        None => user_config(),
    };
    if let Some(path) = user {
        match read_config(&path, whole)? {
            Some(file) => files.push(file),
            None if global.config.is_some() => bail!(Usage(format!("{}: no such file", path.display()))),
            None => {}
        }
    }
    let arguments = Arguments {
        interval: global.interval.map(Duration::from_secs_f64),
        tab: screen.tab.clone(),
        theme: screen.theme.clone(),
        read_only: screen.read_only,
        gpus: screen.gpus.gpu.clone(),
        nvml_lib: global.nvml_lib.clone(),
    };
    let mut config = config::resolve(arguments, &files, std::env::var(READ_ONLY_VARIABLE).ok().as_deref());
    // Whoever begins it: the collector, the doctor and an action load what was looked at here.
    if let Some(library) = &mut config.nvml_lib {
        *library = super::act::trusted(library).ok_or_else(|| {
            Refused(format!("{}: as root kgtop loads no library that others can write", library.display()))
        })?;
    }
    Ok(config)
}

fn user_config() -> Option<PathBuf> {
    Some(directories::ProjectDirs::from("", "", "kgtop")?.config_dir().join("config.toml"))
}

fn read_config(path: &Path, whole: bool) -> Result<Option<FileConfig>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => bail!(Usage(format!("{} could not be read: {error}", path.display()))),
    };
    let file = FileConfig::parse(&text, &path.display().to_string()).map_err(|error| usage(&error))?;
    if whole {
        if let Some(name) = &file.tab {
            tab(name).map_err(|problem| usage(&file.refuse("tab", &problem)))?;
        }
        if let Some(name) = &file.theme {
            theme(name).map_err(|problem| usage(&file.refuse("theme", &problem)))?;
        }
    }
    Ok(Some(file))
}

fn usage(error: &ConfigError) -> Usage {
    Usage(error.to_string())
}

/// The tab of that number or name.
pub(super) fn tab(name: &str) -> Result<Tab, String> {
    Tab::from_name(name).ok_or_else(|| {
        let names: Vec<String> =
            Tab::ALL.iter().map(|tab| format!("{} ({})", tab.number(), tab.title())).collect();
        format!("{name}: no such tab; the tabs are {}", names.join(", "))
    })
}

/// The theme by name or from a file, in the colours that the terminal has and without any where none is wanted.
pub(super) fn theme(name: &str) -> Result<Theme, String> {
    let theme = match Theme::embedded(name) {
        Some(theme) => theme,
        None => {
            let text = std::fs::read_to_string(name).map_err(|error| {
                format!(
                    "{name} is neither an embedded theme (dark, light, high-contrast) nor a file that can be read: {error}"
                )
            })?;
            Theme::parse(&text, name).map_err(|error| error.to_string())?
        }
    };
    // https://no-color.org: present and not empty.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let variable = |name| std::env::var(name).unwrap_or_default();
    let depth = ColourDepth::of_terminal(&variable("COLORTERM"), &variable("TERM"));
    Ok(match depth {
        Some(depth) if !plain => theme.for_depth(depth),
        _ => theme.without_colour(),
    })
}
