//! What is wanted: one change of one setting of one target.

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
    /// Application clocks back to their default.
    ResetApplicationClocks,
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
    /// Reset the GPU.
    Reset,
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

/// A clock that can be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockDomain {
    /// The SMs' clock.
    Graphics,
    /// The memory's clock.
    Memory,
}

impl ClockDomain {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Graphics => "graphics",
            Self::Memory => "memory",
        }
    }
}

/// Compute modes that drivers still take (`nvmlComputeMode_t`; 1, exclusive thread, is gone since CUDA 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeMode {
    /// Any number of processes.
    Default,
    /// One process at a time.
    ExclusiveProcess,
    /// None.
    Prohibited,
}

impl ComputeMode {
    /// The driver's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Default => 0,
            Self::Prohibited => 2,
            Self::ExclusiveProcess => 3,
        }
    }

    /// The mode of that number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Default, Self::Prohibited, Self::ExclusiveProcess].into_iter().find(|m| m.number() == number)
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Prohibited => "prohibited",
            Self::ExclusiveProcess => "exclusive-process",
        }
    }
}

/// Which ECC counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EccCounters {
    /// Since the driver loaded.
    Volatile,
    /// In the GPU's life.
    Aggregate,
}

impl EccCounters {
    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volatile => "volatile",
            Self::Aggregate => "aggregate",
        }
    }

    /// The driver's number (`nvmlEccCounterType_t`).
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Volatile => 0,
            Self::Aggregate => 1,
        }
    }
}

/// Signals that can be sent: name, number on Linux (`signal(7)`, x86 and ARM).
pub const SIGNALS: [(&str, i32); 9] = [
    ("TERM", 15),
    ("INT", 2),
    ("KILL", 9),
    ("HUP", 1),
    ("QUIT", 3),
    ("USR1", 10),
    ("USR2", 12),
    ("STOP", 19),
    ("CONT", 18),
];

/// The number of a signal that can be sent.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

impl Change {
    /// Whether it is about a process rather than a GPU.
    #[must_use]
    pub const fn is_about_process(&self) -> bool {
        matches!(self, Self::Signal { .. } | Self::Renice { .. })
    }

    /// The setting it changes, for people and for the last change of each kind.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::PowerLimit { .. } => "power limit",
            Self::LockClocks { domain: ClockDomain::Graphics, .. }
            | Self::UnlockClocks { domain: ClockDomain::Graphics } => "graphics clock lock",
            Self::LockClocks { .. } | Self::UnlockClocks { .. } => "memory clock lock",
            Self::ResetApplicationClocks => "application clocks",
            Self::Persistence { .. } => "persistence mode",
            Self::ComputeMode { .. } => "compute mode",
            Self::ClearEcc { .. } => "ECC counters",
            Self::Reset => "GPU reset",
            Self::Signal { .. } => "signal",
            Self::Renice { .. } => "niceness",
        }
    }

    /// Whether it cannot be taken back, or ends what runs.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Reset | Self::ClearEcc { .. } => true,
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
            Self::ResetApplicationClocks => "default".to_owned(),
            Self::Persistence { on } => on_off(*on).to_owned(),
            Self::ComputeMode { mode } => mode.name().to_owned(),
            Self::ClearEcc { counters } => format!("0 ({} counters)", counters.name()),
            Self::Reset => "as after power-on".to_owned(),
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
