//! Checkpoints that a running fine-tune writes over, without a snapshot from before it.

use super::{Advice, AdviceRule, quoted};
use crate::analysis::Severity;
use crate::model::{DatasetView, ListingState, Process, Snapshot, SnapshotListing};

/// Words by which a dataset of checkpoints is known.
const DATASETS: [&str; 5] = ["checkpoint", "ckpt", "finetune", "fine-tune", "runs"];
/// Words by which a program that trains is known.
const PROGRAMS: [&str; 9] =
    ["train", "torchrun", "deepspeed", "accelerate", "axolotl", "finetune", "fine_tune", "sft", "lora"];

pub(super) const RULE: AdviceRule = AdviceRule {
    id: "zfs_checkpoints_unsaved",
    threshold: "a training process runs, and a dataset of checkpoints has no snapshot that holds anything",
    check,
};

fn check(snapshot: &Snapshot) -> Vec<Advice> {
    let Some(trainer) = snapshot.processes.iter().find(|process| process.ended.is_none() && trains(process))
    else {
        return Vec::new();
    };
    let listing = snapshot.storage.listing.as_deref();
    let datasets = snapshot.storage.datasets();
    datasets.iter().filter_map(|dataset| advise(dataset, trainer, listing)).collect()
}

fn trains(process: &Process) -> bool {
    let Some(facts) = &process.facts else { return false };
    let Ok(command) = &facts.command else { return false };
    command.iter().take(4).any(|argument| {
        let name = argument.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        PROGRAMS.iter().any(|word| {
            name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|part| part.starts_with(word))
        })
    })
}

fn advise(dataset: &DatasetView<'_>, trainer: &Process, listing: Option<&SnapshotListing>) -> Option<Advice> {
    let properties = dataset.properties?;
    let last = dataset.name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let named = DATASETS.iter().any(|word| last.contains(word));
    let held = properties.used_by_snapshots.as_ref().ok()?.0;
    // A clone's origin is the state from before.
    if !named || held > 0 || properties.origin.is_some() {
        return None;
    }
    let listed =
        listing.filter(|listing| listing.dataset == dataset.name && listing.state == ListingState::Done);
    let evidence = match listed {
        Some(listing) if !listing.rows.is_empty() => return None,
        Some(_) => "zfs list -t snapshot: none".to_owned(),
        None => "usedbysnapshots 0: there is none, or none of which a block changed since".to_owned(),
    };
    let command = format!("zfs snapshot {}", quoted(&format!("{}@before-run", dataset.name)));
    Some(Advice {
        rule: RULE.id,
        severity: Severity::Info,
        subject: dataset.name.to_string(),
        summary: format!(
            "{}: PID {} trains, and no snapshot of its checkpoints holds anything",
            dataset.name, trainer.key.pid
        ),
        evidence,
        advice: "A snapshot costs nothing until files change, and a run that goes wrong can be rolled back:"
            .into(),
        command: Some(command),
    })
}
