//! What feeds the screen, and how much of the past the charts show.

use std::time::Duration;

/// What feeds the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// A collector on this machine.
    Live,
    /// An embedded recording or scenario.
    Demo {
        /// Its name.
        name: String,
    },
    /// A recording.
    Replay(Replay),
    /// A stream on standard input, from another machine.
    Remote,
}

/// Where a replay stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The file's name, for the header.
    pub file: String,
    /// Time from the first sample to the one shown.
    pub position: Duration,
    /// Time from the first sample to the last, once it is known.
    pub length: Option<Duration>,
    /// How many seconds of the recording pass in one.
    pub speed: f32,
    /// Whether it stands still.
    pub paused: bool,
    /// Whether the end is reached.
    pub at_end: bool,
    /// Where and how the file is damaged, if it is.
    pub damage: Option<String>,
}

impl Replay {
    /// The speeds that the keys go through.
    pub const SPEEDS: [f32; 8] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

    /// A replay of `file` at its start.
    #[must_use]
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            position: Duration::ZERO,
            length: None,
            speed: 1.0,
            paused: false,
            at_end: false,
            damage: None,
        }
    }

    /// The next faster or slower speed of the table.
    #[must_use]
    pub(crate) fn next_speed(&self, faster: bool) -> f32 {
        let mut speeds = Self::SPEEDS.iter().copied();
        let found = if faster {
            speeds.find(|speed| *speed > self.speed)
        } else {
            speeds.rev().find(|speed| *speed < self.speed)
        };
        found.unwrap_or(self.speed)
    }
}

/// How much of the past the charts show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// One minute.
    M1,
    /// Five minutes.
    #[default]
    M5,
    /// A quarter of an hour.
    M15,
    /// An hour: all that is kept.
    M60,
}

impl Window {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::M1, Self::M5, Self::M15, Self::M60];

    /// Its length.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::M1 => 60,
            Self::M5 => 300,
            Self::M15 => 900,
            Self::M60 => 3_600,
        }
    }

    /// Its name on the screen.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::M1 => "1 min",
            Self::M5 => "5 min",
            Self::M15 => "15 min",
            Self::M60 => "60 min",
        }
    }

    /// The next longer one, or the shortest after the longest.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::M1 => Self::M5,
            Self::M5 => Self::M15,
            Self::M15 => Self::M60,
            Self::M60 => Self::M1,
        }
    }

    /// The next shorter one, or the longest after the shortest.
    #[must_use]
    pub const fn previous(self) -> Self {
        match self {
            Self::M1 => Self::M60,
            Self::M5 => Self::M1,
            Self::M15 => Self::M5,
            Self::M60 => Self::M15,
        }
    }
}
