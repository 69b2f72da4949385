//! One value out of the groups of a GPU, with the reason where there is none: for the reports and the screen.

use super::{
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
        GpuState::Ok | GpuState::Stalled | GpuState::NotOpened | GpuState::Unknown => Absence::NotRequested,
    }
}

/// Why a GPU that answers gives nothing at all: both groups that are read at each interval were refused whole.
#[must_use]
pub fn refusal<'a>(fast: Option<&Fast>, live: Option<&'a Live>) -> Option<&'a Absence> {
    let nothing_fast = fast.is_none_or(|fast| {
        fast.power.is_err()
            && fast.sm_clock.is_err()
            && fast.utilization.is_err()
            && fast.memory_utilization.is_err()
            && fast.clock_events.is_err()
    });
    live.and_then(Live::refusal).filter(|_| nothing_fast)
}

fn of<G, T: Clone>(gpu: &Gpu, group: Option<&Grouped<G>>, read: fn(&G) -> &Reading<T>) -> Reading<T> {
    group.map_or_else(|| Err(unread(gpu)), |group| read(&group.value).clone())
}

/// Of the group that is read ten times a second.
pub fn fast<T: Clone>(gpu: &Gpu, read: fn(&Fast) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.fast.as_ref(), read)
}

/// A band of that group.
pub fn band(gpu: &Gpu, read: fn(&Fast) -> &Reading<Band>) -> Reading<Band> {
    of(gpu, gpu.fast.as_ref(), read)
}

/// Its clock event reasons.
pub fn clock_events(gpu: &Gpu) -> Reading<ClockEvents> {
    fast(gpu, |fast| &fast.clock_events)
}

/// Of the group of each interval.
pub fn live<T: Clone>(gpu: &Gpu, read: fn(&Live) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.live.as_ref(), read)
}

/// Of performance monitoring.
pub fn gpm<T: Clone>(gpu: &Gpu, read: fn(&Gpm) -> &Reading<T>) -> Reading<T> {
    match (&gpu.gpm, &gpu.info.gpm) {
        // The device was asked once and for all.
        (None, Ok(false)) => Err(Absence::NotSupported),
        _ => of(gpu, gpu.gpm.as_ref(), read),
    }
}

/// Of the cumulative counters.
pub fn counter<T: Clone>(gpu: &Gpu, read: fn(&Counters) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.counters.as_ref(), read)
}

/// Of the slow group.
pub fn health<T: Clone>(gpu: &Gpu, read: fn(&Health) -> &Reading<T>) -> Reading<T> {
    of(gpu, gpu.health.as_ref(), read)
}

/// Of the temperature thresholds.
pub fn threshold<T: Clone>(gpu: &Gpu, read: fn(&Thresholds) -> &Reading<T>) -> Reading<T> {
    gpu.info.thresholds.as_ref().map_err(Clone::clone).and_then(|thresholds| read(thresholds).clone())
}

/// How many NVLinks are up; absent if that is known of none.
pub fn active_links(gpu: &Gpu) -> Reading<u32> {
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
pub fn stale_seconds(snapshot: &Snapshot, gpu: &Gpu) -> Reading<f64> {
    let times: [Option<Mono>; 2] =
        [gpu.fast.as_ref().map(|group| group.at), gpu.live.as_ref().map(|group| group.at)];
    let newest = times.into_iter().flatten().max().ok_or_else(|| unread(gpu))?;
    Ok(snapshot.mono.since(newest).as_secs_f64())
}
