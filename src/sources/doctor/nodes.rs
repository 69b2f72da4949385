//! Device nodes, who may open them, who asks, and the driver's library on disk.

use super::gather::Gather;

/// Where distributions, WSL and a containerised driver put the library.
const LIBRARIES: [&str; 9] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib64/nvidia",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/wsl/lib",
    "/run/nvidia/driver/usr/lib64",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
];
/// Character devices of the driver: major 195 (Documentation/admin-guide/devices.txt).
const MAJOR: &str = "195:";

pub(super) fn read(gather: &mut Gather<'_>) {
    for name in gather.names("/dev", |name| name.starts_with("nvidia") && !name.starts_with("nvidia-caps")) {
        gather.node(&format!("/dev/{name}"));
    }
    // It makes the nodes that are missing, for whoever starts the first program: by being setuid.
    for directory in ["/usr/bin", "/usr/sbin"] {
        gather.node(&format!("{directory}/nvidia-modprobe"));
    }
    gather.exists("/dev/dxg");
    gather.names("/dev/char", |name| name.starts_with(MAJOR));
    gather.lines("/proc/devices", |line| line.contains("nvidia"));
    gather.lines("/proc/self/status", |line| {
        ["Uid:", "Gid:", "Groups:", "CapEff:"].iter().any(|known| line.starts_with(known))
    });
    gather.lines("/proc/self/limits", |line| line.starts_with("Max locked memory"));
    gather.lines("/proc/self/mounts", |line| line.split(' ').nth(1) == Some("/dev/shm"));
    gather.lines("/proc/meminfo", |line| line.starts_with("MemTotal:"));
    for directory in LIBRARIES {
        let known = |name: &str| name.starts_with("libnvidia-ml.so") || name.starts_with("libcuda.so");
        for name in gather.names(directory, known) {
            if name.ends_with(".so.1") {
                gather.link(&format!("{directory}/{name}"));
            }
        }
    }
    // What tells that this is a container, and not the host.
    for path in ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"] {
        gather.exists(path);
    }
}
