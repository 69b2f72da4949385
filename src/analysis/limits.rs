//! What holds a GPU back: clock event reasons over time, and how far it is from each of its limits.

use super::Severity;
use super::clock_events::{ClockEventReason, REASONS, SW_POWER_CAP};
use crate::model::{Gpu, GpuState, History, Reading, ReasonSeconds, Thresholds, known};
use crate::units::{Celsius, Watts};

/// What is known of a reason now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It was set in every read of the interval.
    Yes,
    /// It was set in some.
    Partly,
    /// It was set in none.
    No,
    /// The device cannot report it, or nothing was read: not known, which is not "no".
    Unknown,
}

/// The state of one reason of a GPU.
#[derive(Clone, Debug)]
pub struct ReasonState<'a> {
    /// The reason.
    pub reason: &'static ClockEventReason,
    /// Whether it holds now.
    pub holds: Holds,
    /// Seconds by its time counter; `None` for reasons that have none.
    pub seconds: Option<&'a ReasonSeconds>,
}

/// The reasons that a device may report, by bit. Those outside its supported mask are unknown and come last, unless
/// their bit is set all the same.
#[must_use]
pub fn reasons(gpu: &Gpu) -> Vec<ReasonState<'_>> {
    let events = gpu.fast.as_ref().and_then(|fast| known(&fast.value.clock_events));
    let supported = known(&gpu.info.supported_clock_events);
    let mut states: Vec<ReasonState<'_>> = REASONS
        .iter()
        .map(|reason| {
            let can = supported.is_none_or(|mask| mask & reason.bit != 0);
            let holds = match events {
                Some(events) if events.all & reason.bit != 0 => Holds::Yes,
                Some(events) if events.any & reason.bit != 0 => Holds::Partly,
                Some(_) if can => Holds::No,
                _ => Holds::Unknown,
            };
            let seconds = gpu.throttle.seconds.iter().find(|seconds| seconds.reason == reason.name);
            ReasonState { reason, holds, seconds }
        })
        .collect();
    states.sort_by_key(|state| state.holds == Holds::Unknown);
    states
}

/// A reason in some seconds of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Nothing was read.
    Empty,
    /// It did not hold.
    Clear,
    /// It held some of the time.
    Part,
    /// It held all the time.
    Full,
}

/// The seconds `from..to` of a reason as one mark.
#[must_use]
pub fn lane(history: &History, bit: u64, from: u64, to: u64) -> Lane {
    let bit = u16::try_from(bit).unwrap_or(0);
    let (mut read, mut any, mut all) = (false, false, true);
    for second in (from..to).filter_map(|second| history.clock_events(second)) {
        read = true;
        any |= second.any & bit != 0;
        all &= second.all & bit != 0;
    }
    match (read, any, all) {
        (false, ..) => Lane::Empty,
        (_, _, true) => Lane::Full,
        (_, true, _) => Lane::Part,
        _ => Lane::Clear,
    }
}

/// A threshold of temperature and the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdState {
    /// What happens there.
    pub name: &'static str,
    /// Where it is, absolute; absent where the device names it as a margin only.
    pub at: Reading<Celsius>,
    /// The T.Limit value at which it acts, signed.
    pub limit: Reading<Celsius>,
    /// Degrees left: by the margin where device and threshold have one, else by the temperatures.
    pub left: Option<f32>,
}

/// Each threshold of a GPU that it names in either form, from the lowest on.
#[must_use]
pub fn thresholds(gpu: &Gpu) -> Vec<ThresholdState> {
    let Thresholds {
        slowdown,
        shutdown,
        memory_max,
        gpu_max,
        slowdown_limit,
        shutdown_limit,
        memory_max_limit,
        gpu_max_limit,
    } = known(&gpu.info.thresholds).unwrap_or_default();
    let live = gpu.live.as_ref().map(|live| &live.value);
    let core = live.and_then(|live| known(&live.temperature));
    let memory = live.and_then(|live| known(&live.memory_temperature));
    let margin = live.and_then(|live| known(&live.temperature_margin));
    let state = |name, at: Reading<Celsius>, limit: Reading<Celsius>, is_memory: bool| {
        let now = if is_memory { memory } else { core };
        let by_margin = match (is_memory, margin, &limit) {
            // The margin is the core's: degrees left to 0, and the threshold acts at `limit`.
            (false, Some(margin), Ok(limit)) => Some(margin.0 - limit.0),
            _ => None,
        };
        let by_degrees = known(&at).zip(now).map(|(at, now)| at.0 - now.0);
        ThresholdState { name, at, limit, left: by_margin.or(by_degrees) }
    };
    let mut all = vec![
        state("max operating", gpu_max, gpu_max_limit, false),
        state("memory max", memory_max, memory_max_limit, true),
        state("HW slowdown", slowdown, slowdown_limit, false),
        state("shutdown", shutdown, shutdown_limit, false),
    ];
    all.retain(|threshold| threshold.at.is_ok() || threshold.limit.is_ok());
    all
}

/// Watts between mean draw and the enforced cap.
#[must_use]
pub fn power_headroom(gpu: &Gpu) -> Option<Watts> {
    let draw = known(&gpu.fast.as_ref()?.value.power)?;
    let cap = known(&gpu.live.as_ref()?.value.power_limit)?;
    Watts::new(cap.0 - draw.mean)
}

/// A cap this far below the default counts as lowered: limits are set in watts.
const LOWERED_WATTS: f32 = 1.0;
/// Clocks below this share of the maximum ask for a reason.
const LOW_CLOCK: f32 = 0.9;
/// The guide's sweet spot: 80 to 85 % of the default power costs 3 to 5 % of the throughput.
const SWEET_SPOT: f32 = 0.85;
/// The power cap counts as binding when its counter covers this share of the last ten minutes.
const BINDING_SECONDS: f32 = 300.0;
/// From this utilisation on low clocks are no matter of idling.
const BUSY_PERCENT: f32 = 20.0;

/// What the limits of a GPU suggest, the gravest first. A power cap alone is information. Of a GPU that does not answer
/// nothing follows from what was last read.
#[must_use]
pub fn advice(gpu: &Gpu) -> Vec<(Severity, String)> {
    if gpu.state != GpuState::Ok {
        return Vec::new();
    }
    let mut found: Vec<(Severity, String)> = reasons(gpu)
        .iter()
        .filter(|state| matches!(state.holds, Holds::Yes | Holds::Partly))
        .filter(|state| state.reason.severity > Severity::Info)
        .map(|state| (state.reason.severity, format!("{} {}", state.reason.meaning, state.reason.advice)))
        .collect();
    found.extend(unexplained_clocks(gpu));
    found.extend(power(gpu));
    found.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    found
}

fn power(gpu: &Gpu) -> Option<(Severity, String)> {
    let cap = known(&gpu.live.as_ref()?.value.power_limit)?;
    let default = known(&gpu.info.default_power_limit).filter(|default| default.0 > 0.0)?;
    let share = cap.0 / default.0 * 100.0;
    if cap.0 < default.0 - LOWERED_WATTS {
        let cost = match share {
            80.0.. => "costs about 3 to 5 % of the throughput",
            70.0.. => "costs about 5 to 15 %",
            50.0.. => "costs about 15 to 35 %",
            _ => "costs more than a third",
        };
        return Some((
            Severity::Info,
            format!(
                "The cap is at {share:.0} % of its default: by rule of thumb that {cost} when compute-bound."
            ),
        ));
    }
    let capped = gpu.throttle.seconds.iter().find(|seconds| seconds.reason == "sw_power_cap");
    let seconds =
        capped.and_then(|capped| known(&capped.last_10m)).filter(|held| *held >= BINDING_SECONDS)?;
    let sweet = default.0 * SWEET_SPOT;
    let range = known(&gpu.info.min_power_limit).is_none_or(|least| least.0 <= sweet);
    range.then(|| {
        (
            Severity::Info,
            format!(
                "Held by the power cap for {seconds:.0} s of the last 10 min, which is usual at full load. Where \
                 power or heat is scarce: {sweet:.0} W (85 %) by rule of thumb costs 3 to 5 % of the throughput."
            ),
        )
    })
}

/// Low clocks of a busy GPU that no reason explains.
fn unexplained_clocks(gpu: &Gpu) -> Option<(Severity, String)> {
    let fast = &gpu.fast.as_ref()?.value;
    let clock = known(&fast.sm_clock)?;
    let most = known(&gpu.info.max_sm_clock)?.0 as f32;
    let events = known(&fast.clock_events)?;
    let busy = known(&fast.utilization).is_some_and(|band| band.mean >= BUSY_PERCENT);
    (busy && events.any == 0 && most > 0.0 && clock.mean < most * LOW_CLOCK).then(|| {
        (
            Severity::Info,
            format!(
                "SM clock {:.0} of {most:.0} MHz and no reason given: look for locked clocks (kgtop act clocks \
                 --reset graphics --gpu {} lifts a lock).",
                clock.mean,
                known(&gpu.info.pci_bus_id).map_or_else(|| "ADDRESS".to_owned(), |address| address.to_string()),
            ),
        )
    })
}

/// What the reasons say of the clocks, short; nothing of a GPU that does not answer.
#[must_use]
pub fn explained(gpu: &Gpu) -> Option<String> {
    if gpu.state != GpuState::Ok {
        return None;
    }
    let events = known(&gpu.fast.as_ref()?.value.clock_events)?;
    let names = super::clock_events::decode(events.any, known(&gpu.info.supported_clock_events)).names();
    Some(match names.as_slice() {
        [] => "nothing holds it back".into(),
        names if events.any == SW_POWER_CAP => format!("held by {} (normal under load)", names.join(", ")),
        names => format!("held by {}", names.join(", ")),
    })
}

#[cfg(test)]
mod tests;
