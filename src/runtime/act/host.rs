//! Facts of this host, and who holds a device file.

use crate::actions::HostFacts;
use crate::model::{Absence, ProcessKey, Reading};
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
        open_by: None,
    }
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
