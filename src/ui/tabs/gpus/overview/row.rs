//! The cells of one GPU.

use super::{Id, group, of_limit, temperature_role};
use crate::app::State;
use crate::model::{Fast, Gpm, Gpu, GpuState, Grouped, Live, Reading, Snapshot, known};
use crate::ui::theme::Role;
use crate::ui::widgets::{Align, BarPart, Column, Pen, Placed, bar, width};
use crate::ui::words;
use crate::units::{Bytes, BytesPerSecond, Percent};
use ratatui::layout::Rect;
use std::time::Duration;

/// A GPU's line.
pub(super) struct Row<'a> {
    pub(super) state: &'a State,
    pub(super) snapshot: &'a Snapshot,
    pub(super) gpu: &'a Gpu,
    pub(super) y: u16,
}

impl Row<'_> {
    pub(super) fn draw(&self, placed: &[Placed<Id>], pen: &mut Pen<'_>) {
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

    /// What the first line leaves out, with names, under the name of the GPU.
    pub(super) fn draw_second(&self, columns: &[Column<Id>], area: Rect, pen: &mut Pen<'_>) {
        if self.gpu.state != GpuState::Ok {
            return;
        }
        let mut x = area.x + 5;
        for column in columns {
            let (text, role) = self.value(column.id);
            // The headings of rates name the arrows, which here stand before the numbers.
            let name = column.title.split(' ').next().unwrap_or_default();
            let wide = width(name) + 1 + column.least.max(width(&text));
            if x + wide > area.right() {
                break;
            }
            let role = if self.stale(column.id) { Role::Stale } else { role };
            let at = pen.text(x, self.y + 1, width(name), name, Role::Muted) + 1;
            pen.text(at, self.y + 1, width(&text), &text, role);
            x += wide + 2;
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
                let text = words::narrowed(text, role, column.width);
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

fn rates(incoming: &Reading<BytesPerSecond>, outgoing: &Reading<BytesPerSecond>) -> (String, Role) {
    match (incoming, outgoing) {
        (Err(absence), Err(_)) => words::absent(absence),
        _ => {
            let (incoming, _) = words::reading(incoming, Role::Text);
            let (outgoing, _) = words::reading(outgoing, Role::Text);
            (format!("↓{incoming:<9} ↑{outgoing:<9}"), Role::Text)
        }
    }
}
