//! The writer: one thread between the collector and its reader, so that a reader that stopped costs a `gap` and
//! neither memory nor samples' timing.

use crate::model::{Gap, Record};
use crate::stream;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Events wait here while the reader is slow; the oldest one falls out first.
const EVENTS_AT_MOST: usize = 1_024;

/// How long [`Output::finish`] waits for the reader to take what is left.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(500);

#[derive(Default)]
struct Waiting {
    lines: VecDeque<String>,
    sample: Option<String>,
    missed: u64,
    /// The `bye`: nothing is taken after it, and nothing is written after it.
    last: Option<String>,
    ending: bool,
    writing: bool,
    closed: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.sample.is_none() && self.last.is_none()
    }
}

/// A record as a line of the stream.
pub(super) fn line(record: &Record) -> String {
    let mut text = String::new();
    stream::encode(record, &mut text);
    text
}

/// Where records go.
#[derive(Clone)]
pub struct Output {
    shared: Arc<(Mutex<Waiting>, Condvar)>,
}

impl Output {
    /// Starts the writing thread.
    #[must_use]
    pub fn start(sink: Box<dyn Write + Send>) -> Self {
        let output = Self { shared: Arc::default() };
        let shared = Arc::clone(&output.shared);
        spawn("writer", move || write_all(&shared, sink));
        output
    }

    /// Queues a line that must not be lost: everything but samples.
    pub fn line(&self, line: String) {
        self.change(|waiting| {
            if waiting.ending {
                return;
            }
            if waiting.lines.len() >= EVENTS_AT_MOST {
                waiting.lines.pop_front();
            }
            waiting.lines.push_back(line);
        });
    }

    /// Puts a sample into the one slot; a sample that still waits there is given up and counted.
    pub fn sample(&self, line: String) {
        self.change(|waiting| {
            if !waiting.ending && waiting.sample.replace(line).is_some() {
                waiting.missed += 1;
            }
        });
    }

    /// Queues the last line, which goes behind a sample that still waits.
    pub fn last(&self, line: String) {
        self.change(|waiting| {
            if !waiting.ending {
                waiting.ending = true;
                waiting.last = Some(line);
            }
        });
    }

    /// Waits until all is written, or the reader proves too slow.
    pub fn finish(&self) {
        let (lock, wake) = &*self.shared;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |waiting: &mut Waiting| !waiting.closed && (waiting.writing || !waiting.is_empty());
        let _left = wake.wait_timeout_while(guard, FAREWELL, busy).unwrap_or_else(PoisonError::into_inner);
    }

    /// Whether the reader went away.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let (lock, wake) = &*self.shared;
        change(&mut lock.lock().unwrap_or_else(PoisonError::into_inner));
        wake.notify_all();
    }
}

/// Starts a named thread; a thread that cannot be started is a machine that is out of them, and the caller's
/// source stays silent. Gives whether it was started.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> bool {
    // The stack is address space only; what the driver library touches of it stays small.
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(512 * 1024);
    builder.spawn(body).is_ok()
}

fn write_all(shared: &(Mutex<Waiting>, Condvar), mut sink: Box<dyn Write + Send>) {
    let (lock, wake) = shared;
    loop {
        let batch = {
            let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let mut waiting =
                wake.wait_while(guard, |waiting| waiting.is_empty()).unwrap_or_else(PoisonError::into_inner);
            waiting.writing = true;
            take(&mut waiting)
        };
        let result = sink.write_all(batch.as_bytes()).and_then(|()| sink.flush());
        let mut waiting = lock.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.writing = false;
        if let Err(error) = result {
            waiting.closed = true;
            drop(waiting);
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                // The reader is gone: nobody is left to collect for.
                crate::sources::nvml::leave(0);
            }
            let text = format!("kgtop: standard output could not be written to: {error}\n");
            let _closed = std::io::stderr().write_all(text.as_bytes());
            crate::sources::nvml::leave(1);
        }
        drop(waiting);
        wake.notify_all();
    }
}

fn take(waiting: &mut Waiting) -> String {
    let mut batch: String = waiting.lines.drain(..).collect();
    if waiting.missed > 0 {
        batch.push_str(&line(&Record::Gap(Gap { missed: std::mem::take(&mut waiting.missed) })));
    }
    if let Some(sample) = waiting.sample.take() {
        batch.push_str(&sample);
    }
    batch.extend(waiting.last.take());
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_reads_are_bounded_and_the_oldest_goes_first() {
        let output = Output { shared: Arc::default() };
        for number in 0..EVENTS_AT_MOST + 10 {
            output.line(format!("{number}\n"));
        }
        let batch = take(&mut output.shared.0.lock().unwrap());
        assert_eq!(batch.lines().count(), EVENTS_AT_MOST);
        assert!(batch.starts_with("10\n") && batch.ends_with(&format!("{}\n", EVENTS_AT_MOST + 9)));
    }

    #[test]
    fn the_last_line_goes_behind_the_sample_that_waits_and_ends_the_stream() {
        let output = Output { shared: Arc::default() };
        output.line("inventory\n".into());
        output.sample("old\n".into());
        output.sample("new\n".into());
        output.last("bye\n".into());
        output.sample("late\n".into());
        output.line("late\n".into());
        let mut waiting = output.shared.0.lock().unwrap();
        let gap = line(&Record::Gap(Gap { missed: 1 }));
        assert_eq!(take(&mut waiting), format!("inventory\n{gap}new\nbye\n"));
        assert!(waiting.is_empty());
    }
}
