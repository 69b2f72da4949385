//! One GPU that is unlike the others of its job.

use super::rule::{Context, Finding, Rule, ok};
use super::{Area, Severity};
use crate::model::{Gpu, ProcessFacts};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// GPUs of one model and job below which nothing can be said.
const AT_LEAST: usize = 4;
/// Deviation from the median that is told, of the median (own choice).
const SHARE: f32 = 0.15;
/// It must also be this many times the median deviation: jobs whose ranks differ anyway are left alone.
const DEVIATIONS: f32 = 5.0;
/// How long.
const FOR: Duration = Duration::from_secs(10);

pub(super) const RULES: &[Rule] = &[Rule {
    id: "unlike_siblings",
    severity: Severity::Info,
    area: Area::Gpus,
    needs: "at least four GPUs of one model that run one job",
    threshold: "15 % and five median deviations from the median for 10 s (own choice)",
    advice: "Compare its clock event reasons, temperature and links with the others': it holds the job back.",
    raise_after: FOR,
    clear_after: Duration::from_secs(2),
    covers: &[],
    check: unlike,
}];

type Measure = (&'static str, &'static str, fn(&Gpu) -> Option<f32>);

const MEASURES: [Measure; 3] = [
    ("SM clock", "MHz", |gpu| ok(&gpu.fast.as_ref()?.value.sm_clock).map(|band| band.mean)),
    ("SM activity", "%", |gpu| ok(&gpu.gpm.as_ref()?.value.sm).map(|share| share.0)),
    ("power", "W", |gpu| ok(&gpu.fast.as_ref()?.value.power).map(|band| band.mean)),
];

fn unlike(context: &Context<'_>) -> Vec<Finding> {
    let mut groups: BTreeMap<(String, String), Vec<&Gpu>> = BTreeMap::new();
    for gpu in context.answering() {
        if let (Ok(model), Some(job)) = (&gpu.info.name, job(context, gpu)) {
            groups.entry((model.to_string(), job)).or_default().push(gpu);
        }
    }
    groups.into_values().filter(|group| group.len() >= AT_LEAST).flat_map(|group| in_group(&group)).collect()
}

fn in_group(group: &[&Gpu]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (name, unit, measure) in MEASURES {
        let values: Vec<(&Gpu, f32)> = group.iter().filter_map(|gpu| Some((*gpu, measure(gpu)?))).collect();
        if values.len() < AT_LEAST {
            continue;
        }
        let Some(middle) = median(values.iter().map(|(_, value)| *value)) else { continue };
        let spread = median(values.iter().map(|(_, value)| (value - middle).abs())).unwrap_or(0.0);
        for (gpu, value) in values {
            let off = value - middle;
            let told = findings.iter().any(|finding| finding.gpu.as_ref() == Some(&gpu.id));
            if !told && off < 0.0 && -off > middle * SHARE && -off > spread * DEVIATIONS {
                let fact = format!("{name} {value:.0} {unit}, the other GPUs of its job {middle:.0} {unit}");
                let evidence =
                    format!("median {middle:.0} {unit}, deviation {off:.0} {unit} over {} GPUs", group.len());
                findings.push(Finding::of(gpu, &fact, evidence));
            }
        }
    }
    findings
}

fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The one job that a GPU runs: nothing where several share it.
fn job(context: &Context<'_>, gpu: &Gpu) -> Option<String> {
    let running = context.snapshot.processes.iter().filter(|process| process.ended.is_none());
    let here = running.filter(|process| process.gpus.iter().any(|share| share.gpu == gpu.id));
    let jobs: BTreeSet<String> = here.filter_map(|process| name(process.facts.as_deref()?)).collect();
    if jobs.len() == 1 { jobs.into_iter().next() } else { None }
}

fn name(facts: &ProcessFacts) -> Option<String> {
    if let Some(slurm) = &facts.slurm_job {
        return Some(format!("slurm {slurm}"));
    }
    if let Some(pod) = &facts.pod {
        return Some(format!("pod {pod}"));
    }
    if let Some(container) = &facts.container {
        return Some(format!("container {}", container.id));
    }
    facts.parent.as_ref().ok().filter(|parent| **parent > 1).map(|parent| format!("parent {parent}"))
}
