//! One block: a gzip member whose header says how long it is and what it covers.
//!
//! The extra field (RFC 1952, section 2.3.1.1) holds one subfield `KG` of [`EXTRA_LENGTH`] bytes, little endian:
//! length of the member (u32), samples in it (u32), monotonic and wall clock of its first and its last sample (four
//! times 64 bits, µs).

use crate::units::{Mono, Wall};
use flate2::{Compression, Crc, Decompress, FlushDecompress, GzBuilder, Status};
use std::io::{self, Write};
use std::time::Duration;

/// Bytes of a gzip header without its optional fields.
const GZIP_HEADER: usize = 10;
/// Bytes of the subfield's data.
const EXTRA_LENGTH: usize = 40;
/// Id and length before the subfield's data.
const EXTRA: usize = EXTRA_LENGTH + 4;
/// Where the subfield's data begins in a member: after the header, the extra field's length, id and length.
const DATA_AT: usize = GZIP_HEADER + 2 + 4;
/// A member's bytes up to the end of its extra field.
pub(super) const PREFIX: usize = DATA_AT + EXTRA_LENGTH;
/// Bit 2 of the flags: an extra field follows.
const FEXTRA: u8 = 4;

/// Checksum and length behind the data.
const TRAILER: usize = 8;
/// No block of ours unpacks to more: what does is no block.
const LARGEST: usize = 64 << 20;

pub(super) const CUT_OFF: &str = "the file is cut off";
const DAMAGED: &str = "damaged data";

/// What samples cover: their number, and the first and last one's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// How many samples.
    pub samples: u64,
    /// The first, by the monotonic clock.
    pub first: Mono,
    /// The last, by the monotonic clock.
    pub last: Mono,
    /// The first, for people.
    pub first_wall: Wall,
    /// The last, for people.
    pub last_wall: Wall,
}

impl Span {
    /// Adds one sample.
    pub(super) const fn add(&mut self, mono: Mono, wall: Wall) {
        if self.samples == 0 {
            self.first = mono;
            self.first_wall = wall;
        }
        self.last = mono;
        self.last_wall = wall;
        self.samples += 1;
    }

    /// Adds what comes after it.
    pub(super) const fn extend(&mut self, later: &Self) {
        if self.samples == 0 {
            *self = *later;
        } else if later.samples > 0 {
            self.last = later.last;
            self.last_wall = later.last_wall;
            self.samples += later.samples;
        }
    }

    /// Time from the first sample to the last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.last.since(self.first)
    }
}

/// Compresses `lines` into one member.
pub(super) fn compress(lines: &str, span: &Span) -> io::Result<Vec<u8>> {
    let mut extra = Vec::with_capacity(EXTRA);
    extra.extend_from_slice(b"KG");
    extra.extend_from_slice(&(EXTRA_LENGTH as u16).to_le_bytes());
    extra.extend_from_slice(&[0; 4]); // the length, known only afterwards
    extra.extend_from_slice(&u32::try_from(span.samples).unwrap_or(u32::MAX).to_le_bytes());
    extra.extend_from_slice(&span.first.0.to_le_bytes());
    extra.extend_from_slice(&span.last.0.to_le_bytes());
    extra.extend_from_slice(&span.first_wall.0.to_le_bytes());
    extra.extend_from_slice(&span.last_wall.0.to_le_bytes());
    let mut encoder = GzBuilder::new().extra(extra).write(Vec::new(), Compression::best());
    encoder.write_all(lines.as_bytes())?;
    let mut member = encoder.finish()?;
    let length =
        u32::try_from(member.len()).map_err(|_large| io::Error::other("block of more than 4 GiB"))?;
    if let Some(place) = member.get_mut(DATA_AT..DATA_AT + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(member)
}

/// What a member's first bytes say: its length and what it covers. `None` for a member of another writer.
pub(super) fn parse(prefix: &[u8]) -> Option<(u64, Span)> {
    let (header, data) = prefix.split_at_checked(DATA_AT)?;
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, len_low, len_high, b'K', b'G', sub_low, sub_high] = *header
    else {
        return None;
    };
    let ours = flags & FEXTRA != 0
        && usize::from(u16::from_le_bytes([len_low, len_high])) == EXTRA
        && usize::from(u16::from_le_bytes([sub_low, sub_high])) == EXTRA_LENGTH;
    if !ours {
        return None;
    }
    let word = |at: usize| Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let wall = |at: usize| Some(Wall(i64::from_le_bytes(*data.get(at..)?.first_chunk()?)));
    let span = Span {
        samples: u64::from(word(4)?),
        first: Mono(long(8)?),
        last: Mono(long(16)?),
        first_wall: wall(24)?,
        last_wall: wall(32)?,
    };
    // Shorter than its own header and trailer: not written by this module.
    let length = u64::from(word(0)?);
    (length >= (PREFIX + TRAILER) as u64).then_some((length, span))
}

/// Unpacks a member as far as it goes, and says why it goes no further. (The decoders of `flate2` lose what came
/// out together with an error.)
pub(super) fn decompress(member: &[u8]) -> (Vec<u8>, Result<(), &'static str>) {
    let mut lines = Vec::new();
    let Some(packed) = member.get(PREFIX..) else { return (lines, Err(CUT_OFF)) };
    let mut inflate = Decompress::new(false);
    loop {
        let used = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
        let rest = packed.get(used..).unwrap_or_default();
        lines.reserve(64 << 10);
        let before = lines.len();
        match inflate.decompress_vec(rest, &mut lines, FlushDecompress::None) {
            Ok(Status::StreamEnd) => break,
            _ if lines.len() > LARGEST => return (lines, Err(DAMAGED)),
            Ok(_) if lines.len() > before || inflate.total_in() > used as u64 => {}
            Ok(_) => return (lines, Err(CUT_OFF)),
            Err(_) => return (lines, Err(DAMAGED)),
        }
    }
    let used = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
    let Some(trailer) = packed.get(used..).and_then(|rest| rest.first_chunk::<TRAILER>()) else {
        return (lines, Err(CUT_OFF));
    };
    let mut crc = Crc::new();
    crc.update(&lines);
    let [a, b, c, d, ..] = *trailer;
    let result = if crc.sum() == u32::from_le_bytes([a, b, c, d]) { Ok(()) } else { Err(DAMAGED) };
    (lines, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_member_says_what_it_covers_and_any_gzip_reads_it() {
        let mut span = Span::default();
        span.add(Mono(5_000_000), Wall(1_700_000_000_000_000));
        span.add(Mono(9_000_000), Wall(1_700_000_004_000_000));
        let member = compress("{}\n{}\n", &span).unwrap();
        assert_eq!(parse(&member), Some((member.len() as u64, span)));
        assert_eq!(span.duration(), Duration::from_secs(4));
        let mut text = String::new();
        flate2::read::GzDecoder::new(member.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{}\n{}\n");
    }

    #[test]
    fn members_of_others_and_pieces_are_told_apart() {
        let mut other = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        other.write_all(b"{}\n").unwrap();
        assert_eq!(parse(&other.finish().unwrap()), None);
        let member = compress("{}\n", &Span::default()).unwrap();
        for cut in 0..PREFIX {
            assert_eq!(parse(&member[..cut]), None, "{cut}");
        }
    }
}
