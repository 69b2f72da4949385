//! Plays a scenario as a stream of records, in order and with their times; whoever pulls them sets the pace.

mod facts;
mod groups;
mod host_files;
mod inventory;
mod telling;
mod topology;

use super::{FaultKind, Scenario, models, storage};
use crate::model::{
    Bye, GpuSample, GpuState, Grouped, HostInfo, Record, Sample, SelfCost, SourceState, SourceStatus,
    StorageSample, nvml_code,
};
use crate::units::{Bytes, Mono, Wall};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long a call may take before the watchdog names it, as in the collector.
const STUCK_AFTER: Duration = Duration::from_secs(2);
/// Samples from one reading of the host's files to the next.
const HOST_FILES_EVERY: u64 = 30;
/// The PID that a made-up collector says it has.
const COLLECTOR_PID: u32 = 4_242;
/// CPU of the collector for eight GPUs with everything on: 0.61 % of a core for each (measured).
const COST_PER_GPU: f64 = 0.0061;

/// A scenario on its way. Deterministic: the same scenario and start give the same records.
#[derive(Clone, Debug)]
pub struct ScenarioPlayer {
    scenario: Arc<Scenario>,
    wall: Wall,
    mono: Mono,
    /// Samples sent so far.
    sequence: u64,
    /// Time of the newest record, from the start.
    position: Duration,
    /// Kernel lines sent in this round, and the round.
    lines: (usize, u64),
    /// Which processes the last inventory named.
    known: Option<Vec<usize>>,
    /// Calls that have been told to be stuck.
    stuck: Vec<Stuck>,
    queue: VecDeque<(Duration, Record)>,
    ended: bool,
}

/// A call that a fault of the scenario holds.
#[derive(Clone, Debug, PartialEq)]
struct Stuck {
    gpu: Option<u32>,
    call: Arc<str>,
    since: Duration,
    told: bool,
}

impl ScenarioPlayer {
    /// Plays from the beginning, which is at these times.
    #[must_use]
    pub fn new(scenario: impl Into<Arc<Scenario>>, start_wall: Wall, start_mono: Mono) -> Self {
        let mut player = Self {
            scenario: scenario.into(),
            wall: start_wall,
            mono: start_mono,
            sequence: 0,
            position: Duration::ZERO,
            lines: (0, 0),
            known: None,
            stuck: Vec::new(),
            queue: VecDeque::new(),
            ended: false,
        };
        let header = player.header();
        player.queue.push_back((Duration::ZERO, Record::Header(header)));
        player
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// When the record that [`next`](Self::next) gave last happened, from the start.
    #[must_use]
    pub const fn position(&self) -> Duration {
        self.position
    }

    /// When the next record is due, from the start.
    pub fn next_at(&mut self) -> Option<Duration> {
        self.fill();
        self.queue.front().map(|(at, _)| *at)
    }

    fn wall_at(&self, t: Duration) -> Wall {
        Wall(self.wall.0.saturating_add(i64::try_from(t.as_micros()).unwrap_or(i64::MAX)))
    }

    fn mono_at(&self, t: Duration) -> Mono {
        self.mono.plus(t)
    }

    fn group<T>(&self, t: Duration, value: T) -> Option<Grouped<T>> {
        Some(Grouped { at: self.mono_at(t), value })
    }

    /// Makes the records of the next interval: what happened since the last sample, then the sample.
    fn fill(&mut self) {
        if !self.queue.is_empty() || self.ended {
            return;
        }
        let interval = self.scenario.interval();
        let t = interval * u32::try_from(self.sequence).unwrap_or(u32::MAX);
        if self.scenario.ends() && t > self.scenario.duration() {
            self.ended = true;
            let bye = Bye { reason: "end_of_scenario".into(), restart: false };
            self.queue.push_back((self.scenario.duration(), Record::Bye(bye)));
            return;
        }
        self.tell_lines(t);
        self.tell_stuck(t);
        self.tell_inventory(t);
        self.sequence += 1;
        let sample = self.sample(t);
        self.queue.push_back((t, Record::Sample(Box::new(sample))));
    }

    /// The model stores are handed over again each minute, as a collector does.
    fn storage(&self, truth: &super::RigTruth, t: Duration) -> Option<Box<StorageSample>> {
        let (models, at) = (&self.scenario.models, self.mono_at(t));
        let seconds = t.as_secs();
        let due =
            self.sequence <= 1 || seconds / 60 != t.saturating_sub(self.scenario.interval()).as_secs() / 60;
        let here = self.host_processes(truth);
        let start = |pid| here.iter().find(|process| process.key.pid == pid).map(|process| process.key.start);
        let read = match &self.scenario.storage {
            Some(storage) => {
                let moment = storage::Moment {
                    seconds: t.as_secs_f64(),
                    at,
                    start: self.wall,
                    first: self.sequence <= 1,
                    interval: self.scenario.interval().as_secs_f64(),
                };
                let loaded = |mount: &str| models::bytes_read(models, mount, moment.seconds);
                storage::sample(storage, moment, &loaded)
            }
            None => StorageSample::default(),
        };
        let sample = StorageSample {
            models: if due { models::store(models, at, self.wall) } else { None },
            model_uses: models::uses(models, t, at, start),
            ..read
        };
        (!sample.is_empty()).then(|| Box::new(sample))
    }

    /// The call that holds a GPU's thread, if it is overdue.
    fn stuck_on(&self, gpu: u32) -> Option<&Stuck> {
        let library = self.scenario.faults().iter().any(|fault| fault.kind == FaultKind::BlockLibrary);
        self.stuck.iter().filter(|call| call.told).find(|call| call.gpu == Some(gpu) || library)
    }

    fn sample(&self, t: Duration) -> Sample {
        let truth = self.scenario.truth_at(t);
        let is_init_stuck =
            self.stuck.iter().any(|call| call.gpu.is_none() && call.call.starts_with("nvmlInit"));
        let has_driver = self.scenario.host().problem.is_none() && !is_init_stuck;
        let gpus = if has_driver { self.gpu_samples(&truth, t) } else { Vec::new() };
        Sample {
            sequence: self.sequence,
            mono: self.mono_at(t),
            wall: self.wall_at(t),
            gpus,
            processes: self.group(t, self.host_processes(&truth)),
            host: self.group(t, self.host_sample(&truth.host)),
            storage: self.storage(&truth, t),
            host_files: if self.sequence % HOST_FILES_EVERY == 1 {
                self.group(t, self.host_files())
            } else {
                None
            },
            sources: self.sources(is_init_stuck),
            cost: Some(SelfCost {
                cpu_ns: (t.as_secs_f64() * 1e9 * COST_PER_GPU * self.scenario.gpus().len() as f64) as u64,
                resident: Bytes(21 << 20),
                calls: self.sequence * 40 * self.scenario.gpus().len() as u64,
                call_ns: (t.as_secs_f64() * 5.68e6 * self.scenario.gpus().len() as f64) as u64,
            }),
        }
    }

    fn gpu_samples(&self, truth: &super::RigTruth, t: Duration) -> Vec<GpuSample> {
        self.scenario
            .gpus()
            .iter()
            .zip(&truth.gpus)
            .map(|(gpu, truth_of)| {
                let id = inventory::id(gpu);
                // From the moment a call is entered nothing more is read; the watchdog names it later.
                if let Some(stuck) = self.stuck_on(gpu.index) {
                    let mut sample = GpuSample::new(id, GpuState::Stalled);
                    sample.stuck = Some(self.stuck_call(stuck, false));
                    return sample;
                }
                let mut sample = GpuSample::new(id, truth_of.state);
                sample.refusal = (truth_of.state == GpuState::Lost).then_some(nvml_code::GPU_IS_LOST);
                let is_held = self.stuck.iter().any(|call| call.gpu == Some(gpu.index));
                if truth_of.state == GpuState::Ok && !is_held {
                    self.read_gpu(gpu, truth, truth_of, t, &mut sample);
                }
                sample
            })
            .collect()
    }

    fn sources(&self, is_init_stuck: bool) -> Vec<SourceStatus> {
        let host = self.scenario.host();
        let status = |name: &str, state, reason: &str| SourceStatus {
            name: name.into(),
            state,
            reason: reason.into(),
        };
        let nvml = match &host.problem {
            _ if is_init_stuck => status("nvml", SourceState::Unavailable, "nvmlInit_v2 has not returned"),
            Some(problem) => status("nvml", SourceState::Unavailable, problem),
            None if self.stuck.iter().any(|call| call.told) => {
                status("nvml", SourceState::Degraded, "a driver call has not returned")
            }
            None => status("nvml", SourceState::Ok, ""),
        };
        let processes = if host.host_pids_visible {
            status("processes", SourceState::Ok, "")
        } else {
            status(
                "processes",
                SourceState::Degraded,
                "the host's PIDs are not visible in this PID namespace",
            )
        };
        vec![
            nvml,
            processes,
            status("host", SourceState::Ok, ""),
            status("pci", SourceState::Ok, ""),
            status("kernel_log", SourceState::Ok, ""),
        ]
    }

    fn header(&self) -> crate::model::Header {
        let host = self.scenario.host();
        crate::model::Header {
            format: 1,
            kgtop: env!("CARGO_PKG_VERSION").into(),
            host: HostInfo {
                hostname: host.hostname.as_str().into(),
                kernel: host.kernel.as_str().into(),
                boot_id: host.boot_id.as_str().into(),
                cpus: host.cpus,
            },
            wall: self.wall,
            mono: self.mono,
            interval_seconds: self.scenario.interval().as_secs_f32(),
            collector_pid: COLLECTOR_PID,
        }
    }
}

impl Iterator for ScenarioPlayer {
    type Item = Record;

    /// The next record; a scenario that stays or loops never ends.
    fn next(&mut self) -> Option<Record> {
        self.fill();
        let (at, record) = self.queue.pop_front()?;
        self.position = at;
        Some(record)
    }
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
