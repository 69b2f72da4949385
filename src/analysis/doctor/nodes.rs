//! Device nodes, and who may open them.

use super::context::{counted, listed};
use super::{Check, Context, Found, Layer, Need};
use crate::model::HostFile;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "device_nodes",
        layer: Layer::Nodes,
        title: "device nodes",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "CUDA error 999 or 100 although nvidia-smi works; cuInit fails with unknown error",
        run: nodes,
    },
    Check {
        id: "node_permissions",
        layer: Layer::Nodes,
        title: "permission to open them",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "Failed to initialize NVML: Insufficient Permissions; works only as root",
        run: permissions,
    },
];

/// `/dev/nvidia0`, and not `/dev/nvidiactl`.
fn is_gpu(name: &str) -> bool {
    name.strip_prefix("nvidia")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn nodes(context: &Context<'_>) -> Found {
    if context.exists("/dev/dxg") && context.gpus().is_empty() {
        return Found::pass("WSL: the GPUs are behind /dev/dxg").seen("/dev/dxg", "there");
    }
    if context.module_version().is_none() {
        return Found::skip("the nvidia module is not loaded, and makes no nodes");
    }
    let Some(Ok(names)) = context.file("/dev").map(|file| &file.names) else {
        return Found::skip("/dev could not be read");
    };
    let has = |wanted: &str| names.iter().any(|name| &**name == wanted);
    let gpus = names.iter().filter(|name| is_gpu(name)).count();
    let ours = context.bound_to("nvidia").count();
    let mut missing: Vec<&str> = ["nvidiactl"].into_iter().filter(|wanted| !has(wanted)).collect();
    let memory = if has("nvidia-uvm") { MemoryNode::There } else { memory_node(context) };
    if memory == MemoryNode::Missing {
        missing.push("nvidia-uvm");
    }
    // A container is given some of the GPUs, or none.
    if gpus == 0 || (gpus < ours && !context.in_container()) {
        missing.push("nvidiaN of each GPU");
    }
    let seen =
        |found: Found| found.seen("/dev", if names.is_empty() { "no nvidia*".into() } else { listed(names) });
    if !missing.is_empty() {
        let found = seen(Found::fail(format!("missing in /dev: {}", missing.join(", "))));
        return if context.in_container() {
            found.advise("Start the container with GPUs: docker run --gpus all, or a CDI device.")
        } else {
            found.fix("sudo nvidia-modprobe -c 0 -u").fix("sudo modprobe nvidia-uvm")
        };
    }
    if let Some((node, wanted)) = wrong_number(context) {
        let number =
            node.device.as_ref().map_or_else(|_| "none".into(), |(major, minor)| format!("{major}:{minor}"));
        return seen(Found::fail(format!("{} has another number than the driver's, {wanted}", node.path)))
            .seen(node.path.to_string(), number)
            .lines("/proc/devices", context.lines("/proc/devices"))
            .fix(format!("sudo rm {} && sudo nvidia-modprobe -c 0 -u", node.path));
    }
    let of_gpus = format!("nodes of {}", counted(gpus, "GPU"));
    match memory {
        MemoryNode::There => seen(Found::pass(format!("{of_gpus}, control and unified memory are there"))),
        MemoryNode::AtFirstCall(program) => {
            let found = Found::pass(format!(
                "{of_gpus} and control are there; nvidia-uvm is made at the first CUDA call"
            ));
            seen(found).seen(program, "makes it")
        }
        MemoryNode::Missing | MemoryNode::Unsure => {
            let found = Found::warn(format!(
                "{of_gpus} and control are there; nvidia-uvm is not, and no nvidia-modprobe that would make it"
            ));
            seen(found).seen(MAKERS.join(", "), "not there, or not setuid").fix("sudo modprobe nvidia-uvm")
        }
    }
}

/// The program that the driver's library starts to load modules and to make nodes (nvidia-modprobe(1)).
const MAKERS: [&str; 2] = ["/usr/bin/nvidia-modprobe", "/usr/sbin/nvidia-modprobe"];
const SETUID: u32 = 0o4000;

/// What is known of `/dev/nvidia-uvm`, which nothing makes before somebody needs it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MemoryNode {
    There,
    /// That program makes it.
    AtFirstCall(&'static str),
    /// Its module is not loaded yet, and no program was found that makes the node then.
    Unsure,
    /// Its module is loaded, and nothing makes the node; or this is a container, which makes none.
    Missing,
}

fn memory_node(context: &Context<'_>) -> MemoryNode {
    if context.in_container() {
        return MemoryNode::Missing;
    }
    let root = asking(context).is_some_and(|asking| asking.uid == 0);
    let makes = |path: &&str| {
        let mode = context.file(path).and_then(|file| file.mode.as_ref().ok().copied());
        mode.is_some_and(|mode| root || mode & SETUID != 0)
    };
    let loaded = context.lines("/proc/devices").iter().any(|(_, line)| line.trim().ends_with(" nvidia-uvm"));
    match (MAKERS.into_iter().find(makes), loaded) {
        (Some(program), _) => MemoryNode::AtFirstCall(program),
        (None, true) => MemoryNode::Missing,
        (None, false) => MemoryNode::Unsure,
    }
}

/// A node that was left over from before the driver had another major number.
fn wrong_number<'a>(context: &Context<'a>) -> Option<(&'a HostFile, u32)> {
    context.lines("/proc/devices").iter().find_map(|(_, line)| {
        let (major, name) = line.trim().split_once(' ')?;
        let major: u32 = major.parse().ok()?;
        let path = match name {
            "nvidia-uvm" => "/dev/nvidia-uvm",
            "nvidia" | "nvidia-frontend" => "/dev/nvidiactl",
            _ => return None,
        };
        let node = context.file(path)?;
        let (found, _) = *node.device.as_ref().ok()?;
        (found != major).then_some((node, major))
    })
}

/// The user that kgtop runs as, as `/proc/self/status` has it.
struct Asking {
    uid: u32,
    groups: Vec<u32>,
}

impl Asking {
    fn name(&self) -> String {
        if self.uid == 0 { "root".into() } else { format!("user {}", self.uid) }
    }
}

fn asking(context: &Context<'_>) -> Option<Asking> {
    let lines = context.lines("/proc/self/status");
    let numbers = |name: &str| -> Vec<u32> {
        let line = lines.iter().find(|(_, line)| line.starts_with(name));
        line.map(|(_, line)| line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect())
            .unwrap_or_default()
    };
    // Real, effective, saved, file system: the second one counts.
    let uid = *numbers("Uid:").get(1)?;
    let mut groups = numbers("Groups:");
    groups.extend(numbers("Gid:").get(1));
    Some(Asking { uid, groups })
}

fn permissions(context: &Context<'_>) -> Found {
    let names = context.names("/dev").iter();
    let nodes: Vec<&HostFile> = names
        .filter(|name| is_gpu(name) || matches!(&***name, "nvidiactl" | "nvidia-uvm"))
        .filter_map(|name| context.file(&format!("/dev/{name}")))
        .filter(|node| node.mode.is_ok())
        .collect();
    if nodes.is_empty() {
        return Found::skip("there are no nodes to open");
    }
    let Some(asking) = asking(context) else {
        return Found::skip("who asks could not be read (/proc/self/status)");
    };
    let describe = |node: &HostFile| {
        let number = |reading: &crate::model::Reading<u32>| reading.as_ref().map_or(0, |value| *value);
        format!("mode {:04o}, owner {}, group {}", number(&node.mode), number(&node.uid), number(&node.gid))
    };
    let closed: Vec<&&HostFile> = nodes.iter().filter(|node| !may_open(node, &asking)).collect();
    let found = match closed.first() {
        None => Found::pass(format!("{} may open all {} nodes", asking.name(), nodes.len())),
        Some(first) => {
            let group = first.gid.as_ref().map_or(0, |group| *group);
            let found = Found::fail(format!(
                "{} may not open {}",
                asking.name(),
                listed(closed.iter().map(|node| &*node.path))
            ))
            .lines("/proc/driver/nvidia/params", context.lines("/proc/driver/nvidia/params"));
            let by_group = first.mode.as_ref().is_ok_and(|mode| mode & 0o060 == 0o060) && group != 0;
            if by_group {
                found.fix(format!("sudo usermod -aG \"$(getent group {group} | cut -d: -f1)\" \"$USER\"   # then log in again"))
            } else {
                found.fix(
                    "echo 'options nvidia NVreg_DeviceFileMode=0666' | sudo tee /etc/modprobe.d/nvidia-device-files.conf",
                )
            }
        }
    };
    let shown = if closed.is_empty() { nodes.iter().take(3).collect() } else { closed };
    shown.into_iter().fold(found, |found, node| found.seen(node.path.to_string(), describe(node)))
}

fn may_open(node: &HostFile, asking: &Asking) -> bool {
    let mode = node.mode.as_ref().map_or(0, |mode| *mode);
    let bits = if asking.uid == 0 {
        return true;
    } else if node.uid == Ok(asking.uid) {
        mode >> 6
    } else if node.gid.as_ref().is_ok_and(|gid| asking.groups.contains(gid)) {
        mode >> 3
    } else {
        mode
    };
    bits & 0o6 == 0o6
}
