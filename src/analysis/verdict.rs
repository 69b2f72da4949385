//! Findings: what is wrong, with which GPU, since when, on what evidence, and what to do.
//!
//! A rule is an entry of data ([`Rule`]): its check looks at one snapshot, [`Judge`] does the rest for all rules
//! alike: how long a finding must hold before it is told, how long it is told after it was last seen, since when it
//! holds, and which finding another one covers.

mod health;
mod heat;
mod incident;
mod link;
mod load;
mod memory;
mod rule;
mod setup;
mod siblings;
mod state;

pub use rule::{Context, Finding, Rule};

use super::events::Incident;
use crate::model::{GpuId, Snapshot};
use crate::units::Mono;
use memory::Memory;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Will become a fault, or costs performance.
    Warning,
    /// Work is lost or about to be.
    Critical,
}

impl Severity {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Where the evidence of a finding is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The GPUs.
    Gpus,
    /// The processes.
    Processes,
    /// Links and affinities.
    Topology,
    /// Clock events, power and heat.
    Limits,
    /// The kernel log.
    Events,
    /// Pools, datasets, devices.
    Storage,
    /// The layers from the bus to the container.
    Doctor,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Stable name of the rule (`gpu_lost`).
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The GPU it is about; `None` for the host or the driver.
    pub gpu: Option<GpuId>,
    /// Other GPUs that it concerns: the ones that wait behind a stalled one.
    pub others: Vec<GpuId>,
    /// The thing beside a GPU that it is about, such as a port; often empty.
    pub subject: String,
    /// Where to look.
    pub area: Area,
    /// One sentence, the GPU's number in it.
    pub summary: String,
    /// What was read that says so.
    pub evidence: String,
    /// What to do.
    pub advice: String,
    /// Since when.
    pub since: Mono,
}

impl Verdict {
    /// What it is known by while others come and go.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.rule, self.gpu.clone(), self.subject.clone())
    }

    /// Whether it wants something done, in place of being only worth knowing.
    #[must_use]
    pub fn is_a_warning(&self) -> bool {
        self.severity >= Severity::Warning
    }

    /// Whether it is about that GPU.
    #[must_use]
    pub fn concerns(&self, gpu: &GpuId) -> bool {
        self.gpu.as_ref() == Some(gpu) || self.others.contains(gpu)
    }
}

/// All rules, in the order in which findings of one severity are told: what ends a job before what slows it.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        state::RULES,
        incident::RULES,
        health::RULES,
        heat::RULES,
        link::RULES,
        setup::RULES,
        load::RULES,
        siblings::RULES,
        super::storage::VERDICTS,
    ]
    .into_iter()
    .flatten()
}

/// What a finding is remembered by: the rule, the GPU, and the thing beside a GPU (a port).
pub type Key = (&'static str, Option<GpuId>, String);

#[derive(Clone, Debug)]
struct Held {
    first: Mono,
    last: Mono,
    told: bool,
    verdict: Verdict,
}

/// The fold from snapshots to findings: remembers since when each holds.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    held: BTreeMap<Key, Held>,
    memory: Memory,
}

impl Judge {
    /// Judges one snapshot; the worst finding first, of equally bad ones as the rules stand ([`rules`]), the newest
    /// first.
    pub fn push(&mut self, snapshot: &Snapshot) -> Vec<Verdict> {
        self.push_with(snapshot, &[])
    }

    /// The same, with what the kernel log told.
    pub fn push_with(&mut self, snapshot: &Snapshot, incidents: &[&Incident]) -> Vec<Verdict> {
        self.memory.learn(snapshot);
        let context = Context { snapshot, incidents, memory: &self.memory };
        let now = snapshot.mono;
        let mut seen = BTreeSet::new();
        for rule in rules() {
            for finding in (rule.check)(&context) {
                let key = (rule.id, finding.gpu.clone(), finding.subject.clone());
                seen.insert(key.clone());
                hold(&mut self.held, key, rule, finding, now);
            }
        }
        self.held.retain(|key, held| {
            seen.contains(key) || held.told && now.since(held.last) < clear_after(key.0) && now >= held.last
        });
        self.told()
    }

    fn told(&self) -> Vec<Verdict> {
        let told: Vec<&Verdict> =
            self.held.values().filter(|held| held.told).map(|held| &held.verdict).collect();
        let covered = |verdict: &Verdict| {
            told.iter().any(|other| {
                other.gpu == verdict.gpu
                    && by_id(other.rule).is_some_and(|rule| rule.covers.contains(&verdict.rule))
            })
        };
        let mut verdicts: Vec<Verdict> =
            told.iter().filter(|verdict| !covered(verdict)).map(|&verdict| verdict.clone()).collect();
        let place = |id: &str| rules().position(|rule| rule.id == id);
        verdicts
            .sort_by_key(|verdict| (Reverse(verdict.severity), place(verdict.rule), Reverse(verdict.since)));
        verdicts
    }
}

fn hold(held: &mut BTreeMap<Key, Held>, key: Key, rule: &Rule, finding: Finding, now: Mono) {
    let first = held.get(&key).map_or(now, |held| held.first);
    let since = finding.since.unwrap_or(first);
    let verdict = Verdict {
        rule: rule.id,
        severity: finding.severity.unwrap_or(rule.severity),
        gpu: finding.gpu,
        others: finding.others,
        subject: finding.subject,
        area: rule.area,
        summary: finding.summary,
        evidence: finding.evidence,
        advice: finding.advice.unwrap_or_else(|| rule.advice.to_owned()),
        since,
    };
    let told = now.since(first) >= rule.raise_after;
    held.insert(key, Held { first, last: now, told, verdict });
}

fn by_id(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

fn clear_after(id: &str) -> Duration {
    by_id(id).map_or(Duration::ZERO, |rule| rule.clear_after)
}

#[cfg(test)]
mod tests;
