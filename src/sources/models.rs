//! Model files. Readers of headers stream: no length or count that a file states is allocated before its bytes
//! were read, and no more than a bounded part of a file is read.

mod at;
mod bounded;
mod cache;
mod config_json;
mod config_keys;
mod describe;
mod folder;
mod found;
mod gguf;
mod hub;
mod mounts;
mod ollama;
mod parts;
mod places;
mod plain;
mod safetensors;
mod scan;
mod tree;
mod types;
mod uses;
mod worker;

pub use at::model_at;
pub use config_json::{ModelConfig, read_config};
pub use describe::describe;
pub use gguf::read_gguf;
pub use places::StoreEnvironment;
pub use safetensors::read_safetensors;
pub use scan::{Belongs, FileIndex, Scanned};
pub use uses::UseWatcher;
pub use worker::{ModelScanner, SCAN_PATIENCE, scan_in_steps, scan_once};

/// Why a file is not read as a model.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// It ends early or could not be read.
    #[error("the header cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is not what its name says, or states what no such file can hold.
    #[error("not a {format} file: {message}")]
    Invalid {
        /// `GGUF` or `safetensors`.
        format: &'static str,
        /// What is wrong.
        message: String,
    },
}
