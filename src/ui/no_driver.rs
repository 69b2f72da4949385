//! What was found when there is no NVIDIA driver to ask.

use super::theme::Role;
use super::widgets::Pen;
use super::words;
use crate::app::State;
use crate::model::{Absence, Reading};
use ratatui::layout::Rect;
use std::sync::Arc;

/// Draws the page.
pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(inventory) = state.snapshot().map(|s| &s.inventory).or(state.inventory.as_ref()) else { return };
    let driver = &inventory.driver;
    // The way on is never scrolled off: it has the last line.
    let hint = "7 Doctor says which layer it is; d shows the demo, which needs no GPU.";
    let last = area.bottom().saturating_sub(1);
    pen.text(area.x + 1, last, area.width.saturating_sub(2), hint, Role::Key);
    let height = area.height.saturating_sub(1);
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height, ..area };
    let mut y = inner.y + u16::from(inner.height > 10);
    let mut line = |indent: u16, text: &str, role: Role| {
        let room = inner.width.saturating_sub(indent);
        // A low screen has no lines for air.
        let skipped = text.is_empty() && area.height < 12;
        for part in super::overlays::wrapped(text, room).into_iter().filter(|_| !skipped) {
            if y < inner.bottom() {
                pen.text(inner.x + indent, y, room, &part, role);
                y += 1;
            }
        }
    };
    if area.height >= 12 {
        line(0, "No GPU can be read through the NVIDIA driver", Role::Title);
    }
    line(0, driver.problem.as_deref().unwrap_or_default(), Role::Warning);
    line(0, "", Role::Text);
    line(0, "What was found", Role::Title);
    let module = |reading: &Reading<Arc<str>>| match reading {
        Ok(version) => format!("loaded, version {version}"),
        Err(Absence::NotSupported | Absence::NotRequested) => "not loaded".into(),
        Err(absence) => format!("not loaded ({absence})"),
    };
    line(2, &format!("kernel module nvidia: {}", module(&driver.module_version)), Role::Text);
    let library = match &driver.version {
        Ok(version) => format!("answers, driver version {version}"),
        Err(Absence::NotSupported | Absence::NotRequested) => "no answer".into(),
        Err(absence) => format!("no answer ({absence})"),
    };
    line(2, &format!("driver library NVML: {library}"), Role::Text);
    if inventory.pci.is_empty() {
        line(2, "PCI: no NVIDIA display or 3D controller on the bus", Role::Text);
    }
    for device in &inventory.pci {
        let bound = device.driver.as_deref().map_or("no driver bound", |driver| driver);
        let role = if bound == "nvidia" { Role::Text } else { Role::Warning };
        line(2, &format!("PCI {}  [{}]  {bound}", device.address, device.id), role);
    }
    for reason in source_reasons(state) {
        line(2, &reason, Role::Text);
    }
    line(0, "", Role::Text);
    line(0, &host(state), Role::Text);
}

/// Why sources other than the driver do not work; the driver's own reason is the page.
fn source_reasons(state: &State) -> Vec<String> {
    let Some(snapshot) = state.snapshot() else { return Vec::new() };
    let told = snapshot.sources.iter().filter(|source| !source.reason.is_empty() && &*source.name != "nvml");
    told.map(|source| format!("{}: {}", source.name, source.reason)).collect()
}

/// The host goes on, whatever the driver does.
fn host(state: &State) -> String {
    let Some(host) = state.snapshot().map(|snapshot| &snapshot.host) else { return String::new() };
    let (cpu, _) = words::reading(&host.cpu, Role::Text);
    let (used, _) = words::reading(&host.memory_used, Role::Text);
    let (total, _) = words::reading(&host.memory_total, Role::Text);
    let [one, ..] = &host.load;
    let (load, _) = words::reading(&one.clone().map(|load| format!("{load:.1}")), Role::Text);
    format!("This host: CPU {cpu}, memory {used} of {total}, load {load}")
}
