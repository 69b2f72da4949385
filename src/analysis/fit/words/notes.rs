//! What stands below a judgement.

use super::{gigabytes, gpu_list};
use crate::analysis::fit::judge::{Fit, reason};
use crate::analysis::fit::machine::{FitGpu, Machine};
use crate::analysis::fit::need::Need;
use crate::model::{Absence, ModelShape, known};

/// Memory of an H100 80GB as its driver gives it: 81559 MiB.
const H100_GIB: &str = "79.6";

/// What the judgement rests on and could not see.
#[must_use]
pub fn notes(shape: &ModelShape, fit: &Fit, machine: &Machine) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(experts), Some(used)) = (shape.geometry.experts, shape.geometry.experts_used) {
        notes.push(format!("All {experts} experts of a layer are resident, though a token uses {used}."));
    }
    if shape.kv.as_ref().is_ok_and(|cache| cache.latent) {
        notes.push(
            "The latent cache (MLA) is not divided: tensor parallelism keeps a copy on every GPU.".into(),
        );
    }
    if fit.alone.as_ref().is_ok_and(|need: &Need| need.activations.is_none()) {
        notes.push("Activations are not counted: headers alone do not give the width of the layers.".into());
    }
    if machine.assumed {
        notes.push(
            "The GPUs are assumed: their links and what else is in their memory are not judged.".into(),
        );
        // Written in GB or TB: no whole number of MiB.
        let decimal = |gpu: &FitGpu| known(&gpu.total).filter(|total| !total.0.is_multiple_of(1 << 20));
        if let Some(total) = machine.gpus.iter().find_map(decimal) {
            notes.push(format!(
                "--memory counts a GB as 10⁹ bytes: {} is {total}. GPUs are sold by the GiB: an H100 of 80 GB has \
                 {H100_GIB} GiB.",
                gigabytes(total)
            ));
        }
    }
    for gpu in &machine.gpus {
        let instance = gpu.instance.as_ref().map_or_else(String::new, |instance| format!(" MIG {instance}"));
        match &gpu.free {
            Ok(_) => {}
            Err(failed @ Absence::Failed { .. }) => {
                notes.push(format!("GPU {}{instance} is left out: {}.", gpu.index, reason(failed)));
            }
            Err(absence) => notes.push(format!(
                "GPU {}{instance} is left out: its free memory is not known ({absence}).",
                gpu.index
            )),
        }
    }
    let mut divided: Vec<u32> =
        machine.gpus.iter().filter(|gpu| gpu.instance.is_some()).map(|gpu| gpu.index).collect();
    divided.dedup();
    if !divided.is_empty() {
        let (verb, each) = if divided.len() == 1 { ("is", "it") } else { ("are", "them") };
        notes.push(format!(
            "{} {verb} divided by MIG: a model takes one instance of {each}, and no other GPU beside it.",
            gpu_list(&divided)
        ));
    }
    if machine.gpus.is_empty() && fit.alone.is_ok() {
        notes.push("Say --memory 8x80GB to judge against GPUs that are not here.".into());
    }
    notes
}
