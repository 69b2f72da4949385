//! The journal's copy of the kernel log, through `journalctl` in a child.

use super::filter::may_matter;
use super::{kmsg, text};
use crate::model::{EventSource, RawEvent};
use crate::units::{Mono, Wall};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The journal cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no `journalctl`.
    #[error("journalctl cannot be started: {0}")]
    Start(#[source] std::io::Error),
    /// This user sees no kernel messages in it.
    #[error("the journal shows no kernel messages to this user (join the group systemd-journal or adm)")]
    Empty,
}

/// A line of JSON that is longer is no kernel message.
const LINE_AT_MOST: u64 = 1 << 20;

/// A journal that is followed. Dropping it ends the child.
#[derive(Debug)]
pub struct Journal {
    child: Child,
    lines: BufReader<ChildStdout>,
    line: Vec<u8>,
    said_anything: bool,
}

impl Journal {
    /// Starts to follow this boot's kernel messages, those before included.
    ///
    /// # Errors
    /// When `journalctl` is not there, or shows nothing to this user.
    pub fn follow() -> Result<Self, JournalError> {
        Self::follow_by(JOURNALCTL)
    }

    /// The same, by that command in the place of `journalctl`.
    ///
    /// # Errors
    /// When it cannot be started, or shows nothing.
    pub fn follow_by(command: &[&str]) -> Result<Self, JournalError> {
        let ask = |arguments: &[&str]| start(command, arguments).map_err(JournalError::Start);
        let mut probe = ask(&["-q", "-k", "-o", "cat", "-n", "1"])?;
        let said = probe.lines.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        drop(probe);
        if !said {
            return Err(JournalError::Empty);
        }
        ask(&["-q", "-k", "-o", "json", "-f", "--no-tail"])
    }

    /// Reads what the journal has of one boot, then ends: 0 is this boot, -1 the one before.
    ///
    /// # Errors
    /// When `journalctl` is not there.
    pub fn of_boot(boot: i32) -> Result<Self, JournalError> {
        let boot = format!("--boot={boot}");
        start(JOURNALCTL, &["-q", "-k", &boot, "-o", "json"]).map_err(JournalError::Start)
    }

    /// Whether there was any kernel message at all, of those read so far.
    #[must_use]
    pub const fn said_anything(&self) -> bool {
        self.said_anything
    }

    /// Waits for the next line that may matter; `None` when the journal ended.
    pub fn read_next(&mut self) -> Option<RawEvent> {
        loop {
            self.line.clear();
            let read = (&mut self.lines).take(LINE_AT_MOST).read_until(b'\n', &mut self.line).ok()?;
            if read == 0 {
                return None;
            }
            self.said_anything = true;
            if !self.line.ends_with(b"\n") {
                self.lines.skip_until(b'\n').ok()?;
                continue;
            }
            if let Some(event) = event(&self.line) {
                return Some(event);
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The command that reads the journal.
const JOURNALCTL: &[&str] = &["journalctl"];

/// Starts the command, so that it ends with the thread that started it: a collector leaves without a farewell.
fn start(command: &[&str], arguments: &[&str]) -> std::io::Result<Journal> {
    let run = |before: &[&str]| {
        let mut words = before.iter().chain(command).chain(arguments);
        let program = words.next().ok_or(std::io::ErrorKind::InvalidInput)?;
        Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    };
    let mut child = match run(&["setpriv", "--pdeathsig", "KILL"]) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => run(&[])?,
        other => other?,
    };
    let Some(stdout) = child.stdout.take() else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
    Ok(Journal { child, lines: BufReader::new(stdout), line: Vec::new(), said_anything: false })
}

/// One JSON object of the journal.
fn event(line: &[u8]) -> Option<RawEvent> {
    let object: Value = serde_json::from_slice(line).ok()?;
    let member = |name: &str| object.get(name).and_then(Value::as_str);
    let bytes;
    let message = match object.get("MESSAGE")? {
        Value::String(text) => text.as_bytes(),
        // Bytes that are no UTF-8 come as numbers.
        Value::Array(numbers) => {
            bytes = numbers.iter().filter_map(|n| u8::try_from(n.as_u64()?).ok()).collect::<Vec<u8>>();
            &bytes
        }
        _ => return None,
    };
    if !may_matter(message) {
        return None;
    }
    let since_boot = member("_SOURCE_MONOTONIC_TIMESTAMP").or_else(|| member("__MONOTONIC_TIMESTAMP"));
    let wall = member("__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok());
    Some(RawEvent {
        at: since_boot.and_then(kmsg::micros).unwrap_or(Mono(0)),
        wall: Wall(wall.unwrap_or_default()),
        source: EventSource::Journal,
        priority: member("PRIORITY").and_then(|text| text.parse().ok()),
        facility: member("SYSLOG_FACILITY").and_then(|text| text.parse().ok()).or(Some(0)),
        gpu: None,
        text: text(message),
    })
}
