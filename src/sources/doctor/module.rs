//! Kernel modules: which are loaded, which are on disk for the running kernel, what DKMS built, what Secure Boot
//! allows, what modprobe is told.

use super::gather::{Gather, is_comment, speaks_of};

/// Where modprobe looks, the strongest first (modprobe.d(5)).
const MODPROBE: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];
/// Modules that matter here, as `/proc/modules` begins its lines.
const MODULES: [&str; 5] = ["nvidia", "nouveau", "nova", "vfio", "gdrdrv"];
const DKMS: &str = "/var/lib/dkms";
/// Variable of the firmware: 4 bytes of attributes, then 1 for on.
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

pub(super) fn read(gather: &mut Gather<'_>) {
    gather.lines("/proc/modules", |line| MODULES.iter().any(|module| line.starts_with(module)));
    for file in ["version", "taint"] {
        gather.text(&format!("/sys/module/nvidia/{file}"));
    }
    gather.text("/proc/sys/kernel/osrelease");
    on_disk(gather);
    dkms(gather);
    gather.bytes(SECURE_BOOT, 5);
    gather.text("/sys/kernel/security/lockdown");
    gather.text("/sys/module/module/parameters/sig_enforce");
    for directory in MODPROBE {
        for name in gather.names(directory, |name| name.ends_with(".conf")) {
            gather.lines(&format!("{directory}/{name}"), |line| {
                !is_comment(line) && speaks_of(line, &["nvidia", "nouveau", "vfio"])
            });
        }
    }
}

/// The nvidia modules that modprobe would find for the running kernel.
fn on_disk(gather: &mut Gather<'_>) {
    let Ok(kernel) = gather.root.read_value("/proc/sys/kernel/osrelease") else { return };
    gather.lines(&format!("/lib/modules/{kernel}/modules.dep"), |line| {
        let file = line.split(':').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        // Debian puts the variant into the name: nvidia-current.ko.
        file.starts_with("nvidia.ko") || file.starts_with("nvidia-")
    });
    // Headers are what a build for this kernel needs.
    gather.exists(&format!("/lib/modules/{kernel}/build"));
}

/// DKMS keeps a directory for each module and version, and beside them a link for each kernel into which one is
/// installed (`kernel-6.8.0-79-generic-x86_64`).
fn dkms(gather: &mut Gather<'_>) {
    for module in gather.names(DKMS, |name| name.starts_with("nvidia")) {
        let directory = format!("{DKMS}/{module}");
        // What a distribution's module was before DKMS replaced it is no version.
        for name in gather.names(&directory, |name| name != "original_module") {
            if name.starts_with("kernel-") {
                gather.link(&format!("{directory}/{name}"));
                continue;
            }
            // The kernels for which this version was built, and the log of a build that failed.
            gather.names(&format!("{directory}/{name}"), |name| name != "source");
            gather.lines(&format!("{directory}/{name}/build/make.log"), |line| {
                speaks_of(line, &["error", "bad exit status", "unable to find the kernel source"])
            });
        }
    }
}
