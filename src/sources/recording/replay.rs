//! Playing a recording: one record after the other, and from any time on.

use super::RecordingError;
use super::block::Span;
use super::reader::{Damage, Position, RecordingReader};
use crate::model::{Deriver, Record, Snapshot};
use crate::units::Mono;
use std::path::Path;
use std::time::Duration;

/// How many folds are kept to go on from. One of eight GPUs with an hour of history takes about 6 MiB.
const CHECKPOINTS: usize = 8;
/// No two checkpoints are closer than this: refolding it takes well under 0.2 s.
const SPACING: Duration = Duration::from_secs(300);
/// A fold holds at most an hour of anything but "since when": so much before its target a seek refolds at most.
const WARM_UP: Duration = Duration::from_secs(2 * 3_600);

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the first sample at that time or after; to the last one for a later time.
    At(Mono),
    /// To the sample of that number in the recording, from 0; to the last one for a greater number.
    Sample(u64),
}

/// A place in a recording that can be moved.
#[derive(Debug)]
pub struct ReplayCursor {
    reader: RecordingReader,
    /// Read by a seek to see what it is, and to be given out next.
    pending: Option<Record>,
    /// Samples before the one that is given out next.
    samples: u64,
    newest: Option<Mono>,
    /// The fold of everything that was given out or passed over: what checkpoints are made of.
    fold: Box<Deriver>,
    /// The block that the newest record read is in.
    block: Position,
    checkpoints: Vec<Checkpoint>,
}

/// The fold of everything before a block.
#[derive(Debug)]
struct Checkpoint {
    position: Position,
    at: Mono,
    deriver: Box<Deriver>,
}

impl ReplayCursor {
    /// A cursor at the start of a recording.
    #[must_use]
    pub fn new(reader: RecordingReader) -> Self {
        let block = reader.position();
        Self {
            reader,
            pending: None,
            samples: 0,
            newest: None,
            fold: Box::default(),
            block,
            checkpoints: Vec::new(),
        }
    }

    /// Opens a recording at its start.
    ///
    /// # Errors
    /// As for [`RecordingReader::open`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        RecordingReader::open(path).map(Self::new)
    }

    /// The next record; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "a cursor that is moved in between is no iterator")]
    pub fn next(&mut self) -> Option<Record> {
        let record = self.pending.take().or_else(|| self.read())?;
        self.pass(record.clone());
        Some(record)
    }

    /// The next record of the recording; a fold is kept where a block begins.
    fn read(&mut self) -> Option<Record> {
        let record = self.reader.next_record()?;
        let position = self.reader.position();
        if position != self.block {
            self.block = position;
            self.keep(position);
        }
        Some(record)
    }

    fn pass(&mut self, record: Record) {
        if let Record::Sample(sample) = &record {
            self.samples += 1;
            self.newest = Some(sample.mono);
        }
        let _snapshot: Option<Snapshot> = self.fold.push(record);
    }

    /// What the recording covers.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.reader.span()
    }

    /// Where the recording is damaged, as far as is known yet.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        self.reader.damage()
    }

    /// Time of the sample that was given out last.
    #[must_use]
    pub const fn newest(&self) -> Option<Mono> {
        self.newest
    }

    /// Time from the first sample of the recording to the one that was given out last.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.newest.map_or(Duration::ZERO, |newest| newest.since(self.span().first))
    }

    /// Goes to `at`; see [`seek`](Self::seek).
    pub fn seek_to(&mut self, at: Mono) -> Box<Deriver> {
        self.seek(Target::At(at))
    }

    /// Goes `by` samples on (or back) from the one that was given out last; see [`seek`](Self::seek).
    pub fn seek_by(&mut self, by: i64) -> Box<Deriver> {
        self.seek(Target::Sample(self.samples.saturating_sub(1).saturating_add_signed(by)))
    }

    /// Goes to a sample: [`next`](Self::next) gives it, and the fold that is returned has seen what comes before it,
    /// as if the recording had been played from its start (from two hours before, where it is longer than that: what
    /// is older shows only as an earlier "since").
    pub fn seek(&mut self, target: Target) -> Box<Deriver> {
        let last = self.span().last;
        let target = match target {
            Target::At(at) => Target::At(at.min(last)),
            Target::Sample(number) => Target::Sample(number.min(self.span().samples.saturating_sub(1))),
        };
        match self.refold(target) {
            Ok(deriver) => deriver,
            // The sample is in damage that the index does not know of: the last one before it, then.
            Err(Some(found)) => self.refold(Target::At(found)).unwrap_or_default(),
            Err(None) => Box::default(),
        }
    }

    /// Folds up to the sample before the target. `Err` with the time of the last sample there is if none meets it.
    fn refold(&mut self, target: Target) -> Result<Box<Deriver>, Option<Mono>> {
        let goal = match target {
            Target::At(at) => self.reader.position_at(at),
            Target::Sample(number) => self.reader.position_of(number).0,
        };
        let (start, fold) = self.start_for(goal);
        self.reader.seek(start);
        self.samples = self.reader.samples_before(start);
        self.pending = None;
        self.newest = None;
        self.fold = fold;
        self.block = start;
        while let Some(record) = self.read() {
            if let Record::Sample(sample) = &record {
                let met = match target {
                    Target::At(at) => sample.mono >= at,
                    Target::Sample(number) => self.samples >= number,
                };
                if met {
                    self.pending = Some(record);
                    return Ok(self.fold.clone());
                }
            }
            self.pass(record);
        }
        Err(self.newest)
    }

    /// The nearest checkpoint at or before `goal`, or a fresh fold where that would be too far away.
    fn start_for(&self, goal: Position) -> (Position, Box<Deriver>) {
        let warm = self.reader.warm_start(goal, WARM_UP);
        let nearest = self.checkpoints.iter().rfind(|checkpoint| checkpoint.position <= goal);
        match nearest {
            Some(checkpoint) if checkpoint.position >= warm => {
                (checkpoint.position, checkpoint.deriver.clone())
            }
            _ => (warm, Box::default()),
        }
    }

    /// Keeps a fold, if none near it is kept; drops the one that is missed least when there are too many.
    fn keep(&mut self, position: Position) {
        let Some(at) = self.newest else { return };
        let near = |other: &Checkpoint| at.since(other.at).max(other.at.since(at)) < SPACING;
        if self.checkpoints.iter().any(near) || at.since(self.span().first) < SPACING {
            return;
        }
        let index = self.checkpoints.partition_point(|other| other.position < position);
        let deriver = self.fold.clone();
        self.checkpoints.insert(index, Checkpoint { position, at, deriver });
        if self.checkpoints.len() > CHECKPOINTS {
            // The one whose neighbours lie closest together; the first and the last stay.
            let gap = |window: &[Checkpoint]| match window {
                [before, _, after] => after.at.since(before.at),
                _ => Duration::MAX,
            };
            let least = self.checkpoints.windows(3).enumerate().min_by_key(|(_, window)| gap(window));
            if let Some((before, _)) = least {
                self.checkpoints.remove(before + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sample;
    use crate::sources::recording::RecordingWriter;
    use crate::units::Wall;

    /// A recording of so many hours, a sample a minute.
    fn hours(hours: u64) -> (tempfile::TempDir, ReplayCursor) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.kgtop");
        let mut writer = RecordingWriter::create(&path, false).unwrap();
        for minute in 0..=hours * 60 {
            let mono = Mono(minute * 60_000_000);
            let sample = Sample { mono, wall: Wall(i64::try_from(mono.0).unwrap()), ..Sample::default() };
            writer.write(&Record::Sample(Box::new(sample))).unwrap();
            if writer.is_due(mono) {
                writer.flush().unwrap();
            }
        }
        writer.flush().unwrap();
        (directory, ReplayCursor::open(&path).unwrap())
    }

    #[test]
    fn play_keeps_folds_to_go_back_to() {
        let (_directory, mut cursor) = hours(3);
        while cursor.next().is_some() {}
        assert_eq!(cursor.elapsed(), Duration::from_secs(3 * 3_600));
        assert_eq!(cursor.checkpoints.len(), CHECKPOINTS);
        // From everywhere in the second half the next fold is near: nothing close to two hours is folded again.
        for minute in 90..180 {
            let target = Mono(minute * 60_000_000);
            let before = cursor.checkpoints.iter().rfind(|checkpoint| checkpoint.at <= target);
            let distance = target.since(before.unwrap().at);
            assert!(distance <= Duration::from_secs(45 * 60), "{distance:?} before minute {minute}");
        }
    }
}
