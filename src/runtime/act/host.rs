//! Facts of this host, and who holds a device file.

use crate::actions::HostFacts;
use crate::model::{Absence, ProcessKey, Reading};
use crate::sources::holders::{Holder, parent_of};
use crate::sources::host::host_info;
use crate::sources::processes::{ProcessReader, host_pids_visible};
use crate::sources::root::Root;

/// Files that say that this is a container (Docker, Podman).
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// What there is to know of this host, without a look at who holds device files.
pub(super) fn facts(root: &Root) -> HostFacts {
    let info = host_info(root);
    let pids_visible = host_pids_visible(root) == Ok(true);
    HostFacts {
        hostname: info.hostname.to_string(),
        boot_id: info.boot_id.to_string(),
        is_root: rustix::process::geteuid().is_root(),
        program: program(),
        pids_visible,
        in_container: !pids_visible || CONTAINER_MARKS.iter().any(|mark| root.exists(mark)),
        proc_partial: None,
        drm_loaded: root.exists("/sys/module/nvidia_drm"),
        fabric_manager: None,
        open_by: None,
    }
}

/// More ancestors than this has no process; a made-up `/proc` may have a ring.
const ANCESTORS_AT_MOST: usize = 64;

/// Whether a process that has a GPU open is the collector of this kgtop or of the one that started it: it runs the
/// same program, and its parent is this process or one of its ancestors. Those leave by themselves when asked.
pub(super) fn is_own(root: &Root, holder: &Holder) -> bool {
    let program = |pid: &str| root.read_link(&format!("/proc/{pid}/exe")).ok();
    let own = program("self");
    if own.is_none() || program(&holder.pid.to_string()) != own {
        return false;
    }
    let mut ancestor = Some(std::process::id());
    for _ in 0..ANCESTORS_AT_MOST {
        let Some(pid) = ancestor.filter(|pid| *pid > 1) else { return false };
        if holder.parent == Some(pid) {
            return true;
        }
        ancestor = parent_of(root, pid);
    }
    false
}

/// The absolute path of this program.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "kgtop".to_owned(), |path| path.display().to_string())
}

/// What the names of NVIDIA's device files begin with (`/dev/nvidia0`, `/dev/nvidiactl`, `/dev/nvidia-uvm`).
pub(super) const DEVICE_FILES: &str = "/dev/nvidia";

/// Whether the process has a device file of NVIDIA open.
///
/// # Errors
/// When its descriptors cannot be listed.
pub(super) fn holds_any_device(root: &Root, devices: &str, pid: u32) -> Reading<bool> {
    let names = root.list(&format!("/proc/{pid}/fd"))?;
    Ok(names.iter().any(|fd| {
        root.read_link(&format!("/proc/{pid}/fd/{fd}")).is_ok_and(|link| link.starts_with(devices))
    }))
}

/// Start time of a process in clock ticks since boot.
pub(super) fn start_of(root: &Root, pid: u32) -> Option<u64> {
    let mut reader = ProcessReader::new(root.clone());
    let process = reader.read(&[pid]).into_iter().next()?;
    (process.key != ProcessKey { pid, start: 0 }).then_some(process.key.start)
}

/// Why a signal must not be sent to a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotProven {
    /// Gone, or hidden.
    #[error("PID {0} is not there any more")]
    Gone(u32),
    /// Reused.
    #[error("PID {0} is another process now: the one that was meant has ended")]
    Reused(u32),
    /// Its descriptors cannot be seen.
    #[error("the open files of PID {0} cannot be read ({1}): it cannot be proven to be on the GPU")]
    Unreadable(u32, String),
    /// It has no GPU.
    #[error("PID {0} has no /dev/nvidia* open: it is not the process that the driver means")]
    NoDevice(u32),
    /// Its `NSpid` says otherwise.
    #[error("PID {0} is not what /proc calls it (NSpid {1}): it is of another namespace")]
    OtherNamespace(u32, String),
}

/// Proves that `pid` is the process that is meant: in this `/proc`, started then, with a device
/// file open whose name begins with `devices`.
pub(super) fn prove(root: &Root, devices: &str, pid: u32, start: u64) -> Result<(), NotProven> {
    match start_of(root, pid) {
        None => return Err(NotProven::Gone(pid)),
        Some(now) if now != start => return Err(NotProven::Reused(pid)),
        Some(_) => {}
    }
    let status = root
        .read_to_string(&format!("/proc/{pid}/status"), 64 << 10)
        .map_err(|_absence| NotProven::Gone(pid))?;
    let own_name = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let first = own_name.and_then(|line| line.split_ascii_whitespace().next()).unwrap_or("missing");
    if first != pid.to_string() {
        return Err(NotProven::OtherNamespace(pid, first.to_owned()));
    }
    match holds_any_device(root, devices, pid) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotProven::NoDevice(pid)),
        Err(Absence::NotSupported) => Err(NotProven::Gone(pid)),
        Err(absence) => Err(NotProven::Unreadable(pid, absence.to_string())),
    }
}

/// Whether a process is a zombie: it has ended, and its parent has not looked yet.
pub(super) fn has_ended(root: &Root, pid: u32) -> bool {
    let process = ProcessReader::new(root.clone()).read(&[pid]).into_iter().next();
    process.is_none_or(|process| process.state.is_ok_and(|state| ['Z', 'X'].contains(&state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A made-up `/proc` with one process, 42, whose `NSpid` and open file are given.
    fn machine(ns_pid: &str, open: &str) -> (tempfile::TempDir, Root, u64) {
        let directory = tempfile::tempdir().unwrap();
        let proc = directory.path().join("proc");
        std::fs::create_dir_all(proc.join("self/ns")).unwrap();
        symlink("pid:[4026531836]", proc.join("self/ns/pid")).unwrap();
        std::fs::create_dir_all(proc.join("42/fd")).unwrap();
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (_, rest) = own.split_once(' ').unwrap();
        std::fs::write(proc.join("42/stat"), format!("42 {rest}")).unwrap();
        std::fs::write(proc.join("42/status"), format!("Name:\tpython\nNSpid:\t{ns_pid}\n")).unwrap();
        symlink(open, proc.join("42/fd/3")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        let start = start_of(&root, 42).unwrap();
        (directory, root, start)
    }

    #[test]
    fn a_process_is_proven_by_its_start_its_namespace_and_a_device_file() {
        let (_kept, root, start) = machine("42\t7", "/dev/nvidia-uvm");
        assert_eq!(prove(&root, DEVICE_FILES, 42, start), Ok(()));
        assert_eq!(prove(&root, DEVICE_FILES, 42, start + 1), Err(NotProven::Reused(42)));
        assert_eq!(prove(&root, DEVICE_FILES, 43, start), Err(NotProven::Gone(43)));
    }

    #[test]
    fn kgtops_own_collector_is_told_from_another_monitor() {
        let directory = tempfile::tempdir().unwrap();
        let process = |pid: u32, parent: u32, program: &str| {
            let own = directory.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(&own).unwrap();
            std::fs::write(own.join("status"), format!("Name:\tx\nPPid:\t{parent}\n")).unwrap();
            symlink(program, own.join("exe")).unwrap();
        };
        // A screen (500) with its collector (600), a sudo (501) and this process; a shell (400) began the screen.
        let me = std::process::id();
        process(400, 1, "/bin/bash");
        process(500, 400, "/opt/kgtop");
        process(600, 500, "/opt/kgtop");
        process(501, 500, "/usr/bin/sudo");
        process(me, 501, "/opt/kgtop");
        // Another screen of the same shell with its own collector, and another program of this one's.
        process(510, 400, "/opt/kgtop");
        process(610, 510, "/opt/kgtop");
        process(620, 500, "/usr/bin/python3");
        std::fs::create_dir_all(directory.path().join("proc/self")).unwrap();
        symlink("/opt/kgtop", directory.path().join("proc/self/exe")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        let own = |pid: u32| {
            let holder = Holder { pid, parent: parent_of(&root, pid), name: "x".into(), files: Vec::new() };
            is_own(&root, &holder)
        };
        assert_eq!([600, 610, 620].map(own), [true, false, false]);
    }

    #[test]
    fn a_number_that_names_another_local_process_proves_nothing() {
        let (_kept, root, start) = machine("42", "/dev/null");
        assert_eq!(prove(&root, DEVICE_FILES, 42, start), Err(NotProven::NoDevice(42)));
        let (_kept, root, start) = machine("9042\t42", "/dev/nvidia0");
        let other = NotProven::OtherNamespace(42, "9042".to_owned());
        assert_eq!(prove(&root, DEVICE_FILES, 42, start), Err(other));
    }
}
