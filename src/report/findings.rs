//! Findings as text.

use super::rfc3339;
use crate::analysis::Verdict;
use crate::model::Snapshot;
use crate::units::{Wall, printable_lines};
use std::fmt::Write as _;

/// Every finding with its evidence and what to do, the worst first.
#[must_use]
pub fn findings_text(snapshot: &Snapshot, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    for verdict in verdicts {
        let age = i64::try_from(snapshot.mono.since(verdict.since).as_micros()).unwrap_or(i64::MAX);
        let since = rfc3339(Wall(snapshot.wall.0.saturating_sub(age))).unwrap_or_default();
        let _ = writeln!(out, "{:<8}  {}  ({})", verdict.severity.name(), verdict.summary, verdict.rule);
        let _ = writeln!(out, "    since:      {since}");
        let _ = writeln!(out, "    evidence:   {}", verdict.evidence);
        let _ = writeln!(out, "    what to do: {}\n", verdict.advice);
    }
    if out.is_empty() { "no findings\n".into() } else { printable_lines(&out).into_owned() }
}
