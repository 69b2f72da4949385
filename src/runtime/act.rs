//! Carrying plans out. Everything goes one way: a plan is made (`command`), confirmed, given to a child
//! (`kgtop act --plan -`), checked again there against facts read anew, locked, written to the audit log, sent, read
//! back, and written down again.
//!
//! | file | holds |
//! |---|---|
//! | `command` | `kgtop act …`: arguments to plans, confirmation, exit status |
//! | `execute` | the child: preconditions again, the one send, the read-back |
//! | `preflight` | what a plan on the screen needs of this host |
//! | `host` | facts of this host, and who holds a device file |
//! | `signal` | signals and niceness, through a pidfd and a proof |
//! | `audit`, `lock` | the log, and one action per GPU at a time |

mod audit;
mod command;
mod execute;
mod host;
mod lock;
mod preflight;
mod signal;

pub(super) use command::run;
pub(super) use preflight::{Reader, without_a_word};

use crate::sources::root::Root;
use std::path::PathBuf;

/// Where an action reads and writes: below `--root` in all, or on this machine.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where `/proc` and `/sys` are read.
    pub(super) root: Root,
    /// The audit log.
    pub(super) audit: PathBuf,
    /// The locks.
    pub(super) locks: PathBuf,
    /// The NVML library to load; `None`: the system's.
    pub(super) library: Option<PathBuf>,
}
