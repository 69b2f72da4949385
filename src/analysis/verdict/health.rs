//! Memory errors and their repair.

use super::rule::{Context, Finding, Rule, ok};
use super::{Area, Severity};
use crate::model::{Gpu, GpuState, Health};
use std::time::Duration;

const fn rule(
    id: &'static str,
    severity: Severity,
    threshold: &'static str,
    advice: &'static str,
    check: fn(&Context<'_>) -> Vec<Finding>,
) -> Rule {
    Rule {
        id,
        severity,
        area: Area::Gpus,
        needs: "ECC memory and NVML's health readings",
        threshold,
        advice,
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &[],
        check,
    }
}

pub(super) const RULES: &[Rule] = &[
    rule(
        "uncorrected_ecc",
        Severity::Critical,
        "any since the driver loaded (NVIDIA GPU memory error management)",
        "What ran on this GPU may have computed with bad data. Drain it and reset it; run a field diagnostic if it \
         comes back.",
        |context| {
            each(context, |gpu, health| {
                let errors = ok(&health.ecc_uncorrected_volatile).filter(|errors| *errors > 0)?;
                let fact = format!("{errors} uncorrected ECC errors since the driver loaded");
                let fact = if errors == 1 { fact.replace("errors", "error") } else { fact };
                Some(Finding::of(gpu, &fact, format!("volatile uncorrected ECC: {errors}")))
            })
        },
    ),
    rule(
        "row_remap_failed",
        Severity::Critical,
        "the driver's flag; the vendor's criterion for a replacement (NVIDIA GPU memory error management)",
        "Replace the board: it has no spare row left for this bank.",
        |context| {
            each(context, |gpu, health| {
                (ok(&health.remap_failed) == Some(true))
                    .then(|| Finding::of(gpu, "a row remap failed", "NVML remapped rows: failure occurred"))
            })
        },
    ),
    rule(
        "sram_threshold_exceeded",
        Severity::Critical,
        "the driver's flag (nvmlDeviceGetSramEccErrorStatus)",
        "The vendor's threshold for SRAM errors is exceeded: run a field diagnostic and replace the board.",
        |context| {
            each(context, |gpu, health| {
                (ok(&health.sram_threshold_exceeded) == Some(true)).then(|| {
                    Finding::of(
                        gpu,
                        "uncorrected SRAM errors exceed the vendor's threshold",
                        "SRAM threshold flag set",
                    )
                })
            })
        },
    ),
    rule(
        "row_remap_pending",
        Severity::Warning,
        "the driver's flag",
        "The bad row is remapped at the next reset: drain the GPU when it suits and reset it.",
        |context| {
            each(context, |gpu, health| {
                (ok(&health.remap_pending) == Some(true)).then(|| {
                    Finding::of(gpu, "a row remap waits for the next reset", "NVML remapped rows: pending")
                })
            })
        },
    ),
    rule(
        "page_retirement_pending",
        Severity::Warning,
        "the driver's flag",
        "The bad page is retired at the next reboot or reset: drain the GPU when it suits.",
        |context| {
            each(context, |gpu, health| {
                (ok(&health.retired_pending) == Some(true)).then(|| {
                    Finding::of(
                        gpu,
                        "a page retirement waits for the next reboot",
                        "NVML retired pages: pending",
                    )
                })
            })
        },
    ),
    rule(
        "aggregate_ecc",
        Severity::Info,
        "any in the GPU's life, none since the driver loaded",
        "Old errors that were repaired: nothing to do unless new ones come.",
        |context| {
            each(context, |gpu, health| {
                let errors = ok(&health.ecc_uncorrected_aggregate).unwrap_or(0);
                let rows = ok(&health.remapped_uncorrected).unwrap_or(0);
                let since_load = ok(&health.ecc_uncorrected_volatile).unwrap_or(0);
                (since_load == 0 && (errors > 0 || rows > 0)).then(|| {
                    let fact =
                        format!("{errors} uncorrected ECC errors in its life, {rows} rows remapped for them");
                    Finding::of(gpu, &fact, format!("aggregate uncorrected {errors}, remapped {rows}"))
                })
            })
        },
    ),
    rule(
        "ecc_change_pending",
        Severity::Info,
        "the mode now and the pending mode differ",
        "The change takes effect at the next reset of the GPU.",
        |context| {
            each(context, |gpu, health| {
                let (now, next) = (ok(&health.ecc_enabled)?, ok(&health.ecc_pending)?);
                let word = |on: bool| if on { "on" } else { "off" };
                (now != next).then(|| {
                    let fact = format!("ECC goes {} at the next reset", word(next));
                    Finding::of(gpu, &fact, format!("ECC {} now, {} pending", word(now), word(next)))
                })
            })
        },
    ),
];

/// Health is judged as it was last read, whatever the GPU's state: a bad memory row stays bad while a call waits.
fn each(context: &Context<'_>, check: impl Fn(&Gpu, &Health) -> Option<Finding>) -> Vec<Finding> {
    let known = context.snapshot.gpus.iter().filter(|gpu| {
        !matches!(gpu.state, GpuState::NotOpened | GpuState::NoDriver | GpuState::PassedThrough)
    });
    known.filter_map(|gpu| check(gpu, &gpu.health.as_ref()?.value)).collect()
}
