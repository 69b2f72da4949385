//! Identity and limits: read once per device.

use super::Device;
use super::call::{CallId, Caller};
use super::error::Failure;
use super::names;
use super::port::Port;
use super::raw::{FieldValue, RawDevice};
use super::value::{celsius, celsius_or_none, megahertz, real, watts};
use super::version::pci_address;
use crate::model::{Absence, GpuInfo, Reading, Thresholds};
use nvml_wrapper::Device as SafeDevice;
use nvml_wrapper::enum_wrappers::device::{Clock as ClockKind, TemperatureThreshold};
use nvml_wrapper_sys::bindings::NVML_AFFINITY_SCOPE_NODE;
use std::sync::Arc;

/// Number of NVLinks; asking for it costs 0.4 ms.
const FIELD_NVLINKS: u32 = 91;
/// Number of NVLinks that go to an NVSwitch.
const FIELD_NVSWITCH_LINKS: u32 = 147;
/// T.Limit of shutdown, slowdown, memory maximum and GPU maximum; signed.
const FIELD_LIMITS: [u32; 4] = [193, 194, 195, 196];
/// Words of a CPU mask: room for 4,096 CPUs.
const CPU_WORDS: usize = 64;
/// Words of a NUMA node mask: room for 1,024 nodes, the kernel's most.
const NODE_WORDS: usize = 16;
/// `nvmlDeviceGetAddressingMode`: the GPU uses the CPU's page tables (coherent memory).
const ADDRESSING_ATS: u32 = 2;

impl Device {
    /// Reads identity and limits. The address and UUID that the device was opened under stand even when it is
    /// lost.
    pub fn info(&mut self, caller: &Caller) -> GpuInfo {
        let thresholds = self.thresholds(caller);
        let [nvlinks, nvswitch_links] =
            self.port.fields(caller, [(FIELD_NVLINKS, 0), (FIELD_NVSWITCH_LINKS, 0)]);
        let nvlinks = nvlinks.and_then(FieldValue::number);
        if let Ok(count) = nvlinks {
            self.links.set_count(count);
        }
        let port = &mut self.port;
        let numa = port.safe(caller, CallId::NumaNodeId, SafeDevice::numa_node_id).and_then(real);
        let constraints =
            port.safe(caller, CallId::PowerConstraints, SafeDevice::power_management_limit_constraints);
        let limit = |read: fn(&nvml_wrapper::structs::device::PowerManagementConstraints) -> u32| {
            match &constraints {
                Ok(both) => watts(read(both)),
                Err(absence) => Err(absence.clone()),
            }
        };
        GpuInfo {
            uuid: self.uuid.clone(),
            index: Ok(self.index),
            pci_bus_id: self.address.clone(),
            pci_device_id: self.pci_device_id.clone(),
            name: text(port.safe(caller, CallId::Name, SafeDevice::name)),
            brand: named(port.raw(caller, CallId::Brand, RawDevice::brand), names::brand),
            architecture: named(
                port.raw(caller, CallId::Architecture, RawDevice::architecture),
                names::architecture,
            ),
            compute_capability: port
                .safe(caller, CallId::ComputeCapability, SafeDevice::cuda_compute_capability)
                .map(|version| format!("{}.{}", version.major, version.minor).into()),
            serial: text(port.safe(caller, CallId::Serial, SafeDevice::serial)),
            board_part: text(port.safe(caller, CallId::BoardPartNumber, SafeDevice::board_part_number)),
            vbios: text(port.safe(caller, CallId::VbiosVersion, SafeDevice::vbios_version)),
            inforom: text(port.safe(caller, CallId::InforomVersion, SafeDevice::info_rom_image_version)),
            gsp: text(port.safe(caller, CallId::GspVersion, SafeDevice::gsp_firmware_version)),
            minor: port.safe(caller, CallId::MinorNumber, SafeDevice::minor_number).and_then(real),
            module_id: port.raw(caller, CallId::ModuleId, RawDevice::module_id).and_then(real),
            memory_shared_with_cpu: shared_memory(port, caller, &numa),
            numa_node: numa.or_else(|absence| slot_node(port, caller).ok_or(absence)),
            cpu_affinity: port
                .safe(caller, CallId::CpuAffinity, |device| device.cpu_affinity(CPU_WORDS))
                .and_then(|mask| names::bit_list(&mask).map(Arc::from).ok_or(Absence::NotSupported)),
            max_sm_clock: max_clock(port, caller, ClockKind::SM),
            max_memory_clock: max_clock(port, caller, ClockKind::Memory),
            min_power_limit: limit(|both| both.min_limit),
            max_power_limit: limit(|both| both.max_limit),
            default_power_limit: port
                .safe(caller, CallId::DefaultPowerLimit, SafeDevice::power_management_limit_default)
                .and_then(watts),
            thresholds: Ok(thresholds),
            supported_clock_events: supported_events(port, caller),
            max_pcie_generation: port
                .safe(caller, CallId::MaxPcieGeneration, SafeDevice::max_pcie_link_gen)
                .and_then(real),
            gpu_max_pcie_generation: port
                .raw(caller, CallId::GpuMaxPcieGeneration, RawDevice::gpu_max_pcie_generation)
                .and_then(real),
            max_pcie_width: port
                .safe(caller, CallId::MaxPcieWidth, SafeDevice::max_pcie_link_width)
                .and_then(real),
            nvlink_version: nvlinks.clone().and_then(|links| nvlink_version(port, caller, links)),
            nvlinks,
            nvswitch_links: nvswitch_links.and_then(FieldValue::number),
            gpm: match port.safe(caller, CallId::GpmSupport, SafeDevice::gpm_support) {
                // Not known to the driver, or to the board: GPM does not answer either way.
                Err(Absence::NotSupported) => Ok(false),
                other => other,
            },
            display_attached: port.safe(caller, CallId::DisplayMode, SafeDevice::is_display_connected),
            display_active: port.safe(caller, CallId::DisplayActive, SafeDevice::is_display_active),
            virtualization: port
                .safe(caller, CallId::VirtualizationMode, SafeDevice::virtualization_mode)
                .map(|mode| mode.as_c()),
        }
    }

    fn thresholds(&mut self, caller: &Caller) -> Thresholds {
        let port = &mut self.port;
        let [shutdown_limit, slowdown_limit, memory_max_limit, gpu_max_limit] = port
            .fields(caller, FIELD_LIMITS.map(|field| (field, 0)))
            .map(|value| value.and_then(FieldValue::degrees).and_then(celsius));
        let mut absolute = |kind: TemperatureThreshold| {
            port.safe_variant(caller, CallId::TemperatureThreshold, kind.as_c(), |device| {
                device.temperature_threshold(kind)
            })
            .and_then(|value| celsius_or_none(i64::from(value)))
        };
        Thresholds {
            slowdown: absolute(TemperatureThreshold::Slowdown),
            shutdown: absolute(TemperatureThreshold::Shutdown),
            memory_max: absolute(TemperatureThreshold::MemoryMax),
            gpu_max: absolute(TemperatureThreshold::GpuMax),
            slowdown_limit,
            shutdown_limit,
            memory_max_limit,
            gpu_max_limit,
        }
    }
}

/// What a device is called, from calls that work on a lost device's last breath too: UUID, address, device id.
pub(super) fn identity(
    port: &mut Port,
    caller: &Caller,
) -> (Reading<Arc<str>>, Reading<Arc<str>>, Reading<u32>) {
    let uuid = text(port.safe(caller, CallId::Uuid, SafeDevice::uuid));
    let pci = port.safe(caller, CallId::PciInfo, SafeDevice::pci_info);
    let address = pci.as_ref().map_err(Clone::clone).and_then(|info| {
        pci_address(&info.bus_id)
            .map(Arc::from)
            .ok_or_else(|| Absence::failed(0, format!("odd PCI address {:?}", info.bus_id)))
    });
    (uuid, address, pci.map(|info| info.pci_device_id))
}

/// A text, unless it says nothing: boards without a serial number answer an empty one, or `0`.
fn text(reading: Reading<String>) -> Reading<Arc<str>> {
    let text = reading?;
    match text.trim() {
        "" | "0" | "N/A" => Err(Absence::NotSupported),
        trimmed => Ok(trimmed.into()),
    }
}

fn named(number: Reading<u32>, name: fn(u32) -> Option<String>) -> Reading<Arc<str>> {
    name(number?).map(Arc::from).ok_or(Absence::NotSupported)
}

fn max_clock(port: &mut Port, caller: &Caller, kind: ClockKind) -> Reading<crate::units::Megahertz> {
    port.safe_variant(caller, CallId::MaxClock, kind.as_c(), |device| device.max_clock_info(kind))
        .and_then(megahertz)
}

fn supported_events(port: &mut Port, caller: &Caller) -> Reading<u64> {
    let newer =
        port.attempt(caller, CallId::SupportedClockEvents, 0, |handle| handle.raw.supported_clock_events());
    let answer = match newer {
        Err(Failure::MISSING) => port.attempt(caller, CallId::SupportedThrottleReasons, 0, |handle| {
            handle.raw.supported_throttle_reasons()
        }),
        other => other,
    };
    answer.map_err(|failure| Absence::from(&failure))
}

/// The version of the first link that tells one: a link that is down may not.
fn nvlink_version(port: &mut Port, caller: &Caller, links: u32) -> Reading<u32> {
    let mut last = Err(Absence::NotSupported);
    for link in 0..links {
        last = port
            .safe_variant(caller, CallId::NvLinkVersion, link, |device| {
                device.link_wrapper_for(link).version()
            })
            .and_then(|version| names::nvlink_tenths(version).ok_or(Absence::NotSupported));
        if last.is_ok() || port.is_lost() {
            break;
        }
    }
    last
}

/// The NUMA node of the GPU's slot, where its memory affinity names exactly one.
fn slot_node(port: &mut Port, caller: &Caller) -> Option<u32> {
    let mask = port
        .safe(caller, CallId::MemoryAffinity, |device| {
            device.memory_affinity(NODE_WORDS, NVML_AFFINITY_SCOPE_NODE)
        })
        .ok()?;
    names::only_bit(&mask)
}

/// Whether CPU and GPU share memory coherently: the driver says so (R580), or the GPU's memory is a NUMA node.
fn shared_memory(port: &mut Port, caller: &Caller, numa: &Reading<u32>) -> Reading<bool> {
    match port.raw(caller, CallId::AddressingMode, RawDevice::addressing_mode) {
        Ok(mode) => Ok(mode == ADDRESSING_ATS),
        Err(Absence::NotSupported) => match numa {
            Ok(_) => Ok(true),
            Err(Absence::NotSupported) => Ok(false),
            Err(absence) => Err(absence.clone()),
        },
        Err(absence) => Err(absence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_texts_are_absent() {
        for nothing in ["", " ", "0", "N/A"] {
            assert_eq!(text(Ok(nothing.to_owned())), Err(Absence::NotSupported));
        }
        assert_eq!(
            text(Ok(" 96.00.74.00.01\0".trim_end_matches('\0').to_owned())).as_deref(),
            Ok("96.00.74.00.01")
        );
    }
}
