//! One line per GPU, or two where there is room for what the first leaves out.

mod row;

use crate::app::State;
use crate::model::{Absence, Gpu, Grouped, Reading, known};
use crate::ui::tabs::first_row;
use crate::ui::tabs::past::why_no_gpu;
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, Column, Pen, Placed, place, width};
use crate::ui::words;
use crate::units::{Celsius, format_age};
use ratatui::layout::Rect;
use row::Row;
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

/// The columns that say something on this machine, each as wide as its widest value.
fn useful(state: &State) -> Vec<Column<Id>> {
    let any = |has: fn(&Gpu) -> bool| state.gpus_shown().any(has);
    let gpm = any(|gpu| gpu.gpm.as_ref().is_some_and(|group| group.value.sm.is_ok()));
    let nvlink = any(|gpu| gpu.rates.nvlink_rx.is_ok());
    let pcie = any(|gpu| gpu.rates.pcie_rx.is_ok());
    let says = |column: &Column<Id>| match column.id {
        Id::Sm | Id::Tensor => gpm,
        Id::Nvlink => nvlink,
        Id::Pcie => pcie,
        _ => true,
    };
    COLUMNS.into_iter().filter(says).map(|column| sized(state, column)).collect()
}

/// What the first line has no room for and a second can say.
const SECOND_LINE: [Id; 5] = [Id::PcieLink, Id::Pcie, Id::Nvlink, Id::PerformanceState, Id::Throttle];

/// The columns of the first line, and those of a second, if one is due.
fn columns(state: &State, area: Rect) -> (Vec<Placed<Id>>, Vec<Column<Id>>) {
    let useful = useful(state);
    let first = place(&useful, area.x, area.width, 1);
    let left_out = |column: &Column<Id>| {
        SECOND_LINE.contains(&column.id) && !first.iter().any(|placed| placed.id == column.id)
    };
    let second = useful.into_iter().filter(left_out).collect();
    (first, second)
}

/// Lines that the detail keeps before GPUs get a second line.
const DETAIL_BEFORE_SECOND_LINE: usize = 22;

/// Lines per GPU: two where the screen is high enough and the first leaves something out.
fn lines_each(state: &State, screen: Rect) -> u16 {
    let count = state.gpus_shown().count();
    let room = usize::from(screen.height) > 2 * count + DETAIL_BEFORE_SECOND_LINE;
    let (_, second) = columns(state, screen);
    if room && screen.width >= 60 && !second.is_empty() { 2 } else { 1 }
}

/// Lines that the table takes of `screen` if it takes all it needs.
pub(super) fn height(state: &State, screen: Rect) -> u16 {
    let count = u16::try_from(state.gpus_shown().count()).unwrap_or(u16::MAX / 4);
    count.saturating_mul(lines_each(state, screen)).saturating_add(1)
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

/// Where the GPUs stand, the first of them shown, and the lines each takes.
struct Rows {
    area: Rect,
    first: usize,
    each: u16,
}

fn rows(state: &State, area: Rect, each: u16) -> Rows {
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let selected = state.selected_gpu().map_or(0, |(index, _)| index);
    let first = first_row(selected, state.gpus_shown().count(), usize::from(area.height / each));
    Rows { area, first, each }
}

/// Which GPU of the list stands on line `y` of a table in `area` of `screen`.
pub(super) fn row_at(state: &State, area: Rect, screen: Rect, y: u16) -> Option<usize> {
    let Rows { area, first, each } = rows(state, area, lines_each(state, screen));
    (area.top()..area.bottom()).contains(&y).then(|| first + usize::from((y - area.y) / each))
}

/// The first GPU of a table in `area` of `screen`, and how many stand on it.
pub(super) fn seen(state: &State, area: Rect, screen: Rect) -> (usize, usize) {
    let Rows { area, first, each } = rows(state, area, lines_each(state, screen));
    (first, usize::from(area.height.div_ceil(each)))
}

/// Draws the table in `area`, a part of `screen`.
pub(super) fn render(state: &State, area: Rect, screen: Rect, pen: &mut Pen<'_>) {
    let Some(snapshot) = state.snapshot() else { return };
    let (placed, second) = columns(state, area);
    for column in &placed {
        match column.align {
            Align::Left => drop(pen.text(column.x, area.y, column.width, column.title, Role::Muted)),
            Align::Right => pen.right(column.x, area.y, column.width, column.title, Role::Muted),
        }
    }
    let Rows { area: lines, first, each } = rows(state, area, lines_each(state, screen));
    let selected = state.selected_gpu().map(|(index, _)| index);
    let starts = (lines.top()..lines.bottom()).step_by(usize::from(each));
    for (y, (index, gpu)) in starts.zip(state.gpus_shown().enumerate().skip(first)) {
        let row = Row { state, snapshot, gpu, y };
        row.draw(&placed, pen);
        if each == 2 && y + 1 < lines.bottom() {
            row.draw_second(&second, area, pen);
        }
        if selected == Some(index) {
            let height = each.min(lines.bottom() - y);
            pen.over(Rect { y, height, ..area }, Role::Selection);
        }
    }
    if state.gpus_shown().next().is_none() {
        let why = why_no_gpu(state, snapshot);
        pen.text(area.x + 1, area.y + 1, area.width.saturating_sub(1), why, Role::Muted);
    }
}

/// A reading of a group, or `NotRequested` where the group was never read.
pub(super) fn group<G, T>(group: Option<&Grouped<G>>, read: impl Fn(&G) -> Reading<T>) -> Reading<T> {
    group.map_or(Err(Absence::NotRequested), |group| read(&group.value))
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
