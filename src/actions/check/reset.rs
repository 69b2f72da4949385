//! What stands in the way of a reset, and of what goes further. The rules are those of nvidia-smi's man page
//! (`--gpu-reset`, "GPU Recovery Action") and of the driver, which refuses a GPU that anybody has open.

use super::super::facts::{GpuFacts, HostFacts};
use super::super::plan::{Refusal, RefusalKind};
use super::refusal;
use crate::model::known;

/// Values of `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION` (field 230) for which a reset is not the remedy: what the driver
/// asks for instead. 1 asks for a reset, 4 for a reset once the work is drained.
const OTHER_REMEDIES: [(u32, &str); 5] = [
    (2, "the driver asks for a reboot of the machine: a reset does not repair this"),
    (
        3,
        "the driver asks to stop peer-to-peer jobs first: drain them, then look at the recovery action again",
    ),
    (
        5,
        "the driver asks to recover the IMEX domain (nvidia-imex on its nodes): a reset does not repair this",
    ),
    (6, "the driver asks for a reset of the bus: nvidia-smi -i ADDRESS -r bus, with a driver that knows it"),
    (7, "the driver asks for a reboot of the whole system: a reset does not repair this"),
];

/// `NVML_GPU_VIRTUALIZATION_MODE_HOST_VGPU` and `_HOST_VSGA`.
const VGPU_HOST: [u32; 2] = [3, 4];

/// Architectures whose GPUs on direct NVLinks must be reset together.
const BEFORE_AMPERE: [&str; 5] = ["Kepler", "Maxwell", "Pascal", "Volta", "Turing"];

/// Architectures whose GPUs on NVSwitches are reset one by one only while Fabric Manager runs.
const NEED_FABRIC_MANAGER: [&str; 2] = ["Ampere", "Ada"];

/// Fabric Manager, as the kernel cuts its name.
const FABRIC_MANAGER: &str = "nv-fabricmanage";

/// A reset: the right remedy, nobody on the GPU, and no peer that has to come along.
pub(super) fn reset(gpu: &GpuFacts, host: &HostFacts, found: &mut Vec<Refusal>) {
    let asked = known(&gpu.recovery_action);
    if let Some((_, reason)) = OTHER_REMEDIES.iter().find(|(action, _)| Some(*action) == asked) {
        found.push(refusal(RefusalKind::WrongRemedy, *reason));
    }
    if known(&gpu.virtualization).is_some_and(|mode| VGPU_HOST.contains(&mode)) {
        found.push(refusal(
            RefusalKind::Held,
            "the GPU is shared out to virtual machines: shut those down and end its vGPU mode first",
        ));
    }
    peers(gpu, host, found);
    holders(gpu, host, found);
}

fn peers(gpu: &GpuFacts, host: &HostFacts, found: &mut Vec<Refusal>) {
    let (links, to_switch) = gpu.nvlinks;
    if links == 0 {
        return;
    }
    let is_one_of = |names: &[&str]| gpu.architecture.as_deref().is_ok_and(|name| names.contains(&name));
    if gpu.architecture.is_err() {
        found.push(refusal(
            RefusalKind::Unread,
            "the GPU has NVLinks and its architecture could not be read: whether its peers must be reset with it \
             is not known",
        ));
    }
    if to_switch == 0 && is_one_of(&BEFORE_AMPERE) {
        found.push(refusal(
            RefusalKind::WrongRemedy,
            "before Ampere all GPUs that NVLink joins must be reset together: kgtop resets one at a time",
        ));
    }
    if to_switch > 0 && is_one_of(&NEED_FABRIC_MANAGER) && host.fabric_manager != Some(true) {
        found.push(refusal(
            RefusalKind::WrongRemedy,
            "on NVSwitches of this generation one GPU alone is reset only while Fabric Manager runs: systemctl \
             start nvidia-fabricmanager",
        ));
    }
}

/// Everybody who has the GPU, and everything that keeps it from being known who has.
fn holders(gpu: &GpuFacts, host: &HostFacts, found: &mut Vec<Refusal>) {
    if host.in_container || !host.pids_visible {
        found.push(refusal(
            RefusalKind::Container,
            "in a container the processes of the host that hold the GPU cannot be seen: do it from the host",
        ));
    }
    // Anybody but root sees only the descriptors of own processes; root looks again before anything is sent.
    if host.is_root {
        if let Some(why) = &host.proc_partial {
            found.push(refusal(
                RefusalKind::ProcPartial,
                format!("not all of /proc can be read ({why}): nobody can be proven to be off the GPU"),
            ));
        }
        if host.open_by.is_none() {
            found.push(refusal(RefusalKind::ProcPartial, "who holds the device files was not looked for"));
        }
    }
    // NVML's "display attached" says nothing here: an H100 without any connector answers yes. A display's server is
    // found as a holder, or behind this module.
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
    // Where one GPU alone is reset with Fabric Manager's help, it is no obstacle.
    let helps = |name: &str| {
        name.starts_with(FABRIC_MANAGER)
            && gpu.nvlinks.1 > 0
            && gpu.architecture.as_deref().is_ok_and(|name| NEED_FABRIC_MANAGER.contains(&name))
    };
    let others = host
        .open_by
        .iter()
        .flatten()
        .filter(|(pid, name)| !helps(name) && !gpu.holders.iter().flatten().any(|h| h.pid == *pid));
    for (pid, name) in others {
        found.push(refusal(
            RefusalKind::Held,
            format!("{name} (PID {pid}) holds the device file of the GPU: {}", advice(name)),
        ));
    }
}

/// How a known holder of device files is sent away. The kernel keeps 15 bytes of a name.
fn advice(name: &str) -> &'static str {
    match name {
        "nvidia-persiste" | "nvidia-persistenced" => "systemctl stop nvidia-persistenced",
        "nv-hostengine" => "systemctl stop nvidia-dcgm",
        "dcgm-exporter" => "stop the exporter (its pod or unit)",
        "nvidia-device-p" => "stop the device plugin (its pod)",
        "gpu-feature-dis" => "stop the GPU feature discovery (its pod)",
        "nv-fabricmanage" | "nv-fabricmanager" => "systemctl stop nvidia-fabricmanager",
        "Xorg" | "Xwayland" | "gnome-shell" | "kwin_wayland" => "end the graphical session",
        "nvtop" | "nvitop" | "nvidia-smi" | "kgtop" | "btop" | "gpustat" => "leave the monitor",
        _ => "end it",
    }
}
