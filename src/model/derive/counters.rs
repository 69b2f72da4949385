//! What follows from cumulative counters: rates, and seconds in windows.

use crate::model::{Absence, Counters, Grouped, Health, NvLink, Reading, ReasonSeconds};
use crate::units::{BytesPerSecond, Mono};
use std::collections::VecDeque;
use std::time::Duration;

/// Points are kept this far apart; the newest one is always kept beside them.
const SPACING: Duration = Duration::from_secs(5);
/// The longest window.
const LONGEST: Duration = Duration::from_secs(3_600);
/// A window counts as covered from this share of its length on: counters are read up to 5 s apart.
const COVERED: f32 = 0.9;

/// The reasons that have a time counter, in the order of the counters' array.
const REASONS: [&str; 5] =
    ["sw_power_cap", "sync_boost", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"];

type Point = (Mono, [Reading<u64>; 5]);

/// The time counters of one GPU over the last hour.
#[derive(Clone, Debug, Default)]
pub(super) struct ReasonCounters {
    points: VecDeque<Point>,
    newest: Option<Point>,
}

impl ReasonCounters {
    pub(super) fn push(&mut self, group: &Grouped<Counters>) {
        let Counters {
            sw_power_cap_ns, sync_boost_ns, sw_thermal_ns, hw_thermal_ns, hw_power_brake_ns, ..
        } = group.value.clone();
        let point =
            (group.at, [sw_power_cap_ns, sync_boost_ns, sw_thermal_ns, hw_thermal_ns, hw_power_brake_ns]);
        if let Some(newest) = &self.newest {
            if newest.0 >= group.at {
                return;
            }
            if fell(&newest.1, &point.1) {
                // The driver was loaded anew: what came before belongs to other counters.
                self.points.clear();
            }
        }
        if self.points.back().is_none_or(|(at, _)| group.at.since(*at) >= SPACING) {
            self.points.push_back(point.clone());
        }
        while self.points.front().is_some_and(|(at, _)| group.at.since(*at) > LONGEST + SPACING) {
            self.points.pop_front();
        }
        self.newest = Some(point);
    }

    /// How long the counters have been watched without a restart.
    pub(super) fn observed(&self) -> Duration {
        match (&self.newest, self.points.front()) {
            (Some((now, _)), Some((first, _))) => now.since(*first),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn seconds(&self) -> Vec<ReasonSeconds> {
        let Some((_, newest)) = &self.newest else { return Vec::new() };
        REASONS
            .iter()
            .zip(newest)
            .enumerate()
            .map(|(index, (reason, now))| ReasonSeconds {
                reason,
                last_1m: self.window(index, Duration::from_secs(60)),
                last_10m: self.window(index, Duration::from_secs(600)),
                last_60m: self.window(index, LONGEST),
                since_driver_load: now.clone().map(|ns| (ns as f64 / 1e9) as f32),
            })
            .collect()
    }

    /// Seconds that counter `index` rose in the last `length`, or how much of the window was seen.
    fn window(&self, index: usize, length: Duration) -> Reading<f32> {
        let unseen = Absence::InsufficientHistory { seen_seconds: 0.0 };
        let (now, newest) = self.newest.as_ref().ok_or_else(|| unseen.clone())?;
        let newest = newest.get(index).cloned().ok_or_else(|| unseen.clone())??;
        let before = self.points.iter().rposition(|(at, _)| now.since(*at) >= length);
        let start = self.points.get(before.unwrap_or(0)).ok_or(unseen)?;
        let covered = now.since(start.0).as_secs_f32();
        if covered < length.as_secs_f32() * COVERED {
            return Err(Absence::InsufficientHistory { seen_seconds: covered });
        }
        let mut oldest = start.1.get(index).cloned().unwrap_or(Err(Absence::NotRequested))? as f64;
        // The point lies up to one spacing before the window's start: what rose until then is not of the window.
        let after = before.map(|before| self.points.get(before + 1).or(self.newest.as_ref()));
        if let Some((at, values)) = after.flatten()
            && let Some(Ok(value)) = values.get(index)
        {
            let outside = now.since(start.0).saturating_sub(length).as_secs_f64();
            let between = at.since(start.0).as_secs_f64();
            if between > 0.0 {
                oldest += (*value as f64 - oldest) * (outside / between).min(1.0);
            }
        }
        Ok(((newest as f64 - oldest).max(0.0) / 1e9) as f32)
    }
}

fn fell(before: &[Reading<u64>; 5], after: &[Reading<u64>; 5]) -> bool {
    before.iter().zip(after).any(|pair| matches!(pair, (Ok(before), Ok(after)) if after < before))
}

/// NVLink rates, sent then received, from the KiB counters of two readings.
pub(super) fn nvlink_rates(
    before: &Grouped<Counters>,
    after: &Grouped<Counters>,
) -> [Reading<BytesPerSecond>; 2] {
    let seconds = after.at.since(before.at).as_secs_f64();
    let rate = |old: &Reading<u64>, new: &Reading<u64>| {
        per_second(old, new, seconds).map(|kib| BytesPerSecond(kib * 1024.0))
    };
    [
        rate(&before.value.nvlink_tx_kib, &after.value.nvlink_tx_kib),
        rate(&before.value.nvlink_rx_kib, &after.value.nvlink_rx_kib),
    ]
}

/// PCIe replays per second.
pub(super) fn replay_rate(before: &Grouped<Health>, after: &Grouped<Health>) -> Reading<f32> {
    let seconds = after.at.since(before.at).as_secs_f64();
    per_second(&before.value.pcie_replays, &after.value.pcie_replays, seconds).map(|rate| rate as f32)
}

/// NVLink errors of all links per second, between two looks at the links: the slow group only repeats what a look found.
/// Counted are the counters that both looks have. A GPU without any has no rate, and not one of zero.
pub(super) fn link_error_rate(before: &Grouped<Vec<NvLink>>, after: &Grouped<Vec<NvLink>>) -> Reading<f32> {
    let seconds = after.at.since(before.at).as_secs_f64();
    let kinds =
        |link: &NvLink| [&link.replay_errors, &link.recovery_errors, &link.crc_errors].map(Clone::clone);
    let is_missing =
        |count: &Reading<u64>| matches!(count, Err(Absence::NotSupported | Absence::NotRequested));
    let mut rate = Err(Absence::NotSupported);
    for (old, new) in before.value.iter().flat_map(kinds).zip(after.value.iter().flat_map(kinds)) {
        if !is_missing(&old) && !is_missing(&new) {
            rate = Ok(rate.unwrap_or(0.0) + per_second(&old, &new, seconds)?);
        }
    }
    rate.map(|rate| rate as f32)
}

/// The rise of a counter per second. A counter that fell was restarted: nothing can be said of that interval.
pub(super) fn per_second(old: &Reading<u64>, new: &Reading<u64>, seconds: f64) -> Reading<f64> {
    let (old, new) = (old.clone()?, new.clone()?);
    match new.checked_sub(old) {
        Some(rose) if seconds > 0.0 => Ok(rose as f64 / seconds),
        _ => Err(Absence::InsufficientHistory { seen_seconds: 0.0 }),
    }
}
