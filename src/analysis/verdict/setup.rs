//! How the machine is set up.

use super::rule::{Context, Finding, Rule, address, ok};
use super::{Area, Severity};
use crate::analysis::advice;
use crate::analysis::kernel_log::Kind;
use std::time::Duration;

const fn rule(
    id: &'static str,
    severity: Severity,
    area: Area,
    threshold: &'static str,
    advice: &'static str,
    check: fn(&Context<'_>) -> Vec<Finding>,
) -> Rule {
    Rule {
        id,
        severity,
        area,
        needs: "the driver's versions and modes",
        threshold,
        advice,
        raise_after: Duration::ZERO,
        clear_after: Duration::ZERO,
        covers: &[],
        check,
    }
}

const NO_INSTANCES: &str = "Nothing can run on it: kgtop act mig create PROFILE --gpu ADDRESS (kgtop act mig list --gpu \
                            ADDRESS has the profiles), or turn MIG off: nvidia-smi -i ADDRESS -mig 0";

pub(super) const RULES: &[Rule] = &[
    rule(
        "driver_mismatch",
        Severity::Warning,
        Area::Doctor,
        "NVML's version does not end in the kernel module's",
        "An update replaced the libraries under a loaded module: stop what uses the GPUs and reload the module, or \
         reboot.",
        mismatch,
    ),
    rule(
        "mig_without_instances",
        Severity::Warning,
        Area::Gpus,
        "MIG mode is on and there is no instance",
        NO_INSTANCES,
        |context| {
            context.each(|gpu| {
                let enabled = ok(&gpu.health.as_ref()?.value.mig)?;
                let instances = gpu.mig.as_ref()?.value.as_ref().ok()?.len();
                (enabled && instances == 0).then(|| Finding {
                    advice: Some(advice::about(NO_INSTANCES, address(gpu))),
                    ..Finding::of(gpu, "MIG is on and has no instance", "MIG mode enabled, 0 instances")
                })
            })
        },
    ),
    rule(
        "persistence_off",
        Severity::Warning,
        Area::Doctor,
        "off on a GPU that is no GeForce and drives no display",
        "The driver unloads its state when the last client leaves, and settings are lost: systemctl enable --now \
         nvidia-persistenced",
        |context| {
            context.each(|gpu| {
                let off = !ok(&gpu.health.as_ref()?.value.persistence)?;
                // Whether one is driven: an H200, which has no connector, calls a display attached. Older recordings
                // tell that only.
                let display = ok(&gpu.info.display_active).or_else(|| ok(&gpu.info.display_attached));
                let headless = display == Some(false);
                let name = gpu.info.name.as_deref().ok()?;
                let server = !["GeForce", "Laptop", "Quadro", "TITAN"].iter().any(|word| name.contains(word));
                (off && headless && server).then(|| {
                    Finding::of(gpu, "persistence mode is off", "persistence disabled, no display active")
                })
            })
        },
    ),
];

fn mismatch(context: &Context<'_>) -> Vec<Finding> {
    let driver = &context.snapshot.inventory.driver;
    let logged = context.incidents.iter().rev().find(|incident| {
        // Only until a module is loaded anew.
        incident.kind == Kind::ApiMismatch && !incident.user_space && driver.problem.is_some()
    });
    if let Some(incident) = logged {
        return vec![Finding {
            summary: "The driver's libraries and its kernel module have different versions".into(),
            evidence: incident.raw.first().map(ToString::to_string).unwrap_or_default(),
            since: Some(incident.first.mono),
            ..Finding::default()
        }];
    }
    let (Ok(module), Ok(library)) = (&driver.module_version, &driver.nvml_version) else { return Vec::new() };
    // NVML puts the CUDA major in front: 13.580.159.04.
    if library.ends_with(&**module) {
        return Vec::new();
    }
    vec![Finding {
        summary: format!("The kernel module is {module}, NVML is {library}"),
        evidence: format!("/sys/module/nvidia/version {module}; nvmlSystemGetNVMLVersion {library}"),
        ..Finding::default()
    }]
}
