//! `zpool status` as JSON, which 2.3 and later print.

use super::ParseError;
use crate::model::{PoolStatus, Scan, ScanFunction, ScanState, Vdev};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Arguments of `zpool` that [`parse_status_json`] understands the answer to.
pub const STATUS_JSON_ARGUMENTS: &[&str] = &["status", "-j", "--json-int", "-p", "-P", "-s"];

const TOOL: &str = "zpool status -j";
/// ZFS nests a leaf at most below a replacing or spare vdev below a mirror: anything deeper is not its output.
const DEPTH_AT_MOST: u8 = 8;
/// Members beside `vdevs` that hold vdevs, and the class that the text form heads them with.
const CLASSES: &[(&str, &str)] = &[
    ("vdevs", "normal"),
    ("special", "special"),
    ("dedup", "dedup"),
    ("logs", "logs"),
    ("l2cache", "cache"),
    ("spares", "spares"),
];

/// Reads what `zpool` answers to [`STATUS_JSON_ARGUMENTS`]; also numbers that are written as texts.
///
/// # Errors
/// Not JSON (half of it, a usage message), or without `pools`.
pub fn parse_status_json(text: &str) -> Result<Vec<PoolStatus>, ParseError> {
    let json: Value = serde_json::from_str(text).map_err(|error| ParseError::new(TOOL, error.to_string()))?;
    let pools = json
        .get("pools")
        .and_then(Value::as_object)
        .ok_or_else(|| ParseError::new(TOOL, "no \"pools\" in the answer"))?;
    Ok(pools.iter().map(|(name, value)| pool(name, value)).collect())
}

fn pool(name: &str, value: &Value) -> PoolStatus {
    let mut vdevs = Vec::new();
    for (member, class) in CLASSES {
        let Some(members) = value.get(*member).and_then(Value::as_object) else { continue };
        let class: Arc<str> = (*class).into();
        for (below, vdev) in members {
            // The data vdevs stand below one that is the pool itself.
            match vdev.get("vdevs").and_then(Value::as_object) {
                Some(top) if vdev.get("vdev_type").and_then(Value::as_str) == Some("root") => {
                    walk(top, &class, 0, &mut vdevs);
                }
                _ => add(below, vdev, &class, 0, &mut vdevs),
            }
        }
    }
    let trimmed = |member: &str| text(value, member).map(|text| one_line(&text));
    PoolStatus {
        name: name.into(),
        state: text(value, "state").unwrap_or_default(),
        status: trimmed("status"),
        action: trimmed("action"),
        message_id: text(value, "msgid"),
        scan: value.get("scan_stats").and_then(scan),
        data_errors: number(value, "error_count"),
        vdevs,
    }
}

fn walk(members: &Map<String, Value>, class: &Arc<str>, depth: u8, vdevs: &mut Vec<Vdev>) {
    for (name, vdev) in members {
        add(name, vdev, class, depth, vdevs);
    }
}

fn add(name: &str, value: &Value, class: &Arc<str>, depth: u8, vdevs: &mut Vec<Vdev>) {
    if depth > DEPTH_AT_MOST {
        return;
    }
    vdevs.push(Vdev {
        depth,
        class: Arc::clone(class),
        name: text(value, "name").unwrap_or_else(|| name.into()),
        path: text(value, "path"),
        disk: None,
        state: text(value, "state").unwrap_or_default(),
        read_errors: number(value, "read_errors").unwrap_or_default(),
        write_errors: number(value, "write_errors").unwrap_or_default(),
        checksum_errors: number(value, "checksum_errors").unwrap_or_default(),
        slow_ios: number(value, "slow_ios"),
    });
    if let Some(below) = value.get("vdevs").and_then(Value::as_object) {
        walk(below, class, depth + 1, vdevs);
    }
}

fn scan(value: &Value) -> Option<Scan> {
    let function = match value.get("function")?.as_str()? {
        "SCRUB" | "ERRORSCRUB" => ScanFunction::Scrub,
        "RESILVER" | "REBUILD" => ScanFunction::Resilver,
        _ => return None,
    };
    let paused = number(value, "scrub_pause").is_some_and(|since| since > 0);
    let state = match value.get("state")?.as_str()? {
        "SCANNING" if paused => ScanState::Paused,
        "SCANNING" => ScanState::Running,
        "FINISHED" => ScanState::Finished,
        "CANCELED" => ScanState::Cancelled,
        _ => return None,
    };
    // Blocks are issued after they were examined, so that is what counts as done; what is skipped is never issued.
    let whole = number(value, "to_examine")?.saturating_sub(number(value, "skipped").unwrap_or_default());
    let issued = number(value, "issued").unwrap_or_default();
    let running = matches!(state, ScanState::Running | ScanState::Paused);
    let time =
        |member: &str| number(value, member).filter(|at| *at > 0).and_then(|at| i64::try_from(at).ok());
    Some(Scan {
        function,
        state,
        done: (running && whole > 0).then(|| (issued as f64 / whole as f64).min(1.0) as f32),
        started: time("start_time"),
        ended: time("end_time"),
        errors: number(value, "errors"),
    })
}

fn text(value: &Value, member: &str) -> Option<Arc<str>> {
    value.get(member)?.as_str().filter(|text| !text.is_empty()).map(Into::into)
}

fn number(value: &Value, member: &str) -> Option<u64> {
    let value = value.get(member)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Line breaks and tabs of ZFS's sentences become single blanks.
pub(super) fn one_line(text: &str) -> Arc<str> {
    text.split_whitespace().collect::<Vec<_>>().join(" ").into()
}
