//! The kernel module: loaded, built for the running kernel, and allowed to be loaded.

use super::context::{Lines, listed};
use super::{Check, Context, Found, Layer, Need};
use std::sync::Arc;

const KMSG: &str = "/dev/kmsg";
const DKMS: &str = "/var/lib/dkms/";
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

fn loaded(context: &Context<'_>) -> Found {
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
    if !context.in_container() && context.kernel().is_some() && on_disk(context).is_none() {
        return Found::skip("it is not loaded: there is none for the running kernel, see the next check");
    }
    if refusals(context.lines(KMSG)).next().is_some() {
        return Found::skip("it is not loaded: the kernel refused it, see its signature");
    }
    let found = Found::fail("the nvidia module is not loaded").seen("/sys/module/nvidia", "not there");
    found.fix("sudo modprobe nvidia").fix("sudo dmesg | grep -iE 'nvidia|nvrm' | tail")
}

/// Lines of `modules.dep` that name the module itself.
fn on_disk<'a>(context: &Context<'a>) -> Option<(String, &'a Lines)> {
    let path = format!("/lib/modules/{}/modules.dep", context.kernel()?);
    let lines = context.lines(&path);
    let named = lines.iter().any(|(_, line)| {
        let file = line.split(':').next().unwrap_or_default();
        file.rsplit('/').next().is_some_and(|name| name.starts_with("nvidia.ko"))
    });
    named.then_some((path, lines))
}

fn built(context: &Context<'_>) -> Found {
    if context.bound_to("nouveau").next().is_some() && context.module_version().is_none() {
        return Found::skip("nouveau has the GPU: first things first");
    }
    let Some(kernel) = context.kernel() else {
        return Found::skip("the running kernel's release could not be read");
    };
    let dkms = dkms(context);
    let installed = dkms.iter().find(|entry| entry.installed_for(kernel));
    if let Some((path, lines)) = on_disk(context) {
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
        return Found::pass(format!("nvidia.ko is there for {kernel}")).lines(&path, lines);
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
            let others: Vec<String> = known.iter().flat_map(|entry| entry.kernels.clone()).collect();
            let built =
                if others.is_empty() { "for no kernel".into() } else { format!("for {}", listed(&others)) };
            let version = known.first().map(|entry| entry.version.clone()).unwrap_or_default();
            let mut found = Found::fail(format!(
                "DKMS has nvidia {version} {built}, not for the running kernel {kernel}"
            ));
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

/// A module of one version in DKMS.
struct Dkms<'a> {
    directory: String,
    version: String,
    /// Kernels for which it was built.
    kernels: Vec<String>,
    /// The link that says it is installed, and for which kernel.
    link: Option<String>,
    log: String,
    errors: &'a Lines,
}

impl Dkms<'_> {
    fn installed_for(&self, kernel: &str) -> bool {
        let name = self.link.as_deref().and_then(|link| link.rsplit('/').next()).unwrap_or_default();
        name.strip_prefix("kernel-")
            .is_some_and(|rest| rest.strip_prefix(kernel).is_some_and(|arch| arch.starts_with('-')))
    }
}

/// What DKMS has of the driver; its other modules (nvidia-fs, nvidia-peermem) are not it.
fn dkms<'a>(context: &Context<'a>) -> Vec<Dkms<'a>> {
    let kernel = context.kernel().unwrap_or_default();
    let modules = context.names("/var/lib/dkms").iter().filter(|name| {
        ["nvidia", "nvidia-open", "nvidia-current", "nvidia-current-open", "nvidia-srv", "nvidia-srv-open"]
            .contains(&&***name)
    });
    let mut found = Vec::new();
    for module in modules {
        let directory = format!("{DKMS}{module}");
        let names = context.names(&directory);
        for version in names.iter().filter(|name| !name.starts_with("kernel-")) {
            let own = format!("{directory}/{version}");
            let target = format!("{version}/");
            let links = names.iter().filter(|name| name.starts_with("kernel-")).filter(|name| {
                let link = context.link(&format!("{directory}/{name}"));
                link.is_some_and(|link| link.starts_with(&target))
            });
            let links: Vec<String> = links.map(|name| format!("{directory}/{name}")).collect();
            let current = links.iter().find(|link| link.contains(kernel)).or_else(|| links.first()).cloned();
            let log = format!("{own}/build/make.log");
            let kernels = context.names(&own).iter().filter(|name| !matches!(&***name, "build" | "source"));
            found.push(Dkms {
                version: version.to_string(),
                kernels: kernels.map(ToString::to_string).collect(),
                link: current,
                errors: context.lines(&log),
                log,
                directory: own,
            });
        }
    }
    found
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

fn signature(context: &Context<'_>) -> Found {
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
    if !refused.is_empty() {
        return enroll(describe(Found::fail("the kernel refused the nvidia module")).lines(KMSG, refused));
    }
    if context.bound_to("nouveau").next().is_some() {
        return Found::skip("nouveau has the GPU: nvidia was not tried");
    }
    if (secure == Some(true) || enforced) && on_disk(context).is_some() {
        return enroll(describe(Found::warn(format!(
            "{state}, and the module is on disk and not loaded: it may not be signed with a key that is enrolled"
        ))))
        .fix("sudo mokutil --list-enrolled | grep Subject");
    }
    describe(Found::pass(format!("{state}, and no module was refused")))
}
