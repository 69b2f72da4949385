//! One line per GPU.

use crate::app::State;
use crate::model::{Absence, Fast, Gpm, Gpu, GpuState, Grouped, Live, Reading, Snapshot, known};
use crate::ui::tabs::first_row;
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, BarPart, Column, Pen, Placed, bar, place, width};
use crate::ui::words;
use crate::units::{Bytes, Celsius, Percent, format_age};
use ratatui::layout::Rect;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    Index,
    Name,
    UtilizationBar,
    Utilization,
    Sm,
    Tensor,
    MemoryBar,
    Memory,
    Power,
    Temperature,
    Clock,
    PerformanceState,
    Throttle,
    PcieLink,
    Pcie,
    Nvlink,
}

const fn column(id: Id, title: &'static str, least: u16, most: u16, rank: u8, align: Align) -> Column<Id> {
    Column { id, title, least, most, rank, align }
}

/// In the order of the screen; what a narrow screen drops first has the greatest rank.
const COLUMNS: [Column<Id>; 16] = [
    column(Id::Index, "GPU", 4, 4, 0, Align::Right),
    column(Id::Name, "name", 9, 18, 7, Align::Left),
    column(Id::UtilizationBar, "", 6, 16, 5, Align::Left),
    column(Id::Utilization, "util", 4, 4, 0, Align::Right),
    column(Id::Sm, "SM", 4, 4, 4, Align::Right),
    column(Id::Tensor, "tens", 4, 4, 4, Align::Right),
    column(Id::MemoryBar, "", 6, 16, 6, Align::Left),
    column(Id::Memory, "memory", 6, 13, 0, Align::Right),
    column(Id::Power, "power", 5, 9, 1, Align::Right),
    column(Id::Temperature, "temp", 6, 6, 0, Align::Right),
    column(Id::Clock, "SM clock", 8, 13, 3, Align::Right),
    column(Id::PerformanceState, "P", 3, 3, 8, Align::Left),
    column(Id::Throttle, "throttle", 9, 9, 2, Align::Left),
    column(Id::PcieLink, "PCIe", 5, 5, 9, Align::Left),
    column(Id::Pcie, "PCIe ↓ in  ↑ out", 21, 21, 10, Align::Left),
    column(Id::Nvlink, "NVLink ↓ in  ↑ out", 21, 21, 11, Align::Left),
];

/// The columns that say something on this machine, placed.
fn columns(state: &State, area: Rect) -> Vec<Placed<Id>> {
    let any = |has: fn(&Gpu) -> bool| state.gpus_shown().any(has);
    let gpm = any(|gpu| gpu.gpm.as_ref().is_some_and(|group| group.value.sm.is_ok()));
    let nvlink = any(|gpu| gpu.rates.nvlink_rx.is_ok());
    let pcie = any(|gpu| gpu.rates.pcie_rx.is_ok());
    let useful: Vec<Column<Id>> = COLUMNS
        .into_iter()
        .filter(|column| match column.id {
            Id::Sm | Id::Tensor => gpm,
            Id::Nvlink => nvlink,
            Id::Pcie => pcie,
            _ => true,
        })
        .collect();
    let fitting: Vec<Column<Id>> = useful.into_iter().map(|column| sized(state, column)).collect();
    place(&fitting, area.x, area.width, 1)
}

/// Makes room for the widest value that can come: that of the limit, so that no column moves with its values.
fn sized(state: &State, column: Column<Id>) -> Column<Id> {
    let widest = |print: fn(&Gpu) -> String| {
        let gpus = state.gpus_shown();
        gpus.map(|gpu| width(&print(gpu))).max().unwrap_or(0).max(width(column.title)).max(7)
    };
    let least = match column.id {
        Id::Memory => widest(|gpu| {
            let total = group(gpu.live.as_ref(), |live| live.memory_total.clone());
            known(&total).map_or_else(String::new, |total| words::used_of(total, total))
        }),
        Id::Power => widest(|gpu| {
            let limit = group(gpu.live.as_ref(), |live| live.power_limit.clone());
            known(&limit).map_or_else(|| "1000 W".into(), |limit| of_limit(limit.0, limit.0))
        }),
        Id::Clock => widest(|gpu| {
            let most = known(&gpu.info.max_sm_clock);
            most.map_or_else(|| "1000 MHz".into(), |most| format!("{0}/{0} MHz", most.0))
        }),
        _ => return column,
    };
    Column { least, most: least, ..column }
}

fn of_limit(power: f32, limit: f32) -> String {
    format!("{power:.0}/{limit:.0} W")
}

/// Rows of the area without the heading, and the first GPU in them.
fn rows(state: &State, area: Rect) -> (Rect, usize) {
    let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let selected = state.selected_gpu().map_or(0, |(index, _)| index);
    (rows, first_row(selected, state.gpus_shown().count(), usize::from(rows.height)))
}

/// Which GPU of the list stands on line `y`.
pub(super) fn row_at(state: &State, area: Rect, y: u16) -> Option<usize> {
    let (rows, first) = rows(state, area);
    (rows.top()..rows.bottom()).contains(&y).then(|| first + usize::from(y - rows.y))
}

/// Draws the table.
pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    let placed = columns(state, area);
    for column in &placed {
        match column.align {
            Align::Left => drop(pen.text(column.x, area.y, column.width, column.title, Role::Muted)),
            Align::Right => pen.right(column.x, area.y, column.width, column.title, Role::Muted),
        }
    }
    let (rows, first) = rows(state, area);
    let selected = state.selected_gpu().map(|(index, _)| index);
    for (y, (index, gpu)) in (rows.top()..rows.bottom()).zip(state.gpus_shown().enumerate().skip(first)) {
        let row = Row { state, snapshot, gpu, y };
        row.draw(&placed, pen);
        if selected == Some(index) {
            pen.over(Rect { y, height: 1, ..area }, Role::Selection);
        }
    }
    if state.gpus_shown().next().is_none() {
        pen.text(area.x + 1, area.y + 1, area.width.saturating_sub(1), "no GPU to show", Role::Muted);
    }
}

struct Row<'a> {
    state: &'a State,
    snapshot: &'a Snapshot,
    gpu: &'a Gpu,
    y: u16,
}

impl Row<'_> {
    fn draw(&self, placed: &[Placed<Id>], pen: &mut Pen<'_>) {
        let words = words::state_words(self.gpu, self.snapshot.mono.since(self.since()));
        // In place of the values: from the first value on, over as many columns as the words need.
        let mut taken_to = 0;
        for column in placed {
            let is_value = !matches!(column.id, Id::Index | Id::Name);
            if let (true, Some((text, role)), 0) = (is_value, &words, taken_to) {
                let end = placed.last().map_or(column.x, |last| last.x + last.width);
                taken_to = pen.text(column.x, self.y, end - column.x, text, *role) + 1;
            }
            if column.x >= taken_to {
                self.cell(column, words.is_some(), pen);
            }
        }
    }

    fn since(&self) -> crate::units::Mono {
        match (&self.gpu.state, &self.gpu.stuck) {
            (GpuState::Stalled, Some(call)) => call.since,
            _ => self.gpu.state_since,
        }
    }

    fn cell(&self, column: &Placed<Id>, gone: bool, pen: &mut Pen<'_>) {
        match column.id {
            Id::UtilizationBar => {
                let share = self.fast(|fast| fast.utilization.clone().map(|band| band.mean));
                if let (Ok(percent), false) = (share, gone) {
                    let part = BarPart { share: f64::from(percent) / 100.0, role: Role::BarFill };
                    bar(pen, column.x, self.y, column.width, &[part]);
                }
            }
            Id::MemoryBar if !gone => self.memory_bar(column, pen),
            Id::MemoryBar => {}
            Id::Index => {
                let (mark, role) = self.mark();
                pen.text(column.x, self.y, 1, mark, role);
                let index = self.gpu.index().map_or_else(|| "–".into(), |index| index.to_string());
                pen.right(column.x + 1, self.y, column.width.saturating_sub(1), &index, Role::Strong);
            }
            _ => {
                let (text, role) = self.value(column.id);
                let stale = self.stale(column.id) || (gone && !matches!(column.id, Id::Index | Id::Name));
                let role = if stale { Role::Stale } else { role };
                match column.align {
                    Align::Left => drop(pen.text(column.x, self.y, column.width, &text, role)),
                    Align::Right => pen.right(column.x, self.y, column.width, &text, role),
                }
            }
        }
    }

    fn memory_bar(&self, column: &Placed<Id>, pen: &mut Pen<'_>) {
        let total = self.live(|live| live.memory_total.clone());
        let used = self.live(|live| live.memory_used.clone());
        let (Ok(Bytes(total)), Ok(Bytes(used))) = (total, used) else { return };
        let reserved = self.live(|live| live.memory_reserved.clone()).map_or(0, |bytes| bytes.0);
        let share = |bytes: u64| bytes as f64 / (total.max(1)) as f64;
        let parts = [
            BarPart { share: share(used), role: Role::BarFill },
            BarPart { share: share(reserved), role: Role::BarReserved },
        ];
        bar(pen, column.x, self.y, column.width, &parts);
    }

    /// Whether the group behind a column is older than its tier allows.
    fn stale(&self, id: Id) -> bool {
        let late = self.state.late_after();
        let shown = if self.state.is_frozen() { Duration::ZERO } else { self.state.shown_age() };
        let age = match id {
            Id::Index | Id::Name => return false,
            Id::UtilizationBar | Id::Utilization | Id::Power | Id::Clock | Id::Throttle => {
                age(self.snapshot, self.gpu.fast.as_ref())
            }
            Id::Sm | Id::Tensor => age(self.snapshot, self.gpu.gpm.as_ref()).saturating_sub(GPM_TIER),
            Id::Pcie | Id::Nvlink => Duration::ZERO,
            _ => age(self.snapshot, self.gpu.live.as_ref()),
        };
        age + shown >= late
    }

    fn fast<T>(&self, read: impl Fn(&Fast) -> Reading<T>) -> Reading<T> {
        group(self.gpu.fast.as_ref(), read)
    }

    fn live<T>(&self, read: impl Fn(&Live) -> Reading<T>) -> Reading<T> {
        group(self.gpu.live.as_ref(), read)
    }

    fn gpm(&self, read: impl Fn(&Gpm) -> Reading<Percent>) -> (String, Role) {
        words::reading(&group(self.gpu.gpm.as_ref(), read), Role::Text)
    }

    fn value(&self, id: Id) -> (String, Role) {
        match id {
            Id::Name => match &self.gpu.info.name {
                Ok(name) => (words::short_name(name).to_string(), Role::Text),
                Err(_) => (self.gpu.id.to_string(), Role::Muted),
            },
            Id::Utilization => {
                let percent = self.fast(|fast| fast.utilization.clone()).map(|band| Percent(band.mean));
                words::reading(&percent, Role::Strong)
            }
            Id::Sm => self.gpm(|gpm| gpm.sm.clone()),
            Id::Tensor => self.gpm(|gpm| gpm.tensor.clone()),
            Id::Memory => self.memory(),
            Id::Power => self.power(),
            Id::Temperature => {
                let value = self.live(|live| live.temperature.clone());
                words::reading(&value, temperature_role(self.gpu))
            }
            Id::Clock => self.clock(),
            Id::PerformanceState => {
                let state = self.live(|live| live.performance_state.clone());
                words::reading(&state.map(|state| format!("P{state}")), Role::Muted)
            }
            Id::Throttle => match self.fast(|fast| fast.clock_events.clone()) {
                Ok(events) => {
                    let (short, role) = words::clock_event(events.any);
                    (short.to_string(), role)
                }
                Err(absence) => words::absent(&absence),
            },
            Id::PcieLink => self.pcie_link(),
            Id::Pcie => rates(&self.gpu.rates.pcie_rx, &self.gpu.rates.pcie_tx),
            Id::Nvlink => rates(&self.gpu.rates.nvlink_rx, &self.gpu.rates.nvlink_tx),
            Id::Index | Id::UtilizationBar | Id::MemoryBar => (String::new(), Role::Text),
        }
    }

    fn mark(&self) -> (&'static str, Role) {
        match self.state.severity_of(self.gpu) {
            Some(severity) => words::mark(severity),
            // A row that shows an alarming value must not be ticked off, whatever was found.
            None if self.alarming() => ("!", Role::Warning),
            None if self.gpu.state == GpuState::Ok => ("✓", Role::Good),
            None => ("–", Role::Muted),
        }
    }

    fn alarming(&self) -> bool {
        let bad = |role| matches!(role, Role::Warning | Role::Critical);
        // Near its limit a GPU is warm; at it, it slows down.
        temperature_role(self.gpu) == Role::Critical
            || [Id::Throttle, Id::PcieLink].into_iter().any(|id| bad(self.value(id).1))
    }

    fn memory(&self) -> (String, Role) {
        let used = self.live(|live| live.memory_used.clone());
        match (used, self.live(|live| live.memory_total.clone())) {
            (Ok(used), Ok(total)) => (words::used_of(used, total), Role::Text),
            (Ok(used), Err(_)) => (used.to_string(), Role::Text),
            (Err(absence), _) => words::absent(&absence),
        }
    }

    fn power(&self) -> (String, Role) {
        let limit = self.live(|live| live.power_limit.clone());
        match (self.fast(|fast| fast.power.clone()), limit) {
            (Ok(power), Ok(limit)) => (of_limit(power.mean, limit.0), Role::Text),
            (Ok(power), Err(_)) => (format!("{:.0} W", power.mean), Role::Text),
            (Err(absence), _) => words::absent(&absence),
        }
    }

    fn clock(&self) -> (String, Role) {
        match (self.fast(|fast| fast.sm_clock.clone()), &self.gpu.info.max_sm_clock) {
            (Ok(clock), Ok(most)) => (format!("{:.0}/{} MHz", clock.mean, most.0), Role::Text),
            (Ok(clock), Err(_)) => (format!("{:.0} MHz", clock.mean), Role::Text),
            (Err(absence), _) => words::absent(&absence),
        }
    }

    /// Generation × width. An idle link trains down its speed by itself, so only the width is held against the
    /// greatest.
    fn pcie_link(&self) -> (String, Role) {
        let generation = self.live(|live| live.pcie_generation.clone());
        let width = self.live(|live| live.pcie_width.clone());
        match (generation, width) {
            (Ok(generation), Ok(width)) => {
                let narrow = known(&self.gpu.info.max_pcie_width).is_some_and(|most| width < most);
                let role = if narrow { Role::Warning } else { Role::Muted };
                let mark = if narrow { "!" } else { "" };
                (format!("{generation}×{width}{mark}"), role)
            }
            (Err(absence), _) | (_, Err(absence)) => words::absent(&absence),
        }
    }
}

/// Hidden GPM is read every 5 s only.
const GPM_TIER: Duration = Duration::from_secs(5);

fn age<T>(snapshot: &Snapshot, group: Option<&Grouped<T>>) -> Duration {
    group.map_or(Duration::ZERO, |group| snapshot.age(group))
}

/// A reading of a group, or `NotRequested` where the group was never read.
pub(super) fn group<G, T>(group: Option<&Grouped<G>>, read: impl Fn(&G) -> Reading<T>) -> Reading<T> {
    group.map_or(Err(Absence::NotRequested), |group| read(&group.value))
}

fn rates(
    incoming: &Reading<crate::units::BytesPerSecond>,
    outgoing: &Reading<crate::units::BytesPerSecond>,
) -> (String, Role) {
    match (incoming, outgoing) {
        (Err(absence), Err(_)) => words::absent(absence),
        _ => {
            let (incoming, _) = words::reading(incoming, Role::Text);
            let (outgoing, _) = words::reading(outgoing, Role::Text);
            (format!("↓{incoming:<9} ↑{outgoing:<9}"), Role::Text)
        }
    }
}

/// Degrees of margin to the first slowdown from which on a temperature is shown as a warning.
const NEAR_SLOWDOWN: f32 = 5.0;

/// Colour of a temperature by the GPU's own thresholds: its margin as the driver says it, else the distance to
/// the slowdown, or to the maximum of operation.
pub(super) fn temperature_role(gpu: &Gpu) -> Role {
    let live = gpu.live.as_ref().map(|group| &group.value);
    let temperature = live.and_then(|live| known(&live.temperature));
    let thresholds = known(&gpu.info.thresholds).unwrap_or_default();
    let below = |threshold: &Reading<Celsius>| Some(known(threshold)?.0 - temperature?.0);
    let margins = [
        live.and_then(|live| known(&live.temperature_margin)).map(|margin| margin.0),
        below(&thresholds.slowdown),
        below(&thresholds.gpu_max),
    ];
    match margins.into_iter().flatten().reduce(f32::min) {
        Some(margin) if margin <= 0.0 => Role::Critical,
        Some(margin) if margin <= NEAR_SLOWDOWN => Role::Warning,
        _ => Role::Text,
    }
}

/// An age to put behind a stale value.
pub(super) fn age_note(age: Duration) -> String {
    format!("{} old", format_age(age))
}
