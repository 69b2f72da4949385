//! The device on the bus, what is bound to it, and passthrough.

use super::context::{counted, listed};
use super::{Check, Context, Found, Layer, Need, Outcome};
use crate::model::{Absence, PciDevice};
use std::collections::BTreeMap;

const DEVICES: &str = "/sys/bus/pci/devices";
const GROUPS: &str = "/sys/kernel/iommu_groups";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "gpu_on_bus",
        layer: Layer::Pci,
        title: "GPU on the PCI bus",
        needs: &[],
        symptom: "nvidia-smi: No devices were found",
        run: on_bus,
    },
    Check {
        id: "pcie_link",
        layer: Layer::Pci,
        title: "PCIe link",
        needs: &[Need::Gpu],
        symptom: "Loading a model or moving data takes many times as long as on another node",
        run: link,
    },
    Check {
        id: "driver_bound",
        layer: Layer::Driver,
        title: "driver bound to the GPU",
        needs: &[Need::Gpu],
        symptom: "nvidia-smi: No devices were found, although lspci shows the GPU",
        run: bound,
    },
];

pub(super) const PASSTHROUGH: &[Check] = &[Check {
    id: "iommu_groups",
    layer: Layer::Passthrough,
    title: "IOMMU groups",
    needs: &[Need::Files, Need::Gpu],
    symptom: "vfio: device is not in a group assigned to a container; group is not viable",
    run: groups,
}];

fn on_bus(context: &Context<'_>) -> Found {
    let gpus = context.gpus();
    if !gpus.is_empty() {
        let lost = gpus.iter().filter(|gpu| gpu.link_width == Err(Absence::Lost));
        let lost: Vec<&str> = lost.map(|gpu| &*gpu.address).collect();
        let found = match lost.as_slice() {
            [] => Found::pass(format!("{} on the PCI bus", counted(gpus.len(), "NVIDIA GPU"))),
            lost => Found::fail(format!("{} no longer answers on the bus", listed(lost)))
                .advise(
                    "Drain the node and reboot it; if it is lost again, check power, seating and cooling.",
                )
                .fix("nvidia-bug-report.sh"),
        };
        return gpus.iter().fold(found, |found, gpu| {
            found.seen(format!("{DEVICES}/{}", gpu.address), format!("[{}]", gpu.id))
        });
    }
    if context.nvml() && !context.snapshot.gpus.is_empty() {
        return Found::pass("NVML knows GPUs that are not on a PCI bus (WSL, Tegra)");
    }
    match context.file(DEVICES).map(|file| &file.names) {
        Some(Ok(_)) => {}
        Some(Err(absence)) => return Found::skip(format!("{DEVICES} could not be read ({absence})")),
        None => return Found::skip("the devices of the PCI bus are not in this stream"),
    }
    let loaded = context.module_version();
    let summary = loaded.map_or_else(
        || "No NVIDIA GPU is on the PCI bus".to_owned(),
        |version| {
            format!("No NVIDIA GPU is on the PCI bus, and the nvidia module {version} is loaded: it fell off")
        },
    );
    Found::fail(summary)
        .seen(DEVICES, "no device of vendor 0x10de with a display class (0x03)")
        .advise(
            "If the machine has one: reseat it, check its power cables and the firmware's settings (above 4G decoding). \
             In a virtual machine, pass it through.",
        )
        .fix("lspci -nn -d 10de:")
        .fix("echo 1 | sudo tee /sys/bus/pci/rescan")
}

fn link(context: &Context<'_>) -> Found {
    let degraded: Vec<_> =
        context.verdicts.iter().filter(|verdict| verdict.rule == "pcie_link_degraded").collect();
    if !degraded.is_empty() {
        let found = Found::warn(listed(degraded.iter().map(|verdict| &verdict.summary)))
            .advise_each(degraded.iter().map(|verdict| (context.about(verdict), &*verdict.advice)));
        return degraded
            .iter()
            .fold(found, |found, verdict| {
                found.seen(context.place(verdict, "NVML"), verdict.evidence.clone())
            })
            .fix("sudo lspci -vv -d 10de: | grep -E 'LnkCap|LnkSta'");
    }
    let known: Vec<&PciDevice> = context.gpus().iter().filter(|gpu| gpu.link_width.is_ok()).collect();
    if known.is_empty() {
        return Found::skip("the kernel tells no link of the GPUs (asleep, or a virtual machine)");
    }
    // A GPU that idles has its speed shifted down, and its width never: but a slot may simply have fewer lanes.
    let found = Found::pass("no link is below its maximum under load, or narrower than its siblings");
    known.iter().fold(found, |found, gpu| {
        let speed = |reading: &crate::model::Reading<u32>| {
            reading.as_ref().map_or_else(
                |absence| absence.label().to_owned(),
                |tenths| format!("{}.{} GT/s", tenths / 10, tenths % 10),
            )
        };
        let width = |reading: &crate::model::Reading<u32>| {
            reading.as_ref().map_or_else(|absence| absence.label().to_owned(), |width| format!("x{width}"))
        };
        found.seen(
            format!("{DEVICES}/{}/current_link_speed, current_link_width", gpu.address),
            format!(
                "{} {}, at most {} {}",
                speed(&gpu.link_speed),
                width(&gpu.link_width),
                speed(&gpu.max_link_speed),
                width(&gpu.max_link_width)
            ),
        )
    })
}

fn bound(context: &Context<'_>) -> Found {
    if context.gpus().is_empty() {
        return Found::skip("the GPUs here are not on a PCI bus");
    }
    let mut by_driver: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for gpu in context.gpus() {
        by_driver.entry(gpu.driver.as_deref()).or_default().push(&gpu.address);
    }
    let seen = |found: Found| {
        context.gpus().iter().fold(found, |found, gpu| {
            let driver = gpu.driver.as_deref().unwrap_or("no driver");
            found.seen(format!("{DEVICES}/{}/driver", gpu.address), driver)
        })
    };
    if let Some(addresses) = by_driver.get(&Some("nouveau")) {
        return nouveau(context, seen(Found::fail(format!("{} bound to nouveau", listed(addresses)))));
    }
    if let Some(addresses) = by_driver.get(&None) {
        let found = seen(Found::fail(format!("{} bound to no driver", listed(addresses))));
        return if context.module_version().is_some() {
            found
                .advise("The nvidia module is loaded and does not serve it: the kernel log says why (NVRM).")
                .fix("sudo dmesg | grep -i nvrm")
        } else {
            // One cause, one failure: the layer above says why it is not loaded.
            Found { outcome: Outcome::Skipped, ..found.advise("The nvidia module is not loaded: see there.") }
        };
    }
    let passed = by_driver.get(&Some("vfio-pci")).map_or(0, Vec::len);
    let other = by_driver.keys().flatten().find(|driver| !matches!(**driver, "nvidia" | "vfio-pci"));
    if let Some(other) = other {
        return seen(Found::warn(format!("a GPU is bound to {other}, and not to nvidia")));
    }
    let ours = by_driver.get(&Some("nvidia")).map_or(0, Vec::len);
    seen(Found::pass(match (ours, passed) {
        (ours, 0) => format!("nvidia serves {}", counted(ours, "GPU")),
        (0, passed) => format!("{} passed through to virtual machines (vfio-pci)", counted(passed, "GPU")),
        (ours, passed) => {
            format!("nvidia serves {}, {passed} passed through (vfio-pci)", counted(ours, "GPU"))
        }
    }))
}

/// The open driver of the kernel took the GPU first.
fn nouveau(context: &Context<'_>, found: Found) -> Found {
    let found = match context.module("nouveau") {
        Some(line) => found.line("/proc/modules", line),
        None => found,
    };
    let blacklisted = context.below("/etc/modprobe.d/").find_map(|file| {
        let lines = file.lines.as_ref().ok()?;
        let line = lines.iter().find(|(_, line)| line.trim().starts_with("blacklist nouveau"))?;
        Some((&*file.path, line))
    });
    let found = match blacklisted {
        Some((path, line)) => found
            .line(path, line)
            .advise("It is blacklisted, and was loaded all the same: from an initramfs made before that."),
        None => found.fix(
            "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf",
        ),
    };
    found.fix("sudo dracut --force   # Debian, Ubuntu: sudo update-initramfs -u").fix("sudo systemctl reboot")
}

fn groups(context: &Context<'_>) -> Found {
    let passed: Vec<&str> = context.bound_to("vfio-pci").map(|gpu| &*gpu.address).collect();
    let Some(Ok(all)) = context.file(GROUPS).map(|file| &file.names) else {
        return Found::skip(format!("{GROUPS} could not be read"));
    };
    if all.is_empty() {
        if passed.is_empty() {
            return Found::skip("the IOMMU is off, which only passthrough needs");
        }
        return Found::fail(format!("{} bound to vfio-pci, and the IOMMU is off", listed(&passed)))
            .seen(GROUPS, "empty")
            .lines("/proc/cmdline", context.lines("/proc/cmdline"))
            .advise("Turn on VT-d or AMD-Vi in the firmware, and the IOMMU on the kernel's command line.")
            .fix("sudo grubby --update-kernel=ALL --args='intel_iommu=on iommu=pt'   # AMD: iommu=pt");
    }
    for address in &passed {
        if let Some(found) = not_viable(context, address) {
            return found;
        }
    }
    let mut found = Found::pass(match passed.len() {
        0 => "no GPU is passed through; whoever shares a group with one would have to go along".to_owned(),
        count => format!("every group of the {} passed through is whole", counted(count, "GPU")),
    });
    for gpu in context.gpus() {
        let Some(group) = group_of(context, &gpu.address) else { continue };
        let members = context.names(&format!("{GROUPS}/{group}/devices"));
        found = found.seen(
            format!("{GROUPS}/{group}/devices"),
            format!(
                "{} with {}",
                gpu.address,
                listed(members.iter().filter(|member| **member != gpu.address))
            ),
        );
    }
    found
}

fn group_of<'a>(context: &Context<'a>, address: &str) -> Option<&'a str> {
    context.link(&format!("{DEVICES}/{address}/iommu_group"))?.rsplit('/').next()
}

/// A group goes to a virtual machine as a whole: each member is bound to a VFIO driver or to none, bridges aside
/// (`vfio_dev_viable` in the kernel's drivers/vfio/group.c).
fn not_viable(context: &Context<'_>, address: &str) -> Option<Found> {
    let group = group_of(context, address)?;
    let directory = format!("{GROUPS}/{group}/devices");
    let others: Vec<(&str, &str)> = context
        .names(&directory)
        .iter()
        .filter(|member| {
            let class = context.value(&format!("{DEVICES}/{member}/class")).unwrap_or_default();
            !class.starts_with("0x0604")
        })
        .filter_map(|member| {
            let driver = context.link(&format!("{DEVICES}/{member}/driver"))?.rsplit('/').next()?;
            let viable = driver.starts_with("vfio") || driver == "pci-stub";
            (!viable).then_some((&**member, driver))
        })
        .collect();
    let (first, driver) = others.first()?;
    let mut found = Found::fail(format!(
        "IOMMU group {group} of {address} is not whole: {first} is still bound to {driver}"
    ));
    for (member, driver) in &others {
        found = found.seen(format!("{DEVICES}/{member}/driver"), *driver);
    }
    found = found.seen(directory, listed(context.names(&format!("{GROUPS}/{group}/devices"))));
    let (own, foreign): (Vec<&str>, Vec<&str>) =
        others.iter().map(|(member, _)| *member).partition(|member| slot(member) == slot(address));
    for member in own {
        found = found.fix(format!(
            "echo vfio-pci | sudo tee {DEVICES}/{member}/driver_override && echo {member} | sudo tee \
             {DEVICES}/{member}/driver/unbind && echo {member} | sudo tee /sys/bus/pci/drivers_probe"
        ));
    }
    if foreign.is_empty() {
        return Some(found);
    }
    // The host works with these: to unbind its disk or its network card takes it down.
    let named = listed(foreign.iter().map(|member| format!("{} ({member})", kind(context, member))));
    let found = found.advise(format!(
        "The group holds more than the GPU: {named}. The host would lose what is handed over. Put the GPU into \
         another slot, or turn on ACS (access control services) in the firmware, which makes smaller groups."
    ));
    Some(foreign.iter().fold(found, |found, member| {
        found.fix(format!("lspci -nnk -s {member}   # what it is, and what uses it"))
    }))
}

/// An address without its function: what sits on one card has it in common.
fn slot(address: &str) -> &str {
    address.rsplit_once('.').map_or(address, |(slot, _)| slot)
}

/// What a device is, by its class (PCI Code and ID Assignment Specification, chapter 1).
fn kind(context: &Context<'_>, member: &str) -> String {
    let class = context.value(&format!("{DEVICES}/{member}/class")).unwrap_or_default();
    let known = match class.get(..4) {
        Some("0x01") => "a disk or its controller",
        Some("0x02") => "a network card",
        Some("0x03") => "another display controller",
        Some("0x04") => "a sound card",
        Some("0x06") => "a bridge",
        Some("0x0c") if class.starts_with("0x0c03") => "a USB controller",
        Some("0x12") => "an accelerator",
        _ if class.is_empty() => "a device whose class could not be read",
        _ => return format!("a device of class {class}"),
    };
    known.to_owned()
}
