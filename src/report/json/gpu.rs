//! One GPU as it stands in the JSON of a snapshot.

use super::super::object::{Json, Object, rounded};
use crate::analysis::{clock_events, names};
use crate::model::{
    Absence, Band, Gpu, MigInstance, NvLink, Reading, Snapshot, Thresholds, known, nvml_code, read,
};
use crate::units::{Celsius, Megahertz, Percent, Watts};
use serde_json::Value;

pub(super) fn gpu(snapshot: &Snapshot, gpu: &Gpu) -> Value {
    let mut object = Object::default();
    let info = &gpu.info;
    object.put("index", &info.index);
    object.put("uuid", &info.uuid);
    object.put("name", &info.name);
    object.put("architecture", &info.architecture);
    object.put("compute_capability", &info.compute_capability);
    object.put("brand", &info.brand);
    object.put("serial", &info.serial);
    object.put("board_part", &info.board_part);
    object.put("vbios", &info.vbios);
    object.put("inforom", &info.inforom);
    object.put("gsp", &info.gsp);
    object.put("pci_bus_id", &info.pci_bus_id);
    object.put("minor_number", &info.minor);
    object.put("module_id", &info.module_id);
    object.put("numa_node", &info.numa_node);
    object.put("display_attached", &info.display_attached);
    object.put("display_active", &info.display_active);
    object.put("virtualization", &info.virtualization.clone().map(names::virtualization));
    object.put("memory_shared_with_cpu", &info.memory_shared_with_cpu);
    object.set("state", gpu.state.name().into());
    object.set("refusal", gpu.refusal.map_or(Value::Null, |code| nvml_code::code_words(code).into()));
    object.set("stuck_call", gpu.stuck.as_ref().map_or(Value::Null, |stuck| stuck.call.to_json()));
    object.put("stale_seconds", &read::stale_seconds(snapshot, gpu));
    utilization(&mut object, gpu);
    power_and_heat(&mut object, gpu);
    throttle(&mut object, gpu);
    links(&mut object, gpu);
    memory_health(&mut object, gpu);
    object.put("recovery_action", &read::live(gpu, |live| &live.recovery_action).map(names::recovery_action));
    object.put("persistence_mode", &read::health(gpu, |health| &health.persistence));
    object.put("compute_mode", &read::health(gpu, |health| &health.compute_mode).map(names::compute_mode));
    mig(&mut object, gpu);
    object.with_absent()
}

fn utilization(object: &mut Object, gpu: &Gpu) {
    let mean = |reading: Reading<Band>| reading.map(|band| Percent(band.mean));
    object.put("utilization.gpu_percent", &mean(read::band(gpu, |fast| &fast.utilization)));
    object.put("utilization.memory_percent", &mean(read::band(gpu, |fast| &fast.memory_utilization)));
    object.put("utilization.sm_percent", &read::gpm(gpu, |gpm| &gpm.sm));
    object.put("utilization.sm_occupancy_percent", &read::gpm(gpu, |gpm| &gpm.sm_occupancy));
    object.put("utilization.tensor_percent", &read::gpm(gpu, |gpm| &gpm.tensor));
    object.put("utilization.dram_percent", &read::gpm(gpu, |gpm| &gpm.dram));
    object.put("utilization.graphics_percent", &read::gpm(gpu, |gpm| &gpm.graphics));
    object.put("utilization.fp64_percent", &read::gpm(gpu, |gpm| &gpm.fp64));
    object.put("utilization.fp32_percent", &read::gpm(gpu, |gpm| &gpm.fp32));
    object.put("utilization.fp16_percent", &read::gpm(gpu, |gpm| &gpm.fp16));
    object.put("utilization.encoder_percent", &read::live(gpu, |live| &live.encoder));
    object.put("utilization.decoder_percent", &read::live(gpu, |live| &live.decoder));
    object.put("memory.total_bytes", &read::live(gpu, |live| &live.memory_total));
    object.put("memory.used_bytes", &read::live(gpu, |live| &live.memory_used));
    object.put("memory.free_bytes", &read::live(gpu, |live| &live.memory_free));
    object.put("memory.reserved_bytes", &read::live(gpu, |live| &live.memory_reserved));
    object.put("memory.unattributed_bytes", &gpu.unattributed);
    object.put("memory.bar1_used_bytes", &read::health(gpu, |health| &health.bar1_used));
}

fn power_and_heat(object: &mut Object, gpu: &Gpu) {
    let power = read::band(gpu, |fast| &fast.power);
    object.put("power.draw_watts", &power.clone().map(|band| Watts(band.mean)));
    object.put("power.draw_min_watts", &power.clone().map(|band| Watts(band.min)));
    object.put("power.draw_max_watts", &power.map(|band| Watts(band.max)));
    object.put("power.limit_watts", &read::live(gpu, |live| &live.power_limit));
    object.put("power.set_limit_watts", &read::health(gpu, |health| &health.power_limit_set));
    object.put("power.default_limit_watts", &gpu.info.default_power_limit);
    object.put("power.min_limit_watts", &gpu.info.min_power_limit);
    object.put("power.max_limit_watts", &gpu.info.max_power_limit);
    object.put("power.energy_joules", &read::health(gpu, |health| &health.energy));
    object.put("temperature.gpu_celsius", &read::live(gpu, |live| &live.temperature));
    object.put("temperature.memory_celsius", &read::live(gpu, |live| &live.memory_temperature));
    object.put("temperature.margin_celsius", &read::live(gpu, |live| &live.temperature_margin));
    thresholds(object, gpu);
    let clock = read::band(gpu, |fast| &fast.sm_clock);
    object.put("clocks.sm_mhz", &clock.map(|band| Megahertz(band.mean.round() as u32)));
    object.put("clocks.memory_mhz", &read::live(gpu, |live| &live.memory_clock));
    object.put("clocks.graphics_mhz", &read::live(gpu, |live| &live.graphics_clock));
    object.put("clocks.video_mhz", &read::live(gpu, |live| &live.video_clock));
    object.put("clocks.max_sm_mhz", &gpu.info.max_sm_clock);
    object.put("clocks.max_memory_mhz", &gpu.info.max_memory_clock);
    object.put("performance_state", &read::live(gpu, |live| &live.performance_state));
    object.put("fan_percent", &read::live(gpu, |live| &live.fan));
}

/// Absolute, and as degrees of margin at which they act (T.Limit).
fn thresholds(object: &mut Object, gpu: &Gpu) {
    let mut put = |name: &str, read: fn(&Thresholds) -> &Reading<Celsius>| {
        object.put(&format!("temperature.{name}_celsius"), &read::threshold(gpu, read));
    };
    put("slowdown", |thresholds| &thresholds.slowdown);
    put("shutdown", |thresholds| &thresholds.shutdown);
    put("gpu_max", |thresholds| &thresholds.gpu_max);
    put("memory_max", |thresholds| &thresholds.memory_max);
    put("slowdown_limit", |thresholds| &thresholds.slowdown_limit);
    put("shutdown_limit", |thresholds| &thresholds.shutdown_limit);
    put("gpu_max_limit", |thresholds| &thresholds.gpu_max_limit);
    put("memory_max_limit", |thresholds| &thresholds.memory_max_limit);
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
    object.put("pcie.gpu_max_generation", &gpu.info.gpu_max_pcie_generation);
    object.put("pcie.rx_bytes_per_second", &gpu.rates.pcie_rx);
    object.put("pcie.tx_bytes_per_second", &gpu.rates.pcie_tx);
    object.put("pcie.replays", &read::health(gpu, |health| &health.pcie_replays));
    object.put("nvlink.links", &gpu.info.nvlinks);
    object.put("nvlink.active_links", &read::active_links(gpu));
    object.put("nvlink.switch_links", &gpu.info.nvswitch_links);
    object.put("nvlink.version", &gpu.info.nvlink_version.clone().map(|tenths| f64::from(tenths) / 10.0));
    object.put("nvlink.rx_bytes_per_second", &gpu.rates.nvlink_rx);
    object.put("nvlink.tx_bytes_per_second", &gpu.rates.nvlink_tx);
    object.put("nvlink.errors", &read::health(gpu, |health| &health.nvlink_errors));
    object.set("nvlink.by_link", gpu.nvlinks.iter().flat_map(|group| &group.value).map(link).collect());
    object.put("fabric.state", &read::health(gpu, |health| &health.fabric_state).map(names::fabric_state));
    object.put("fabric.status", &read::health(gpu, |health| &health.fabric_status));
    let health = read::health(gpu, |health| &health.fabric_health);
    object.put("fabric.health", &health.map(names::fabric_health));
}

fn link(link: &NvLink) -> Value {
    let mut object = Object::default();
    object.set("link", link.link.into());
    object.put("active", &link.active);
    object.put("remote", &link.remote_type.clone().map(names::nvlink_remote));
    object.put("remote_pci_bus_id", &link.remote_pci);
    object.put("replay_errors", &link.replay_errors);
    object.put("recovery_errors", &link.recovery_errors);
    object.put("crc_errors", &link.crc_errors);
    object.with_absent()
}

fn memory_health(object: &mut Object, gpu: &Gpu) {
    object.put("ecc.corrected_volatile", &read::health(gpu, |health| &health.ecc_corrected_volatile));
    object.put("ecc.uncorrected_volatile", &read::health(gpu, |health| &health.ecc_uncorrected_volatile));
    object.put("ecc.corrected_aggregate", &read::health(gpu, |health| &health.ecc_corrected_aggregate));
    object.put("ecc.uncorrected_aggregate", &read::health(gpu, |health| &health.ecc_uncorrected_aggregate));
    object.put("ecc.enabled", &read::health(gpu, |health| &health.ecc_enabled));
    object.put("ecc.enabled_after_reset", &read::health(gpu, |health| &health.ecc_pending));
    object.put("ecc.sram_threshold_exceeded", &read::health(gpu, |health| &health.sram_threshold_exceeded));
    object.put("remapped_rows.corrected", &read::health(gpu, |health| &health.remapped_corrected));
    object.put("remapped_rows.uncorrected", &read::health(gpu, |health| &health.remapped_uncorrected));
    object.put("remapped_rows.pending", &read::health(gpu, |health| &health.remap_pending));
    object.put("remapped_rows.failed", &read::health(gpu, |health| &health.remap_failed));
    let banks = read::health(gpu, |health| &health.remap_banks);
    for (place, name) in ["max", "high", "partial", "low", "none"].into_iter().enumerate() {
        let count = banks.clone().map(|banks| banks.get(place).copied().unwrap_or_default());
        object.put(&format!("remapped_rows.banks.{name}"), &count);
    }
    object.put("retired_pages.single_bit", &read::health(gpu, |health| &health.retired_single));
    object.put("retired_pages.double_bit", &read::health(gpu, |health| &health.retired_double));
    object.put("retired_pages.pending", &read::health(gpu, |health| &health.retired_pending));
}

fn mig(object: &mut Object, gpu: &Gpu) {
    object.put("mig.enabled", &read::health(gpu, |health| &health.mig));
    object.put("mig.enabled_after_reset", &read::health(gpu, |health| &health.mig_pending));
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
        each.put("sm_percent", &instance.sm);
        let pids = instance.processes.as_ref().map_err(Clone::clone);
        each.put("pids", &pids.map(|list| list.iter().map(|process| process.pid).collect::<Vec<_>>()));
        each.with_absent()
    });
    object.set("mig.instances", list.collect());
}
