//! The driver's library, and whether it is of the module's version.

use super::version::of_library;
use super::{Check, Context, Found, Layer, Need};
use crate::analysis::kernel_log::Kind;
use crate::model::{Absence, HostFile};

pub(super) const CHECKS: &[Check] = &[Check {
    id: "library_version",
    layer: Layer::Library,
    title: "library of the module's version",
    needs: &[Need::Gpu, Need::Ours],
    symptom: "Failed to initialize NVML: Driver/library version mismatch",
    run: library,
}];

/// The library on disk, by where `libnvidia-ml.so.1` points: file and version. Only the first directory of this
/// machine's architecture counts: another one is for other programs.
fn installed(context: &Context<'_>) -> Option<(String, String)> {
    let arm = |path: &str| context.lines(path).iter().any(|(_, line)| line.contains("aarch64"));
    let other = if arm("/proc/driver/nvidia/version") || arm("/proc/sys/kernel/osrelease") {
        "/x86_64-linux-gnu"
    } else {
        "/aarch64-linux-gnu"
    };
    let mut files: Vec<&HostFile> = context
        .below("/")
        .filter(|file| file.path.ends_with("/libnvidia-ml.so.1") && !file.path.contains(other))
        .collect();
    // The directory of 32-bit programs where there is another one (RHEL), and that of all where there is none (Arch).
    files.sort_by_key(|file| file.path.starts_with("/usr/lib/libnvidia"));
    files.into_iter().find_map(|file| {
        let link = file.link.as_deref().ok()?;
        Some((file.path.to_string(), of_library(link)?.to_owned()))
    })
}

/// Modules that hold the driver's, those first that nothing else holds.
const HOLDING: [&str; 6] =
    ["nvidia_peermem", "nvidia_fs", "gdrdrv", "nvidia_uvm", "nvidia_drm", "nvidia_modeset"];

/// rmmod stops at the first module that is not loaded, so only those that are get named; and whatever becomes of it, a
/// module is loaded again.
fn reload(context: &Context<'_>) -> String {
    let loaded: Vec<&str> = HOLDING.into_iter().filter(|name| context.module(name).is_some()).collect();
    let names: String = loaded.into_iter().flat_map(|name| [name, " "]).collect();
    format!("sudo rmmod {names}nvidia; sudo modprobe nvidia   # or reboot")
}

fn library(context: &Context<'_>) -> Found {
    let driver = &context.snapshot.inventory.driver;
    let Some(module) = context.module_version() else {
        return Found::skip("the nvidia module is not loaded: there is no version to compare with");
    };
    // NVML puts the CUDA major in front: 13.580.159.04.
    let told = driver
        .nvml_version
        .as_deref()
        .ok()
        .map(|version| ("nvmlSystemGetNVMLVersion".to_owned(), version.to_owned()));
    let versions: Vec<(String, String)> = told.into_iter().chain(installed(context)).collect();
    let wrong = versions.iter().find(|(_, version)| !version.ends_with(module));
    let mismatch = |found: Found| {
        found
            .seen("/sys/module/nvidia/version", module)
            .lines("/dev/kmsg", context.lines("/dev/kmsg").iter().filter(|(_, line)| line.contains("API mismatch")))
            .advise("An update replaced the libraries under a loaded module. What runs goes on; nothing new starts.")
            .fix("sudo lsof /dev/nvidia*   # stop what this names, then:")
            .fix(reload(context))
    };
    if let Some((place, version)) = wrong {
        return mismatch(
            Found::fail(format!("the module is {module}, the library is {version}"))
                .seen(place.clone(), version.clone()),
        );
    }
    let logged =
        context.incidents.iter().any(|incident| incident.kind == Kind::ApiMismatch && !incident.user_space);
    if logged && driver.problem.is_some() {
        return mismatch(Found::fail("the kernel log tells of a library of another version than the module"));
    }
    if let Some((place, version)) = versions.first() {
        let found = Found::pass(format!("module and library are both {module}"))
            .seen("/sys/module/nvidia/version", module)
            .seen(place.clone(), version.clone());
        return match (&driver.version, &driver.problem) {
            (Err(Absence::Failed { text, .. }), Some(problem)) => {
                Found { outcome: super::Outcome::Fail, summary: problem.to_string(), ..found }
                    .seen("nvmlInit", &**text)
            }
            _ => found,
        };
    }
    if context.lacks(Need::Files).is_some() {
        return Found::skip("neither NVML nor the files of the host tell the library's version");
    }
    let looked = context.below("/usr/lib").any(|file| file.names.is_ok());
    if !looked {
        return Found::skip("no directory of libraries could be read");
    }
    Found::fail(format!("the module {module} is loaded, and libnvidia-ml.so.1 was not found"))
        .seen("/usr/lib, /usr/lib64, /usr/lib/*-linux-gnu", "no libnvidia-ml.so.1")
        .advise("Install the user-space package of the same version; a container needs the capability \"utility\".")
        .fix("sudo dnf install nvidia-driver-cuda   # Debian: sudo apt install nvidia-smi libnvidia-ml1")
        .fix("ldconfig -p | grep libnvidia-ml")
}
