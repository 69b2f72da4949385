//! JSON of which no text is longer than any that a header needs: a parser keeps a whole text in memory, and whoever
//! wrote the file chooses how long it is.

use std::io::{Error, ErrorKind, Read, Result};

/// Training tools put whole tables into one text of `__metadata__`, of up to some MB.
const TEXT_AT_MOST: usize = 4 << 20;

/// Hands the bytes on until a text is too long.
pub(super) struct Bounded<R> {
    inner: R,
    /// Bytes of the text so far, within one.
    text: Option<usize>,
    /// The byte before was a backslash that counts.
    escaped: bool,
}

impl<R> Bounded<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, text: None, escaped: false }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.inner.read(buffer)?;
        for byte in buffer.iter().take(read) {
            self.text = match (self.text, byte) {
                (None, b'"') => Some(0),
                (None, _) => None,
                (Some(_), b'"') if !self.escaped => None,
                (Some(TEXT_AT_MOST), _) => {
                    return Err(Error::new(ErrorKind::InvalidData, "a text of more than 4 MiB"));
                }
                (Some(length), _) => Some(length + 1),
            };
            self.escaped = self.text.is_some() && *byte == b'\\' && !self.escaped;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(json: &[u8]) -> bool {
        std::io::copy(&mut Bounded::new(json), &mut std::io::sink()).is_ok()
    }

    #[test]
    fn a_text_that_does_not_end_is_refused_and_many_are_not() {
        let long = |length: usize| [&b"{\""[..], &vec![b'x'; length], b"\":1}"].concat();
        assert!(ends(&long(TEXT_AT_MOST)));
        assert!(!ends(&long(TEXT_AT_MOST + 1)));
        assert!(ends(&br#""a\"b\\""#.repeat(TEXT_AT_MOST / 4)));
        assert!(!ends(&[&b"\""[..], &br#"\""#.repeat(TEXT_AT_MOST)].concat()));
    }
}
