//! `zpool status` as text, for versions without JSON (2.1, 2.2).

use super::ParseError;
use super::status_json::one_line;
use crate::model::{PoolStatus, Scan, ScanFunction, ScanState, Vdev};
use std::sync::Arc;

/// Arguments of `zpool` that [`parse_status_text`] understands the answer to.
pub const STATUS_TEXT_ARGUMENTS: &[&str] = &["status", "-p", "-P", "-s"];

const TOOL: &str = "zpool status";
/// Headings of the vdev table that stand in its first column beside the pool's own name.
const CLASSES: &[&str] = &["logs", "cache", "spares", "special", "dedup"];

/// Reads what `zpool` answers to [`STATUS_TEXT_ARGUMENTS`].
///
/// # Errors
/// Text that names no pool and does not say that there is none.
pub fn parse_status_text(text: &str) -> Result<Vec<PoolStatus>, ParseError> {
    let mut pools: Vec<PoolStatus> = Vec::new();
    let mut fields: Vec<(&str, String)> = Vec::new();
    let mut table: Vec<&str> = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        if let Some((field, value)) = field_of(line) {
            if field == "pool" {
                finish(&mut pools, &mut fields, &mut table);
            }
            in_table = field == "config";
            fields.push((field, value.to_owned()));
        } else if in_table {
            table.push(line);
        } else if let Some((_, value)) = fields.last_mut() {
            value.push('\n');
            value.push_str(line.trim());
        }
    }
    finish(&mut pools, &mut fields, &mut table);
    if pools.is_empty() && text.trim() != "no pools available" {
        let start: String = text.trim().chars().take(60).collect();
        return Err(ParseError::new(TOOL, format!("no pool in the answer: \"{start}\"")));
    }
    Ok(pools)
}

/// `" status: One or more…"`: names are set flush right before a colon, and nothing else starts like this.
fn field_of(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_start_matches(' ');
    let known =
        ["pool", "state", "status", "action", "see", "scan", "config", "errors", "remove", "checkpoint"];
    known.contains(&name).then(|| (name, value.trim()))
}

fn finish(pools: &mut Vec<PoolStatus>, fields: &mut Vec<(&str, String)>, table: &mut Vec<&str>) {
    let get = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    if let Some(name) = get("pool") {
        pools.push(PoolStatus {
            name: name.into(),
            state: get("state").unwrap_or_default().into(),
            status: get("status").map(one_line),
            action: get("action").map(one_line),
            message_id: get("see").and_then(|see| see.trim().rsplit('/').next()).map(Into::into),
            scan: get("scan").and_then(scan),
            data_errors: get("errors").and_then(data_errors),
            vdevs: vdevs(name, table),
        });
    }
    fields.clear();
    table.clear();
}

/// `No known data errors`, `41 data errors, use '-v' for a list`.
fn data_errors(text: &str) -> Option<u64> {
    if text.starts_with("No known data errors") {
        return Some(0);
    }
    text.split_whitespace().next()?.parse().ok()
}

fn vdevs(pool: &str, table: &[&str]) -> Vec<Vdev> {
    let mut class: Arc<str> = "normal".into();
    let mut found = Vec::new();
    for line in table {
        let line = line.strip_prefix('\t').unwrap_or(line);
        let indent = line.len() - line.trim_start_matches(' ').len();
        let columns: Vec<&str> = line.split_whitespace().collect();
        match columns.as_slice() {
            [] | ["NAME", ..] => {}
            [heading] if indent == 0 && CLASSES.contains(heading) => class = (*heading).into(),
            [name, ..] if indent == 0 && *name == pool => {}
            [name, state, rest @ ..] => {
                let mut numbers = rest.iter().map_while(|text| text.parse().ok());
                let (read, write, checksum) = (numbers.next(), numbers.next(), numbers.next());
                found.push(Vdev {
                    depth: u8::try_from(indent / 2).unwrap_or(u8::MAX).saturating_sub(1),
                    class: Arc::clone(&class),
                    name: (*name).into(),
                    path: name.starts_with('/').then(|| (*name).into()),
                    disk: None,
                    state: (*state).into(),
                    read_errors: read.unwrap_or_default(),
                    write_errors: write.unwrap_or_default(),
                    checksum_errors: checksum.unwrap_or_default(),
                    slow_ios: numbers.next(),
                });
            }
            [_] => {}
        }
    }
    found
}

fn scan(text: &str) -> Option<Scan> {
    let first = text.lines().next()?;
    let function = match first.split_whitespace().next()? {
        "scrub" => ScanFunction::Scrub,
        "resilver" | "resilvered" => ScanFunction::Resilver,
        _ => return None,
    };
    let state = if first.contains("in progress") {
        ScanState::Running
    } else if first.contains("paused") {
        ScanState::Paused
    } else if first.contains("canceled") {
        ScanState::Cancelled
    } else {
        ScanState::Finished
    };
    let done = text
        .split_whitespace()
        .find_map(|word| word.strip_suffix('%')?.parse::<f32>().ok().filter(|part| part.is_finite()));
    let running = matches!(state, ScanState::Running | ScanState::Paused);
    // "with 0 errors on Sun Nov 22 15:10:29 2026", "since Sun Nov 22 15:06:52 2026"
    let errors =
        first.split_once(" with ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    Some(Scan {
        function,
        state,
        done: running.then_some(done).flatten().map(|percent| percent / 100.0),
        started: first.split_once(" since ").and_then(|(_, date)| seconds(date)),
        ended: first.rsplit_once(" on ").and_then(|(_, date)| seconds(date)),
        errors,
    })
}

/// A date as the C library prints it, in the zone of this machine.
fn seconds(date: &str) -> Option<i64> {
    let date = jiff::civil::DateTime::strptime("%a %b %e %H:%M:%S %Y", date.trim()).ok()?;
    Some(jiff::tz::TimeZone::system().to_timestamp(date).ok()?.as_second())
}
