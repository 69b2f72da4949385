//! What is true of the rig at a moment, as plain numbers: the scenario's answer to every question that a driver
//! call or a sample can ask.

use super::Scenario;
use super::metric::{Metric, Values};
use super::rig::{GpuRig, MIB};
use crate::model::GpuState;
use std::time::Duration;

/// The clock event reasons that have a time counter, in the order of [`Cumulative::reason_ns`]: software power
/// cap, sync boost, software thermal, hardware thermal, hardware power brake.
pub const COUNTED_REASONS: [u64; 5] = [0x4, 0x10, 0x20, 0x40, 0x80];

/// Counters that only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cumulative {
    /// Energy, J.
    pub energy: f64,
    /// Nanoseconds per counted reason.
    pub reason_ns: [f64; 5],
    /// NVLink payload sent, KiB.
    pub nvlink_tx_kib: f64,
    /// NVLink payload received, KiB.
    pub nvlink_rx_kib: f64,
    /// PCIe sent, KiB.
    pub pcie_tx_kib: f64,
    /// PCIe received, KiB.
    pub pcie_rx_kib: f64,
}

impl Cumulative {
    /// What one second at these values adds.
    pub(super) fn of_one_second(values: &Values) -> Self {
        let mask = values.clock_events as u64;
        let kib = |megabytes: f64| megabytes * 1e6 / 1024.0;
        Self {
            energy: values.power,
            reason_ns: COUNTED_REASONS.map(|bit| if mask & bit == 0 { 0.0 } else { 1e9 }),
            nvlink_tx_kib: kib(values.nvlink_tx),
            nvlink_rx_kib: kib(values.nvlink_rx),
            pcie_tx_kib: kib(values.pcie_tx),
            pcie_rx_kib: kib(values.pcie_rx),
        }
    }

    /// `self` plus `other` × `times`.
    pub(super) fn plus(self, other: &Self, times: f64) -> Self {
        let mut reason_ns = self.reason_ns;
        for (sum, more) in reason_ns.iter_mut().zip(other.reason_ns) {
            *sum += more * times;
        }
        Self {
            energy: self.energy + other.energy * times,
            reason_ns,
            nvlink_tx_kib: self.nvlink_tx_kib + other.nvlink_tx_kib * times,
            nvlink_rx_kib: self.nvlink_rx_kib + other.nvlink_rx_kib * times,
            pcie_tx_kib: self.pcie_tx_kib + other.pcie_tx_kib * times,
            pcie_rx_kib: self.pcie_rx_kib + other.pcie_rx_kib * times,
        }
    }
}

/// One GPU at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuTruth {
    /// Number of the GPU.
    pub index: u32,
    /// Ok, lost or asleep. (A stalled GPU is a fault of a call: [`Scenario::fault`].)
    pub state: GpuState,
    /// The numbers.
    pub values: Values,
    /// The counters.
    pub counters: Cumulative,
    /// Framebuffer in use, bytes, without the reserved part.
    pub memory_used: u64,
}

/// One process at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessTruth {
    /// Position in [`Scenario::processes`].
    pub index: usize,
    /// Its PID.
    pub pid: u32,
    /// CPU time so far, ns.
    pub cpu_ns: u64,
}

/// The host at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTruth {
    /// CPU time not idle, ns.
    pub cpu_busy_ns: u64,
    /// CPU time, ns.
    pub cpu_total_ns: u64,
    /// Memory in use, bytes.
    pub memory_used: u64,
    /// Load average.
    pub load: f64,
    /// Seconds since boot.
    pub uptime_seconds: f64,
}

/// The rig at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct RigTruth {
    /// GPUs by index.
    pub gpus: Vec<GpuTruth>,
    /// Processes that are there.
    pub processes: Vec<ProcessTruth>,
    /// The host.
    pub host: HostTruth,
}

impl Scenario {
    /// What is true at `t` after the start.
    #[must_use]
    pub fn truth_at(&self, t: Duration) -> RigTruth {
        RigTruth {
            gpus: self.gpus().iter().map(|gpu| self.gpu_truth(gpu, t)).collect(),
            processes: self.processes_at(t),
            host: self.host_at(t),
        }
    }

    /// What is true of one GPU at `t`.
    #[must_use]
    pub fn gpu_truth(&self, gpu: &GpuRig, t: Duration) -> GpuTruth {
        let local = self.local(t);
        let values = gpu.values_at(local);
        GpuTruth {
            index: gpu.index,
            state: gpu.state_at(local),
            values,
            counters: self.counters_at(gpu, t),
            memory_used: self.memory_used(gpu, &values, t),
        }
    }

    /// Whether a GPU is there, lost or asleep at `t`.
    #[must_use]
    pub fn state_of(&self, gpu: &GpuRig, t: Duration) -> GpuState {
        gpu.state_at(self.local(t))
    }

    /// Only the numbers of one GPU: cheap enough for ten times a second.
    #[must_use]
    pub fn values_at(&self, gpu: &GpuRig, t: Duration) -> Values {
        gpu.values_at(self.local(t))
    }

    /// The numbers of one GPU `age` before `t`, which may lie before the start: the driver's sample buffers do.
    #[must_use]
    pub fn values_before(&self, gpu: &GpuRig, t: Duration, age: Duration) -> Values {
        gpu.values_at(self.local(t) - age.as_secs_f64())
    }

    /// Framebuffer in use, bytes: what a scenario sets, else what the processes hold.
    fn memory_used(&self, gpu: &GpuRig, values: &Values, t: Duration) -> u64 {
        let used = if gpu.sets(Metric::MemoryUsed) {
            (values.memory_used * MIB as f64) as u64
        } else {
            let local = self.local(t);
            let held = self.processes().iter().filter(|process| process.alive_at(local));
            held.filter(|process| process.gpus.contains(&gpu.index)).map(|process| process.memory).sum()
        };
        used.min(gpu.preset.memory_total.saturating_sub(gpu.preset.memory_reserved))
    }

    fn counters_at(&self, gpu: &GpuRig, t: Duration) -> Cumulative {
        let seconds = t.as_secs_f64();
        let whole = gpu.sums.last().copied().unwrap_or_default();
        let length = self.duration().as_secs_f64();
        if self.loops() {
            let rounds = (seconds / length).floor();
            return gpu.sum_to(seconds - rounds * length).plus(&whole, rounds);
        }
        let inside = gpu.sum_to(seconds.min(length));
        // After the end the rig stays as it is: the counters run on at its last rates.
        inside.plus(&gpu.last_second, (seconds - length).max(0.0))
    }

    fn processes_at(&self, t: Duration) -> Vec<ProcessTruth> {
        let local = self.local(t);
        self.processes()
            .iter()
            .enumerate()
            .filter(|(_, process)| process.alive_at(local))
            .map(|(index, process)| ProcessTruth {
                index,
                pid: process.pid,
                cpu_ns: ((t.as_secs_f64() + process.age_at_start) * process.cpu_percent * 1e7).max(0.0)
                    as u64,
            })
            .collect()
    }

    fn host_at(&self, t: Duration) -> HostTruth {
        let host = self.host();
        let seconds = t.as_secs_f64();
        let uptime_seconds = host.uptime_seconds + seconds;
        let total = uptime_seconds * 1e9 * f64::from(host.cpus);
        // A slow wave of ±10 % of the share, as an integral so that the counter only rises.
        let share = host.cpu_percent / 100.0;
        let wave = share * 0.1 * 11.0 * (seconds / 11.0).sin() * 1e9 * f64::from(host.cpus);
        HostTruth {
            cpu_busy_ns: (total * share + wave).max(0.0) as u64,
            cpu_total_ns: total as u64,
            memory_used: host.memory_used,
            load: share * f64::from(host.cpus) * (1.0 + 0.1 * (seconds / 11.0).cos()),
            uptime_seconds,
        }
    }
}
