//! Everything that is read of one GPU, whether it is there or why it is not.

use super::{Line, wrapped};
use crate::analysis::{clock_events, names};
use crate::app::State;
use crate::model::{
    Band, Gpu, GpuId, GpuState, MigInstance, NvLink, Reading, Snapshot, Thresholds, known, read,
};
use crate::ui::theme::Role;
use crate::ui::widgets::width;
use crate::ui::words;
use crate::units::{Celsius, Joules, Megahertz, Mono, Percent, Watts};
use std::fmt::Display;

/// Width of a label.
const LABEL: usize = 14;
/// Joules in a kilowatt hour, the unit of energy that people pay for.
const JOULES_PER_KWH: f32 = 3.6e6;

/// The title of the window.
pub(super) fn title(state: &State, id: &GpuId) -> String {
    let Some(gpu) = state.snapshot().and_then(|snapshot| snapshot.gpu(id)) else { return "GPU".into() };
    let index = gpu.index().map_or_else(|| "GPU".into(), |index| format!("GPU {index}"));
    known(&gpu.info.name).map_or_else(|| index.clone(), |name| format!("{index} · {name}"))
}

pub(super) fn lines(state: &State, id: &GpuId, columns: u16) -> Vec<Line> {
    let Some((snapshot, gpu)) = state.snapshot().and_then(|s| Some((s, s.gpu(id)?))) else {
        return vec![vec![(format!("{id} is no longer there."), Role::Muted)]];
    };
    let mut sheet = Sheet { lines: Vec::new(), columns, past: false };
    condition(&mut sheet, snapshot, gpu);
    sheet.past = gpu.state != GpuState::Ok;
    use_of_it(&mut sheet, gpu);
    memory(&mut sheet, gpu);
    power(&mut sheet, gpu);
    heat(&mut sheet, gpu);
    clocks(&mut sheet, gpu);
    links(&mut sheet, gpu);
    errors(&mut sheet, gpu);
    modes(&mut sheet, gpu);
    // Who it is stays true.
    sheet.past = false;
    identity(&mut sheet, gpu);
    sheet.lines
}

/// A value and what it is of: `70.0 GiB` `used`.
struct Cell {
    value: (String, Role),
    name: &'static str,
}

fn cell<T: Display>(reading: &Reading<T>, name: &'static str) -> Cell {
    Cell { value: words::reading(reading, Role::Text), name }
}

/// Lines in the making.
struct Sheet {
    lines: Vec<Line>,
    columns: u16,
    /// What is known is no longer so: values are greyed.
    past: bool,
}

impl Sheet {
    /// A line of air before what belongs together.
    fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
    }

    /// A label and its cells, over as many lines as they need.
    fn row(&mut self, label: &str, cells: impl IntoIterator<Item = Cell>) {
        let begin = |label: &str| vec![(format!("{label:<LABEL$}"), Role::Muted)];
        let mut line = begin(label);
        let mut taken = LABEL as u16;
        for Cell { value: (text, role), name } in cells {
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            let wide = width(&text) + width(&name);
            let first = line.len() == 1;
            if !first && taken + 3 + wide > self.columns {
                self.lines.push(std::mem::replace(&mut line, begin("")));
                taken = LABEL as u16;
            } else if !first {
                line.push(("   ".into(), Role::Text));
                taken += 3;
            }
            line.push((text, if self.past && role == Role::Text { Role::Stale } else { role }));
            line.push((name, Role::Muted));
            taken += wide;
        }
        self.lines.push(line);
    }

    /// A label and a text that may be longer than a line.
    fn text(&mut self, label: &str, text: &str, role: Role) {
        let room = self.columns.saturating_sub(LABEL as u16);
        for (index, part) in wrapped(text, room).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.lines.push(vec![(format!("{label:<LABEL$}"), Role::Muted), (part, role)]);
        }
    }
}

/// How it is doing, and how old what is known of it is.
fn condition(sheet: &mut Sheet, snapshot: &Snapshot, gpu: &Gpu) {
    match words::state_words(gpu, snapshot.mono.since(gpu.state_since)) {
        Some((text, role)) => sheet.text("state", &text, role),
        None => sheet.text("state", "answers", Role::Good),
    }
    if let Some(stuck) = &gpu.stuck
        && let Some(channel) = &stuck.wait_channel
    {
        sheet.text("waits in", channel, Role::Text);
    }
    let age = |at: Option<Mono>| -> (String, Role) {
        at.map_or_else(
            || ("never".into(), Role::Absent),
            |at| (format!("{} ago", words::duration(snapshot.mono.since(at))), Role::Text),
        )
    };
    sheet.row(
        "read",
        [
            Cell { value: age(gpu.live.as_ref().map(|group| group.at)), name: "each interval" },
            Cell { value: age(gpu.gpm.as_ref().map(|group| group.at)), name: "activity" },
            Cell { value: age(gpu.health.as_ref().map(|group| group.at)), name: "errors and modes" },
        ],
    );
}

fn mean(reading: Reading<Band>) -> Reading<Percent> {
    reading.map(|band| Percent(band.mean))
}

fn use_of_it(sheet: &mut Sheet, gpu: &Gpu) {
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

fn memory(sheet: &mut Sheet, gpu: &Gpu) {
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

fn power(sheet: &mut Sheet, gpu: &Gpu) {
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

fn heat(sheet: &mut Sheet, gpu: &Gpu) {
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

fn clocks(sheet: &mut Sheet, gpu: &Gpu) {
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

fn links(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    let (live, info) = (gpu, &gpu.info);
    let generation = |reading: &Reading<u32>| reading.clone().map(|number| format!("generation {number}"));
    let lanes = |reading: &Reading<u32>| reading.clone().map(|lanes| format!("×{lanes}"));
    sheet.row(
        "PCIe",
        [
            cell(&generation(&read::live(live, |live| &live.pcie_generation)), ""),
            cell(&lanes(&read::live(live, |live| &live.pcie_width)), "now"),
            cell(&generation(&info.max_pcie_generation), ""),
            cell(&lanes(&info.max_pcie_width), "at most in this slot"),
            cell(&generation(&info.gpu_max_pcie_generation), "of the GPU itself"),
        ],
    );
    sheet.row(
        "",
        [
            cell(&gpu.rates.pcie_rx, "to the GPU"),
            cell(&gpu.rates.pcie_tx, "from it"),
            cell(&read::health(gpu, |health| &health.pcie_replays), "replays"),
        ],
    );
    let version = info.nvlink_version.clone().map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
    sheet.row(
        "NVLink",
        [
            cell(&read::active_links(gpu), "up"),
            cell(&info.nvlinks, "links"),
            cell(&version, "version"),
            cell(&info.nvswitch_links, "to a switch"),
            cell(&read::health(gpu, |health| &health.nvlink_errors), "errors"),
        ],
    );
    sheet.row("", [cell(&gpu.rates.nvlink_rx, "to the GPU"), cell(&gpu.rates.nvlink_tx, "from it")]);
    for link in gpu.nvlinks.iter().flat_map(|group| &group.value).filter(|link| troubled(link)) {
        let up = link.active.clone().map(|up| if up { "up" } else { "DOWN" });
        sheet.row(
            &format!("  link {}", link.link),
            [
                cell(&up, ""),
                cell(&link.replay_errors, "replay"),
                cell(&link.recovery_errors, "recovery"),
                cell(&link.crc_errors, "CRC errors"),
                cell(&link.remote_pci, "at the other end"),
            ],
        );
    }
    sheet.row(
        "fabric",
        [
            cell(
                &named(read::health(gpu, |health| &health.fabric_state), names::fabric_state),
                "registration",
            ),
            cell(&read::health(gpu, |health| &health.fabric_status), "status"),
            cell(&named(read::health(gpu, |health| &health.fabric_health), names::fabric_health), "health"),
        ],
    );
}

/// Whether a link is down, or has counted errors: the others are not worth a line.
fn troubled(link: &NvLink) -> bool {
    let counted = [&link.replay_errors, &link.recovery_errors, &link.crc_errors];
    link.active == Ok(false) || counted.into_iter().any(|errors| errors.as_ref().is_ok_and(|n| *n > 0))
}

fn named(number: Reading<u32>, name: fn(u32) -> String) -> Reading<String> {
    number.map(|number| name(number).replace('_', " "))
}

fn errors(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    sheet.row(
        "ECC",
        [
            cell(&on(&read::health(gpu, |health| &health.ecc_enabled)), "now"),
            cell(&on(&read::health(gpu, |health| &health.ecc_pending)), "after a reset"),
            cell(
                &yes(&read::health(gpu, |health| &health.sram_threshold_exceeded)),
                "SRAM threshold exceeded",
            ),
        ],
    );
    sheet.row(
        "  since load",
        [
            cell(&read::health(gpu, |health| &health.ecc_corrected_volatile), "corrected"),
            cell(&read::health(gpu, |health| &health.ecc_uncorrected_volatile), "uncorrected"),
        ],
    );
    sheet.row(
        "  in its life",
        [
            cell(&read::health(gpu, |health| &health.ecc_corrected_aggregate), "corrected"),
            cell(&read::health(gpu, |health| &health.ecc_uncorrected_aggregate), "uncorrected"),
        ],
    );
    sheet.row(
        "rows remapped",
        [
            cell(&read::health(gpu, |health| &health.remapped_corrected), "for corrected"),
            cell(&read::health(gpu, |health| &health.remapped_uncorrected), "for uncorrected errors"),
            cell(&yes(&read::health(gpu, |health| &health.remap_pending)), "remap pending"),
            cell(&yes(&read::health(gpu, |health| &health.remap_failed)), "remap failed"),
        ],
    );
    let banks = read::health(gpu, |health| &health.remap_banks);
    let bank = |place: usize| banks.clone().map(|banks| banks.get(place).copied().unwrap_or_default());
    sheet.row(
        "  spare rows",
        [
            cell(&bank(0), "banks with all"),
            cell(&bank(1), "many"),
            cell(&bank(2), "some"),
            cell(&bank(3), "few"),
            cell(&bank(4), "none"),
        ],
    );
    sheet.row(
        "pages retired",
        [
            cell(&read::health(gpu, |health| &health.retired_single), "single-bit"),
            cell(&read::health(gpu, |health| &health.retired_double), "double-bit"),
            cell(&yes(&read::health(gpu, |health| &health.retired_pending)), "retirement pending"),
        ],
    );
}

fn on(reading: &Reading<bool>) -> Reading<&'static str> {
    reading.clone().map(|on| if on { "on" } else { "off" })
}

fn yes(reading: &Reading<bool>) -> Reading<&'static str> {
    reading.clone().map(|yes| if yes { "YES" } else { "no" })
}

fn modes(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    sheet.row(
        "modes",
        [
            cell(&on(&read::health(gpu, |health| &health.persistence)), "persistence"),
            cell(&on(&read::health(gpu, |health| &health.mig)), "MIG"),
            cell(&on(&read::health(gpu, |health| &health.mig_pending)), "MIG after a reset"),
            cell(
                &named(read::health(gpu, |health| &health.compute_mode), names::compute_mode),
                "compute mode",
            ),
        ],
    );
    sheet.row(
        "recovery",
        [cell(
            &named(read::live(gpu, |live| &live.recovery_action), names::recovery_action),
            "is what the driver asks for",
        )],
    );
}

fn identity(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    let info = &gpu.info;
    sheet.row(
        "product",
        [
            cell(&info.name, ""),
            cell(&info.brand, "brand"),
            cell(&info.architecture, ""),
            cell(&info.compute_capability, "compute capability"),
        ],
    );
    sheet.row("UUID", [cell(&info.uuid, "")]);
    sheet.row("board", [cell(&info.serial, "serial"), cell(&info.board_part, "part")]);
    sheet.row(
        "firmware",
        [cell(&info.vbios, "VBIOS"), cell(&info.inforom, "InfoROM"), cell(&info.gsp, "GSP")],
    );
    let device = info.pci_device_id.clone().map(|id| format!("{:04x}:{:04x}", id & 0xffff, id >> 16));
    let node = info.minor.clone().map(|minor| format!("/dev/nvidia{minor}"));
    sheet.row(
        "place",
        [
            cell(&info.pci_bus_id, "PCI address"),
            cell(&device, "PCI id"),
            cell(&node, ""),
            cell(&info.module_id, "module"),
            cell(&info.numa_node, "NUMA node"),
            cell(&info.cpu_affinity, "CPUs near"),
        ],
    );
    sheet.row(
        "",
        [
            cell(&yes(&info.display_attached), "display attached"),
            cell(&named(info.virtualization.clone(), names::virtualization), "virtualisation"),
            cell(&yes(&info.memory_shared_with_cpu), "memory shared with the CPU"),
        ],
    );
}
