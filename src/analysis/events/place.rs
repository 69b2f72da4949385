//! Which GPU an incident is about, and which process.

use super::Incident;
use crate::analysis::advice;
use crate::analysis::kernel_log::PciAddress;
use crate::model::{GpuId, Inventory, Process, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Puts GPU and number to the incident's address; the UUID that the driver printed counts where the inventory has
/// lost the GPU.
pub(super) fn locate(
    incident: &mut Incident,
    inventory: Option<&Inventory>,
    uuids: &BTreeMap<PciAddress, Arc<str>>,
) {
    let found = inventory.and_then(|inventory| {
        inventory.gpus.iter().find(|gpu| {
            let address = gpu.pci_bus_id.as_ref().ok().and_then(|address| PciAddress::parse(address));
            (address.is_some() && address == incident.pci)
                || (incident.pci.is_none() && incident.gpu.as_ref() == Some(&gpu.id()))
        })
    });
    if let Some(gpu) = found {
        incident.gpu = Some(gpu.id());
        incident.gpu_index = gpu.index.as_ref().ok().copied();
        let address = gpu.pci_bus_id.as_ref().ok().and_then(|address| PciAddress::parse(address));
        incident.pci = incident.pci.or(address);
    } else if incident.gpu.is_none()
        && let Some(uuid) = incident.pci.and_then(|pci| uuids.get(&pci))
    {
        incident.gpu = Some(GpuId(Arc::clone(uuid)));
    }
    address(incident);
}

/// Puts the address of the GPU into the advice. Lines of the log leave out the function, which a GPU has as its first.
pub(super) fn address(incident: &mut Incident) {
    if let Some(pci) = incident.pci {
        incident.advice = advice::about(&incident.advice, Some(&format!("{pci}.0")));
    }
}

/// Blames the process that had the PID when it happened. A process that started later only has its number.
pub(super) fn blame(incident: &mut Incident, snapshot: Option<&Snapshot>) {
    let (Some(pid), Some(snapshot)) = (incident.pid, snapshot) else { return };
    let had_started = |process: &&Process| {
        let started = process.facts.as_ref().and_then(|facts| facts.started.as_ref().ok());
        process.key.pid == pid
            && incident.first.wall.0 != 0
            && started.is_some_and(|started| started.0 <= incident.first.wall.0)
    };
    // Of several that had it one after the other, the youngest that had started.
    let Some(process) = snapshot.processes.iter().filter(had_started).max_by_key(|process| process.key)
    else {
        return;
    };
    incident.blamed = Some(process.key);
    if incident.process.is_none() {
        let name = process.facts.as_ref().and_then(|facts| facts.name.as_ref().ok());
        incident.process = name.map(Arc::clone);
    }
}

/// Whether a PCIe error is about a GPU: its own address, a bridge above one, or a device that cannot be told from
/// one because nothing is known of the machine. Buses below a bridge have higher numbers than its own.
pub(super) fn concerns_gpu(
    pci: Option<PciAddress>,
    snapshot: Option<&Snapshot>,
    uuids: &BTreeMap<PciAddress, Arc<str>>,
) -> bool {
    let (Some(pci), Some(snapshot)) = (pci, snapshot) else { return true };
    let inventory = &snapshot.inventory;
    let gpus = inventory.gpus.iter().filter_map(|gpu| gpu.pci_bus_id.as_ref().ok());
    let devices = inventory.pci.iter().map(|device| &device.address);
    let known: Vec<PciAddress> = gpus
        .chain(devices)
        .filter_map(|address| PciAddress::parse(address))
        .chain(uuids.keys().copied())
        .collect();
    known.is_empty() || known.iter().any(|gpu| *gpu == pci || (gpu.domain == pci.domain && pci.bus < gpu.bus))
}
