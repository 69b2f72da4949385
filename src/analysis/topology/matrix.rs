//! The matrix of `nvidia-smi topo -m`, with NVMe controllers besides.

use super::class::{PathClass, way};
use crate::model::{
    Absence, BusDevice, BusKind, Gpu, GpuId, GpuPair, GpuState, Reading, Snapshot, Topology, known,
};
use std::fmt;
use std::sync::Arc;

/// A row and a column of the matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// `GPU0`, `NIC3`, `nvme0`.
    pub label: String,
    /// What it is.
    pub kind: BusKind,
    /// The GPU behind it, where the driver serves it.
    pub gpu: Option<GpuId>,
    /// The kernel's name of a NIC or controller (`mlx5_0`), the product's of a GPU.
    pub name: Arc<str>,
    /// PCI address.
    pub address: Reading<Arc<str>>,
    /// CPUs near it.
    pub cpu_affinity: Reading<Arc<str>>,
    /// The NUMA node of its slot.
    pub numa_affinity: Reading<u32>,
    /// The NUMA node of a GPU's own memory, on coherent machines.
    pub gpu_numa: Option<u32>,
}

/// How two devices are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// The device itself.
    Same,
    /// A bonded set of NVLinks.
    NvLink(u32),
    /// PCIe, and what it crosses.
    Path(PathClass),
    /// Nothing that was read tells.
    Unknown,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.pad("X"),
            Self::NvLink(links) => f.pad(&format!("NV{links}")),
            Self::Path(class) => f.pad(class.name()),
            Self::Unknown => f.pad("?"),
        }
    }
}

impl Cell {
    /// The lesser, the nearer: NVLink, then the classes, then what is not known.
    #[must_use]
    pub fn distance(self) -> u8 {
        match self {
            Self::Same => 0,
            Self::NvLink(_) => 1,
            Self::Path(class) => 2 + class as u8,
            Self::Unknown => u8::MAX,
        }
    }
}

/// All devices and how each pair is joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// GPUs in the driver's order, NICs, NVMe controllers.
    pub devices: Vec<Device>,
    cells: Vec<Cell>,
    /// GPUs on the bus that the driver serves, and not to us: a container's control group hides them.
    pub hidden: usize,
    /// GPUs are numbered in the order of the bus, because no driver numbers them.
    pub by_bus: bool,
}

impl Matrix {
    /// The matrix of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let topology = snapshot.inventory.topology.as_deref();
        let served: Vec<&Gpu> = snapshot.gpus.iter().filter(|gpu| gpu.info.index.is_ok()).collect();
        let on_bus: Vec<&BusDevice> =
            topology.iter().flat_map(|t| &t.devices).filter(|device| device.kind == BusKind::Gpu).collect();
        let by_bus = served.is_empty();
        let mut devices: Vec<Device> = if by_bus {
            on_bus.iter().enumerate().map(|(index, device)| bus_gpu(index, device, snapshot)).collect()
        } else {
            served.iter().map(|gpu| served_gpu(gpu, topology)).collect()
        };
        let is_served =
            |device: &&&BusDevice| device.driver.as_deref().is_none_or(|driver| driver == "nvidia");
        let lost = served.iter().any(|gpu| gpu.state == GpuState::Lost && gpu.info.pci_bus_id.is_err());
        let hidden = if by_bus || lost {
            0
        } else {
            let given = |device: &&&BusDevice| {
                served.iter().any(|gpu| gpu.info.pci_bus_id.as_ref() == Ok(&device.address))
            };
            on_bus.iter().filter(is_served).filter(|device| !given(device)).count()
        };
        let mut nics = 0;
        for device in topology.iter().flat_map(|t| &t.devices) {
            match device.kind {
                BusKind::Gpu => {}
                BusKind::Nic => {
                    devices.push(other(format!("NIC{nics}"), device));
                    nics += 1;
                }
                BusKind::Nvme => devices.push(other(device.name.to_string(), device)),
            }
        }
        let mut cells = Vec::with_capacity(devices.len() * devices.len());
        for one in &devices {
            cells.extend(devices.iter().map(|other| cell(snapshot, topology, one, other)));
        }
        Self { devices, cells, hidden, by_bus }
    }

    /// How the devices of two places are joined.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> Cell {
        if column >= self.devices.len() {
            return Cell::Unknown;
        }
        self.cells.get(row * self.devices.len() + column).copied().unwrap_or(Cell::Unknown)
    }

    /// Places of the GPUs.
    pub fn gpus(&self) -> impl Iterator<Item = usize> + '_ {
        self.devices
            .iter()
            .enumerate()
            .filter(|(_, device)| device.kind == BusKind::Gpu)
            .map(|(place, _)| place)
    }

    /// The place of a GPU.
    #[must_use]
    pub fn place_of(&self, id: &GpuId) -> Option<usize> {
        self.devices.iter().position(|device| device.gpu.as_ref() == Some(id))
    }
}

fn served_gpu(gpu: &Gpu, topology: Option<&Topology>) -> Device {
    let info = &gpu.info;
    let on_bus = info.pci_bus_id.as_ref().ok().and_then(|address| topology?.device(address));
    let coherent = matches!(info.memory_shared_with_cpu, Ok(true));
    let slot = on_bus.map_or(Err(Absence::NotRequested), |device| device.numa_node.clone());
    Device {
        label: format!("GPU{}", info.index.as_ref().map_or(0, |index| *index)),
        kind: BusKind::Gpu,
        gpu: Some(gpu.id.clone()),
        name: known(&info.name).unwrap_or_else(|| "GPU".into()),
        address: info.pci_bus_id.clone(),
        cpu_affinity: info
            .cpu_affinity
            .clone()
            .or_else(|absence| on_bus.map_or(Err(absence), |device| device.local_cpus.clone())),
        // Of a coherent GPU the driver names the node of its memory, which is another than its slot's.
        numa_affinity: if coherent { slot } else { info.numa_node.clone().or(slot) },
        gpu_numa: if coherent { known(&info.numa_node) } else { None },
    }
}

fn bus_gpu(index: usize, device: &BusDevice, snapshot: &Snapshot) -> Device {
    let gpu = snapshot.gpus.iter().find(|gpu| gpu.info.pci_bus_id.as_ref() == Ok(&device.address));
    let gpu = gpu.map(|gpu| gpu.id.clone());
    Device { gpu, name: "GPU".into(), ..other(format!("GPU{index}"), device) }
}

fn other(label: String, device: &BusDevice) -> Device {
    Device {
        label,
        kind: device.kind,
        gpu: None,
        name: Arc::clone(&device.name),
        address: Ok(Arc::clone(&device.address)),
        cpu_affinity: device.local_cpus.clone(),
        numa_affinity: device.numa_node.clone(),
        gpu_numa: None,
    }
}

fn cell(snapshot: &Snapshot, topology: Option<&Topology>, one: &Device, other: &Device) -> Cell {
    if one.label == other.label {
        return Cell::Same;
    }
    let (Ok(first), Ok(second)) = (&one.address, &other.address) else { return Cell::Unknown };
    let pair = topology.and_then(|topology| topology.pair(first, second));
    let gpu = |device: &Device| snapshot.gpus.iter().find(|gpu| Some(&gpu.id) == device.gpu.as_ref());
    if let (BusKind::Gpu, BusKind::Gpu, Some(a), Some(b)) = (one.kind, other.kind, gpu(one), gpu(other)) {
        match nvlinks(a, b, pair) {
            Joined::By(links) => return Cell::NvLink(links),
            Joined::NotRead => return Cell::Unknown,
            Joined::No => {}
        }
    }
    let level = pair.and_then(|pair| PathClass::of_level(*pair.ancestor.as_ref().ok()?));
    let by_bus = || {
        let topology = topology?;
        Some(way(topology, topology.device(first)?, topology.device(second)?)?.class)
    };
    level.or_else(by_bus).map_or(Cell::Unknown, Cell::Path)
}

enum Joined {
    By(u32),
    No,
    NotRead,
}

/// The NVLinks between two GPUs. With NVSwitches each pair has as many as go to the switches (field 147); without,
/// those whose other end is the peer.
fn nvlinks(one: &Gpu, other: &Gpu, pair: Option<&GpuPair>) -> Joined {
    let switched = |gpu: &Gpu| known(&gpu.info.nvswitch_links).unwrap_or(0);
    let to_switch = switched(one).min(switched(other));
    if to_switch > 0 {
        return Joined::By(to_switch);
    }
    let has_links = |gpu: &Gpu| known(&gpu.info.nvlinks).unwrap_or(0) > 0;
    if !has_links(one) || !has_links(other) {
        return Joined::No;
    }
    let peer = |gpu: &Gpu| gpu.info.pci_bus_id.as_deref().ok().map(str::to_ascii_lowercase);
    let to = |from: &Gpu, peer: Option<String>| {
        let peer = peer?;
        let links = from.nvlinks.as_ref()?;
        let leads = links.value.iter().filter(|link| {
            matches!(link.active, Ok(true))
                && link.remote_pci.as_ref().is_ok_and(|address| address.eq_ignore_ascii_case(&peer))
        });
        Some(u32::try_from(leads.count()).unwrap_or(u32::MAX))
    };
    match to(one, peer(other)).or_else(|| to(other, peer(one))) {
        Some(0) => Joined::No,
        Some(links) => Joined::By(links),
        // Links are read with the slow groups; until then only the driver's word on P2P can rule them out.
        None if pair.is_some_and(|pair| matches!(pair.p2p_nvlink, Ok(status) if status != 0)) => Joined::No,
        None => Joined::NotRead,
    }
}
