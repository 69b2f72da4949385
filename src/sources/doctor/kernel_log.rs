//! What the kernel said about modules that it refused and accesses that it denied. The events have their own source;
//! these lines are no events.

use super::gather::{Gather, shortened};
use crate::model::Reading;
use crate::sources::root::{Root, absence_of};
use rustix::io::Errno;
use std::sync::Arc;

const KMSG: &str = "/dev/kmsg";
/// A record of kmsg is at most 8 KiB; of a file in its place this much is read at once.
const BUFFER: usize = 64 << 10;
/// Of a file in its place this much is read.
const BYTES_AT_MOST: usize = 16 << 20;
/// Lines that are kept, the newest.
const LINES: usize = 40;

/// What a line that matters has in it: a group of words, all of them.
const TELLING: [&[&str]; 9] = [
    &["nvidia", "module verification failed"],
    &["unsigned module"],
    &["nvidia", "key was rejected"],
    &["nvidia", "required key not available"],
    &["nvidia", "disagrees about version of symbol"],
    &["nvidia", "version magic"],
    &["avc:", "denied", "nvidia"],
    &["nvrm: api mismatch"],
    &["nvrm: the nvidia probe routine"],
];

pub(super) fn read(gather: &mut Gather<'_>) {
    let lines = lines(gather.root);
    gather.put_lines(KMSG, lines);
}

fn lines(root: &Root) -> Reading<Vec<(u32, Arc<str>)>> {
    let file = root.open_file(KMSG)?;
    let mut buffer = vec![0_u8; BUFFER];
    let mut found: Vec<(u32, Arc<str>)> = Vec::new();
    let mut rest = Vec::new();
    let (mut number, mut bytes) = (0_u32, 0);
    while bytes < BYTES_AT_MOST {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => break,
            Ok(length) => {
                bytes += length;
                rest.extend_from_slice(buffer.get(..length).unwrap_or_default());
            }
            // The log was overrun: it goes on with the oldest record that is left.
            Err(Errno::INTR | Errno::PIPE) => continue,
            Err(errno) => return Err(absence_of(errno)),
        }
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            number = number.saturating_add(1);
            let line = String::from_utf8_lossy(&line);
            if let Some(text) = message(line.trim_end()).filter(|text| tells(text)) {
                found.push((number, shortened(text).into()));
            }
        }
        if rest.len() > BUFFER {
            rest.clear();
        }
    }
    if found.len() > LINES {
        found.drain(..found.len() - LINES);
    }
    Ok(found)
}

/// The text of a record `6,1234,5678,-;text`, unless somebody in user space wrote it.
fn message(line: &str) -> Option<&str> {
    let Some((head, text)) = line.split_once(';') else { return Some(line) };
    let mut parts = head.split(',');
    let Some(priority) = parts.next().and_then(|part| part.parse::<u32>().ok()) else { return Some(line) };
    // The facility stands above the three bits of the priority; 0 is the kernel.
    (priority >> 3 == 0 && parts.count() >= 2).then_some(text)
}

fn tells(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    TELLING.iter().any(|words| words.iter().all(|word| text.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_user_space_do_not_count() {
        assert_eq!(message("6,1,2,-;nvidia: x"), Some("nvidia: x"));
        assert_eq!(message("14,1,2,-;nvidia: x"), None);
        assert_eq!(message("nvidia: a; b"), Some("nvidia: a; b"));
        assert!(tells("audit: type=1400 avc:  denied  { read } comm=\"python3\" path=\"/dev/nvidia0\""));
        assert!(!tells("audit: type=1400 avc:  granted { read } path=\"/dev/nvidia0\""));
    }
}
