//! The preflight: every reason why a change of a GPU would be refused or would hurt, found before anything is sent.

use super::change::{Change, ComputeMode, format_watts};
use super::facts::{GpuFacts, HostFacts, milliwatts};
use super::plan::{Refusal, RefusalKind};
use crate::model::{Absence, GpuState, Reading, known};

/// `NVML_GPU_VIRTUALIZATION_MODE_VGPU`
const VGPU_GUEST: u32 = 2;
/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`: 2 is a node reboot, 3 drain P2P.
const RECOVERY_REBOOT: u32 = 2;
const RECOVERY_DRAIN_P2P: u32 = 3;

fn refusal(kind: RefusalKind, reason: impl Into<String>) -> Refusal {
    Refusal { kind, reason: reason.into() }
}

/// Everything that stands in the way of `change` on this GPU.
pub(super) fn refusals(gpu: &GpuFacts, host: &HostFacts, change: &Change) -> Vec<Refusal> {
    let mut found = Vec::new();
    if !host.is_root {
        found.push(refusal(
            RefusalKind::NotRoot,
            format!("the driver lets only root change the {}: run it through sudo", change.setting()),
        ));
    }
    if gpu.uuid.is_none() || gpu.address.is_none() {
        found.push(refusal(
            RefusalKind::Unread,
            "its UUID and PCI address cannot both be read: what is changed must be known for certain",
        ));
    }
    if gpu.state != GpuState::Ok {
        let advice = if gpu.state == GpuState::Lost {
            "a lost GPU comes back with a reboot, not with a reset or a setting"
        } else {
            "wait until it answers"
        };
        found.push(refusal(RefusalKind::Lost, format!("the GPU is {}: {advice}", gpu.state.name())));
    }
    if gpu.virtualization == Ok(VGPU_GUEST) {
        found.push(refusal(
            RefusalKind::VgpuGuest,
            "this is a vGPU guest: the setting belongs to the host of the virtual machine",
        ));
    }
    if let Err(absence) = &gpu.holders {
        found.push(refusal(
            RefusalKind::Unread,
            format!("the processes on the GPU could not be read ({absence}): nobody knows whom it disturbs"),
        ));
    }
    match change {
        Change::PowerLimit { milliwatts } => power_limit(gpu, *milliwatts, &mut found),
        Change::LockClocks { domain, least, most } => {
            let highest = match domain {
                super::ClockDomain::Graphics => &gpu.max_graphics_clock,
                super::ClockDomain::Memory => &gpu.max_memory_clock,
            };
            clocks(*least, *most, highest.as_ref().map(|clock| clock.0).map_err(Clone::clone), &mut found);
        }
        Change::Persistence { .. } => read(&gpu.persistence, "persistence mode", &mut found),
        Change::ComputeMode { mode } => {
            read(&gpu.compute_mode, "compute mode", &mut found);
            if gpu.mig == Ok(true) {
                found.push(refusal(
                    RefusalKind::Mig,
                    "the GPU is in MIG mode, in which it has no compute mode",
                ));
            }
            let holders = gpu.holders.as_ref().map_or(0, Vec::len);
            if *mode == ComputeMode::ExclusiveProcess && holders > 1 {
                found.push(refusal(
                    RefusalKind::Held,
                    format!(
                        "{holders} processes are on the GPU, and the mode allows one: end the others first"
                    ),
                ));
            }
        }
        Change::ClearEcc { counters } => {
            if gpu.current(change).is_none() {
                found.push(refusal(
                    RefusalKind::NotSupported,
                    format!(
                        "the {} ECC counters cannot be read here, so they cannot be saved first",
                        counters.name()
                    ),
                ));
            }
        }
        Change::Reset => reset(gpu, host, &mut found),
        Change::UnlockClocks { .. } | Change::ResetApplicationClocks => {}
        Change::Signal { .. } | Change::Renice { .. } => {
            found.push(refusal(RefusalKind::WrongRemedy, "this is about a process, not a GPU"));
        }
    }
    found
}

fn read<T>(reading: &Reading<T>, what: &str, found: &mut Vec<Refusal>) {
    match reading {
        Ok(_) => {}
        Err(Absence::NotSupported) => {
            found.push(refusal(RefusalKind::NotSupported, format!("this GPU or driver has no {what}")));
        }
        Err(absence) => {
            found.push(refusal(RefusalKind::Unread, format!("the {what} could not be read: {absence}")));
        }
    }
}

fn power_limit(gpu: &GpuFacts, wanted: u32, found: &mut Vec<Refusal>) {
    match (&gpu.power_limit, &gpu.power_range) {
        (Ok(_), Ok((least, most))) => {
            let (least, most) = (milliwatts(*least), milliwatts(*most));
            if !(least..=most).contains(&wanted) {
                found.push(refusal(
                    RefusalKind::OutOfRange,
                    format!(
                        "{} is out of range: {} to {} can be set",
                        format_watts(wanted),
                        format_watts(least),
                        format_watts(most)
                    ),
                ));
            }
        }
        (Err(Absence::NotSupported), _) | (_, Err(Absence::NotSupported)) => {
            let laptop = ["Laptop", "Mobile", "Max-Q"].iter().any(|word| gpu.name.contains(word));
            let why = if laptop { ": on a laptop it belongs to the firmware" } else { "" };
            found.push(refusal(
                RefusalKind::NotSupported,
                format!("the power limit of this GPU cannot be set{why}"),
            ));
        }
        (Err(absence), _) | (_, Err(absence)) => {
            found.push(refusal(RefusalKind::Unread, format!("the power limit could not be read: {absence}")));
        }
    }
}

fn clocks(least: u32, most: u32, highest: Reading<u32>, found: &mut Vec<Refusal>) {
    match highest {
        Ok(highest) if least == 0 || least > most || most > highest => found.push(refusal(
            RefusalKind::OutOfRange,
            format!("{least} to {most} MHz is no range within 1 to {highest} MHz"),
        )),
        Ok(_) => {}
        Err(absence) => found.push(refusal(
            RefusalKind::NotSupported,
            format!("the highest clock could not be read ({absence}), so no range can be checked"),
        )),
    }
}

fn reset(gpu: &GpuFacts, host: &HostFacts, found: &mut Vec<Refusal>) {
    if host.in_container || !host.pids_visible {
        found.push(refusal(
            RefusalKind::Container,
            "in a container the processes of the host that hold the GPU cannot be seen: reset it from the host",
        ));
    }
    if let Some(why) = &host.proc_partial {
        found.push(refusal(
            RefusalKind::ProcPartial,
            format!("not all of /proc can be read ({why}): nobody can be proven to be off the GPU"),
        ));
    }
    match known(&gpu.recovery_action) {
        Some(RECOVERY_REBOOT) => found.push(refusal(
            RefusalKind::WrongRemedy,
            "the driver asks for a reboot of the machine: a reset does not repair this",
        )),
        Some(RECOVERY_DRAIN_P2P) => found.push(refusal(
            RefusalKind::WrongRemedy,
            "the driver asks to stop peer-to-peer jobs first: drain them, then look at the recovery action again",
        )),
        _ => {}
    }
    if gpu.display_attached == Ok(true) {
        found.push(refusal(RefusalKind::Held, "a display is attached: its server holds the GPU"));
    }
    if host.drm_loaded {
        found.push(refusal(
            RefusalKind::Held,
            "the module nvidia_drm is loaded and may hold the GPU: unload it (modprobe -r nvidia_drm) first",
        ));
    }
    for holder in gpu.holders.iter().flatten() {
        let name = holder.name.as_deref().unwrap_or("a process");
        found.push(refusal(
            RefusalKind::Held,
            format!("{name} (PID {}) is on the GPU: end it or let it finish", holder.pid),
        ));
    }
    match &host.open_by {
        None => {
            found.push(refusal(RefusalKind::ProcPartial, "who holds the device files was not looked for"))
        }
        Some(open) => {
            let others = open.iter().filter(|(pid, _)| !gpu.holders.iter().flatten().any(|h| h.pid == *pid));
            for (pid, name) in others {
                found.push(refusal(
                    RefusalKind::Held,
                    format!("{name} (PID {pid}) holds the device file of the GPU: {}", advice(name)),
                ));
            }
        }
    }
    // Ampere and Ada fabrics: man page of nvidia-smi, --gpu-reset. Hopper and later need no peer.
    let (links, to_switch) = gpu.nvlinks;
    let old = gpu
        .architecture
        .as_deref()
        .is_ok_and(|name| ["Kepler", "Maxwell", "Pascal", "Volta", "Turing"].contains(&name));
    if links > 0 && to_switch == 0 && old {
        found.push(refusal(
            RefusalKind::WrongRemedy,
            "before Ampere all GPUs that NVLink joins must be reset together: kgtop resets one at a time",
        ));
    }
}

/// How a known holder of device files is sent away.
fn advice(name: &str) -> &'static str {
    match name {
        "nvidia-persiste" | "nvidia-persistenced" => "systemctl stop nvidia-persistenced",
        "nv-hostengine" => "systemctl stop nvidia-dcgm",
        "dcgm-exporter" => "stop the exporter (its pod or unit)",
        "nv-fabricmanage" | "nv-fabricmanager" => "systemctl stop nvidia-fabricmanager",
        "Xorg" | "Xwayland" | "gnome-shell" => "end the graphical session",
        "nvtop" | "nvitop" | "nvidia-smi" | "kgtop" | "btop" => "leave the monitor",
        _ => "end it",
    }
}
