//! Where the devices are, from sysfs alone: GPUs, RDMA devices and NVMe controllers, the bridges above them, NUMA
//! nodes. It works without any driver, and wakes nothing that sleeps.
//!
//! A device's real path below `/sys/devices` is the way to it:
//! `pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/0000:18:00.0` is a host bridge, a root port, the upstream and a
//! downstream port of a switch, and the device.

mod nic;

use super::pci::{is_asleep, link_speed, link_width, numa_node};
use super::root::Root;
use crate::model::{Absence, Bridge, BusDevice, BusKind, NumaNode, PcieLink, Reading, Topology};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

const DEVICES: &str = "/sys/bus/pci/devices";
const NODES: &str = "/sys/devices/system/node";
const NVME: &str = "/sys/class/nvme";
/// PCI vendor id of NVIDIA.
const NVIDIA: &str = "0x10de";
/// PCI base class of display controllers; see the `pci` source.
const DISPLAY_CLASS: &str = "0x03";

/// Reads all of it. What cannot be read is absent; where there is no sysfs, all of it is empty.
#[must_use]
pub fn scan(root: &Root) -> Topology {
    let mut devices = gpus(root);
    devices.extend(nic::scan(root));
    devices.extend(nvme(root));
    let above: BTreeSet<&Arc<str>> =
        devices.iter().filter_map(|device| device.bridges.as_ref().ok()).flatten().collect();
    let bridges = above
        .into_iter()
        .map(|address| Bridge { address: Arc::clone(address), link: link(root, address) })
        .collect();
    Topology { nodes: nodes(root), devices, bridges, pairs: Vec::new() }
}

fn gpus(root: &Root) -> Vec<BusDevice> {
    let names = root.list(DEVICES).unwrap_or_default();
    let is_gpu = |address: &&String| {
        let file = |name: &str| root.read_value(&format!("{DEVICES}/{address}/{name}"));
        file("vendor").is_ok_and(|vendor| vendor.eq_ignore_ascii_case(NVIDIA))
            && file("class").is_ok_and(|class| class.starts_with(DISPLAY_CLASS))
    };
    names.iter().filter(is_gpu).map(|address| device(root, BusKind::Gpu, address, address)).collect()
}

fn nvme(root: &Root) -> Vec<BusDevice> {
    class(root, NVME)
        .into_iter()
        .filter_map(|(name, address)| Some(device(root, BusKind::Nvme, &name, &address?)))
        .collect()
}

/// The devices of a class and their PCI addresses, `None` for one that is not on the PCI bus (NVMe over fabrics, a
/// software RDMA device). In the order in which people count: `mlx5_2` before `mlx5_10`.
fn class(root: &Root, path: &str) -> Vec<(String, Option<Arc<str>>)> {
    let mut names = root.list(path).unwrap_or_default();
    names.sort_by(|one, other| natural(one, other));
    names
        .into_iter()
        .map(|name| {
            let address = root.link_name(&format!("{path}/{name}/device")).ok();
            let address = address.filter(|address| is_address(address));
            (name, address)
        })
        .collect()
}

/// Compares names by their text, then by the numbers in them as numbers.
fn natural(one: &str, other: &str) -> Ordering {
    fn parts(name: &str) -> Vec<(String, u64)> {
        let mut parts = Vec::new();
        let mut rest = name;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (text, tail) = rest.split_at_checked(digits).unwrap_or((rest, ""));
            let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            let (number, tail) = tail.split_at_checked(end).unwrap_or((tail, ""));
            parts.push((text.to_owned(), number.parse().unwrap_or(0)));
            rest = tail;
        }
        parts
    }
    parts(one).cmp(&parts(other)).then_with(|| one.cmp(other))
}

fn device(root: &Root, kind: BusKind, name: &str, address: &str) -> BusDevice {
    let file = |name: &str| root.read_value(&format!("{DEVICES}/{address}/{name}"));
    let (host_bridge, bridges) = match root.read_link(&format!("{DEVICES}/{address}")) {
        Ok(path) => match way(&path) {
            Some((host_bridge, bridges)) => (Ok(host_bridge.into()), Ok(bridges)),
            // Not a link into the tree: a captured machine that kept only the files.
            None => (Err(Absence::NotSupported), Err(Absence::NotSupported)),
        },
        // Not a link at all, likewise.
        Err(Absence::Failed { .. }) => (Err(Absence::NotSupported), Err(Absence::NotSupported)),
        Err(absence) => (Err(absence.clone()), Err(absence)),
    };
    BusDevice {
        kind,
        name: name.into(),
        address: address.to_ascii_lowercase().into(),
        driver: root.link_name(&format!("{DEVICES}/{address}/driver")).ok(),
        host_bridge,
        bridges,
        numa_node: file("numa_node").and_then(|text| numa_node(&text)),
        local_cpus: file("local_cpulist")
            .and_then(|cpus| if cpus.is_empty() { Err(Absence::NotSupported) } else { Ok(cpus) }),
        link: link(root, address),
        ports: Vec::new(),
    }
}

/// Host bridge and bridges of a path in sysfs, without the device at its end.
fn way(path: &str) -> Option<(&str, Vec<Arc<str>>)> {
    let mut parts = path.split('/').skip_while(|part| !part.starts_with("pci"));
    let host_bridge = parts.next()?;
    // Behind a volume management device there is a second host bridge (`pci10000:00`), which is no PCI bridge.
    let mut addresses: Vec<Arc<str>> = parts.filter(|part| is_address(part)).map(Into::into).collect();
    addresses.pop()?;
    Some((host_bridge, addresses))
}

/// `0000:41:00.0`.
fn is_address(text: &str) -> bool {
    let hex = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = text.split([':', '.']);
    let mut next = |digits| parts.next().is_some_and(|part| hex(part, digits));
    next(4..=8) && next(2..=2) && next(2..=2) && next(1..=1) && text.len() >= 12
}

fn link(root: &Root, address: &str) -> PcieLink {
    let file = |name: &str| root.read_value(&format!("{DEVICES}/{address}/{name}"));
    if is_asleep(&file("power/runtime_status")) {
        // Since Linux 6.18 the kernel powers a device up before it reads its link registers.
        return PcieLink::absent(&Absence::Asleep);
    }
    let speed = |name: &str| file(name).and_then(|text| link_speed(&text));
    let width = |name: &str| file(name).and_then(|text| link_width(&text));
    PcieLink {
        speed: speed("current_link_speed"),
        max_speed: speed("max_link_speed"),
        width: width("current_link_width"),
        max_width: width("max_link_width"),
    }
}

fn nodes(root: &Root) -> Vec<NumaNode> {
    let mut nodes: Vec<NumaNode> = root
        .list(NODES)
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.strip_prefix("node")?.parse().ok())
        .map(|id| NumaNode {
            id,
            cpus: root.read_value(&format!("{NODES}/node{id}/cpulist")).unwrap_or_default(),
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

/// What a value of sysfs is, unless it is empty.
fn value(root: &Root, path: &str) -> Reading<Arc<str>> {
    root.read_value(path).and_then(|text| if text.is_empty() { Err(Absence::NotSupported) } else { Ok(text) })
}

#[cfg(test)]
mod tests;
