//! Where the devices are: the PCI tree as sysfs shows it, and what the driver says of pairs of GPUs.

use super::{Absence, Reading};
use std::sync::Arc;

/// What a device on the bus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BusKind {
    /// A GPU of NVIDIA.
    Gpu,
    /// An RDMA device (`/sys/class/infiniband`), the ones that NCCL uses.
    Nic,
    /// An NVMe controller (`/sys/class/nvme`).
    Nvme,
}

/// A PCIe link, as the device at its lower end tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct PcieLink {
    /// Speed now, GT/s × 10 (so 320 is 32 GT/s).
    pub speed: Reading<u32>,
    /// Fastest speed, GT/s × 10.
    pub max_speed: Reading<u32>,
    /// Lanes now.
    pub width: Reading<u32>,
    /// Most lanes.
    pub max_width: Reading<u32>,
}

impl PcieLink {
    /// A link of which nothing is known.
    #[must_use]
    pub fn absent(reason: &Absence) -> Self {
        Self {
            speed: Err(reason.clone()),
            max_speed: Err(reason.clone()),
            width: Err(reason.clone()),
            max_width: Err(reason.clone()),
        }
    }
}

/// A NUMA node of the host and its CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumaNode {
    /// Its number.
    pub id: u32,
    /// Its CPUs (`0-31`); empty for a node of memory alone.
    pub cpus: Arc<str>,
}

/// A bridge on the way to a device: a root port, or a port of a PCIe switch.
#[derive(Clone, Debug, PartialEq)]
pub struct Bridge {
    /// PCI address.
    pub address: Arc<str>,
    /// The link above it; a root port tells of the link below it.
    pub link: PcieLink,
}

/// A port of an RDMA device.
#[derive(Clone, Debug, PartialEq)]
pub struct NicPort {
    /// Its number, from 1.
    pub port: u32,
    /// Logical state: `ACTIVE`, `DOWN`, `INIT`, `ARMED`.
    pub state: Reading<Arc<str>>,
    /// Physical state: `LinkUp`, `Polling`, `Disabled`, …
    pub physical: Reading<Arc<str>>,
    /// Rate in Gb/s.
    pub rate: Reading<u32>,
    /// `InfiniBand` or `Ethernet`.
    pub layer: Reading<Arc<str>>,
}

/// A device on the PCI bus and the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct BusDevice {
    /// What it is.
    pub kind: BusKind,
    /// The kernel's name (`mlx5_0`, `nvme0`); the address of a GPU.
    pub name: Arc<str>,
    /// PCI address, `0000:41:00.0`.
    pub address: Arc<str>,
    /// The driver bound to it.
    pub driver: Option<Arc<str>>,
    /// The host bridge it is below (`pci0000:15`).
    pub host_bridge: Reading<Arc<str>>,
    /// Addresses of the bridges from the host bridge down to it, its root port first. Empty where it is on the
    /// root bus itself, as in a virtual machine.
    pub bridges: Reading<Vec<Arc<str>>>,
    /// NUMA node; absent where the firmware names none.
    pub numa_node: Reading<u32>,
    /// CPUs near it.
    pub local_cpus: Reading<Arc<str>>,
    /// Its link.
    pub link: PcieLink,
    /// Ports of an RDMA device.
    pub ports: Vec<NicPort>,
}

/// What the driver says of two GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuPair {
    /// PCI address of the first.
    pub a: Arc<str>,
    /// PCI address of the second.
    pub b: Arc<str>,
    /// `nvmlGpuTopologyLevel_t`: 0 one board, 10 one bridge, 20 several, 30 host bridge, 40 node, 50 system.
    pub ancestor: Reading<u32>,
    /// `nvmlGpuP2PStatus_t` for reading: 0 is OK.
    pub p2p_read: Reading<u32>,
    /// The same for writing.
    pub p2p_write: Reading<u32>,
    /// The same over NVLink.
    pub p2p_nvlink: Reading<u32>,
    /// The same for atomics.
    pub p2p_atomics: Reading<u32>,
    /// The same over PCIe.
    pub p2p_pci: Reading<u32>,
}

/// The machine's topology.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// NUMA nodes, by number. Empty where the kernel does not tell.
    pub nodes: Vec<NumaNode>,
    /// GPUs by address, then NICs and NVMe controllers by name.
    pub devices: Vec<BusDevice>,
    /// The bridges above them, each once, by address.
    pub bridges: Vec<Bridge>,
    /// Pairs of GPUs that the driver knows.
    pub pairs: Vec<GpuPair>,
}

impl Topology {
    /// The device at that address.
    #[must_use]
    pub fn device(&self, address: &str) -> Option<&BusDevice> {
        self.devices.iter().find(|device| device.address.eq_ignore_ascii_case(address))
    }

    /// The bridge at that address.
    #[must_use]
    pub fn bridge(&self, address: &str) -> Option<&Bridge> {
        self.bridges.iter().find(|bridge| &*bridge.address == address)
    }

    /// What the driver says of the GPUs at two addresses, in whichever order.
    #[must_use]
    pub fn pair(&self, one: &str, other: &str) -> Option<&GpuPair> {
        let is = |a: &str, b: &str, pair: &GpuPair| {
            pair.a.eq_ignore_ascii_case(a) && pair.b.eq_ignore_ascii_case(b)
        };
        self.pairs.iter().find(|pair| is(one, other, pair) || is(other, one, pair))
    }
}
