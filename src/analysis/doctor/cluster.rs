//! What several GPUs and several nodes need: peer-to-peer, shared memory, RDMA, GPUDirect.

use super::context::{counted, listed};
use super::version::numbers;
use super::{Check, Context, Found, Layer, Need};
use crate::model::{BusDevice, BusKind, NicPort};
use crate::units::Bytes;

const SHM_MOUNT: &str = "/proc/self/mounts";
/// Bits of the ACS control register that send peer-to-peer traffic up to the host: request redirect, completion
/// redirect, upstream forwarding (PCI Express base specification, 7.7.11.3).
const REDIRECT: u32 = 0x04 | 0x08 | 0x10;
/// What NCCL's troubleshooting page asks of a container's shared memory (`--shm-size=1g`).
const SHARED_MEMORY: u64 = 1 << 30;
/// DMA-BUF replaces nvidia_peermem from this kernel on, with the open kernel modules (GPUDirect RDMA guide).
const DMA_BUF_KERNEL: [u32; 2] = [5, 12];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "p2p_acs",
        layer: Layer::Cluster,
        title: "ACS on the bridges above GPUs",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "NCCL hangs, or peer-to-peer over PCIe has a fraction of its bandwidth",
        run: access_control,
    },
    Check {
        id: "iommu_mode",
        layer: Layer::Cluster,
        title: "IOMMU mode",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "Peer-to-peer copies over PCIe are slow or give wrong data",
        run: iommu_mode,
    },
    Check {
        id: "shared_memory",
        layer: Layer::Cluster,
        title: "size of /dev/shm",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "NCCL WARN Error while creating shared memory segment; DataLoader worker killed by signal: Bus error",
        run: shared_memory,
    },
    Check {
        id: "memlock",
        layer: Layer::Cluster,
        title: "limit of locked memory",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "NCCL WARN Call to ibv_reg_mr failed; ibv_create_qp failed: Cannot allocate memory",
        run: memlock,
    },
    Check {
        id: "rdma_ports",
        layer: Layer::Cluster,
        title: "InfiniBand and RoCE ports",
        needs: &[Need::Gpu],
        symptom: "NCCL WARN NET/IB : No device found; training between nodes falls back to sockets",
        run: ports,
    },
    Check {
        id: "peermem",
        layer: Layer::Cluster,
        title: "GPUDirect RDMA",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "NCCL INFO … GPU Direct RDMA Disabled; bandwidth between nodes far below the NIC's rate",
        run: peermem,
    },
    Check {
        id: "gds",
        layer: Layer::Gds,
        title: "GPUDirect Storage",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "gdscheck: compat mode; cuFile reads pass through host memory",
        run: storage,
    },
];

fn several(context: &Context<'_>) -> bool {
    context.bound_to("nvidia").count().max(context.answering().len()) > 1
}

fn access_control(context: &Context<'_>) -> Found {
    if !several(context) {
        return Found::skip("there is one GPU: nothing goes from peer to peer");
    }
    let bridges: Vec<_> =
        context.below("/sys/bus/pci/devices/").filter(|file| file.path.ends_with("/config")).collect();
    if bridges.is_empty() {
        return Found::skip("the kernel shows no bridge above the GPUs (a virtual machine)");
    }
    if bridges.iter().all(|file| Context::refused(&file.lines).is_some()) {
        return Found::skip("the bridges' registers are for root alone: run as root");
    }
    if context.bound_to("vfio-pci").next().is_some() {
        return Found::skip("GPUs are passed through here, which ACS is for");
    }
    let register = |text: &str| u32::from_str_radix(text.strip_prefix("ACSCtl 0x")?, 16).ok();
    let redirecting: Vec<_> = bridges
        .iter()
        .filter(|file| file.value().and_then(register).is_some_and(|control| control & REDIRECT != 0))
        .collect();
    let joined =
        context.answering().iter().any(|gpu| gpu.info.nvlinks.as_ref().is_ok_and(|links| *links > 0));
    if redirecting.is_empty() {
        let known = bridges.iter().filter(|file| file.lines.is_ok()).count();
        return Found::pass(format!(
            "no peer-to-peer traffic is redirected ({} looked at)",
            counted(known, "bridge")
        ));
    }
    let summary =
        format!("ACS sends peer-to-peer traffic of {} up to the host", counted(redirecting.len(), "bridge"));
    let found = if joined {
        Found::pass(format!("{summary}; the GPUs use NVLink, only NICs feel it"))
    } else {
        Found::warn(summary)
    };
    let found = redirecting
        .iter()
        .take(4)
        .fold(found, |found, file| found.seen(file.path.to_string(), file.value().unwrap_or_default()));
    found
        .advise("Turn ACS off in the firmware, or on each bridge until the next boot; not where virtual machines get the GPUs.")
        .fix("sudo setpci -s BRIDGE ECAP_ACS+0x6.w=0000")
}

fn iommu_mode(context: &Context<'_>) -> Found {
    if !several(context) {
        return Found::skip("there is one GPU: nothing goes from peer to peer");
    }
    let types: Vec<_> = context
        .below("/sys/kernel/iommu_groups/")
        .filter(|file| file.path.ends_with("/type"))
        .filter_map(|file| Some((file, file.value()?)))
        .collect();
    if types.is_empty() {
        return Found::pass("the IOMMU is off, or its mode is not told");
    }
    let translated: Vec<_> = types.iter().filter(|(_, mode)| mode.starts_with("DMA")).collect();
    let found = Found::pass(if translated.is_empty() {
        "the GPUs' groups are not translated (identity)"
    } else {
        "the GPUs' groups are translated: should peer-to-peer over PCIe be slow, boot with iommu=pt"
    });
    types
        .iter()
        .take(4)
        .fold(found, |found, (file, mode)| found.seen(file.path.to_string(), *mode))
        .lines("/proc/cmdline", context.lines("/proc/cmdline").iter().filter(|(_, line)| !line.is_empty()))
}

/// Bytes of `/dev/shm`: what its mount says, else half of the memory (tmpfs(5)).
fn shm_size(options: &str, memory: Option<u64>) -> Option<u64> {
    let Some(size) = options.split(',').find_map(|option| option.strip_prefix("size=")) else {
        return memory.map(|memory| memory / 2);
    };
    let digits = size.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().ok()?;
    let unit = size.get(digits.len()..)?;
    match unit {
        "" => Some(number),
        "k" => number.checked_mul(1 << 10),
        "m" => number.checked_mul(1 << 20),
        "g" => number.checked_mul(1 << 30),
        "%" => memory.map(|memory| memory / 100 * number),
        _ => None,
    }
}

fn shared_memory(context: &Context<'_>) -> Found {
    let lines = context.lines(SHM_MOUNT);
    let Some(line) = lines.last() else {
        return Found::skip("/dev/shm is not mounted, or the mounts could not be read");
    };
    let memory = context.lines("/proc/meminfo").first().and_then(|(_, line)| {
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let Some(size) = shm_size(line.1.split(' ').nth(3).unwrap_or_default(), memory) else {
        return Found::skip("the size of /dev/shm is not told").line(SHM_MOUNT, line);
    };
    if size >= SHARED_MEMORY || !several(context) {
        return Found::pass(format!("/dev/shm has {}", Bytes(size))).line(SHM_MOUNT, line);
    }
    let found =
        Found::warn(format!("/dev/shm has {}: too little for NCCL between {}", Bytes(size), "several GPUs"))
            .line(SHM_MOUNT, line);
    if context.in_container() {
        found.advise("Start the container with --shm-size=1g or more, or with --ipc=host.")
    } else {
        found.fix("sudo mount -o remount,size=50% /dev/shm")
    }
}

fn nics<'a>(context: &Context<'a>) -> Vec<(&'a BusDevice, &'a NicPort)> {
    let Some(topology) = &context.snapshot.inventory.topology else { return Vec::new() };
    let nics = topology.devices.iter().filter(|device| device.kind == BusKind::Nic);
    nics.flat_map(|nic| nic.ports.iter().map(move |port| (nic, port))).collect()
}

fn active<'a>(context: &Context<'a>) -> Vec<(&'a BusDevice, &'a NicPort)> {
    let mut ports = nics(context);
    ports.retain(|(_, port)| port.state.as_deref() == Ok("ACTIVE"));
    ports
}

fn memlock(context: &Context<'_>) -> Found {
    if active(context).is_empty() {
        return Found::skip("no RDMA port is active: nothing needs to be locked");
    }
    let Some(line) = context.lines("/proc/self/limits").first() else {
        return Found::skip("the limit could not be read (/proc/self/limits)");
    };
    let soft =
        line.1.trim_start_matches("Max locked memory").split_ascii_whitespace().next().unwrap_or_default();
    let status = context.lines("/proc/self/status");
    let root = status.iter().any(|(_, line)| {
        line.strip_prefix("Uid:").is_some_and(|ids| ids.split_ascii_whitespace().nth(1) == Some("0"))
    });
    if soft == "unlimited" {
        return Found::pass("not limited").line("/proc/self/limits", line);
    }
    if root {
        return Found::pass("limited, which root does not feel").line("/proc/self/limits", line);
    }
    let bytes = soft.parse().map_or_else(|_| soft.to_owned(), |bytes| Bytes(bytes).to_string());
    Found::warn(format!("limited to {bytes}: what is started from this session cannot register memory with the NIC"))
        .line("/proc/self/limits", line)
        .fix("printf '* soft memlock unlimited\\n* hard memlock unlimited\\n' | sudo tee /etc/security/limits.d/90-rdma.conf")
        .advise("Log in again afterwards; for a service set LimitMEMLOCK=infinity, for a container --ulimit memlock=-1.")
}

fn ports(context: &Context<'_>) -> Found {
    let ports = nics(context);
    if ports.is_empty() {
        return Found::skip("there is no RDMA device");
    }
    let seen = |found: Found| {
        ports.iter().fold(found, |found, (nic, port)| {
            let rate = port
                .rate
                .as_ref()
                .map_or_else(|absence| absence.label().into(), |rate| format!("{rate} Gb/s"));
            found.seen(
                format!("/sys/class/infiniband/{}/ports/{}", nic.name, port.port),
                format!(
                    "{}, {}, {rate}, {}",
                    port.state.as_deref().unwrap_or("?"),
                    port.physical.as_deref().unwrap_or("?"),
                    port.layer.as_deref().unwrap_or("?")
                ),
            )
        })
    };
    let down: Vec<_> = context.verdicts.iter().filter(|verdict| verdict.rule == "nic_port_down").collect();
    if !down.is_empty() {
        return seen(Found::warn(listed(down.iter().map(|verdict| &verdict.summary))))
            .advise("Check cable, transceiver and switch port.")
            .fix("ibstat")
            .fix("rdma link show");
    }
    seen(Found::pass(format!("{} of {} active", active(context).len(), counted(ports.len(), "port"))))
}

fn peermem(context: &Context<'_>) -> Found {
    if active(context).is_empty() {
        return Found::skip("no RDMA port is active: there is nothing to reach GPU memory from");
    }
    if let Some(line) = context.module("nvidia_peermem").or_else(|| context.module("nv_peer_mem")) {
        return Found::pass("the NICs reach GPU memory (nvidia_peermem)").line("/proc/modules", line);
    }
    let version = context.lines("/proc/driver/nvidia/version");
    let open = version.first().is_some_and(|(_, line)| line.contains("Open Kernel Module"));
    let kernel = context
        .kernel()
        .map(|release| numbers(release.split('-').next().unwrap_or_default()))
        .unwrap_or_default();
    if open && kernel.as_slice() >= DMA_BUF_KERNEL.as_slice() {
        return Found::pass("the NICs reach GPU memory by DMA-BUF (open kernel modules)")
            .lines("/proc/driver/nvidia/version", version);
    }
    let found = Found::warn("nvidia_peermem is not loaded: traffic of the NICs passes through host memory")
        .seen("/proc/modules", "no nvidia_peermem");
    if context.in_container() {
        return found.advise("On the host: modprobe nvidia-peermem");
    }
    found
        .fix("sudo modprobe nvidia-peermem")
        .fix("echo nvidia-peermem | sudo tee /etc/modules-load.d/nvidia-peermem.conf")
}

fn storage(context: &Context<'_>) -> Found {
    if let Some(line) = context.module("nvidia_fs") {
        return Found::pass(
            "nvidia-fs is loaded; ext4 and XFS on NVMe are read without host memory, ZFS is not",
        )
        .line("/proc/modules", line)
        .lines("/proc/driver/nvidia-fs/version", context.lines("/proc/driver/nvidia-fs/version"));
    }
    let built = context.names("/var/lib/dkms").iter().any(|name| &**name == "nvidia-fs");
    if !built {
        return Found::skip("nvidia-fs is not installed: cuFile works in compatibility mode");
    }
    Found::warn("nvidia-fs is installed and not loaded: cuFile works in compatibility mode")
        .seen("/var/lib/dkms/nvidia-fs", "there")
        .seen("/proc/modules", "no nvidia_fs")
        .fix("sudo modprobe nvidia-fs")
        .fix("/usr/local/cuda/gds/tools/gdscheck -p")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_shared_memory_is_what_the_mount_says() {
        assert_eq!(shm_size("rw,nosuid,size=65536k,inode64", None), Some(64 << 20));
        assert_eq!(shm_size("rw,size=25%", Some(400)), Some(100));
        assert_eq!(shm_size("rw,nosuid", Some(400)), Some(200));
        assert_eq!(shm_size("rw,size=8g", None), Some(8 << 30));
        assert_eq!(shm_size("rw,size=x", None), None);
    }
}
