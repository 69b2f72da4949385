//! What a second of watching costs the screen's side: fold a sample, judge it, draw the frame; and what a record
//! costs the stream. The limits are 2 ms a frame for 8 GPUs with 200 processes, 5 ms for 16 with 1,000.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot go on says so by a panic")]

#[path = "../tests/support/frames.rs"]
#[allow(dead_code, reason = "each user takes its part")]
mod frames;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use frames::{Condition, Rig};
use kgtop::app::{Message, Mode, Settings, State, Tab, update};
use kgtop::model::Deriver;
use kgtop::stream;
use kgtop::ui::{Theme, render};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::hint::black_box;

/// GPUs, processes.
const RIGS: [(u32, u32); 2] = [(8, 200), (16, 1_000)];
/// Seconds of history before anything is measured: the five minutes that the charts show.
const SEEN: u64 = 300;
const SIZE: Rect = Rect::new(0, 0, 200, 60);

fn rig((gpus, processes): (u32, u32)) -> (Rig, String) {
    (Rig::new(gpus, processes, Condition::Throttled), format!("{gpus} GPUs, {processes} processes"))
}

fn settings(tab: Tab) -> Settings {
    Settings { tab, ..Settings::default() }
}

fn derive(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("derive");
    for size in RIGS {
        let (rig, name) = rig(size);
        let mut deriver = Deriver::new();
        deriver.push(rig.header());
        deriver.push(rig.inventory());
        let mut second = 0;
        while second < SEEN {
            deriver.push(rig.sample(second));
            second += 1;
        }
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let next = || {
                second += 1;
                rig.sample(second)
            };
            bencher.iter_batched(next, |record| black_box(deriver.push(record)), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// A terminal that takes the escape sequences and throws them away: comparing and encoding are counted.
fn terminal() -> Terminal<CrosstermBackend<std::io::Sink>> {
    let options = TerminalOptions { viewport: Viewport::Fixed(SIZE) };
    Terminal::with_options(CrosstermBackend::new(std::io::sink()), options).unwrap()
}

fn draw(state: &State, theme: &Theme, terminal: &mut Terminal<CrosstermBackend<std::io::Sink>>) {
    terminal.draw(|frame| render(state, theme, frame)).unwrap();
}

fn frames(bench: &mut Criterion) {
    let theme = Theme::embedded("dark").unwrap();
    for (tab, title) in [(Tab::Gpus, "GPUs"), (Tab::Processes, "Processes")] {
        let mut group = bench.benchmark_group(format!("render {title} at 200x60"));
        for size in RIGS {
            let (rig, name) = rig(size);
            let state = rig.state(SEEN, settings(tab), Mode::Live);
            let mut terminal = terminal();
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| draw(&state, &theme, &mut terminal));
            });
        }
        group.finish();
        let mut group = bench.benchmark_group(format!("derive and render {title} at 200x60"));
        for size in RIGS {
            let (rig, name) = rig(size);
            let mut state = rig.state(SEEN, settings(tab), Mode::Live);
            let mut terminal = terminal();
            let mut second = SEEN;
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                let next = || {
                    second += 1;
                    Message::Record(Box::new(rig.sample(second)))
                };
                let frame = |message| {
                    update(&mut state, message);
                    draw(&state, &theme, &mut terminal);
                };
                bencher.iter_batched(next, frame, BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

fn lines(bench: &mut Criterion) {
    for (what, of) in [("encode", true), ("decode", false)] {
        let mut group = bench.benchmark_group(what);
        for size in RIGS {
            let (rig, name) = rig(size);
            let record = rig.sample(SEEN);
            let mut line = String::new();
            stream::encode(&record, &mut line);
            group.throughput(criterion::Throughput::Bytes(line.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                if of {
                    let mut out = String::with_capacity(line.len());
                    bencher.iter(|| {
                        out.clear();
                        stream::encode(black_box(&record), &mut out);
                    });
                } else {
                    bencher.iter(|| stream::decode(black_box(&line)).unwrap());
                }
            });
        }
        group.finish();
    }
}

criterion_group!(benches, derive, frames, lines);
criterion_main!(benches);
