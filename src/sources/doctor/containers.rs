//! Container toolkit, CDI specifications, engines, and the kubelet's device plugins.

use super::gather::{Gather, is_comment, speaks_of};

/// Where specifications lie (CDI specification, "CDI JSON Specification").
const CDI: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
const PLUGINS: &str = "/var/lib/kubelet/device-plugins";

pub(super) fn read(gather: &mut Gather<'_>) {
    for directory in ["/usr/bin", "/usr/local/bin", "/usr/local/nvidia/toolkit"] {
        gather.names(directory, |name| {
            name.starts_with("nvidia-container-")
                || matches!(name, "nvidia-ctk" | "dockerd" | "podman" | "containerd")
        });
    }
    for directory in CDI {
        let specifications = gather
            .names(directory, |name| [".yaml", ".yml", ".json"].iter().any(|known| name.ends_with(known)));
        for name in specifications {
            gather.groups_of_lines(&format!("{directory}/{name}"), &[is_of_library, is_of_specification]);
        }
    }
    gather.lines("/etc/docker/daemon.json", |line| {
        speaks_of(line, &["nvidia", "\"runtimes\"", "default-runtime", "\"cdi\"", "cgroupdriver"])
    });
    gather.lines("/etc/containerd/config.toml", |line| !is_comment(line) && speaks_of(line, &["nvidia"]));
    gather.lines("/etc/nvidia-container-runtime/config.toml", |line| !is_comment(line) && line.contains('='));
    gather.names(PLUGINS, |_| true);
    gather.names("/var/lib/kubelet/plugins", |name| name.contains("nvidia"));
}

/// Libraries that carry the driver's version. Mounts of hundreds of other files are left out.
fn is_of_library(line: &str) -> bool {
    speaks_of(line, &["libcuda.so.", "libnvidia-ml.so."])
}

/// Kind and device nodes.
fn is_of_specification(line: &str) -> bool {
    let nodes = line.contains("/dev/nvidia") && (line.contains("path:") || line.contains("\"path\""));
    nodes || ["kind:", "\"kind\"", "cdiVersion"].iter().any(|known| line.trim_start().starts_with(known))
}
