//! What a plan rests on: of the GPU, of the processes on it, of this host. Taken from a snapshot when a plan is
//! shown, and from the driver itself before it is carried out.

use super::change::{Change, format_watts, on_off};
use super::mig::{MigFacts, MigProfile};
use super::settings::{ComputeMode, EccCounters};
use crate::model::nvml_code::RESET_REQUIRED;
use crate::model::{
    Absence, Gpu, GpuInfo, GpuState, Health, Live, MigInstance, Process, ProcessKey, ProcessList, Reading,
    Snapshot, known,
};
use crate::units::{Megahertz, Watts};
use serde::{Deserialize, Serialize};

/// What is known of the GPU that a plan is about.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuFacts {
    /// UUID; a GPU without one is never acted on.
    pub uuid: Option<String>,
    /// PCI address, `0000:41:00.0`.
    pub address: Option<String>,
    /// Another GPU of the machine has the same bus and device, in another PCI domain.
    pub bus_is_shared: bool,
    /// Number of this boot, for people.
    pub index: Option<u32>,
    /// Product name.
    pub name: String,
    /// How reading it goes.
    pub state: GpuState,
    /// NVML's return code by which the driver refuses it, while it is lost.
    pub refusal: Option<u32>,
    /// The limit that was set.
    pub power_limit: Reading<Watts>,
    /// Least and greatest limit that can be set.
    pub power_range: Reading<(Watts, Watts)>,
    /// Limit after a reset.
    pub default_power_limit: Reading<Watts>,
    /// Highest SM clock.
    pub max_graphics_clock: Reading<Megahertz>,
    /// Highest memory clock.
    pub max_memory_clock: Reading<Megahertz>,
    /// Persistence mode.
    pub persistence: Reading<bool>,
    /// Compute mode, the driver's number.
    pub compute_mode: Reading<u32>,
    /// MIG mode.
    pub mig: Reading<bool>,
    /// The MIG instances.
    pub mig_instances: Reading<Vec<MigFacts>>,
    /// What can be made of the GPU in MIG mode; asked of the driver only where an instance is to be made.
    pub mig_offered: Reading<Vec<MigProfile>>,
    /// Corrected and uncorrected ECC errors since the driver loaded.
    pub ecc_volatile: [Reading<u64>; 2],
    /// Corrected and uncorrected ECC errors in the GPU's life.
    pub ecc_aggregate: [Reading<u64>; 2],
    /// A row remap waits for a reset.
    pub remap_pending: Reading<bool>,
    /// What the driver recommends (field 230).
    pub recovery_action: Reading<u32>,
    /// Virtualisation mode: 2 is a vGPU guest.
    pub virtualization: Reading<u32>,
    /// Architecture, for the reset rules.
    pub architecture: Reading<String>,
    /// NVLinks, and how many of them go to a switch.
    pub nvlinks: (u32, u32),
    /// Number N of `/dev/nvidiaN`.
    pub minor: Reading<u32>,
    /// Processes on it; absent where the driver's list could not be read.
    pub holders: Reading<Vec<HolderFacts>>,
}

/// A process on the GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderFacts {
    /// PID as the driver knows it.
    pub pid: u32,
    /// Start in clock ticks since boot; 0 if unknown.
    pub start: u64,
    /// User.
    pub user: Option<String>,
    /// Short name.
    pub name: Option<String>,
    /// Age in seconds.
    pub age_seconds: Option<u64>,
    /// Framebuffer on this GPU, bytes.
    pub memory: Option<u64>,
    /// Container: runtime and id.
    pub container: Option<(String, String)>,
    /// Kubernetes pod.
    pub pod: Option<String>,
    /// Slurm job.
    pub slurm_job: Option<String>,
}

/// The process that a signal or a niceness is meant for.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessTarget {
    /// What is known of it.
    pub holder: HolderFacts,
    /// Whether `/proc` here knows the PID as the process that the driver means.
    pub visible: bool,
    /// Niceness now, where it was read.
    pub nice: Option<i32>,
}

/// This host and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Host name.
    pub hostname: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Effective user is root.
    pub is_root: bool,
    /// Absolute path of this program.
    pub program: String,
    /// Whether the PIDs of `/proc` are the host's.
    pub pids_visible: bool,
    /// Runs in a container.
    pub in_container: bool,
    /// Why not all of `/proc` can be read, if so.
    pub proc_partial: Option<String>,
    /// `nvidia_drm` is loaded.
    pub drm_loaded: bool,
    /// Whether Fabric Manager runs; `None` where nobody looked.
    pub fabric_manager: Option<bool>,
    /// Who holds the device files of the GPU, kgtop's own processes left out: `None` where nobody looked.
    pub open_by: Option<Vec<(u32, String)>>,
}

impl GpuFacts {
    /// The facts of a GPU in a snapshot.
    #[must_use]
    pub fn of_snapshot(snapshot: &Snapshot, gpu: &Gpu) -> Self {
        let mut facts = Self::of_readings(
            &gpu.info,
            gpu.live.as_ref().map(|group| &group.value),
            gpu.health.as_ref().map(|group| &group.value),
        );
        (facts.state, facts.refusal) = (gpu.state, gpu.refusal);
        facts.bus_is_shared = snapshot.gpus.iter().any(|other| {
            let of = |gpu: &Gpu| known(&gpu.info.pci_bus_id).map(|address| bus(&address).to_owned());
            other.id != gpu.id && of(gpu).is_some() && of(other) == of(gpu)
        });
        // A list that could not be read is not an empty one.
        facts.holders = gpu.process_list.clone().map(|()| {
            let running = snapshot.processes.iter().filter(|process| process.ended.is_none());
            running
                .filter_map(|process| HolderFacts::of_process(snapshot, process, Some(&gpu.id.0)))
                .collect()
        });
        facts.with_mig(gpu.mig.as_ref().map(|group| &group.value))
    }

    /// The facts of a GPU as just read. Nothing is known of its processes yet.
    #[must_use]
    pub fn of_readings(info: &GpuInfo, live: Option<&Live>, health: Option<&Health>) -> Self {
        let unread = || Err(Absence::NotRequested);
        let range = match (&info.min_power_limit, &info.max_power_limit) {
            (Ok(least), Ok(most)) => Ok((*least, *most)),
            (Err(absence), _) | (_, Err(absence)) => Err(absence.clone()),
        };
        let ecc = |pick: fn(&Health) -> [&Reading<u64>; 2]| {
            health.map_or_else(|| [unread(), unread()], |health| pick(health).map(Clone::clone))
        };
        Self {
            uuid: known(&info.uuid).map(|uuid| uuid.to_string()),
            address: known(&info.pci_bus_id).map(|address| address.to_string()),
            bus_is_shared: false,
            index: known(&info.index),
            name: known(&info.name).map_or_else(|| "GPU".to_owned(), |name| name.to_string()),
            state: GpuState::Ok,
            refusal: None,
            power_limit: health.map_or_else(|| Err(Absence::NotRequested), |h| h.power_limit_set.clone()),
            power_range: range,
            default_power_limit: info.default_power_limit.clone(),
            max_graphics_clock: info.max_sm_clock.clone(),
            max_memory_clock: info.max_memory_clock.clone(),
            persistence: health.map_or_else(|| Err(Absence::NotRequested), |h| h.persistence.clone()),
            compute_mode: health.map_or_else(|| Err(Absence::NotRequested), |h| h.compute_mode.clone()),
            mig: health.map_or_else(|| Err(Absence::NotRequested), |h| h.mig.clone()),
            mig_instances: Err(Absence::NotRequested),
            mig_offered: Err(Absence::NotRequested),
            ecc_volatile: ecc(|h| [&h.ecc_corrected_volatile, &h.ecc_uncorrected_volatile]),
            ecc_aggregate: ecc(|h| [&h.ecc_corrected_aggregate, &h.ecc_uncorrected_aggregate]),
            remap_pending: health.map_or_else(|| Err(Absence::NotRequested), |h| h.remap_pending.clone()),
            recovery_action: live.map_or_else(|| Err(Absence::NotRequested), |l| l.recovery_action.clone()),
            virtualization: info.virtualization.clone(),
            architecture: info.architecture.as_ref().map(ToString::to_string).map_err(Clone::clone),
            nvlinks: (known(&info.nvlinks).unwrap_or(0), known(&info.nvswitch_links).unwrap_or(0)),
            minor: info.minor.clone(),
            holders: Err(Absence::NotRequested),
        }
    }

    /// The driver waits for a reset, and answers nothing until then.
    #[must_use]
    pub fn waits_for_reset(&self) -> bool {
        self.state == GpuState::Lost && self.refusal == Some(RESET_REQUIRED)
    }

    /// The same with the MIG instances.
    #[must_use]
    pub fn with_mig(mut self, instances: Option<&Reading<Vec<MigInstance>>>) -> Self {
        if let Some(instances) = instances {
            self.mig_instances = instances
                .as_ref()
                .map(|instances| instances.iter().map(MigFacts::of).collect())
                .map_err(Clone::clone);
        }
        self
    }

    /// The same with the driver's own process list.
    #[must_use]
    pub fn with_list(mut self, list: &ProcessList) -> Self {
        self.holders = list
            .as_ref()
            .map(|list| {
                list.iter()
                    .map(|entry| HolderFacts {
                        pid: entry.pid,
                        memory: known(&entry.memory).map(|bytes| bytes.0),
                        ..HolderFacts::default()
                    })
                    .collect()
            })
            .map_err(Clone::clone);
        self
    }

    /// The MIG layout in one line.
    fn layout(&self) -> Option<String> {
        let instances = self.mig_instances.as_ref().ok()?;
        let names: Vec<String> = instances.iter().map(MigFacts::name).collect();
        Some(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    }

    /// The value now of what `change` changes, exact, for comparing; `None` where it cannot be read (a clock lock
    /// has no getter in NVML).
    #[must_use]
    pub fn current(&self, change: &Change) -> Option<String> {
        match change {
            Change::PowerLimit { .. } => Some(format_watts(milliwatts(known(&self.power_limit)?))),
            Change::Persistence { .. } => Some(on_off(known(&self.persistence)?).to_owned()),
            Change::ComputeMode { .. } => {
                let number = known(&self.compute_mode)?;
                Some(
                    ComputeMode::from_number(number)
                        .map_or_else(|| number.to_string(), |m| m.name().to_owned()),
                )
            }
            Change::ClearEcc { counters } => {
                let [corrected, uncorrected] = match counters {
                    EccCounters::Volatile => &self.ecc_volatile,
                    EccCounters::Aggregate => &self.ecc_aggregate,
                };
                Some(format!(
                    "{} corrected, {} uncorrected",
                    corrected.as_ref().ok()?,
                    uncorrected.as_ref().ok()?
                ))
            }
            Change::MigCreate { .. } | Change::MigDestroy { .. } => self.layout(),
            Change::LockClocks { .. }
            | Change::UnlockClocks { .. }
            | Change::DefaultApplicationClocks
            | Change::Reset
            | Change::LastResort { .. }
            | Change::Signal { .. }
            | Change::Renice { .. } => None,
        }
    }
}

/// `41:00` of `0000:41:00.0`: bus and device, without domain and function.
pub(super) fn bus(address: &str) -> &str {
    let without_domain = address.split_once(':').map_or(address, |(_, rest)| rest);
    without_domain.split('.').next().unwrap_or(without_domain)
}

/// Watts as the driver takes them.
pub(super) fn milliwatts(watts: Watts) -> u32 {
    (f64::from(watts.0) * 1_000.0).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

impl HolderFacts {
    /// The facts of a process; `None` if it is not on the GPU of that identity (any GPU, where none is named).
    #[must_use]
    pub fn of_process(snapshot: &Snapshot, process: &Process, gpu: Option<&str>) -> Option<Self> {
        let share = process.gpus.iter().find(|share| gpu.is_none_or(|gpu| &*share.gpu.0 == gpu))?;
        let facts = process.facts.as_deref();
        let text = |reading: Option<&Reading<std::sync::Arc<str>>>| {
            reading.and_then(|reading| reading.as_ref().ok()).map(ToString::to_string)
        };
        let started = facts.and_then(|facts| known(&facts.started));
        let age = started.map(|started| snapshot.wall.0.saturating_sub(started.0) / 1_000_000);
        Some(Self {
            pid: process.key.pid,
            start: process.key.start,
            user: text(facts.map(|facts| &facts.user)),
            name: text(facts.map(|facts| &facts.name)),
            age_seconds: age.and_then(|age| u64::try_from(age).ok()),
            memory: known(&share.memory).map(|bytes| bytes.0),
            container: process.container().map(|c| (c.runtime.to_string(), c.id.to_string())),
            pod: facts.and_then(|facts| facts.pod.as_ref()).map(ToString::to_string),
            slurm_job: facts.and_then(|facts| facts.slurm_job.as_ref()).map(ToString::to_string),
        })
    }
}

impl ProcessTarget {
    /// The process of that key in a snapshot, on any GPU.
    #[must_use]
    pub fn of_snapshot(snapshot: &Snapshot, key: ProcessKey) -> Option<Self> {
        let process = snapshot.processes.iter().find(|p| p.key == key && p.ended.is_none())?;
        Some(Self {
            holder: HolderFacts::of_process(snapshot, process, None)?,
            visible: key.start != 0 && process.facts.as_ref().is_some_and(|facts| facts.visible),
            nice: None,
        })
    }
}
