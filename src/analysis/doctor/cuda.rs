//! CUDA: whether the driver can carry the toolkits that are installed, and which GPUs programs are told to see.

use super::version::{numbers, of_toolkit};
use super::{Check, Context, Found, Layer, Need};
use crate::model::HostFile;
use std::sync::Arc;

/// The driver branch that a major version of CUDA needs at least, by minor version compatibility (CUDA compatibility
/// guide, "Minor version compatibility"). Older ones than the toolkit's own driver lack new PTX and new features only.
const MINIMUM_BRANCH: [(u32, u32); 3] = [(11, 450), (12, 525), (13, 580)];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "cuda_driver",
        layer: Layer::Cuda,
        title: "driver new enough for CUDA",
        needs: &[Need::Gpu, Need::Ours],
        symptom: "CUDA driver version is insufficient for CUDA runtime version (error 35)",
        run: driver,
    },
    Check {
        id: "cuda_visible_devices",
        layer: Layer::Cuda,
        title: "CUDA_VISIBLE_DEVICES",
        needs: &[Need::Files, Need::Gpu, Need::Ours],
        symptom: "CUDA error: no CUDA-capable device is detected (error 100)",
        run: visible,
    },
];

/// A toolkit on disk.
struct Toolkit<'a> {
    directory: String,
    version: (u32, u32),
    /// Libraries of a newer driver that come with it (cuda-compat).
    compat: Option<&'a HostFile>,
}

fn toolkits<'a>(context: &Context<'a>) -> Vec<Toolkit<'a>> {
    context
        .names("/usr/local")
        .iter()
        .filter_map(|name| {
            let directory = format!("/usr/local/{name}");
            let compat = context
                .file(&format!("{directory}/compat"))
                .filter(|file| file.names.as_ref().is_ok_and(|names| !names.is_empty()));
            // cuda-12 and cuda are links to a directory that has a minor version.
            let version = of_toolkit(name).filter(|_| name.contains('.'))?;
            Some(Toolkit { directory, version, compat })
        })
        .collect()
}

/// The toolkit that `/usr/local/cuda` means.
fn default(context: &Context<'_>) -> Option<(u32, u32)> {
    let link = context.link("/usr/local/cuda")?;
    let name = link.rsplit('/').next()?;
    // Debian's alternatives put a link in between.
    let name =
        if name == "cuda" { context.link("/etc/alternatives/cuda")?.rsplit('/').next()? } else { name };
    of_toolkit(name)
}

fn driver(context: &Context<'_>) -> Found {
    let inventory = &context.snapshot.inventory.driver;
    let Some(version) = inventory.version.as_deref().ok().or_else(|| context.module_version()) else {
        return Found::skip("the driver's version is not known");
    };
    let branch = numbers(version).first().copied().unwrap_or(0);
    let supported = inventory.cuda_version.as_deref().ok();
    let toolkits = toolkits(context);
    let minimum =
        |major: u32| MINIMUM_BRANCH.iter().find(|(known, _)| *known == major).map(|(_, least)| *least);
    let lacking: Vec<(&Toolkit<'_>, u32)> = toolkits
        .iter()
        .filter(|toolkit| toolkit.compat.is_none())
        .filter_map(|toolkit| Some((toolkit, minimum(toolkit.version.0)?)))
        .filter(|(_, least)| branch < *least)
        .collect();
    let seen = |mut found: Found| {
        found = found.seen("driver", version);
        if let Some(supported) = supported {
            found = found.seen("cuDriverGetVersion", format!("CUDA {supported}"));
        }
        for toolkit in &toolkits {
            let compat = if toolkit.compat.is_some() { ", with cuda-compat" } else { "" };
            let (major, minor) = toolkit.version;
            found = found.seen(toolkit.directory.clone(), format!("CUDA {major}.{minor}{compat}"));
        }
        found
    };
    if let Some((toolkit, least)) = lacking.first() {
        let (major, minor) = toolkit.version;
        let what = format!("CUDA {major}.{minor} needs driver {least} or newer, and this is {version}");
        let is_default = default(context).map_or(toolkits.len() == lacking.len(), |version| {
            lacking.iter().any(|(toolkit, _)| toolkit.version == version)
        });
        // One that nobody uses by default does no harm yet.
        let found = if is_default { Found::fail(what) } else { Found::warn(what) };
        return seen(found)
            .advise(format!(
                "Upgrade the driver to {least} or newer, use a toolkit of an older major version, or install \
                 cuda-compat-{major}-{minor} (data centre GPUs)."
            ))
            .fix("nvidia-smi | head -4   # the CUDA version that the driver supports");
    }
    let newest = toolkits.iter().map(|toolkit| toolkit.version).max();
    let supports = supported.map(numbers).and_then(|n| Some((*n.first()?, n.get(1).copied().unwrap_or(0))));
    let older = newest.zip(supports).filter(|(newest, supports)| newest > supports);
    seen(Found::pass(match (older, toolkits.len()) {
        (Some(((major, minor), _)), _) => format!(
            "driver {version} carries CUDA {major}.{minor} by minor version compatibility: new PTX and features need a newer one"
        ),
        (None, 0) => format!("driver {version}; no toolkit below /usr/local, programs bring their own"),
        (None, _) => format!("driver {version} carries every toolkit that is installed"),
    }))
}

/// Lines of names and values, read by PAM for whoever logs in: none of them has a condition (pam_env(8)).
const ENVIRONMENT: &str = "/etc/environment";
/// What kgtop itself was started with.
const OWN_ENVIRONMENT: &str = "/proc/self/environ";

/// Where it is set, and to what.
struct Setting<'a> {
    path: &'a str,
    line: &'a (u32, Arc<str>),
    value: String,
}

fn settings<'a>(context: &Context<'a>) -> Vec<Setting<'a>> {
    let files = [ENVIRONMENT, "/etc/profile", "/etc/bash.bashrc", "/etc/bashrc", OWN_ENVIRONMENT];
    let fixed = files.iter().filter_map(|path| context.file(path));
    let mut found = Vec::new();
    for file in fixed.chain(context.below("/etc/profile.d/")) {
        for line in file.lines.as_deref().unwrap_or_default() {
            let text = line.1.trim();
            let text = text.strip_prefix("export ").unwrap_or(text);
            let Some(value) = text.strip_prefix("CUDA_VISIBLE_DEVICES=") else { continue };
            let value = value.split('#').next().unwrap_or_default().trim();
            let value = value.trim_matches(|c| matches!(c, '"' | '\'' | ';')).trim();
            // A value that a shell works out is not known here.
            if !value.contains(['$', '`']) {
                found.push(Setting { path: &file.path, line, value: value.to_owned() });
            }
        }
    }
    found
}

/// How many GPUs a program with this setting sees; `None`: cannot be told (a UUID). The list ends at the first entry
/// that is no device (CUDA programming guide, "CUDA Environment Variables").
fn seen_with(value: &str, gpus: usize) -> Option<usize> {
    let mut count = 0;
    for entry in value.split(',').map(str::trim) {
        if entry.starts_with("GPU-") || entry.starts_with("MIG-") {
            return None;
        }
        match entry.parse::<usize>() {
            Ok(index) if index < gpus => count += 1,
            _ => break,
        }
    }
    Some(count)
}

fn visible(context: &Context<'_>) -> Found {
    let gpus = if context.nvml() { context.answering().len() } else { context.bound_to("nvidia").count() };
    let settings = settings(context);
    // A script may set it under a condition, which is not worked out here.
    let certain = |setting: &&Setting<'_>| matches!(setting.path, ENVIRONMENT | OWN_ENVIRONMENT);
    let hides = |setting: &&Setting<'_>| seen_with(&setting.value, gpus) == Some(0);
    let hidden = settings.iter().filter(hides).find(certain).or_else(|| settings.iter().find(hides));
    if let Some(setting) = hidden.filter(|_| gpus > 0) {
        let what =
            if setting.value.is_empty() { "empty".to_owned() } else { format!("\"{}\"", setting.value) };
        let (path, number) = (setting.path, setting.line.0);
        let fail = || Found::fail(format!("CUDA_VISIBLE_DEVICES is {what}: programs see no GPU"));
        return match path {
            OWN_ENVIRONMENT => fail().fix("unset CUDA_VISIBLE_DEVICES"),
            ENVIRONMENT => {
                fail().fix(format!("sudo sed -i.bak '{number}s/^/#/' {ENVIRONMENT}   # then log in again"))
            }
            _ => Found::warn(format!(
                "CUDA_VISIBLE_DEVICES is {what} in {path}: whoever runs that line sees no GPU"
            ))
            .advise(format!(
                "Look at line {number} of {path}: where it runs without a condition, take it out by hand."
            ))
            .fix(format!("grep -n -B3 -A3 CUDA_VISIBLE_DEVICES {path}")),
        }
        .line(path, setting.line);
    }
    let cut = settings.iter().find(|setting| {
        seen_with(&setting.value, gpus).is_some_and(|seen| seen < setting.value.split(',').count())
    });
    if let Some(setting) = cut.filter(|_| gpus > 0) {
        return Found::warn(format!(
            "CUDA_VISIBLE_DEVICES=\"{}\" names GPUs that are not here: what follows them is ignored",
            setting.value
        ))
        .line(setting.path, setting.line);
    }
    let found = Found::pass(match settings.len() {
        0 => "not set for all users: programs see every GPU",
        _ => "set, and every entry is a GPU",
    });
    settings.iter().fold(found, |found, setting| found.line(setting.path, setting.line))
}
