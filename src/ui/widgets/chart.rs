//! A history chart that costs few bytes: one column of cells is one stretch of absolute time, so that from second
//! to second only the newest column changes. When the columns are full the chart turns a page: it moves on by a
//! fifth of its width at once, instead of by a column each time, which would repaint it all.

use super::Pen;
use crate::model::{Bucket, History, Metric};
use crate::ui::theme::Role;
use crate::units::Mono;
use ratatui::layout::Rect;

/// Seconds that a column may stand for. All divide a minute or are divided by one, so that the labels of the time
/// axis stand on columns.
const COLUMN_SECONDS: [u64; 13] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120];
/// A page is this part of the width.
const PAGES: u64 = 5;
/// Parts of a cell, from below, by eighths.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Heights in a cell at which a line can stand, from below.
const LINES: [&str; 3] = ["▁", "─", "▔"];

/// Which column shows which seconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Timeline {
    /// Number of the left-most column, counted from boot; negative before it.
    first: i64,
    /// Seconds in a column.
    seconds: u64,
    /// Columns.
    columns: u16,
    /// The second after the newest that may be shown.
    end: u64,
}

impl Timeline {
    /// A timeline of `columns` that shows at least `window` seconds before `now`.
    pub(in crate::ui) fn new(now: Mono, window: u64, columns: u16) -> Self {
        let wide = u64::from(columns.max(2));
        let page = (wide / PAGES).max(1);
        let fits = |seconds: &&u64| (wide - page) * **seconds >= window;
        let longest = window.div_ceil(wide - page).max(1);
        let seconds = COLUMN_SECONDS.iter().find(fits).copied().unwrap_or(longest);
        let newest = now.seconds() / seconds;
        let after = (newest / page + 1) * page;
        Self { first: after.cast_signed() - i64::from(columns), seconds, columns, end: now.seconds() + 1 }
    }

    /// The seconds of a column, from and to; `None` where nothing can have been read.
    fn span(self, column: u16) -> Option<(u64, u64)> {
        let number = u64::try_from(self.first + i64::from(column)).ok()?;
        let from = number * self.seconds;
        (from < self.end).then(|| (from, (from + self.seconds).min(self.end)))
    }

    /// The first second of a column; negative before boot.
    pub(in crate::ui) fn second(self, column: u16) -> i64 {
        (self.first + i64::from(column)) * self.seconds.cast_signed()
    }

    /// The column that shows a moment, if one does.
    pub(in crate::ui) fn column_of(self, at: Mono) -> Option<u16> {
        let number = i64::try_from(at.seconds() / self.seconds).ok()?;
        u16::try_from(number - self.first).ok().filter(|column| *column < self.columns)
    }

    /// How many columns there are.
    pub(in crate::ui) const fn columns(self) -> u16 {
        self.columns
    }

    /// Seconds in a column.
    pub(in crate::ui) const fn column_seconds(self) -> u64 {
        self.seconds
    }
}

/// One line of a chart.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct Series {
    /// What it shows.
    pub(in crate::ui) metric: Metric,
    /// The colour up to the least value, and of the mean.
    pub(in crate::ui) role: Role,
    /// The colour from the least to the greatest value.
    pub(in crate::ui) band: Role,
}

/// The top of the chart.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) enum Scale {
    /// A natural one: 100 %, the power limit, all memory.
    To(f32),
    /// The next 1, 2 or 5 × 10ⁿ above what is visible, and at least this.
    Stepped(f32),
}

/// A chart without its place.
pub(in crate::ui) struct Chart<'a> {
    /// Its name.
    pub(in crate::ui) title: &'a str,
    /// The values of now, with their unit, or why there is none.
    pub(in crate::ui) values: &'a [(String, Role)],
    /// One series with its band, or two without.
    pub(in crate::ui) series: &'a [Series],
    /// The top.
    pub(in crate::ui) scale: Scale,
    /// Prints the top with its unit.
    pub(in crate::ui) unit: fn(f32) -> String,
}

/// Draws a chart: a line with its name, value and top, and below it the columns. The area's left edge is that of
/// the timeline.
pub(in crate::ui) fn chart(
    pen: &mut Pen<'_>,
    area: Rect,
    timeline: Timeline,
    history: Option<&History>,
    chart: &Chart<'_>,
) {
    let read = |series: &Series, column: u16| match (history, timeline.span(column)) {
        (Some(history), Some((from, to))) => history.over(series.metric, from, to),
        _ => Bucket::EMPTY,
    };
    let columns = timeline.columns().min(area.width);
    let buckets: Vec<Vec<Bucket>> =
        chart.series.iter().map(|series| (0..columns).map(|column| read(series, column)).collect()).collect();
    let top = match chart.scale {
        Scale::To(top) => top,
        Scale::Stepped(least) => {
            let most = buckets.iter().flatten().map(|bucket| bucket.max).fold(least, f32::max);
            stepped(most)
        }
    };
    // A scale that follows the data has no top while there is none.
    let empty = buckets.iter().flatten().all(Bucket::is_empty);
    let known = matches!(chart.scale, Scale::To(_)) || !empty;
    heading(pen, area, chart, known.then_some(top));
    let rows = area.height.saturating_sub(1);
    if rows == 0 {
        return;
    }
    let plot = Rect { y: area.y + 1, height: rows, ..area };
    for column in 0..columns {
        let mut zones = Zones::default();
        let bucket = |series: usize| {
            buckets.get(series).and_then(|all| all.get(usize::from(column))).copied().unwrap_or(Bucket::EMPTY)
        };
        let level = |value: f32| level(value, top, rows);
        match chart.series {
            [only] => {
                let bucket = bucket(0);
                if !bucket.is_empty() {
                    zones.add(level(bucket.min), only.role);
                    zones.add(level(bucket.max), only.band);
                    zones.mean = Some((level(bucket.mean), only.role));
                }
            }
            [one, two, ..] => {
                let mut both = [(bucket(0), one.role), (bucket(1), two.role)];
                both.sort_by(|(a, _), (b, _)| a.mean.total_cmp(&b.mean));
                for (bucket, role) in both.into_iter().filter(|(bucket, _)| !bucket.is_empty()) {
                    zones.add(level(bucket.mean), role);
                }
            }
            [] => {}
        }
        zones.draw(pen, plot, area.x + column);
    }
}

/// Name and value to the left, the top of the scale to the right, a faint line between: it is the top.
fn heading(pen: &mut Pen<'_>, area: Rect, chart: &Chart<'_>, top: Option<f32>) {
    let end = area.right();
    let mut x = pen.text(area.x, area.y, area.width, chart.title, Role::Title);
    for (value, role) in chart.values {
        x = pen.text(x + 1, area.y, end.saturating_sub(x + 1), value, *role);
    }
    let label = top.map(chart.unit).unwrap_or_default();
    let wide = super::width(&label);
    if x + wide + 2 > end {
        return;
    }
    let line = end - wide - 1 - (x + 1);
    pen.text(x + 1, area.y, line, &"┄".repeat(usize::from(line)), Role::Faint);
    pen.text(end - wide, area.y, wide, &label, Role::Muted);
}

/// The next 1, 2 or 5 × 10ⁿ that is not below `value`.
fn stepped(value: f32) -> f32 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f32.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * decade).find(|top| *top >= value).unwrap_or(value)
}

/// Height of a value in eighths of a cell. What was read is seen: a zero is a line at the bottom, and only what was
/// not read is blank.
fn level(value: f32, top: f32, rows: u16) -> u16 {
    let all = f32::from(rows) * 8.0;
    let share = if top > 0.0 { value / top } else { 0.0 };
    (share * all).round().clamp(1.0, all) as u16
}

/// A column from below: up to which eighth it has which role.
#[derive(Default)]
struct Zones {
    ends: Vec<(u16, Role)>,
    mean: Option<(u16, Role)>,
}

impl Zones {
    fn add(&mut self, end: u16, role: Role) {
        self.ends.push((end, role));
    }

    fn role_at(&self, eighth: u16) -> Option<Role> {
        self.ends.iter().find(|(end, _)| eighth < *end).map(|(_, role)| *role)
    }

    fn draw(&self, pen: &mut Pen<'_>, plot: Rect, x: u16) {
        for row in 0..plot.height {
            let bottom = row * 8;
            let Some(lower) = self.role_at(bottom) else { break };
            let y = plot.bottom() - 1 - row;
            let change = (1..8).find(|eighth| self.role_at(bottom + eighth) != Some(lower));
            let upper = self.role_at(bottom + 7);
            match (change, upper) {
                (None, _) => self.whole(pen, x, y, bottom, lower),
                (Some(eighths), upper) => {
                    let symbol = EIGHTHS.get(usize::from(eighths)).copied().unwrap_or(" ");
                    let style = match upper {
                        Some(upper) if pen.theme().has_colour() => pen.theme().split(lower, upper),
                        _ => pen.theme().style(lower),
                    };
                    let band = !pen.theme().has_colour() && self.is_band(lower);
                    pen.cell(x, y, if band { "░" } else { symbol }, style);
                }
            }
        }
    }

    /// A cell of one role, with the line of the mean if it passes here.
    fn whole(&self, pen: &mut Pen<'_>, x: u16, y: u16, bottom: u16, role: Role) {
        if let Some((mean, line)) = self.mean
            && role != line
            && (bottom..bottom + 8).contains(&mean)
        {
            let third = usize::from((mean - bottom) * 3 / 8);
            let symbol = LINES.get(third).copied().unwrap_or("─");
            pen.cell(x, y, symbol, pen.theme().split(line, role));
            return;
        }
        let symbol = if !pen.theme().has_colour() && self.is_band(role) { "░" } else { "█" };
        pen.cell(x, y, symbol, pen.theme().style(role));
    }

    fn is_band(&self, role: Role) -> bool {
        self.mean.is_some_and(|(_, line)| line != role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Mono {
        Mono(second * 1_000_000)
    }

    #[test]
    fn the_window_is_always_covered_and_time_stands_on_columns() {
        for columns in [10_u16, 37, 55, 100] {
            for window in [60_u64, 300, 900, 3_600] {
                for now in [10_000_u64, 10_001, 10_059, 123_456] {
                    let timeline = Timeline::new(at(now), window, columns);
                    let newest = (0..columns).rev().find(|column| timeline.span(*column).is_some());
                    let (from, _) = timeline.span(newest.unwrap()).unwrap();
                    assert!(
                        from <= now && now < from + timeline.column_seconds(),
                        "{columns} {window} {now}"
                    );
                    assert!(now.cast_signed() - timeline.second(0) >= window.cast_signed() - 1);
                }
            }
        }
    }

    #[test]
    fn a_second_later_the_columns_stand_where_they_were_until_the_page_turns() {
        let mut turns = 0;
        for now in 50_000..50_300_u64 {
            let (before, after) = (Timeline::new(at(now), 300, 50), Timeline::new(at(now + 1), 300, 50));
            turns += usize::from(before.first != after.first);
        }
        // 50 columns are 10 pages of 8 s columns or so: four turns in five minutes at most.
        assert!((1..=4).contains(&turns), "{turns}");
    }

    #[test]
    fn steps_are_1_2_5() {
        assert_eq!(stepped(0.0), 1.0);
        assert_eq!(stepped(3.1e9), 5e9);
        assert_eq!(stepped(5e9), 5e9);
        assert_eq!(stepped(5.1e9), 1e10);
        assert_eq!(stepped(f32::NAN), 1.0);
    }

    #[test]
    fn zero_is_seen_and_the_top_is_not_passed() {
        assert_eq!(level(0.0, 100.0, 4), 1);
        assert_eq!(level(100.0, 100.0, 4), 32);
        assert_eq!(level(900.0, 100.0, 4), 32);
        assert_eq!(level(5.0, 0.0, 4), 1);
    }
}
