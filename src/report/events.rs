//! `kgtop events` and `kgtop explain`.

use super::rfc3339;
use crate::analysis::clock_events::{self, ClockEventReason};
use crate::analysis::events::{Incident, When};
use crate::analysis::names;
use crate::analysis::xid::{self, Entry, SwitchEntry};
use crate::units::{Wall, printable};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// One incident as an object: the members of the snapshot's `events`, those that the line has not as `null` or left
/// out (`link`, `fatal`, `gpu_instance`, `recovery_action`). `raw` has a line for each that was read.
#[must_use]
pub fn event_json(incident: &Incident) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    put("time", time(incident.first).into());
    put("kind", incident.kind.name().into());
    put("code", incident.code.into());
    put("gpu", incident.gpu_index.into());
    put("gpu_uuid", incident.gpu.as_ref().map(ToString::to_string).into());
    put("pci_bus_id", incident.pci.map(|pci| pci.to_string()).into());
    put("pid", incident.pid.into());
    put("process", incident.process.as_deref().into());
    put("severity", incident.severity.name().into());
    put("summary", incident.summary.as_str().into());
    put("advice", incident.advice.as_str().into());
    put("raw", incident.raw.iter().map(|line| &**line).collect::<Vec<_>>().join("\n").into());
    put("count", incident.count.into());
    put("last_time", time(incident.last).into());
    if incident.first.mono.0 != 0 {
        put("uptime_seconds", (incident.first.mono.0 as f64 / 1e6).into());
    }
    put("user_space", incident.user_space.into());
    if let Some(link) = incident.link {
        put("link", link.into());
    }
    if let Some(fatal) = incident.fatal {
        put("fatal", fatal.into());
    }
    if let Some(instance) = incident.gpu_instance {
        put("gpu_instance", instance.into());
    }
    if let Some(action) = incident.recovery_action {
        put("recovery_action", names::recovery_action(action).into());
    }
    if let Some((immediate, investigatory)) = incident.actions {
        put("nvidia_immediate_action", immediate.into());
        put("nvidia_investigatory_action", investigatory.into());
    }
    if !incident.consequences.is_empty() {
        let consequences = incident.consequences.iter().map(|(code, count)| {
            let mut one = Map::new();
            one.insert("code".into(), (*code).into());
            one.insert("count".into(), (*count).into());
            Value::Object(one)
        });
        put("consequences", consequences.collect());
    }
    Value::Object(object)
}

/// All incidents as one object, the oldest first, ending with a line end. `skipped` is what could not be read.
#[must_use]
pub fn events_json<'a>(incidents: impl Iterator<Item = &'a Incident>, skipped: &[String]) -> String {
    let mut root = Map::new();
    root.insert("format".into(), 1.into());
    root.insert("events".into(), incidents.map(event_json).collect());
    root.insert("skipped".into(), skipped.into());
    format!("{:#}\n", Value::Object(root))
}

/// All incidents for people, the oldest first.
#[must_use]
pub fn events_text<'a>(incidents: impl Iterator<Item = &'a Incident>) -> String {
    let mut out = String::new();
    for incident in incidents {
        if !out.is_empty() {
            out.push('\n');
        }
        one(&mut out, incident);
    }
    if out.is_empty() { "no events\n".into() } else { out }
}

fn one(out: &mut String, incident: &Incident) {
    let when = time(incident.first).unwrap_or_else(|| uptime(incident.first));
    let device = match (incident.gpu_index, incident.pci) {
        (Some(index), Some(pci)) => format!("  GPU {index} ({pci})"),
        (None, Some(pci)) => format!("  {pci}"),
        _ => String::new(),
    };
    let times = if incident.count > 1 { format!("  × {}", incident.count) } else { String::new() };
    let severity = incident.severity.name();
    let _ = writeln!(out, "{when}  {severity:<8}{device}  {}{times}", printable(&incident.summary));
    if let Some(process) = incident.process_text() {
        let _ = writeln!(out, "    process: {}", printable(&process));
    }
    if !incident.consequences.is_empty() {
        let list: Vec<String> =
            incident.consequences.iter().map(|(code, count)| format!("Xid {code} × {count}")).collect();
        let _ = writeln!(out, "    followed by: {}", list.join(", "));
    }
    if !incident.advice.is_empty() {
        let _ = writeln!(out, "    what to do: {}", incident.advice);
    }
    if let Some((immediate, investigatory)) = incident.actions {
        let _ = writeln!(out, "    NVIDIA: {}", xid::actions_text(immediate, investigatory));
    }
    for line in &incident.raw {
        let _ = writeln!(out, "    | {}", printable(line));
    }
    if incident.raw_left_out > 0 {
        let _ = writeln!(out, "    | … {} more lines", incident.raw_left_out);
    }
}

/// An Xid of the catalogue.
#[must_use]
pub fn explain_xid(entry: &Entry) -> String {
    let application = if xid::APPLICATION.contains(&entry.code) {
        "\ncause:         usually the application; the GPU stays healthy"
    } else {
        ""
    };
    format!(
        "Xid {}  {}\nmeaning:       {}.\nseverity:      {}{application}\nwhat to do:    {}\nNVIDIA says:   {}\n\
         source:        {}\n",
        entry.code,
        entry.mnemonic,
        entry.meaning,
        entry.severity.name(),
        entry.advice,
        xid::actions_text(entry.immediate, entry.investigatory),
        entry.source,
    )
}

/// What is known of an SXid.
#[must_use]
pub fn explain_sxid(code: u32, entry: Option<SwitchEntry>) -> String {
    let gravity = match entry.and_then(|entry| entry.fatal) {
        Some(true) => {
            "fatal: work over this NVLink fails; drain the node, reset its GPUs and switches, or reboot"
        }
        Some(false) => "not fatal: work goes on; have the link examined if it repeats",
        None => "not known: the word Fatal or Non-fatal in the log line decides",
    };
    let meaning =
        entry.and_then(|entry| entry.meaning).unwrap_or("an NVSwitch error; the log line says which");
    format!(
        "SXid {code}\nmeaning:       {meaning}.\ngravity:       {gravity}.\nsource:        NVIDIA's fabric manager guide\n"
    )
}

/// A reason by its name here, by the driver's (`nvmlClocksEventReasonSwPowerCap`), or by that without its beginning.
fn named(text: &str) -> Option<&'static ClockEventReason> {
    let plain = |name: &str| name.replace(['_', '-', ' '], "").to_ascii_lowercase();
    let bare = |name: &str| {
        let name = plain(name);
        let rest = ["nvmlclocksthrottlereason", "nvmlclockseventreason"]
            .iter()
            .find_map(|head| name.strip_prefix(head));
        rest.map_or_else(|| name.clone(), str::to_owned)
    };
    let wanted = bare(text);
    clock_events::by_name(text).or_else(|| {
        let mut reasons = clock_events::REASONS.iter();
        reasons.find(|reason| wanted == bare(reason.nvml_name) || wanted == plain(reason.name))
    })
}

/// The clock event reasons of a mask, or one by name; `None` if the text is neither.
#[must_use]
pub fn explain_throttle(text: &str) -> Option<String> {
    if let Some(reason) = named(text) {
        return Some(reason_text(reason));
    }
    let mask = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => text.parse().ok()?,
    };
    let decoded = clock_events::decode(mask, None);
    if mask == 0 {
        return Some("0x0: nothing holds the clocks back.\n".into());
    }
    let mut out: Vec<String> = decoded.reasons.iter().map(|reason| reason_text(reason)).collect();
    if decoded.unknown != 0 {
        out.push(format!("{:#x}: bits of a newer driver that kgtop does not know.\n", decoded.unknown));
    }
    Some(out.join("\n"))
}

fn reason_text(reason: &ClockEventReason) -> String {
    format!(
        "{:#x}  {}  ({})\nmeaning:       {}\nseverity:      {}\nwhat to do:    {}\n",
        reason.bit,
        reason.name,
        reason.nvml_name,
        reason.meaning,
        reason.severity.name(),
        reason.advice
    )
}

fn time(when: When) -> Option<String> {
    if when.wall == Wall::default() { None } else { rfc3339(when.wall) }
}

fn uptime(when: When) -> String {
    if when.mono.0 == 0 {
        return "(no stamp)".into();
    }
    format!("[{:>5}.{:06}]", when.mono.0 / 1_000_000, when.mono.0 % 1_000_000)
}
