//! The judgement in sentences and aligned lines, for the terminal and for the screen.

mod notes;

pub use notes::notes;

use super::judge::{Candidate, Fit, Outcome, judge, reason};
use super::machine::Machine;
use super::need::{KvType, STEP_TOKENS};
use super::{Request, USUAL_CONTEXT};
use crate::model::{ModelShape, known};
use crate::units::Bytes;
use std::fmt::Write as _;

/// A number with its thousands apart: `131,072`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Parameters as models are named: `70.6 B`, `494 M`.
#[must_use]
pub fn parameters(number: u64) -> String {
    match number {
        0..1_000_000 => grouped(number),
        1_000_000..1_000_000_000 => format!("{:.0} M", number as f64 / 1e6),
        _ if number < 100_000_000_000 => format!("{:.1} B", number as f64 / 1e9),
        _ => format!("{:.0} B", number as f64 / 1e9),
    }
}

/// `GPU 0`, `GPUs 0-3`, `GPUs 0,2`.
#[must_use]
pub fn gpu_list(indexes: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for index in indexes {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => parts.push((*index, *index)),
        }
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    format!("GPU{} {}", if indexes.len() == 1 { "" } else { "s" }, parts.join(","))
}

/// The outcome in one or two sentences.
#[must_use]
pub fn sentence(fit: &Fit, machine: &Machine) -> String {
    let request = &fit.request;
    let asked =
        format!("{} tokens × {} ({} cache)", grouped(request.context), request.batch, request.kv_type.name());
    let trained = match fit.trained {
        Some(trained) if request.context > trained => {
            format!(" The model was trained for {} tokens only.", grouped(trained))
        }
        _ => String::new(),
    };
    let outcome = match &fit.outcome {
        Outcome::Fits { candidate, largest_context } => format!(
            "Fits {} with {asked}, {} to spare{}. Largest context there: {} tokens.",
            on(candidate, machine),
            candidate.free.saturating_sub(candidate.need.sum()),
            each(candidate),
            grouped(*largest_context),
        ),
        Outcome::FitsWith(others) => {
            let ways: Vec<String> = others
                .iter()
                .map(|other| {
                    format!(
                        "{} tokens with a cache of {} {}",
                        grouped(other.context),
                        other.kv_type.name(),
                        on(&other.candidate, machine)
                    )
                })
                .collect();
            format!("Does not fit with {asked}. It fits with {}.", ways.join(", or "))
        }
        Outcome::No { nearest, when_empty, gpus_needed } => {
            let short = nearest.need.sum().saturating_sub(nearest.free);
            let mut text = format!(
                "Does not fit: {asked} need {} on {}{}, {} more than is free.",
                nearest.need.sum(),
                if nearest.gpus.len() > 1 { "each of " } else { "" },
                place(nearest),
                short,
            );
            if *when_empty {
                text.push_str(" It would fit if nothing else were in their memory.");
            } else if let Some(gpus) = gpus_needed {
                let _never = write!(text, " {gpus} GPUs as large as these would take it.");
            }
            text
        }
        Outcome::Unknown(why) => return format!("Not judged: {why}."),
    };
    outcome + &trained
}

/// `GPU 0`, `GPUs 0-3`, `GPU 0 MIG 1 (3g.40gb)`.
fn place(candidate: &Candidate) -> String {
    let gpus = gpu_list(&candidate.gpus);
    match &candidate.instance {
        Some(instance) => format!("{gpus} MIG {instance}"),
        None => gpus,
    }
}

fn each(candidate: &Candidate) -> &'static str {
    if candidate.gpus.len() > 1 { " on each" } else { "" }
}

fn on(candidate: &Candidate, machine: &Machine) -> String {
    let gpus = place(candidate);
    match candidate.gpus.len() {
        1 => format!("on {gpus}"),
        number if candidate.linked => format!("on {gpus} (tensor parallel {number}, NVLink)"),
        number if machine.assumed => format!("on {gpus} (tensor parallel {number})"),
        number => format!("on {gpus} (tensor parallel {number}, without NVLink between all of them)"),
    }
}

/// What the model is, in one line.
#[must_use]
pub fn model(name: &str, shape: &ModelShape) -> String {
    let mut parts = Vec::new();
    match &shape.parameters {
        Ok(number) => parts.push(format!("{} parameters", parameters(*number))),
        Err(absence) => parts.push(format!("parameters not known ({})", reason(absence))),
    }
    parts.extend(known(&shape.data_type).map(|kind| kind.to_string()));
    parts.extend(shape.geometry.context.map(|tokens| format!("trained for {} tokens", grouped(tokens))));
    format!("{name}: {}", parts.join(", "))
}

/// Decimal, as models and GPUs are sold: `141.1 GB`, `24.5 MB`.
fn gigabytes(bytes: Bytes) -> String {
    match bytes.0 as f64 / 1e9 {
        gigabytes @ 0.0..0.1 => format!("{:.1} MB", gigabytes * 1e3),
        gigabytes => format!("{gigabytes:.1} GB"),
    }
}

/// What one GPU alone would hold, line by line.
#[must_use]
pub fn needs(shape: &ModelShape, fit: &Fit) -> Vec<String> {
    let Ok(need) = &fit.alone else { return Vec::new() };
    let request = &fit.request;
    let row = |name: &str, bytes: Option<Bytes>, note: &str| {
        let amount = bytes.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string());
        format!("  {name:<12}{amount:>10}   {note}").trim_end().to_owned()
    };
    let token = shape.kv.as_ref().map_or(0, |cache| request.kv_type.bytes(cache.per_token()));
    let window = shape.kv.as_ref().ok().filter(|cache| cache.windowed > 0);
    let mut cache = format!(
        "{} a token × {} tokens × {}, {}",
        Bytes(token),
        grouped(request.context),
        request.batch,
        request.kv_type.name()
    );
    if let Some(window) = window {
        let _never = write!(cache, "; some layers keep {} tokens", grouped(window.window));
    }
    let step = STEP_TOKENS.min(request.context.saturating_mul(request.batch));
    let activations = match need.activations {
        Some(_) => format!("{} tokens in a step (estimate)", grouped(step)),
        None => "not counted: the width of the layers is not known".to_owned(),
    };
    let gigabytes = format!("{} of tensors", gigabytes(need.weights));
    vec![
        row("weights", Some(need.weights), &gigabytes),
        row("KV cache", Some(need.kv), &cache),
        row("activations", need.activations, &activations),
        row("framework", Some(need.framework), "CUDA context, libraries, CUDA graphs (estimate)"),
        row("sum", Some(need.sum()), ""),
    ]
}

/// Every set of GPUs that was tried, line by line, with a head.
#[must_use]
pub fn sets(fit: &Fit, machine: &Machine) -> Vec<String> {
    if fit.candidates.is_empty() {
        return Vec::new();
    }
    // GPUs alone that are as full as each other are one line: eight empty ones say nothing more than the first.
    let mut rows: Vec<(&Candidate, Vec<u32>)> = Vec::new();
    for candidate in &fit.candidates {
        let same = |other: &&mut (&Candidate, Vec<u32>)| {
            let whole = candidate.instance.is_none() && other.0.instance.is_none();
            whole && candidate.gpus.len() == 1 && other.0.gpus.len() == 1 && other.0.free == candidate.free
        };
        match rows.iter_mut().find(same) {
            Some((_, gpus)) => gpus.extend(&candidate.gpus),
            None => rows.push((candidate, candidate.gpus.clone())),
        }
    }
    let name = |(candidate, gpus): &(&Candidate, Vec<u32>)| {
        if candidate.instance.is_some() {
            return place(candidate);
        }
        let each = if candidate.gpus.len() == 1 && gpus.len() > 1 { "each of " } else { "" };
        format!("{each}{}", gpu_list(gpus))
    };
    let names: Vec<String> = rows.iter().map(name).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0).max(4);
    let mut lines =
        vec![format!("  {:<width$}  {:<6}  {:>9}  {:>11}", "GPUs", "link", "free each", "needed each")];
    for ((candidate, _), name) in rows.iter().zip(names) {
        let link = match candidate.gpus.len() {
            1 => "–",
            _ if candidate.linked => "NVLink",
            _ if machine.assumed => "?",
            _ => "PCIe",
        };
        let sum = candidate.need.sum();
        let verdict = if candidate.fits() {
            format!("fits, {} to spare", candidate.free.saturating_sub(sum))
        } else {
            format!("{} short", sum.saturating_sub(candidate.free))
        };
        lines.push(format!(
            "  {name:<width$}  {link:<6}  {:>9}  {:>11}  {verdict}",
            candidate.free.to_string(),
            sum.to_string()
        ));
    }
    lines
}

/// The whole judgement of a model for reading: with the usual context, and with all that it was trained for.
#[must_use]
pub fn page(shape: &ModelShape, machine: &Machine) -> Vec<String> {
    let trained = shape.geometry.context.unwrap_or(USUAL_CONTEXT);
    let usual = Request { context: trained.min(USUAL_CONTEXT), batch: 1, kv_type: KvType::F16 };
    let fit = judge(shape, usual, machine);
    let mut lines = vec![sentence(&fit, machine)];
    if trained > usual.context {
        let whole = judge(shape, Request { context: trained, ..usual }, machine);
        lines.extend([String::new(), sentence(&whole, machine)]);
    }
    lines.extend([String::new(), format!("One GPU alone, {} tokens:", grouped(usual.context))]);
    lines.extend(needs(shape, &fit));
    lines.push(String::new());
    lines.extend(sets(&fit, machine));
    lines.push(String::new());
    lines.extend(notes(shape, &fit, machine));
    lines.push("kgtop fit judges other contexts, batches and caches.".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(131_072), "131,072");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12), "12");
        assert_eq!(parameters(70_553_706_496), "70.6 B");
        assert_eq!(parameters(405_853_388_800), "406 B");
        assert_eq!(parameters(494_032_768), "494 M");
        assert_eq!(gpu_list(&[0]), "GPU 0");
        assert_eq!(gpu_list(&[0, 1, 2, 3, 6, 7]), "GPUs 0-3,6,7");
    }
}
