//! What the terminal tells the collector, one JSON object a line on the collector's standard input.

use super::DecodeError;
use super::json::{self, Json};
use crate::model::Demand;
use std::sync::Arc;

/// A line from the terminal to the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Which of the costly groups somebody looks at; replaces what was demanded before.
    Demand(Demand),
    /// List the snapshots of a dataset, in place of those that are being listed; `None` calls that off.
    Snapshots(Option<Arc<str>>),
    /// Read now what is seldom read: something was changed.
    Refresh,
}

/// The groups of a demand by name.
type Group = (&'static str, fn(&mut Demand) -> &mut bool);

const GROUPS: [Group; 7] = [
    ("gpm", |demand| &mut demand.gpm),
    ("counters", |demand| &mut demand.counters),
    ("process_utilization", |demand| &mut demand.process_utilization),
    ("pcie_throughput", |demand| &mut demand.pcie_throughput),
    ("links", |demand| &mut demand.links),
    ("storage", |demand| &mut demand.storage),
    ("host_files", |demand| &mut demand.host_files),
];

/// Appends `control` to `out` as one line, its end included: `{"kind":"demand","groups":["gpm"]}`,
/// `{"kind":"list_snapshots","dataset":"rpool/ai"}`, `{"kind":"refresh"}`.
pub fn encode(control: &Control, out: &mut String) {
    let mut demand = match control {
        Control::Demand(demand) => *demand,
        Control::Snapshots(dataset) => return encode_snapshots(dataset.as_deref(), out),
        Control::Refresh => return out.push_str("{\"kind\":\"refresh\"}\n"),
    };
    out.push('{');
    json::write_name(out, "kind");
    json::write_text(out, "demand");
    json::write_name(out, "groups");
    out.push('[');
    let wanted = GROUPS.iter().filter(|(_, wanted)| *wanted(&mut demand));
    for (index, (name, _)) in wanted.enumerate() {
        if index > 0 {
            out.push(',');
        }
        json::write_text(out, name);
    }
    out.push_str("]}\n");
}

fn encode_snapshots(dataset: Option<&str>, out: &mut String) {
    out.push('{');
    json::write_name(out, "kind");
    json::write_text(out, "list_snapshots");
    if let Some(dataset) = dataset {
        json::write_name(out, "dataset");
        json::write_text(out, dataset);
    }
    out.push_str("}\n");
}

/// Reads one line. `None` for an empty line and for a kind that this version does not know; groups that it does
/// not know are skipped.
///
/// # Errors
/// The line is no JSON object with a `kind`, or a demand names no groups.
pub fn decode(line: &str) -> Result<Option<Control>, DecodeError> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    let json = Json::parse(line).map_err(|error| DecodeError::NotJson(error.to_string()))?;
    let fields = json.fields().ok_or_else(|| DecodeError::NotJson("another value".into()))?;
    match fields.get("kind").and_then(Json::text) {
        Some("demand") => {}
        Some("list_snapshots") => {
            let dataset = fields.get("dataset").and_then(Json::text).map(Into::into);
            return Ok(Some(Control::Snapshots(dataset)));
        }
        Some("refresh") => return Ok(Some(Control::Refresh)),
        Some(_) => return Ok(None),
        None => return Err(DecodeError::NotJson("no \"kind\"".into())),
    }
    let Some(Json::List(names)) = fields.get("groups") else {
        return Err(DecodeError::Malformed { kind: "demand", member: "groups", wanted: "a list" });
    };
    let mut demand = Demand::default();
    for (name, wanted) in GROUPS {
        *wanted(&mut demand) = names.iter().any(|listed| listed.text() == Some(name));
    }
    Ok(Some(Control::Demand(demand)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(demand: Demand) -> String {
        line_of(&Control::Demand(demand))
    }

    fn line_of(control: &Control) -> String {
        let mut out = String::new();
        encode(control, &mut out);
        out
    }

    #[test]
    fn a_demand_is_read_back() {
        let gpm = Demand { gpm: true, links: true, ..Demand::default() };
        assert_eq!(line(gpm), "{\"kind\":\"demand\",\"groups\":[\"gpm\",\"links\"]}\n");
        for demand in [Demand::default(), gpm, Demand::all()] {
            assert_eq!(decode(&line(demand)), Ok(Some(Control::Demand(demand))));
        }
    }

    #[test]
    fn a_question_about_snapshots_is_read_back() {
        for dataset in [Some("rpool/ai/with \"space\"".into()), None] {
            let mut out = String::new();
            encode(&Control::Snapshots(dataset.clone()), &mut out);
            assert_eq!(decode(&out), Ok(Some(Control::Snapshots(dataset))));
        }
    }

    #[test]
    fn what_a_newer_terminal_says_is_skipped() {
        let demand = Demand { counters: true, ..Demand::default() };
        let known = decode(r#"{"kind":"demand","groups":["tea",7,"counters"],"x":1}"#);
        assert_eq!(known, Ok(Some(Control::Demand(demand))));
        assert_eq!(decode(&line_of(&Control::Refresh)), Ok(Some(Control::Refresh)));
        assert_eq!(decode(r#"{"kind":"pause"}"#), Ok(None));
        assert_eq!(decode(""), Ok(None));
        assert!(decode(r#"{"kind":"demand"}"#).is_err());
        assert!(decode(r#"{"groups":[]}"#).is_err());
        assert!(decode("demand").is_err());
    }
}
