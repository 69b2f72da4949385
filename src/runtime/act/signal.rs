//! Signals and niceness. The pidfd is opened before the proof: what is proven is what is signalled, whatever becomes
//! of the number meanwhile.

use super::host::{NotProven, prove};
use crate::actions::signal_number;
use crate::sources::root::Root;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpriority_process, pidfd_open, pidfd_send_signal, setpriority_process,
};
use std::collections::BTreeSet;

/// How it went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignalError {
    /// Nothing was sent: the process is not proven.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// Nothing was sent: such a number cannot be named.
    #[error("{0} is no process or signal that can be named")]
    Unnameable(String),
    /// The kernel refused.
    #[error("the kernel refused: {0}")]
    Kernel(#[from] rustix::io::Errno),
}

fn pid_of(pid: u32) -> Result<Pid, SignalError> {
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw)
        .ok_or_else(|| SignalError::Unnameable(format!("PID {pid}")))
}

/// Sends a signal to the process of that PID and start time.
pub(super) fn send(root: &Root, devices: &str, pid: u32, start: u64, name: &str) -> Result<(), SignalError> {
    let signal = signal_number(name)
        .and_then(Signal::from_named_raw)
        .ok_or_else(|| SignalError::Unnameable(format!("signal {name}")))?;
    let process = pidfd_open(pid_of(pid)?, PidfdFlags::empty()).map_err(|errno| {
        if errno == rustix::io::Errno::SRCH {
            NotProven::Gone(pid).into()
        } else {
            SignalError::Kernel(errno)
        }
    })?;
    prove(root, devices, pid, start)?;
    Ok(pidfd_send_signal(&process, signal)?)
}

/// Niceness of a process.
pub(super) fn niceness(pid: u32) -> Option<i32> {
    getpriority_process(Some(pid_of(pid).ok()?)).ok()
}

/// How often is looked for threads that began meanwhile.
const THREAD_LOOKS: usize = 10;

/// Sets the niceness of all threads of the process of that PID and start time, and gives that of one that has another
/// one than wanted, if any has. The kernel has no call for it by pidfd: it is
/// proven before, and that it was still the same is proven after.
pub(super) fn renice(
    root: &Root,
    devices: &str,
    pid: u32,
    start: u64,
    nice: i32,
) -> Result<i32, SignalError> {
    let raw = pid_of(pid)?;
    prove(root, devices, pid, start)?;
    // On Linux a niceness is a thread's (setpriority(2)): those that begin meanwhile have it of who began them.
    let mut done = BTreeSet::new();
    for _ in 0..THREAD_LOOKS {
        let left: Vec<u32> = threads(root, pid).difference(&done).copied().collect();
        if left.is_empty() {
            break;
        }
        for thread in left {
            match setpriority_process(Some(pid_of(thread)?), nice) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => done.insert(thread),
                Err(errno) => return Err(errno.into()),
            };
        }
    }
    prove(root, devices, pid, start)?;
    let other = threads(root, pid).into_iter().filter_map(niceness).find(|now| *now != nice);
    other.map_or_else(|| Ok(getpriority_process(Some(raw))?), Ok)
}

/// The threads of a process.
fn threads(root: &Root, pid: u32) -> BTreeSet<u32> {
    let names = root.list(&format!("/proc/{pid}/task")).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::host::start_of;
    use super::*;
    use std::fs::File;
    use std::process::{Child, Command};

    /// A real process that holds a real file whose name begins as a device file's would.
    struct Holder {
        child: Child,
        directory: tempfile::TempDir,
    }

    impl Holder {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let file = File::create(directory.path().join("nvidia0")).unwrap();
            let child = Command::new("sleep").arg("600").stdin(file).spawn().unwrap();
            Self { child, directory }
        }

        fn devices(&self) -> String {
            format!("{}/nvidia", self.directory.path().display())
        }

        fn start(&self) -> u64 {
            start_of(&Root::Live, self.child.id()).unwrap()
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }

    #[test]
    fn a_process_that_is_proven_is_signalled() {
        let mut holder = Holder::new();
        send(&Root::Live, &holder.devices(), holder.child.id(), holder.start(), "TERM").unwrap();
        let status = holder.child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    }

    #[test]
    fn a_reused_pid_and_a_process_without_a_device_are_left_alone() {
        let mut holder = Holder::new();
        let (pid, start, devices) = (holder.child.id(), holder.start(), holder.devices());
        let reused = send(&Root::Live, &devices, pid, start + 1, "KILL");
        assert!(matches!(reused, Err(SignalError::NotProven(NotProven::Reused(_)))), "{reused:?}");
        let other = send(&Root::Live, super::super::host::DEVICE_FILES, pid, start, "KILL");
        assert!(matches!(other, Err(SignalError::NotProven(NotProven::NoDevice(_)))), "{other:?}");
        assert!(holder.child.try_wait().unwrap().is_none(), "it was signalled");
    }

    #[test]
    fn what_has_ended_is_gone_and_pid_one_is_never_meant() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let gone = send(&Root::Live, "/dev/nvidia", pid, 1, "TERM");
        assert!(matches!(gone, Err(SignalError::NotProven(NotProven::Gone(_)))), "{gone:?}");
        for pid in [0, 1, u32::MAX] {
            let unnameable = send(&Root::Live, "/dev/nvidia", pid, 1, "KILL");
            assert!(matches!(unnameable, Err(SignalError::Unnameable(_))), "{pid}: {unnameable:?}");
        }
    }

    /// What another process runs, to be one of several threads.
    #[test]
    #[ignore = "sleeps until it is killed: run by the test of niceness"]
    fn three_threads() {
        let sleep = || std::thread::sleep(std::time::Duration::from_secs(600));
        std::thread::scope(|scope| {
            scope.spawn(sleep);
            scope.spawn(sleep);
        });
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test is at the top: nobody passes it a clock")]
    fn niceness_is_that_of_every_thread() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("nvidia0")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["runtime::act::signal::tests::three_threads", "--exact", "--ignored"])
            .stdin(file)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let holder = Holder { child, directory };
        let pid = holder.child.id();
        let began = std::time::Instant::now();
        while threads(&Root::Live, pid).len() < 3 {
            assert!(began.elapsed().as_secs() < 60, "it has {:?}", threads(&Root::Live, pid));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(renice(&Root::Live, &holder.devices(), pid, holder.start(), 7).unwrap(), 7);
        let all: Vec<i32> = threads(&Root::Live, pid).into_iter().filter_map(niceness).collect();
        assert!(all.len() >= 3 && all.iter().all(|nice| *nice == 7), "{all:?}");
    }

    #[test]
    fn niceness_is_set_and_read_back() {
        let holder = Holder::new();
        let (pid, start, devices) = (holder.child.id(), holder.start(), holder.devices());
        assert_eq!(renice(&Root::Live, &devices, pid, start, 7).unwrap(), 7);
        assert_eq!(niceness(pid), Some(7));
    }
}
