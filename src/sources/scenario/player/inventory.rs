//! The static data of a made-up rig.

use super::ScenarioPlayer;
use crate::model::{Absence, Driver, GpuId, GpuInfo, Inventory, PciDevice, Reading, Thresholds};
use crate::sources::scenario::GpuRig;
use crate::units::{Celsius, Megahertz, Watts};
use std::sync::Arc;
use std::time::Duration;

/// GT/s × 10 of a PCIe generation.
const LINK_SPEEDS: [u32; 6] = [25, 50, 80, 160, 320, 640];

/// The stable key of a GPU.
pub(super) fn id(gpu: &GpuRig) -> GpuId {
    GpuId(gpu.uuid.as_str().into())
}

fn some<T>(value: Option<T>) -> Reading<T> {
    value.ok_or(Absence::NotSupported)
}

fn text(value: &str) -> Reading<Arc<str>> {
    Ok(value.into())
}

impl ScenarioPlayer {
    pub(super) fn inventory(&self, processes: &[usize], t: Duration) -> Inventory {
        let host = self.scenario.host();
        let has_driver = host.problem.is_none();
        let version = |text: &str| if has_driver { Ok(Arc::from(text)) } else { Err(Absence::NotSupported) };
        Inventory {
            host_pids_visible: Ok(host.host_pids_visible),
            driver: Driver {
                module_version: version(&host.driver),
                version: version(&host.driver),
                nvml_version: version(&host.nvml),
                cuda_version: version(&host.cuda),
                problem: host.problem.as_deref().map(Arc::from),
            },
            gpus: if has_driver {
                self.scenario.gpus().iter().map(|gpu| self.info(gpu)).collect()
            } else {
                Vec::new()
            },
            pci: self.scenario.gpus().iter().map(|gpu| self.pci_device(gpu, t)).collect(),
            processes: processes
                .iter()
                .filter_map(|index| self.scenario.processes().get(*index))
                .map(|process| self.facts(process))
                .collect(),
            topology: self.topology().map(Box::new),
        }
    }

    /// CPUs are dealt out in equal parts to the NUMA nodes that have GPUs.
    pub(super) fn near_cpus(&self, gpu: &GpuRig) -> Arc<str> {
        let nodes = self.scenario.gpus().iter().map(|gpu| gpu.numa_node).max().unwrap_or(0) + 1;
        let share = self.scenario.host().cpus / nodes;
        let first = gpu.numa_node * share;
        format!("{first}-{}", (first + share).saturating_sub(1)).into()
    }

    fn info(&self, gpu: &GpuRig) -> GpuInfo {
        let preset = gpu.preset;
        let limits = preset.power_limits;
        GpuInfo {
            uuid: text(&gpu.uuid),
            index: Ok(gpu.index),
            name: text(preset.name),
            brand: text(preset.brand_name()),
            architecture: text(preset.architecture_name()),
            compute_capability: Ok(format!("{}.{}", preset.compute.0, preset.compute.1).into()),
            serial: some(preset.board_part.map(|_| gpu.serial.as_str().into())),
            board_part: some(preset.board_part.map(Arc::from)),
            vbios: text(preset.vbios),
            inforom: some(preset.inforom.map(Arc::from)),
            gsp: text(&self.scenario.host().driver),
            pci_bus_id: text(&gpu.pci),
            pci_device_id: Ok(preset.pci_device_id),
            minor: Ok(gpu.index),
            module_id: some(preset.nvswitch.then_some(gpu.index + 1)),
            numa_node: Ok(gpu.numa_node),
            cpu_affinity: Ok(self.near_cpus(gpu)),
            max_sm_clock: Ok(Megahertz(preset.max_clocks.0 as u32)),
            max_memory_clock: Ok(Megahertz(preset.max_clocks.1 as u32)),
            min_power_limit: some(limits.map(|(least, _, _)| Watts(least as f32))),
            max_power_limit: some(limits.map(|(_, most, _)| Watts(most as f32))),
            default_power_limit: some(limits.map(|(_, _, default)| Watts(default as f32))),
            thresholds: Ok(thresholds(gpu)),
            supported_clock_events: Ok(preset.clock_events),
            max_pcie_generation: Ok(preset.pcie.0),
            gpu_max_pcie_generation: Ok(preset.pcie.0),
            max_pcie_width: Ok(preset.pcie.1),
            nvlinks: some((preset.nvlinks > 0).then_some(preset.nvlinks)),
            nvlink_version: match preset.nvlink_version {
                4 => Ok(30),
                6 => Ok(40),
                _ => Err(Absence::NotSupported),
            },
            nvswitch_links: some(preset.nvswitch.then_some(preset.nvlinks)),
            gpm: Ok(preset.gpm),
            display_attached: Ok(gpu.display_attached()),
            display_active: Ok(gpu.display),
            // nvml.h: 0 none, 1 passed through.
            virtualization: Ok(u32::from(self.scenario.host().guest)),
            memory_shared_with_cpu: Ok(false),
        }
    }

    fn pci_device(&self, gpu: &GpuRig, t: Duration) -> PciDevice {
        let preset = gpu.preset;
        let values = self.scenario.values_at(gpu, t);
        let speed = |generation: f64| some(LINK_SPEEDS.get((generation as usize).wrapping_sub(1)).copied());
        let asleep = self.scenario.state_of(gpu, t) == crate::model::GpuState::Asleep;
        PciDevice {
            address: gpu.pci.as_str().into(),
            id: format!("{:04x}:{:04x}", preset.pci_device_id & 0xffff, preset.pci_device_id >> 16).into(),
            driver: self.scenario.host().problem.is_none().then(|| "nvidia".into()),
            runtime_status: text(if asleep { "suspended" } else { "active" }),
            numa_node: Ok(gpu.numa_node),
            local_cpus: Ok(self.near_cpus(gpu)),
            link_speed: speed(values.pcie_generation),
            max_link_speed: speed(f64::from(preset.pcie.0)),
            link_width: Ok(values.pcie_width as u32),
            max_link_width: Ok(preset.pcie.1),
        }
    }
}

fn thresholds(gpu: &GpuRig) -> Thresholds {
    let (slowdown, shutdown, memory, most) = gpu.preset.thresholds;
    let celsius = |value: f64| Ok(Celsius(value as f32));
    let limit = |value: Option<i32>| some(value.map(|value| Celsius(value as f32)));
    let margins = gpu.preset.margins;
    Thresholds {
        slowdown: celsius(slowdown),
        shutdown: celsius(shutdown),
        memory_max: some(memory.map(|value| Celsius(value as f32))),
        gpu_max: celsius(most),
        shutdown_limit: limit(margins.map(|[shutdown, ..]| shutdown)),
        slowdown_limit: limit(margins.map(|[_, slowdown, ..]| slowdown)),
        memory_max_limit: limit(margins.map(|[_, _, memory, _]| memory)),
        gpu_max_limit: limit(margins.map(|[.., most]| most)),
    }
}
