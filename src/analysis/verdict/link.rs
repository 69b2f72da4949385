//! Links: PCIe, NVLink, the fabric, ports of NICs.

use super::rule::{Context, Finding, Rule, ok};
use super::{Area, Severity};
use crate::model::{BusKind, Gpu, GpuState, NvLink};
use std::time::Duration;

/// Utilisation from which a link has no reason to be shifted down (own choice; at idle the driver lowers the
/// generation by design).
const LOADED_PERCENT: f32 = 20.0;
/// P-states of work: the driver takes a GPU with compute contexts to P0 or P2. At P8 a compositor alone reaches the
/// utilisation above, with the link shifted down by design.
const WORKING_P_STATE: u32 = 2;
/// The same by traffic: a tenth of what the slowest link in use (3.0 x4) carries.
const LOADED_TRAFFIC: f64 = 400e6;
/// Replays per second: 8 a minute, as DCGM's health watch has it (`DCGM_LIMIT_MAX_PCIREPLAY_RATE`).
const REPLAYS: f32 = 8.0 / 60.0;
/// A reading of the error counters is judged this long: they are read every ten seconds, and a busy driver is late.
const ERRORS_FRESH: Duration = Duration::from_secs(25);
/// How often the errors of each link are read, at least, where the totals are not true (Hopper and later).
const LINKS_READ: Duration = Duration::from_secs(60);
/// How long a single error is told (own choice): until after the next reading, so that errors in each are one finding.
const ERRORS_TOLD: Duration = Duration::from_secs(75);
/// The other end of a link: an NVSwitch (`nvmlIntNvLinkDeviceType_t`).
const SWITCH: u32 = 2;
/// A fabric that is not up after this long waits for something: the registration itself takes seconds (own choice).
const REGISTERING: Duration = Duration::from_secs(30);
/// A link that trains while the load starts is not told.
const TRAINING: Duration = Duration::from_millis(900);
/// Siblings of a NIC port that must all be active before a port that is not counts as down.
const PORTS_AT_LEAST: usize = 3;

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
        area: Area::Topology,
        needs: "NVML's link readings",
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
        "nvlink_down",
        Severity::Critical,
        "a link that was up is down; or it is up on every sibling, where links go to a switch or others of the GPU are up",
        "Look for Xid 74 or 144 to 150. Drain the GPU, reset it with its switches; if it stays down, check the board.",
        nvlink_down,
    ),
    rule(
        "fabric_failed",
        Severity::Critical,
        "the registration completed with an error, or the fabric calls itself unhealthy (nvmlGpuFabricInfo)",
        "CUDA will not start on this GPU (error 802). Check the Fabric Manager where the NVSwitches are, then reset \
         the GPUs.",
        fabric,
    ),
    Rule {
        raise_after: REGISTERING,
        ..rule(
            "fabric_in_progress",
            Severity::Warning,
            "not registered with the fabric for 30 s (own choice; nvmlGpuFabricInfo)",
            "CUDA does not start on this GPU before it is (error 802): look whether the Fabric Manager runs where the \
             NVSwitches are (systemctl status nvidia-fabricmanager), and at its log.",
            registering,
        )
    },
    Rule {
        raise_after: TRAINING,
        ..rule(
            "pcie_link_degraded",
            Severity::Warning,
            "width, or generation in P0 to P2, below its maximum at 20 % utilisation; either at 400 MB/s; or narrower than \
             every sibling",
            "Reseat the GPU or its riser, look for AER lines in the kernel log; a cold start makes the link train anew.",
            pcie,
        )
    },
    rule(
        "pcie_replays",
        Severity::Warning,
        "8 a minute (DCGM's health watch)",
        "The link has bit errors: reseat the GPU, check riser and cable, look for AER lines in the kernel log.",
        |context| {
            context.each(|gpu| {
                let rate = ok(&gpu.rates.pcie_replays).filter(|rate| *rate >= REPLAYS)?;
                let fact = format!("PCIe replays rise by {:.0} a minute", rate * 60.0);
                Some(Finding::of(gpu, &fact, format!("{rate:.2} replays/s between the last two readings")))
            })
        },
    ),
    Rule {
        clear_after: ERRORS_TOLD,
        ..rule(
            "nvlink_errors",
            Severity::Warning,
            "one error more than at the reading before (own choice)",
            "A link has bit errors: see which one on the topology tab; if it goes on, drain and reset the GPU.",
            nvlink_errors,
        )
    },
    Rule {
        needs: "sysfs",
        ..rule(
            "nic_port_down",
            Severity::Warning,
            "a port that was active is not, or all others (at least 3) are",
            "Check cable, transceiver and switch port: ibstat, ip link",
            nic_ports,
        )
    },
];

/// By how much a GPU computes.
fn busy(context: &Context<'_>, gpu: &Gpu) -> Option<String> {
    let fast = gpu.fast.as_ref().filter(|group| context.fresh(group.at));
    // The least of the interval: a load that began within it found the link still shifted down.
    let busy = fast.and_then(|group| ok(&group.value.utilization)).filter(|band| band.min >= LOADED_PERCENT);
    busy.map(|band| format!("at {:.0}% utilisation", band.mean))
}

/// By how much its link carries.
fn carries(gpu: &Gpu) -> Option<String> {
    let rates = [ok(&gpu.rates.pcie_rx), ok(&gpu.rates.pcie_tx)];
    let traffic = rates.into_iter().flatten().max_by(|a, b| a.0.total_cmp(&b.0))?;
    (traffic.0 >= LOADED_TRAFFIC).then(|| format!("at {traffic}"))
}

fn siblings<'a>(context: &Context<'a>, gpu: &'a Gpu) -> impl Iterator<Item = &'a Gpu> {
    context.answering().filter(move |other| {
        other.id != gpu.id && other.info.name.is_ok() && other.info.name == gpu.info.name
    })
}

fn pcie(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let live = context.live(gpu)?;
        let (generation, width) = (ok(&live.pcie_generation)?, ok(&live.pcie_width)?);
        let (best, widest) = (ok(&gpu.info.max_pcie_generation)?, ok(&gpu.info.max_pcie_width)?);
        if generation >= best && width >= widest {
            return None;
        }
        let evidence = |how: &str| format!("Gen{generation} x{width} of Gen{best} x{widest} {how}");
        let fact = format!("PCIe Gen{generation} x{width}, could be Gen{best} x{widest}");
        // The driver lowers the generation where there is little to do, never the width.
        let works =
            width < widest || ok(&live.performance_state).is_some_and(|state| state <= WORKING_P_STATE);
        if let Some(how) = busy(context, gpu).filter(|_| works).or_else(|| carries(gpu)) {
            return Some(Finding::of(gpu, &fact, evidence(&how)));
        }
        let others: Vec<u32> =
            siblings(context, gpu).filter_map(|other| ok(&context.live(other)?.pcie_width)).collect();
        let narrower = width < widest && others.len() >= 2 && others.iter().all(|other| *other > width);
        narrower.then(|| Finding::of(gpu, &fact, evidence("while every sibling's link is wider")))
    })
}

fn nvlink_down(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        // MIG turns peer-to-peer off.
        if gpu.health.as_ref().and_then(|group| ok(&group.value.mig)) == Some(true) {
            return None;
        }
        let links = &gpu.nvlinks.as_ref()?.value;
        // Cards of one model need not be bridged alike, and one that is not bridged has all its links down.
        let joined = |link: &NvLink| link.active == Ok(true) || link.remote_type == Ok(SWITCH);
        let comparable =
            ok(&gpu.info.nvswitch_links).is_some_and(|switched| switched > 0) || links.iter().any(joined);
        let up_elsewhere = |number: u32| {
            let mut others = siblings(context, gpu).filter_map(|other| other.nvlinks.as_ref()).peekable();
            others.peek().is_some()
                && others.all(|group| {
                    group.value.iter().any(|link| link.link == number && link.active == Ok(true))
                })
        };
        let down: Vec<u32> = links
            .iter()
            .filter(|link| link.active == Ok(false))
            .map(|link| link.link)
            .filter(|number| context.memory.was_up(&gpu.id, *number) || comparable && up_elsewhere(*number))
            .collect();
        let list = down.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let word = if down.len() == 1 { "NVLink" } else { "NVLinks" };
        (!down.is_empty()).then(|| {
            Finding::of(
                gpu,
                &format!("{word} {list} down"),
                format!("{} of {} links up", links.len() - down.len(), links.len()),
            )
        })
    })
}

/// One error is told: a rate over ten seconds is now above, now below any mark for it.
fn nvlink_errors(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let rise = context.memory.nvlink_errors(&gpu.id)?;
        if rise.errors == 0 || context.snapshot.mono.since(rise.at) > ERRORS_FRESH {
            return None;
        }
        let errors =
            if rise.errors == 1 { "1 NVLink error".into() } else { format!("{} NVLink errors", rise.errors) };
        let within = rise.within.max(LINKS_READ).as_secs();
        let evidence = format!("the counters of all its links rose by {} in at most {within} s", rise.errors);
        Some(Finding::of(gpu, &format!("{errors} in at most {within} s"), evidence))
    })
}

/// GPUs behind NVSwitches that the fabric has not taken in yet.
fn registering(context: &Context<'_>) -> Vec<Finding> {
    context.each(|gpu| {
        let state = ok(&gpu.health.as_ref()?.value.fabric_state)?;
        let fact = match state {
            1 => "its registration with the NVLink fabric has not begun",
            2 => "its registration with the NVLink fabric does not end",
            _ => return None,
        };
        Some(Finding::of(gpu, fact, format!("fabric state {state} (nvmlGpuFabricState_t)")))
    })
}

fn fabric(context: &Context<'_>) -> Vec<Finding> {
    let known = context.snapshot.gpus.iter().filter(|gpu| gpu.state == GpuState::Ok);
    known
        .filter_map(|gpu| {
            let health = &gpu.health.as_ref()?.value;
            let state = ok(&health.fabric_state)?;
            let status = ok(&health.fabric_status).unwrap_or(0);
            let summary = ok(&health.fabric_health).unwrap_or(0);
            if state == 3 && status != 0 {
                let evidence = format!("fabric state completed, status {status}");
                return Some(Finding::of(
                    gpu,
                    &format!("the fabric registration failed with status {status}"),
                    evidence,
                ));
            }
            (summary == 2)
                .then(|| Finding::of(gpu, "the fabric is unhealthy", "fabric health summary: unhealthy"))
        })
        .collect()
}

fn nic_ports(context: &Context<'_>) -> Vec<Finding> {
    let Some(topology) = &context.snapshot.inventory.topology else { return Vec::new() };
    let nics = topology.devices.iter().filter(|device| device.kind == BusKind::Nic);
    let ports: Vec<_> = nics.flat_map(|nic| nic.ports.iter().map(move |port| (&*nic.name, port))).collect();
    let active = |state: &crate::model::Reading<std::sync::Arc<str>>| state.as_deref() == Ok("ACTIVE");
    ports
        .iter()
        .filter(|(name, port)| {
            let others = || ports.iter().filter(|(other, _)| other != name);
            let alone = others().count() >= PORTS_AT_LEAST && others().all(|(_, other)| active(&other.state));
            port.state.is_ok()
                && !active(&port.state)
                && (context.memory.was_active(name, port.port) || alone)
        })
        .map(|(name, port)| {
            let state = port.state.as_deref().unwrap_or("?");
            let physical = port.physical.as_deref().unwrap_or("?");
            Finding {
                subject: format!("{name}/{}", port.port),
                summary: format!("NIC {name}: port {} is {state}", port.port),
                evidence: format!("/sys/class/infiniband/{name}/ports/{}: {state}, {physical}", port.port),
                ..Finding::default()
            }
        })
        .collect()
}
