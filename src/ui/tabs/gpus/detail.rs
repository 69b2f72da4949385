//! The selected GPU: charts to the left, facts beside or below them.

use super::facts;
use super::overview::group;
use crate::app::State;
use crate::model::{Absence, Band, Gpu, Metric, Reading, Snapshot, known};
use crate::ui::tabs::past::is_past;
use crate::ui::theme::Role;
use crate::ui::widgets::{Chart, Pen, Scale, Series, Timeline, chart, width};
use crate::ui::words;
use crate::units::{Bytes, BytesPerSecond, Percent};
use ratatui::layout::Rect;

/// Width of the facts beside the charts: a UUID and its label.
const FACTS_WIDTH: u16 = 50;
/// From this width on the facts stand beside the charts.
const BESIDE_FROM: u16 = 104;
/// A chart is not drawn lower than this: its heading and three lines.
const CHART_HEIGHT: u16 = 4;
/// Nor narrower.
const CHART_WIDTH: u16 = 30;
/// Columns between charts, and between charts and facts.
const GAP: u16 = 2;

pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let (Some((_, gpu)), Some(snapshot)) = (state.selected_gpu(), state.snapshot()) else { return };
    title(state, gpu, area, pen);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let (charts, words) = split(body);
    let mut blocks = charts_of(gpu);
    if is_past(state, gpu) {
        // The charts end where the readings did; the numbers beside their names are the last ones.
        blocks.iter_mut().flat_map(|block| &mut block.values).for_each(|(_, role)| *role = Role::Stale);
    }
    draw_charts(state, snapshot, gpu, charts, &blocks, pen);
    facts::render(state, snapshot, gpu, words, pen);
}

fn title(state: &State, gpu: &Gpu, area: Rect, pen: &mut Pen<'_>) {
    let index = gpu.index().map_or_else(|| gpu.id.to_string(), |index| index.to_string());
    let name = known(&gpu.info.name).map_or_else(String::new, |name| format!(" · {name}"));
    let window = format!("last {} [w]", state.gpus.window.label());
    let room = area.width.saturating_sub(width(&window) + 3);
    pen.rule(area.x, area.y, area.width, "");
    let end = pen.text(area.x, area.y, room, &format!("GPU {index}{name}"), Role::Title);
    pen.text(end, area.y, 1, " ", Role::Text);
    let at = area.right().saturating_sub(width(&window));
    if at > end + 1 {
        pen.text(at - 1, area.y, 1, " ", Role::Text);
        pen.text(at, area.y, width(&window), &window, Role::Muted);
    }
}

/// Charts and facts: side by side on a wide screen, one above the other on a narrow one.
fn split(area: Rect) -> (Rect, Rect) {
    if area.width >= BESIDE_FROM {
        let charts = Rect { width: area.width - FACTS_WIDTH - GAP, ..area };
        return (charts, Rect { x: charts.right() + GAP, width: FACTS_WIDTH, ..area });
    }
    // Charts need their height more than facts do; both need some.
    let facts = match area.height {
        0..5 => area.height,
        5..12 => area.height - (CHART_HEIGHT + 1),
        height => height * 2 / 5,
    };
    let charts = Rect { height: area.height - facts, ..area };
    (charts, Rect { y: charts.bottom(), height: facts, ..area })
}

/// What a chart shows, without its data.
struct Block {
    title: &'static str,
    values: Vec<(String, Role)>,
    series: Vec<Series>,
    scale: Scale,
    unit: fn(f32) -> String,
    /// The lesser, the sooner it is kept where not all charts fit.
    rank: u8,
}

const ONE: (Role, Role) = (Role::Series1, Role::Series1Band);
const TWO: (Role, Role) = (Role::Series2, Role::Series2Band);
const THREE: (Role, Role) = (Role::Series3, Role::Series3Band);
const FOUR: (Role, Role) = (Role::Series4, Role::Series4Band);

const fn series(metric: Metric, (role, band): (Role, Role)) -> Series {
    Series { metric, role, band }
}

fn mean(reading: Reading<Band>, print: impl Fn(f32) -> String) -> (String, Role) {
    words::reading(&reading.map(|band| print(band.mean)), Role::Strong)
}

/// The charts this GPU has something for, in the order of the screen.
fn charts_of(gpu: &Gpu) -> Vec<Block> {
    let fast = gpu.fast.as_ref();
    let live = gpu.live.as_ref();
    let gpm = gpu.gpm.as_ref();
    let limit = group(live, |live| live.power_limit.clone());
    let total = group(live, |live| live.memory_total.clone());
    let mut blocks = vec![
        Block {
            title: "Utilisation",
            values: vec![mean(group(fast, |fast| fast.utilization.clone()), percent)],
            series: vec![series(Metric::Utilization, ONE)],
            scale: Scale::To(100.0),
            unit: percent,
            rank: 0,
        },
        Block {
            title: "Memory",
            values: vec![words::reading(&group(live, |live| live.memory_used.clone()), Role::Strong)],
            series: vec![series(Metric::Memory, TWO)],
            scale: known(&total).map_or(Scale::Stepped(1.0), |total| Scale::To(total.gib() as f32)),
            unit: |gib| Bytes((f64::from(gib) * f64::from(1 << 30)) as u64).to_string(),
            rank: 1,
        },
        Block {
            title: "Power",
            values: vec![mean(group(fast, |fast| fast.power.clone()), watts)],
            series: vec![series(Metric::Power, FOUR)],
            scale: known(&limit).map_or(Scale::Stepped(50.0), |limit| Scale::To(limit.0)),
            unit: watts,
            rank: 2,
        },
        Block {
            title: "Temperature",
            values: vec![temperature(gpu)],
            series: vec![series(Metric::Temperature, THREE)],
            scale: Scale::To(hottest(gpu)),
            unit: |celsius| format!("{celsius:.0} °C"),
            rank: 3,
        },
        Block {
            title: "SM clock",
            values: vec![mean(group(fast, |fast| fast.sm_clock.clone()), megahertz)],
            series: vec![series(Metric::SmClock, TWO)],
            scale: known(&gpu.info.max_sm_clock)
                .map_or(Scale::Stepped(500.0), |most| Scale::To(most.0 as f32)),
            unit: megahertz,
            rank: 4,
        },
    ];
    if let Some(gpm) = gpm.filter(|gpm| gpm.value.sm.is_ok()) {
        let tensor = gpm.value.tensor.clone().map(|tensor| format!("tensor {tensor}"));
        let sm = gpm.value.sm.clone().map(|sm| format!("SM {sm}"));
        let block = Block {
            title: "Activity",
            values: vec![words::reading(&sm, Role::Series1), words::reading(&tensor, Role::Series2)],
            series: vec![series(Metric::Sm, ONE), series(Metric::Tensor, TWO)],
            scale: Scale::To(100.0),
            unit: percent,
            rank: 5,
        };
        blocks.insert(1, block);
    }
    let links = [
        ("PCIe", &gpu.rates.pcie_rx, &gpu.rates.pcie_tx, [Metric::PcieRx, Metric::PcieTx], 7),
        ("NVLink", &gpu.rates.nvlink_rx, &gpu.rates.nvlink_tx, [Metric::NvlinkRx, Metric::NvlinkTx], 6),
    ];
    for (title, incoming, outgoing, [rx, tx], rank) in links {
        if let (Err(Absence::NotSupported | Absence::NotRequested), Err(_)) = (incoming, outgoing) {
            continue;
        }
        let rate = |arrow: &str, rate: &Reading<BytesPerSecond>, role| {
            let rate = rate.clone().map(|rate| format!("{arrow} {rate}"));
            words::reading(&rate, role)
        };
        let mut values = vec![rate("↓", incoming, Role::Series2), rate("↑", outgoing, Role::Series4)];
        // The same reason twice says no more than once.
        values.dedup();
        blocks.push(Block {
            title,
            values,
            series: vec![series(rx, TWO), series(tx, FOUR)],
            scale: Scale::Stepped(1e6),
            unit: |rate| BytesPerSecond(f64::from(rate)).to_string(),
            rank,
        });
    }
    blocks
}

fn percent(value: f32) -> String {
    Percent(value).to_string()
}

fn watts(value: f32) -> String {
    format!("{value:.0} W")
}

fn megahertz(value: f32) -> String {
    format!("{value:.0} MHz")
}

fn temperature(gpu: &Gpu) -> (String, Role) {
    let value = group(gpu.live.as_ref(), |live| live.temperature.clone());
    let role = match super::overview::temperature_role(gpu) {
        Role::Text => Role::Strong,
        other => other,
    };
    words::reading(&value, role)
}

/// Top of the temperature chart where the GPU names no threshold.
const HOTTEST_UNKNOWN: f32 = 100.0;

/// The top of the temperature chart: where the GPU slows down.
fn hottest(gpu: &Gpu) -> f32 {
    let thresholds = known(&gpu.info.thresholds).unwrap_or_default();
    known(&thresholds.slowdown).or_else(|| known(&thresholds.shutdown)).map_or(HOTTEST_UNKNOWN, |at| at.0)
}

/// Rows and columns of charts for `count` of them: as few columns as the height allows, so that each is wide.
fn grid(area: Rect, count: usize) -> (u16, u16) {
    let count = u16::try_from(count).unwrap_or(u16::MAX).max(1);
    let rows = (area.height / CHART_HEIGHT).max(1);
    let columns = (area.width / CHART_WIDTH).max(1);
    let least = if area.width >= 2 * CHART_WIDTH { 2 } else { 1 };
    let columns = count.div_ceil(rows).clamp(least, columns.max(least));
    (count.div_ceil(columns).min(rows), columns)
}

fn draw_charts(
    state: &State,
    snapshot: &Snapshot,
    gpu: &Gpu,
    area: Rect,
    blocks: &[Block],
    pen: &mut Pen<'_>,
) {
    if area.height < CHART_HEIGHT || area.width < CHART_WIDTH {
        return;
    }
    // The last line is the time axis.
    let plots = Rect { height: area.height - 1, ..area };
    let (rows, columns) = grid(plots, blocks.len());
    let mut ranks: Vec<u8> = blocks.iter().map(|block| block.rank).collect();
    ranks.sort_unstable();
    let kept = ranks.get(usize::from(rows * columns) - 1).copied().unwrap_or(u8::MAX);
    let wide = (plots.width - GAP * (columns - 1)) / columns;
    let timeline = Timeline::new(snapshot.mono, state.gpus.window.seconds(), wide);
    let history = state.history(gpu);
    for (place, block) in (0_u16..).zip(blocks.iter().filter(|block| block.rank <= kept)) {
        let (row, column) = (place / columns, place % columns);
        // Heights differ by one line at most, so that no line stays empty.
        let top = plots.y + row * plots.height / rows;
        let bottom = plots.y + (row + 1) * plots.height / rows;
        let at = Rect { x: plots.x + column * (wide + GAP), y: top, width: wide, height: bottom - top };
        let what = Chart {
            title: block.title,
            values: &block.values,
            series: &block.series,
            scale: block.scale,
            unit: block.unit,
        };
        chart(pen, at, timeline, history, &what);
    }
    for column in 0..columns {
        let at = Rect { x: area.x + column * (wide + GAP), y: plots.bottom(), width: wide, height: 1 };
        let marks = markers(state, gpu, timeline);
        let taken: Vec<u16> = marks.iter().map(|(column, ..)| *column).collect();
        axis(state, snapshot, timeline, at, &taken, pen);
        for (column, mark, role) in marks {
            pen.text(at.x + column, at.y, 1, mark, role);
        }
    }
}

/// Distances of labels on the time axis, in seconds.
const LABEL_SECONDS: [u64; 9] = [15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];

/// Times of day under the columns in which they begin: labels that stand still, and match the stamps in logs. Where a
/// mark stands in a `taken` column there is no label.
pub(in crate::ui::tabs) fn axis(
    state: &State,
    snapshot: &Snapshot,
    timeline: Timeline,
    area: Rect,
    taken: &[u16],
    pen: &mut Pen<'_>,
) {
    let spacing = |seconds: &&u64| **seconds >= timeline.column_seconds() * 10;
    let step = LABEL_SECONDS.iter().find(spacing).copied().unwrap_or(7_200).cast_signed();
    let offset = state.settings.utc_offset_seconds;
    // Saturating: a stream of another machine may name any time.
    let since_boot = i64::try_from(snapshot.mono.0).unwrap_or(0);
    let boot = snapshot.wall.0.saturating_sub(since_boot).saturating_add(500_000).div_euclid(1_000_000);
    let mut free = area.x;
    for column in 0..timeline.columns() {
        let local = timeline.second(column) + boot + i64::from(offset);
        let begins = local.div_euclid(step) * step + if local.rem_euclid(step) == 0 { 0 } else { step };
        if begins >= local + timeline.column_seconds().cast_signed() {
            continue;
        }
        let text = words::time_of_day(begins.saturating_mul(1_000_000), 0);
        let text = if step % 60 == 0 { text.get(..5).unwrap_or(&text) } else { &text };
        let x = area.x + column;
        let marked = taken.iter().any(|taken| (column..=column + width(text)).contains(taken));
        if x >= free && x + 1 + width(text) <= area.right() && !marked {
            pen.text(x, area.y, 1, "╵", Role::Faint);
            free = pen.text(x + 1, area.y, width(text), text, Role::Faint) + 1;
        }
    }
}

/// Where events of this GPU stand and where findings about it began, on the time axis: column, mark, role. What comes
/// later stands over what came before.
fn markers(state: &State, gpu: &Gpu, timeline: Timeline) -> Vec<(u16, &'static str, Role)> {
    let incidents = state.incidents_of(gpu).filter_map(|incident| {
        Some((timeline.column_of(incident.first.mono)?, "◆", words::mark(incident.severity).1))
    });
    // The worst finding comes first and is drawn last.
    let of_gpu = state.verdicts().iter().rev().filter(|verdict| verdict.gpu.as_ref() == Some(&gpu.id));
    let began = of_gpu.filter_map(|verdict| {
        Some((timeline.column_of(verdict.since)?, "▲", words::mark(verdict.severity).1))
    });
    incidents.chain(began).collect()
}
