//! The judgement: on which GPUs it fits, with which settings, or by how much it does not.

use super::Request;
use super::machine::Machine;
use super::need::{KvType, Need, need};
use crate::model::{Absence, ModelShape, Reading, known};
use crate::units::Bytes;

/// A context shorter than this is of no use to anybody, and not offered.
const LEAST_CONTEXT: u64 = 1_024;
/// No model takes more tokens: where the search for the largest context ends for a model that does not say.
const MOST_CONTEXT: u64 = 16 << 20;
/// Machines are not joined to more GPUs than this where it is said how many would be needed.
const MOST_GPUS: u64 = 1_024;

/// GPUs that could share the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Their numbers.
    pub gpus: Vec<u32>,
    /// Where it is a MIG instance of the one GPU: its id and profile.
    pub instance: Option<String>,
    /// NVLink joins each with each; one alone needs no link.
    pub linked: bool,
    /// Free memory of the fullest of them.
    pub free: Bytes,
    /// Memory of the smallest of them, all of it, where it is known of each.
    pub total: Option<Bytes>,
    /// What each must hold.
    pub need: Need,
}

impl Candidate {
    /// Whether it fits into what is free.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.need.sum() <= self.free
    }
}

/// Other settings with which it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// On these GPUs, with what each holds then.
    pub candidate: Candidate,
    /// With this largest context.
    pub context: u64,
    /// With this cache.
    pub kv_type: KvType,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It fits as asked.
    Fits {
        /// On the fewest GPUs that take it.
        candidate: Candidate,
        /// Largest context there, all else as asked.
        largest_context: u64,
    },
    /// It fits with other settings.
    FitsWith(Vec<Alternative>),
    /// It does not fit.
    No {
        /// The GPUs that come nearest.
        nearest: Candidate,
        /// It would fit there if nothing else were in their memory.
        when_empty: bool,
        /// So many GPUs like the largest here would take it as asked; `None`: more than anybody joins.
        gpus_needed: Option<u64>,
    },
    /// It cannot be judged, and why.
    Unknown(String),
}

/// A judgement with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// What was asked for.
    pub request: Request,
    /// What one GPU alone would have to hold; absent with the reason.
    pub alone: Reading<Need>,
    /// Tokens that the model was trained for, where that is known.
    pub trained: Option<u64>,
    /// Every set of GPUs that was tried, the fewest first.
    pub candidates: Vec<Candidate>,
    /// The outcome.
    pub outcome: Outcome,
}

/// Judges.
#[must_use]
pub fn judge(shape: &ModelShape, request: Request, machine: &Machine) -> Fit {
    let alone = need(shape, &request, 1);
    let candidates = candidates(shape, &request, machine);
    let outcome = match &alone {
        Err(absence) => Outcome::Unknown(reason(absence)),
        Ok(_) if machine.gpus.is_empty() => Outcome::Unknown("there is no GPU to judge against".into()),
        Ok(_) => match candidates.iter().find(|candidate| candidate.fits()) {
            Some(candidate) => Outcome::Fits {
                largest_context: largest_context(shape, &request, candidate)
                    .map_or(request.context, |context| context.max(request.context)),
                candidate: candidate.clone(),
            },
            None => without(shape, &request, machine, &candidates),
        },
    };
    Fit { request, alone, trained: shape.geometry.context, candidates, outcome }
}

/// Why something is not known, in words that stand in a sentence of their own.
pub(super) fn reason(absence: &Absence) -> String {
    match absence {
        Absence::Failed { code: 0, text } => text.to_string(),
        other => other.to_string(),
    }
}

/// The outcome when nothing takes it as asked.
fn without(shape: &ModelShape, request: &Request, machine: &Machine, candidates: &[Candidate]) -> Outcome {
    let smaller = KvType::ALL.into_iter().filter(|kind| kind.bytes(64) <= request.kv_type.bytes(64));
    let mut found: Vec<Alternative> = smaller
        .filter_map(|kv_type| {
            let request = Request { kv_type, ..*request };
            let best = candidates.iter().filter_map(|candidate| {
                let context = largest_context(shape, &request, candidate)?.min(request.context);
                Some((context, candidate))
            });
            // Of those that reach as far, the fewest GPUs, which come first.
            let (context, candidate) =
                best.fold(None, |best: Option<(u64, &Candidate)>, next| match best {
                    Some(best) if best.0 >= next.0 => Some(best),
                    _ => Some(next),
                })?;
            let request = Request { context, ..request };
            let each = need(shape, &request, candidate.gpus.len() as u64).ok()?;
            Some(Alternative { candidate: Candidate { need: each, ..candidate.clone() }, context, kv_type })
        })
        .collect();
    // A smaller cache that gains no context is nothing to offer; of two kinds of 8 bits, each framework has one.
    let whole = found.iter().find(|other| other.kv_type == KvType::F16).map(|other| other.context);
    found.retain(|other| other.kv_type == KvType::F16 || whole.is_none_or(|whole| other.context > whole));
    found.sort_by_key(|alternative| std::cmp::Reverse(alternative.context));
    if !found.is_empty() {
        return Outcome::FitsWith(found);
    }
    let short = |candidate: &&Candidate| candidate.need.sum().saturating_sub(candidate.free);
    let Some(nearest) = candidates.iter().min_by_key(short).cloned() else {
        return Outcome::Unknown("the free memory of no GPU is known".into());
    };
    let when_empty =
        candidates.iter().any(|candidate| candidate.total.is_some_and(|total| candidate.need.sum() <= total));
    let whole = machine.gpus.iter().filter(|gpu| gpu.instance.is_none());
    let largest = whole.filter_map(|gpu| known(&gpu.total)).max().unwrap_or_default();
    let gpus_needed = (1..=MOST_GPUS)
        .filter(|gpus| divides(shape, *gpus))
        .find(|gpus| need(shape, request, *gpus).is_ok_and(|each| each.sum() <= largest));
    Outcome::No { nearest, when_empty, gpus_needed }
}

/// Whether tensor parallelism can divide the model by that number: it divides attention by heads.
fn divides(shape: &ModelShape, gpus: u64) -> bool {
    match shape.geometry.heads {
        Some(heads) => heads.is_multiple_of(gpus),
        None => gpus.is_power_of_two(),
    }
}

/// Sets of GPUs to try: within each group that NVLink joins, then any; of each size those with the most free memory.
fn candidates(shape: &ModelShape, request: &Request, machine: &Machine) -> Vec<Candidate> {
    let is_whole = |place: &usize| machine.gpus.get(*place).is_some_and(|gpu| gpu.instance.is_none());
    let (all, instances): (Vec<usize>, Vec<usize>) = (0..machine.gpus.len()).partition(is_whole);
    let mut found: Vec<Candidate> = Vec::new();
    for size in (1..=all.len().max(1)).filter(|size| divides(shape, *size as u64)) {
        let Ok(each) = need(shape, request, size as u64) else { return Vec::new() };
        let linked = machine.linked.iter().map(|group| (group, true));
        for (pool, linked) in linked.chain([(&all, size == 1)]) {
            let Some(candidate) = best(machine, pool, size, linked, each) else { continue };
            if !found.iter().any(|other| other.gpus == candidate.gpus) {
                found.push(candidate);
            }
        }
        // Each GPU alone is worth a line, and so is each instance: the freest first, since the first that fits is taken.
        if size == 1 {
            let alone = |place: &usize| best(machine, std::slice::from_ref(place), 1, true, each);
            let whole: Vec<Candidate> = all.iter().filter_map(alone).collect();
            let mut parts: Vec<Candidate> = instances.iter().filter_map(alone).collect();
            parts.sort_by_key(|candidate| std::cmp::Reverse(candidate.free));
            for candidate in whole {
                if !found.iter().any(|other| other.gpus == candidate.gpus) {
                    found.push(candidate);
                }
            }
            found.extend(parts);
        }
    }
    found
}

fn best(machine: &Machine, pool: &[usize], size: usize, linked: bool, need: Need) -> Option<Candidate> {
    let mut gpus: Vec<(Bytes, u32, Option<Bytes>)> = pool
        .iter()
        .filter_map(|place| machine.gpus.get(*place))
        .filter_map(|gpu| Some((known(&gpu.free)?, gpu.index, known(&gpu.total))))
        .collect();
    gpus.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    gpus.truncate(size);
    if gpus.len() < size {
        return None;
    }
    let free = gpus.last().map(|gpu| gpu.0)?;
    let total =
        gpus.iter().map(|gpu| gpu.2).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
    let mut indexes: Vec<u32> = gpus.iter().map(|gpu| gpu.1).collect();
    indexes.sort_unstable();
    let first = pool.first().and_then(|place| machine.gpus.get(*place));
    let instance = first.filter(|_| pool.len() == 1).and_then(|gpu| gpu.instance.clone());
    Some(Candidate { gpus: indexes, instance, linked, free, total, need })
}

/// The largest context that fits there, all else as asked; `None` if not even a short one does.
fn largest_context(shape: &ModelShape, request: &Request, candidate: &Candidate) -> Option<u64> {
    // What was asked for counts, also where it is more than the model was trained for.
    let most = shape.geometry.context.unwrap_or(MOST_CONTEXT).max(request.context).min(MOST_CONTEXT);
    let fits = |context: u64| {
        let request = Request { context, ..*request };
        need(shape, &request, candidate.gpus.len() as u64).is_ok_and(|each| each.sum() <= candidate.free)
    };
    let least = LEAST_CONTEXT.min(most);
    if !fits(least) {
        return None;
    }
    let (mut low, mut high) = (least, most + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    Some(low)
}
