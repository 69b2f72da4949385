//! What the one who carries a plan out says meanwhile: one JSON object a line.

use super::plan::Refusal;
use serde::{Deserialize, Serialize};

/// A line of progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// A step begins.
    Step {
        /// What is done.
        text: String,
    },
    /// A call has not returned for a while. It is never killed.
    Waiting {
        /// What is waited for.
        text: String,
        /// How long already.
        seconds: u64,
    },
    /// Whoever shows this must stop its own collector now (`false`), which holds the GPU, or may start it again
    /// (`true`). The one who acts waits until it is gone.
    Collector {
        /// Whether the collector may run.
        wanted: bool,
    },
    /// It is over.
    End(Outcome),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and read back.
    Done {
        /// What was read back, and from where.
        verified: String,
    },
    /// Nothing was sent.
    Refused {
        /// Why.
        refusals: Vec<Refusal>,
    },
    /// Something was sent, and the result is not what was wanted.
    Failed {
        /// What went wrong, in whose words.
        error: String,
        /// What the driver says now, where it says anything.
        now: Option<String>,
        /// How to go on.
        advice: String,
    },
}

impl Outcome {
    /// Exit status of the command line: done 0, refused 3, failed 4. 5 is some of several.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Done { .. } => 0,
            Self::Refused { .. } => 3,
            Self::Failed { .. } => 4,
        }
    }

    /// In one line.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Done { verified } => format!("done: {verified}"),
            Self::Refused { refusals } => {
                let reasons: Vec<&str> = refusals.iter().map(|refusal| refusal.reason.as_str()).collect();
                format!("refused, nothing was sent: {}", reasons.join("; "))
            }
            Self::Failed { error, now, advice } => {
                let now = now.as_deref().map(|now| format!("; it is {now} now")).unwrap_or_default();
                format!("failed: {error}{now}; {advice}")
            }
        }
    }
}
