//! kgtop's own audit log, followed: one event for each action that is over, in the words that were written with it.

use super::root::{Identity, Root};
use crate::model::{EventSource, GpuId, RawEvent, Reading};
use crate::units::{Mono, Wall};
use serde::Deserialize;
use std::sync::Arc;

/// Root's log. A user's own lies in the state directory.
pub const ROOT_LOG: &str = "/var/log/kgtop/audit.jsonl";

/// The log is rotated at 8 MiB; of one that is longer the rest is another program's.
const READ_AT_MOST: u64 = 16 << 20;
/// syslog's "warning" and "informational": an action that failed, and any other.
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;

/// What is read of a line. The rest is for whoever takes a change back.
#[derive(Deserialize)]
struct Line {
    wall_us: i64,
    mono_us: u64,
    /// Empty for a line that is not shown.
    summary: String,
    plan: Plan,
    #[serde(default)]
    outcome: Option<Outcome>,
}

#[derive(Deserialize)]
struct Plan {
    boot_id: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    uuid: Option<String>,
}

#[derive(Deserialize)]
struct Outcome {
    outcome: String,
}

/// A log that is followed.
#[derive(Debug)]
pub struct AuditLog {
    root: Root,
    path: String,
    /// Which file was read, and how far: a rotated log begins again.
    read: Option<(Identity, u64)>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl AuditLog {
    /// The log at `path` of `root`; it need not be there yet.
    #[must_use]
    pub fn new(root: Root, path: String) -> Self {
        Self { root, path, read: None, begun: Vec::new() }
    }

    /// The events of the boot `boot_id` that were written since the last call.
    ///
    /// # Errors
    /// When the log is there and cannot be read.
    pub fn read_new(&mut self, boot_id: &str) -> Reading<Vec<RawEvent>> {
        let identity = match self.root.identity(&self.path) {
            Ok(identity) => identity,
            // Nobody has acted here yet.
            Err(crate::model::Absence::NotSupported) => return Ok(Vec::new()),
            Err(absence) => return Err(absence),
        };
        let begin = match self.read {
            Some((of, offset)) if of == identity => offset,
            _ => {
                self.begun.clear();
                0
            }
        };
        let file = self.root.open_file(&self.path)?;
        let (bytes, end) = read_from(&file, begin)?;
        self.read = Some((identity, end));
        self.begun.extend(bytes);
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.begun.drain(..whole).collect();
        Ok(lines.split(|byte| *byte == b'\n').filter_map(|line| event(line, boot_id)).collect())
    }
}

/// What is in a file from `begin` on, and where that ends.
fn read_from(file: &std::os::fd::OwnedFd, begin: u64) -> Reading<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    let mut at = begin;
    while at - begin < READ_AT_MOST {
        let mut room = [0; 16 << 10];
        let read = rustix::io::pread(file, &mut room, at).map_err(super::root::absence_of)?;
        if read == 0 {
            break;
        }
        bytes.extend(room.iter().take(read));
        at += read as u64;
    }
    Ok((bytes, at))
}

/// The event of a line; `None` for lines of other boots, of other versions, and those that are not shown.
fn event(line: &[u8], boot_id: &str) -> Option<RawEvent> {
    let line: Line = serde_json::from_slice(line).ok()?;
    if line.summary.is_empty() || line.plan.boot_id != boot_id {
        return None;
    }
    let failed = line.outcome.is_some_and(|outcome| outcome.outcome == "failed");
    Some(RawEvent {
        at: Mono(line.mono_us),
        wall: Wall(line.wall_us),
        source: EventSource::Action,
        priority: Some(if failed { WARNING } else { INFORMATIONAL }),
        facility: None,
        gpu: line.plan.target.uuid.map(|uuid| GpuId(Arc::from(uuid))),
        text: line.summary.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(summary: &str, boot: &str, outcome: &str) -> String {
        serde_json::json!({
            "wall_us": 5, "mono_us": 7, "phase": "after", "uid": 0, "pid": 1, "summary": summary,
            "plan": { "boot_id": boot, "target": { "kind": "gpu", "uuid": "GPU-1", "address": "a", "label": "l" } },
            "outcome": { "outcome": outcome },
        })
        .to_string()
    }

    #[test]
    fn each_whole_line_of_this_boot_is_one_event_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let mut log = AuditLog::new(Root::Live, path.display().to_string());
        assert_eq!(log.read_new("b").unwrap(), []);
        let mut file = std::fs::File::create(&path).unwrap();
        let one = line("one", "b", "done");
        let (first, second) = one.split_at(20);
        write!(file, "{}\nnot a line\n{}\n{first}", line("zero", "a", "done"), line("", "b", "done"))
            .unwrap();
        assert_eq!(log.read_new("b").unwrap(), []);
        writeln!(file, "{second}").unwrap();
        let events = log.read_new("b").unwrap();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&*event.text, event.at, event.wall), ("one", Mono(7), Wall(5)));
        assert_eq!((event.source, event.priority), (EventSource::Action, Some(INFORMATIONAL)));
        assert_eq!(event.gpu, Some(GpuId("GPU-1".into())));
        assert_eq!(log.read_new("b").unwrap(), []);
    }

    #[test]
    fn a_log_that_was_rotated_is_read_from_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let mut log = AuditLog::new(Root::Live, path.display().to_string());
        std::fs::write(&path, line("one", "b", "done") + "\n").unwrap();
        assert_eq!(log.read_new("b").unwrap().len(), 1);
        std::fs::rename(&path, directory.path().join("audit.jsonl.1")).unwrap();
        std::fs::write(&path, line("two", "b", "failed") + "\n").unwrap();
        let events = log.read_new("b").unwrap();
        assert_eq!(
            events.iter().map(|event| (&*event.text, event.priority)).collect::<Vec<_>>(),
            [("two", Some(WARNING))]
        );
    }
}
