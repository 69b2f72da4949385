//! The host's side of the processes that hold a GPU, from `/proc`.
//!
//! The driver names processes by their PID on the host. From inside a container the same number is another
//! process, or none: unless this `/proc` shows the host's PIDs ([`host_pids_visible`]) nothing of it is read.
//!
//! `/proc` blocks, too. What changes is read here from `stat` alone, which waits for no lock that a wedged process
//! may hold.

mod facts;
mod secrets;
mod stat;
mod users;
mod worker;

pub use facts::FactsReader;
pub use worker::{ABANDONED_AT_MOST, FactsWorker, StuckRead};

use super::host::ticks_to_ns;
use super::root::{Root, absence_of};
use crate::model::{Absence, HostProcess, ProcessKey, Reading};
use crate::units::Bytes;
use stat::Stat;

/// Inode of the initial PID namespace (`PROC_PID_INIT_INO` in the kernel's `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";
/// `PF_KTHREAD` in the kernel's `include/linux/sched.h`.
const KERNEL_THREAD: u32 = 0x0020_0000;
/// `/proc/PID/stat` is one line of 52 numbers.
const STAT_LIMIT: usize = 4_096;

/// Whether `/proc` shows the PIDs of the host, which are the ones that the driver names.
///
/// True in the initial PID namespace; and in another one where the host's `/proc` is mounted, which shows by its
/// PID 2 being a kernel thread: those are seen in no other namespace.
///
/// # Errors
/// When the namespace cannot be read and nothing else tells.
pub fn host_pids_visible(root: &Root) -> Reading<bool> {
    let namespace = root.read_link("/proc/self/ns/pid");
    if namespace.as_deref() == Ok(INITIAL_PID_NAMESPACE) {
        return Ok(true);
    }
    let kthreadd = read_stat(root, 2, &mut Vec::new());
    if kthreadd.is_ok_and(|stat| stat.flags & KERNEL_THREAD != 0) {
        return Ok(true);
    }
    namespace.map(|_| false)
}

/// Reads what changes about processes.
#[derive(Debug)]
pub struct ProcessReader {
    root: Root,
    visible: bool,
    buffer: Vec<u8>,
}

impl ProcessReader {
    /// A reader of `root`.
    #[must_use]
    pub fn new(root: Root) -> Self {
        let visible = host_pids_visible(&root) == Ok(true);
        Self { root, visible, buffer: Vec::new() }
    }

    /// State, CPU time and resident memory of each of `pids` (as the driver names them), in their order.
    ///
    /// A process that cannot be seen has `start` 0 and no readings: not supported when it is not there, or when
    /// `/proc` shows the PIDs of another namespace; no permission when `/proc` hides it (`hidepid`).
    pub fn read(&mut self, pids: &[u32]) -> Vec<HostProcess> {
        pids.iter().map(|pid| self.process(*pid)).collect()
    }

    fn process(&mut self, pid: u32) -> HostProcess {
        let stat = if self.visible {
            read_stat(&self.root, pid, &mut self.buffer)
        } else {
            Err(Absence::NotSupported)
        };
        match stat {
            Ok(stat) => HostProcess {
                key: ProcessKey { pid, start: stat.start },
                state: Ok(stat.state),
                cpu_ns: Ok(ticks_to_ns(stat.cpu_ticks, self.root.clock_ticks_per_second())),
                resident: Ok(Bytes(stat.resident_pages.saturating_mul(self.root.page_size()))),
            },
            Err(absence) => HostProcess {
                key: ProcessKey { pid, start: 0 },
                state: Err(absence.clone()),
                cpu_ns: Err(absence.clone()),
                resident: Err(absence),
            },
        }
    }
}

fn read_stat(root: &Root, pid: u32, buffer: &mut Vec<u8>) -> Reading<Stat> {
    let path = format!("/proc/{pid}/stat");
    root.read_into(&path, STAT_LIMIT, buffer)?;
    if buffer.is_empty() {
        // The process ended between open and read.
        return Err(absence_of(rustix::io::Errno::SRCH));
    }
    Stat::parse(buffer)
        .filter(|stat| stat.pid == pid)
        .ok_or_else(|| Absence::failed(0, format!("{path} is not understood")))
}

#[cfg(test)]
mod tests;
