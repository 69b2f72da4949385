//! What could be better about storage. A rule looks at one snapshot; what costs work now is a verdict too
//! ([`VERDICTS`]), what is only set up badly stands in the storage tab. A command is shown, never run.

mod amplification;
mod cache;
mod checkpoints;
mod datasets;
mod pools;
#[cfg(test)]
mod tests;
mod weights;

pub use amplification::Amplification;

use super::Severity;
use super::verdict::{Area, Context, Finding, Rule};
use crate::model::{PoolView, Snapshot};
use std::cmp::Reverse;
use std::time::Duration;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Stable name of the rule (`zfs_pool_full`).
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The pool, dataset or device.
    pub subject: String,
    /// One sentence.
    pub summary: String,
    /// What was read that says so.
    pub evidence: String,
    /// What to do.
    pub advice: String,
    /// The command that does it.
    pub command: Option<String>,
}

/// A rule of advice.
pub struct AdviceRule {
    /// Stable name.
    pub id: &'static str,
    /// The threshold and where it comes from.
    pub threshold: &'static str,
    /// Looks at one snapshot.
    pub check: fn(&Snapshot) -> Vec<Advice>,
}

/// All rules, in the order in which equally grave advice is told.
pub const RULES: &[AdviceRule] = &[
    pools::SUSPENDED,
    pools::UNHEALTHY,
    pools::FULL,
    amplification::RULE,
    weights::METADATA_ONLY,
    weights::RECORD_SIZE,
    weights::COMPRESSION,
    weights::ATIME,
    checkpoints::RULE,
    pools::SCRUB,
    cache::SECOND_LEVEL,
    cache::GPU_DIRECT,
    datasets::LOCKED,
];

/// All advice, the gravest first.
#[must_use]
pub fn advice(snapshot: &Snapshot) -> Vec<Advice> {
    let mut found: Vec<Advice> = RULES.iter().flat_map(|rule| (rule.check)(snapshot)).collect();
    found.sort_by_key(|advice| Reverse(advice.severity));
    found
}

/// How bad a pool stands: suspended, unhealthy, full; `None` where all is well.
#[must_use]
pub fn severity_of(pool: &PoolView<'_>) -> Option<Severity> {
    pools::worst(pool)
}

/// A read amplification is told once it lasted: the start of a program reads in fits.
const AMPLIFIED_FOR: Duration = Duration::from_secs(5);

const fn verdict(
    rule: &AdviceRule,
    severity: Severity,
    raise_after: Duration,
    check: fn(&Context<'_>) -> Vec<Finding>,
) -> Rule {
    Rule {
        id: rule.id,
        severity,
        area: Area::Storage,
        needs: "ZFS's kernel statistics, and zpool where they lack it",
        threshold: rule.threshold,
        advice: "See the advice of the storage tab.",
        raise_after,
        clear_after: Duration::ZERO,
        covers: &[],
        check,
    }
}

/// The rules that are verdicts too.
pub const VERDICTS: &[Rule] = &[
    verdict(&pools::SUSPENDED, Severity::Critical, Duration::ZERO, |context| {
        told(context, &pools::SUSPENDED)
    }),
    verdict(&pools::UNHEALTHY, Severity::Warning, Duration::ZERO, |context| told(context, &pools::UNHEALTHY)),
    verdict(&pools::FULL, Severity::Warning, Duration::ZERO, |context| told(context, &pools::FULL)),
    verdict(&amplification::RULE, Severity::Warning, AMPLIFIED_FOR, |context| {
        told(context, &amplification::RULE)
    }),
];

fn told(context: &Context<'_>, rule: &AdviceRule) -> Vec<Finding> {
    let finding = |advice: Advice| Finding {
        subject: advice.subject,
        severity: Some(advice.severity),
        summary: advice.summary,
        evidence: advice.evidence,
        advice: Some(match advice.command {
            Some(command) => format!("{} {command}", advice.advice),
            None => advice.advice,
        }),
        ..Finding::default()
    };
    (rule.check)(context.snapshot).into_iter().map(finding).collect()
}

/// A name as an argument of a shell: quoted where it holds a blank.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | ':' | '@');
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}
