//! Container toolkit, CDI, engines, and Kubernetes.

use super::context::{counted, listed};
use super::version::of_library;
use super::{Check, Context, Found, Layer, Need};
use crate::model::HostFile;

const DOCKER: &str = "/etc/docker/daemon.json";
const PLUGINS: &str = "/var/lib/kubelet/device-plugins";
const GENERATE: &str = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml";
const INSTALL: &str =
    "sudo dnf install nvidia-container-toolkit   # Debian, Ubuntu: sudo apt install nvidia-container-toolkit";
/// Without `live-restore` the daemon ends its containers when it stops (Docker manual, "Live restore").
const RESTART_DOCKER: &str =
    "sudo systemctl restart docker   # ends running containers, unless live-restore is on";
const NEEDS: &[Need] = &[Need::Files, Need::Gpu, Need::Ours, Need::Host];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "container_toolkit",
        layer: Layer::Containers,
        title: "NVIDIA Container Toolkit",
        needs: NEEDS,
        symptom: "docker: could not select device driver \"\" with capabilities: [[gpu]]",
        run: toolkit,
    },
    Check {
        id: "cdi",
        layer: Layer::Containers,
        title: "CDI specification",
        needs: NEEDS,
        symptom: "podman: unresolvable CDI devices nvidia.com/gpu=all; libcuda.so.… no such file or directory",
        run: cdi,
    },
    Check {
        id: "docker",
        layer: Layer::Containers,
        title: "Docker configuration",
        needs: NEEDS,
        symptom: "docker: unknown or invalid runtime name: nvidia",
        run: docker,
    },
    Check {
        id: "device_plugin",
        layer: Layer::Kubernetes,
        title: "device plugin of the kubelet",
        needs: NEEDS,
        symptom: "Pods stay Pending: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu",
        run: device_plugin,
    },
];

/// A container engine, and how it was found.
fn engine(context: &Context<'_>, program: &str) -> Option<String> {
    context.program(program).or_else(|| {
        let service = format!("{}.service", if program == "dockerd" { "docker" } else { program });
        context.service(&service).map(|directory| format!("{directory}/{service}"))
    })
}

fn engines(context: &Context<'_>) -> Vec<(&'static str, String)> {
    let known = [("Docker", "dockerd"), ("Podman", "podman"), ("containerd", "containerd")];
    known.into_iter().filter_map(|(name, program)| Some((name, engine(context, program)?))).collect()
}

/// The part of the toolkit that is there.
fn installed(context: &Context<'_>) -> Option<String> {
    ["nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk"]
        .into_iter()
        .find_map(|name| context.program(name))
}

fn toolkit(context: &Context<'_>) -> Found {
    let engines = engines(context);
    let installed = installed(context);
    let seen =
        |found: Found| engines.iter().fold(found, |found, (name, path)| found.seen(path.clone(), *name));
    match (installed, engines.is_empty()) {
        (Some(path), _) => seen(Found::pass("the toolkit is installed").seen(path, "there")),
        (None, true) => Found::skip("no container engine is installed"),
        (None, false) => configure(
            context,
            seen(Found::warn(format!(
                "{} cannot give GPUs to containers: the toolkit is not installed",
                listed(engines.iter().map(|(name, _)| name))
            )))
            .seen("/usr/bin", "no nvidia-container-runtime, no nvidia-ctk")
            .fix(INSTALL),
        ),
    }
}

/// How the toolkit is made known to each engine that is there.
fn configure(context: &Context<'_>, found: Found) -> Found {
    let mut found = found;
    if engine(context, "dockerd").is_some() {
        found = found.fix("sudo nvidia-ctk runtime configure --runtime=docker").fix(RESTART_DOCKER);
    } else if engine(context, "containerd").is_some() {
        // Docker starts its own containerd; that one needs no configuration. Containers go on through its restart.
        found = found
            .fix("sudo nvidia-ctk runtime configure --runtime=containerd")
            .fix("sudo systemctl restart containerd");
    }
    if engine(context, "podman").is_some() { found.fix(GENERATE) } else { found }
}

/// Specifications for NVIDIA GPUs.
fn specifications<'a>(context: &Context<'a>) -> Vec<&'a HostFile> {
    let files = context.below("/etc/cdi/").chain(context.below("/var/run/cdi/"));
    files
        .filter(|file| {
            let lines = file.lines.as_deref().unwrap_or_default();
            lines.iter().any(|(_, line)| line.contains("nvidia.com/gpu") || line.contains("/dev/nvidia"))
        })
        .collect()
}

fn cdi(context: &Context<'_>) -> Found {
    let specifications = specifications(context);
    if specifications.is_empty() {
        if installed(context).is_none() || engine(context, "podman").is_none() {
            return Found::skip("there is none, and no Podman with the toolkit that would need one");
        }
        return Found::warn("Podman is here, and no CDI specification for the GPUs")
            .seen("/etc/cdi, /var/run/cdi", "no specification of kind nvidia.com/gpu")
            .fix(GENERATE)
            .fix("nvidia-ctk cdi list");
    }
    let module = context.module_version();
    let nodes = context.names("/dev");
    for file in &specifications {
        let lines = file.lines.as_deref().unwrap_or_default();
        let stale = lines.iter().find(|(_, line)| {
            of_library(line.trim()).zip(module).is_some_and(|(version, module)| version != module)
        });
        if let (Some(line), Some(module)) = (stale, module) {
            let version = of_library(line.1.trim()).unwrap_or_default();
            return Found::fail(format!(
                "the CDI specification is for driver {version}, and {module} is loaded"
            ))
            .line(&file.path, line)
            .seen("/sys/module/nvidia/version", module)
            .advise("It was made before the driver was updated: containers look for libraries that are gone.")
            .fix(generate(&file.path));
        }
        let missing = lines.iter().find(|(_, line)| {
            device(line).is_some_and(|name| module.is_some() && !nodes.iter().any(|node| &**node == name))
        });
        if let Some(line) = missing {
            return Found::fail(format!(
                "the CDI specification names /dev/{}, which is not there",
                device(&line.1).unwrap_or_default()
            ))
            .line(&file.path, line)
            .seen("/dev", listed(nodes))
            .fix(generate(&file.path));
        }
    }
    let versioned = |file: &&HostFile| {
        let lines = file.lines.as_deref().unwrap_or_default();
        lines.iter().any(|(_, line)| of_library(line.trim()).is_some())
    };
    let found = Found::pass(match (module, specifications.iter().all(versioned)) {
        (Some(module), true) => format!("names driver {module}, and its device nodes are there"),
        (Some(_), false) => "its device nodes are there; its driver version was not seen".into(),
        (None, _) => "is there".into(),
    });
    specifications.iter().fold(found, |found, file| {
        let lines = file.lines.as_deref().unwrap_or_default();
        match lines.iter().find(|(_, line)| of_library(line.trim()).is_some()) {
            Some(line) => found.line(&file.path, line),
            None => found.seen(file.path.to_string(), "nvidia.com/gpu"),
        }
    })
}

fn generate(path: &str) -> String {
    format!("sudo nvidia-ctk cdi generate --output={path}")
}

/// The node in `path: /dev/nvidia0` of a specification; those in directories (`nvidia-caps`) are left out.
fn device(line: &str) -> Option<&str> {
    let name = line.split_once("/dev/")?.1;
    let end =
        name.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '/'))).unwrap_or(name.len());
    name.get(..end).filter(|name| !name.contains('/') && name.starts_with("nvidia"))
}

fn docker(context: &Context<'_>) -> Found {
    let Some(docker) = engine(context, "dockerd") else {
        return Found::skip("Docker is not installed");
    };
    let lines = context.lines(DOCKER);
    let says = |word: &str| lines.iter().find(|(_, line)| line.contains(word));
    let runtime = context.program("nvidia-container-runtime");
    let named = says("nvidia-container-runtime").or_else(|| says("\"default-runtime\": \"nvidia\""));
    if let (Some(line), None) = (named, &runtime) {
        return Found::fail("Docker is told of a runtime that is not installed")
            .line(DOCKER, line)
            .seen("/usr/bin/nvidia-container-runtime", "not there")
            .fix(INSTALL)
            .fix(RESTART_DOCKER);
    }
    if runtime.is_none() && installed(context).is_none() {
        return Found::skip("the toolkit is not installed: see there");
    }
    // Docker looks for this program when it starts; --gpus needs nothing in its configuration then.
    let hook = context.program("nvidia-container-runtime-hook");
    let specified = says("\"cdi\"").is_some() || !specifications(context).is_empty();
    if named.is_none() && hook.is_none() && !specified {
        return Found::warn("Docker knows no NVIDIA runtime, and neither hook nor CDI is there")
            .seen(docker, "Docker")
            .seen(DOCKER, "no nvidia")
            .fix("sudo nvidia-ctk runtime configure --runtime=docker")
            .fix(RESTART_DOCKER);
    }
    let found = Found::pass("Docker can give GPUs to containers").seen(docker, "Docker");
    let found = match named {
        Some(line) => found.line(DOCKER, line),
        None => found,
    };
    match hook {
        Some(path) => found.seen(path, "there"),
        None => found,
    }
}

fn device_plugin(context: &Context<'_>) -> Found {
    let Some(directory) = context.file(PLUGINS) else {
        return Found::skip("the kubelet's directory is not in this stream");
    };
    let names = match &directory.names {
        Ok(names) => names,
        Err(absence) => {
            return Found::skip(match Context::refused(&directory.names) {
                Some(_) => format!("{PLUGINS} could not be read ({absence}): run as root"),
                None => "no kubelet runs here".into(),
            });
        }
    };
    let sockets: Vec<_> =
        names.iter().filter(|name| name.starts_with("nvidia") && name.ends_with(".sock")).collect();
    let dra = context.names("/var/lib/kubelet/plugins");
    if !sockets.is_empty() || !dra.is_empty() {
        let found = Found::pass("a plugin of NVIDIA is registered with the kubelet");
        let found =
            sockets.iter().fold(found, |found, name| found.seen(format!("{PLUGINS}/{name}"), "socket"));
        return dra
            .iter()
            .fold(found, |found, name| found.seen(format!("/var/lib/kubelet/plugins/{name}"), "there"));
    }
    if !names.iter().any(|name| &**name == "kubelet.sock") {
        return Found::skip("no kubelet runs here");
    }
    Found::warn(format!(
        "the kubelet runs, and no plugin offers it the {}",
        counted(context.gpus().len(), "GPU")
    ))
    .seen(PLUGINS, listed(names))
    .fix("kubectl get pods -A -o wide | grep nvidia-device-plugin")
    .fix("kubectl describe node \"$(hostname)\" | grep -A8 Allocatable")
}
