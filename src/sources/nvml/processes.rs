//! The process lists of a GPU, and the utilisation of its processes.

use super::Device;
use super::call::{CallId, Caller};
use super::error::Failure;
use super::port::Port;
use super::raw::{List, ProcessEntry, UtilizationSample};
use super::version::ProcessListVersion;
use crate::model::{Absence, ProcessKind, ProcessList, ProcessOnGpu, ProcessUtilization, Reading};
use crate::units::{Bytes, Percent};
use std::collections::BTreeMap;

/// Entries that a first reading has room for.
const FIRST_ROOM: usize = 32;
/// Utilisation samples that a first reading has room for: the driver's ring holds about a hundred per process.
const FIRST_SAMPLES: usize = 256;

/// What is kept between readings.
#[derive(Debug)]
pub(super) struct ProcessState {
    list_room: usize,
    sample_room: usize,
    last_seen_us: u64,
}

impl Default for ProcessState {
    fn default() -> Self {
        Self { list_room: FIRST_ROOM, sample_room: FIRST_SAMPLES, last_seen_us: 0 }
    }
}

impl Device {
    /// Who holds this GPU: compute, graphics and MPS lists in one. PIDs are the host's. The list is absent when
    /// the compute and the graphics list both are; a single unsupported list is not missed.
    pub fn process_list(&mut self, caller: &Caller) -> ProcessList {
        read_list(&mut self.port, caller, &mut self.processes.list_room)
    }

    /// What share of the GPU each process had since the reading before. No samples are an empty list: idle
    /// processes have none.
    pub fn process_utilization(&mut self, caller: &Caller) -> Reading<Vec<ProcessUtilization>> {
        let state = &mut self.processes;
        let samples = self.port.raw(caller, CallId::ProcessUtilization, |device| {
            device.process_utilization(state.last_seen_us, &mut state.sample_room)
        })?;
        let (means, newest) = mean_utilization(&samples, state.last_seen_us);
        // Without it the driver averages over all that its ring holds.
        state.last_seen_us = newest;
        Ok(means)
    }
}

/// The functions of one list in the order of their versions.
type Versions = [(CallId, List); 2];

const COMPUTE: Versions =
    [(CallId::ComputeProcessesV3, List::ComputeV3), (CallId::ComputeProcessesV2, List::ComputeV2)];
const GRAPHICS: Versions =
    [(CallId::GraphicsProcessesV3, List::GraphicsV3), (CallId::GraphicsProcessesV2, List::GraphicsV2)];
const MPS: Versions = [(CallId::MpsProcessesV3, List::MpsV3), (CallId::MpsProcessesV2, List::MpsV2)];

/// Reads and merges the lists of a device or of a MIG instance.
pub(super) fn read_list(port: &mut Port, caller: &Caller, room: &mut usize) -> ProcessList {
    let compute = read_one(port, caller, COMPUTE, room);
    let graphics = read_one(port, caller, GRAPHICS, room);
    let mps = read_one(port, caller, MPS, room);
    if let (Err(failure), Err(_)) = (&compute, &graphics) {
        return Err(Absence::from(failure));
    }
    // One list refused for a reason other than "not here" would make processes vanish: better none.
    for list in [&compute, &graphics] {
        if let Err(failure) = list
            && !failure.is_unsupported()
        {
            return Err(Absence::from(failure));
        }
    }
    Ok(merge(&compute.unwrap_or_default(), &graphics.unwrap_or_default(), &mps.unwrap_or_default()))
}

fn read_one(
    port: &mut Port,
    caller: &Caller,
    [newer, older]: Versions,
    room: &mut usize,
) -> Result<Vec<ProcessEntry>, Failure> {
    let oldest_only = port.process_list == ProcessListVersion::V2;
    let mut ask = |(id, list)| port.attempt(caller, id, 0, |handle| handle.raw.processes(list, room));
    if oldest_only {
        return ask(older);
    }
    match ask(newer) {
        Err(failure) if failure.is_unsupported() => ask(older),
        answer => answer,
    }
}

/// PID, GPU instance, compute instance.
type ProcessKey = (u32, Option<u32>, Option<u32>);

/// One entry per process and MIG instance. A process in both lists is both; one that MPS lists runs through MPS.
/// The lists give the same memory for the same process, so it is not added up.
fn merge(compute: &[ProcessEntry], graphics: &[ProcessEntry], mps: &[ProcessEntry]) -> Vec<ProcessOnGpu> {
    let mut merged: BTreeMap<ProcessKey, (ProcessKind, Option<u64>)> = BTreeMap::new();
    let lists = [(ProcessKind::Compute, compute), (ProcessKind::Graphics, graphics), (ProcessKind::Mps, mps)];
    for (kind, entry) in lists.iter().flat_map(|(kind, list)| list.iter().map(|entry| (*kind, entry))) {
        // PID 0 is a hole that the driver left while a process went away.
        if entry.pid == 0 {
            continue;
        }
        merged
            .entry((entry.pid, entry.gpu_instance, entry.compute_instance))
            .and_modify(|(known, memory)| {
                *known = match (*known, kind) {
                    (ProcessKind::Compute, ProcessKind::Graphics) => ProcessKind::ComputeGraphics,
                    (ProcessKind::Compute, ProcessKind::Mps) => ProcessKind::Mps,
                    (known, _) => known,
                };
                *memory = (*memory).max(entry.memory);
            })
            .or_insert((kind, entry.memory));
    }
    merged
        .into_iter()
        .map(|((pid, gpu_instance, compute_instance), (kind, memory))| ProcessOnGpu {
            pid,
            kind,
            memory: memory.map(Bytes).ok_or(Absence::NotSupported),
            gpu_instance,
            compute_instance,
        })
        .collect()
}

/// The mean of each process's samples since `since_us`, and the newest timestamp seen.
fn mean_utilization(samples: &[UtilizationSample], since_us: u64) -> (Vec<ProcessUtilization>, u64) {
    let mut sums: BTreeMap<u32, ([u64; 4], u64)> = BTreeMap::new();
    let mut newest = since_us;
    for sample in samples {
        // Unused entries of the ring have no time; older ones were counted before.
        if sample.at_us <= since_us || sample.pid == 0 {
            continue;
        }
        newest = newest.max(sample.at_us);
        let (sum, count) = sums.entry(sample.pid).or_default();
        for (sum, share) in sum.iter_mut().zip(sample.shares) {
            // Odd samples beyond 100 do occur.
            *sum += u64::from(if share == u32::MAX { 0 } else { share.min(100) });
        }
        *count += 1;
    }
    let means = sums
        .into_iter()
        .map(|(pid, (sum, count))| {
            let [sm, memory, encoder, decoder] = sum.map(|sum| Percent(sum as f32 / count as f32));
            ProcessUtilization { pid, sm, memory, encoder, decoder }
        })
        .collect();
    (means, newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: u32, memory: Option<u64>) -> ProcessEntry {
        ProcessEntry { pid, memory, gpu_instance: None, compute_instance: None }
    }

    fn sample(pid: u32, at_us: u64, sm: u32) -> UtilizationSample {
        UtilizationSample { pid, at_us, shares: [sm, 10, 0, 0] }
    }

    #[test]
    fn a_process_in_both_lists_is_one_with_its_memory_once() {
        let list = merge(&[entry(7, Some(100)), entry(8, Some(50))], &[entry(7, Some(100))], &[]);
        let seen: Vec<_> = list.iter().map(|p| (p.pid, p.kind, p.memory.clone())).collect();
        assert_eq!(
            seen,
            [(7, ProcessKind::ComputeGraphics, Ok(Bytes(100))), (8, ProcessKind::Compute, Ok(Bytes(50)))]
        );
    }

    #[test]
    fn mps_names_its_clients() {
        let list =
            merge(&[entry(7, Some(100))], &[entry(9, Some(1))], &[entry(7, Some(100)), entry(8, None)]);
        let kinds: Vec<_> = list.iter().map(|p| (p.pid, p.kind)).collect();
        assert_eq!(kinds, [(7, ProcessKind::Mps), (8, ProcessKind::Mps), (9, ProcessKind::Graphics)]);
    }

    #[test]
    fn memory_that_is_not_available_is_absent_and_no_huge_number() {
        let list = merge(&[entry(7, None)], &[], &[]);
        assert_eq!(list.first().map(|p| p.memory.clone()), Some(Err(Absence::NotSupported)));
    }

    #[test]
    fn instances_of_one_process_stay_apart() {
        let of = |gpu_instance| ProcessEntry { gpu_instance, ..entry(7, Some(1)) };
        assert_eq!(merge(&[of(Some(1)), of(Some(2))], &[], &[]).len(), 2);
        assert_eq!(merge(&[entry(0, Some(1))], &[], &[]), vec![]);
    }

    #[test]
    fn several_samples_of_a_process_are_averaged() {
        let (means, newest) =
            mean_utilization(&[sample(7, 200, 90), sample(7, 300, 70), sample(8, 250, 4)], 100);
        assert_eq!(newest, 300);
        let shares: Vec<_> = means.iter().map(|p| (p.pid, p.sm.0, p.memory.0)).collect();
        assert_eq!(shares, [(7, 80.0, 10.0), (8, 4.0, 10.0)]);
    }

    #[test]
    fn samples_seen_before_and_odd_ones_do_not_count() {
        let (means, newest) =
            mean_utilization(&[sample(7, 100, 90), sample(7, 0, 90), sample(9, 150, 4_000)], 100);
        assert_eq!(newest, 150);
        assert_eq!(means.iter().map(|p| (p.pid, p.sm.0)).collect::<Vec<_>>(), [(9, 100.0)]);
        assert_eq!(mean_utilization(&[], 100), (vec![], 100), "an idle GPU keeps its place");
    }
}
