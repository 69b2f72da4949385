//! What a GPU does and what that takes: use, memory, power, heat, clocks.

use super::sheet::{Cell, Sheet, cell};
use crate::analysis::clock_events;
use crate::model::{Band, Gpu, MigInstance, Reading, Thresholds, known, read};
use crate::units::{Celsius, Joules, Megahertz, Percent, Watts};

/// Joules in a kilowatt hour, the unit of energy that people pay for.
const JOULES_PER_KWH: f64 = 3.6e6;

fn mean(reading: Reading<Band>) -> Reading<Percent> {
    reading.map(|band| Percent(band.mean))
}

pub(super) fn use_of_it(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    sheet.row(
        "utilisation",
        [
            cell(&mean(read::band(gpu, |fast| &fast.utilization)), "GPU"),
            cell(&mean(read::band(gpu, |fast| &fast.memory_utilization)), "memory"),
            cell(&read::live(gpu, |live| &live.encoder), "encoder"),
            cell(&read::live(gpu, |live| &live.decoder), "decoder"),
        ],
    );
    sheet.row(
        "activity",
        [
            cell(&read::gpm(gpu, |gpm| &gpm.graphics), "engine"),
            cell(&read::gpm(gpu, |gpm| &gpm.sm), "SM"),
            cell(&read::gpm(gpu, |gpm| &gpm.sm_occupancy), "occupancy"),
            cell(&read::gpm(gpu, |gpm| &gpm.tensor), "tensor"),
            cell(&read::gpm(gpu, |gpm| &gpm.dram), "DRAM"),
            cell(&read::gpm(gpu, |gpm| &gpm.fp64), "FP64"),
            cell(&read::gpm(gpu, |gpm| &gpm.fp32), "FP32"),
            cell(&read::gpm(gpu, |gpm| &gpm.fp16), "FP16"),
        ],
    );
}

pub(super) fn memory(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    sheet.row(
        "memory",
        [
            cell(&read::live(gpu, |live| &live.memory_used), "used"),
            cell(&read::live(gpu, |live| &live.memory_free), "free"),
            cell(&read::live(gpu, |live| &live.memory_reserved), "reserved by the driver"),
            cell(&read::live(gpu, |live| &live.memory_total), "in all"),
            cell(&gpu.unattributed, "owned by no process"),
            cell(&read::health(gpu, |health| &health.bar1_used), "of BAR1 used"),
        ],
    );
    for (nth, instance) in gpu.mig.iter().flat_map(|group| group.value.iter().flatten()).enumerate() {
        sheet.row(if nth == 0 { "MIG instances" } else { "" }, instance_cells(instance));
    }
}

fn instance_cells(instance: &MigInstance) -> [Cell; 6] {
    let count = instance.processes.as_ref().map(Vec::len).map_err(Clone::clone);
    [
        cell(&instance.gpu_instance, "GPU instance"),
        cell(&instance.compute_instance, "compute instance"),
        cell(&instance.profile, ""),
        cell(&instance.memory_used, "used"),
        cell(&instance.sm, "SM"),
        cell(&count, "processes"),
    ]
}

pub(super) fn power(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    let draw = read::band(gpu, |fast| &fast.power);
    let part = |read: fn(&Band) -> f32| draw.clone().map(|band| Watts(read(&band)));
    sheet.row(
        "power",
        [
            cell(&part(|band| band.mean), "drawn"),
            cell(&part(|band| band.min), "least"),
            cell(&part(|band| band.max), "most of this interval"),
            cell(&read::health(gpu, |health| &health.energy).map(energy), "since the driver loaded"),
        ],
    );
    sheet.row(
        "power limit",
        [
            cell(&read::live(gpu, |live| &live.power_limit), "enforced"),
            cell(&read::health(gpu, |health| &health.power_limit_set), "set"),
            cell(&gpu.info.default_power_limit, "by default"),
            cell(&gpu.info.min_power_limit, "at least"),
            cell(&gpu.info.max_power_limit, "at most"),
        ],
    );
}

fn energy(joules: Joules) -> String {
    format!("{:.2} kWh", joules.0 / JOULES_PER_KWH)
}

pub(super) fn heat(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.row(
        "temperature",
        [
            cell(&read::live(gpu, |live| &live.temperature), "GPU"),
            cell(&read::live(gpu, |live| &live.memory_temperature), "memory"),
            cell(&read::live(gpu, |live| &live.temperature_margin), "to the first slowdown"),
            cell(&read::live(gpu, |live| &live.fan), "fan"),
        ],
    );
    // Absolute, and as the margin at which it acts: newer GPUs go by the latter.
    let threshold = |at: fn(&Thresholds) -> &Reading<Celsius>,
                     limit: fn(&Thresholds) -> &Reading<Celsius>,
                     name: &'static str| {
        let (at, limit) = (read::threshold(gpu, at), read::threshold(gpu, limit));
        let both = match (&at, &limit) {
            (Ok(at), Ok(limit)) => Ok(format!("{at} (margin {limit})")),
            (Err(_), Ok(limit)) => Ok(format!("margin {limit}")),
            (at, Err(_)) => at.clone().map(|at| at.to_string()),
        };
        cell(&both, name)
    };
    sheet.row(
        "thresholds",
        [
            threshold(|t| &t.gpu_max, |t| &t.gpu_max_limit, "GPU in operation"),
            threshold(|t| &t.memory_max, |t| &t.memory_max_limit, "memory in operation"),
            threshold(|t| &t.slowdown, |t| &t.slowdown_limit, "slowdown"),
            threshold(|t| &t.shutdown, |t| &t.shutdown_limit, "shutdown"),
        ],
    );
}

pub(super) fn clocks(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    let sm = read::band(gpu, |fast| &fast.sm_clock).map(|band| Megahertz(band.mean.round() as u32));
    let state = read::live(gpu, |live| &live.performance_state).map(|state| format!("P{state}"));
    sheet.row(
        "clocks",
        [
            cell(&sm, "SM"),
            cell(&read::live(gpu, |live| &live.graphics_clock), "graphics"),
            cell(&read::live(gpu, |live| &live.memory_clock), "memory"),
            cell(&read::live(gpu, |live| &live.video_clock), "video"),
            cell(&state, ""),
        ],
    );
    sheet.row("at most", [cell(&gpu.info.max_sm_clock, "SM"), cell(&gpu.info.max_memory_clock, "memory")]);
    let supported = known(&gpu.info.supported_clock_events);
    let events = read::clock_events(gpu).map(|events| {
        let held = clock_events::decode(events.any, supported).names();
        let held = if held.is_empty() { "none".into() } else { held.join(", ").replace('_', " ") };
        format!("{held} ({:#x})", events.any)
    });
    let supported = gpu.info.supported_clock_events.clone().map(|mask| format!("{mask:#x}"));
    sheet.row("held by", [cell(&events, ""), cell(&supported, "can be told")]);
}
