//! What the tabs about GPUs say where values are no longer so, and where there is nobody to ask.

use crate::app::State;
use crate::model::{Gpu, GpuState, Snapshot};
use crate::units::format_age;

/// Whether what is known of `gpu` is no longer so: it does not answer, or no data comes.
pub(super) fn is_past(state: &State, gpu: &Gpu) -> bool {
    gpu.state != GpuState::Ok || state.is_stale()
}

/// How old the values of `gpu` are.
pub(super) fn last_values(state: &State, snapshot: &Snapshot, gpu: &Gpu) -> String {
    let newest = [gpu.live.as_ref().map(|group| group.at), gpu.fast.as_ref().map(|group| group.at)];
    match newest.into_iter().flatten().max() {
        Some(at) => {
            let age = snapshot.mono.since(at) + state.shown_age();
            format!("last values, {} old", format_age(age))
        }
        None => "never read".into(),
    }
}

/// Why no GPU is shown.
pub(super) fn why_no_gpu(state: &State, snapshot: &Snapshot) -> &'static str {
    match (snapshot.stuck.is_empty(), state.settings.gpu_filter.is_empty()) {
        (false, _) => "the driver does not answer: no GPU is known yet",
        (_, false) => "no GPU matches --gpu",
        _ => "no GPU to show",
    }
}
