//! Finding the samples in plain lines without decoding them.

use super::block::Span;
use super::data::Block;
use crate::units::{Mono, Wall};
use std::io::{self, BufRead, BufReader, Read};

/// A block of plain lines is closed at this size.
const BLOCK_BYTES: u64 = 256 << 10;
/// The times stand within this many bytes of a sample's line.
const LOOKED_AT: usize = 512;

/// Cuts lines into blocks and notes what samples they hold.
#[derive(Default)]
pub(super) struct LineScan {
    blocks: Vec<Block>,
    block: Option<Block>,
    at: u64,
    /// The first bytes of the line in the making.
    line: Vec<u8>,
    /// The last byte that was seen.
    last: u8,
}

impl LineScan {
    /// Reads to the end, or to where reading fails.
    pub(super) fn read(&mut self, input: &mut impl Read) -> io::Result<()> {
        let mut input = BufReader::with_capacity(64 << 10, input);
        loop {
            let bytes = match input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                return Ok(());
            }
            let taken = bytes.len();
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                self.piece(piece);
            }
            input.consume(taken);
        }
    }

    /// The blocks of what was read. A last line without a line end counts if `whole` and if it may be one.
    pub(super) fn finish(mut self, whole: bool) -> Vec<Block> {
        if whole && self.last == b'}' {
            self.end_line();
        }
        self.blocks.extend(self.block.take());
        self.blocks
    }

    fn piece(&mut self, piece: &[u8]) {
        let at = self.at;
        let block = self.block.get_or_insert_with(|| Block { at, length: 0, span: Span::default() });
        block.length += piece.len() as u64;
        self.at += piece.len() as u64;
        self.last = piece.last().copied().unwrap_or_default();
        let room = LOOKED_AT.saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if piece.ends_with(b"\n") {
            self.end_line();
            if self.block.is_some_and(|block| block.length >= BLOCK_BYTES) {
                self.blocks.extend(self.block.take());
            }
        }
    }

    fn end_line(&mut self) {
        if let (Some(block), Some((mono, wall))) = (&mut self.block, sample_times(&self.line)) {
            block.span.add(mono, wall);
        }
        self.line.clear();
    }
}

/// The times of a sample's line, from its first bytes; `None` for other records.
fn sample_times(line: &[u8]) -> Option<(Mono, Wall)> {
    if !line.starts_with(b"{\"kind\":\"sample\",") {
        return None;
    }
    let number = |name: &[u8]| {
        let at = line.windows(name.len()).position(|window| window == name)? + name.len();
        let rest = line.get(at..)?;
        let end = rest.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'-'))?;
        std::str::from_utf8(rest.get(..end)?).ok()?.parse::<i64>().ok()
    };
    let mono = u64::try_from(number(b"\"mono_us\":")?).ok()?;
    Some((Mono(mono), Wall(number(b"\"wall_us\":")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_across_pieces_and_blocks() {
        let mut text = String::from("{\"kind\":\"header\",\"mono_us\":1,\"wall_us\":2}\n");
        for n in 0..4_000 {
            let sample = format!(
                "{{\"kind\":\"sample\",\"sequence\":{n},\"mono_us\":{},\"wall_us\":-{n},\"x\":\"",
                n * 10
            );
            text += &sample;
            text += &"y".repeat(200);
            text += "\"}\n";
        }
        let mut scan = LineScan::default();
        scan.read(&mut text.as_bytes()).unwrap();
        let blocks = scan.finish(true);
        assert!(blocks.len() > 3);
        assert_eq!(blocks.iter().map(|block| block.length).sum::<u64>(), text.len() as u64);
        let mut all = Span::default();
        for block in &blocks {
            assert!(text.as_bytes()[block.at as usize] == b'{');
            all.extend(&block.span);
        }
        assert_eq!((all.samples, all.first, all.last), (4_000, Mono(0), Mono(39_990)));
        assert_eq!(all.last_wall, Wall(-3_999));
    }
}
