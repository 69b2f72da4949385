//! Reading one value out of a GPU's groups, with the reason when there is none.

use crate::model::{
    Absence, Band, ClockEvents, Counters, Fast, Gpm, Gpu, GpuState, Grouped, Health, Live, Reading, Snapshot,
    Thresholds,
};
use crate::units::Mono;

/// Why a group that was never read is absent.
fn unread(gpu: &Gpu) -> Absence {
    match gpu.state {
        GpuState::Lost => Absence::Lost,
        GpuState::Asleep => Absence::Asleep,
        GpuState::NoDriver | GpuState::PassedThrough => Absence::NotSupported,
        GpuState::Ok | GpuState::Stalled => Absence::NotRequested,
    }
}

fn of<G, T: Clone>(gpu: &Gpu, group: Option<&Grouped<G>>, read: fn(&G) -> &Reading<T>) -> Reading<T> {
    group.map_or_else(|| Err(unread(gpu)), |group| read(&group.value).clone())
}

pub(super) fn fast<T: Clone>(gpu: &Gpu, read: fn(&Fast) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.fast.as_ref(), read)
}

pub(super) fn band(gpu: &Gpu, read: fn(&Fast) -> &Reading<Band>) -> Reading<Band> {
    of(gpu, gpu.fast.as_ref(), read)
}

pub(super) fn clock_events(gpu: &Gpu) -> Reading<ClockEvents> {
    fast(gpu, |fast| &fast.clock_events)
}

pub(super) fn live<T: Clone>(gpu: &Gpu, read: fn(&Live) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.live.as_ref(), read)
}

pub(super) fn gpm<T: Clone>(gpu: &Gpu, read: fn(&Gpm) -> &Reading<T>) -> Reading<T> {
    match (&gpu.gpm, &gpu.info.gpm) {
        // The device was asked once and for all.
        (None, Ok(false)) => Err(Absence::NotSupported),
        _ => of(gpu, gpu.gpm.as_ref(), read),
    }
}

pub(super) fn counter<T: Clone>(gpu: &Gpu, read: fn(&Counters) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.counters.as_ref(), read)
}

pub(super) fn health<T: Clone>(gpu: &Gpu, read: fn(&Health) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.health.as_ref(), read)
}

pub(super) fn threshold<T: Clone>(gpu: &Gpu, read: fn(&Thresholds) -> &Reading<T>) -> Reading<T> {
    gpu.info.thresholds.as_ref().map_err(Clone::clone).and_then(|thresholds| read(thresholds).clone())
}

/// How many NVLinks are up; absent if that is known of none.
pub(super) fn active_links(gpu: &Gpu) -> Reading<u32> {
    let Some(group) = &gpu.nvlinks else {
        return match &gpu.info.nvlinks {
            Ok(0) => Ok(0),
            _ => Err(unread(gpu)),
        };
    };
    let mut active = 0;
    let mut seen = group.value.is_empty();
    let mut reason = Absence::NotRequested;
    for link in &group.value {
        match &link.active {
            Ok(up) => {
                active += u32::from(*up);
                seen = true;
            }
            Err(absence) => reason = absence.clone(),
        }
    }
    if seen { Ok(active) } else { Err(reason) }
}

/// Seconds since the GPU last answered; absent if it never did.
pub(super) fn stale_seconds(snapshot: &Snapshot, gpu: &Gpu) -> Reading<f64> {
    let times: [Option<Mono>; 2] =
        [gpu.fast.as_ref().map(|group| group.at), gpu.live.as_ref().map(|group| group.at)];
    let newest = times.into_iter().flatten().max().ok_or_else(|| unread(gpu))?;
    Ok(snapshot.mono.since(newest).as_secs_f64())
}
