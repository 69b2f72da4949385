//! Made-up rigs: a TOML file holds a rig, what happens to it over time, the faults of its driver calls, and the
//! verdicts that are expected of it. The same scenario drives the demo ([`ScenarioPlayer`]), the frame tests and
//! the stand-in driver library (`examples/nvml_stand_in`), so they cannot disagree.
//!
//! Everything is a pure function of the time since the start: nothing is random, nothing reads a clock.

mod compile;
mod error;
mod fault;
mod load;
mod metric;
mod models;
mod player;
mod preset;
mod rig;
mod spec;
mod storage;
mod truth;

pub use error::ScenarioError;
pub use fault::{FaultKind, FaultRig};
pub use metric::{Metric, Values};
pub use player::ScenarioPlayer;
pub use preset::{PRESETS, Preset};
pub use rig::{GpuRig, HostRig, MigRig, ProcessRig};
pub use truth::{COUNTED_REASONS, Cumulative, GpuTruth, HostTruth, ProcessTruth, RigTruth};

use spec::EndName;
use std::time::Duration;

/// A line of the kernel log that a scenario writes.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelLine {
    /// When, in seconds of the scenario.
    pub at: f64,
    /// syslog priority.
    pub priority: u8,
    /// The text.
    pub text: String,
}

/// A verdict that is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Name of the rule.
    pub rule: String,
    /// Which GPU; `None` for the host or driver.
    pub gpu: Option<u32>,
    /// From when, in seconds of the scenario.
    pub from: f64,
    /// Until when; infinity for the end.
    pub to: f64,
}

/// A scenario, ready to be asked what is true at any time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    name: String,
    title: String,
    interval: Duration,
    duration: Duration,
    end: EndName,
    host: HostRig,
    gpus: Vec<GpuRig>,
    processes: Vec<ProcessRig>,
    models: Vec<models::ModelSpec>,
    storage: Option<storage::StorageSpec>,
    lines: Vec<KernelLine>,
    faults: Vec<FaultRig>,
    expectations: Vec<Expectation>,
}

impl Scenario {
    /// Reads a scenario; `name` is the file in error messages.
    ///
    /// # Errors
    /// Names the line, and for an unknown key the nearest valid one.
    pub fn parse(text: &str, name: &str) -> Result<Self, ScenarioError> {
        let file: spec::File =
            toml::from_str(text).map_err(|error| ScenarioError::from_toml(name, text, &error))?;
        compile::compile(file, name, text)
    }

    /// The name it was parsed under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it shows, in a sentence.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Time between samples.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Length of the timeline.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether it begins again at its end; else it stays as it is.
    #[must_use]
    pub fn loops(&self) -> bool {
        self.end == EndName::Loop
    }

    /// Whether its stream ends with it.
    #[must_use]
    pub fn ends(&self) -> bool {
        self.end == EndName::Bye
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &HostRig {
        &self.host
    }

    /// The GPUs by index.
    #[must_use]
    pub fn gpus(&self) -> &[GpuRig] {
        &self.gpus
    }

    /// All processes, whether they are there at a time or not.
    #[must_use]
    pub fn processes(&self) -> &[ProcessRig] {
        &self.processes
    }

    /// Kernel log lines by time.
    #[must_use]
    pub fn kernel_lines(&self) -> &[KernelLine] {
        &self.lines
    }

    /// Faults of driver calls.
    #[must_use]
    pub fn faults(&self) -> &[FaultRig] {
        &self.faults
    }

    /// The verdicts that are expected.
    #[must_use]
    pub fn expectations(&self) -> &[Expectation] {
        &self.expectations
    }

    /// Seconds on the scenario's own timeline: wrapped where it loops. Where it stays, time goes on (so that
    /// values go on trembling).
    pub(crate) fn local(&self, t: Duration) -> f64 {
        let seconds = t.as_secs_f64();
        if self.loops() { seconds.rem_euclid(self.duration.as_secs_f64()) } else { seconds }
    }
}

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        const EMBEDDED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../assets/scenarios/", $name, ".toml")))),*];
    };
}

embedded!(
    "incident-8xh100",
    "healthy-8xh100",
    "model-load",
    "healthy-2xh200",
    "healthy-1xh200",
    "idle",
    "mixed-16",
    "mig",
    "throttled",
    "xid",
    "lost",
    "stalled",
    "init-stalled",
    "no-permission",
    "no-driver",
    "laptop-asleep",
);

/// The text of an embedded scenario.
#[must_use]
pub fn embedded(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of the embedded scenarios.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

#[cfg(test)]
#[path = "scenario/scenario_tests.rs"]
mod tests;
