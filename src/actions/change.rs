//! What is wanted: one change of one setting of one target.

use super::settings::{ClockDomain, ComputeMode, EccCounters, Remedy};
use serde::{Deserialize, Serialize};

/// One change. Powers are in milliwatts and clocks in MHz, as the driver takes them: nothing is rounded on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Set the power limit.
    PowerLimit {
        /// The limit.
        milliwatts: u32,
    },
    /// Hold a clock within a range.
    LockClocks {
        /// Which clock.
        domain: ClockDomain,
        /// Least, MHz.
        least: u32,
        /// Greatest, MHz.
        most: u32,
    },
    /// Lift a range from a clock.
    UnlockClocks {
        /// Which clock.
        domain: ClockDomain,
    },
    /// Keep the driver loaded without clients, or not.
    Persistence {
        /// Whether it stays loaded.
        on: bool,
    },
    /// Who may use the GPU for compute.
    ComputeMode {
        /// The mode.
        mode: ComputeMode,
    },
    /// Set ECC counters to zero.
    ClearEcc {
        /// Which counters.
        counters: EccCounters,
    },
    /// Application clocks back to their defaults.
    DefaultApplicationClocks,
    /// Make MIG instances, each with the compute instance that fills it.
    MigCreate {
        /// Profiles as the driver numbers or names them, in the order in which they are placed: `19`, `3g.40gb`.
        profiles: Vec<String>,
    },
    /// Destroy MIG instances, with the compute instances on them.
    MigDestroy {
        /// Number of the GPU instance; `None`: every instance of the GPU.
        instance: Option<u32>,
    },
    /// Reset the GPU.
    Reset,
    /// What is left where a reset does not help. Only with `--last-resort`.
    LastResort {
        /// Which remedy.
        remedy: Remedy,
    },
    /// Send a signal to a process.
    Signal {
        /// Name without `SIG`: `TERM`.
        name: String,
    },
    /// Change a process's niceness.
    Renice {
        /// −20 (first) to 19 (last).
        nice: i32,
    },
}

impl Change {
    /// Whether it is about a process rather than a GPU.
    #[must_use]
    pub const fn is_about_process(&self) -> bool {
        matches!(self, Self::Signal { .. } | Self::Renice { .. })
    }

    /// Whether the GPU has to be free of every holder, kgtop's own collector included: a reset and what goes further.
    #[must_use]
    pub const fn takes_the_gpu_away(&self) -> bool {
        matches!(self, Self::Reset | Self::LastResort { .. })
    }

    /// The setting it changes, for people and for the last change of each kind.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::PowerLimit { .. } => "power limit",
            Self::LockClocks { domain: ClockDomain::Graphics, .. }
            | Self::UnlockClocks { domain: ClockDomain::Graphics } => "graphics clock lock",
            Self::LockClocks { .. } | Self::UnlockClocks { .. } => "memory clock lock",
            Self::Persistence { .. } => "persistence mode",
            Self::ComputeMode { .. } => "compute mode",
            Self::ClearEcc { .. } => "ECC counters",
            Self::DefaultApplicationClocks => "application clocks",
            Self::MigCreate { .. } | Self::MigDestroy { .. } => "MIG instances",
            Self::Reset => "GPU reset",
            Self::LastResort { remedy } => remedy.title(),
            Self::Signal { .. } => "signal",
            Self::Renice { .. } => "niceness",
        }
    }

    /// Whether it cannot be taken back, or ends what runs.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Reset | Self::LastResort { .. } | Self::MigDestroy { .. } | Self::ClearEcc { .. } => true,
            Self::Signal { name } => name == "KILL",
            _ => false,
        }
    }

    /// What is wanted, with its unit.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::PowerLimit { milliwatts } => format_watts(*milliwatts),
            Self::LockClocks { least, most, .. } => format!("{least} to {most} MHz"),
            Self::UnlockClocks { .. } => "not locked".to_owned(),
            Self::Persistence { on } => on_off(*on).to_owned(),
            Self::ComputeMode { mode } => mode.name().to_owned(),
            Self::ClearEcc { counters } => format!("0 ({} counters)", counters.name()),
            Self::DefaultApplicationClocks => "default".to_owned(),
            Self::MigCreate { profiles } => format!("{} more: {}", profiles.len(), profiles.join(", ")),
            Self::MigDestroy { instance: Some(number) } => format!("GPU instance {number} destroyed"),
            Self::MigDestroy { instance: None } => "none: all destroyed".to_owned(),
            Self::Reset => "as after power-on".to_owned(),
            Self::LastResort { remedy } => remedy.wanted().to_owned(),
            Self::Signal { name } => format!("SIG{name} sent"),
            Self::Renice { nice } => nice.to_string(),
        }
    }
}

/// Milliwatts as watts, without a fraction that is not there.
pub(super) fn format_watts(milliwatts: u32) -> String {
    if milliwatts.is_multiple_of(1_000) {
        format!("{} W", milliwatts / 1_000)
    } else {
        format!("{:.3} W", f64::from(milliwatts) / 1_000.0)
    }
}

pub(super) const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
