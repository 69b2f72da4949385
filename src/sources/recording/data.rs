//! What a recording is read from, and how it falls into blocks.

use super::block::{self, CUT_OFF, PREFIX, Span};
use super::scan::LineScan;
use crate::stream::MAX_LINE_BYTES;
use flate2::read::MultiGzDecoder;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Bytes that can be read from any place: a file, or a recording that is part of the program.
pub trait Data: Read + Seek + Send {}

impl<T: Read + Seek + Send> Data for T {}

/// No block of ours grows near this; a length beyond it is damage, and is not believed with memory.
const LARGEST_BLOCK: u64 = 4 * MAX_LINE_BYTES as u64;
/// How every gzip member begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A piece of a recording that is read at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Where it begins: in the file, or in what a foreign file decompresses to.
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) span: Span,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) offset: u64,
    pub(super) why: String,
}

/// The bytes of a recording, by how they are packed.
pub(super) enum Store {
    /// Blocks of our own.
    Members(Box<dyn Data>),
    /// Lines as they are.
    Plain(Box<dyn Data>),
    /// Lines that somebody else compressed: can only be read from the start.
    Foreign(Box<Foreign>),
}

impl Store {
    /// Finds out how the data is packed and which blocks it has. Reads what that needs and no more: the first bytes
    /// of each block of our own, or all of another file.
    pub(super) fn open(mut data: Box<dyn Data>) -> io::Result<(Self, Vec<Block>, Option<Fault>)> {
        let first = prefix(&mut data, 0)?;
        data.seek(SeekFrom::Start(0))?;
        let mut scan = LineScan::default();
        if !first.starts_with(&GZIP_MAGIC) {
            scan.read(&mut data)?;
            return Ok((Self::Plain(data), scan.finish(true), None));
        }
        // A first block that is cut off before its own data still looks like anybody's gzip: no difference is made.
        if block::parse(&first).is_some() {
            let (blocks, fault) = members(&mut data)?;
            return Ok((Self::Members(data), blocks, fault));
        }
        let mut foreign = Foreign::new(data);
        let fault = foreign.scan(&mut scan)?;
        let blocks = scan.finish(fault.is_none());
        Ok((Self::Foreign(Box::new(foreign)), blocks, fault))
    }

    /// The lines of a block, as far as they can be read.
    pub(super) fn read(&mut self, block: &Block) -> (Vec<u8>, Option<Fault>) {
        let mut lines = Vec::new();
        let length = block.length.min(LARGEST_BLOCK);
        let result = match self {
            Self::Members(data) => member(data, block.at, length).and_then(|member| {
                let (readable, result) = block::decompress(&member);
                lines = readable;
                result.map(|()| lines.len()).map_err(io::Error::other)
            }),
            Self::Plain(data) => data
                .seek(SeekFrom::Start(block.at))
                .and_then(|_position| data.take(length).read_to_end(&mut lines)),
            Self::Foreign(foreign) => foreign.read(block.at, length, &mut lines),
        };
        let fault = result.err().map(|error| Fault { offset: block.at, why: damage(&error) });
        (lines, fault)
    }
}

/// A compressed file without blocks of its own. Reading backwards starts over.
pub(super) struct Foreign {
    decoder: Option<MultiGzDecoder<BufReader<Box<dyn Data>>>>,
    /// How much was decompressed.
    at: u64,
}

impl Foreign {
    fn new(data: Box<dyn Data>) -> Self {
        Self { decoder: Some(MultiGzDecoder::new(BufReader::new(data))), at: 0 }
    }

    fn scan(&mut self, scan: &mut LineScan) -> io::Result<Option<Fault>> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(None) };
        let failed = scan.read(&mut decoder).err();
        let mut data = decoder.into_inner();
        let fault = match failed {
            Some(error) => Some(Fault { offset: data.stream_position()?, why: damage(&error) }),
            None => None,
        };
        data.seek(SeekFrom::Start(0))?;
        self.decoder = Some(MultiGzDecoder::new(data));
        Ok(fault)
    }

    fn read(&mut self, at: u64, length: u64, lines: &mut Vec<u8>) -> io::Result<usize> {
        let mut decoder = self.decoder.take().ok_or_else(|| io::Error::other("could not be read before"))?;
        if at < self.at {
            let mut data = decoder.into_inner();
            data.seek(SeekFrom::Start(0))?;
            decoder = MultiGzDecoder::new(data);
            self.at = 0;
        }
        let decoder = self.decoder.insert(decoder);
        self.at += io::copy(&mut decoder.by_ref().take(at - self.at), &mut io::sink())?;
        let result = decoder.by_ref().take(length).read_to_end(lines);
        self.at += lines.len() as u64;
        result
    }
}

fn prefix(data: &mut Box<dyn Data>, at: u64) -> io::Result<Vec<u8>> {
    data.seek(SeekFrom::Start(at))?;
    let mut prefix = Vec::with_capacity(PREFIX);
    data.take(PREFIX as u64).read_to_end(&mut prefix)?;
    Ok(prefix)
}

/// Goes from block to block. The last one may be cut off; what can be read of it is a block too.
fn members(data: &mut Box<dyn Data>) -> io::Result<(Vec<Block>, Option<Fault>)> {
    let end = data.seek(SeekFrom::End(0))?;
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < end {
        let Some((length, span)) = block::parse(&prefix(data, at)?) else {
            let why = if end - at < PREFIX as u64 { CUT_OFF } else { "no block begins here" };
            return Ok((blocks, Some(Fault { offset: at, why: why.into() })));
        };
        if at + length > end {
            let mut span = Span::default();
            let mut scan = LineScan::default();
            scan.read(&mut block::decompress(&member(data, at, end - at)?).0.as_slice())?;
            for piece in scan.finish(false) {
                span.extend(&piece.span);
            }
            blocks.push(Block { at, length: end - at, span });
            return Ok((blocks, Some(Fault { offset: end, why: CUT_OFF.into() })));
        }
        blocks.push(Block { at, length, span });
        at += length;
    }
    Ok((blocks, None))
}

fn member(data: &mut Box<dyn Data>, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut member = Vec::new();
    data.seek(SeekFrom::Start(at))?;
    data.take(length.min(LARGEST_BLOCK)).read_to_end(&mut member)?;
    Ok(member)
}

fn damage(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CUT_OFF.into(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("damaged data ({error})"),
        _ => error.to_string(),
    }
}
