//! Services of the host that GPUs lean on: the Fabric Manager, the persistence daemon, MPS, the RDMA modules.

use super::gather::Gather;

/// A service that runs has a control group; a program need not be asked. Version 2 first, then version 1.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice"];
/// Services that matter here.
const SERVICES: [&str; 9] =
    ["nvidia-", "docker", "containerd", "crio", "kubelet", "k3s", "rke2", "auditd", "slurmd"];

pub(super) fn read(gather: &mut Gather<'_>) {
    for directory in GROUPS {
        gather.names(directory, |name| {
            name.ends_with(".service") && SERVICES.iter().any(|known| name.starts_with(known))
        });
    }
    gather.names("/etc/systemd/system/multi-user.target.wants", |name| name.starts_with("nvidia-"));
    gather.exists("/run/nvidia-persistenced/socket");
    gather.names("/run/nvidia-fabricmanager", |_| true);
    gather.names("/tmp/nvidia-mps", |_| true);
    gather.text("/proc/driver/nvidia-fs/version");
}
