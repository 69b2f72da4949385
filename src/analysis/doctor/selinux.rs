//! SELinux: labels as the policy has them, and what was denied.

use super::context::counted;
use super::{Check, Context, Found, Layer, Need};
use std::sync::Arc;

const ENFORCE: &str = "/sys/fs/selinux/enforce";
const BOOLEAN: &str = "/sys/fs/selinux/booleans/container_use_devices";
const AUDIT_LOG: &str = "/var/log/audit/audit.log";
const KMSG: &str = "/dev/kmsg";
/// What the reference policy and Fedora's call the nodes (policy/modules/services/xserver.fc), where the policy on disk
/// says nothing.
const USUAL_TYPE: &str = "xserver_misc_device_t";
/// A denial is recent if it is less than this older than the newest record of the log, in seconds: a day.
const RECENT_SECONDS: f64 = 86_400.0;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "selinux_labels",
        layer: Layer::Selinux,
        title: "labels of the device nodes",
        needs: &[Need::Files, Need::Gpu, Need::Ours, Need::Host],
        symptom: "Works as root in the shell, and not as a service or in a container",
        run: labels,
    },
    Check {
        id: "selinux_denials",
        layer: Layer::Selinux,
        title: "denials that mention nvidia",
        needs: &[Need::Files, Need::Gpu, Need::Ours, Need::Host],
        symptom: "avc: denied { read write } … path=\"/dev/nvidia0\"; in a container: Failed to initialize NVML: Insufficient Permissions",
        run: denials,
    },
];

/// Whether it enforces; `None` where it is not on.
fn enforces(context: &Context<'_>) -> Option<bool> {
    context.value(ENFORCE).map(|value| value == "1")
}

/// The type in `system_u:object_r:xserver_misc_device_t:s0`.
fn type_of(label: &str) -> Option<&str> {
    label.split(':').nth(2)
}

/// The type that the policy gives a path. Of the patterns whose literal beginning fits, the longest one counts, as
/// with matchpathcon.
fn policy_type<'a>(context: &Context<'a>, path: &str) -> Option<(&'a str, &'a (u32, Arc<str>))> {
    let files = context.below("/etc/selinux/").filter(|file| file.path.contains("/contexts/files/"));
    let entries = files
        .flat_map(|file| file.lines.as_deref().unwrap_or_default().iter().map(|line| (&*file.path, line)));
    entries
        .filter(|(_, (_, line))| {
            let pattern = line.split_ascii_whitespace().next().unwrap_or_default();
            let literal = literal(pattern);
            if literal.len() == pattern.len() { path == pattern } else { path.starts_with(literal) }
        })
        .max_by_key(|(_, (_, line))| literal(line.split_ascii_whitespace().next().unwrap_or_default()).len())
}

/// What stands before the first sign of a regular expression.
fn literal(pattern: &str) -> &str {
    let end = pattern.find(['.', '[', '(', '*', '+', '?', '\\', '^', '$']).unwrap_or(pattern.len());
    pattern.get(..end).unwrap_or_default()
}

fn labels(context: &Context<'_>) -> Found {
    let Some(enforces) = enforces(context) else { return Found::skip("SELinux is not on") };
    let nodes: Vec<_> = context.below("/dev/nvidia").filter(|file| file.label.is_ok()).collect();
    if nodes.is_empty() {
        return Found::skip("no device node has a label");
    }
    let mut wrong = Vec::new();
    let mut right = None;
    for node in nodes {
        let label = node.label.as_deref().unwrap_or_default();
        let policy = policy_type(context, &node.path);
        let wanted = policy.and_then(|(_, (_, line))| type_of(line.split_ascii_whitespace().last()?));
        let wanted = wanted.unwrap_or(USUAL_TYPE);
        if type_of(label) == Some(wanted) {
            right.get_or_insert((node, label, policy));
        } else {
            wrong.push((node, label, wanted, policy));
        }
    }
    if let Some((node, label, wanted, policy)) = wrong.first() {
        let summary = format!(
            "{} is labelled {}, and the policy has {wanted}",
            node.path,
            type_of(label).unwrap_or(label)
        );
        let found = if enforces { Found::fail(summary) } else { Found::warn(summary) };
        let found =
            wrong.iter().fold(found, |found, (node, label, ..)| found.seen(node.path.to_string(), *label));
        let found = match policy {
            Some((path, line)) => found.line(path, line),
            None => found,
        };
        return found.fix("sudo restorecon -v /dev/nvidia*");
    }
    let found =
        Found::pass(if enforces { "enforcing, and the labels are the policy's" } else { "permissive" });
    let Some((node, label, policy)) = right else { return found };
    let found = found.seen(ENFORCE, if enforces { "1" } else { "0" }).seen(node.path.to_string(), label);
    match policy {
        Some((path, line)) => found.line(path, line),
        None => found,
    }
}

/// Seconds since 1970 in `msg=audit(1716200000.123:456)`.
fn stamp(line: &str) -> Option<f64> {
    line.split_once("audit(")?.1.split(':').next()?.parse().ok()
}

fn denials(context: &Context<'_>) -> Found {
    let Some(enforces) = enforces(context) else { return Found::skip("SELinux is not on") };
    let readable = |path| context.file(path).is_some_and(|file| file.lines.is_ok());
    let (log, kernel) = (readable(AUDIT_LOG), readable(KMSG));
    if !log && !kernel {
        return Found::skip("neither the audit log nor the kernel log can be read: run as root");
    }
    let audit = context.lines(AUDIT_LOG);
    let newest = audit
        .iter()
        .filter_map(|(_, line)| stamp(line))
        .fold(None, |newest: Option<f64>, stamp| Some(newest.map_or(stamp, |newest| newest.max(stamp))));
    let counts = |line: &str| {
        // In a permissive domain a denial is only written down.
        let blocked = line.contains("denied") && !line.contains("permissive=1");
        let recent = stamp(line).zip(newest).is_none_or(|(stamp, newest)| newest - stamp <= RECENT_SECONDS);
        blocked && recent
    };
    let of = |path: &'static str| {
        context
            .lines(path)
            .iter()
            .filter(|(_, line)| line.to_ascii_lowercase().contains("avc:"))
            .filter(|(_, line)| counts(line))
            .map(move |line| (path, line))
    };
    let denied: Vec<_> = of(AUDIT_LOG).chain(of(KMSG)).collect();
    let boolean = context.value(BOOLEAN).map(|value| value.starts_with('1'));
    let seen = |found: Found| match boolean {
        Some(on) => found.seen(BOOLEAN, if on { "on" } else { "off" }),
        None => found,
    };
    if denied.is_empty() {
        return seen(Found::pass("none in the last day")).seen(ENFORCE, if enforces { "1" } else { "0" });
    }
    let summary = format!("{} that mentions nvidia in the last day", counted(denied.len(), "denial"));
    let summary = if denied.len() == 1 { summary } else { summary.replace("mentions", "mention") };
    let found = seen(if enforces { Found::fail(summary) } else { Found::warn(summary) });
    let found = denied.iter().rev().take(3).fold(found, |found, (path, line)| found.line(path, line));
    let found = found.fix("sudo restorecon -v /dev/nvidia*");
    let contained = denied.iter().any(|(_, (_, line))| {
        line.split("scontext=")
            .nth(1)
            .is_some_and(|context| context.split(' ').next().is_some_and(|c| c.contains("container")))
    });
    let found = if contained && boolean != Some(true) {
        found.fix("sudo setsebool -P container_use_devices on")
    } else {
        found
    };
    found
        .advise("Correct the labels first; a module that opens all devices to a domain is never needed.")
        .fix("sudo ausearch -m avc -ts recent | grep nvidia")
}
