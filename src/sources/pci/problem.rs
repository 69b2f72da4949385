//! Why there are no GPUs from NVML, in words.

use crate::model::nvml_code::code_words;
use crate::model::{Absence, PciDevice, Reading};
use crate::sources::nvml::OpenError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why NVML gives no GPUs, as a sentence that says what was found and what to do; `None` when nothing is wrong.
///
/// `devices` are the NVIDIA GPUs on the bus, `module` the version of the loaded kernel module, `library_error` what
/// loading or initialising the driver library answered (`None` where that went well).
#[must_use]
pub fn no_driver_explanation(
    devices: &[PciDevice],
    module: &Reading<Arc<str>>,
    library_error: Option<&OpenError>,
) -> Option<String> {
    let loaded = module.as_ref().ok();
    let by_nvidia = devices.iter().any(|device| device.driver.as_deref() == Some("nvidia"));
    match (devices.is_empty(), library_error) {
        // Without a PCI bus of its own (WSL, Tegra) NVML still answers.
        (true, None) => None,
        (true, Some(error)) => Some(no_device(module, error)),
        (false, None) if by_nvidia => None,
        (false, Some(error)) if by_nvidia => Some(library_problem(loaded.map(AsRef::as_ref), error)),
        (false, _) => Some(format!("{} on the PCI bus: {}", found(devices), binding(devices, loaded))),
    }
}

fn no_device(module: &Reading<Arc<str>>, error: &OpenError) -> String {
    let error = answer(error);
    match module {
        Ok(version) => format!(
            "The nvidia kernel module {version} is loaded, and no NVIDIA GPU is on the PCI bus: if there was one, it \
             fell off the bus (see the kernel log); reboot, then check seating and power. The driver library says: \
             {error}"
        ),
        Err(Absence::NotSupported) => "No NVIDIA GPU on the PCI bus, and no nvidia kernel module loaded: if this \
             machine has one, check its seating, its power and the firmware settings; in a virtual machine, pass \
             the GPU through to it."
            .to_owned(),
        Err(absence) => format!(
            "No NVIDIA GPU on the PCI bus, and whether the nvidia kernel module is loaded could not be read \
             ({absence}). The driver library says: {error}"
        ),
    }
}

/// `2 NVIDIA GPUs (0000:01:00.0, 0000:41:00.0)`
fn found(devices: &[PciDevice]) -> String {
    // Sixteen addresses would push what to do off the screen.
    const NAMED: usize = 4;
    let mut names: Vec<&str> = devices.iter().take(NAMED).map(|device| device.address.as_ref()).collect();
    if devices.len() > NAMED {
        names.push("…");
    }
    let (verb, plural) = if devices.len() == 1 { ("is", "") } else { ("are", "s") };
    format!("{} NVIDIA GPU{plural} ({}) {verb}", devices.len(), names.join(", "))
}

/// What is bound to the devices in the nvidia driver's place, and what to do about it.
fn binding(devices: &[PciDevice], loaded: Option<&Arc<str>>) -> String {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for device in devices {
        *counts.entry(device.driver.as_deref()).or_default() += 1;
    }
    let of = |count: usize| if devices.len() == 1 { String::new() } else { format!("{count} of them ") };
    let said = counts.into_iter().map(|(driver, count)| match (driver, loaded) {
        (Some("nouveau"), _) => format!(
            "{}bound to the open driver nouveau, which NVML does not know; install NVIDIA's driver, blacklist this one and \
             reboot",
            of(count)
        ),
        (Some("vfio-pci"), _) => {
            format!("{}bound to vfio-pci, to be used inside a virtual machine: look there", of(count))
        }
        (Some(other), _) => format!("{}bound to the driver {other} and not to nvidia", of(count)),
        (None, Some(version)) => format!(
            "{}bound to no driver, although the nvidia module {version} is loaded; the kernel log says why it was \
             refused (search for NVRM)",
            of(count)
        ),
        (None, None) => format!(
            "{}bound to no driver, and the nvidia kernel module is not loaded; try `modprobe nvidia`, and see the \
             kernel log (not built for this kernel, or refused by Secure Boot)",
            of(count)
        ),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// The GPUs have their driver, and the library does not work with it.
fn library_problem(loaded: Option<&str>, error: &OpenError) -> String {
    let version = loaded.unwrap_or("of unknown version");
    let said = answer(error);
    match error {
        OpenError::LibraryMismatch => format!(
            "The driver library does not match the loaded kernel module {version}: the driver was upgraded and the \
             old module is still loaded; stop what uses the GPUs and reload the module, or reboot. NVML says {said}."
        ),
        OpenError::NoPermission => format!(
            "The nvidia kernel module {version} serves the GPUs, and this user may not open them: check the modes of \
             /dev/nvidiactl and /dev/nvidia0, or the container's device rules. NVML says {said}."
        ),
        // The module is there: what the library misses is its device file.
        OpenError::DriverNotLoaded => format!(
            "The nvidia kernel module {version} serves the GPUs, and the driver library cannot reach it: /dev/nvidiactl \
             is missing or closed to this process (run `nvidia-modprobe -c 0 -u`; in a container, give it the GPUs). \
             NVML says {said}."
        ),
        OpenError::NoLibrary => format!(
            "The nvidia kernel module {version} serves the GPUs, and the driver library libnvidia-ml.so.1 was not \
             found: install the driver's user-space package of the same version, name the file with --nvml-lib, or in \
             a container start it with the NVIDIA container toolkit (capability \"utility\")."
        ),
        // Their own words say what to do.
        OpenError::NotALibrary { .. } | OpenError::Unknown | OpenError::Other { .. } => {
            format!(
                "The nvidia kernel module {version} serves the GPUs, and the driver library fails: {error}"
            )
        }
    }
}

/// What the library answered, without the advice that [`OpenError`] gives where nothing is known of the module.
fn answer(error: &OpenError) -> String {
    match error {
        OpenError::NoLibrary => "libnvidia-ml.so.1 was not found".to_owned(),
        OpenError::Other { code: 0, name } => name.clone(),
        other => other.code().map_or_else(|| other.to_string(), code_words),
    }
}
