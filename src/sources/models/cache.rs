//! Headers that were read before, by what tells one state of a file from another.

use super::tree::Tree;
use super::{HeaderError, found::WeightFile, found::format_of, read_gguf, read_safetensors};
use crate::model::{ModelFormat, ModelHeader};
use crate::sources::root::FileStat;
use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

/// More headers are not kept; a header takes some hundred bytes.
const HEADERS_AT_MOST: usize = 8_192;

/// Device, inode, size and time of the last change.
type Key = (u64, u64, u64, i64);

const fn key(stat: &FileStat) -> Key {
    (stat.device, stat.inode, stat.size, stat.modified_ns)
}

/// What a header was, or why it could not be read.
pub(super) type Outcome = Result<Arc<ModelHeader>, Arc<str>>;

#[derive(Clone, Debug)]
struct Entry {
    outcome: Outcome,
    /// Access time before kgtop read the header, and after.
    accessed: (i64, i64),
    /// The scan that used it last.
    scan: u64,
}

/// The cache, shared with threads that may be given up; it is locked for no read.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderCache(Arc<Mutex<HashMap<Key, Entry>>>);

impl HeaderCache {
    /// The header of a file, read unless it is known.
    pub(super) fn header(&self, tree: &Tree<'_>, file: &WeightFile, scan: u64) -> Outcome {
        let key = key(&file.stat);
        if let Some(entry) = self.lock().get_mut(&key) {
            entry.scan = scan;
            return entry.outcome.clone();
        }
        let outcome = read(tree, file);
        let after = tree.stat(&file.path).map_or(file.stat.accessed_ns, |stat| stat.accessed_ns);
        let mut all = self.lock();
        if all.len() < HEADERS_AT_MOST {
            let accessed = (file.stat.accessed_ns, after);
            all.insert(key, Entry { outcome: outcome.clone(), accessed, scan });
        }
        outcome
    }

    /// When somebody other than kgtop read the file last.
    pub(super) fn accessed(&self, stat: &FileStat) -> i64 {
        let all = self.lock();
        let own = all.get(&key(stat)).filter(|entry| entry.accessed.1 == stat.accessed_ns);
        own.map_or(stat.accessed_ns, |entry| entry.accessed.0)
    }

    /// Forgets what the scan of that number did not use.
    pub(super) fn retain(&self, scan: u64) {
        self.lock().retain(|_, entry| entry.scan == scan);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(tree: &Tree<'_>, file: &WeightFile) -> Outcome {
    let opened = tree.open(&file.path).map_err(|absence| absence.to_string())?;
    let bytes = File::from(opened);
    let header: Result<ModelHeader, HeaderError> = match format_of(&file.path) {
        Some(ModelFormat::Safetensors) => read_safetensors(bytes, file.stat.size),
        _ => read_gguf(bytes),
    };
    let header = header.map_err(|error| error.to_string())?;
    if header.weights.0 > file.stat.size {
        let stated = header.weights.0;
        return Err(
            format!("it ends early: {stated} bytes of tensors in a file of {}", file.stat.size).into()
        );
    }
    Ok(Arc::new(header))
}
