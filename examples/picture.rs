//! Renders a frame of a demo scenario as SVG, colours and all: the picture of README, and a way to look at a theme.
//!
//! ```text
//! cargo run --example picture -- [SCENARIO [SECONDS [COLUMNSxROWS [THEME [KEYS]]]]] > docs/kgtop.svg
//! ```
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a tool of the repository"
)]

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use kgtop::app::{Message, Mode, Settings, State, update};
use kgtop::sources::scenario::{Scenario, ScenarioPlayer, embedded};
use kgtop::ui::{self, input, theme::Theme};
use kgtop::units::{Mono, Wall};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use std::fmt::Write;
use std::time::Duration;

/// A cell in SVG units.
const CELL: (f64, f64) = (8.4, 18.0);
/// What a terminal shows where no colour is set.
const DEFAULT: (&str, &str) = ("#d8dee9", "#101418");
/// The picture's clock: a fixed moment, so that the picture only changes with the screen.
const WALL: Wall = Wall(1_790_000_000_000_000);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |index: usize, default: &str| arguments.get(index).cloned().unwrap_or_else(|| default.to_owned());
    let (scenario, seconds) = (argument(0, "incident-8xh100"), argument(1, "100"));
    let (size, theme, keys) = (argument(2, "160x44"), argument(3, "dark"), argument(4, ""));
    let (columns, rows) = size.split_once('x').expect("COLUMNSxROWS");
    let area = Rect::new(0, 0, columns.parse().expect("columns"), rows.parse().expect("rows"));
    let text = embedded(&scenario).expect("the name of an embedded scenario");
    let mut player =
        ScenarioPlayer::new(Scenario::parse(text, &scenario).expect("it parses"), WALL, Mono(1_000_000_000));
    let until = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let mut state = State::new(Settings::default(), Mode::Live);
    while player.next_at().is_some_and(|at| at <= until) {
        let record = player.next().expect("it is due");
        update(&mut state, Message::Record(Box::new(record)));
    }
    for key in keys.chars() {
        let event = Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
        if let Some(message) = input::message_for(&state, area, &event) {
            update(&mut state, message);
        }
    }
    let theme = Theme::embedded(&theme).expect("the name of an embedded theme");
    let mut terminal = Terminal::new(TestBackend::new(area.width, area.height)).expect("a test backend");
    terminal.draw(|frame| ui::render(&state, &theme, frame)).expect("it draws");
    println!("{}", svg(terminal.backend().buffer().content(), area));
}

fn svg(cells: &[Cell], area: Rect) -> String {
    let (width, height) = (f64::from(area.width) * CELL.0, f64::from(area.height) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" font-size=\"14\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n",
        DEFAULT.1
    );
    for (row, line) in cells.chunks(usize::from(area.width)).enumerate() {
        let y = row as f64 * CELL.1;
        let mut column = 0;
        while column < line.len() {
            let style = colours(&line[column]);
            let block = geometry(line[column].symbol()).is_some();
            let mut end = column + 1;
            while end < line.len()
                && colours(&line[end]) == style
                && geometry(line[end].symbol()).is_some() == block
            {
                end += 1;
            }
            run(&mut out, &line[column..end], column as f64 * CELL.0, y, &style, block);
            column = end;
        }
    }
    out.push_str("</svg>");
    out
}

type Colours = (String, String, bool);

fn colours(cell: &Cell) -> Colours {
    let (mut fg, mut bg) = (hex(cell.fg, DEFAULT.0), hex(cell.bg, DEFAULT.1));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut fg, &mut bg);
    }
    (fg, bg, cell.modifier.contains(Modifier::BOLD))
}

fn run(out: &mut String, cells: &[Cell], x: f64, y: f64, (fg, bg, bold): &Colours, block: bool) {
    let width = cells.len() as f64 * CELL.0;
    if bg != DEFAULT.1 {
        rect(out, (x, y, width, CELL.1), bg);
    }
    if block {
        for (index, cell) in cells.iter().enumerate() {
            if let Some((left, top, right, bottom)) = geometry(cell.symbol()) {
                let left_edge = x + (index as f64 + left) * CELL.0;
                rect(
                    out,
                    (left_edge, y + top * CELL.1, (right - left) * CELL.0, (bottom - top) * CELL.1),
                    fg,
                );
            }
        }
        return;
    }
    let text: String = cells.iter().map(Cell::symbol).collect();
    if text.trim().is_empty() {
        return;
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let weight = if *bold { " font-weight=\"bold\"" } else { "" };
    let _infallible = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{fg}\"{weight}>{text}</text>",
        y + 13.5
    );
}

fn rect(out: &mut String, (x, y, width, height): (f64, f64, f64, f64), fill: &str) {
    // A hair wider, so that neighbours meet.
    let _infallible = writeln!(
        out,
        "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{fill}\"/>",
        width + 0.2,
        height + 0.2
    );
}

/// Block elements (U+2580 to U+2590) as left, top, right, bottom of the part of the cell that they fill.
fn geometry(symbol: &str) -> Option<(f64, f64, f64, f64)> {
    let code = u32::from(symbol.chars().next()?);
    match code {
        0x2580 => Some((0.0, 0.0, 1.0, 0.5)),
        0x2581..=0x2588 => Some((0.0, 1.0 - f64::from(code - 0x2580) / 8.0, 1.0, 1.0)),
        0x2589..=0x258f => Some((0.0, 0.0, f64::from(0x2590 - code) / 8.0, 1.0)),
        0x2590 => Some((0.5, 0.0, 1.0, 1.0)),
        0x2594 => Some((0.0, 0.0, 1.0, 0.125)),
        _ => None,
    }
}

fn hex(colour: Color, default: &str) -> String {
    match colour {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Black => "#000000".into(),
        Color::Red | Color::LightRed => "#e06c75".into(),
        Color::Green | Color::LightGreen => "#98c379".into(),
        Color::Yellow | Color::LightYellow => "#e5c07b".into(),
        Color::Blue | Color::LightBlue => "#61afef".into(),
        Color::Magenta | Color::LightMagenta => "#c678dd".into(),
        Color::Cyan | Color::LightCyan => "#56b6c2".into(),
        Color::Gray | Color::White => "#d0d0d0".into(),
        Color::DarkGray => "#808080".into(),
        _ => default.to_owned(),
    }
}
