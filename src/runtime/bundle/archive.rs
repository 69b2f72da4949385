//! A tar archive (POSIX ustar) in gzip, made in memory: what is written to the disk is whole or not there.

use crate::units::Wall;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const BLOCK: usize = 512;
/// For its owner alone, as the file itself.
const MODE: u64 = 0o600;
/// Longest name in the header's own field.
const NAME_AT_MOST: usize = 100;

pub(super) struct Archive {
    packed: GzEncoder<Vec<u8>>,
    seconds: u64,
}

impl Archive {
    pub(super) fn new(now: Wall) -> Self {
        let seconds = u64::try_from(now.0 / 1_000_000).unwrap_or(0);
        Self { packed: GzEncoder::new(Vec::new(), Compression::fast()), seconds }
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) {
        let header = header(name, bytes.len() as u64, self.seconds);
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        // Writing to memory does not fail.
        let _in_memory = self
            .packed
            .write_all(&header)
            .and_then(|()| self.packed.write_all(bytes))
            .and_then(|()| self.packed.write_all(&vec![0; padding]));
    }

    /// The whole file; two blocks of zeros end it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let _in_memory = self.packed.write_all(&[0; 2 * BLOCK]);
        self.packed.finish().unwrap_or_default()
    }
}

/// Fields of `struct posix_header` (pax(1)): offset, and octal numbers that a zero byte ends.
fn header(name: &str, size: u64, seconds: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let name = name.as_bytes();
    put(&mut block, 0, name.get(..NAME_AT_MOST).unwrap_or(name));
    put(&mut block, 100, format!("{MODE:07o}").as_bytes());
    put(&mut block, 108, b"0000000");
    put(&mut block, 116, b"0000000");
    put(&mut block, 124, format!("{size:011o}").as_bytes());
    put(&mut block, 136, format!("{seconds:011o}").as_bytes());
    put(&mut block, 156, b"0");
    put(&mut block, 257, b"ustar\x0000");
    // The sum counts its own field as spaces.
    put(&mut block, 148, b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}
