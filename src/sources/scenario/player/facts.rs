//! The host's side of a made-up rig: its processes and its own numbers.

use super::ScenarioPlayer;
use crate::model::{Absence, Container, HostProcess, HostSample, ProcessFacts, ProcessKey};
use crate::sources::scenario::{HostTruth, ProcessRig, RigTruth};
use crate::units::{Bytes, Wall};
use std::sync::Arc;

fn key(process: &ProcessRig) -> ProcessKey {
    ProcessKey { pid: process.pid, start: process.start_ticks }
}

fn shared(value: Option<&String>) -> Option<Arc<str>> {
    value.map(|text| text.as_str().into())
}

impl ScenarioPlayer {
    pub(super) fn facts(&self, process: &ProcessRig) -> ProcessFacts {
        if !self.scenario.host().host_pids_visible {
            return invisible(process);
        }
        let started = self.wall.0 - (process.age_at_start * 1e6) as i64;
        ProcessFacts {
            key: key(process),
            visible: true,
            inner_pid: process.inner_pid,
            parent: Ok(process.parent),
            user: Ok(process.user.as_str().into()),
            name: Ok(process.name.as_str().into()),
            command: Ok(process.command.iter().map(|part| part.as_str().into()).collect()),
            environment: Ok(process
                .environment
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect()),
            cgroup: shared(process.cgroup.as_ref()).ok_or(Absence::NotSupported),
            container: process
                .container
                .as_ref()
                .map(|(runtime, id)| Container { runtime: runtime.as_str().into(), id: id.as_str().into() }),
            pod: shared(process.pod.as_ref()),
            slurm_job: shared(process.slurm_job.as_ref()),
            unit: shared(process.unit.as_ref()),
            started: Ok(Wall(started)),
        }
    }

    pub(super) fn host_processes(&self, truth: &RigTruth) -> Vec<HostProcess> {
        if !self.scenario.host().host_pids_visible {
            return Vec::new();
        }
        truth
            .processes
            .iter()
            .filter_map(|now| Some((now, self.scenario.processes().get(now.index)?)))
            .map(|(now, process)| HostProcess {
                key: key(process),
                state: Ok(process.state),
                cpu_ns: Ok(now.cpu_ns),
                resident: Ok(Bytes(process.resident)),
            })
            .collect()
    }

    pub(super) fn host_sample(&self, truth: &HostTruth) -> HostSample {
        let host = self.scenario.host();
        // The ARC is in use as far as the kernel knows.
        let used = truth.memory_used.saturating_add(host.arc.unwrap_or_default());
        HostSample {
            cpu_busy_ns: Ok(truth.cpu_busy_ns),
            cpu_total_ns: Ok(truth.cpu_total_ns),
            memory_total: Ok(Bytes(host.memory_total)),
            memory_available: Ok(Bytes(host.memory_total.saturating_sub(used))),
            arc_reclaimable: host.arc.map(Bytes).ok_or(Absence::NotSupported),
            swap_total: Ok(Bytes(host.swap_total)),
            swap_used: Ok(Bytes(0)),
            load_1m: Ok(truth.load as f32),
            load_5m: Ok(truth.load as f32 * 0.98),
            load_15m: Ok(truth.load as f32 * 0.95),
            uptime_seconds: Ok(truth.uptime_seconds),
        }
    }
}

/// A process of another PID namespace: the driver names a PID, and nothing else is known.
fn invisible(process: &ProcessRig) -> ProcessFacts {
    let absent = || Err(Absence::NoPermission);
    ProcessFacts {
        key: ProcessKey { pid: process.pid, start: 0 },
        visible: false,
        inner_pid: None,
        parent: Err(Absence::NoPermission),
        user: absent(),
        name: absent(),
        command: Err(Absence::NoPermission),
        environment: Err(Absence::NoPermission),
        cgroup: absent(),
        container: None,
        pod: None,
        slurm_job: None,
        unit: None,
        started: Err(Absence::NoPermission),
    }
}
