//! `kgtop export`: one snapshot in Prometheus' text format, for a textfile collector.
//!
//! Where dcgm-exporter has a metric of the same meaning, its name, unit and labels are used, so that dashboards go on
//! working: framebuffer in MiB, activity as a ratio, energy in mJ. What it lacks is called `kgtop_…`, in base units.

mod metrics;

use crate::analysis::{Severity, Verdict};
use crate::model::{Gpu, GpuState, Snapshot, SourceState, known};
use metrics::{COUNTER, DCGM, GAUGE, OWN};
use std::fmt::Write as _;

const STATES: [GpuState; 8] = [
    GpuState::Ok,
    GpuState::Stalled,
    GpuState::Lost,
    GpuState::Asleep,
    GpuState::NotOpened,
    GpuState::NoDriver,
    GpuState::PassedThrough,
    GpuState::Unknown,
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
    sources(&mut out, snapshot);
    // Without the driver most rules had nothing to look at: no findings would read as all clear.
    if super::driver_is_up(snapshot) {
        let mut family = Family::new(&mut out, "kgtop_verdicts", GAUGE, "Findings by severity.");
        for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
            let found = verdicts.iter().filter(|verdict| verdict.severity == severity).count();
            family.sample(&format!("severity=\"{}\"", severity.name()), found as f64);
        }
    }
    cost(&mut out, snapshot);
    out
}

fn sources(out: &mut String, snapshot: &Snapshot) {
    let up = f64::from(u8::from(super::driver_is_up(snapshot)));
    Family::new(out, "kgtop_driver_up", GAUGE, "1 if the NVIDIA driver answers.").sample("", up);
    let help = "1 for the state that the source is in.";
    let mut family = Family::new(out, "kgtop_source_state", GAUGE, help);
    for source in &snapshot.sources {
        for state in [SourceState::Ok, SourceState::Degraded, SourceState::Unavailable] {
            let labels = format!("source=\"{}\",state=\"{}\"", escaped(&source.name), state.name());
            family.sample(&labels, f64::from(u8::from(source.state == state)));
        }
    }
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
    // Two lost GPUs that no label tells apart would be one series twice, and the whole text invalid.
    let nameless = gpu.info.uuid.is_err() && gpu.info.pci_bus_id.is_err();
    let identity = || nameless.then(|| gpu.id.to_string());
    let labels = [
        ("gpu", gpu.number().or_else(identity)),
        ("UUID", known(&gpu.info.uuid).map(|uuid| uuid.to_string())),
        ("pci_bus_id", known(&gpu.info.pci_bus_id).map(|address| dcgm_bus_id(&address))),
        ("device", gpu.index().map(|index| format!("nvidia{index}"))),
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
