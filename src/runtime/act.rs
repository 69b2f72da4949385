//! Carrying plans out. Everything goes one way: a plan is made (`command`), confirmed, given to a child
//! (`kgtop act --plan -`), checked again there against facts read anew, locked, written to the audit log, sent, read
//! back, and written down again.
//!
//! | file | holds |
//! |---|---|
//! | `command` | `kgtop act …`: arguments to plans, confirmation, exit status |
//! | `execute` | the child: which way a plan goes |
//! | `setting` | what the driver library sets: preconditions again, the one send, the read-back |
//! | `away` | reset and last resorts: everybody off the GPU, the steps, its health after |
//! | `mig` | MIG instances, through nvidia-smi |
//! | `process` | signals and niceness |
//! | `facts` | plans for GPUs, from a collector's snapshot and a look at who has the GPU open |
//! | `preflight` | what a plan on the screen needs of this host |
//! | `host` | facts of this host, and of one process |
//! | `smi`, `trust` | running nvidia-smi, and what root may load and run |
//! | `signal` | signals and niceness, through a pidfd and a proof |
//! | `audit`, `lock` | the log, and one action per GPU at a time |

mod audit;
mod away;
mod command;
mod execute;
mod facts;
mod host;
mod lock;
mod mig;
mod preflight;
mod process;
mod setting;
mod signal;
mod smi;
mod trust;

pub(super) use command::{place, run};
pub(super) use preflight::{Reader, without_a_word};
pub(super) use trust::trusted;

use crate::sources::root::Root;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where an action reads and writes: below `--root` in all, or on this machine.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where `/proc` and `/sys` are read.
    pub(super) root: Root,
    /// The audit log.
    pub(super) audit: PathBuf,
    /// The audit logs that can be read here: root's, and the user's.
    pub(super) audits: Vec<PathBuf>,
    /// The locks.
    pub(super) locks: PathBuf,
    /// The NVML library to load; `None`: the system's.
    pub(super) library: Option<PathBuf>,
    /// The arguments with which this program becomes a collector of the same place.
    pub(super) collector: Vec<OsString>,
    /// The directory of nvidia-smi and sudo, where it was named.
    pub(super) tools: Option<PathBuf>,
    /// Whether last resorts may be carried out.
    pub(super) last_resort: bool,
}
