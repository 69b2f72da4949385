//! CUDA toolkits, and where `CUDA_VISIBLE_DEVICES` is set for whoever logs in.

use super::gather::{Gather, is_comment};

/// Variables that decide which GPUs a program sees, and which library it loads.
const VARIABLES: [&str; 3] = ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"];

pub(super) fn read(gather: &mut Gather<'_>) {
    for name in gather.names("/usr/local", |name| name.starts_with("cuda")) {
        let directory = format!("/usr/local/{name}");
        gather.link(&directory);
        gather.lines(&format!("{directory}/version.json"), |line| line.contains("\"version\""));
        gather.names(&format!("{directory}/compat"), |name| name.starts_with("libcuda.so"));
        gather.names(&format!("{directory}/gds"), |_| true);
    }
    gather.link("/etc/alternatives/cuda");
    let sets = |line: &str| !is_comment(line) && VARIABLES.iter().any(|name| line.contains(name));
    for path in ["/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/bashrc"] {
        gather.lines(path, sets);
    }
    for name in gather.names("/etc/profile.d", |name| name.ends_with(".sh")) {
        gather.lines(&format!("/etc/profile.d/{name}"), sets);
    }
    own_environment(gather);
    gather.exists("/etc/cufile.json");
}

/// What this process was started with, by the same allow-list.
fn own_environment(gather: &mut Gather<'_>) {
    let path = "/proc/self/environ";
    let kept = gather.root.read_to_string(path, 1 << 20).map(|text| {
        let chosen = text.split('\0').enumerate().filter(|(_, entry)| {
            let name = entry.split('=').next().unwrap_or_default();
            VARIABLES.contains(&name)
        });
        chosen
            .map(|(index, entry)| {
                (u32::try_from(index + 1).unwrap_or(u32::MAX), super::gather::shortened(entry).into())
            })
            .collect()
    });
    gather.put_lines(path, kept);
}
