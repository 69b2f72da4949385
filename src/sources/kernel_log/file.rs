//! Saved logs: plain or gzip, line by line in constant memory.

use super::filter::may_matter;
use super::stamp::{self, Calendar, split};
use super::text;
use crate::model::{EventSource, RawEvent};
use crate::units::{Mono, Wall};
use flate2::bufread::MultiGzDecoder;
use jiff::tz::TimeZone;
use std::io::{self, BufRead, BufReader, Read};

/// Of a line longer than this only the beginning is read.
const LINE_AT_MOST: u64 = 64 << 10;
/// Read at once.
const BUFFER: usize = 64 << 10;
/// What a gzip that breaks off loses of what it had unpacked already.
const UNPACKED: usize = 4 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How a saved log is read.
#[derive(Clone, Debug)]
pub struct Saved {
    /// What the events say of where they were read.
    pub source: EventSource,
    /// Local time of stamps without a zone.
    pub zone: TimeZone,
    /// Now, for stamps without a year.
    pub now: Wall,
    /// When the machine booted, where the log is one of this boot: turns one kind of stamp into the other.
    pub boot: Option<Wall>,
}

/// What was not read as it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Lines of which only the beginning was read.
    pub long_lines: u64,
    /// Lines with bytes that are no UTF-8, of those that matter.
    pub not_utf8: u64,
    /// Why reading ended before the end.
    pub broken: Option<String>,
    /// There were lines, and not one of them had the stamp of a kernel log or a message that is known.
    pub no_log: bool,
}

impl Skipped {
    /// In words; `None` if nothing was skipped.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.no_log {
            parts.push("no line of it is one of a kernel log".to_owned());
        }
        if self.long_lines > 0 {
            parts.push(format!("{} lines over {} KiB were cut", self.long_lines, LINE_AT_MOST >> 10));
        }
        if self.not_utf8 > 0 {
            parts.push(format!("{} lines had bytes that are no UTF-8 (replaced)", self.not_utf8));
        }
        if let Some(broken) = &self.broken {
            parts.push(format!("the end is missing: {broken}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// A saved log cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("nothing of it can be read: {0}")]
pub struct FileError(#[from] io::Error);

/// Reads a log and gives each line that may matter. Gzip is recognised by its first bytes. What cannot be read
/// is skipped and counted.
///
/// # Errors
/// When the first byte cannot be read.
pub fn read_saved(
    reader: impl Read,
    how: &Saved,
    each: &mut dyn FnMut(RawEvent),
) -> Result<Skipped, FileError> {
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let packed = reader.fill_buf()?.starts_with(&GZIP);
    Ok(if packed {
        let unpacked = BufReader::with_capacity(UNPACKED, MultiGzDecoder::new(reader));
        lines(unpacked, how, each)
    } else {
        lines(reader, how, each)
    })
}

fn lines(mut reader: impl BufRead, how: &Saved, each: &mut dyn FnMut(RawEvent)) -> Skipped {
    let mut skipped = Skipped::default();
    let calendar = Calendar { zone: how.zone.clone(), now: how.now };
    let mut line = Vec::with_capacity(1 << 10);
    let mut known = false;
    loop {
        line.clear();
        let read = (&mut reader).take(LINE_AT_MOST).read_until(b'\n', &mut line);
        // What came before the break is a line all the same.
        if let Err(error) = &read {
            skipped.broken = Some(error.to_string());
        }
        if line.is_empty() {
            return skipped;
        }
        if read.as_ref().is_ok_and(|read| *read as u64 == LINE_AT_MOST) && !line.ends_with(b"\n") {
            skipped.long_lines += 1;
            if let Err(error) = reader.skip_until(b'\n') {
                skipped.broken = Some(error.to_string());
            }
        }
        known = known || has_stamp(&line);
        if let Some(event) = event(&line, how, &calendar) {
            known = true;
            skipped.not_utf8 += u64::from(event.text.contains(char::REPLACEMENT_CHARACTER));
            each(event);
        }
        skipped.no_log = !known;
        if skipped.broken.is_some() {
            return skipped;
        }
    }
}

/// Whether a line begins as those of dmesg, of the journal and of syslog do.
fn has_stamp(line: &[u8]) -> bool {
    let split = split(line);
    // `<p>` of a web page is no priority.
    let priority = split.priority.is_some_and(|number| number.iter().all(u8::is_ascii_digit));
    split.mono.is_some() || split.wall.is_some() || split.micros.is_some() || priority
}

/// The event of a line, if it may be one.
pub(super) fn event(line: &[u8], how: &Saved, calendar: &Calendar) -> Option<RawEvent> {
    let split = split(line);
    if !may_matter(split.text) {
        return None;
    }
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
    let micros = split.micros.and_then(number).map(Mono);
    let mut at = micros.or_else(|| split.mono.and_then(stamp::mono));
    let mut wall = split.wall.and_then(|stamp| stamp::wall(stamp, calendar));
    if let Some(boot) = how.boot {
        wall = wall.or_else(|| Some(Wall(boot.0.checked_add(i64::try_from(at?.0).ok()?)?)));
        at = at.or_else(|| u64::try_from(wall?.0.checked_sub(boot.0)?).ok().map(Mono));
    }
    let priority = split.priority.and_then(number);
    let facility = priority.map(|priority| u16::try_from(priority >> 3).unwrap_or(u16::MAX));
    // syslog's facility of user programs.
    const USER: u16 = 1;
    Some(RawEvent {
        at: at.unwrap_or_default(),
        wall: wall.unwrap_or_default(),
        source: how.source,
        priority: priority.and_then(|priority| u8::try_from(priority & 7).ok()),
        facility: if split.user_space { Some(USER) } else { facility },
        gpu: None,
        text: text(split.text),
    })
}
