//! Which container, pod, job and unit a process belongs to, read off its control group: pure parsing of
//! `/proc/PID/cgroup`, of both versions.

use crate::model::Container;
use std::sync::Arc;

/// Hexadecimal digits of a container's id (Docker, Podman, containerd and CRI-O all use SHA-256 sized ids).
const ID_LENGTH: usize = 64;

/// What a control group says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupFacts {
    /// The path of the group: of version 2, or of version 1's `systemd` hierarchy, whichever is not the root.
    pub path: Arc<str>,
    /// The innermost container.
    pub container: Option<Container>,
    /// UID of the innermost Kubernetes pod, with dashes.
    pub pod: Option<Arc<str>>,
    /// Slurm job, with its step if there is one (`4711`, `4711.0`, `4711.batch`).
    pub slurm_job: Option<Arc<str>>,
    /// The innermost systemd service or scope that is not just a container's.
    pub unit: Option<Arc<str>>,
}

/// Reads `/proc/PID/cgroup`. Text that is something else gives empty facts.
#[must_use]
pub fn parse_cgroup(text: &str) -> CgroupFacts {
    let paths = paths(text);
    let mut facts =
        CgroupFacts { path: paths.first().copied().unwrap_or_default().into(), ..CgroupFacts::default() };
    // With version 1 each controller has a path of its own, and a job may be named in some of them only.
    for path in paths {
        let found = parse_path(path);
        facts.container = facts.container.or(found.container);
        facts.pod = facts.pod.or(found.pod);
        facts.slurm_job = facts.slurm_job.or(found.slurm_job);
        facts.unit = facts.unit.or(found.unit);
    }
    facts
}

/// The distinct paths, the most telling first: version 2, then the `systemd` hierarchy, then the others; the root
/// group, which tells nothing, last.
fn paths(text: &str) -> Vec<&str> {
    let mut ranked: Vec<(u32, &str)> = Vec::new();
    for line in text.lines() {
        // hierarchy:controllers:path, and the path may hold colons.
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if !path.starts_with('/') || hierarchy.is_empty() || ranked.iter().any(|(_, known)| *known == path) {
            continue;
        }
        let rank = match (path, hierarchy, controllers) {
            ("/", ..) => 3,
            (_, "0", "") => 0,
            (_, _, "name=systemd") => 1,
            _ => 2,
        };
        ranked.push((rank, path));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, path)| path).collect()
}

fn parse_path(path: &str) -> CgroupFacts {
    let mut facts = CgroupFacts::default();
    let mut previous = "";
    let mut job: Option<&str> = None;
    let mut step: Option<&str> = None;
    let mut slurm = false;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let container = container(part, previous);
        if let Some(pod) = pod(part) {
            facts.pod = Some(pod);
        }
        if container.is_none() && is_unit(part) {
            facts.unit = Some(part.into());
        }
        // /slurm/uid_1000/job_1/step_0 (version 1; "slurm_NODE" with several daemons on one machine),
        // /system.slice/slurmstepd.scope/job_1/step_0 (version 2).
        slurm |= part == "slurm" || part.starts_with("slurm_") || part.ends_with("slurmstepd.scope");
        if let Some(id) = part.strip_prefix("job_").filter(|id| slurm && is_number(id)) {
            (job, step) = (Some(id), None);
        } else if let Some(id) = part.strip_prefix("step_").filter(|_| job.is_some() && step.is_none()) {
            step = Some(id);
        }
        facts.container = container.or(facts.container);
        previous = part;
    }
    facts.slurm_job = job.map(|job| match step {
        Some(step) => format!("{job}.{step}").into(),
        None => job.into(),
    });
    facts
}

/// The container that a part of the path stands for; `previous` is the part before it.
fn container(part: &str, previous: &str) -> Option<Container> {
    let of = |runtime: &str, id: &str| Some(Container { runtime: runtime.into(), id: id.into() });
    let bare = part.strip_suffix(".scope").or_else(|| part.strip_suffix(".service")).unwrap_or(part);
    // containerd with a systemd path it could not use: "kubepods-….slice:cri-containerd:ID".
    let bare = bare.rsplit_once(':').map_or(bare, |(_, id)| id);
    if is_id(bare) {
        let runtime = match previous {
            "docker" | "actions_job" => "docker",
            "containerd" | "default" | "buildkit" => "containerd",
            _ if part.contains(":cri-containerd:") => "containerd",
            _ if part.contains(":docker:") => "docker",
            _ if pod(previous).is_some() => "kubernetes",
            _ => "container",
        };
        return of(runtime, bare);
    }
    // Scopes, and the groups that the cgroupfs drivers make. Monitors (crio-conmon-…, libpod-conmon-…) are outside
    // of their containers and end in an id too: the whole rest must be one.
    const PREFIXES: [(&str, &str); 8] = [
        ("docker-", "docker"),
        ("libpod-payload-", "podman"),
        ("libpod-", "podman"),
        ("cri-containerd-", "containerd"),
        ("containerd-", "containerd"),
        ("nerdctl-", "containerd"),
        ("crio-", "cri-o"),
        ("cri-o-", "cri-o"),
    ];
    let known = PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = bare.strip_prefix(prefix).filter(|id| is_id(id))?;
        of(runtime, id)
    });
    if known.is_some() {
        return known;
    }
    let named = |runtime: &str, name: &str| {
        let name = unescape(name);
        (!name.is_empty()).then(|| Container { runtime: runtime.into(), id: name.into() })
    };
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return named("lxc", name);
    }
    if matches!(previous, "lxc" | "lxc.payload") {
        return named("lxc", part);
    }
    if let Some(name) = bare.strip_prefix("systemd-nspawn@") {
        return named("systemd-nspawn", name);
    }
    if let Some(name) = part.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope")) {
        // libvirt registers its guests here as well: machine-qemu\x2d1\x2dname.scope, which are no containers.
        return if unescape(name).starts_with("qemu-") { None } else { named("systemd-nspawn", name) };
    }
    if let Some(id) = bare.strip_prefix("apptainer-").filter(|id| is_number(id)) {
        return of("apptainer", id);
    }
    None
}

/// `kubepods-burstable-pod0f8f…_….slice` and `pod0f8f…-…`: the UID, with dashes. Static pods have a hash instead of
/// a UUID.
fn pod(part: &str) -> Option<Arc<str>> {
    let bare = part.split_once(".slice").map_or(part, |(bare, _)| bare);
    let uid = if bare.contains("kubepods") {
        bare.rsplit_once("-pod").map(|(_, uid)| uid)
    } else {
        bare.strip_prefix("pod")
    }?;
    let hex = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = uid.bytes().filter(|byte| matches!(byte, b'-' | b'_')).count();
    let is_uid = hex == 32 && hex + dashes == uid.len() && matches!(dashes, 0 | 4);
    is_uid.then(|| uid.replace('_', "-").into())
}

fn is_unit(part: &str) -> bool {
    let named = |suffix: &str| part.strip_suffix(suffix).is_some_and(|name| !name.is_empty());
    named(".service") || named(".scope")
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Undoes systemd's escaping of a unit's name: `\x2d` is `-`.
fn unescape(name: &str) -> String {
    let mut pieces = name.split("\\x");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, piece.get(2..)) {
            (Some(byte), Some(rest)) if byte.is_ascii_graphic() => {
                text.push(char::from(byte));
                text.push_str(rest);
            }
            _ => {
                text.push_str("\\x");
                text.push_str(piece);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
