//! Modules on disk: what modprobe would find for the running kernel, and what DKMS built.

use super::Context;
use super::context::Lines;

const DKMS: &str = "/var/lib/dkms/";

/// Whether modprobe would find the module for that kernel, as far as `modules.dep` or DKMS tells.
pub(super) fn available(context: &Context<'_>, kernel: &str) -> bool {
    on_disk(context).is_some() || dkms(context).iter().any(|entry| entry.installed_for(kernel))
}

/// Whether a file is the driver's main module: `nvidia.ko`, or as Debian names it `nvidia-current.ko`,
/// `nvidia-tesla-470.ko`, `nvidia-legacy-390xx.ko`; compressed or not.
fn is_main_module(file: &str) -> bool {
    let Some((name, _)) = file.split_once(".ko") else { return false };
    let Some(variant) = name.strip_prefix("nvidia") else { return false };
    let of_debian = ["-current", "-tesla", "-legacy"].iter().any(|known| variant.starts_with(known));
    let part =
        ["-uvm", "-drm", "-modeset", "-peermem", "-vgpu-vfio"].iter().any(|part| variant.ends_with(part));
    variant.is_empty() || of_debian && !part
}

/// Lines of `modules.dep` that name the module itself.
pub(super) fn on_disk<'a>(context: &Context<'a>) -> Option<(String, &'a Lines)> {
    let path = format!("/lib/modules/{}/modules.dep", context.kernel()?);
    let lines = context.lines(&path);
    let named = lines.iter().any(|(_, line)| {
        let file = line.split(':').next().unwrap_or_default();
        file.rsplit('/').next().is_some_and(is_main_module)
    });
    named.then_some((path, lines))
}

/// A module of one version in DKMS.
pub(super) struct Dkms<'a> {
    pub(super) directory: String,
    pub(super) version: String,
    /// Kernels for which it was built.
    pub(super) kernels: Vec<String>,
    /// The link that says it is installed, and for which kernel.
    pub(super) link: Option<String>,
    pub(super) log: String,
    pub(super) errors: &'a Lines,
}

impl Dkms<'_> {
    pub(super) fn installed_for(&self, kernel: &str) -> bool {
        let name = self.link.as_deref().and_then(|link| link.rsplit('/').next()).unwrap_or_default();
        name.strip_prefix("kernel-")
            .is_some_and(|rest| rest.strip_prefix(kernel).is_some_and(|arch| arch.starts_with('-')))
    }
}

/// What DKMS has of the driver; its other modules (nvidia-fs, nvidia-peermem) are not it.
pub(super) fn dkms<'a>(context: &Context<'a>) -> Vec<Dkms<'a>> {
    let kernel = context.kernel().unwrap_or_default();
    let modules = context.names("/var/lib/dkms").iter().filter(|name| {
        ["nvidia", "nvidia-open", "nvidia-current", "nvidia-current-open", "nvidia-srv", "nvidia-srv-open"]
            .contains(&&***name)
    });
    let mut found = Vec::new();
    for module in modules {
        let directory = format!("{DKMS}{module}");
        let names = context.names(&directory);
        // A stream of another kgtop may have kept what a distribution's module was before DKMS replaced it.
        let versions =
            names.iter().filter(|name| !name.starts_with("kernel-") && &***name != "original_module");
        for version in versions {
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

#[cfg(test)]
mod tests {
    use super::is_main_module;

    #[test]
    fn the_main_module_in_every_spelling_and_none_of_its_parts() {
        for name in [
            "nvidia.ko",
            "nvidia.ko.zst",
            "nvidia-current.ko",
            "nvidia-current.ko.xz",
            "nvidia-current-open.ko.gz",
            "nvidia-tesla-470.ko",
        ] {
            assert!(is_main_module(name), "{name}");
        }
        for name in [
            "nvidia-uvm.ko",
            "nvidia-current-uvm.ko",
            "nvidia-current-drm.ko.xz",
            "nvidiafb.ko",
            "nvidia-wmi-ec-backlight.ko",
        ] {
            assert!(!is_main_module(name), "{name}");
        }
    }
}
