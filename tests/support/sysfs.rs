//! Sysfs trees of made-up machines, from a few lines each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on says so by a panic"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Two H200 given to a virtual machine: on the root bus, without bridges, the firmware naming no NUMA node.
pub const H200_GUEST: &str = "
    node 0 0-31
    gpu - pci0000:00/0000:00:06.0 -1 0-31
    gpu - pci0000:00/0000:00:07.0 -1 0-31
";

/// Eight H100 on an HGX board: four switches on two sockets, each with two GPUs, two NICs and an NVMe controller.
pub const HGX: &str = "
    node 0 0-55,112-167
    node 1 56-111,168-223
    gpu - pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/0000:18:00.0 0 0-55,112-167
    gpu - pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:01.0/0000:1a:00.0 0 0-55,112-167
    gpu - pci0000:37/0000:37:01.0/0000:38:00.0/0000:39:00.0/0000:3a:00.0 0 0-55,112-167
    gpu - pci0000:37/0000:37:01.0/0000:38:00.0/0000:39:01.0/0000:3c:00.0 0 0-55,112-167
    gpu - pci0000:97/0000:97:01.0/0000:98:00.0/0000:99:00.0/0000:9a:00.0 1 56-111,168-223
    gpu - pci0000:97/0000:97:01.0/0000:98:00.0/0000:99:01.0/0000:9c:00.0 1 56-111,168-223
    gpu - pci0000:b7/0000:b7:01.0/0000:b8:00.0/0000:b9:00.0/0000:ba:00.0 1 56-111,168-223
    gpu - pci0000:b7/0000:b7:01.0/0000:b8:00.0/0000:b9:01.0/0000:bc:00.0 1 56-111,168-223
    nic mlx5_0 pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:02.0/0000:1c:00.0 0 0-55,112-167
    nic mlx5_1 pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:03.0/0000:1d:00.0 0 0-55,112-167
    nic mlx5_2 pci0000:37/0000:37:01.0/0000:38:00.0/0000:39:02.0/0000:3e:00.0 0 0-55,112-167
    nic mlx5_3 pci0000:37/0000:37:01.0/0000:38:00.0/0000:39:03.0/0000:3f:00.0 0 0-55,112-167
    nic mlx5_4 pci0000:97/0000:97:01.0/0000:98:00.0/0000:99:02.0/0000:9e:00.0 1 56-111,168-223
    nic mlx5_5 pci0000:97/0000:97:01.0/0000:98:00.0/0000:99:03.0/0000:9f:00.0 1 56-111,168-223
    nic mlx5_6 pci0000:b7/0000:b7:01.0/0000:b8:00.0/0000:b9:02.0/0000:be:00.0 1 56-111,168-223
    nic mlx5_10 pci0000:b7/0000:b7:01.0/0000:b8:00.0/0000:b9:03.0/0000:bf:00.0 1 56-111,168-223
    nvme nvme0 pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:04.0/0000:20:00.0 0 0-55,112-167
    nvme nvme1 pci0000:b7/0000:b7:01.0/0000:b8:00.0/0000:b9:04.0/0000:c0:00.0 1 56-111,168-223
";

/// Four PCIe cards on one socket: two behind one switch, one behind a second switch below the first, one at a root
/// port of its own.
pub const PCIE: &str = "
    node 0 0-63
    gpu - pci0000:20/0000:20:01.1/0000:21:00.0/0000:22:00.0/0000:23:00.0 0 0-63
    gpu - pci0000:20/0000:20:01.1/0000:21:00.0/0000:22:01.0/0000:24:00.0 0 0-63
    gpu - pci0000:20/0000:20:01.1/0000:21:00.0/0000:22:02.0/0000:25:00.0/0000:26:00.0/0000:27:00.0 0 0-63
    gpu - pci0000:20/0000:20:03.1/0000:31:00.0 0 0-63
    gpu - pci0000:40/0000:40:01.1/0000:41:00.0 0 0-63
";

/// Writes the tree that the text describes: `node ID CPUS`, or `gpu|nic|nvme NAME PATH NODE CPUS`.
pub fn build(directory: &Path, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["node", id, cpus] => {
                write(directory, &format!("sys/devices/system/node/node{id}/cpulist"), cpus)
            }
            [kind, name, path, node, cpus] => device(directory, kind, name, path, node, cpus),
            _ => panic!("what is this: {line}"),
        }
    }
}

fn write(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{text}\n")).unwrap();
}

fn link(directory: &Path, target: &str, path: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.symlink_metadata().is_err() {
        symlink(target, path).unwrap();
    }
}

fn device(directory: &Path, kind: &str, name: &str, path: &str, node: &str, cpus: &str) {
    let mut below = String::from("sys/devices");
    for part in path.split('/') {
        below = format!("{below}/{part}");
        if part.starts_with("pci") {
            continue;
        }
        for (file, text) in [
            ("vendor", "0x1000"),
            ("class", "0x060400"),
            ("current_link_speed", "32.0 GT/s PCIe"),
            ("max_link_speed", "32.0 GT/s PCIe"),
            ("current_link_width", "16"),
            ("max_link_width", "16"),
            ("numa_node", node),
            ("local_cpulist", cpus),
            ("power/runtime_status", "active"),
        ] {
            write(directory, &format!("{below}/{file}"), text);
        }
        let target = format!("../../../{}", below.trim_start_matches("sys/"));
        link(directory, &target, &format!("sys/bus/pci/devices/{part}"));
    }
    let (vendor, class, driver) = match kind {
        "gpu" => ("0x10de", "0x030200", "nvidia"),
        "nic" => ("0x15b3", "0x020700", "mlx5_core"),
        "nvme" => ("0x144d", "0x010802", "nvme"),
        other => panic!("what is a {other}?"),
    };
    write(directory, &format!("{below}/vendor"), vendor);
    write(directory, &format!("{below}/class"), class);
    write(directory, &format!("{below}/device"), "0x2330");
    link(directory, &format!("../../../bus/pci/drivers/{driver}"), &format!("{below}/driver"));
    let address = path.rsplit('/').next().unwrap();
    let class = match kind {
        "nic" => "infiniband",
        "nvme" => "nvme",
        _ => return,
    };
    let entry = format!("{below}/{class}/{name}");
    link(directory, &format!("../../../{address}"), &format!("{entry}/device"));
    link(
        directory,
        &format!("../../{}", entry.trim_start_matches("sys/")),
        &format!("sys/class/{class}/{name}"),
    );
    if kind == "nic" {
        for (file, text) in [
            ("state", "4: ACTIVE"),
            ("phys_state", "5: LinkUp"),
            ("rate", "400 Gb/sec (4X NDR)"),
            ("link_layer", "InfiniBand"),
        ] {
            write(directory, &format!("{entry}/ports/1/{file}"), text);
        }
    }
}
