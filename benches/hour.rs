//! An hour at one second of 8 GPUs and 16 processes: how much memory the screen's side takes on, and how long a
//! recording of it is. The limits are 10 MiB and 8 MiB; the program fails when one is passed.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that prints, with an allocator that counts"
)]

#[path = "../tests/support/frames.rs"]
#[allow(dead_code, reason = "each user takes its part")]
mod frames;

use frames::{Condition, Rig};
use kgtop::app::{Message, Mode, Settings, State, update};
use kgtop::sources::recording::RecordingWriter;
use kgtop::ui::Theme;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

const SECONDS: u64 = 3_600;
const MEMORY_LIMIT: usize = 10 << 20;
const RECORDING_LIMIT: u64 = 8 << 20;

/// Bytes that are allocated now.
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is the system allocator's, with the arguments as they came; the counter is no part of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Folds the samples and draws frames in between; gives what is held beyond the first sample and frame.
fn growth(rig: &Rig) -> usize {
    let theme = Theme::embedded("dark").unwrap();
    let mut state = State::new(Settings::default(), Mode::Live);
    update(&mut state, Message::Record(Box::new(rig.header())));
    update(&mut state, Message::Record(Box::new(rig.inventory())));
    let mut begun = 0;
    for second in 0..SECONDS {
        update(&mut state, Message::Record(Box::new(rig.sample(second))));
        if second % 600 == 0 {
            drop(frames::frame(&state, &theme, 160, 50));
            if second == 0 {
                begun = held();
            }
            println!("after {second:>4} s: {:.2} MiB more", mib(held().saturating_sub(begun) as u64));
        }
    }
    held().saturating_sub(begun)
}

fn recording(rig: &Rig) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hour.kgtop");
    let mut writer = RecordingWriter::create(&path, false).unwrap();
    writer.write(&rig.header()).unwrap();
    writer.write(&rig.inventory()).unwrap();
    for second in 0..SECONDS {
        writer.write(&rig.sample(second)).unwrap();
    }
    writer.flush().unwrap();
    path.metadata().unwrap().len()
}

fn main() {
    let rig = Rig::new(8, 16, Condition::Throttled);
    let memory = growth(&rig);
    println!("an hour of 8 GPUs, 16 processes: {:.2} MiB of memory more (limit 10)", mib(memory as u64));
    let file = recording(&rig);
    println!("an hour of 8 GPUs, 16 processes: {:.2} MiB of recording (limit 8)", mib(file));
    assert!(memory < MEMORY_LIMIT && file < RECORDING_LIMIT, "a limit is passed");
}
