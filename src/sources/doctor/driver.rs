//! The driver's own files below `/proc`. They take its locks: where a GPU hangs, they may never answer.

use super::gather::Gather;

/// Their directory.
pub(super) const DIRECTORY: &str = "/proc/driver/nvidia";

pub(super) fn read(gather: &mut Gather<'_>) {
    gather.lines("/proc/driver/nvidia/version", |line| line.starts_with("NVRM version"));
    gather.lines("/proc/driver/nvidia/params", |line| {
        ["DeviceFile", "ModifyDeviceFiles", "RegistryDwords"].iter().any(|known| line.starts_with(known))
    });
    gather.names("/proc/driver/nvidia/gpus", |_| true);
}
