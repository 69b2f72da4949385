//! The kernel module: loaded, built for the running kernel, and allowed to be loaded.

use super::context::{Lines, listed};
use super::on_disk::{available, dkms, on_disk};
use super::{Check, Context, Found, Layer, Need};
use std::sync::Arc;

const KMSG: &str = "/dev/kmsg";
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "module_loaded",
        layer: Layer::Module,
        title: "kernel module loaded",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
        run: loaded,
    },
    Check {
        id: "module_built",
        layer: Layer::Module,
        title: "module for the running kernel",
        needs: &[Need::Files, Need::Gpu, Need::Ours, Need::Host],
        symptom: "The driver is gone after a kernel update: modprobe: FATAL: Module nvidia not found",
        run: built,
    },
    Check {
        id: "module_signature",
        layer: Layer::Module,
        title: "Secure Boot and signature",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
        run: signature,
    },
];

/// Where NVML answers and no GPU is on a PCI bus (WSL, Tegra), another module than nvidia.ko serves them.
const NOT_ON_A_BUS: &str = "the GPUs here are not on a PCI bus: another module serves them";

fn off_the_bus(context: &Context<'_>) -> bool {
    context.nvml() && context.gpus().is_empty()
}

fn loaded(context: &Context<'_>) -> Found {
    if off_the_bus(context) {
        return Found::skip(NOT_ON_A_BUS);
    }
    if let Some(version) = context.module_version() {
        let text = context.lines("/proc/driver/nvidia/version");
        let open = text.first().is_some_and(|(_, line)| line.contains("Open Kernel Module"));
        let kind = if open { " (open)" } else { "" };
        let found = Found::pass(format!("nvidia {version}{kind} is loaded"))
            .seen("/sys/module/nvidia/version", version)
            .lines("/proc/driver/nvidia/version", text);
        return match context.pending() {
            Some(path) => Found::warn(format!("nvidia {version} is loaded, and {path} does not answer"))
                .seen(path, "no answer yet")
                .advise(
                    "The driver holds a lock that does not come free: see the events for Xid 45, 79 or 119.",
                ),
            None => found,
        };
    }
    if context.bound_to("nouveau").next().is_some() {
        return Found::skip("nouveau has the GPU, and nvidia cannot be loaded beside it");
    }
    // One cause, one failure.
    if !context.in_container() && context.kernel().is_some_and(|kernel| !available(context, kernel)) {
        return Found::skip("it is not loaded: there is none for the running kernel, see the next check");
    }
    if refusals(context.lines(KMSG)).any(names_nvidia) {
        return Found::skip("it is not loaded: the kernel refused it, see its signature");
    }
    let found = Found::fail("the nvidia module is not loaded").seen("/sys/module/nvidia", "not there");
    found.fix("sudo modprobe nvidia").fix("sudo dmesg | grep -iE 'nvidia|nvrm' | tail")
}

fn built(context: &Context<'_>) -> Found {
    if off_the_bus(context) {
        return Found::skip(NOT_ON_A_BUS);
    }
    if context.bound_to("nouveau").next().is_some() && context.module_version().is_none() {
        return Found::skip("nouveau has the GPU: first things first");
    }
    let Some(kernel) = context.kernel() else {
        return Found::skip("the running kernel's release could not be read");
    };
    let dkms = dkms(context);
    let installed = dkms.iter().find(|entry| entry.installed_for(kernel));
    let on_disk = on_disk(context);
    if on_disk.is_some() || installed.is_some() {
        // What is on disk is loaded at the next boot; the loaded one stays until then.
        let behind =
            installed.zip(context.module_version()).filter(|(entry, loaded)| entry.version != *loaded);
        if let Some((entry, loaded)) = behind {
            return Found::warn(format!(
                "nvidia {} is installed for this kernel, and {loaded} is still loaded",
                entry.version
            ))
            .seen(entry.link.clone().unwrap_or_default(), entry.version.clone())
            .seen("/sys/module/nvidia/version", loaded)
            .advise("The driver was upgraded under a loaded module: programs started from now on fail until it is reloaded.")
            .fix("sudo systemctl reboot");
        }
        let found = Found::pass(format!("the module is there for {kernel}"));
        let found = match installed.and_then(|entry| entry.link.clone()) {
            Some(link) => found.seen(link, "installed by DKMS"),
            None => found,
        };
        return match on_disk {
            Some((path, lines)) => found.lines(&path, lines),
            None => found,
        };
    }
    let mut found = match (dkms.as_slice(), context.module_version()) {
        // A module that runs was found somewhere; it may not be found again.
        ([], Some(version)) => {
            return Found::pass(format!(
                "nvidia {version} runs, and this kernel's list of modules could not tell where from"
            ));
        }
        ([], None) => Found::fail(format!("there is no nvidia module for the running kernel {kernel}"))
            .seen(format!("/lib/modules/{kernel}/modules.dep"), "no nvidia.ko")
            .advise("Install the driver of your distribution, or NVIDIA's."),
        (known, _) => {
            let all = known.iter().flat_map(|entry| &entry.kernels);
            let others: Vec<&String> = all.clone().filter(|other| *other != kernel).collect();
            let built =
                if others.is_empty() { "for no kernel".into() } else { format!("for {}", listed(others)) };
            let version = known.first().map(|entry| entry.version.clone()).unwrap_or_default();
            let mut found = Found::fail(if all.into_iter().any(|own| own == kernel) {
                format!("DKMS built nvidia {version} for the running kernel {kernel}, and did not install it")
            } else {
                format!("DKMS has nvidia {version} {built}, not for the running kernel {kernel}")
            });
            for entry in known {
                found = found.seen(entry.directory.clone(), built.clone()).lines(&entry.log, entry.errors);
            }
            found
        }
    };
    if !context.exists(&format!("/lib/modules/{kernel}/build")) {
        found = found.seen(format!("/lib/modules/{kernel}/build"), "not there: the kernel's headers are missing").fix(
            "sudo dnf install kernel-devel-$(uname -r)   # Debian, Ubuntu: sudo apt install linux-headers-$(uname -r)",
        );
    }
    if !dkms.is_empty() {
        found = found.fix("sudo dkms autoinstall -k $(uname -r)");
    }
    found.fix("sudo modprobe nvidia")
}

/// Lines by which the kernel refused a module.
pub(super) fn refusals(lines: &Lines) -> impl Iterator<Item = &(u32, Arc<str>)> {
    const WORDS: [&str; 5] = [
        "key was rejected",
        "required key not available",
        "unsigned module",
        "disagrees about version",
        "version magic",
    ];
    lines.iter().filter(|(_, line)| {
        let line = line.to_ascii_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    })
}

/// Whether a line says that it is about the driver: the kernel often leaves out which module it refused.
fn names_nvidia((_, line): &(u32, Arc<str>)) -> bool {
    line.to_ascii_lowercase().contains("nvidia")
}

fn signature(context: &Context<'_>) -> Found {
    if off_the_bus(context) {
        return Found::skip(NOT_ON_A_BUS);
    }
    // Four bytes of attributes, then the value.
    let secure = context.value(SECURE_BOOT).map(|hex| hex.ends_with("01"));
    let lockdown = context.value("/sys/kernel/security/lockdown").unwrap_or_default();
    let enforced = context.value("/sys/module/module/parameters/sig_enforce") == Some("Y");
    let state = match secure {
        Some(true) => "Secure Boot is on",
        Some(false) => "Secure Boot is off",
        None => "no Secure Boot here",
    };
    let describe = |found: Found| {
        let found = match secure {
            Some(on) => found.seen(SECURE_BOOT, if on { "on" } else { "off" }),
            None => found,
        };
        let found =
            if lockdown.is_empty() { found } else { found.seen("/sys/kernel/security/lockdown", lockdown) };
        if enforced { found.seen("/sys/module/module/parameters/sig_enforce", "Y") } else { found }
    };
    if context.module_version().is_some() {
        return describe(Found::pass(format!("{state}, and the module was accepted")));
    }
    let refused: Vec<&(u32, Arc<str>)> = refusals(context.lines(KMSG)).collect();
    let enroll = |found: Found| {
        found
            .advise("Enroll the key with which DKMS signs (the firmware asks for it at the next boot), or install signed modules.")
            .fix("sudo mokutil --import /var/lib/dkms/mok.pub   # Ubuntu: /var/lib/shim-signed/mok/MOK.der")
            .fix("sudo systemctl reboot")
    };
    if refused.iter().any(|line| names_nvidia(line)) {
        return enroll(describe(Found::fail("the kernel refused the nvidia module")).lines(KMSG, refused));
    }
    if !refused.is_empty() {
        let found = Found::warn("the kernel refused a module and does not say which: it may be nvidia's");
        return enroll(describe(found).lines(KMSG, refused));
    }
    if context.bound_to("nouveau").next().is_some() {
        return Found::skip("nouveau has the GPU: nvidia was not tried");
    }
    let available = context.kernel().is_some_and(|kernel| available(context, kernel));
    if (secure == Some(true) || enforced) && available {
        return enroll(describe(Found::warn(format!(
            "{state}, and the module is on disk and not loaded: it may not be signed with a key that is enrolled"
        ))))
        .fix("sudo mokutil --list-enrolled | grep Subject");
    }
    describe(Found::pass(format!("{state}, and no module was refused")))
}
