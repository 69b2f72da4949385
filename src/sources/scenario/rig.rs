//! A scenario made ready: GPUs with the tracks of their numbers, processes with their lives.

use super::load;
use super::metric::{Metric, Values};
use super::preset::Preset;
use super::spec::{KindName, LoadName, StateName};
use super::truth::Cumulative;
use crate::model::{GpuState, HostFile, ProcessKind};
use std::collections::BTreeMap;

pub(super) const MIB: u64 = 1 << 20;

/// Before the start, in scenario seconds: what a rig is from the beginning it was long before, since the driver's
/// sample buffers reach back.
pub(super) const BEFORE: f64 = -3_600.0;

/// A change of one number: from `start` at `from` to `target` at `to`, and then that; no target is the healthy
/// value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) start: f64,
    pub(super) target: Option<f64>,
}

/// A MIG instance of a rig.
#[derive(Clone, Debug, PartialEq)]
pub struct MigRig {
    /// GPU instance id.
    pub gpu_instance: u32,
    /// Compute instance id.
    pub compute_instance: u32,
    /// Profile as nvidia-smi names it.
    pub profile: String,
    /// UUID, `MIG-…`.
    pub uuid: String,
    /// Framebuffer, bytes.
    pub memory_total: u64,
    /// Framebuffer in use, bytes.
    pub memory_used: u64,
    /// SM activity.
    pub sm: Option<f64>,
}

/// One GPU of a rig.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuRig {
    /// NVML index, which is also the minor number.
    pub index: u32,
    /// The model.
    pub preset: &'static Preset,
    /// UUID, `GPU-00000000-0000-4000-8000-…`.
    pub uuid: String,
    /// Serial number.
    pub serial: String,
    /// PCI address, `0000:3b:00.0`.
    pub pci: String,
    /// NUMA node of its slot.
    pub numa_node: u32,
    /// MIG instances; empty without.
    pub mig: Vec<MigRig>,
    /// MIG mode is on, with or without instances.
    pub(super) mig_on: bool,
    /// A display hangs on it, and is driven.
    pub display: bool,
    /// How it is loaded, from when on.
    pub(super) loads: Vec<(f64, LoadName)>,
    pub(super) tracks: BTreeMap<Metric, Vec<Segment>>,
    pub(super) states: Vec<(f64, StateName)>,
    /// Counters at each whole second of the scenario.
    pub(super) sums: Vec<Cumulative>,
    /// What one second after the end adds.
    pub(super) last_second: Cumulative,
}

impl GpuRig {
    /// What NVML calls an attached display: the Hopper modules, which have no connector, say so too (captured from an
    /// H200).
    #[must_use]
    pub const fn display_attached(&self) -> bool {
        self.display || self.preset.fabric
    }

    /// The numbers at `t` seconds.
    pub(super) fn values_at(&self, t: f64) -> Values {
        let load =
            self.loads.iter().rev().find(|(from, _)| *from <= t).map_or(LoadName::Idle, |(_, load)| *load);
        let mut values = load::healthy(self.preset, load, self.index, t);
        for (metric, segments) in &self.tracks {
            let Some(segment) = segments.iter().rev().find(|segment| segment.from <= t) else { continue };
            let slot = values.slot(*metric);
            let target = segment.target.map_or(*slot, |value| {
                value * (1.0 + metric.tremble() * load::tremble(self.index, *metric, t))
            });
            *slot = if t < segment.to && segment.to > segment.from {
                segment.start + (target - segment.start) * (t - segment.from) / (segment.to - segment.from)
            } else {
                target
            };
        }
        values
    }

    /// Adds a change; later ones win over earlier ones from their start on.
    pub(super) fn change(&mut self, metric: Metric, from: f64, to: f64, target: Option<f64>) {
        let mut values = self.values_at(from);
        let start = *values.slot(metric);
        self.tracks.entry(metric).or_default().push(Segment { from, to, start, target });
    }

    /// Whether the scenario ever sets that number.
    pub(super) fn sets(&self, metric: Metric) -> bool {
        self.tracks.contains_key(&metric)
    }

    pub(super) fn state_at(&self, t: f64) -> GpuState {
        match self.states.iter().rev().find(|(from, _)| *from <= t) {
            Some((_, StateName::Lost)) => GpuState::Lost,
            Some((_, StateName::Asleep)) => GpuState::Asleep,
            Some((_, StateName::Ok)) | None => GpuState::Ok,
        }
    }

    /// Whether MIG mode is on.
    #[must_use]
    pub const fn mig_enabled(&self) -> bool {
        self.mig_on
    }

    /// Adds up the counters over the scenario's seconds.
    pub(super) fn integrate(&mut self, duration: f64) {
        let seconds = duration.ceil().max(1.0) as u32;
        let mut sum = Cumulative::default();
        let mut sums = vec![sum];
        for second in 0..seconds {
            let t = f64::from(second) + 0.5;
            let last = duration - f64::from(second);
            sum = sum.plus(&self.second_at(t), last.min(1.0));
            sums.push(sum);
        }
        self.last_second = self.second_at(duration);
        self.sums = sums;
    }

    fn second_at(&self, t: f64) -> Cumulative {
        if self.state_at(t) == GpuState::Ok {
            Cumulative::of_one_second(&self.values_at(t))
        } else {
            Cumulative::default()
        }
    }

    /// The counters at `t` seconds, which is within the scenario.
    pub(super) fn sum_to(&self, t: f64) -> Cumulative {
        let second = t.max(0.0).floor();
        let at =
            |index: usize| self.sums.get(index).or_else(|| self.sums.last()).copied().unwrap_or_default();
        let (before, after) = (at(second as usize), at(second as usize + 1));
        let share = t - second;
        let mut sum = before.plus(&before, -share).plus(&after, share);
        // The two products may round to less than the whole they make.
        sum.energy = sum.energy.max(before.energy);
        sum
    }
}

/// A process of a rig.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessRig {
    /// PID on the host.
    pub pid: u32,
    /// Start time, clock ticks (1/100 s) since boot.
    pub start_ticks: u64,
    /// How long it had run when the scenario began, s (negative: it starts later).
    pub age_at_start: f64,
    /// Parent PID.
    pub parent: u32,
    /// User.
    pub user: String,
    /// Short name.
    pub name: String,
    /// Arguments.
    pub command: Vec<String>,
    /// GPUs it holds.
    pub gpus: Vec<u32>,
    /// Framebuffer it holds on each, bytes.
    pub memory: u64,
    /// How it uses them.
    pub kind: ProcessKind,
    /// SM share in per cent; `None`: what the GPU does, divided among its processes.
    pub sm_share: Option<f64>,
    /// CPU, per cent of one core.
    pub cpu_percent: f64,
    /// Resident memory, bytes.
    pub resident: u64,
    /// State letter.
    pub state: char,
    /// MIG GPU instance.
    pub gpu_instance: Option<u32>,
    /// MIG compute instance.
    pub compute_instance: Option<u32>,
    /// PID in its own PID namespace.
    pub inner_pid: Option<u32>,
    /// cgroup path.
    pub cgroup: Option<String>,
    /// Container runtime and id.
    pub container: Option<(String, String)>,
    /// Pod UID.
    pub pod: Option<String>,
    /// Slurm job.
    pub slurm_job: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Environment, the allowed part.
    pub environment: Vec<(String, String)>,
    /// When it starts, and when it ends, in scenario seconds.
    pub(super) life: Vec<(f64, f64)>,
}

impl ProcessRig {
    pub(super) fn alive_at(&self, t: f64) -> bool {
        self.life.iter().any(|(start, end)| *start <= t && t < *end)
    }
}

impl From<KindName> for ProcessKind {
    fn from(kind: KindName) -> Self {
        match kind {
            KindName::Compute => Self::Compute,
            KindName::Graphics => Self::Graphics,
            KindName::Mps => Self::Mps,
        }
    }
}

/// The host of a rig.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRig {
    /// Host name.
    pub hostname: String,
    /// Kernel release.
    pub kernel: String,
    /// Boot id.
    pub boot_id: String,
    /// Logical CPUs.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_total: u64,
    /// Memory in use, bytes.
    pub memory_used: u64,
    /// Swap, bytes.
    pub swap_total: u64,
    /// What the ZFS ARC could give back, bytes.
    pub arc: Option<u64>,
    /// CPU in use, per cent of all.
    pub cpu_percent: f64,
    /// Seconds since boot at the start.
    pub uptime_seconds: f64,
    /// Driver version.
    pub driver: String,
    /// NVML version.
    pub nvml: String,
    /// CUDA version.
    pub cuda: String,
    /// Whether host PIDs are visible.
    pub host_pids_visible: bool,
    /// Why there are no GPUs from NVML.
    pub problem: Option<String>,
    /// A virtual machine that was given its GPUs.
    pub guest: bool,
    /// RDMA cards; the bus is made up where there are some.
    pub nics: u32,
    /// Files of the host that differ from those of one on which all is well.
    pub files: Vec<HostFile>,
}
