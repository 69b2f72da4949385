//! A thread that may be abandoned: what it reads may block for ever, and costs no more than that.

use crate::units::{Clock, Mono};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many threads of one lane may be blocked at once; no further one is started until one of them returns.
const ABANDONED_AT_MOST: usize = 4;
/// The buffers are on the heap.
const STACK_BYTES: usize = 512 << 10;

/// What a job says of itself while it runs.
#[derive(Debug)]
pub struct Reporter<A> {
    clock: Clock,
    current: Arc<Mutex<Option<(String, Mono)>>>,
    abandoned: Arc<AtomicBool>,
    answers: Sender<A>,
}

impl<A> Reporter<A> {
    /// Says what is read next; gives whether anybody still waits for it.
    pub fn enter(&self, what: &str) -> bool {
        let now = (self.clock.mono)();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *current {
            Some((text, since)) => {
                text.clear();
                text.push_str(what);
                *since = now;
            }
            None => *current = Some((what.to_owned(), now)),
        }
        !self.abandoned.load(Ordering::Relaxed)
    }

    /// Hands over what was read; lost when nobody waits for it.
    pub fn send(&self, answer: A) {
        if !self.abandoned.load(Ordering::Relaxed) {
            let _gone = self.answers.send(answer);
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Mono {
        (self.clock.mono)()
    }
}

/// How a lane is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// Nothing runs.
    Idle,
    /// A job runs.
    Busy,
    /// A job has been given up just now: it has waited for this since then.
    GivenUp {
        /// What it said that it reads.
        what: String,
        /// Since when.
        since: Mono,
    },
}

/// Runs one job at a time, each on a thread of its own.
#[derive(Debug)]
pub struct Lane<A> {
    name: &'static str,
    clock: Clock,
    limit: Duration,
    running: Option<Running>,
    given_up: Vec<JoinHandle<()>>,
    answers: (Sender<A>, Receiver<A>),
}

#[derive(Debug)]
struct Running {
    current: Arc<Mutex<Option<(String, Mono)>>>,
    abandoned: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl<A: Send + 'static> Lane<A> {
    /// A lane whose jobs are given up when one thing that they read takes longer than `limit`.
    #[must_use]
    pub fn new(name: &'static str, clock: Clock, limit: Duration) -> Self {
        Self { name, clock, limit, running: None, given_up: Vec::new(), answers: mpsc::channel() }
    }

    /// Starts a job unless one runs, or too many have been given up and still hang. Gives whether it started.
    pub fn start(&mut self, job: impl FnOnce(&Reporter<A>) + Send + 'static) -> bool {
        self.given_up.retain(|thread| !thread.is_finished());
        if self.running.is_some() || self.given_up.len() >= ABANDONED_AT_MOST {
            return false;
        }
        let current = Arc::<Mutex<Option<(String, Mono)>>>::default();
        let abandoned = Arc::<AtomicBool>::default();
        let reporter = Reporter {
            clock: self.clock,
            current: Arc::clone(&current),
            abandoned: Arc::clone(&abandoned),
            answers: self.answers.0.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(self.name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || job(&reporter));
        self.running = thread.ok().map(|thread| Running { current, abandoned, thread });
        self.running.is_some()
    }

    /// What was handed over since the last call, and how the lane is doing. Never blocks.
    pub fn poll(&mut self, now: Mono) -> (Vec<A>, LaneState) {
        let finished = self.running.as_ref().is_some_and(|running| running.thread.is_finished());
        let answers = self.answers.1.try_iter().collect();
        let Some(running) = self.running.take() else { return (answers, LaneState::Idle) };
        if finished {
            return (answers, LaneState::Idle);
        }
        let current = running.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((what, since)) = current.filter(|(_, since)| now.since(*since) > self.limit) {
            running.abandoned.store(true, Ordering::Relaxed);
            self.given_up.push(running.thread);
            return (answers, LaneState::GivenUp { what, since });
        }
        self.running = Some(running);
        (answers, LaneState::Busy)
    }

    /// How many jobs have been given up and still hang.
    pub fn hanging(&mut self) -> usize {
        self.given_up.retain(|thread| !thread.is_finished());
        self.given_up.len()
    }
}
