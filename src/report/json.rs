//! `kgtop snapshot --format json`: one object, names in `snake_case` with the unit last.

use super::object::{Json, Object, rounded};
use super::{compute_mode, fabric_state, read, recovery_action, rfc3339};
use crate::analysis::events::EventLog;
use crate::analysis::{Verdict, clock_events};
use crate::model::{Absence, Gpu, MigInstance, Process, ProcessKind, Reading, Snapshot, known};
use crate::units::{Megahertz, Mono, Percent, Wall, Watts};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One snapshot as an object, ending with a line end.
///
/// An absent reading is `null`, and its reason stands in the nearest `absent` map under its dotted path. What does
/// not apply (a process in no container) is `null` without a reason.
#[must_use]
pub fn json(snapshot: &Snapshot, verdicts: &[Verdict]) -> String {
    let mut root = Map::new();
    root.insert("format".into(), 1.into());
    root.insert("time".into(), rfc3339(snapshot.wall).into());
    root.insert("interval_seconds".into(), rounded(snapshot.interval.as_secs_f64(), 3));
    root.insert("host".into(), host(snapshot));
    root.insert("driver".into(), driver(snapshot));
    let sources = snapshot.sources.iter().map(|source| {
        let mut object = Object::default();
        object.set("name", source.name.to_json());
        object.set("state", source.state.name().into());
        object.set("reason", source.reason.to_json());
        object.bare()
    });
    root.insert("sources".into(), sources.collect());
    root.insert("gpus".into(), snapshot.gpus.iter().map(|each| gpu(snapshot, each)).collect());
    root.insert("processes".into(), snapshot.processes.iter().map(|each| process(snapshot, each)).collect());
    root.insert("topology".into(), super::topology::json(snapshot));
    let mut log = EventLog::default();
    for event in snapshot.events.iter() {
        log.push(event, Some(snapshot));
    }
    root.insert("events".into(), log.incidents().map(super::event_json).collect());
    root.insert("verdicts".into(), verdicts.iter().map(|each| verdict(snapshot, each)).collect());
    format!("{:#}\n", Value::Object(root))
}

fn host(snapshot: &Snapshot) -> Value {
    let mut object = Object::default();
    let info = &snapshot.header.host;
    object.set("hostname", info.hostname.to_json());
    object.set("kernel", info.kernel.to_json());
    let host = &snapshot.host;
    object.put("uptime_seconds", &host.uptime_seconds);
    object.put("cpu_percent", &host.cpu);
    let [load_1m, load_5m, load_15m] = &host.load;
    object.put("load_1m", load_1m);
    object.put("load_5m", load_5m);
    object.put("load_15m", load_15m);
    object.put("memory_total_bytes", &host.memory_total);
    object.put("memory_used_bytes", &host.memory_used);
    object.with_absent()
}

fn driver(snapshot: &Snapshot) -> Value {
    let mut object = Object::default();
    let driver = &snapshot.inventory.driver;
    object.put("version", &driver.version);
    object.put("nvml_version", &driver.nvml_version);
    object.put("cuda_version", &driver.cuda_version);
    object.put("module_version", &driver.module_version);
    object.set("problem", driver.problem.as_ref().map_or(Value::Null, Json::to_json));
    object.with_absent()
}

fn gpu(snapshot: &Snapshot, gpu: &Gpu) -> Value {
    let mut object = Object::default();
    let info = &gpu.info;
    object.put("index", &info.index);
    object.put("uuid", &info.uuid);
    object.put("name", &info.name);
    object.put("architecture", &info.architecture);
    object.put("compute_capability", &info.compute_capability);
    object.put("serial", &info.serial);
    object.put("vbios", &info.vbios);
    object.put("pci_bus_id", &info.pci_bus_id);
    object.put("minor_number", &info.minor);
    object.put("numa_node", &info.numa_node);
    object.set("state", gpu.state.name().into());
    object.set("stuck_call", gpu.stuck.as_ref().map_or(Value::Null, |stuck| stuck.call.to_json()));
    object.put("stale_seconds", &read::stale_seconds(snapshot, gpu));
    utilization(&mut object, gpu);
    power_and_heat(&mut object, gpu);
    throttle(&mut object, gpu);
    links(&mut object, gpu);
    memory_health(&mut object, gpu);
    object.put("recovery_action", &read::live(gpu, |live| &live.recovery_action).map(recovery_action));
    object.put("persistence_mode", &read::health(gpu, |health| &health.persistence));
    object.put("compute_mode", &read::health(gpu, |health| &health.compute_mode).map(compute_mode));
    mig(&mut object, gpu);
    object.with_absent()
}

fn utilization(object: &mut Object, gpu: &Gpu) {
    let mean = |reading: Reading<crate::model::Band>| reading.map(|band| Percent(band.mean));
    object.put("utilization.gpu_percent", &mean(read::band(gpu, |fast| &fast.utilization)));
    object.put("utilization.memory_percent", &mean(read::band(gpu, |fast| &fast.memory_utilization)));
    object.put("utilization.sm_percent", &read::gpm(gpu, |gpm| &gpm.sm));
    object.put("utilization.sm_occupancy_percent", &read::gpm(gpu, |gpm| &gpm.sm_occupancy));
    object.put("utilization.tensor_percent", &read::gpm(gpu, |gpm| &gpm.tensor));
    object.put("utilization.dram_percent", &read::gpm(gpu, |gpm| &gpm.dram));
    object.put("utilization.encoder_percent", &read::live(gpu, |live| &live.encoder));
    object.put("utilization.decoder_percent", &read::live(gpu, |live| &live.decoder));
    object.put("memory.total_bytes", &read::live(gpu, |live| &live.memory_total));
    object.put("memory.used_bytes", &read::live(gpu, |live| &live.memory_used));
    object.put("memory.free_bytes", &read::live(gpu, |live| &live.memory_free));
    object.put("memory.reserved_bytes", &read::live(gpu, |live| &live.memory_reserved));
    object.put("memory.unattributed_bytes", &gpu.unattributed);
}

fn power_and_heat(object: &mut Object, gpu: &Gpu) {
    let power = read::band(gpu, |fast| &fast.power);
    object.put("power.draw_watts", &power.clone().map(|band| Watts(band.mean)));
    object.put("power.draw_min_watts", &power.clone().map(|band| Watts(band.min)));
    object.put("power.draw_max_watts", &power.map(|band| Watts(band.max)));
    object.put("power.limit_watts", &read::live(gpu, |live| &live.power_limit));
    object.put("power.default_limit_watts", &gpu.info.default_power_limit);
    object.put("power.min_limit_watts", &gpu.info.min_power_limit);
    object.put("power.max_limit_watts", &gpu.info.max_power_limit);
    object.put("power.energy_joules", &read::health(gpu, |health| &health.energy));
    object.put("temperature.gpu_celsius", &read::live(gpu, |live| &live.temperature));
    object.put("temperature.memory_celsius", &read::live(gpu, |live| &live.memory_temperature));
    object.put("temperature.slowdown_celsius", &read::threshold(gpu, |thresholds| &thresholds.slowdown));
    object.put("temperature.shutdown_celsius", &read::threshold(gpu, |thresholds| &thresholds.shutdown));
    object.put("temperature.margin_celsius", &read::live(gpu, |live| &live.temperature_margin));
    let clock = read::band(gpu, |fast| &fast.sm_clock);
    object.put("clocks.sm_mhz", &clock.map(|band| Megahertz(band.mean.round() as u32)));
    object.put("clocks.memory_mhz", &read::live(gpu, |live| &live.memory_clock));
    object.put("clocks.max_sm_mhz", &gpu.info.max_sm_clock);
    object.put("clocks.max_memory_mhz", &gpu.info.max_memory_clock);
    object.put("performance_state", &read::live(gpu, |live| &live.performance_state));
    object.put("fan_percent", &read::live(gpu, |live| &live.fan));
}

fn throttle(object: &mut Object, gpu: &Gpu) {
    let events = read::clock_events(gpu);
    let supported = &gpu.info.supported_clock_events;
    object.put("throttle.mask", &events.clone().map(|events| events.last));
    object.put("throttle.supported_mask", supported);
    let names = events.map(|events| clock_events::decode(events.last, known(supported)).names());
    object.put("throttle.reasons", &names);
    if gpu.throttle.seconds.is_empty() {
        let reason = read::counter(gpu, |counters| &counters.sw_power_cap_ns).err();
        object.put::<u64>("throttle.seconds_by_reason", &Err(reason.unwrap_or(Absence::NotRequested)));
    }
    for seconds in &gpu.throttle.seconds {
        let windows = [
            ("1m", &seconds.last_1m),
            ("10m", &seconds.last_10m),
            ("60m", &seconds.last_60m),
            ("since_driver_load", &seconds.since_driver_load),
        ];
        for (window, reading) in windows {
            object.put(&format!("throttle.seconds_by_reason.{}.{window}", seconds.reason), reading);
        }
    }
    object.set("throttle.observed_seconds", rounded(gpu.throttle.observed.as_secs_f64(), 3));
}

fn links(object: &mut Object, gpu: &Gpu) {
    object.put("pcie.generation", &read::live(gpu, |live| &live.pcie_generation));
    object.put("pcie.width", &read::live(gpu, |live| &live.pcie_width));
    object.put("pcie.max_generation", &gpu.info.max_pcie_generation);
    object.put("pcie.max_width", &gpu.info.max_pcie_width);
    object.put("pcie.rx_bytes_per_second", &gpu.rates.pcie_rx);
    object.put("pcie.tx_bytes_per_second", &gpu.rates.pcie_tx);
    object.put("pcie.replays", &read::health(gpu, |health| &health.pcie_replays));
    object.put("nvlink.links", &gpu.info.nvlinks);
    object.put("nvlink.active_links", &read::active_links(gpu));
    object.put("nvlink.version", &gpu.info.nvlink_version.clone().map(|tenths| f64::from(tenths) / 10.0));
    object.put("nvlink.rx_bytes_per_second", &gpu.rates.nvlink_rx);
    object.put("nvlink.tx_bytes_per_second", &gpu.rates.nvlink_tx);
    object.put("nvlink.errors", &read::health(gpu, |health| &health.nvlink_errors));
    object.put("fabric.state", &read::health(gpu, |health| &health.fabric_state).map(fabric_state));
    object.put("fabric.status", &read::health(gpu, |health| &health.fabric_status));
}

fn memory_health(object: &mut Object, gpu: &Gpu) {
    object.put("ecc.corrected_volatile", &read::health(gpu, |health| &health.ecc_corrected_volatile));
    object.put("ecc.uncorrected_volatile", &read::health(gpu, |health| &health.ecc_uncorrected_volatile));
    object.put("ecc.corrected_aggregate", &read::health(gpu, |health| &health.ecc_corrected_aggregate));
    object.put("ecc.uncorrected_aggregate", &read::health(gpu, |health| &health.ecc_uncorrected_aggregate));
    object.put("ecc.sram_threshold_exceeded", &read::health(gpu, |health| &health.sram_threshold_exceeded));
    object.put("remapped_rows.corrected", &read::health(gpu, |health| &health.remapped_corrected));
    object.put("remapped_rows.uncorrected", &read::health(gpu, |health| &health.remapped_uncorrected));
    object.put("remapped_rows.pending", &read::health(gpu, |health| &health.remap_pending));
    object.put("remapped_rows.failed", &read::health(gpu, |health| &health.remap_failed));
    object.put("retired_pages.single_bit", &read::health(gpu, |health| &health.retired_single));
    object.put("retired_pages.double_bit", &read::health(gpu, |health| &health.retired_double));
    object.put("retired_pages.pending", &read::health(gpu, |health| &health.retired_pending));
}

fn mig(object: &mut Object, gpu: &Gpu) {
    object.put("mig.enabled", &read::health(gpu, |health| &health.mig));
    let none = Vec::new();
    let instances: &Vec<MigInstance> = match gpu.mig.as_ref().map(|group| &group.value) {
        Some(Ok(instances)) => instances,
        Some(Err(absence)) => {
            object.note("mig.instances", absence);
            &none
        }
        None => &none,
    };
    let list = instances.iter().map(|instance| {
        let mut each = Object::default();
        each.put("gpu_instance", &instance.gpu_instance);
        each.put("compute_instance", &instance.compute_instance);
        each.put("uuid", &instance.uuid.clone().map(|id| id.0));
        each.put("profile", &instance.profile);
        each.put("memory.total_bytes", &instance.memory_total);
        each.put("memory.used_bytes", &instance.memory_used);
        each.with_absent()
    });
    object.set("mig.instances", list.collect());
}

fn process(snapshot: &Snapshot, process: &Process) -> Value {
    let mut object = Object::default();
    object.set("pid", process.key.pid.into());
    let facts = process.facts.as_deref();
    let unseen = || Err(Absence::NotRequested);
    object.put("host_pid_visible", &facts.map_or_else(unseen, |facts| Ok(facts.visible)));
    object.set("ended", process.ended.and_then(|at| rfc3339(wall_at(snapshot, at))).into());
    let gpus = process.gpus.iter().enumerate().map(|(index, share)| {
        let mut each = Object::default();
        each.set("index", share.index.into());
        each.put("memory_bytes", &share.memory);
        each.put("sm_percent", &share.sm);
        each.set("kind", kind(share.kind).into());
        each.set("gpu_instance", share.gpu_instance.into());
        (index, each)
    });
    let mut list = Vec::new();
    for (index, each) in gpus {
        for (path, reason) in each.absent {
            object.absent.insert(format!("gpus.{index}.{path}"), reason);
        }
        list.push(Value::Object(each.members));
    }
    object.set("gpus", list.into());
    object.put("user", &facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.user.clone()));
    object.put("name", &facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.name.clone()));
    let command = facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.command.clone());
    object.put("command", &command.map(|arguments| arguments.join(" ")));
    object.put("cpu_percent", &process.cpu);
    let resident =
        process.host.as_ref().map_or_else(|| Err(Absence::NotRequested), |host| host.resident.clone());
    object.put("memory_bytes", &resident);
    let started = facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.started.clone());
    object.put("started", &started.map(|wall| rfc3339(wall).unwrap_or_default()));
    let container = process.container().map(|container| format!("{}:{}", container.runtime, container.id));
    object.set("container", container.into());
    let name = |text: Option<&Arc<str>>| text.map_or(Value::Null, Json::to_json);
    object.set("pod", name(facts.and_then(|facts| facts.pod.as_ref())));
    object.set("slurm_job", name(facts.and_then(|facts| facts.slurm_job.as_ref())));
    object.set("unit", name(facts.and_then(|facts| facts.unit.as_ref())));
    object.with_absent()
}

const fn kind(kind: ProcessKind) -> &'static str {
    match kind {
        ProcessKind::Compute => "compute",
        ProcessKind::Graphics => "graphics",
        ProcessKind::Mps => "mps",
        ProcessKind::ComputeGraphics => "compute_graphics",
    }
}

fn verdict(snapshot: &Snapshot, verdict: &Verdict) -> Value {
    let mut object = Object::default();
    object.set("severity", verdict.severity.name().into());
    let index = verdict.gpu.as_ref().and_then(|id| snapshot.gpu(id)).and_then(Gpu::index);
    object.set("gpu", index.into());
    object.set("rule", verdict.rule.into());
    object.set("summary", verdict.summary.as_str().into());
    object.set("evidence", verdict.evidence.as_str().into());
    object.set("advice", verdict.advice.as_str().into());
    object.set("since", rfc3339(wall_at(snapshot, verdict.since)).into());
    object.bare()
}

/// A point of the monotonic clock for people, by the snapshot's two clocks.
fn wall_at(snapshot: &Snapshot, at: Mono) -> Wall {
    let micros = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let wall = snapshot.wall.0.saturating_sub(micros(snapshot.mono.0.saturating_sub(at.0)));
    Wall(wall.saturating_add(micros(at.0.saturating_sub(snapshot.mono.0))))
}
