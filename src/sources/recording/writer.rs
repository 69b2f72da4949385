//! Writing a recording.

use super::block::{self, Span};
use super::{RecordingError, Redactor};
use crate::model::{Header, Inventory, Record, StuckCall};
use crate::stream;
use crate::units::Mono;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A block holds at most this much, so that no more is lost when the process is killed.
const BLOCK: Duration = Duration::from_secs(5);
/// A block is also closed at this size: a burst of events must not grow it without bound.
const BLOCK_BYTES: usize = 4 << 20;

/// What a recording is written to.
pub trait RecordingSink: Write {
    /// Cuts what was written to `length` bytes and goes on from there.
    ///
    /// # Errors
    /// It cannot be cut (a pipe).
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl RecordingSink for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(|_position| ())
    }
}

/// What is safe in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Whole blocks, in bytes.
    pub bytes: u64,
    /// The samples in them.
    pub span: Span,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span.samples {
            0 => write!(f, "nothing was saved"),
            1 => write!(f, "1 sample was saved and can be replayed"),
            samples => write!(
                f,
                "{samples} samples over {} s were saved and can be replayed",
                self.span.duration().as_secs()
            ),
        }
    }
}

/// Writes a recording, a whole block at a time. Dropping it without [`flush`](Self::flush) loses the block in the
/// making: at most five seconds.
#[derive(Debug)]
pub struct RecordingWriter<S = File> {
    sink: S,
    path: PathBuf,
    redactor: Option<Redactor>,
    header: Option<Header>,
    inventory: Option<Box<Inventory>>,
    stuck: Vec<StuckCall>,
    /// Lines of the block in the making.
    lines: String,
    span: Span,
    interval: Duration,
    newest: Option<Mono>,
    saved: Saved,
    /// The file ends in a piece of a block that could not be cut off: nothing after it could be read.
    broken: bool,
}

impl RecordingWriter<File> {
    /// Begins a recording in a new file that only its owner may read. With `redact`, users, hosts, UUIDs, serial
    /// numbers, arguments and container ids are replaced, see [`Redactor`].
    ///
    /// # Errors
    /// The file exists, or cannot be made.
    pub fn create(path: &Path, redact: bool) -> Result<Self, RecordingError> {
        let open = |options: &mut OpenOptions| options.write(true).mode(0o600).open(path);
        let file = match open(OpenOptions::new().create_new(true)) {
            // A device or a named pipe is there to be written to; a file would be lost.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
                    return Err(RecordingError::Exists(path.to_owned()));
                }
                open(&mut OpenOptions::new())
            }
            other => other,
        };
        let file = file.map_err(|source| RecordingError::Open { path: path.to_owned(), source })?;
        Ok(Self::new(file, path, redact))
    }
}

impl<S: RecordingSink> RecordingWriter<S> {
    /// Begins a recording in an empty sink; `path` is only named in errors.
    pub fn new(sink: S, path: &Path, redact: bool) -> Self {
        Self {
            sink,
            path: path.to_owned(),
            redactor: redact.then(Redactor::default),
            header: None,
            inventory: None,
            stuck: Vec::new(),
            lines: String::new(),
            span: Span::default(),
            interval: Duration::from_secs(1),
            newest: None,
            saved: Saved::default(),
            broken: false,
        }
    }

    /// What is safe in the file.
    pub const fn saved(&self) -> Saved {
        self.saved
    }

    /// Takes one record; writes the block when it is full, which is when the next sample would make it longer than
    /// five seconds.
    ///
    /// # Errors
    /// The block could not be written: it is dropped, and what was saved before stays valid. Another record may
    /// be written afterwards (space was made), and then lies after a gap.
    pub fn write(&mut self, record: &Record) -> Result<(), RecordingError> {
        let redacted = self.redactor.as_mut().map(|redactor| redactor.redact(record.clone()));
        let record = redacted.as_ref().unwrap_or(record);
        // What a block begins with must not stand in it a second time.
        let opens = self.lines.is_empty();
        let repeated = self.retain(record);
        if opens {
            self.open_block();
        }
        if !(opens && repeated) {
            stream::encode(record, &mut self.lines);
        }
        if let Record::Sample(sample) = record {
            if let Some(newest) = self.newest
                && sample.mono > newest
            {
                self.interval = sample.mono.since(newest);
            }
            self.newest = Some(sample.mono);
            self.span.add(sample.mono, sample.wall);
        }
        // Samples come a little early or late: the next one is taken to come late.
        let next = self.span.duration() + self.interval + self.interval / 8;
        let full = next >= BLOCK && self.span.samples > 0;
        let ends = matches!(record, Record::Bye(_));
        if full || ends || self.lines.len() > BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Whether the block in the making is five seconds old at `now`: for a caller whose samples stopped coming.
    pub fn is_due(&self, now: Mono) -> bool {
        self.span.samples > 0 && now.since(self.span.first) >= BLOCK
    }

    /// Writes the block in the making, if there is one.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.write_block();
        self.lines.clear();
        let span = std::mem::take(&mut self.span);
        match written {
            Ok(bytes) => {
                self.saved.bytes += bytes;
                self.saved.span.extend(&span);
                Ok(())
            }
            Err(source) => Err(RecordingError::Write { path: self.path.clone(), source, saved: self.saved }),
        }
    }

    fn write_block(&mut self) -> io::Result<u64> {
        if self.broken {
            return Err(io::Error::other("the file ends in an unfinished block"));
        }
        let member = block::compress(&self.lines, &self.span)?;
        let written = self.sink.write_all(&member).and_then(|()| self.sink.flush());
        if let Err(error) = written {
            self.broken = self.sink.cut(self.saved.bytes).is_err();
            return Err(error);
        }
        Ok(member.len() as u64)
    }

    /// Keeps what each block begins with; says whether [`open_block`](Self::open_block) writes this record.
    fn retain(&mut self, record: &Record) -> bool {
        match record {
            Record::Header(header) => {
                self.interval = Duration::try_from_secs_f32(header.interval_seconds).unwrap_or(self.interval);
                self.header = Some(header.clone());
                // Another collector: what hung in the one before says nothing of this one.
                self.stuck.clear();
                true
            }
            Record::Inventory(inventory) => {
                self.inventory = Some(inventory.clone());
                true
            }
            Record::CallStuck(call) => {
                self.stuck.retain(|other| other.gpu != call.gpu || other.call != call.call);
                if !call.ended {
                    self.stuck.push(call.clone());
                }
                !call.ended
            }
            _ => false,
        }
    }

    fn open_block(&mut self) {
        let header = self.header.clone().map(Record::Header);
        let inventory = self.inventory.clone().map(Record::Inventory);
        let stuck = self.stuck.iter().cloned().map(Record::CallStuck);
        for record in header.into_iter().chain(inventory).chain(stuck) {
            stream::encode(&record, &mut self.lines);
        }
    }
}
