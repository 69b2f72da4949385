//! A reading: the value, or why there is none.

use std::fmt;
use std::sync::Arc;

/// Why a value is absent. Absent is never zero: the screen prints the reason's [`label`](Self::label).
#[derive(Clone, Debug, PartialEq)]
pub enum Absence {
    /// The device, its mode or this driver does not have it (NVML 3, 13, 25, or a missing symbol).
    NotSupported,
    /// It exists, and this user may not read it (NVML 4, `EACCES`).
    NoPermission,
    /// Nobody asked for it yet (a hidden group, or an older writer that did not know it).
    NotRequested,
    /// The device sleeps and was left asleep.
    Asleep,
    /// The device no longer answers (NVML 15).
    Lost,
    /// The read failed: the driver's or kernel's code, and its text.
    Failed {
        /// NVML return code, or the errno, or 0 where there is none.
        code: i32,
        /// What the driver or kernel called it.
        text: Arc<str>,
    },
    /// A window or a rate that the stream does not cover yet.
    InsufficientHistory {
        /// How much of it was seen, in seconds.
        seen_seconds: f32,
    },
}

/// A value as read, or the reason why there is none. Freshness belongs to the group, see
/// [`Grouped`](super::Grouped).
pub type Reading<T> = Result<T, Absence>;

impl Absence {
    /// A failure with a code and a text.
    #[must_use]
    pub fn failed(code: i32, text: impl Into<Arc<str>>) -> Self {
        Self::Failed { code, text: text.into() }
    }

    /// Whether the driver was asked and gave no answer: no permission, or an error of its own.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::NoPermission | Self::Failed { .. })
    }

    /// The name in the stream and in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotSupported => "not_supported",
            Self::NoPermission => "no_permission",
            Self::NotRequested => "not_requested",
            Self::Asleep => "asleep",
            Self::Lost => "lost",
            Self::Failed { .. } => "failed",
            Self::InsufficientHistory { .. } => "insufficient_history",
        }
    }

    /// What a cell shows in place of the value; at most seven characters.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotSupported => "n/a",
            Self::NoPermission => "no perm",
            Self::NotRequested | Self::InsufficientHistory { .. } => "–",
            Self::Asleep => "asleep",
            Self::Lost => "lost",
            Self::Failed { .. } => "error",
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported => f.write_str("not supported here"),
            Self::NoPermission => f.write_str("no permission"),
            Self::NotRequested => f.write_str("not read"),
            Self::Asleep => f.write_str("asleep"),
            Self::Lost => f.write_str("GPU lost"),
            Self::Failed { code, text } if *code == 0 => write!(f, "failed: {text}"),
            Self::Failed { code, text } => write!(f, "failed: {text} ({code})"),
            Self::InsufficientHistory { seen_seconds: 0.0 } => f.write_str("no samples"),
            Self::InsufficientHistory { seen_seconds } => write!(f, "only {seen_seconds:.0} s seen"),
        }
    }
}

/// Small conveniences on readings.
pub trait ReadingExt<T> {
    /// The value, if it was read.
    fn value(&self) -> Option<&T>;
    /// Whether the reading was never asked for; such readings are left out of the stream.
    fn not_requested(&self) -> bool;
}

impl<T> ReadingExt<T> for Reading<T> {
    fn value(&self) -> Option<&T> {
        self.as_ref().ok()
    }

    fn not_requested(&self) -> bool {
        matches!(self, Err(Absence::NotRequested))
    }
}

/// A copy of the value, if it was read.
#[must_use]
pub fn known<T: Clone>(reading: &Reading<T>) -> Option<T> {
    reading.as_ref().ok().cloned()
}
