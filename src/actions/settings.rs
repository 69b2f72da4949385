//! The values that a change can ask for.

use serde::{Deserialize, Serialize};

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

/// What is left where a reset does not help, both through `/sys/bus/pci`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Take the device off the PCI bus and let the kernel find it again.
    PciRescan,
    /// Take the device from its driver and give it back.
    DriverRebind,
}

impl Remedy {
    /// Its title, in the place of a setting's name.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::PciRescan => "PCI remove and rescan",
            Self::DriverRebind => "driver unbind and bind",
        }
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PciRescan => "pci-rescan",
            Self::DriverRebind => "driver-rebind",
        }
    }

    /// What is wanted of it.
    #[must_use]
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::PciRescan => "off the bus, and found again",
            Self::DriverRebind => "off its driver, and on it again",
        }
    }
}
