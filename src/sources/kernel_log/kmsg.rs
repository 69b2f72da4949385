//! `/dev/kmsg`, or a file or pipe in its place under a root.

use super::file::{Saved, event};
use super::stamp::Calendar;
use super::{KMSG, filter, stamp};
use crate::model::{Absence, EventSource, RawEvent};
use crate::sources::root::Root;
use crate::units::{Clock, Wall};
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};

/// A record of kmsg is at most 8 KiB (`CONSOLE_EXT_LOG_MAX`); of a pipe this much is read at once.
const BUFFER: usize = 64 << 10;
/// A line of a pipe that is longer than this is cut.
const LINE_AT_MOST: usize = 1 << 20;

/// The kernel log cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum KmsgError {
    /// It cannot be opened.
    #[error("/dev/kmsg {}", why(.0))]
    Open(Absence),
    /// It cannot be read.
    #[error("/dev/kmsg cannot be read: {0}")]
    Read(#[from] Errno),
}

/// Why it cannot be opened.
fn why(absence: &Absence) -> String {
    match absence {
        Absence::NotSupported => "is not there".to_owned(),
        Absence::NoPermission => "may not be read by this user (kernel.dmesg_restrict)".to_owned(),
        other => format!("cannot be opened: {}", other.label()),
    }
}

/// What the next read gave.
#[derive(Debug)]
pub enum Next {
    /// A line that may matter.
    Event(RawEvent),
    /// The kernel wrote faster than this was read: lines are missing.
    Overrun,
    /// Nothing more for now.
    Idle,
}

/// A kernel log that is followed.
#[derive(Debug)]
pub struct Kmsg {
    fd: OwnedFd,
    /// One read is one record, as the device gives it; else lines of a byte stream.
    device: bool,
    /// A plain file ends; a pipe and the device do not.
    ends: bool,
    how: Saved,
    calendar: Calendar,
    clock: Clock,
    buffer: Vec<u8>,
    rest: Vec<u8>,
    /// The rest of a line that was cut is dropped up to its end.
    cut: bool,
    ready: VecDeque<RawEvent>,
}

impl Kmsg {
    /// Opens the log below `root`, at its oldest record.
    ///
    /// # Errors
    /// When it is not there, or this user may not read it (`dmesg_restrict` without `CAP_SYSLOG`).
    pub fn open(root: &Root, clock: Clock) -> Result<Self, KmsgError> {
        let fd = root.open_file(KMSG).map_err(KmsgError::Open)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
        let fd = if kind == FileType::Fifo { held_open(fd) } else { fd };
        let device = kind == FileType::CharacterDevice;
        let now = (clock.wall)();
        let zone = TimeZone::system();
        Ok(Self {
            fd,
            device,
            ends: kind == FileType::RegularFile,
            how: Saved { source: EventSource::Kmsg, zone: zone.clone(), now, boot: None },
            calendar: Calendar { zone, now },
            clock,
            buffer: vec![0; BUFFER],
            rest: Vec::new(),
            cut: false,
            ready: VecDeque::new(),
        })
    }

    /// The next line that may matter, without waiting.
    ///
    /// # Errors
    /// When the log cannot be read any more (kmsg answers `EPERM` where reading is not allowed).
    pub fn read_next(&mut self) -> Result<Next, KmsgError> {
        self.read_next_by(|fd, buffer| rustix::io::read(fd, buffer))
    }

    /// The same, by that way of reading.
    pub(super) fn read_next_by(
        &mut self,
        mut read: impl FnMut(&OwnedFd, &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<Next, KmsgError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Next::Event(event));
            }
            match read(&self.fd, &mut self.buffer) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(Next::Idle),
                Ok(length) => self.take(length),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE) => return Ok(Next::Overrun),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits until there is more to read; sleeps in the kernel meanwhile. `false`: there will never be more.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn wait(&self) -> Result<bool, KmsgError> {
        if self.ends {
            return Ok(false);
        }
        loop {
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], None) {
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn take(&mut self, length: usize) {
        // Times since boot become times of day by what the clocks say now.
        let (mono, wall) = ((self.clock.mono)(), (self.clock.wall)());
        // A file in its place is of another boot.
        let boot = wall.0.saturating_sub(i64::try_from(mono.0).unwrap_or(0));
        self.how.boot = (!self.ends).then_some(Wall(boot));
        (self.how.now, self.calendar.now) = (wall, wall);
        let bytes = self.buffer.get(..length).unwrap_or_default();
        if self.device {
            // Lines after the first are the record's properties.
            let record = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let record = unescaped(record);
            self.ready.extend(event(&record, &self.how, &self.calendar));
            return;
        }
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if std::mem::take(&mut self.cut) {
                continue;
            }
            if let Some(mut event) = event(&line, &self.how, &self.calendar) {
                // A line that somebody wrote into the pipe without a stamp happened now.
                if event.wall == Wall::default() && !self.ends {
                    (event.at, event.wall) = (mono, wall);
                }
                self.ready.push_back(event);
            }
        }
        if self.rest.len() > LINE_AT_MOST {
            self.rest.clear();
            self.cut = true;
        }
    }
}

/// A pipe that this process could write to as well never ends when its last writer leaves.
fn held_open(fd: OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).unwrap_or(fd)
}

/// kmsg writes bytes that are not printable as `\x1b`.
fn unescaped(record: &[u8]) -> Vec<u8> {
    if !filter::contains(record, b"\\x") {
        return record.to_vec();
    }
    let mut bytes = Vec::with_capacity(record.len());
    let mut rest = record;
    while let Some((first, after)) = rest.split_first() {
        let code = after.strip_prefix(b"x").and_then(|hex| hex.get(..2)).and_then(hex_byte);
        match (first, code) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

fn hex_byte(hex: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

/// Microseconds since boot that a line carries, for the journal.
pub(super) fn micros(text: &str) -> Option<crate::units::Mono> {
    text.parse().ok().map(crate::units::Mono).or_else(|| stamp::mono(text.as_bytes()))
}
