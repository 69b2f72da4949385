//! The threads that read the GPUs. One of them, the lead, reads all, one after another: a thread per GPU costs a third
//! more on two H200, since calls into the driver that meet there wait for each other and each thread wakes up on a core
//! of its own (`scripts/threads.py`). A GPU whose call does not return keeps the thread that is in it: the others get
//! a new one, and it is read apart until it has answered promptly for a while.

mod pool;

use super::gpu::GpuReader;
use super::shared::Shared;
use super::writer::spawn;
use crate::units::Mono;
use pool::Pool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use pool::RELIEVE_AFTER;

/// The driver renews power and clocks every 100 ms (h200.md): reading faster only repeats values.
const FAST: Duration = Duration::from_millis(100);

/// The readers of all GPUs, and the threads that have them.
pub(super) struct Readers {
    shared: Arc<Shared>,
    pool: Mutex<Pool<GpuReader>>,
}

impl Readers {
    pub(super) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), pool: Mutex::default() })
    }

    /// Begins to read a GPU. What is read of it first takes longest, up to seconds where persistence mode is off: that
    /// has a thread of its own, and all GPUs are read at once.
    pub(super) fn begin(self: &Arc<Self>, mut reader: GpuReader) {
        let readers = Arc::clone(self);
        spawn(&format!("gpu {}", reader.place()), move || {
            reader.begin();
            let lead = readers.pool().add(reader);
            // Where no thread is to be had, this one does it.
            if let Some(lead) = lead
                && !readers.start(lead)
            {
                readers.follow(lead);
            }
        });
    }

    /// Gives the GPUs that wait behind one that does not answer to a thread of their own.
    pub(super) fn relieve(self: &Arc<Self>) {
        let relieved = self.pool().relieve(self.now());
        for (stuck, thread) in relieved {
            if !self.start(thread) {
                // The machine is out of threads: they wait.
                self.pool().hand_over(thread, stuck);
            }
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool<GpuReader>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, thread: u64) -> bool {
        let readers = Arc::clone(self);
        spawn("gpus", move || readers.follow(thread))
    }

    /// Reads what is `thread`'s to read, for as long as there is something: of all GPUs first what is cheap.
    fn follow(&self, thread: u64) {
        let mut next = self.now();
        loop {
            let round = self.shared.board().round;
            self.each(thread, GpuReader::read);
            self.each(thread, GpuReader::read_rest);
            if !self.pool().needs(thread) {
                return;
            }
            next = next.plus(FAST).max(self.now());
            self.shared.round_or_deadline(round, next);
        }
    }

    /// Does something with each GPU that is `thread`'s to read.
    fn each(&self, thread: u64, read: fn(&mut GpuReader)) {
        let mut from = 0;
        loop {
            let taken = self.pool().take(from, thread, self.now());
            let Some((place, mut reader)) = taken else { return };
            read(&mut reader);
            self.pool().give_back(place, reader, self.now());
            from = place + 1;
        }
    }

    fn now(&self) -> Mono {
        (self.shared.clock.mono)()
    }
}
