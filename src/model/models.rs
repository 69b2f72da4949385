//! Model stores as they were read: which models lie where, and which GPU process reads them.

use super::{ModelShape, ProcessKey, Reading};
use crate::units::{Bytes, BytesPerSecond, Mono, Percent, Wall};
use std::sync::Arc;
use std::time::Duration;

/// Whose layout a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// A Hugging Face cache (`models--ORG--NAME`).
    HuggingFace,
    /// An Ollama store (manifests and blobs).
    Ollama,
    /// A folder of GGUF and safetensors files.
    Folder,
}

impl StoreKind {
    /// The name on the screen.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::HuggingFace => "Hugging Face",
            Self::Ollama => "Ollama",
            Self::Folder => "folder",
        }
    }

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "hugging_face",
            Self::Ollama => "ollama",
            Self::Folder => "folder",
        }
    }
}

/// Format of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelFormat {
    /// safetensors.
    Safetensors,
    /// GGUF.
    Gguf,
}

impl ModelFormat {
    /// The name on the screen and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
        }
    }
}

/// A place that was looked through.
#[derive(Clone, Debug, PartialEq)]
pub struct StorePlace {
    /// Its layout.
    pub kind: StoreKind,
    /// Its directory.
    pub path: Arc<str>,
    /// Whose it is, where it is in a user's home.
    pub user: Option<Arc<str>>,
    /// Models found there; absent with the reason: no permission, a suspended pool, a path that does not answer.
    pub models: Reading<u64>,
    /// Downloads that did not end and belong to no model yet.
    pub unfinished: Unfinished,
}

/// Downloads that did not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Files.
    pub files: u64,
    /// Bytes that they take on disk.
    pub size: Bytes,
}

/// A model in a store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredModel {
    /// Name as its store has it (`meta-llama/Llama-3.1-8B-Instruct`, `llama3.2:3b`, a file's stem).
    pub name: Arc<str>,
    /// Other names of the same weights.
    pub aliases: Vec<Arc<str>>,
    /// Commit or digest.
    pub revision: Option<Arc<str>>,
    /// Layout of its store.
    pub store: StoreKind,
    /// Its directory, or its file where it is one.
    pub path: Arc<str>,
    /// Whose store it is.
    pub user: Option<Arc<str>>,
    /// Format of the weights.
    pub format: Reading<ModelFormat>,
    /// What headers and `config.json` say; not requested until they were read.
    pub shape: ModelShape,
    /// Files of weights that are here.
    pub files: u64,
    /// Files of weights that the model has in all, where some are missing.
    pub files_in_all: Option<u64>,
    /// Length of its files, blobs that several revisions or tags share counted once.
    pub size: Bytes,
    /// What they take on disk: less where files are sparse or compressed.
    pub on_disk: Bytes,
    /// Of these: files that no revision refers to.
    pub unreferenced: Bytes,
    /// Downloads that did not end.
    pub unfinished: Unfinished,
    /// When a file of weights was read last (access time).
    pub last_used: Reading<Wall>,
    /// What is mounted there (`rpool/ai/models`, `/dev/md0`).
    pub mount: Reading<Arc<str>>,
    /// Kind of file system (`zfs`, `ext4`).
    pub file_system: Reading<Arc<str>>,
}

/// All stores. A group of the sample: posted when it changed, and again from time to time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelStore {
    /// Where was looked.
    pub places: Vec<StorePlace>,
    /// The models, by name.
    pub models: Vec<StoredModel>,
    /// Whether everything was looked through and every header read.
    pub complete: bool,
    /// Models that were left out because there are too many.
    pub left_out: u64,
}

/// How a process has the files of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelAccess {
    /// Open, and read.
    Open,
    /// Mapped into its memory.
    Mapped,
}

/// A GPU process that has files of a model open or mapped.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelUse {
    /// Which process.
    pub key: ProcessKey,
    /// When it was looked at: what is not looked at again is handed over as it was.
    pub at: Mono,
    /// Path of the model as in [`StoredModel::path`], or of the first file where no store has it.
    pub path: Arc<str>,
    /// Name of the model.
    pub name: Arc<str>,
    /// How the process has it.
    pub access: ModelAccess,
    /// Files of it that the process has.
    pub files: u64,
    /// Files of weights that the model has; absent where no store knows it.
    pub files_of_model: Reading<u64>,
    /// Bytes of the files that the process has; absent where no store knows them.
    pub size: Reading<Bytes>,
    /// Sum of the file positions (`/proc/PID/fdinfo`), for files that are read.
    pub position: Reading<Bytes>,
    /// Mapped bytes that are resident (`/proc/PID/smaps`), for files that are mapped.
    pub resident: Reading<Bytes>,
    /// What the process has read in all, from files of any kind (`rchar` of `/proc/PID/io`).
    pub read: Reading<Bytes>,
    /// What is mounted where the files lie.
    pub mount: Reading<Arc<str>>,
}

/// A process that reads a model at this rate or faster is loading it: below, it looks at its header or tokeniser.
pub const LOADING_BYTES_PER_SECOND: f64 = 20e6;

/// What a rate of loading rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// File positions.
    Position,
    /// Resident pages of the mapping.
    Resident,
    /// Everything that the process reads.
    Process,
}

impl RateSource {
    /// What the screen and JSON say of it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Position => "file position",
            Self::Resident => "resident mapping",
            Self::Process => "reads of the process",
        }
    }
}

/// A use of a model, and how fast it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelLoad {
    /// The use as it was read.
    pub usage: ModelUse,
    /// How fast.
    pub rate: Reading<BytesPerSecond>,
    /// What the rate rests on.
    pub source: RateSource,
    /// Part of the model that was read; absent unless file positions or the mapping give it.
    pub done: Reading<Percent>,
    /// Time left at this rate, likewise.
    pub left: Reading<Duration>,
}

impl ModelLoad {
    /// Whether the process is loading the model now.
    #[must_use]
    pub fn loading(&self) -> bool {
        self.rate.as_ref().is_ok_and(|rate| rate.0 >= LOADING_BYTES_PER_SECOND)
    }
}
