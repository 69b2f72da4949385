//! `kgtop export`: one snapshot in Prometheus' text format, for a textfile collector.
//!
//! Where dcgm-exporter has a metric of the same meaning, its name, unit and labels are used, so that dashboards go on
//! working: framebuffer in MiB, activity as a ratio, energy in mJ. What it lacks is called `kgtop_…`, in base units.

use super::read;
use crate::analysis::{Severity, Verdict};
use crate::model::{Band, Gpu, GpuState, Reading, Snapshot, known};
use crate::units::{Bytes, Percent};
use std::fmt::Write as _;

/// Name, type, help, and how it is read off a GPU.
type Metric = (&'static str, &'static str, &'static str, fn(&Gpu) -> Option<f64>);

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

fn mean(reading: Reading<Band>) -> Option<f64> {
    reading.ok().map(|band| tenth(band.mean))
}

/// The nearest double to a float of one decimal, so that it prints as one.
fn tenth(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

fn mebibytes(reading: Reading<Bytes>) -> Option<f64> {
    reading.ok().map(|bytes| bytes.mib().round())
}

fn ratio(reading: Reading<Percent>) -> Option<f64> {
    reading.ok().map(|percent| (f64::from(percent.0) * 100.0).round() / 10_000.0)
}

fn percent(reading: Reading<Percent>) -> Option<f64> {
    reading.ok().map(|percent| tenth(percent.0))
}

fn count(reading: Reading<u64>) -> Option<f64> {
    reading.ok().map(|count| count as f64)
}

fn flag(reading: Reading<bool>) -> Option<f64> {
    reading.ok().map(|set| f64::from(u8::from(set)))
}

/// Names of dcgm-exporter's default counters and of those its configuration offers.
const DCGM: [Metric; 34] = [
    ("DCGM_FI_DEV_SM_CLOCK", GAUGE, "SM clock frequency (in MHz).", |gpu| {
        read::band(gpu, |fast| &fast.sm_clock).ok().map(|band| f64::from(band.mean.round()))
    }),
    ("DCGM_FI_DEV_MEM_CLOCK", GAUGE, "Memory clock frequency (in MHz).", |gpu| {
        read::live(gpu, |live| &live.memory_clock).ok().map(|clock| f64::from(clock.0))
    }),
    ("DCGM_FI_DEV_MEMORY_TEMP", GAUGE, "Memory temperature (in C).", |gpu| {
        read::live(gpu, |live| &live.memory_temperature).ok().map(|value| tenth(value.0))
    }),
    ("DCGM_FI_DEV_GPU_TEMP", GAUGE, "GPU temperature (in C).", |gpu| {
        read::live(gpu, |live| &live.temperature).ok().map(|value| tenth(value.0))
    }),
    ("DCGM_FI_DEV_POWER_USAGE", GAUGE, "Power draw (in W).", |gpu| mean(read::band(gpu, |fast| &fast.power))),
    (
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        COUNTER,
        "Total energy consumption since boot (in mJ).",
        |gpu| read::health(gpu, |health| &health.energy).ok().map(|energy| f64::from(energy.0) * 1_000.0),
    ),
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", COUNTER, "Total number of PCIe retries.", |gpu| {
        count(read::health(gpu, |health| &health.pcie_replays))
    }),
    ("DCGM_FI_DEV_GPU_UTIL", GAUGE, "GPU utilization (in %).", |gpu| {
        mean(read::band(gpu, |fast| &fast.utilization))
    }),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", GAUGE, "Memory utilization (in %).", |gpu| {
        mean(read::band(gpu, |fast| &fast.memory_utilization))
    }),
    ("DCGM_FI_DEV_ENC_UTIL", GAUGE, "Encoder utilization (in %).", |gpu| {
        percent(read::live(gpu, |live| &live.encoder))
    }),
    ("DCGM_FI_DEV_DEC_UTIL", GAUGE, "Decoder utilization (in %).", |gpu| {
        percent(read::live(gpu, |live| &live.decoder))
    }),
    ("DCGM_FI_DEV_FB_FREE", GAUGE, "Framebuffer memory free (in MiB).", |gpu| {
        mebibytes(read::live(gpu, |live| &live.memory_free))
    }),
    ("DCGM_FI_DEV_FB_USED", GAUGE, "Framebuffer memory used (in MiB).", |gpu| {
        mebibytes(read::live(gpu, |live| &live.memory_used))
    }),
    ("DCGM_FI_DEV_FB_RESERVED", GAUGE, "Framebuffer memory reserved (in MiB).", |gpu| {
        mebibytes(read::live(gpu, |live| &live.memory_reserved))
    }),
    (
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        COUNTER,
        "Number of remapped rows for uncorrectable errors",
        |gpu| count(read::health(gpu, |health| &health.remapped_uncorrected)),
    ),
    (
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        COUNTER,
        "Number of remapped rows for correctable errors",
        |gpu| count(read::health(gpu, |health| &health.remapped_corrected)),
    ),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", GAUGE, "Whether remapping of rows has failed", |gpu| {
        flag(read::health(gpu, |health| &health.remap_failed))
    }),
    ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", COUNTER, "Total number of single-bit volatile ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_corrected_volatile))
    }),
    ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", COUNTER, "Total number of double-bit volatile ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_uncorrected_volatile))
    }),
    ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", COUNTER, "Total number of single-bit persistent ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_corrected_aggregate))
    }),
    ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", COUNTER, "Total number of double-bit persistent ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_uncorrected_aggregate))
    }),
    ("DCGM_FI_DEV_RETIRED_SBE", COUNTER, "Total number of retired pages due to single-bit errors.", |gpu| {
        count(read::health(gpu, |health| &health.retired_single))
    }),
    ("DCGM_FI_DEV_RETIRED_DBE", COUNTER, "Total number of retired pages due to double-bit errors.", |gpu| {
        count(read::health(gpu, |health| &health.retired_double))
    }),
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", GAUGE, "Ratio of time the graphics engine is active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.graphics))
    }),
    ("DCGM_FI_PROF_SM_ACTIVE", GAUGE, "The ratio of cycles an SM has at least 1 warp assigned.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.sm))
    }),
    ("DCGM_FI_PROF_SM_OCCUPANCY", GAUGE, "The ratio of number of warps resident on an SM.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.sm_occupancy))
    }),
    ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", GAUGE, "Ratio of cycles the tensor (HMMA) pipe is active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.tensor))
    }),
    ("DCGM_FI_PROF_PIPE_FP64_ACTIVE", GAUGE, "Ratio of cycles the fp64 pipes are active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.fp64))
    }),
    ("DCGM_FI_PROF_PIPE_FP32_ACTIVE", GAUGE, "Ratio of cycles the fp32 pipes are active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.fp32))
    }),
    ("DCGM_FI_PROF_PIPE_FP16_ACTIVE", GAUGE, "Ratio of cycles the fp16 pipes are active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.fp16))
    }),
    (
        "DCGM_FI_PROF_DRAM_ACTIVE",
        GAUGE,
        "Ratio of cycles the device memory interface is active sending or receiving data.",
        |gpu| ratio(read::gpm(gpu, |gpm| &gpm.dram)),
    ),
    ("DCGM_FI_PROF_PCIE_TX_BYTES", GAUGE, "The rate of data sent over PCIe (in B/s).", |gpu| {
        read::gpm(gpu, |gpm| &gpm.pcie_tx).ok().map(|rate| rate.0.round())
    }),
    ("DCGM_FI_PROF_PCIE_RX_BYTES", GAUGE, "The rate of data received over PCIe (in B/s).", |gpu| {
        read::gpm(gpu, |gpm| &gpm.pcie_rx).ok().map(|rate| rate.0.round())
    }),
    ("DCGM_FI_DEV_RETIRED_PENDING", GAUGE, "Whether pages wait for retirement.", |gpu| {
        flag(read::health(gpu, |health| &health.retired_pending))
    }),
];

/// What dcgm-exporter lacks.
const OWN: [Metric; 9] = [
    (
        "kgtop_gpu_recovery_action",
        GAUGE,
        "What the driver recommends: 0 none, 1 GPU reset, 2 node reboot, 3 drain P2P, 4 drain and reset, \
         5 recover IMEX domain, 6 bus reset, 7 system reboot.",
        |gpu| read::live(gpu, |live| &live.recovery_action).ok().map(f64::from),
    ),
    ("kgtop_gpu_remap_pending", GAUGE, "Whether a row remap waits for a reset.", |gpu| {
        flag(read::health(gpu, |health| &health.remap_pending))
    }),
    (
        "kgtop_gpu_sram_threshold_exceeded",
        GAUGE,
        "Whether uncorrected SRAM errors exceeded the limit.",
        |gpu| flag(read::health(gpu, |health| &health.sram_threshold_exceeded)),
    ),
    ("kgtop_gpu_power_limit_watts", GAUGE, "The power limit that is enforced.", |gpu| {
        read::live(gpu, |live| &live.power_limit).ok().map(|watts| tenth(watts.0))
    }),
    ("kgtop_gpu_temperature_margin_celsius", GAUGE, "Degrees left to the first slowdown.", |gpu| {
        read::live(gpu, |live| &live.temperature_margin).ok().map(|value| tenth(value.0))
    }),
    ("kgtop_gpu_unattributed_memory_bytes", GAUGE, "Framebuffer in use that no process owns.", |gpu| {
        known(&gpu.unattributed).map(|bytes| bytes.0 as f64)
    }),
    ("kgtop_gpu_nvlink_transmit_bytes_total", COUNTER, "Payload sent over all NVLinks.", |gpu| {
        count(read::counter(gpu, |counters| &counters.nvlink_tx_kib)).map(|kib| kib * 1_024.0)
    }),
    ("kgtop_gpu_nvlink_receive_bytes_total", COUNTER, "Payload received over all NVLinks.", |gpu| {
        count(read::counter(gpu, |counters| &counters.nvlink_rx_kib)).map(|kib| kib * 1_024.0)
    }),
    ("kgtop_gpu_nvlink_errors_total", COUNTER, "CRC, replay and recovery errors of all NVLinks.", |gpu| {
        count(read::health(gpu, |health| &health.nvlink_errors))
    }),
];

const STATES: [GpuState; 6] = [
    GpuState::Ok,
    GpuState::Stalled,
    GpuState::Lost,
    GpuState::Asleep,
    GpuState::NoDriver,
    GpuState::PassedThrough,
];

/// One snapshot as Prometheus text. Absent readings are left out.
#[must_use]
pub fn prometheus(snapshot: &Snapshot, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let labels: Vec<String> = snapshot.gpus.iter().map(|gpu| gpu_labels(snapshot, gpu)).collect();
    for (name, kind, help, read) in DCGM.into_iter().chain(OWN) {
        let mut family = Family::new(&mut out, name, kind, help);
        for (gpu, labels) in snapshot.gpus.iter().zip(&labels) {
            if let Some(value) = read(gpu) {
                family.sample(labels, value);
            }
        }
    }
    throttle(&mut out, snapshot, &labels);
    let mut family = Family::new(&mut out, "kgtop_gpu_state", GAUGE, "1 for the state that the GPU is in.");
    for (gpu, labels) in snapshot.gpus.iter().zip(&labels) {
        for state in STATES {
            let labels = format!("{labels},state=\"{}\"", state.name());
            family.sample(&labels, f64::from(u8::from(gpu.state == state)));
        }
    }
    let mut family = Family::new(&mut out, "kgtop_verdicts", GAUGE, "Findings by severity.");
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        let found = verdicts.iter().filter(|verdict| verdict.severity == severity).count();
        family.sample(&format!("severity=\"{}\"", severity.name()), found as f64);
    }
    cost(&mut out, snapshot);
    out
}

fn throttle(out: &mut String, snapshot: &Snapshot, labels: &[String]) {
    let help = "Time in each clock event reason since the driver was loaded.";
    let mut family = Family::new(out, "kgtop_gpu_throttle_seconds_total", COUNTER, help);
    for (gpu, labels) in snapshot.gpus.iter().zip(labels) {
        for seconds in &gpu.throttle.seconds {
            if let Ok(since_load) = seconds.since_driver_load {
                let labels = format!("{labels},reason=\"{}\"", seconds.reason);
                family.sample(&labels, (f64::from(since_load) * 1_000.0).round() / 1_000.0);
            }
        }
    }
}

fn cost(out: &mut String, snapshot: &Snapshot) {
    let Some(cost) = snapshot.cost else { return };
    let families = [
        (
            "kgtop_collector_cpu_seconds_total",
            COUNTER,
            "CPU time of the collector.",
            cost.cpu_ns as f64 / 1e9,
        ),
        (
            "kgtop_collector_resident_memory_bytes",
            GAUGE,
            "Resident memory of the collector.",
            cost.resident.0 as f64,
        ),
        ("kgtop_collector_driver_calls_total", COUNTER, "Driver calls.", cost.calls as f64),
        (
            "kgtop_collector_driver_call_seconds_total",
            COUNTER,
            "Wall time in driver calls.",
            cost.call_ns as f64 / 1e9,
        ),
    ];
    for (name, kind, help, value) in families {
        Family::new(out, name, kind, help).sample("", value);
    }
}

/// Labels as dcgm-exporter orders them. Those that are not known are left out.
fn gpu_labels(snapshot: &Snapshot, gpu: &Gpu) -> String {
    let index = gpu.index();
    let labels = [
        ("gpu", index.map(|index| index.to_string())),
        ("UUID", known(&gpu.info.uuid).map(|uuid| uuid.to_string())),
        ("pci_bus_id", known(&gpu.info.pci_bus_id).map(|address| dcgm_bus_id(&address))),
        ("device", index.map(|index| format!("nvidia{index}"))),
        ("modelName", known(&gpu.info.name).map(|name| name.to_string())),
        ("hostname", Some(snapshot.header.host.hostname.to_string())),
        (
            "DCGM_FI_DRIVER_VERSION",
            known(&snapshot.inventory.driver.version).map(|version| version.to_string()),
        ),
    ];
    let mut out = String::new();
    for (name, value) in labels {
        let Some(value) = value else { continue };
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}{name}=\"{}\"", escaped(&value));
    }
    out
}

/// The driver's own form of an address, which dcgm-exporter prints: `00000000:3B:00.0`.
fn dcgm_bus_id(address: &str) -> String {
    let upper = address.to_ascii_uppercase();
    match upper.split_once(':') {
        Some((domain, rest)) => format!("{domain:0>8}:{rest}"),
        None => upper,
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// One metric; its head is written with its first sample, so that one without samples leaves no trace.
struct Family<'a> {
    out: &'a mut String,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    begun: bool,
}

impl<'a> Family<'a> {
    const fn new(out: &'a mut String, name: &'static str, kind: &'static str, help: &'static str) -> Self {
        Self { out, name, kind, help, begun: false }
    }

    fn sample(&mut self, labels: &str, value: f64) {
        if !value.is_finite() {
            return;
        }
        let Self { out, name, kind, help, begun } = self;
        if !*begun {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            *begun = true;
        }
        let _ = if labels.is_empty() {
            writeln!(out, "{name} {value}")
        } else {
            writeln!(out, "{name}{{{labels}}} {value}")
        };
    }
}
