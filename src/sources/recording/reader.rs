//! Reading a recording block by block.

use super::RecordingError;
use super::block::CUT_OFF;
use super::block::Span;
use super::data::{Block, Data, Fault, Store};
use crate::model::{Header, Inventory, Record};
use crate::stream::{DecodeError, Decoder, ReadError};
use crate::units::{Mono, Wall};
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Where a recording is damaged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Bytes before it: in the file for a recording, in what it decompresses to for another compressed stream.
    pub offset: u64,
    /// Time of the last sample that could be read before it.
    pub after: Option<(Mono, Wall)>,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged at byte {}", self.offset)?;
        if let Some((_, wall)) = self.after
            && let Ok(time) = jiff::Timestamp::from_microsecond(wall.0)
        {
            write!(f, ", after {time:.0}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// No more damage than this is listed.
const LISTED: usize = 100;

/// A block of a recording: what a reader can go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub(super) usize);

/// Reads a recording from any of its blocks on. Holds one block in memory, and 56 bytes for each that there is.
pub struct RecordingReader {
    store: Store,
    blocks: Vec<Block>,
    span: Span,
    /// The block after the one being read.
    next: usize,
    current: Option<Current>,
    /// Where the block being read begins.
    base: u64,
    /// The last sample that was given out.
    newest: Option<(Mono, Wall)>,
    header: Option<Header>,
    inventory: Option<Box<Inventory>>,
    damage: Vec<Damage>,
}

struct Current {
    decoder: Decoder,
    /// What becomes of the block after its readable lines.
    fault: Option<Fault>,
}

impl fmt::Debug for RecordingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingReader")
            .field("blocks", &self.blocks.len())
            .field("span", &self.span)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl RecordingReader {
    /// Opens a recording: of kgtop, or plain or compressed lines.
    ///
    /// # Errors
    /// It cannot be read, holds no record, or needs a newer kgtop.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path);
        let file = file.map_err(|source| RecordingError::Open { path: path.to_owned(), source })?;
        Self::from_data(Box::new(file), &path.display().to_string())
    }

    /// Reads a recording from anywhere; `name` is only named in errors.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_data(data: Box<dyn Data>, name: &str) -> Result<Self, RecordingError> {
        let not_a_recording = |why: String| RecordingError::NotARecording { name: name.into(), why };
        let (store, blocks, fault) =
            Store::open(data).map_err(|source| RecordingError::Open { path: name.into(), source })?;
        let mut span = Span::default();
        for block in &blocks {
            span.extend(&block.span);
        }
        let mut reader = Self {
            store,
            blocks,
            span,
            next: 0,
            current: None,
            base: 0,
            newest: None,
            header: None,
            inventory: None,
            damage: Vec::new(),
        };
        match reader.step() {
            Some(Ok(_record)) => {}
            Some(Err(ReadError::Line { error: error @ DecodeError::NewerFormat { .. }, .. })) => {
                return Err(RecordingError::NewerFormat { name: name.into(), error });
            }
            Some(Err(error)) if reader.span.samples == 0 => return Err(not_a_recording(error.to_string())),
            Some(Err(_)) => {}
            None => {
                let why = fault.map_or_else(|| "it is empty".into(), |fault| fault.why);
                return Err(not_a_recording(why));
            }
        }
        reader.seek(Position(0));
        reader.damage.clear();
        if let Some(fault) = fault {
            let after = (reader.span.samples > 0).then_some((reader.span.last, reader.span.last_wall));
            reader.damage.push(Damage { offset: fault.offset, after, why: fault.why });
        }
        Ok(reader)
    }

    /// What the recording covers.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Where it is damaged: what opening found (a cut-off end) and what reading met so far.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The next record. Damage costs the lines or the block that it is in, and is added to
    /// [`damage`](Self::damage). A header or inventory that only repeats the one before is left out.
    pub fn next_record(&mut self) -> Option<Record> {
        loop {
            let record = match self.step()? {
                Ok(record) => record,
                Err(error) => {
                    self.note_line(&error);
                    continue;
                }
            };
            match &record {
                Record::Header(header) => {
                    if self.header.as_ref() == Some(header) {
                        continue;
                    }
                    self.header = Some(header.clone());
                }
                Record::Inventory(inventory) => {
                    if self.inventory.as_ref() == Some(inventory) {
                        continue;
                    }
                    self.inventory = Some(inventory.clone());
                }
                Record::Sample(sample) => self.newest = Some((sample.mono, sample.wall)),
                _ => {}
            }
            return Some(record);
        }
    }

    /// Goes to the start of a block; the header and inventory that stand there are given out again.
    pub fn seek(&mut self, position: Position) {
        self.next = position.0;
        self.current = None;
        self.newest = None;
        self.header = None;
        self.inventory = None;
    }

    /// The block being read.
    pub(super) const fn position(&self) -> Position {
        Position(if self.current.is_some() { self.next.saturating_sub(1) } else { self.next })
    }

    /// The last block that begins at `mono` or before; the first block for an earlier time.
    #[must_use]
    pub fn position_at(&self, mono: Mono) -> Position {
        let sampled = |block: &Block| block.span.samples > 0;
        let position = self.blocks.iter().rposition(|block| sampled(block) && block.span.first <= mono);
        Position(position.unwrap_or(0))
    }

    /// The block that holds the sample of that number, from 0, and the number of samples before it.
    pub(super) fn position_of(&self, sample: u64) -> (Position, u64) {
        let mut before = 0;
        for (index, block) in self.blocks.iter().enumerate() {
            if sample < before + block.span.samples {
                return (Position(index), before);
            }
            before += block.span.samples;
        }
        (Position(self.blocks.len()), before)
    }

    /// The first block that reaches into the time `before` the start of `goal`.
    pub(super) fn warm_start(&self, goal: Position, before: Duration) -> Position {
        let goal_at = self.blocks.get(goal.0).map_or(self.span.last, |block| block.span.first);
        let reaches = |block: &Block| block.span.samples > 0 && goal_at.since(block.span.last) <= before;
        Position(self.blocks.iter().take(goal.0).position(reaches).unwrap_or(0))
    }

    /// Samples before a block.
    pub(super) fn samples_before(&self, position: Position) -> u64 {
        self.blocks.iter().take(position.0).map(|block| block.span.samples).sum()
    }

    /// The next line's record, or what is wrong with it; goes from block to block.
    fn step(&mut self) -> Option<Result<Record, ReadError>> {
        loop {
            let Some(current) = &mut self.current else {
                let block = *self.blocks.get(self.next)?;
                self.next += 1;
                let (lines, fault) = self.store.read(&block);
                let mut decoder = Decoder::new();
                decoder.push(&lines);
                self.base = block.at;
                self.current = Some(Current { decoder, fault });
                continue;
            };
            if let Some(result) = current.decoder.next_record() {
                return Some(result);
            }
            // What stands behind the last line end of a block that broke off is no line of the recording.
            let last = if current.fault.is_none() { current.decoder.finish() } else { None };
            let fault = self.current.take().and_then(|current| current.fault);
            if let Some(Fault { offset, why }) = fault {
                self.note(offset, why);
            }
            if last.is_some() {
                return last;
            }
        }
    }

    fn note_line(&mut self, error: &ReadError) {
        // Within a compressed block no place is one of the file.
        let within = if matches!(self.store, Store::Members(_)) { 0 } else { error.place().offset };
        let offset = self.base + within;
        let why = match error {
            ReadError::CutOff { .. } => CUT_OFF.into(),
            ReadError::Line { error, .. } => error.to_string(),
            other => other.to_string(),
        };
        self.note(offset, why);
    }

    fn note(&mut self, offset: u64, why: String) {
        // Met again after going back, or found when the file was opened. A file of nothing but damage is not listed.
        let same = |damage: &Damage| damage.offset == offset || (damage.why == why && why == CUT_OFF);
        if !self.damage.iter().any(same) && self.damage.len() < LISTED {
            self.damage.push(Damage { offset, after: self.newest, why });
        }
    }
}
