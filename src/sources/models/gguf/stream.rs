//! The values of a GGUF header as they stream by.

use super::invalid;
use crate::sources::models::{HeaderError, types};
use std::io::{BufReader, Read};
use std::sync::Arc;

/// Keys and the texts that are kept; a chat template is longer and is skipped.
const TEXT_AT_MOST: u64 = 4_096;
/// Layers in an array of one value per layer; vocabularies are longer and are skipped.
pub(super) const ARRAY_AT_MOST: u64 = 1_024;
/// `GGML_MAX_DIMS`.
const DIMENSIONS_AT_MOST: u32 = 4;

/// A value that is used.
pub(super) enum Value {
    Number(u64),
    Text(Arc<str>),
    Numbers(Vec<u64>),
    Other,
}

pub(super) struct Stream<R>(pub(super) BufReader<R>);

impl<R: Read> Stream<R> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, HeaderError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, HeaderError> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn skip(&mut self, length: u64) -> Result<(), HeaderError> {
        let skipped = std::io::copy(&mut (&mut self.0).take(length), &mut std::io::sink())?;
        if skipped == length { Ok(()) } else { Err(invalid("it ends within its header")) }
    }

    /// A text; a long one is skipped.
    pub(super) fn text(&mut self) -> Result<Option<Arc<str>>, HeaderError> {
        let length = self.u64()?;
        if length > TEXT_AT_MOST {
            self.skip(length)?;
            return Ok(None);
        }
        let mut bytes = Vec::new();
        (&mut self.0).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(invalid("it ends within its header"));
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into()))
    }

    pub(super) fn value(&mut self, kind: u32) -> Result<Value, HeaderError> {
        match kind {
            8 => return Ok(self.text()?.map_or(Value::Other, Value::Text)),
            9 => return self.array(),
            _ => {}
        }
        let size = size_of(kind)?;
        self.number(size)
            .map(|number| if kind == 6 || kind == 12 { Value::Other } else { Value::Number(number) })
    }

    /// The same of a value that is not used: nothing of it is kept.
    pub(super) fn skip_value(&mut self, kind: u32) -> Result<(), HeaderError> {
        match kind {
            8 => {
                let length = self.u64()?;
                self.skip(length)
            }
            9 => {
                let (kind, length) = (self.u32()?, self.u64()?);
                self.skip_array(kind, length)
            }
            _ => self.skip(size_of(kind)?),
        }
    }

    fn skip_array(&mut self, kind: u32, length: u64) -> Result<(), HeaderError> {
        if kind == 8 {
            for _ in 0..length {
                let text = self.u64()?;
                self.skip(text)?;
            }
            return Ok(());
        }
        let bytes = length.checked_mul(size_of(kind)?);
        self.skip(bytes.ok_or_else(|| invalid("an array longer than any file"))?)
    }

    fn number(&mut self, size: u64) -> Result<u64, HeaderError> {
        Ok(match size {
            1 => u64::from(u8::from_le_bytes(self.bytes()?)),
            2 => u64::from(u16::from_le_bytes(self.bytes()?)),
            4 => u64::from(self.u32()?),
            _ => self.u64()?,
        })
    }

    fn array(&mut self) -> Result<Value, HeaderError> {
        let (kind, length) = (self.u32()?, self.u64()?);
        if kind == 8 || length > ARRAY_AT_MOST {
            return self.skip_array(kind, length).map(|()| Value::Other);
        }
        let size = size_of(kind)?;
        (0..length).map(|_| self.number(size)).collect::<Result<_, _>>().map(Value::Numbers)
    }

    /// Type, elements and bytes of the next tensor.
    pub(super) fn tensor(&mut self) -> Result<(&'static str, u64, u64), HeaderError> {
        let _name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS_AT_MOST {
            return Err(invalid(format!("a tensor of {dimensions} dimensions")));
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            elements =
                elements.checked_mul(self.u64()?).ok_or_else(|| invalid("a tensor larger than any file"))?;
        }
        let kind = self.u32()?;
        let _offset = self.u64()?;
        let (name, block, bytes) =
            types::ggml(kind).ok_or_else(|| invalid(format!("tensor type {kind} is not known")))?;
        let bytes =
            (elements / block).checked_mul(bytes).ok_or_else(|| invalid("a tensor larger than any file"))?;
        Ok((name, elements, bytes))
    }
}

/// Bytes of a value of fixed size.
fn size_of(kind: u32) -> Result<u64, HeaderError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(invalid(format!("value type {kind} is not known"))),
    }
}
