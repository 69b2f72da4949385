//! What keeps the driver loaded, what joins the GPUs, and how they are shared.

use super::context::{counted, listed};
use super::{Check, Context, Found, Layer, Need};
use crate::model::{Gpu, Health, ProcessKind};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "persistence",
        layer: Layer::Persistence,
        title: "persistence mode",
        needs: &[Need::Gpu, Need::Ours, Need::Nvml],
        symptom: "The first CUDA call takes seconds; power limits and clocks are forgotten between jobs",
        run: persistence,
    },
    Check {
        id: "fabric",
        layer: Layer::Fabric,
        title: "NVSwitch fabric",
        needs: &[Need::Gpu, Need::Ours],
        symptom: "CUDA error 802: system not yet initialized",
        run: fabric,
    },
    Check {
        id: "sharing",
        layer: Layer::Sharing,
        title: "MIG, MPS, time-slicing",
        needs: &[Need::Gpu, Need::Ours, Need::Nvml],
        symptom: "CUDA sees no device although nvidia-smi shows the GPU (MIG without instances)",
        run: sharing,
    },
];

const FABRIC_MANAGER: &str = "nvidia-fabricmanager.service";
/// `nvmlGpuFabricState_t`.
const NOT_STARTED: u32 = 1;
const IN_PROGRESS: u32 = 2;
const COMPLETED: u32 = 3;
/// `nvmlGpuFabricHealthSummary`: unhealthy.
const UNHEALTHY: u32 = 2;

fn health(gpu: &Gpu) -> Option<&Health> {
    gpu.health.as_ref().map(|group| &group.value)
}

fn label(gpu: &Gpu) -> String {
    gpu.index().map_or_else(|| gpu.id.to_string(), |index| format!("GPU {index}"))
}

/// What a command names the GPU by: an index is the order of one boot.
fn address(gpu: &Gpu) -> &str {
    gpu.info.pci_bus_id.as_deref().unwrap_or("ADDRESS")
}

fn persistence(context: &Context<'_>) -> Found {
    let known: Vec<(&Gpu, bool)> = context
        .answering()
        .iter()
        .filter_map(|gpu| Some((gpu, *health(gpu)?.persistence.as_ref().ok()?)))
        .collect();
    if known.is_empty() {
        return Found::skip("the driver tells no persistence mode");
    }
    let on = known.iter().filter(|(_, on)| *on).count();
    let daemon = context.service("nvidia-persistenced.service");
    let seen = |found: Found| {
        let found = found.seen("nvmlDeviceGetPersistenceMode", format!("on for {on} of {}", known.len()));
        let found = match daemon {
            Some(directory) => found.seen(format!("{directory}/nvidia-persistenced.service"), "runs"),
            None => found,
        };
        if context.exists("/run/nvidia-persistenced/socket") {
            found.seen("/run/nvidia-persistenced/socket", "there")
        } else {
            found
        }
    };
    let told: Vec<_> = context.verdicts.iter().filter(|verdict| verdict.rule == "persistence_off").collect();
    if told.is_empty() {
        return seen(Found::pass(if on == known.len() {
            "on for every GPU"
        } else {
            "off, which does not matter with a display or on a workstation's GPU"
        }));
    }
    let found = seen(Found::warn(format!("off for {} without a display", counted(told.len(), "GPU"))));
    if context.in_container() {
        return found.advise("On the host: systemctl enable --now nvidia-persistenced");
    }
    found
        .fix("sudo systemctl enable --now nvidia-persistenced")
        .fix("kgtop act persistence on --all   # until the next reboot")
}

/// NVSwitches that this host drives itself.
fn own_switches<'a>(context: &Context<'a>) -> Vec<&'a str> {
    context
        .below("/sys/bus/pci/devices/")
        .filter(|file| file.path.ends_with("/class"))
        .filter(|file| file.value().is_some_and(|class| class.starts_with("0x0680")))
        .filter_map(|file| file.path.strip_suffix("/class"))
        .filter(|device| context.value(&format!("{device}/vendor")).is_some_and(|vendor| vendor == "0x10de"))
        .collect()
}

fn fabric(context: &Context<'_>) -> Found {
    let switches = own_switches(context);
    let running =
        context.service(FABRIC_MANAGER).is_some() || !context.names("/run/nvidia-fabricmanager").is_empty();
    let joined: Vec<&Gpu> = context
        .answering()
        .iter()
        .filter(|gpu| gpu.info.nvswitch_links.as_ref().is_ok_and(|links| *links > 0))
        .collect();
    let states: Vec<(&Gpu, u32)> = joined
        .iter()
        .filter_map(|gpu| Some((*gpu, *health(gpu)?.fabric_state.as_ref().ok()?)))
        .filter(|(_, state)| *state != 0)
        .collect();
    let status =
        |gpu: &Gpu| health(gpu).and_then(|health| health.fabric_status.as_ref().ok().copied()).unwrap_or(0);
    let unhealthy = |gpu: &Gpu| health(gpu).is_some_and(|health| health.fabric_health == Ok(UNHEALTHY));
    let describe = |mut found: Found| {
        for (gpu, state) in &states {
            let name = match *state {
                NOT_STARTED => "not started",
                IN_PROGRESS => "in progress",
                COMPLETED => "completed",
                _ => "unknown",
            };
            found = found.seen(
                format!("nvmlDeviceGetGpuFabricInfo {}", label(gpu)),
                format!("{name}, status {}", status(gpu)),
            );
        }
        if !switches.is_empty() {
            let text = if running { "runs" } else { "does not run" };
            found = found
                .seen("/sys/bus/pci/devices", format!("{} of this host", counted(switches.len(), "NVSwitch")))
                .seen(FABRIC_MANAGER, text);
        }
        found
    };
    let start = |found: Found| {
        // In a guest, and with NVLink 5 on a tray, the service runs elsewhere.
        if switches.is_empty() {
            found.advise(
                "The switches are not this host's: ask where the Fabric Manager runs (host, or NVLink tray).",
            )
        } else {
            found
                .fix("sudo systemctl enable --now nvidia-fabricmanager")
                .fix("sudo journalctl -u nvidia-fabricmanager -b | tail -50")
        }
    };
    // The fabric's state decides; the service is only the usual reason.
    let failed: Vec<String> = states
        .iter()
        .filter(|(gpu, state)| {
            *state == NOT_STARTED || (*state == COMPLETED && status(gpu) != 0) || unhealthy(gpu)
        })
        .map(|(gpu, _)| label(gpu))
        .collect();
    if !failed.is_empty() {
        return start(describe(Found::fail(format!("not registered with the fabric: {}", listed(failed)))));
    }
    let waiting: Vec<String> =
        states.iter().filter(|(_, state)| *state == IN_PROGRESS).map(|(gpu, _)| label(gpu)).collect();
    if !waiting.is_empty() {
        return start(describe(Found::warn(format!("registration is in progress: {}", listed(waiting)))));
    }
    if !states.is_empty() {
        return describe(Found::pass(format!("registered: {}", counted(states.len(), "GPU"))));
    }
    if !switches.is_empty() && !running && context.lacks(Need::Host).is_none() {
        return start(describe(Found::fail("this host has NVSwitches, and the Fabric Manager does not run")));
    }
    if !switches.is_empty() {
        return describe(Found::pass("the Fabric Manager runs; these GPUs tell no fabric state"));
    }
    Found::skip("no GPU here is joined by NVSwitches")
}

fn sharing(context: &Context<'_>) -> Found {
    let mut parts = Vec::new();
    let mig: Vec<&Gpu> = context
        .answering()
        .iter()
        .filter(|gpu| health(gpu).is_some_and(|health| health.mig == Ok(true)))
        .collect();
    if !mig.is_empty() {
        let instances: usize =
            mig.iter().filter_map(|gpu| gpu.mig.as_ref()?.value.as_ref().ok().map(Vec::len)).sum();
        parts.push(format!("MIG on {} with {}", counted(mig.len(), "GPU"), counted(instances, "instance")));
    }
    let mps = context.service("nvidia-mps.service").is_some()
        || !context.names("/tmp/nvidia-mps").is_empty()
        || context
            .snapshot
            .processes
            .iter()
            .any(|process| process.gpus.iter().any(|gpu| gpu.kind == ProcessKind::Mps));
    if mps {
        parts.push("MPS runs".into());
    }
    let shared = context.answering().iter().filter(|gpu| {
        let holders = context.snapshot.processes.iter().filter(|process| {
            process.ended.is_none()
                && process.gpus.iter().any(|held| held.gpu == gpu.id && held.kind == ProcessKind::Compute)
        });
        holders.count() > 1
    });
    let shared = shared.count();
    if shared > 0 && !mps {
        parts.push(format!("{} shared by several processes, in turns", counted(shared, "GPU")));
    }
    let seen = |mut found: Found| {
        for gpu in &mig {
            let count = gpu.mig.as_ref().and_then(|group| group.value.as_ref().ok()).map_or(0, Vec::len);
            found = found.seen(
                format!("nvmlDeviceGetMigMode {}", label(gpu)),
                format!("on, {}", counted(count, "instance")),
            );
        }
        for name in context.names("/tmp/nvidia-mps") {
            found = found.seen(format!("/tmp/nvidia-mps/{name}"), "there");
        }
        found
    };
    if let Some(verdict) = context.verdicts.iter().find(|verdict| verdict.rule == "mig_without_instances") {
        let gpu = context.answering().iter().find(|gpu| verdict.gpu.as_ref() == Some(&gpu.id));
        let address = gpu.map_or("ADDRESS", address);
        return seen(Found::fail(verdict.summary.clone()))
            .advise("Nothing can run on it: make instances, or turn MIG off.")
            .fix(format!("kgtop act mig list --gpu {address}   # the profiles"))
            .fix(format!("kgtop act mig create PROFILE --gpu {address}"))
            .fix(format!("sudo nvidia-smi -i {address} -mig 0   # instead, if it is to be whole again"));
    }
    let pending: Vec<&Gpu> = context
        .answering()
        .iter()
        .filter(|gpu| {
            health(gpu).is_some_and(|health| match (&health.mig, &health.mig_pending) {
                (Ok(now), Ok(next)) => now != next,
                _ => false,
            })
        })
        .collect();
    if !pending.is_empty() {
        let names = listed(pending.iter().map(|gpu| label(gpu)));
        let found = seen(Found::warn(format!("a change of the MIG mode waits for a reset: {names}")));
        return pending.iter().fold(found, |found, gpu| {
            found.fix(format!("kgtop act reset --gpu {}   # nothing may use it", address(gpu)))
        });
    }
    seen(Found::pass(if parts.is_empty() {
        "each GPU is whole, and no MPS runs".to_owned()
    } else {
        parts.join("; ")
    }))
}
