//! The embedded demos, and files that are replayed.

use super::commands::Usage;
use super::feed::{self, Feed};
use super::player::{ScenarioTape, Tape};
use crate::app::{Mode, Replay};
use crate::sources::recording::{RecordingReader, ReplayCursor};
use crate::sources::scenario::{self, Scenario};
use crate::units::Clock;
use color_eyre::eyre::{Context, Result, bail};
use std::path::Path;

/// The recording of a real GPU under changing load that is part of the binary.
const RECORDING: &str = "h200";
const RECORDING_TITLE: &str = "one H200 under changing load, recorded";
const RECORDING_BYTES: &[u8] = include_bytes!("../../assets/recordings/h200.jsonl.gz");

/// Names and titles of the demos, the first one being the default.
pub(super) fn list() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for name in scenario::embedded_names() {
        let text = scenario::embedded(name).unwrap_or_default();
        let parsed = Scenario::parse(text, name).wrap_err("an embedded scenario is broken")?;
        found.push((name.to_owned(), parsed.title().to_owned()));
    }
    found.insert(1.min(found.len()), (RECORDING.to_owned(), RECORDING_TITLE.to_owned()));
    Ok(found)
}

/// Starts the demo of that name; the first one for no name.
pub(super) fn start(name: &str, clock: Clock) -> Result<(Mode, Feed)> {
    let name = if name.is_empty() { scenario::embedded_names().next().unwrap_or_default() } else { name };
    if name == RECORDING {
        let reader = RecordingReader::from_data(Box::new(std::io::Cursor::new(RECORDING_BYTES)), name)
            .wrap_err("the embedded recording is broken")?;
        let tape = Tape::Recording { cursor: Box::new(ReplayCursor::new(reader)), looping: true };
        return Ok((Mode::Demo { name: name.to_owned() }, feed::player(tape, 1.0, clock)));
    }
    let Some(text) = scenario::embedded(name) else {
        let names: Vec<String> = list()?.into_iter().map(|(name, _)| name).collect();
        bail!(Usage(format!("there is no demo {name}; the demos are {}", names.join(", "))));
    };
    let scenario = Scenario::parse(text, name).wrap_err("an embedded scenario is broken")?;
    Ok((Mode::Demo { name: name.to_owned() }, feed::player(tape(scenario, clock), 1.0, clock)))
}

/// Starts the replay of a recording, or of a scenario (`.toml`).
pub(super) fn replay(file: &Path, speed: f32, clock: Clock) -> Result<(Mode, Feed)> {
    let name = file.display().to_string();
    let tape = if file.extension().is_some_and(|extension| extension == "toml") {
        let text = std::fs::read_to_string(file).wrap_err_with(|| format!("{name} could not be read"))?;
        tape(Scenario::parse(&text, &name).map_err(|error| Usage(error.to_string()))?, clock)
    } else {
        let cursor = ReplayCursor::open(file).map_err(|error| Usage(error.to_string()))?;
        Tape::Recording { cursor: Box::new(cursor), looping: false }
    };
    let mode = Mode::Replay(Replay { speed, ..Replay::new(name) });
    Ok((mode, feed::player(tape, speed, clock)))
}

fn tape(scenario: Scenario, clock: Clock) -> Tape {
    Tape::Scenario(Box::new(ScenarioTape::new(scenario, (clock.wall)(), (clock.mono)())))
}
