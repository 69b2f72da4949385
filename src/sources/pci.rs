//! NVIDIA display controllers on the PCI bus, from `/sys/bus/pci/devices`: seen without any driver, and without
//! waking a device that sleeps.

mod problem;

pub use problem::no_driver_explanation;

use super::root::Root;
use crate::model::{Absence, PciDevice, Reading};
use std::collections::BTreeSet;
use std::sync::Arc;

const DEVICES: &str = "/sys/bus/pci/devices";
/// PCI vendor id of NVIDIA.
const VENDOR: &str = "0x10de";
/// PCI base class 03: VGA (0300), XGA (0301), 3D (0302) and other display controllers. The audio function of a
/// card (0403) and NVSwitches (0680) are not GPUs.
const DISPLAY_CLASS: &str = "0x03";
/// A link status of all ones, which is what a device that no longer answers reads as: 6 bits of width.
const WIDTH_ALL_ONES: u32 = 0x3f;
/// What the kernel says where a device has no link capability (`PCIE_LNK_WIDTH_UNKNOWN`).
const WIDTH_UNKNOWN: u32 = 0xff;

/// Of so many looks at the bus, one is at every device.
const LOOKS: u32 = 12;

/// The NVIDIA GPUs on the PCI bus, by address. Empty where there is no PCI bus.
#[must_use]
pub fn scan(root: &Root) -> Vec<PciDevice> {
    Bus::default().scan(root)
}

/// The bus, for looking at it again and again: a server has hundreds of devices that are no GPUs, and stay so.
#[derive(Debug, Default)]
pub struct Bus {
    others: BTreeSet<String>,
    looks: u32,
}

impl Bus {
    /// As [`scan`]. What was something else at an address is looked at again at each twelfth time only.
    pub fn scan(&mut self, root: &Root) -> Vec<PciDevice> {
        let mut names = root.list(DEVICES).unwrap_or_default();
        if self.looks.is_multiple_of(LOOKS) {
            self.others.clear();
        }
        self.looks = self.looks.wrapping_add(1);
        // Whatever comes where something was taken out is new.
        self.others.retain(|address| names.contains(address));
        names.retain(|address| !self.others.contains(address));
        let mut gpus = Vec::new();
        for address in names {
            match device(root, &address) {
                Some(gpu) => gpus.push(gpu),
                // One that cannot be read just now may be a GPU in the next moment.
                None if ["vendor", "class"].iter().all(|name| is_readable(root, &address, name)) => {
                    self.others.insert(address);
                }
                None => {}
            }
        }
        gpus
    }
}

fn is_readable(root: &Root, address: &str, name: &str) -> bool {
    root.read_value(&format!("{DEVICES}/{address}/{name}")).is_ok()
}

fn device(root: &Root, address: &str) -> Option<PciDevice> {
    let file = |name: &str| root.read_value(&format!("{DEVICES}/{address}/{name}"));
    let is_gpu = file("vendor").is_ok_and(|vendor| vendor.eq_ignore_ascii_case(VENDOR))
        && file("class").is_ok_and(|class| class.starts_with(DISPLAY_CLASS));
    if !is_gpu {
        return None;
    }
    let id = file("device").unwrap_or_default();
    let runtime_status = file("power/runtime_status");
    // Since Linux 6.18 the kernel powers a device up before it reads its link registers.
    let asleep = is_asleep(&runtime_status);
    let link = |name: &str| if asleep { Err(Absence::Asleep) } else { file(name) };
    let speed = |name: &str| link(name).and_then(|text| link_speed(&text));
    let width = |name: &str| link(name).and_then(|text| link_width(&text));
    Some(PciDevice {
        id: format!("10de:{}", id.trim_start_matches("0x")).into(),
        driver: root.link_name(&format!("{DEVICES}/{address}/driver")).ok(),
        numa_node: file("numa_node").and_then(|text| numa_node(&text)),
        local_cpus: file("local_cpulist")
            .and_then(|cpus| if cpus.is_empty() { Err(Absence::NotSupported) } else { Ok(cpus) }),
        link_speed: speed("current_link_speed"),
        max_link_speed: speed("max_link_speed"),
        link_width: width("current_link_width"),
        max_link_width: width("max_link_width"),
        address: address.to_ascii_lowercase().into(),
        runtime_status,
    })
}

pub(super) fn is_asleep(runtime_status: &Reading<Arc<str>>) -> bool {
    // rpm_status_str in the kernel's drivers/base/power/sysfs.c
    runtime_status.as_ref().is_ok_and(|status| matches!(status.as_ref(), "suspended" | "suspending"))
}

/// The GPUs of the nvidia driver that sleep (runtime power management, as laptops do). Unless this is empty, NVML
/// must not be opened: that alone wakes every one of them and holds it awake.
#[must_use]
pub fn asleep(devices: &[PciDevice]) -> Vec<&PciDevice> {
    let sleeps =
        |device: &&PciDevice| device.driver.as_deref() == Some("nvidia") && is_asleep(&device.runtime_status);
    devices.iter().filter(sleeps).collect()
}

/// Whether the driver would put this GPU to sleep (RTD3) if nobody held it: `/proc/driver/nvidia/gpus/*/power`, a
/// file that answers without waking it.
#[must_use]
pub fn would_sleep(root: &Root, device: &PciDevice) -> bool {
    root.read_to_string(&format!("/proc/driver/nvidia/gpus/{}/power", device.address), 4096).is_ok_and(
        |text| text.lines().any(|line| line.starts_with("Runtime D3 status:") && line.contains("Enabled")),
    )
}

/// Version of the loaded kernel module: `/sys/module/nvidia/version`, or what `/proc/driver/nvidia/version` says.
///
/// # Errors
/// Not supported where no module is loaded.
pub fn module_version(root: &Root) -> Reading<Arc<str>> {
    match root.read_value("/sys/module/nvidia/version") {
        Ok(version) if !version.is_empty() => return Ok(version),
        Ok(_) | Err(Absence::NotSupported) => {}
        Err(absence) => return Err(absence),
    }
    let path = "/proc/driver/nvidia/version";
    let text = root.read_to_string(path, 4_096)?;
    proc_version(&text)
        .map(Into::into)
        .ok_or_else(|| Absence::failed(0, format!("{path} names no version that is understood")))
}

/// The version in `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build …`.
fn proc_version(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_ascii_whitespace().find(|word| {
        let mut parts = word.split('.');
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        word.contains('.') && parts.all(numeric)
    })
}

/// A link speed such as `32.0 GT/s PCIe` in GT/s × 10.
///
/// # Errors
/// When the kernel says `Unknown`, or something else than a speed.
pub fn link_speed(text: &str) -> Reading<u32> {
    // Kernels before 5.13 write "8 GT/s", later ones "8.0 GT/s PCIe".
    let speed = || {
        let (number, unit) = text.trim().split_once(' ')?;
        let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let digit = tenth.chars().next()?.to_digit(10)?;
        unit.starts_with("GT/s").then_some(())?;
        whole.parse::<u32>().ok()?.checked_mul(10)?.checked_add(digit)
    };
    speed().ok_or_else(|| Absence::failed(0, format!("link speed \"{}\"", text.trim())))
}

pub(super) fn link_width(text: &str) -> Reading<u32> {
    match text.trim().trim_start_matches('x').parse() {
        Ok(WIDTH_ALL_ONES) => Err(Absence::Lost),
        Ok(WIDTH_UNKNOWN) => Err(Absence::NotSupported),
        Ok(width) => Ok(width),
        Err(_) => Err(Absence::failed(0, format!("link width \"{}\"", text.trim()))),
    }
}

pub(super) fn numa_node(text: &str) -> Reading<u32> {
    match text.trim().parse::<i64>() {
        // -1: the firmware names none.
        Ok(node) => u32::try_from(node).ok().ok_or(Absence::NotSupported),
        Err(_) => Err(Absence::failed(0, format!("NUMA node \"{}\"", text.trim()))),
    }
}

#[cfg(test)]
mod tests;
