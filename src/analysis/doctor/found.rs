//! What a check found.

use std::sync::Arc;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it should be.
    Pass,
    /// It works, and costs something or will not last.
    Warn,
    /// It does not work.
    Fail,
    /// Not checked; the summary says why.
    Skipped,
}

impl Outcome {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }

    /// How bad it is; what was not checked, or passed, is not bad.
    pub(super) const fn gravity(self) -> u8 {
        match self {
            Self::Fail => 2,
            Self::Warn => 1,
            Self::Skipped | Self::Pass => 0,
        }
    }
}

/// Something that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where: file and line (`/etc/environment:3`), or the driver's call.
    pub place: String,
    /// What.
    pub text: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What came of it.
    pub outcome: Outcome,
    /// One sentence.
    pub summary: String,
    /// What was read.
    pub evidence: Vec<Evidence>,
    /// What to do, in words, where commands alone do not say it; one for each thing that was found.
    pub advice: Vec<String>,
    /// Commands that repair it, or that show more.
    pub fix: Vec<String>,
}

impl Found {
    fn new(outcome: Outcome, summary: impl Into<String>) -> Self {
        Self { outcome, summary: summary.into(), evidence: Vec::new(), advice: Vec::new(), fix: Vec::new() }
    }

    pub(super) fn pass(summary: impl Into<String>) -> Self {
        Self::new(Outcome::Pass, summary)
    }

    pub(super) fn warn(summary: impl Into<String>) -> Self {
        Self::new(Outcome::Warn, summary)
    }

    pub(super) fn fail(summary: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, summary)
    }

    pub(super) fn skip(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, reason)
    }

    /// Adds what was read.
    pub(super) fn seen(mut self, place: impl Into<String>, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { place: place.into(), text: text.into() });
        self
    }

    /// Adds a line of a file.
    pub(super) fn line(self, path: &str, (number, text): &(u32, Arc<str>)) -> Self {
        self.seen(format!("{path}:{number}"), text.trim())
    }

    /// Adds lines of a file.
    pub(super) fn lines<'a>(self, path: &str, lines: impl IntoIterator<Item = &'a (u32, Arc<str>)>) -> Self {
        lines.into_iter().fold(self, |found, line| found.line(path, line))
    }

    /// Adds what to do in words.
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }

    /// Adds what to do about several things: the same advice once, with what it is about where not all is alike.
    pub(super) fn advise_each<'a>(self, each: impl IntoIterator<Item = (String, &'a str)>) -> Self {
        let mut told: Vec<(Vec<String>, &str)> = Vec::new();
        for (about, advice) in each.into_iter().filter(|(_, advice)| !advice.is_empty()) {
            match told.iter_mut().find(|(_, known)| *known == advice) {
                Some((abouts, _)) if abouts.contains(&about) => {}
                Some((abouts, _)) => abouts.push(about),
                None => told.push((vec![about], advice)),
            }
        }
        let alone = told.len() == 1;
        told.into_iter().fold(self, |found, (mut abouts, advice)| {
            abouts.retain(|about| !about.is_empty());
            if alone || abouts.is_empty() {
                found.advise(advice)
            } else {
                found.advise(format!("{}: {advice}", abouts.join(", ")))
            }
        })
    }

    /// Adds a command.
    pub(super) fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }
}
