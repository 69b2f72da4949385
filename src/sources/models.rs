//! Model files. Readers of headers stream: no length or count that a file states is allocated before its bytes
//! were read, and no more than a bounded part of a file is read.

mod gguf;
mod safetensors;

pub use gguf::read_gguf;
pub use safetensors::read_safetensors;

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
