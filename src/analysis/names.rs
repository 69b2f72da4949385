//! Names of what the driver tells by number, as they stand in the JSON.

/// Name of a recovery action (NVML field 230).
#[must_use]
pub fn recovery_action(action: u32) -> String {
    let names = [
        "none",
        "gpu_reset",
        "node_reboot",
        "drain_p2p",
        "drain_and_reset",
        "recover_imex_domain",
        "bus_reset",
        "system_reboot",
    ];
    named(action, &names)
}

/// Name of a compute mode.
#[must_use]
pub fn compute_mode(mode: u32) -> String {
    named(mode, &["default", "exclusive_thread", "prohibited", "exclusive_process"])
}

/// Name of a fabric registration state.
#[must_use]
pub fn fabric_state(state: u32) -> String {
    named(state, &["not_supported", "not_started", "in_progress", "completed"])
}

/// Name of a summary of the fabric's health (`nvmlGpuFabricInfoV`).
#[must_use]
pub fn fabric_health(summary: u32) -> String {
    named(summary, &["not_supported", "healthy", "unhealthy", "limited_capacity"])
}

/// Name of a virtualisation mode (`nvmlGpuVirtualizationMode_t`).
#[must_use]
pub fn virtualization(mode: u32) -> String {
    named(mode, &["none", "passthrough", "vgpu", "host_vgpu", "host_vsga"])
}

/// Name of what is at the other end of an NVLink (`nvmlIntNvLinkDeviceType_t`).
#[must_use]
pub fn nvlink_remote(kind: u32) -> String {
    if kind == 255 { "unknown".into() } else { named(kind, &["gpu", "npu", "switch"]) }
}

/// The name at that number; a number that has none says itself.
fn named(number: u32, names: &[&str]) -> String {
    let name = usize::try_from(number).ok().and_then(|index| names.get(index));
    name.map_or_else(|| format!("unknown_{number}"), |name| (*name).to_owned())
}
