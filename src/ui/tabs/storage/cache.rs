//! ARC and L2ARC: how large, how often they help, and what the disks do meanwhile.

use super::sentences::{self, Sentence};
use super::without_zfs;
use crate::app::State;
use crate::model::{Absence, Metric, Reading, Snapshot, ZfsCache, known};
use crate::ui::tabs::gpus::detail::axis;
use crate::ui::theme::Role;
use crate::ui::widgets::{BarPart, Chart, Pen, Scale, Series, Timeline, bar, chart, width};
use crate::ui::words;
use crate::units::{Bytes, BytesPerSecond};
use ratatui::layout::Rect;

/// Columns of a label.
const LABEL: u16 = 15;
/// Columns of the bar.
const BAR: u16 = 30;
/// A chart needs its heading and three lines.
const CHART_HEIGHT: u16 = 4;
/// From this width on charts stand side by side.
const TWO_FROM: u16 = 100;

pub(super) fn render(state: &State, snapshot: &Snapshot, area: Rect, pen: &mut Pen<'_>) {
    let storage = &snapshot.storage;
    if let Some(text) = without_zfs(state, storage) {
        pen.text(area.x, area.y, area.width, text, Role::Muted);
        return;
    }
    let Some(kernel) = storage.zfs() else {
        let absence = storage.kernel.as_ref().and_then(|group| group.value.as_ref().err());
        let text = absence.map_or_else(|| "not read yet".to_owned(), |absence| format!("! ARC: {absence}"));
        pen.text(area.x, area.y, area.width, &text, Role::Warning);
        return;
    };
    let cache = &kernel.cache;
    let y = size(cache, area, pen);
    let below = Rect { y, height: area.bottom().saturating_sub(y), ..area };
    let y = sentences::draw(&facts(snapshot, cache), LABEL, below, pen);
    let rest = Rect { y: y + 1, height: area.bottom().saturating_sub(y + 1), ..area };
    charts(state, snapshot, rest, pen);
}

/// The size against what is allowed, as a bar where there is room for it beside the text.
fn size(cache: &ZfsCache, area: Rect, pen: &mut Pen<'_>) -> u16 {
    let of = |reading: &Reading<Bytes>| words::reading(reading, Role::Text).0;
    let text = format!(
        "{} now, target {}, {} to {} allowed",
        of(&cache.size),
        of(&cache.target),
        of(&cache.target_min),
        of(&cache.target_max)
    );
    if let (Ok(size), Ok(most)) = (&cache.size, &cache.target_max)
        && area.width > LABEL + BAR + width(&text)
        && most.0 > 0
        && area.height > 0
    {
        let share = size.0 as f64 / most.0 as f64;
        pen.text(area.x, area.y, LABEL, "ARC size", Role::Muted);
        bar(pen, area.x + LABEL, area.y, BAR, &[BarPart { share, role: Role::BarFill }]);
        let x = area.x + LABEL + BAR + 1;
        pen.text(x, area.y, area.right().saturating_sub(x), &text, Role::Text);
        return area.y + 1;
    }
    sentences::draw(&[("ARC size", text, Role::Text)], LABEL, area, pen)
}

/// A ratio as per cent, or why there is none: nothing asked for has no ratio.
fn ratio(reading: &Reading<f64>) -> String {
    match reading {
        Ok(ratio) => format!("{:.1} %", ratio * 100.0),
        Err(Absence::InsufficientHistory { .. }) => "– (nothing was asked for)".into(),
        Err(absence) => absence.label().into(),
    }
}

fn facts(snapshot: &Snapshot, cache: &ZfsCache) -> Vec<Sentence> {
    let rates = &snapshot.storage.cache;
    let of = |reading: &Reading<Bytes>| words::reading(reading, Role::Text).0;
    let speed = |reading: &Reading<BytesPerSecond>| words::reading(reading, Role::Text).0;
    let mut lines = vec![
        (
            "hit ratio",
            format!(
                "{} of what programs asked for, {} of all requests (prefetching too), over the last interval",
                ratio(&rates.demand_hit_ratio),
                ratio(&rates.hit_ratio)
            ),
            Role::Text,
        ),
        ("holds", format!("{} data, {} metadata", of(&cache.data), of(&cache.metadata)), Role::Text),
    ];
    if let (Some(plain), Some(packed)) = (known(&cache.uncompressed), known(&cache.compressed))
        && packed.0 > 0
    {
        let saved = plain.0 as f64 / packed.0 as f64;
        lines.push(("compression", format!("{plain} kept in {packed} ({saved:.2}×)"), Role::Text));
    }
    if !cache.has_second_level() {
        lines.push(("L2ARC", "none, or nothing in it".into(), Role::Muted));
        return lines;
    }
    lines.push((
        "L2ARC",
        format!(
            "{} in {} on its devices; {} of memory for its headers",
            of(&cache.l2_size),
            of(&cache.l2_device_size),
            of(&cache.l2_header_size)
        ),
        Role::Text,
    ));
    lines.push((
        "L2ARC hits",
        format!(
            "{} of all ARC misses, those of datasets that cannot be in it included; read {}, written {}",
            ratio(&rates.l2_hit_ratio),
            speed(&rates.l2_read),
            speed(&rates.l2_write)
        ),
        Role::Text,
    ));
    if let Some(errors) = known(&cache.l2_errors).filter(|errors| *errors > 0) {
        lines.push(("L2ARC errors", format!("✗ {errors} checksum, read and write errors"), Role::Critical));
    }
    lines
}

const SIZE: [Series; 1] = [Series { metric: Metric::ArcSize, role: Role::Series1, band: Role::Series1Band }];
const HITS: [Series; 1] =
    [Series { metric: Metric::ArcDemandHits, role: Role::Series2, band: Role::Series2Band }];
const DISKS: [Series; 2] = [
    Series { metric: Metric::PoolRead, role: Role::Series3, band: Role::Series3Band },
    Series { metric: Metric::PoolWrite, role: Role::Series4, band: Role::Series4Band },
];

/// Draws as many of the charts as there is room for.
pub(super) fn charts(state: &State, snapshot: &Snapshot, area: Rect, pen: &mut Pen<'_>) {
    let storage = &snapshot.storage;
    let sum = |pick: &dyn Fn(&crate::model::PoolView<'_>) -> Option<f64>| {
        let known: Vec<f64> = storage.pools().iter().filter_map(pick).collect();
        let unseen = Absence::InsufficientHistory { seen_seconds: 0.0 };
        if known.is_empty() { Err(unseen) } else { Ok(BytesPerSecond(known.iter().sum())) }
    };
    let read = words::reading(&sum(&|pool| pool.read.as_ref().ok().map(|rate| rate.0)), Role::Series3);
    let write = words::reading(&sum(&|pool| pool.write.as_ref().ok().map(|rate| rate.0)), Role::Series4);
    let cache = storage.zfs().map(|kernel| &kernel.cache);
    let top = cache
        .and_then(|cache| known(&cache.target_max))
        .map_or(Scale::Stepped(1.0), |most| Scale::To(most.gib() as f32));
    let size: Vec<_> = cache.iter().map(|cache| words::reading(&cache.size, Role::Text)).collect();
    let hits = (ratio(&storage.cache.demand_hit_ratio), Role::Text);
    let all = [
        Chart {
            title: "Hits of what was asked for",
            values: &[hits],
            series: &HITS,
            scale: Scale::To(100.0),
            unit: |top| format!("{top:.0}%"),
        },
        Chart {
            title: "Devices of the pools",
            values: &[("read".into(), Role::Series3), read, ("write".into(), Role::Series4), write],
            series: &DISKS,
            scale: Scale::Stepped(1e6),
            unit: |top| BytesPerSecond(f64::from(top)).to_string(),
        },
        Chart {
            title: "ARC size",
            values: &size,
            series: &SIZE,
            scale: top,
            unit: |top| format!("{top:.0} GiB"),
        },
    ];
    let columns: u16 = if area.width >= TWO_FROM { 2 } else { 1 };
    let plots = Rect { height: area.height.saturating_sub(1), ..area };
    let fit = (plots.height / CHART_HEIGHT) * columns;
    let shown = all.len().min(usize::from(fit));
    if shown == 0 {
        return;
    }
    let rows = u16::try_from(shown).unwrap_or(1).div_ceil(columns);
    let wide = (area.width - 2 * (columns - 1)) / columns;
    let timeline = Timeline::new(snapshot.mono, state.gpus.window.seconds(), wide);
    for (place, each) in (0_u16..).zip(all.iter().take(shown)) {
        let (row, column) = (place / columns, place % columns);
        let top = plots.y + row * plots.height / rows;
        let bottom = plots.y + (row + 1) * plots.height / rows;
        let at = Rect { x: area.x + column * (wide + 2), y: top, width: wide, height: bottom - top };
        chart(pen, at, timeline, Some(state.storage_history()), each);
    }
    for column in 0..columns {
        let at = Rect { x: area.x + column * (wide + 2), y: plots.bottom(), width: wide, height: 1 };
        axis(state, snapshot, timeline, at, &[], pen);
    }
}
