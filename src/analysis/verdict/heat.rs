//! Heat and power.

use super::memory::{HW_POWER_BRAKE, HW_THERMAL, SW_POWER_CAP, SW_THERMAL};
use super::rule::{Context, Finding, Rule, address, ok};
use super::{Area, Severity};
use crate::analysis::{advice, clock_events as bits};
use crate::model::Gpu;
use std::time::Duration;

/// A reason counts from this share of the time between two readings on: the counters move by single events when a
/// P-state changes (own choice).
const SHARE: f32 = 0.02;
/// The share for the hardware's own slowdowns: they halve the clocks.
const HARDWARE_SHARE: f32 = 0.01;
/// Degrees to the driver's slowdown at which a GPU counts as near it (own choice: sensors step by 1 °C).
const NEAR: f32 = 2.0;
/// Where the driver begins to lower the clocks (man page of nvidia-smi, "SW Thermal Slowdown").
const OPERATING: &str = "maximum operating temperature";
/// Watts below the default limit that count as lowered (the driver rounds to whole watts).
const LOWERED: f32 = 1.0;
/// Temperatures step and cross the mark back and forth.
const TWO_SAMPLES: Duration = Duration::from_millis(900);

const LOWERED_ADVICE: &str = "If nobody meant it: kgtop act power-limit default --gpu ADDRESS";
const LOCKED_ADVICE: &str = "If nobody meant it: kgtop act clocks --reset applications --gpu ADDRESS, and --reset \
                             graphics where they are locked";

const fn rule(
    id: &'static str,
    severity: Severity,
    threshold: &'static str,
    advice: &'static str,
    covers: &'static [&'static str],
    check: fn(&Context<'_>) -> Vec<Finding>,
) -> Rule {
    Rule {
        id,
        severity,
        area: Area::Limits,
        needs: "the clock event time counters, or the reasons mask where there are none",
        threshold,
        advice,
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers,
        check,
    }
}

pub(super) const RULES: &[Rule] = &[
    rule(
        "hw_thermal_slowdown",
        Severity::Critical,
        "1 % of the time between two readings of its counter (own choice)",
        "An urgent fault of the cooling: check fans, cold plates and inlet temperature now.",
        &["sw_thermal_slowdown", "temperature_near_limit", "sw_power_cap", "hw_slowdown"],
        |context| {
            slowdown(
                context,
                HW_THERMAL,
                bits::HW_THERMAL_SLOWDOWN,
                HARDWARE_SHARE,
                "the hardware cuts the clocks: too hot",
            )
        },
    ),
    rule(
        "hw_power_brake",
        Severity::Critical,
        "1 % of the time between two readings of its counter (own choice)",
        "Check the power supplies, the rack's power, the cables, and the BMC's log.",
        &["sw_power_cap", "hw_slowdown"],
        |context| {
            slowdown(
                context,
                HW_POWER_BRAKE,
                bits::HW_POWER_BRAKE_SLOWDOWN,
                HARDWARE_SHARE,
                "the hardware cuts the clocks: the power supply or the board asked",
            )
        },
    ),
    Rule {
        raise_after: TWO_SAMPLES,
        needs: "the reasons mask",
        ..rule(
            "hw_slowdown",
            Severity::Warning,
            "HW slowdown (0x8) in every reading of two samples, without HW thermal (0x40) and power brake (0x80): it \
             may flash when a P-state changes (nvml.h)",
            "The hardware halves the clocks or worse and does not say why: check temperature, power cables and power \
             supply.",
            &["sw_power_cap"],
            hw_slowdown,
        )
    },
    rule(
        "sw_thermal_slowdown",
        Severity::Warning,
        "2 % of the time between two readings of its counter (own choice)",
        "Check airflow, inlet temperature and thermal paste; compare the memory temperature and the siblings.",
        &["temperature_near_limit", "sw_power_cap"],
        |context| {
            slowdown(
                context,
                SW_THERMAL,
                bits::SW_THERMAL_SLOWDOWN,
                SHARE,
                "the driver lowers the clocks because of heat",
            )
        },
    ),
    Rule {
        raise_after: TWO_SAMPLES,
        ..rule(
            "temperature_near_limit",
            Severity::Warning,
            "2 °C to the maximum operating temperature: T.Limit margin, else the absolute one, else the slowdown (own \
             choice)",
            "Clocks drop soon: check airflow and inlet temperature, or lower the power limit.",
            &[],
            near_limit,
        )
    },
    rule(
        "power_cap_lowered",
        Severity::Info,
        "1 W below the default limit",
        LOWERED_ADVICE,
        &[],
        |context| {
            context.each(|gpu| {
                let limit = ok(&context.live(gpu)?.power_limit)?.0;
                let default = ok(&gpu.info.default_power_limit)?.0;
                (limit < default - LOWERED).then(|| Finding {
                    advice: Some(advice::about(LOWERED_ADVICE, address(gpu))),
                    ..Finding::of(
                        gpu,
                        &format!("power limit {limit:.0} W, default {default:.0} W"),
                        format!("enforced {limit:.0} W of default {default:.0} W"),
                    )
                })
            })
        },
    ),
    rule(
        "sw_power_cap",
        Severity::Info,
        "2 % of the time between two readings of its counter (own choice)",
        "Normal under full load. Raise the limit only if power and cooling allow.",
        &[],
        |context| {
            slowdown(context, SW_POWER_CAP, bits::SW_POWER_CAP, SHARE, "the power limit holds the clocks")
        },
    ),
    rule(
        "clocks_locked",
        Severity::Info,
        "the applications clocks setting holds in every reading of the interval",
        LOCKED_ADVICE,
        &[],
        |context| {
            context.each(|gpu| {
                let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at))?;
                let mask = ok(&fast.value.clock_events)?;
                (mask.all & 0x2 != 0).then(|| Finding {
                    advice: Some(advice::about(LOCKED_ADVICE, address(gpu))),
                    ..Finding::of(
                        gpu,
                        "the clocks are held by a setting",
                        format!("clock events {:#x}", mask.all),
                    )
                })
            })
        },
    ),
];

/// A reason by its counter; by the mask of every reading of the interval only where there is no counter, or while
/// the counter was read but once: the next reading is up to 5 s away, and `kgtop doctor` does not wait for it.
fn slowdown(context: &Context<'_>, reason: usize, bit: u64, least: f32, fact: &str) -> Vec<Finding> {
    context.each(|gpu| {
        if context.memory.counts(&gpu.id, reason)
            && let Some((share, at)) = context.memory.share(&gpu.id, reason)
        {
            // Counters are read up to 5 s apart.
            let recent = context.snapshot.mono.since(at) <= Duration::from_secs(10);
            return (recent && share >= least).then(|| {
                let percent = share.min(1.0) * 100.0;
                let evidence = format!(
                    "{percent:.0}% of the time by its counter{}{}",
                    seconds(gpu, reason),
                    degrees(context, gpu)
                );
                Finding::of(gpu, fact, evidence)
            });
        }
        let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at))?;
        let mask = ok(&fast.value.clock_events)?;
        (mask.all & bit != 0).then(|| {
            Finding::of(
                gpu,
                fact,
                format!("clock events {:#x} in every reading{}", mask.all, degrees(context, gpu)),
            )
        })
    })
}

/// How long the reason held, by its counter, over the longest window that is covered.
fn seconds(gpu: &Gpu, reason: usize) -> String {
    let name = match reason {
        SW_POWER_CAP => "sw_power_cap",
        SW_THERMAL => "sw_thermal_slowdown",
        HW_THERMAL => "hw_thermal_slowdown",
        _ => "hw_power_brake_slowdown",
    };
    let Some(held) = gpu.throttle.seconds.iter().find(|seconds| seconds.reason == name) else {
        return String::new();
    };
    let windows = [(&held.last_60m, "the last hour"), (&held.last_10m, "10 min"), (&held.last_1m, "1 min")];
    let told = windows.into_iter().find_map(|(window, span)| Some((ok(window)?, span)));
    if let Some((seconds, span)) = told {
        return format!("; {seconds:.0} s in {span}");
    }
    ok(&held.since_driver_load)
        .map_or_else(String::new, |seconds| format!("; {seconds:.0} s since the driver loaded"))
}

fn degrees(context: &Context<'_>, gpu: &Gpu) -> String {
    let temperature = context.live(gpu).and_then(|live| ok(&live.temperature));
    temperature.map_or_else(String::new, |now| format!("; {now}"))
}

/// The hardware's slowdown where no bit says whether heat or power is why.
fn hw_slowdown(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at))?;
        let mask = ok(&fast.value.clock_events)?;
        let why = bits::HW_THERMAL_SLOWDOWN | bits::HW_POWER_BRAKE_SLOWDOWN;
        (mask.all & bits::HW_SLOWDOWN != 0 && mask.any & why == 0).then(|| {
            let evidence = format!("clock events {:#x} in every reading{}", mask.all, degrees(context, gpu));
            Finding::of(gpu, "the hardware cuts the clocks", evidence)
        })
    })
}

/// `2 °C below its maximum`, whichever side of it.
fn distance(margin: f32, limit: &str) -> String {
    match margin.round() {
        0.0 => format!("at its {limit}"),
        below if below > 0.0 => format!("{below:.0} °C below its {limit}"),
        above => format!("{:.0} °C above its {limit}", -above),
    }
}

fn near_limit(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let live = context.live(gpu)?;
        let now = ok(&live.temperature)?.0;
        let thresholds = gpu.info.thresholds.as_ref().ok()?;
        let (most, slowdown) = (ok(&thresholds.gpu_max), ok(&thresholds.slowdown));
        let gpu_margin = match (ok(&live.temperature_margin), most, slowdown) {
            // T.Limit counts to the maximum operating temperature; its own limit for that is zero on all boards so far.
            (Some(margin), ..) => {
                let limit = ok(&thresholds.gpu_max_limit).map_or(0.0, |limit| limit.0);
                Some((margin.0 - limit, OPERATING, format!("T.Limit margin {margin}, now {now:.0} °C")))
            }
            (None, Some(most), _) => {
                Some((most.0 - now, OPERATING, format!("{now:.0} °C, at most {most} in operation")))
            }
            (None, None, Some(slowdown)) => {
                Some((slowdown.0 - now, "slowdown", format!("{now:.0} °C, slowdown at {slowdown}")))
            }
            (None, None, None) => None,
        };
        if let Some((margin, limit, evidence)) = gpu_margin
            && margin <= NEAR
        {
            let fact = format!("{now:.0} °C, {}", distance(margin, limit));
            return Some(Finding::of(gpu, &fact, evidence));
        }
        let memory = ok(&live.memory_temperature)?.0;
        let most = ok(&thresholds.memory_max)?.0;
        (memory >= most - NEAR).then(|| {
            let fact = format!("memory at {memory:.0} °C, {}", distance(most - memory, "maximum"));
            Finding::of(gpu, &fact, format!("memory {memory:.0} °C of {most:.0} °C"))
        })
    })
}
