//! Events as they were read: raw lines. What they mean is `analysis`' business, so that an old recording gains
//! from a better catalogue.

use super::GpuId;
use crate::units::{Mono, Wall};
use std::sync::Arc;

/// Where an event was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSource {
    /// `/dev/kmsg`
    Kmsg,
    /// The systemd journal.
    Journal,
    /// A saved log file.
    File,
    /// An NVML event set.
    Nvml,
    /// kgtop's own action, from its audit log.
    Action,
}

/// One event as read.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEvent {
    /// When it happened, on the monotonic clock, where the source says (kmsg does).
    pub at: Mono,
    /// When it happened, for people.
    pub wall: Wall,
    /// Where it was read.
    pub source: EventSource,
    /// syslog priority (0 emergency to 7 debug), where the source has it.
    pub priority: Option<u8>,
    /// syslog facility: 0 is the kernel; anything else was written by user space.
    pub facility: Option<u16>,
    /// The GPU, where the source names it (NVML events).
    pub gpu: Option<GpuId>,
    /// The text, without stamp and priority. NVML events print as `Xid <code>`,
    /// with `GPU-I:nn GPU-CI:nn` after it on a MIG instance.
    pub text: Arc<str>,
}
