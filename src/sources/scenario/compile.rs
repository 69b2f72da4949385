//! From the TOML as written to a scenario that can be asked: presets filled in, references checked, tracks laid.

mod entries;

use super::error::{ScenarioError, nearest};
use super::fault::{FaultKind, FaultRig};
use super::metric::Entry;
use super::preset::{PRESETS, Preset};
use super::rig::{BEFORE, GpuRig, HostRig, MIB, MigRig, ProcessRig};
use super::spec::{self, FaultName, Selector};
use super::truth::Cumulative;
use super::{Expectation, Scenario};
use crate::model::{Absence, HostFile};
use std::collections::BTreeMap;
use std::time::Duration;

/// Shortest interval between samples, as for a live collector.
const LEAST_INTERVAL: f64 = 0.1;
/// Longest timeline: a day.
const LONGEST: f64 = 86_400.0;
/// Most RDMA cards of a rig.
const MOST_NICS: u32 = 32;
/// Most GPUs of a rig.
const MOST_GPUS: usize = 64;
/// A process's age at the start where the scenario does not say.
const USUAL_AGE: f64 = 5_400.0;
/// PCI buses of the GPUs of an HGX board, in order.
const HGX_BUSES: [u32; 8] = [0x1b, 0x43, 0x52, 0x61, 0x9d, 0xc3, 0xd1, 0xdf];

struct Compiler<'a> {
    file: &'a str,
    gpus: Vec<GpuRig>,
}

pub(super) fn compile(file: spec::File, name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let mut compiler = Compiler { file: name, gpus: Vec::new() };
    let interval = compiler.within("interval_seconds", file.interval_seconds, LEAST_INTERVAL, 60.0)?;
    let duration = compiler.within("duration_seconds", file.duration_seconds, interval, LONGEST)?;
    let mut host = host(&file.host, &file.host_file);
    if let Some(storage) = &file.storage {
        storage.check(name)?;
        // The two names of the same memory cannot disagree unless a scenario says both.
        host.arc = host.arc.or_else(|| storage.cache_gib().map(|gib| (gib * 1024.0 * MIB as f64) as u64));
    }
    for group in &file.gpu {
        compiler.add_group(group, text)?;
    }
    let mut processes = Vec::new();
    for process in &file.process {
        compiler.add_process(process, &host, &mut processes)?;
    }
    let mut lines = Vec::new();
    let mut entries: Vec<(f64, f64, &Entry)> = Vec::new();
    for entry in &file.at {
        let (from, to) = compiler.span(entry, duration)?;
        entries.push((from, to, entry));
    }
    // By time, so that each change starts from what the ones before it left.
    entries.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (from, to, entry) in entries {
        compiler.add_entry(from, to, entry, &mut lines, &mut processes)?;
    }
    for gpu in &mut compiler.gpus {
        gpu.integrate(duration);
    }
    settle_lives(&mut processes, &host);
    let faults = compiler.faults(&file.fault)?;
    let expectations = compiler.expectations(&file.expect)?;
    Ok(Scenario {
        name: name.to_owned(),
        title: file.title,
        interval: Duration::from_secs_f64(interval),
        duration: Duration::from_secs_f64(duration),
        end: file.end,
        host,
        gpus: compiler.gpus,
        processes,
        models: file.model,
        storage: file.storage,
        lines,
        faults,
        expectations,
    })
}

fn host(spec: &spec::Host, files: &[spec::HostFileSpec]) -> HostRig {
    let bytes = |gib: f64| (gib.max(0.0) * 1024.0 * MIB as f64) as u64;
    HostRig {
        hostname: spec.hostname.clone(),
        kernel: spec.kernel.clone(),
        boot_id: spec.boot_id.clone(),
        cpus: spec.cpus,
        memory_total: bytes(spec.memory_gib),
        memory_used: bytes(spec.memory_used_gib),
        swap_total: bytes(spec.swap_gib),
        arc: spec.arc_gib.map(bytes),
        cpu_percent: spec.cpu_percent.clamp(0.0, 100.0),
        uptime_seconds: spec.uptime_hours.max(0.0) * 3_600.0,
        driver: spec.driver.clone(),
        nvml: spec.nvml.clone().unwrap_or_else(|| format!("13.{}", spec.driver)),
        cuda: spec.cuda.clone(),
        host_pids_visible: spec.host_pids_visible,
        problem: spec.problem.clone(),
        guest: spec.guest,
        nics: spec.nics.min(MOST_NICS),
        files: files.iter().map(host_file).collect(),
    }
}

fn host_file(spec: &spec::HostFileSpec) -> HostFile {
    let absent = || Absence::NotSupported;
    let lines = spec
        .lines
        .as_ref()
        .map(|lines| (1..).zip(lines).map(|(n, line)| (n, line.as_str().into())).collect());
    let names = spec.names.as_ref().map(|names| names.iter().map(|name| name.as_str().into()).collect());
    HostFile {
        lines: lines.ok_or_else(absent),
        names: names.ok_or_else(absent),
        link: spec.link.as_deref().map(Into::into).ok_or_else(absent),
        ..HostFile::new(spec.path.as_str())
    }
}

/// A process that never ends in the scenario lives to the end of time.
fn settle_lives(processes: &mut [ProcessRig], host: &HostRig) {
    for process in processes {
        let first = process.life.first().map_or(0.0, |(start, _)| start.max(0.0));
        if first > 0.0 {
            process.age_at_start = -first;
        }
        process.start_ticks = ((host.uptime_seconds - process.age_at_start) * 100.0).max(1.0) as u64;
    }
}

impl Compiler<'_> {
    fn fault(&self, message: impl Into<String>) -> ScenarioError {
        ScenarioError::whole(self.file, message)
    }

    fn within(&self, key: &str, value: f64, least: f64, most: f64) -> Result<f64, ScenarioError> {
        if value.is_finite() && value >= least && value <= most {
            Ok(value)
        } else {
            Err(self.fault(format!("`{key}` is {value}: it must be between {least} and {most} seconds")))
        }
    }

    fn add_group(&mut self, group: &spec::Group, text: &str) -> Result<(), ScenarioError> {
        let preset = Preset::named(&group.model).ok_or_else(|| {
            let offset = text.find(&format!("\"{}\"", group.model)).unwrap_or_default();
            let models: Vec<&str> = PRESETS.iter().map(|preset| preset.key).collect();
            ScenarioError {
                nearest: nearest(&group.model, models.iter().copied()).map(str::to_owned),
                ..ScenarioError::at(
                    self.file,
                    text,
                    offset,
                    format!("unknown GPU model `{}` (known: {})", group.model, models.join(", ")),
                )
            }
        })?;
        for member in 0..group.count {
            if self.gpus.len() >= MOST_GPUS {
                return Err(self.fault(format!("more than {MOST_GPUS} GPUs")));
            }
            let gpu = new_gpu(self.gpus.len() as u32, member as usize, group, preset);
            self.gpus.push(gpu);
        }
        Ok(())
    }

    fn select(&self, what: &str, selector: &Selector) -> Result<Vec<u32>, ScenarioError> {
        match selector {
            Selector::All => Ok(self.gpus.iter().map(|gpu| gpu.index).collect()),
            Selector::Some(indexes) => {
                match indexes.iter().find(|index| **index as usize >= self.gpus.len()) {
                    Some(index) => {
                        Err(self.fault(format!("{what} names GPU {index}; the rig has {}", self.gpus.len())))
                    }
                    None => Ok(indexes.clone()),
                }
            }
        }
    }

    fn add_process(
        &self,
        spec: &spec::Process,
        host: &HostRig,
        processes: &mut Vec<ProcessRig>,
    ) -> Result<(), ScenarioError> {
        let gpus = self.select(&format!("process {}", spec.pid), &spec.gpus)?;
        let groups: Vec<Vec<u32>> =
            if spec.one_per_gpu { gpus.iter().map(|gpu| vec![*gpu]).collect() } else { vec![gpus] };
        for (rank, gpus) in groups.into_iter().enumerate() {
            let mut environment: Vec<(String, String)> =
                spec.environment.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            if spec.one_per_gpu {
                environment.push(("LOCAL_RANK".into(), rank.to_string()));
            }
            processes.push(ProcessRig {
                pid: spec.pid + rank as u32,
                start_ticks: 0,
                age_at_start: spec.age_seconds.unwrap_or_else(|| USUAL_AGE.min(host.uptime_seconds / 2.0)),
                parent: spec.parent.unwrap_or(1),
                user: spec.user.clone(),
                name: spec.name.clone(),
                command: spec.command.clone(),
                gpus,
                memory: spec.memory_mib.unwrap_or(500) * MIB,
                kind: spec.kind.into(),
                sm_share: spec.sm_share,
                cpu_percent: spec.cpu_percent.unwrap_or(100.0),
                resident: spec.resident_mib.unwrap_or(2_048) * MIB,
                state: spec.state.unwrap_or('S'),
                gpu_instance: spec.gpu_instance,
                compute_instance: spec.compute_instance,
                inner_pid: spec.inner_pid.map(|pid| pid + rank as u32),
                cgroup: spec.cgroup.clone(),
                container: spec.container.as_ref().map(|c| (c.runtime.clone(), c.id.clone())),
                pod: spec.pod.clone(),
                slurm_job: spec.slurm_job.clone(),
                unit: spec.unit.clone(),
                environment,
                life: if spec.later { Vec::new() } else { vec![(f64::NEG_INFINITY, f64::INFINITY)] },
            });
        }
        Ok(())
    }

    fn faults(&self, specs: &[spec::Fault]) -> Result<Vec<FaultRig>, ScenarioError> {
        specs
            .iter()
            .map(|spec| {
                let kind = match (spec.kind, spec.code, spec.value) {
                    (FaultName::Block, None, None) => FaultKind::Block,
                    (FaultName::BlockLibrary, None, None) => FaultKind::BlockLibrary,
                    (FaultName::Crash, None, None) => FaultKind::Crash,
                    (FaultName::Error, Some(code), None) => FaultKind::Error(code),
                    (FaultName::Value, None, Some(value)) => FaultKind::Value(value.0),
                    _ => {
                        return Err(self.fault(format!(
                            "the fault of {} needs `code` with kind \"error\", `value` with kind \"value\", and neither \
                             otherwise",
                            spec.call
                        )));
                    }
                };
                let gpus = spec.gpu.as_ref().map(|gpu| self.select("a [[fault]]", gpu)).transpose()?;
                let from = spec.from.map_or(0.0, |from| from.0);
                let to = spec.to.map_or(f64::INFINITY, |to| to.0);
                Ok(FaultRig { call: spec.call.clone(), gpus, from, to, kind })
            })
            .collect()
    }

    fn expectations(&self, specs: &[spec::Expect]) -> Result<Vec<Expectation>, ScenarioError> {
        specs
            .iter()
            .map(|spec| {
                if let Some(gpu) = spec.gpu {
                    self.select("an [[expect]]", &Selector::Some(vec![gpu]))?;
                }
                let to = spec.to.map_or(f64::INFINITY, |to| to.0);
                Ok(Expectation { rule: spec.rule.clone(), gpu: spec.gpu, from: spec.from.0, to })
            })
            .collect()
    }
}

fn new_gpu(index: u32, member: usize, group: &spec::Group, preset: &'static Preset) -> GpuRig {
    let bus = HGX_BUSES.get(index as usize).copied().unwrap_or(0xe0 + index % 0x20);
    let domain = index / 40;
    let mut gpu = GpuRig {
        index,
        preset,
        uuid: format!("GPU-00000000-0000-4000-8000-{:012}", index + 1),
        serial: format!("165{:010}", index + 1),
        pci: group.pci.get(member).cloned().unwrap_or_else(|| format!("{domain:04x}:{bus:02x}:00.0")),
        numa_node: group.numa.get(member).copied().unwrap_or_default(),
        mig: group
            .mig
            .iter()
            .enumerate()
            .map(|(slot, mig)| MigRig {
                gpu_instance: mig.gpu_instance,
                compute_instance: mig.compute_instance,
                profile: mig.profile.clone(),
                uuid: format!("MIG-00000000-0000-4000-8000-{:06}{:06}", index + 1, slot + 1),
                memory_total: mig.memory_mib * MIB,
                memory_used: mig.used_mib * MIB,
                sm: mig.sm,
            })
            .collect(),
        mig_on: group.mig_enabled || !group.mig.is_empty(),
        display: group.display,
        loads: vec![(BEFORE, group.load)],
        tracks: BTreeMap::new(),
        states: group.state.map(|state| (BEFORE, state)).into_iter().collect(),
        sums: Vec::new(),
        last_second: Cumulative::default(),
    };
    for (metric, value) in group.set.changes() {
        gpu.change(metric, BEFORE, BEFORE, Some(value));
    }
    gpu
}
