//! The TOML of a scenario as it is written. Every table refuses keys it does not know.

use super::metric::{Entry, Number, Settings};
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::fmt;

/// A whole scenario file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) title: String,
    #[serde(default = "one_second")]
    pub(super) interval_seconds: f64,
    pub(super) duration_seconds: f64,
    #[serde(default)]
    pub(super) end: EndName,
    #[serde(default)]
    pub(super) host: Host,
    #[serde(default)]
    pub(super) host_file: Vec<HostFileSpec>,
    #[serde(default)]
    pub(super) gpu: Vec<Group>,
    #[serde(default)]
    pub(super) process: Vec<Process>,
    #[serde(default)]
    pub(super) model: Vec<super::models::ModelSpec>,
    #[serde(default)]
    pub(super) storage: Option<super::storage::StorageSpec>,
    #[serde(default)]
    pub(super) at: Vec<Entry>,
    #[serde(default)]
    pub(super) fault: Vec<Fault>,
    #[serde(default)]
    pub(super) expect: Vec<Expect>,
}

fn one_second() -> f64 {
    1.0
}

/// What happens when the time of a scenario is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndName {
    #[default]
    Stay,
    Loop,
    Bye,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Host {
    pub(super) hostname: String,
    pub(super) kernel: String,
    pub(super) boot_id: String,
    pub(super) cpus: u32,
    pub(super) memory_gib: f64,
    pub(super) memory_used_gib: f64,
    pub(super) swap_gib: f64,
    pub(super) arc_gib: Option<f64>,
    pub(super) cpu_percent: f64,
    pub(super) uptime_hours: f64,
    pub(super) driver: String,
    pub(super) nvml: Option<String>,
    pub(super) cuda: String,
    pub(super) host_pids_visible: bool,
    /// Why there are no GPUs from NVML.
    pub(super) problem: Option<String>,
    /// A virtual machine that was given its GPUs.
    pub(super) guest: bool,
    /// RDMA cards, dealt out to the PCIe switches of the GPUs; the bus is only made up where there are some.
    pub(super) nics: u32,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            hostname: "rig".into(),
            kernel: "6.8.0-79-generic".into(),
            boot_id: "00000000-0000-4000-8000-000000000000".into(),
            cpus: 32,
            memory_gib: 256.0,
            memory_used_gib: 40.0,
            swap_gib: 0.0,
            arc_gib: None,
            cpu_percent: 8.0,
            uptime_hours: 100.0,
            driver: "580.159.04".into(),
            nvml: None,
            cuda: "13.0".into(),
            host_pids_visible: true,
            problem: None,
            guest: false,
            nics: 0,
        }
    }
}

/// A file of the host in place of the usual one; without anything but its path, it is not there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostFileSpec {
    pub(super) path: String,
    #[serde(default)]
    pub(super) lines: Option<Vec<String>>,
    #[serde(default)]
    pub(super) names: Option<Vec<String>>,
    #[serde(default)]
    pub(super) link: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    #[serde(default = "one")]
    pub(super) count: u32,
    pub(super) model: String,
    #[serde(default)]
    pub(super) load: LoadName,
    #[serde(default)]
    pub(super) pci: Vec<String>,
    #[serde(default)]
    pub(super) numa: Vec<u32>,
    #[serde(default)]
    pub(super) state: Option<StateName>,
    #[serde(default)]
    pub(super) mig: Vec<Mig>,
    /// MIG mode is on though there may be no instance.
    #[serde(default)]
    pub(super) mig_enabled: bool,
    #[serde(default)]
    pub(super) set: Settings,
    #[serde(default)]
    pub(super) display: bool,
}

fn one() -> u32 {
    1
}

/// How a GPU is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LoadName {
    #[default]
    Idle,
    Training,
    Inference,
    Full,
}

/// How reading a GPU goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateName {
    Ok,
    Lost,
    Asleep,
}

/// One bit of the clock event mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReasonName {
    GpuIdle,
    ApplicationsClocks,
    SwPowerCap,
    HwSlowdown,
    SyncBoost,
    SwThermalSlowdown,
    HwThermalSlowdown,
    HwPowerBrakeSlowdown,
    DisplayClocks,
}

impl ReasonName {
    /// The bit in NVML's mask (nvml.h, `nvmlClocksEventReason…`).
    pub(super) const fn bit(self) -> u64 {
        match self {
            Self::GpuIdle => 0x1,
            Self::ApplicationsClocks => 0x2,
            Self::SwPowerCap => 0x4,
            Self::HwSlowdown => 0x8,
            Self::SyncBoost => 0x10,
            Self::SwThermalSlowdown => 0x20,
            Self::HwThermalSlowdown => 0x40,
            Self::HwPowerBrakeSlowdown => 0x80,
            Self::DisplayClocks => 0x100,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mig {
    pub(super) gpu_instance: u32,
    #[serde(default)]
    pub(super) compute_instance: u32,
    pub(super) profile: String,
    pub(super) memory_mib: u64,
    #[serde(default)]
    pub(super) used_mib: u64,
    #[serde(default)]
    pub(super) sm: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) gpus: Selector,
    /// One process per GPU, with PIDs that count up and a `LOCAL_RANK`, in place of one on all of them.
    #[serde(default)]
    pub(super) one_per_gpu: bool,
    pub(super) memory_mib: Option<u64>,
    #[serde(default = "nobody")]
    pub(super) user: String,
    #[serde(default)]
    pub(super) kind: KindName,
    #[serde(default)]
    pub(super) parent: Option<u32>,
    #[serde(default)]
    pub(super) cpu_percent: Option<f64>,
    #[serde(default)]
    pub(super) resident_mib: Option<u64>,
    #[serde(default)]
    pub(super) sm_share: Option<f64>,
    #[serde(default)]
    pub(super) state: Option<char>,
    #[serde(default)]
    pub(super) gpu_instance: Option<u32>,
    #[serde(default)]
    pub(super) compute_instance: Option<u32>,
    #[serde(default)]
    pub(super) inner_pid: Option<u32>,
    #[serde(default)]
    pub(super) cgroup: Option<String>,
    #[serde(default)]
    pub(super) container: Option<ContainerSpec>,
    #[serde(default)]
    pub(super) pod: Option<String>,
    #[serde(default)]
    pub(super) slurm_job: Option<String>,
    #[serde(default)]
    pub(super) unit: Option<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    /// How long before the scenario it started; processes that an `[[at]]` starts begin then.
    #[serde(default)]
    pub(super) age_seconds: Option<f64>,
    /// Not there until an `[[at]]` starts it.
    #[serde(default)]
    pub(super) later: bool,
}

fn nobody() -> String {
    "nobody".into()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContainerSpec {
    pub(super) runtime: String,
    pub(super) id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindName {
    #[default]
    Compute,
    Graphics,
    Mps,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    pub(super) call: String,
    pub(super) gpu: Option<Selector>,
    pub(super) from: Option<Number>,
    pub(super) to: Option<Number>,
    pub(super) kind: FaultName,
    pub(super) code: Option<u32>,
    pub(super) value: Option<Number>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FaultName {
    Block,
    BlockLibrary,
    Error,
    Crash,
    Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) rule: String,
    pub(super) gpu: Option<u32>,
    pub(super) from: Number,
    pub(super) to: Option<Number>,
}

/// Which GPUs: an index, a list of them, or `"all"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    All,
    Some(Vec<u32>),
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Selector;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a GPU index, a list of them, or \"all\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Selector, E> {
                u32::try_from(value)
                    .map(|index| Selector::Some(vec![index]))
                    .map_err(|_negative| E::custom("a GPU index is not negative"))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Selector, E> {
                if value == "all" {
                    Ok(Selector::All)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(value), &self))
                }
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Selector, A::Error> {
                let mut indexes = Vec::new();
                while let Some(index) = list.next_element()? {
                    indexes.push(index);
                }
                Ok(Selector::Some(indexes))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
