//! From bytes to records: by pieces as they come ([`Decoder`]), or from anything that can be read ([`Reader`]).

use super::{DecodeError, decode};
use crate::model::Record;
use std::fmt;
use std::io::{self, BufRead};

/// The longest line that is taken: a hundred times the largest sample that a rig makes.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Where in a stream something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the line, from 1.
    pub line: u64,
    /// Bytes before the line.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (byte {})", self.line, self.offset)
    }
}

/// Why a line gave no record. All but [`Io`](Self::Io) and [`CutOff`](Self::CutOff) concern one line; what
/// follows can still be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Reading failed.
    #[error("{at}: {source}")]
    Io {
        /// Where.
        at: Place,
        /// Why.
        source: io::Error,
    },
    /// The line has more than [`MAX_LINE_BYTES`].
    #[error("{at}: the line has more than {} MiB", MAX_LINE_BYTES >> 20)]
    TooLong {
        /// Where.
        at: Place,
    },
    /// The line is not UTF-8.
    #[error("{at}: not UTF-8")]
    NotText {
        /// Where.
        at: Place,
    },
    /// The last line has no end, and is no whole record: the writer was stopped in its middle.
    #[error("{at}: the last line is cut off after {bytes} bytes")]
    CutOff {
        /// Where the line begins.
        at: Place,
        /// How much of it is there.
        bytes: usize,
    },
    /// The line is no record.
    #[error("{at}: {error}")]
    Line {
        /// Where.
        at: Place,
        /// Why.
        error: DecodeError,
    },
}

impl ReadError {
    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Io { at, .. }
            | Self::TooLong { at }
            | Self::NotText { at }
            | Self::CutOff { at, .. }
            | Self::Line { at, .. } => *at,
        }
    }
}

/// Cuts bytes into lines and lines into records, without reading anything itself.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out already.
    used: usize,
    /// Bytes of the buffer in which no line end was found yet.
    searched: usize,
    /// The line that begins at `used`.
    at: Place,
    /// A line that is too long is being thrown away.
    skipping: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self { at: Place { line: 1, offset: 0 }, ..Self::default() }
    }

    /// Takes the next bytes of the stream. Call [`next_record`](Self::next_record) until it gives `None` in between.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.searched -= self.used;
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record of what was pushed; `None` when more bytes are needed. Kinds that this version does not
    /// know are skipped.
    pub fn next_record(&mut self) -> Option<Result<Record, ReadError>> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return self.refuse_endless_line();
            };
            let end = self.searched + end + 1;
            let at = self.at;
            let line = self.buffer.get(self.used..end).unwrap_or_default();
            let result = if std::mem::take(&mut self.skipping) { None } else { read_line(line, at) };
            self.at = Place { line: at.line + 1, offset: at.offset + line.len() as u64 };
            self.used = end;
            self.searched = end;
            if result.is_some() {
                return result;
            }
        }
    }

    /// The record in the last line of a stream that ends without a line end.
    pub fn finish(&mut self) -> Option<Result<Record, ReadError>> {
        let line = self.buffer.get(self.used..).unwrap_or_default();
        let bytes = line.len();
        let at = self.at;
        let result = if self.skipping { None } else { read_line(line, at) };
        self.at.offset += bytes as u64;
        self.used = self.buffer.len();
        self.searched = self.used;
        match result {
            Some(Err(ReadError::Line { error: DecodeError::NotJson(_), .. } | ReadError::NotText { .. })) => {
                Some(Err(ReadError::CutOff { at, bytes }))
            }
            other => other,
        }
    }

    /// Where the next line begins.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.at
    }

    fn refuse_endless_line(&mut self) -> Option<Result<Record, ReadError>> {
        let pending = self.buffer.len() - self.used;
        if !self.skipping && pending <= MAX_LINE_BYTES {
            return None;
        }
        // What is thrown away still counts for the places of what follows.
        let at = self.at;
        self.at.offset += pending as u64;
        self.buffer.clear();
        self.used = 0;
        self.searched = 0;
        let first = !std::mem::replace(&mut self.skipping, true);
        first.then_some(Err(ReadError::TooLong { at }))
    }
}

/// `None` for a line that is to be skipped.
fn read_line(line: &[u8], at: Place) -> Option<Result<Record, ReadError>> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(Err(ReadError::NotText { at })) };
    decode(text).map_err(|error| ReadError::Line { at, error }).transpose()
}

/// Reads records from anything that can be read: a pipe, a plain recording, a decompressor.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    decoder: Decoder,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// A reader of a stream from its start.
    pub fn new(input: R) -> Self {
        Self { input, decoder: Decoder::new(), ended: false }
    }

    /// Where the next line begins.
    pub const fn place(&self) -> Place {
        self.decoder.place()
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(result) = self.decoder.next_record() {
                return Some(result);
            }
            if self.ended {
                return None;
            }
            let taken = match self.input.fill_buf() {
                Ok(bytes) => {
                    self.decoder.push(bytes);
                    bytes.len()
                }
                Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    self.ended = true;
                    return Some(Err(ReadError::Io { at: self.decoder.place(), source }));
                }
            };
            self.input.consume(taken);
            if taken == 0 {
                self.ended = true;
                return self.decoder.finish();
            }
        }
    }
}
