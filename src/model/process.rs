//! The host's side of a process that holds a GPU.

use super::Reading;
use crate::units::{Bytes, Wall};
use std::sync::Arc;

/// A process for good: a PID alone is reused. `start` is field 22 of `/proc/PID/stat` (clock ticks since boot),
/// or 0 where the process cannot be seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// PID as the driver knows it.
    pub pid: u32,
    /// Start time in clock ticks since boot, 0 if unknown.
    pub start: u64,
}

/// A container that a process runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// `docker`, `podman`, `containerd`, `cri-o`, `lxc`, …
    pub runtime: Arc<str>,
    /// Container id, as long as the cgroup gives it.
    pub id: Arc<str>,
}

/// What does not change in a process's life (or is read once because reading it may block).
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessFacts {
    /// Which process.
    pub key: ProcessKey,
    /// Whether `/proc` here knows this PID as the process that the driver means.
    pub visible: bool,
    /// PID inside the process's innermost PID namespace, where it differs (`NSpid`).
    pub inner_pid: Option<u32>,
    /// Parent PID.
    pub parent: Reading<u32>,
    /// User name, or the number where the name is unknown.
    pub user: Reading<Arc<str>>,
    /// Short name (`comm`).
    pub name: Reading<Arc<str>>,
    /// Arguments, with values that look like secrets masked.
    pub command: Reading<Vec<Arc<str>>>,
    /// The allowed part of its environment.
    pub environment: Reading<Vec<(Arc<str>, Arc<str>)>>,
    /// cgroup path.
    pub cgroup: Reading<Arc<str>>,
    /// Container, if its cgroup names one.
    pub container: Option<Container>,
    /// Kubernetes pod UID.
    pub pod: Option<Arc<str>>,
    /// Slurm job id (`4711`, `4711.0` with its step).
    pub slurm_job: Option<Arc<str>>,
    /// systemd unit.
    pub unit: Option<Arc<str>>,
    /// When it started.
    pub started: Reading<Wall>,
}

/// What changes, read from the cheap files of `/proc/PID` at each interval.
#[derive(Clone, Debug, PartialEq)]
pub struct HostProcess {
    /// Which process.
    pub key: ProcessKey,
    /// State letter of `/proc/PID/stat` (`R`, `S`, `D`, `Z`, …).
    pub state: Reading<char>,
    /// User and system time, ns.
    pub cpu_ns: Reading<u64>,
    /// Resident memory.
    pub resident: Reading<Bytes>,
}
