//! The selected pair: the way between, what the driver allows, what runs over it; then what is wrong, advice, legend.

use super::role_of;
use crate::analysis::Severity;
use crate::analysis::topology::{Cell, Device, Matrix, PathClass, Way, advice, link_faults, pcie_fault, way};
use crate::app::State;
use crate::model::{Absence, BusDevice, BusKind, Gpu, NicPort, Reading, Snapshot, known};
use crate::ui::overlays::wrapped;
use crate::ui::theme::Role;
use crate::ui::widgets::{Pen, width};
use crate::ui::words;
use ratatui::layout::Rect;

/// A line of pieces in their roles; broken between pieces where it is too long.
type Pieces = Vec<(String, Role)>;

pub(super) fn render(state: &State, snapshot: &Snapshot, matrix: &Matrix, area: Rect, pen: &mut Pen<'_>) {
    let (row, column) = state.selected_pair(matrix);
    let (Some(one), Some(other)) = (matrix.devices.get(row), matrix.devices.get(column)) else { return };
    if area.height == 0 {
        return;
    }
    let title = if row == column { one.label.clone() } else { format!("{} – {}", one.label, other.label) };
    pen.rule(area.x, area.y, area.width, &title);
    let mut lines: Vec<Pieces> = Vec::new();
    lines.push(joined(snapshot, matrix.cell(row, column), one, other));
    if row != column {
        lines.extend(route(snapshot, one, other));
        lines.extend(peer_access(snapshot, one, other));
    }
    lines.push(device(snapshot, one));
    if row != column {
        lines.push(device(snapshot, other));
    }
    for gpu in &snapshot.gpus {
        let label = matrix.place_of(&gpu.id).and_then(|place| matrix.devices.get(place));
        for fault in link_faults(snapshot, gpu) {
            let label = label.map_or_else(|| gpu.id.to_string(), |device| device.label.clone());
            lines.push(vec![(format!("! {label}: {}", fault.summary), Role::Warning)]);
        }
    }
    for found in advice(snapshot, matrix) {
        let (mark, role) = words::mark(found.severity);
        let role = if found.severity == Severity::Info { Role::Text } else { role };
        let text = wrapped(&found.text, area.width.saturating_sub(2).max(1));
        lines.extend(text.into_iter().enumerate().map(|(nth, line)| {
            let mark = if nth == 0 { mark } else { " " };
            vec![(format!("{mark} {line}"), role)]
        }));
    }
    if matrix.by_bus {
        lines.push(vec![("No driver: GPUs are numbered as they stand on the bus.".into(), Role::Muted)]);
    }
    lines.push(legend());
    let mut y = area.y + 1;
    for line in lines {
        y = draw(line, area, y, pen);
    }
}

/// Writes a line, going on in the next where a piece has no room; gives the line after it.
fn draw(pieces: Pieces, area: Rect, y: u16, pen: &mut Pen<'_>) -> u16 {
    let (mut x, mut y) = (area.x, y);
    for (text, role) in pieces {
        if x > area.x && x + width(&text) > area.right() {
            x = area.x + 2;
            y += 1;
        }
        if y >= area.bottom() {
            return y;
        }
        let text = if x == area.x + 2 { text.trim_start() } else { &text };
        x = pen.text(x, y, area.right().saturating_sub(x), text, role);
    }
    y + 1
}

fn text(words: impl Into<String>) -> (String, Role) {
    (words.into(), Role::Text)
}

fn muted(words: impl Into<String>) -> (String, Role) {
    (words.into(), Role::Muted)
}

/// The cell and what it means.
fn joined(snapshot: &Snapshot, cell: Cell, one: &Device, other: &Device) -> Pieces {
    let meaning = match cell {
        Cell::Same => one.name.to_string(),
        Cell::NvLink(links) => {
            let switched = gpu_of(snapshot, one).and_then(|gpu| known(&gpu.info.nvswitch_links)).unwrap_or(0);
            let how = if switched > 0 { "through NVSwitches" } else { "to each other" };
            format!("{links} NVLinks {how}")
        }
        Cell::Path(class) => class.meaning().to_string(),
        Cell::Unknown if one.address.is_err() || other.address.is_err() => "an address is not known".into(),
        Cell::Unknown => "not read yet, or the firmware does not tell".into(),
    };
    vec![(format!("{cell:<5}"), role_of(cell)), text(meaning)]
}

fn on_bus<'a>(snapshot: &'a Snapshot, device: &Device) -> Option<&'a BusDevice> {
    snapshot.inventory.topology.as_deref()?.device(device.address.as_deref().ok()?)
}

fn gpu_of<'a>(snapshot: &'a Snapshot, device: &Device) -> Option<&'a Gpu> {
    snapshot.gpu(device.gpu.as_ref()?)
}

/// The bridges between the two.
fn route(snapshot: &Snapshot, one: &Device, other: &Device) -> Option<Pieces> {
    let topology = snapshot.inventory.topology.as_deref()?;
    let found = way(topology, on_bus(snapshot, one)?, on_bus(snapshot, other)?)?;
    let Way { class, up, shared, down, host_bridges: [first, second] } = found;
    let mut pieces = vec![muted("PCIe "), (class.name().into(), role_of(Cell::Path(class))), muted(":")];
    let mut step = |text: &str, role| pieces.push((format!(" {text}"), role));
    step(&one.label, Role::Strong);
    let short = |address: &str| address.strip_prefix("0000:").unwrap_or(address).to_string();
    up.iter().for_each(|bridge| step(&format!("→ {}", short(bridge)), Role::Text));
    match shared {
        Some(bridge) => step(&format!("→ [{}]", short(&bridge)), Role::Accent),
        None if first == second => step(&format!("→ host bridge {first}"), Role::Accent),
        None => step(&format!("→ {first} ═ {second}"), Role::Accent),
    }
    down.iter().for_each(|bridge| step(&format!("→ {}", short(bridge)), Role::Text));
    step(&format!("→ {}", other.label), Role::Strong);
    Some(pieces)
}

/// `nvmlGpuP2PStatus_t`.
const fn p2p(status: u32) -> &'static str {
    match status {
        0 => "OK",
        1 => "chipset not supported",
        2 => "GPU not supported",
        3 => "not through this I/O hub",
        4 => "disabled by a registry key",
        5 => "not supported",
        _ => "unknown",
    }
}

fn peer_access(snapshot: &Snapshot, one: &Device, other: &Device) -> Option<Pieces> {
    let topology = snapshot.inventory.topology.as_deref()?;
    let pair = topology.pair(one.address.as_deref().ok()?, other.address.as_deref().ok()?)?;
    let mut pieces = vec![muted("P2P")];
    for (name, status) in [
        ("read", &pair.p2p_read),
        ("write", &pair.p2p_write),
        ("NVLink", &pair.p2p_nvlink),
        ("atomics", &pair.p2p_atomics),
        ("PCIe", &pair.p2p_pci),
    ] {
        pieces.push(muted(format!("  {name} ")));
        pieces.push(match status {
            Ok(0) => ("OK".into(), Role::Good),
            Ok(status) => (p2p(*status).into(), Role::Text),
            Err(absence) => words::absent(absence),
        });
    }
    Some(pieces)
}

/// A device: its link, what runs over it, and its state.
fn device(snapshot: &Snapshot, device: &Device) -> Pieces {
    let mut pieces = vec![(format!("{:<5} ", device.label), Role::Strong)];
    if device.kind != BusKind::Gpu {
        pieces.push(text(format!("{} ", device.name)));
    }
    pieces.push(muted(known(&device.address).map_or_else(|| "no address".into(), |at| at.to_string())));
    match gpu_of(snapshot, device) {
        Some(gpu) => pieces.extend(gpu_links(snapshot, gpu)),
        None => pieces.extend(bus_link(snapshot, device)),
    }
    pieces.extend(on_bus(snapshot, device).iter().flat_map(|device| &device.ports).map(port));
    pieces
}

fn bus_link(snapshot: &Snapshot, device: &Device) -> Option<(String, Role)> {
    let link = &on_bus(snapshot, device)?.link;
    let speed = |reading: &Reading<u32>| known(reading).map(|tenths| f64::from(tenths) / 10.0);
    let now = speed(&link.speed).zip(known(&link.width));
    let most = speed(&link.max_speed).zip(known(&link.max_width));
    Some(match (now, most) {
        (Some((speed, width)), Some((top, wide))) => {
            text(format!("  {speed} GT/s x{width} of {top} GT/s x{wide}"))
        }
        _ => match &link.speed {
            Err(absence) => (format!("  link {}", absence.label()), Role::Absent),
            Ok(_) => text(String::new()),
        },
    })
}

fn port(port: &NicPort) -> (String, Role) {
    let (state, role) = match &port.state {
        Ok(state) if &**state == "ACTIVE" => (state.to_string(), Role::Good),
        Ok(state) => {
            let physical = known(&port.physical).map_or_else(String::new, |at| format!(" ({at})"));
            (format!("! {state}{physical}"), Role::Warning)
        }
        Err(absence) => words::absent(absence),
    };
    let rate = known(&port.rate).map_or_else(String::new, |rate| format!(" {rate} Gb/s"));
    let layer = known(&port.layer).map_or_else(String::new, |layer| format!(" {layer}"));
    (format!("  port {} {state}{rate}{layer}", port.port), role)
}

fn gpu_links(snapshot: &Snapshot, gpu: &Gpu) -> Pieces {
    let live = gpu.live.as_ref().map(|live| &live.value);
    let number = |reading: Option<&Reading<u32>>| match reading {
        Some(Ok(value)) => value.to_string(),
        Some(Err(absence)) => absence.label().to_string(),
        None => Absence::NotRequested.label().to_string(),
    };
    let faulty = pcie_fault(snapshot, gpu).is_some();
    let mut pieces = vec![(
        format!(
            "  {}PCIe Gen{} x{} of Gen{} x{}",
            if faulty { "! " } else { "" },
            number(live.map(|live| &live.pcie_generation)),
            number(live.map(|live| &live.pcie_width)),
            number(Some(&gpu.info.max_pcie_generation)),
            number(Some(&gpu.info.max_pcie_width)),
        ),
        if faulty { Role::Warning } else { Role::Text },
    )];
    let rates = |rx, tx| {
        let (rx, _) = words::reading(rx, Role::Text);
        let (tx, _) = words::reading(tx, Role::Text);
        if rx == tx && rx.chars().all(|c| !c.is_ascii_digit()) {
            format!(" {rx}")
        } else {
            format!(" ↓ {rx} ↑ {tx}")
        }
    };
    pieces.push(text(rates(&gpu.rates.pcie_rx, &gpu.rates.pcie_tx)));
    pieces.push(per_second("replays", &gpu.rates.pcie_replays));
    let links = known(&gpu.info.nvlinks).unwrap_or(0);
    if links > 0 {
        let up = gpu
            .nvlinks
            .as_ref()
            .map(|group| group.value.iter().filter(|link| matches!(link.active, Ok(true))).count());
        let (state, role) = match up {
            Some(up) if up < links as usize && up > 0 => (format!("! {up}/{links} up"), Role::Warning),
            Some(up) => (format!("{up}/{links} up"), Role::Text),
            None => (format!("{links} links"), Role::Text),
        };
        pieces.push((format!("  NVLink {state}"), role));
        pieces.push(text(rates(&gpu.rates.nvlink_rx, &gpu.rates.nvlink_tx)));
        pieces.push(per_second("errors", &gpu.rates.nvlink_errors));
    }
    pieces
}

fn per_second(name: &str, rate: &Reading<f32>) -> (String, Role) {
    match rate {
        Ok(rate) if *rate > 0.0 => (format!("  ! {rate:.2} {name}/s"), Role::Warning),
        Ok(_) => muted(format!("  0 {name}/s")),
        Err(absence) => muted(format!("  {name} {}", absence.label())),
    }
}

fn legend() -> Pieces {
    let mut pieces = vec![muted("Legend  "), ("NV# # NVLinks".into(), role_of(Cell::NvLink(1)))];
    for class in PathClass::ALL {
        pieces.push((format!("  {} {}", class.name(), class.meaning()), role_of(Cell::Path(class))));
    }
    pieces
}
