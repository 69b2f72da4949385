//! The stream's format, version 1: one JSON object a line. `docs/stream-format.md` describes every member.
//!
//! The wire types are separate from the model: `stream/records.rs` and `stream/groups.rs` map each field of the
//! model to the name that it has in a line, so the model can be renamed without breaking a recording. Within a
//! major version the format only grows: unknown kinds and members are skipped, a missing member is a reading that
//! was not requested. `tests/golden/v1.jsonl` must decode and encode to the same bytes for ever.

pub mod control;
mod groups;
mod host_files;
mod json;
mod leaves;
mod models;
mod reader;
mod records;
mod storage;
mod topology;
mod wire;

use crate::model::Record;
pub use reader::{Decoder, MAX_LINE_BYTES, Place, ReadError, Reader};

use json::Json;
use std::borrow::Cow;
use wire::{Malformed, Object};

/// The major version that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not one JSON object.
    #[error("not a JSON object: {0}")]
    NotJson(String),
    /// A record whose required member is missing or of another type.
    #[error("{kind} record: \"{member}\" is not {wanted}")]
    Malformed {
        /// Kind of the record.
        kind: &'static str,
        /// The member.
        member: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// Written by a newer major version.
    #[error(
        "this stream has format version {found}, and this kgtop reads versions up to {FORMAT}: it needs kgtop \
         {written_by} or newer"
    )]
    NewerFormat {
        /// The version that it needs.
        found: u32,
        /// The version of kgtop that wrote it.
        written_by: String,
    },
}

/// Appends `record` to `out` as one line, its end included.
pub fn encode(record: &Record, out: &mut String) {
    fn line<T: Object>(kind: &str, record: &T, out: &mut String) {
        out.push('{');
        json::write_name(out, "kind");
        json::write_text(out, kind);
        record.write_members(out);
        out.push_str("}\n");
    }
    match record {
        Record::Header(header) => line("header", header, out),
        Record::Inventory(inventory) => line("inventory", inventory.as_ref(), out),
        Record::Sample(sample) => line("sample", sample.as_ref(), out),
        Record::Event(event) => line("event", event, out),
        Record::CallStuck(call) => line("call_stuck", call, out),
        Record::Snapshots(batch) => line("snapshots", batch, out),
        Record::Gap(gap) => line("gap", gap, out),
        Record::Bye(bye) => line("bye", bye, out),
    }
}

/// Reads one line. `None` for an empty line and for a kind that this version does not know.
///
/// # Errors
/// The line is no JSON object, lacks what its kind requires, or is the header of a newer major version.
pub fn decode(line: &str) -> Result<Option<Record>, DecodeError> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    match Json::parse(line) {
        Ok(json) => decode_json(&json),
        Err(error) => {
            let repaired = json::without_strange_numbers(line);
            let Some(Ok(json)) = repaired.as_deref().map(Json::parse) else {
                return Err(DecodeError::NotJson(error.to_string()));
            };
            decode_json(&json)
        }
    }
}

fn decode_json(json: &Json<'_>) -> Result<Option<Record>, DecodeError> {
    fn members<T: Object>(kind: &'static str, fields: &json::Fields<'_, '_>) -> Result<T, DecodeError> {
        T::read_members(fields).map_err(|Malformed { member, wanted }| DecodeError::Malformed {
            kind,
            member,
            wanted,
        })
    }
    let fields = json.fields().ok_or_else(|| DecodeError::NotJson("another value".into()))?;
    let Some(kind) = fields.get("kind").and_then(Json::text) else {
        return Err(DecodeError::NotJson("no \"kind\"".into()));
    };
    Ok(Some(match kind {
        "header" => {
            check_format(&fields)?;
            Record::Header(members("header", &fields)?)
        }
        "inventory" => Record::Inventory(Box::new(members("inventory", &fields)?)),
        "sample" => Record::Sample(Box::new(members("sample", &fields)?)),
        "event" => Record::Event(members("event", &fields)?),
        "call_stuck" => Record::CallStuck(members("call_stuck", &fields)?),
        "snapshots" => Record::Snapshots(members("snapshots", &fields)?),
        "gap" => Record::Gap(members("gap", &fields)?),
        "bye" => Record::Bye(members("bye", &fields)?),
        _ => return Ok(None),
    }))
}

/// The objects of the format and the names of their members, in the order in which they are written.
#[must_use]
pub fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    let mut objects = records::objects();
    objects.extend(groups::objects());
    objects.extend(topology::objects());
    objects.extend(storage::objects());
    objects.extend(host_files::objects());
    objects.extend(models::objects());
    objects
}

fn check_format(fields: &json::Fields<'_, '_>) -> Result<(), DecodeError> {
    let found = fields.get("format").and_then(Json::unsigned).unwrap_or_default();
    if found <= u64::from(FORMAT) {
        return Ok(());
    }
    let written_by = fields.get("kgtop").and_then(Json::text).unwrap_or("of a later release");
    Err(DecodeError::NewerFormat {
        found: u32::try_from(found).unwrap_or(u32::MAX),
        written_by: Cow::from(written_by).into_owned(),
    })
}
