//! Static data: what is sent once, on change, and at the start of each block of a recording.

use super::group::readings;
use super::{Absence, GpuId, ProcessFacts, Reading, Topology};
use crate::units::{Celsius, Megahertz, Mono, Wall, Watts};
use std::sync::Arc;

/// The first record of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Major version of the format.
    pub format: u32,
    /// Version of kgtop that wrote it.
    pub kgtop: Arc<str>,
    /// Where and when.
    pub host: HostInfo,
    /// Wall clock at `mono`.
    pub wall: Wall,
    /// Monotonic clock at `wall`.
    pub mono: Mono,
    /// Time between samples, in seconds.
    pub interval_seconds: f32,
    /// The collector's PID (of its own machine).
    pub collector_pid: u32,
}

/// The machine a stream comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostInfo {
    /// Host name.
    pub hostname: Arc<str>,
    /// Kernel release.
    pub kernel: Arc<str>,
    /// `/proc/sys/kernel/random/boot_id`; empty when it could not be read.
    pub boot_id: Arc<str>,
    /// Logical CPUs.
    pub cpus: u32,
}

/// What the driver and its library say of themselves, and what is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Driver {
    /// Version of the loaded kernel module (`/sys/module/nvidia/version`).
    pub module_version: Reading<Arc<str>>,
    /// Driver version as NVML reports it.
    pub version: Reading<Arc<str>>,
    /// NVML's own version.
    pub nvml_version: Reading<Arc<str>>,
    /// Newest CUDA version the driver supports (`"13.0"`).
    pub cuda_version: Reading<Arc<str>>,
    /// Why there are no GPUs from NVML, in a sentence that says what to do; `None` when all is well.
    pub problem: Option<Arc<str>>,
}

impl Default for Driver {
    fn default() -> Self {
        let absent = || Err(Absence::NotRequested);
        Self {
            module_version: absent(),
            version: absent(),
            nvml_version: absent(),
            cuda_version: absent(),
            problem: None,
        }
    }
}

/// A display or 3D controller of NVIDIA on the PCI bus, from sysfs: seen without any driver.
#[derive(Clone, Debug, PartialEq)]
pub struct PciDevice {
    /// Address, `0000:41:00.0`.
    pub address: Arc<str>,
    /// Vendor and device id, `10de:2335`.
    pub id: Arc<str>,
    /// The driver bound to it (`nvidia`, `nouveau`, `vfio-pci`), or `None`.
    pub driver: Option<Arc<str>>,
    /// `power/runtime_status`: `active`, `suspended`, …
    pub runtime_status: Reading<Arc<str>>,
    /// NUMA node; absent when the firmware names none.
    pub numa_node: Reading<u32>,
    /// CPUs near the device (`0-31`).
    pub local_cpus: Reading<Arc<str>>,
    /// Link speed now, GT/s × 10 (so 320 is 32 GT/s).
    pub link_speed: Reading<u32>,
    /// Fastest link speed, GT/s × 10.
    pub max_link_speed: Reading<u32>,
    /// Link width now.
    pub link_width: Reading<u32>,
    /// Widest link.
    pub max_link_width: Reading<u32>,
}

/// Temperature thresholds: absolute, and as T.Limit (degrees of margin at which it acts, signed).
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Hardware slowdown.
    pub slowdown: Reading<Celsius>,
    /// Shutdown.
    pub shutdown: Reading<Celsius>,
    /// Memory maximum.
    pub memory_max: Reading<Celsius>,
    /// GPU maximum operating temperature.
    pub gpu_max: Reading<Celsius>,
    /// T.Limit of the hardware slowdown (field 194).
    pub slowdown_limit: Reading<Celsius>,
    /// T.Limit of the shutdown (field 193).
    pub shutdown_limit: Reading<Celsius>,
    /// T.Limit of the memory maximum (field 195).
    pub memory_max_limit: Reading<Celsius>,
    /// T.Limit of the GPU maximum (field 196).
    pub gpu_max_limit: Reading<Celsius>,
}

impl Default for Thresholds {
    fn default() -> Self {
        let absent = || Err(Absence::NotRequested);
        Self {
            slowdown: absent(),
            shutdown: absent(),
            memory_max: absent(),
            gpu_max: absent(),
            slowdown_limit: absent(),
            shutdown_limit: absent(),
            memory_max_limit: absent(),
            gpu_max_limit: absent(),
        }
    }
}

readings! {
    /// Identity and limits of one GPU, read once per device.
    pub struct GpuInfo {
        /// UUID, `GPU-…`.
        uuid: Arc<str>,
        /// NVML index: the order of this boot, not an identity.
        index: u32,
        /// Product name.
        name: Arc<str>,
        /// Brand.
        brand: Arc<str>,
        /// Architecture (`Hopper`).
        architecture: Arc<str>,
        /// CUDA compute capability (`9.0`).
        compute_capability: Arc<str>,
        /// Board serial number.
        serial: Arc<str>,
        /// Board part number.
        board_part: Arc<str>,
        /// VBIOS version.
        vbios: Arc<str>,
        /// InfoROM image version.
        inforom: Arc<str>,
        /// GSP firmware version.
        gsp: Arc<str>,
        /// PCI address, `0000:3b:00.0` (lower case, four-digit domain).
        pci_bus_id: Arc<str>,
        /// PCI device and vendor id as NVML packs them, `0x233510DE`.
        pci_device_id: u32,
        /// N of `/dev/nvidiaN`.
        minor: u32,
        /// Module id (the position on a baseboard).
        module_id: u32,
        /// NUMA node of the GPU's own memory, where it has one; else of its slot.
        numa_node: u32,
        /// CPUs near the GPU (`0-31`).
        cpu_affinity: Arc<str>,
        /// Highest SM clock.
        max_sm_clock: Megahertz,
        /// Highest memory clock.
        max_memory_clock: Megahertz,
        /// Least power limit that can be set.
        min_power_limit: Watts,
        /// Greatest power limit that can be set.
        max_power_limit: Watts,
        /// Power limit after a reset.
        default_power_limit: Watts,
        /// Temperature thresholds.
        thresholds: Thresholds,
        /// Clock event reasons the device can report (`nvmlDeviceGetSupportedClocksEventReasons`).
        supported_clock_events: u64,
        /// Highest PCIe generation of GPU and slot together.
        max_pcie_generation: u32,
        /// Highest PCIe generation of the GPU itself.
        gpu_max_pcie_generation: u32,
        /// Widest PCIe link of GPU and slot together.
        max_pcie_width: u32,
        /// Number of NVLinks (field 91).
        nvlinks: u32,
        /// NVLink generation as a number of tenths (4.0 is 40).
        nvlink_version: u32,
        /// Links that go to an NVSwitch (field 147).
        nvswitch_links: u32,
        /// Whether GPM answers.
        gpm: bool,
        /// A display is attached. An H200, which has no connector, says so too (h200.md).
        display_attached: bool,
        /// A display is driven (`nvmlDeviceGetDisplayActive`).
        display_active: bool,
        /// Virtualisation mode: 0 none, 1 pass-through, 2 vGPU guest, 3 vGPU host, 4 vSGA host.
        virtualization: u32,
        /// Framebuffer shared with the CPU (coherent or unified memory).
        memory_shared_with_cpu: bool,
    }
}

impl GpuInfo {
    /// The stable key of this GPU: its UUID; the PCI address when the UUID cannot be read; its place in NVML's order
    /// (`nvml:3`) when the driver gives nothing at all.
    #[must_use]
    pub fn id(&self) -> GpuId {
        match (&self.uuid, &self.pci_bus_id, &self.index) {
            (Ok(uuid), ..) => GpuId(Arc::clone(uuid)),
            (_, Ok(address), _) => GpuId(Arc::clone(address)),
            (.., Ok(index)) => GpuId(format!("nvml:{index}").into()),
            _ => GpuId("unknown".into()),
        }
    }
}

/// Everything static, replaced as a whole when any of it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// Whether kgtop sees the PIDs of the host, which are the ones the driver names. False in a container.
    pub host_pids_visible: Reading<bool>,
    /// The driver.
    pub driver: Driver,
    /// GPUs in NVML order, the ones that were lost since included.
    pub gpus: Vec<GpuInfo>,
    /// NVIDIA devices on the PCI bus.
    pub pci: Vec<PciDevice>,
    /// What does not change about the GPU processes of now.
    pub processes: Vec<ProcessFacts>,
    /// Where the devices are; `None` until it was read, and from writers that did not know it.
    pub topology: Option<Box<Topology>>,
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            host_pids_visible: Err(Absence::NotRequested),
            driver: Driver::default(),
            gpus: Vec::new(),
            pci: Vec::new(),
            processes: Vec::new(),
            topology: None,
        }
    }
}
