//! The collector: a process of its own that reads the sources and writes records to standard output.
//!
//! One thread for the GPUs (more where one does not answer), one for processes, one that opens the driver, one that
//! writes; this thread keeps the time, watches for calls that do not return, and assembles what the others posted. No
//! thread is ever joined: a driver call may never return, and the process leaves by [`leave`](crate::sources::nvml::leave).

mod assemble;
mod audit_log;
mod board;
mod control;
mod doctor;
mod driver;
mod gpu;
mod host;
mod kernel_log;
mod models;
mod readers;
mod shared;
mod sleep;
mod storage;
mod topology;
mod writer;

pub use driver::LET_SLEEP;
pub use writer::Output;
use writer::line;

use crate::model::{Bye, Header, Record};
use crate::sources::root::Root;
use crate::sources::{host as host_source, nvml};
use crate::stream;
use crate::units::{Clock, Mono};
use assemble::Assembler;
use readers::{RELIEVE_AFTER, Readers};
use shared::Shared;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A call that has not returned for this long is stuck. Longer than any call measured (21 ms for PCIe throughput;
/// a first query with persistence off takes a second or two per GPU), shorter than the 6 s of a GSP timeout.
pub const STUCK_AFTER: Duration = Duration::from_secs(2);

/// How long a tick waits for the GPUs before it goes on without those that are late: an eighth of the interval, between
/// these two. In an interval of 10 s all GPUs read what is dear (55 ms each) in the same round.
const TICK_PATIENCE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));

/// How often to look for GPUs that wait behind another one, however long the interval.
const RELIEVE_EVERY: Duration = Duration::from_secs(1);

/// The name of a monitor's collector in `ps` and `top`: 15 bytes is what the kernel keeps (`TASK_COMM_LEN`).
const NAME: &str = "kgtop-collector";

/// What a collector is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time between samples.
    pub interval: Duration,
    /// Where files are read.
    pub root: Root,
    /// The library to load; `None` is `libnvidia-ml.so.1`.
    pub library: Option<PathBuf>,
    /// The user's own audit log, beside root's.
    pub own_audit: Option<PathBuf>,
    /// Whether NVML is to be loaded at all (a captured root has none).
    pub use_nvml: bool,
    /// Folders of models to look through besides the usual places.
    pub model_paths: Vec<String>,
    /// Directory of `zpool` and `zfs`; `None` is where the system has them, and none at all for a captured root.
    pub zfs_tools: Option<PathBuf>,
    /// PID of the monitor that this collector belongs to; `None` for a stream of its own.
    pub parent: Option<i32>,
    /// The predecessor left so that a laptop's GPU can sleep: wait for that before the driver is opened.
    pub let_sleep: bool,
    /// Stop after this many samples.
    pub samples: Option<u64>,
}

/// Runs until standard input ends (for a child), the reader goes away, or the driver must be opened anew.
/// Never returns the ordinary way: threads may be stuck inside the driver.
pub fn run(options: &Options, clock: Clock, output: Box<dyn Write + Send>) -> ! {
    if let Some(parent) = options.parent {
        belong_to(parent);
    }
    let shared = Shared::new(clock, options.interval);
    let out = Output::start(output);
    if options.parent.is_some() {
        control::follow_standard_input(Arc::clone(&shared), out.clone());
    }
    out.line(line(&Record::Header(header(options, clock))));

    let mut assembler = Assembler::new(options.root.clone(), clock);
    let readers = Readers::new(&shared);
    driver::start(options, &shared, &readers);
    host::start(&options.root, &shared);
    kernel_log::start(&options.root, &shared, &out);
    audit_log::start(&options.root, options.own_audit.as_ref(), &shared, &out);
    topology::start(&options.root, &shared);
    models::start(&options.root, &options.model_paths, &shared);
    storage::start(&options.root, options.zfs_tools.as_deref(), &shared, &out);
    doctor::start(&options.root, &shared);

    let mut tick = Ticks::new(options.interval, clock);
    let mut sent = 0;
    loop {
        wait_for_round(&shared, &readers, tick.round(), patience(options.interval));
        for record in assembler.tick(&shared, tick.round()) {
            match &record {
                Record::Sample(_) => {
                    out.sample(line(&record));
                    sent += 1;
                }
                _ => out.line(line(&record)),
            }
        }
        let bye = match shared.leaving() {
            Some(bye) => Some(bye),
            None if options.samples == Some(sent) => Some(Bye { reason: "done".into(), restart: false }),
            None => None,
        };
        if let Some(bye) = bye {
            out.last(line(&Record::Bye(bye)));
            out.finish();
            nvml::leave(0);
        }
        let round = tick.advance();
        while !tick.sleep() {
            readers.relieve();
        }
        shared.begin_round(round);
    }
}

fn patience(interval: Duration) -> Duration {
    (interval / 8).clamp(TICK_PATIENCE.0, TICK_PATIENCE.1).min(interval / 2)
}

/// Waits for all that can be had of a round, and sees to it that no GPU waits behind one that does not answer.
fn wait_for_round(shared: &Shared, readers: &Arc<Readers>, round: u64, patience: Duration) {
    let mut left = patience;
    while !left.is_zero() && !shared.wait_for_round(round, left.min(RELIEVE_AFTER)) {
        readers.relieve();
        left = left.saturating_sub(RELIEVE_AFTER);
    }
}

/// A session of its own, so that the terminal's signals do not reach it; and the parent's death ends it, also
/// when the parent was killed.
fn belong_to(parent: i32) {
    // Fails only where this process leads a group already, which serves as well.
    let _leads = rustix::process::setsid();
    // It was started as /proc/self/exe, and `ps` and `top` would call it "exe".
    let _unnamed = std::fs::write("/proc/self/comm", NAME);
    let _unsupported = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // The parent may have died before the signal was asked for.
    let alive = rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent);
    if !alive {
        nvml::leave(0);
    }
}

fn header(options: &Options, clock: Clock) -> Header {
    Header {
        format: stream::FORMAT,
        kgtop: env!("CARGO_PKG_VERSION").into(),
        host: host_source::host_info(&options.root),
        wall: (clock.wall)(),
        mono: (clock.mono)(),
        interval_seconds: options.interval.as_secs_f32(),
        collector_pid: std::process::id(),
    }
}

/// The beat of the samples: whole multiples of the interval on the monotonic clock, so that bands and charts of
/// two collectors agree. The first tick comes at once.
struct Ticks {
    interval: Duration,
    clock: Clock,
    round: u64,
    next: u64,
}

impl Ticks {
    fn new(interval: Duration, clock: Clock) -> Self {
        Self { interval, clock, round: 1, next: (clock.mono)().0 }
    }

    const fn round(&self) -> u64 {
        self.round
    }

    /// Moves to the next multiple of the interval; ticks that were missed are skipped, not made up for.
    fn advance(&mut self) -> u64 {
        let step = u64::try_from(self.interval.as_micros()).unwrap_or(1_000_000).max(1);
        let now = (self.clock.mono)().0;
        self.next = (now / step + 1) * step;
        self.round += 1;
        self.round
    }

    /// Sleeps towards the tick; gives whether it has come.
    fn sleep(&self) -> bool {
        let left = Mono(self.next).since((self.clock.mono)());
        std::thread::sleep(left.min(RELIEVE_EVERY));
        left <= RELIEVE_EVERY
    }
}
