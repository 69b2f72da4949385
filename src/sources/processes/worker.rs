//! A thread that reads the facts of processes and may be abandoned: a read of `/proc` that never returns costs that
//! process's command line, and nothing else.

use super::facts::{FactsReader, unseen};
use crate::model::{Absence, ProcessFacts, ProcessKey};
use crate::sources::root::Root;
use crate::units::{Clock, Mono};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many threads may be blocked at once. Then one more reads the cheap files only, until one of them returns.
pub const ABANDONED_AT_MOST: usize = 4;
/// A process that was passed over (one that loads a model from a disk sleeps uninterruptibly, too) is asked again
/// after this time.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// What stands in place of a command line while too many reads are blocked.
const TOO_MANY_BLOCKED: &str = "not read: too many reads of other processes are blocked";
/// The reader's buffers are on the heap.
const STACK_BYTES: usize = 256 << 10;

/// A read that has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckRead {
    /// Whose file.
    pub pid: u32,
    /// The file below `/proc/PID`.
    pub file: &'static str,
    /// When the read began.
    pub since: Mono,
}

/// Reads facts once per process on a thread of its own. The owner calls [`request`](Self::request) for every GPU
/// process at each interval, [`poll`](Self::poll) for what was read, and [`retain`](Self::retain) with the
/// processes that are left.
#[derive(Debug)]
pub struct FactsWorker {
    root: Root,
    clock: Clock,
    limit: Duration,
    queue: Arc<Queue>,
    answers: (Sender<Answer>, Receiver<Answer>),
    lane: Option<Lane>,
    abandoned: Vec<Lane>,
    /// What was requested; each is read once.
    known: BTreeSet<ProcessKey>,
    /// Processes that were passed over, and when they are asked again.
    deferred: BTreeMap<ProcessKey, Mono>,
    /// Facts that needed no thread.
    ready: Vec<ProcessFacts>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Command lines and environments are left alone.
    cheap_only: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    keys: VecDeque<ProcessKey>,
    closed: bool,
}

#[derive(Debug)]
struct Answer {
    facts: ProcessFacts,
    /// It was passed over for now: it is in state D, or too many threads are blocked.
    deferred: bool,
}

/// One thread, and what it is doing.
#[derive(Debug)]
struct Lane {
    task: Arc<Mutex<Task>>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Task {
    current: Option<Current>,
    abandoned: bool,
}

#[derive(Clone, Debug)]
struct Current {
    key: ProcessKey,
    /// The cheap part, once it was read.
    facts: Option<ProcessFacts>,
    file: &'static str,
    since: Mono,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with it left plain data behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FactsWorker {
    /// A worker on `root`. A read that takes longer than `limit` has its thread abandoned. The thread starts with
    /// the first request.
    #[must_use]
    pub fn spawn(root: Root, clock: Clock, limit: Duration) -> Self {
        Self {
            root,
            clock,
            limit,
            queue: Arc::default(),
            answers: mpsc::channel(),
            lane: None,
            abandoned: Vec::new(),
            known: BTreeSet::new(),
            deferred: BTreeMap::new(),
            ready: Vec::new(),
        }
    }

    /// Asks for the facts of a process; nothing happens when they were asked for before. A process without a start
    /// time cannot be seen from here, which is all there is to say of it.
    pub fn request(&mut self, key: ProcessKey) {
        if !self.known.insert(key) {
            return;
        }
        if key.start == 0 {
            self.ready.push(unseen(key, &Absence::NotSupported));
        } else {
            self.enqueue(key);
        }
    }

    /// Forgets all processes but `keys`.
    pub fn retain(&mut self, keys: &BTreeSet<ProcessKey>) {
        self.known.retain(|key| keys.contains(key));
        self.deferred.retain(|key, _| keys.contains(key));
        lock(&self.queue.waiting).keys.retain(|key| keys.contains(key));
    }

    /// What was read since the last call. Never blocks. A process may come twice: first without its command line,
    /// then with it, when a read returned after all or an uninterruptible sleep ended; the later facts count.
    pub fn poll(&mut self, now: Mono) -> Vec<ProcessFacts> {
        let mut facts = std::mem::take(&mut self.ready);
        while let Ok(answer) = self.answers.1.try_recv() {
            facts.extend(self.take(answer, now));
        }
        self.abandoned.retain(|lane| !lane.thread.is_finished());
        facts.extend(self.abandon(now));
        self.queue.cheap_only.store(self.abandoned.len() >= ABANDONED_AT_MOST, Ordering::Relaxed);
        let due: Vec<ProcessKey> =
            self.deferred.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
        for key in due {
            self.deferred.insert(key, now.plus(ASK_AGAIN));
            self.enqueue(key);
        }
        if self.lane.is_none() && !lock(&self.queue.waiting).keys.is_empty() {
            self.start();
        }
        // A thread that is late and may not be abandoned: the one for the cheap files.
        let full = self.abandoned.len() >= ABANDONED_AT_MOST;
        if full && self.lane.as_ref().is_some_and(|lane| self.late(lane, now).is_some()) {
            facts.extend(self.pass_over_all(now));
        }
        facts
    }

    /// The oldest read that has not returned within the limit.
    #[must_use]
    pub fn stuck(&self, now: Mono) -> Option<StuckRead> {
        let lanes = self.abandoned.iter().chain(&self.lane);
        let late = lanes.filter_map(|lane| self.late(lane, now)).map(|current| StuckRead {
            pid: current.key.pid,
            file: current.file,
            since: current.since,
        });
        late.min_by_key(|read| read.since)
    }

    /// What a thread has been doing for longer than the limit.
    fn late(&self, lane: &Lane, now: Mono) -> Option<Current> {
        lock(&lane.task).current.clone().filter(|current| now.since(current.since) > self.limit)
    }

    fn take(&mut self, answer: Answer, now: Mono) -> Option<ProcessFacts> {
        let key = answer.facts.key;
        if !self.known.contains(&key) {
            return None;
        }
        if answer.deferred {
            let first = self.deferred.insert(key, now.plus(ASK_AGAIN)).is_none();
            return first.then_some(answer.facts);
        }
        self.deferred.remove(&key);
        Some(answer.facts)
    }

    fn enqueue(&mut self, key: ProcessKey) {
        let mut waiting = lock(&self.queue.waiting);
        if !waiting.keys.contains(&key) {
            waiting.keys.push_back(key);
        }
        drop(waiting);
        self.queue.changed.notify_one();
        if self.lane.is_none() {
            self.start();
        }
    }

    /// Leaves the thread alone if its read takes too long, and gives what is known of the process.
    fn abandon(&mut self, now: Mono) -> Option<ProcessFacts> {
        let lane = self.lane.as_ref()?;
        let died = lane.thread.is_finished();
        let mut task = lock(&lane.task);
        let late = task.current.as_ref().is_some_and(|current| now.since(current.since) > self.limit);
        if !died && (!late || self.abandoned.len() >= ABANDONED_AT_MOST) {
            return None;
        }
        task.abandoned = true;
        let current = task.current.clone();
        drop(task);
        self.abandoned.extend(self.lane.take().filter(|_| !died));
        let Current { key, facts, file, since } = current?;
        let text = if died {
            format!("reading /proc/{}/{file} failed within kgtop", key.pid)
        } else {
            format!("/proc/{}/{file} has not answered for {} s", key.pid, now.since(since).as_secs())
        };
        let absence = Absence::failed(0, text);
        let mut facts = facts.unwrap_or_else(|| unseen(key, &absence));
        (facts.command, facts.environment) = (Err(absence.clone()), Err(absence));
        self.deferred.remove(&key);
        self.known.contains(&key).then_some(facts)
    }

    /// Answers what waits while every thread is blocked, the one for the cheap files included.
    fn pass_over_all(&mut self, now: Mono) -> Vec<ProcessFacts> {
        let absence = Absence::failed(0, TOO_MANY_BLOCKED);
        let keys = std::mem::take(&mut lock(&self.queue.waiting).keys);
        let answers = keys.into_iter().map(|key| Answer { facts: unseen(key, &absence), deferred: true });
        answers.collect::<Vec<_>>().into_iter().filter_map(|answer| self.take(answer, now)).collect()
    }

    fn start(&mut self) {
        let task = Arc::<Mutex<Task>>::default();
        let (root, clock, queue) = (self.root.clone(), self.clock, Arc::clone(&self.queue));
        let (answers, shared) = (self.answers.0.clone(), Arc::clone(&task));
        let run = move || run(&root, clock, &queue, &shared, &answers);
        let thread = std::thread::Builder::new().name("facts".to_owned()).stack_size(STACK_BYTES).spawn(run);
        // Without a thread what waits is tried again at the next poll.
        self.lane = thread.ok().map(|thread| Lane { task, thread });
    }
}

impl Drop for FactsWorker {
    /// Tells the threads to end and waits for none of them.
    fn drop(&mut self) {
        lock(&self.queue.waiting).closed = true;
        self.queue.changed.notify_all();
    }
}

fn run(root: &Root, clock: Clock, queue: &Queue, task: &Mutex<Task>, answers: &Sender<Answer>) {
    let mut reader: Option<FactsReader> = None;
    while let Some(key) = next(queue) {
        let began = |file: &'static str, facts: Option<&ProcessFacts>| {
            let current = Current { key, facts: facts.cloned(), file, since: (clock.mono)() };
            lock(task).current = Some(current);
        };
        // Opening the reader reads files of /proc as well.
        began("stat", None);
        let reader = reader.get_or_insert_with(|| FactsReader::new(root.clone()));
        let mut facts = reader.cheap(key.pid, &mut |file| began(file, None));
        let mut deferred = false;
        if facts.key != key {
            // The process ended, and its PID may be another's.
            facts = unseen(key, &Absence::NotSupported);
        } else if queue.cheap_only.load(Ordering::Relaxed) {
            let absence = Absence::failed(0, TOO_MANY_BLOCKED);
            (facts.command, facts.environment) = (Err(absence.clone()), Err(absence));
            deferred = true;
        } else {
            let cheap = facts.clone();
            deferred = !reader.memory_backed(key.pid, &mut facts, &mut |file| began(file, Some(&cheap)));
        }
        let mut task = lock(task);
        task.current = None;
        let abandoned = task.abandoned;
        drop(task);
        if answers.send(Answer { facts, deferred }).is_err() || abandoned {
            return;
        }
    }
}

fn next(queue: &Queue) -> Option<ProcessKey> {
    let mut waiting = lock(&queue.waiting);
    loop {
        if waiting.closed {
            return None;
        }
        if let Some(key) = waiting.keys.pop_front() {
            return Some(key);
        }
        waiting = queue.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests;
