//! Processes over time: the driver's lists joined with the host's side, CPU shares, and those that ended.

use crate::model::{
    Absence, Gpu, GpuId, GpuSample, GpuState, Grouped, HostProcess, Process, ProcessFacts, ProcessGpu,
    ProcessKey, ProcessList, Reading, known,
};
use crate::units::{Bytes, Mono, Percent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long an ended process stays in the snapshot.
pub const ENDED_KEPT: Duration = Duration::from_secs(3_600);
/// No more ended processes than this are kept: a job that starts a process a second must not fill memory.
const ENDED_AT_MOST: usize = 500;

/// The processes known between samples.
#[derive(Clone, Debug, Default)]
pub(super) struct ProcessBook {
    facts: BTreeMap<ProcessKey, Arc<ProcessFacts>>,
    host: BTreeMap<u32, HostProcess>,
    host_at: Option<Mono>,
    cpu: BTreeMap<ProcessKey, Reading<Percent>>,
    running: BTreeMap<ProcessKey, Process>,
    ended: Vec<Process>,
}

impl ProcessBook {
    /// Takes the static facts of the processes of now. Facts of processes still shown are kept.
    pub(super) fn learn(&mut self, facts: &[ProcessFacts]) {
        let shown: BTreeSet<ProcessKey> = self.running.keys().copied().collect();
        self.facts.retain(|key, _| shown.contains(key));
        for fact in facts {
            self.facts.insert(fact.key, Arc::new(fact.clone()));
        }
    }

    /// Joins the driver's lists with the host's side; gives the running and the ended ones.
    pub(super) fn fold(
        &mut self,
        gpus: &[Gpu],
        last: &BTreeMap<GpuId, &GpuSample>,
        host: Option<Grouped<Vec<HostProcess>>>,
        now: Mono,
    ) -> Vec<Process> {
        if let Some(host) = host {
            self.take_host(host);
        }
        let mut current: BTreeMap<ProcessKey, Vec<ProcessGpu>> = BTreeMap::new();
        for gpu in gpus {
            let Some(sample) = last.get(&gpu.id) else { continue };
            for (pid, share) in shares(gpu, sample) {
                // A GPU that does not answer renews no list: the host says who is gone.
                if gpu.state != GpuState::Ok && self.left_the_host(pid) {
                    continue;
                }
                current.entry(self.key(pid)).or_default().push(share);
            }
            if let Some(Grouped { value: Err(absence), .. }) = &sample.processes {
                // A list that could not be read says nothing of who is gone.
                for (key, share) in self.shares_before(&gpu.id, absence) {
                    current.entry(key).or_default().push(share);
                }
            }
        }
        self.end_missing(&current, now);
        for (key, shares) in current {
            self.update(key, shares, now);
        }
        self.ended.retain(|process| process.ended.is_some_and(|at| now.since(at) <= ENDED_KEPT));
        let excess = self.ended.len().saturating_sub(ENDED_AT_MOST);
        self.ended.drain(..excess);
        self.running.values().chain(self.ended.iter().rev()).cloned().collect()
    }

    /// Whether the host, having known the process, no longer does.
    fn left_the_host(&self, pid: u32) -> bool {
        let unseen =
            |process: &HostProcess| process.key.start == 0 && process.state == Err(Absence::NotSupported);
        let of_pid = ProcessKey { pid, start: 1 }..=ProcessKey { pid, start: u64::MAX };
        self.host.get(&pid).is_some_and(unseen) && self.running.range(of_pid).next().is_some()
    }

    /// Which process the driver means by a PID. One whose `/proc` entry is gone while the driver still lists it (in its
    /// last moments, or a context that outlives it) stays who it was.
    fn key(&self, pid: u32) -> ProcessKey {
        let of_pid = ProcessKey { pid, start: 0 }..=ProcessKey { pid, start: u64::MAX };
        let known = self.host.get(&pid).map(|process| process.key);
        known
            .or_else(|| self.running.range(of_pid).next_back().map(|(key, _)| *key))
            .unwrap_or(ProcessKey { pid, start: 0 })
    }

    /// The shares of one GPU as they were, without the values that can no longer be read.
    fn shares_before(&self, gpu: &GpuId, absence: &Absence) -> Vec<(ProcessKey, ProcessGpu)> {
        let mut found = Vec::new();
        for (key, process) in &self.running {
            for share in process.gpus.iter().filter(|share| &share.gpu == gpu) {
                let unknown = (Err(absence.clone()), Err(absence.clone()));
                let share = ProcessGpu { memory: unknown.0, utilization: unknown.1, ..share.clone() };
                // The key may have become known in the meantime.
                found.push((self.host.get(&key.pid).map_or(*key, |host| host.key), share));
            }
        }
        found
    }

    fn take_host(&mut self, group: Grouped<Vec<HostProcess>>) {
        if self.host_at.is_some_and(|at| at >= group.at) {
            return; // handed over again, not read again
        }
        let elapsed = self.host_at.map(|at| group.at.since(at).as_secs_f64());
        let mut cpu = BTreeMap::new();
        for process in &group.value {
            let before = self.host.get(&process.key.pid).filter(|old| old.key == process.key);
            cpu.insert(process.key, cpu_share(before, process, elapsed));
        }
        self.cpu = cpu;
        self.host = group.value.into_iter().map(|process| (process.key.pid, process)).collect();
        self.host_at = Some(group.at);
    }

    /// What is in no list any more has ended. A process first seen before its `/proc` entry was read changes its
    /// key once; that is no end.
    fn end_missing(&mut self, current: &BTreeMap<ProcessKey, Vec<ProcessGpu>>, now: Mono) {
        let gone: Vec<ProcessKey> =
            self.running.keys().filter(|key| !current.contains_key(key)).copied().collect();
        for key in gone {
            let Some(mut process) = self.running.remove(&key) else { continue };
            let renamed = current.keys().find(|other| other.pid == key.pid && key.start == 0);
            if let Some(renamed) = renamed {
                process.key = *renamed;
                self.running.insert(*renamed, process);
                continue;
            }
            process.ended = Some(now);
            self.ended.push(process);
        }
    }

    fn update(&mut self, key: ProcessKey, gpus: Vec<ProcessGpu>, now: Mono) {
        let facts =
            self.facts.get(&key).or_else(|| self.facts.get(&ProcessKey { pid: key.pid, start: 0 })).cloned();
        let cpu = self.cpu.get(&key).cloned().unwrap_or(Err(Absence::NotRequested));
        let host = self.host.get(&key.pid).cloned();
        // In no list for a moment, and back: it never ended.
        let back = self.ended.iter().position(|process| process.key == key && key.start != 0);
        if let Some(index) = back {
            self.running.insert(key, Process { ended: None, ..self.ended.remove(index) });
        }
        let entry = self.running.entry(key).or_insert_with(|| Process {
            key,
            facts: None,
            host: None,
            cpu: Err(Absence::NotRequested),
            gpus: Vec::new(),
            first_seen: now,
            ended: None,
        });
        if facts.is_some() {
            entry.facts = facts;
        }
        entry.host = host;
        entry.cpu = cpu;
        entry.gpus = gpus;
    }
}

fn cpu_share(before: Option<&HostProcess>, after: &HostProcess, elapsed: Option<f64>) -> Reading<Percent> {
    let unseen = Absence::InsufficientHistory { seen_seconds: 0.0 };
    let after = after.cpu_ns.clone()?;
    let before = before.ok_or_else(|| unseen.clone())?.cpu_ns.clone()?;
    let elapsed = elapsed.ok_or_else(|| unseen.clone())?;
    let spent = after.checked_sub(before).ok_or_else(|| unseen.clone())?;
    Percent::of(spent as f64 / 1e9, elapsed).ok_or(unseen)
}

/// Every process of one GPU, those of its MIG instances included.
fn shares(gpu: &Gpu, sample: &GpuSample) -> Vec<(u32, ProcessGpu)> {
    let group = sample.process_utilization.as_ref();
    let utilization = |pid: u32| match group.map(|group| &group.value) {
        Some(Ok(list)) => list
            .iter()
            .find(|process| process.pid == pid)
            .copied()
            // The driver keeps no sample of a process that did nothing since the reading before.
            .ok_or(Absence::InsufficientHistory { seen_seconds: 0.0 }),
        Some(Err(absence)) => Err(absence.clone()),
        None => Err(Absence::NotRequested),
    };
    let mut found = Vec::new();
    let mut add = |list: &ProcessList| {
        for process in list.iter().flatten() {
            let share = ProcessGpu {
                gpu: gpu.id.clone(),
                index: gpu.index(),
                memory: process.memory.clone(),
                kind: process.kind,
                gpu_instance: process.gpu_instance,
                utilization: utilization(process.pid),
            };
            let same = |(pid, other): &(u32, ProcessGpu)| {
                *pid == process.pid && other.gpu_instance == share.gpu_instance && other.kind == share.kind
            };
            if !found.iter().any(same) {
                found.push((process.pid, share));
            }
        }
    };
    if let Some(group) = &sample.processes {
        add(&group.value);
    }
    if let Some(Grouped { value: Ok(instances), .. }) = &sample.mig {
        for instance in instances {
            add(&instance.processes);
        }
    }
    found
}

/// Memory in use that no process owns. Absent unless every process of the GPU says what it holds, and not asked
/// of MIG parents or of memory that the CPU shares, where the sum cannot match.
pub(super) fn unattributed(gpu: &Gpu, sample: Option<&GpuSample>, processes: &[Process]) -> Reading<Bytes> {
    let mig = gpu.health.as_ref().and_then(|group| known(&group.value.mig)).unwrap_or(false);
    let shared = known(&gpu.info.memory_shared_with_cpu).unwrap_or(false);
    if gpu.state != GpuState::Ok || mig || shared {
        return Err(Absence::NotSupported);
    }
    let live = gpu.live.as_ref().ok_or(Absence::NotRequested)?;
    // Without the reserved part apart, `used` holds it, and would be blamed on a ghost.
    live.value.memory_reserved.clone()?;
    let used = live.value.memory_used.clone()?;
    // A list that was not read owns nothing, and would make a ghost of all the memory.
    let listed = sample.and_then(|sample| sample.processes.as_ref()).ok_or(Absence::NotRequested)?;
    if let Err(absence) = &listed.value {
        return Err(absence.clone());
    }
    let mut owned = 0_u64;
    for process in processes.iter().filter(|process| process.ended.is_none()) {
        // A process that is listed as compute and as graphics names the same memory twice.
        let mut most = 0;
        for share in process.gpus.iter().filter(|share| share.gpu == gpu.id) {
            most = most.max(share.memory.clone()?.0);
        }
        owned = owned.saturating_add(most);
    }
    Ok(used.saturating_sub(Bytes(owned)))
}
