//! Who loads which model, in a sentence.

use crate::model::{ModelLoad, Process, Snapshot, known};
use crate::units::format_age;

/// `vllm (pid 4711) is loading Llama-3.1-70B from rpool/ai/models at 3.1 GB/s, 42% read, 12s left`; `None` for a
/// process that only has the model open.
#[must_use]
pub fn sentence(load: &ModelLoad, process: Option<&Process>) -> Option<String> {
    if !load.loading() {
        return None;
    }
    let usage = &load.usage;
    let name = process.and_then(|process| known(&process.facts.as_ref()?.name));
    let who = match name {
        Some(name) => format!("{name} (pid {})", usage.key.pid),
        None => format!("pid {}", usage.key.pid),
    };
    let from = usage.mount.as_ref().map_or_else(|_| String::new(), |mount| format!(" from {mount}"));
    let rate = load.rate.as_ref().map_or_else(|_| String::new(), |rate| format!(" at {rate}"));
    let part = load.done.as_ref().map_or_else(|_| String::new(), |part| format!(", {part} read"));
    let left =
        load.left.as_ref().map_or_else(|_| String::new(), |left| format!(", {} left", format_age(*left)));
    Some(format!("{who} is loading {}{from}{rate}{part}{left}", usage.name))
}

/// All that is being loaded, in sentences.
#[must_use]
pub fn sentences(snapshot: &Snapshot, loads: &[ModelLoad]) -> Vec<String> {
    let process = |load: &ModelLoad| snapshot.processes.iter().find(|process| process.key == load.usage.key);
    loads.iter().filter_map(|load| sentence(load, process(load))).collect()
}
