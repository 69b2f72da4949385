//! Everything that is read of one GPU, whether it is there or why it is not.

mod sheet;
mod state;
mod work;

use super::Line;
use crate::app::State;
use crate::model::{Gpu, GpuId, GpuState, Snapshot, known};
use crate::ui::theme::Role;
use crate::ui::words;
use crate::units::Mono;
use sheet::{Cell, Sheet};

/// The title of the window.
pub(super) fn title(state: &State, id: &GpuId) -> String {
    let Some(gpu) = state.snapshot().and_then(|snapshot| snapshot.gpu(id)) else { return "GPU".into() };
    let index = gpu.index().map_or_else(|| "GPU".into(), |index| format!("GPU {index}"));
    known(&gpu.info.name).map_or_else(|| index.clone(), |name| format!("{index} · {name}"))
}

pub(super) fn lines(state: &State, id: &GpuId, columns: u16) -> Vec<Line> {
    let Some((snapshot, gpu)) = state.snapshot().and_then(|s| Some((s, s.gpu(id)?))) else {
        return vec![vec![(format!("{id} is no longer there."), Role::Muted)]];
    };
    let mut sheet = Sheet { lines: Vec::new(), columns, past: false };
    condition(&mut sheet, snapshot, gpu);
    sheet.past = gpu.state != GpuState::Ok;
    work::use_of_it(&mut sheet, gpu);
    work::memory(&mut sheet, gpu);
    work::power(&mut sheet, gpu);
    work::heat(&mut sheet, gpu);
    work::clocks(&mut sheet, gpu);
    state::links(&mut sheet, gpu);
    state::errors(&mut sheet, gpu);
    state::modes(&mut sheet, gpu);
    // Who it is stays true.
    sheet.past = false;
    state::identity(&mut sheet, gpu);
    sheet.lines
}

/// How it is doing, and how old what is known of it is.
fn condition(sheet: &mut Sheet, snapshot: &Snapshot, gpu: &Gpu) {
    match words::state_words(gpu, snapshot.mono.since(gpu.state_since)) {
        Some((text, role)) => sheet.text("state", &text, role),
        None => sheet.text("state", "answers", Role::Good),
    }
    if let Some(stuck) = &gpu.stuck
        && let Some(channel) = &stuck.wait_channel
    {
        sheet.text("waits in", channel, Role::Text);
    }
    let age = |at: Option<Mono>| -> (String, Role) {
        at.map_or_else(
            || ("never".into(), Role::Absent),
            |at| (format!("{} ago", words::duration(snapshot.mono.since(at))), Role::Text),
        )
    };
    sheet.row(
        "read",
        [
            Cell { value: age(gpu.live.as_ref().map(|group| group.at)), name: "each interval" },
            Cell { value: age(gpu.gpm.as_ref().map(|group| group.at)), name: "activity" },
            Cell { value: age(gpu.health.as_ref().map(|group| group.at)), name: "errors and modes" },
        ],
    );
}
