//! The kernel log: `/dev/kmsg` or what stands in its place under a root, the journal where kmsg cannot be read, and
//! saved logs in every form that dmesg, journal and syslog print.
//!
//! Only lines that may matter to a GPU operator leave this module, as they were read; what they mean is the
//! analysis' business.

mod file;
mod filter;
mod journal;
mod kmsg;
mod stamp;

pub use file::{FileError, Saved, Skipped, read_saved};
pub use journal::{Journal, JournalError};
pub use kmsg::{Kmsg, KmsgError, Next};

/// Path of the kernel log below a root.
pub const KMSG: &str = "/dev/kmsg";

/// The text of a line that is kept: more is no driver's message. printk cuts its records at 1 KiB.
const TEXT_AT_MOST: usize = 4 << 10;

/// The text for an event; bytes that are no UTF-8 are replaced.
fn text(bytes: &[u8]) -> std::sync::Arc<str> {
    let bytes = bytes.trim_ascii_end();
    let bytes = bytes.get(..TEXT_AT_MOST).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into()
}

#[cfg(test)]
mod tests;
