//! The bus of a made-up rig with RDMA cards: as on an HGX board, a PCIe switch for every two GPUs, the cards dealt out
//! to the switches.

use super::ScenarioPlayer;
use crate::model::{Bridge, BusDevice, BusKind, GpuPair, NicPort, NumaNode, PcieLink, Topology};
use crate::sources::scenario::GpuRig;
use std::sync::Arc;

/// GPUs of one switch.
const GPUS_PER_SWITCH: usize = 2;
/// GT/s × 10 and lanes of a switch's upstream link: Gen5 x16.
const SWITCH_LINK: (u32, u32) = (320, 16);
/// Buses of the cards: between those of an HGX board's first two GPUs, where there is room for all of them.
const FIRST_NIC_BUS: usize = 0x20;
/// The rate of a card's port, Gb/s.
const PORT_RATE: u32 = 400;

/// Where a device hangs.
struct Place {
    switch: usize,
    port: usize,
    node: u32,
    cpus: Arc<str>,
}

impl Place {
    fn host_bridge(&self) -> Arc<str> {
        format!("pci0000:{:02x}", 0x10 + self.switch).into()
    }

    /// Root port, upstream port and downstream port.
    fn bridges(&self) -> Vec<Arc<str>> {
        let switch = self.switch;
        vec![
            format!("0000:{:02x}:01.0", 0x10 + switch).into(),
            format!("0000:{:02x}:00.0", 0xa0 + switch).into(),
            format!("0000:{:02x}:{:02x}.0", 0xb0 + switch, self.port).into(),
        ]
    }

    fn device(&self, kind: BusKind, name: &str, address: &str, driver: &str, link: (u32, u32)) -> BusDevice {
        BusDevice {
            kind,
            name: name.into(),
            address: address.into(),
            driver: Some(driver.into()),
            host_bridge: Ok(self.host_bridge()),
            bridges: Ok(self.bridges()),
            numa_node: Ok(self.node),
            local_cpus: Ok(Arc::clone(&self.cpus)),
            link: pcie(link),
            ports: Vec::new(),
        }
    }
}

fn pcie((speed, width): (u32, u32)) -> PcieLink {
    PcieLink { speed: Ok(speed), max_speed: Ok(speed), width: Ok(width), max_width: Ok(width) }
}

impl ScenarioPlayer {
    /// The bus; `None` for a rig of which only the GPUs are described.
    pub(super) fn topology(&self) -> Option<Topology> {
        let host = self.scenario.host();
        if host.nics == 0 {
            return None;
        }
        let gpus = self.scenario.gpus();
        let mut devices: Vec<BusDevice> = gpus
            .iter()
            .enumerate()
            .map(|(index, gpu)| {
                let place = self.place(gpu, index / GPUS_PER_SWITCH, index % GPUS_PER_SWITCH);
                place.device(BusKind::Gpu, &gpu.pci, &gpu.pci, "nvidia", SWITCH_LINK)
            })
            .collect();
        let switches = gpus.len().div_ceil(GPUS_PER_SWITCH).max(1);
        for nic in 0..host.nics as usize {
            let switch = nic * switches / host.nics as usize;
            let Some(gpu) = gpus.get(switch * GPUS_PER_SWITCH) else { continue };
            let place = self.place(gpu, switch, GPUS_PER_SWITCH + nic % 8);
            let address = format!("0000:{:02x}:00.0", FIRST_NIC_BUS + nic);
            let mut device =
                place.device(BusKind::Nic, &format!("mlx5_{nic}"), &address, "mlx5_core", SWITCH_LINK);
            device.ports.push(port());
            devices.push(device);
        }
        let mut above: Vec<Arc<str>> =
            devices.iter().filter_map(|device| device.bridges.as_ref().ok()).flatten().cloned().collect();
        above.sort();
        above.dedup();
        let bridges = above.into_iter().map(|address| Bridge { address, link: pcie(SWITCH_LINK) }).collect();
        Some(Topology { nodes: self.nodes(), devices, bridges, pairs: pairs(gpus) })
    }

    fn place(&self, gpu: &GpuRig, switch: usize, port: usize) -> Place {
        Place { switch, port, node: gpu.numa_node, cpus: self.near_cpus(gpu) }
    }

    fn nodes(&self) -> Vec<NumaNode> {
        let mut nodes: Vec<NumaNode> = Vec::new();
        for gpu in self.scenario.gpus() {
            if !nodes.iter().any(|node| node.id == gpu.numa_node) {
                nodes.push(NumaNode { id: gpu.numa_node, cpus: self.near_cpus(gpu) });
            }
        }
        nodes.sort_by_key(|node| node.id);
        nodes
    }
}

/// `nvmlGpuTopologyLevel_t`: below one switch, within a node, across nodes.
const LEVELS: (u32, u32, u32) = (10, 40, 50);
/// `nvmlGpuP2PStatus_t`: OK, and not supported.
const PEERS: (u32, u32) = (0, 5);
/// `nvmlBrandType_t` of GeForce, whose driver lets no peer in over PCIe.
const GEFORCE: u32 = 5;

fn pairs(gpus: &[GpuRig]) -> Vec<GpuPair> {
    let of_first = |(index, a): (usize, &GpuRig)| {
        let later = gpus.iter().enumerate().skip(index + 1);
        later.map(|(other, b)| pair((index, a), (other, b))).collect::<Vec<_>>()
    };
    gpus.iter().enumerate().flat_map(of_first).collect()
}

fn pair((a_index, a): (usize, &GpuRig), (b_index, b): (usize, &GpuRig)) -> GpuPair {
    let level = if a_index / GPUS_PER_SWITCH == b_index / GPUS_PER_SWITCH {
        LEVELS.0
    } else if a.numa_node == b.numa_node {
        LEVELS.1
    } else {
        LEVELS.2
    };
    let whole = !a.mig_enabled() && !b.mig_enabled();
    let linked = whole && a.preset.nvlinks > 0 && b.preset.nvlinks > 0;
    let over_bus = whole && a.preset.brand != GEFORCE && b.preset.brand != GEFORCE;
    let status = |can: bool| Ok(if can { PEERS.0 } else { PEERS.1 });
    GpuPair {
        a: a.pci.as_str().into(),
        b: b.pci.as_str().into(),
        ancestor: Ok(level),
        p2p_read: status(linked || over_bus),
        p2p_write: status(linked || over_bus),
        p2p_nvlink: status(linked),
        p2p_atomics: status(linked),
        p2p_pci: status(over_bus),
    }
}

fn port() -> NicPort {
    NicPort {
        port: 1,
        state: Ok("ACTIVE".into()),
        physical: Ok("LinkUp".into()),
        rate: Ok(PORT_RATE),
        layer: Ok("InfiniBand".into()),
    }
}
