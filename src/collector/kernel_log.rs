//! The thread that follows the kernel log and sends each line that may matter at once, without waiting for a sample.

mod driver_events;

use super::board::Shared;
use super::writer::{Output, line, spawn};
use crate::model::{RawEvent, Record, SourceState};
use crate::sources::kernel_log::{Journal, Kmsg, KmsgError, Next};
use crate::sources::root::Root;
use std::collections::VecDeque;
use std::sync::Arc;

const NAME: &str = "kernel_log";

/// Of what was logged before the start, this many of the newest lines that may matter are sent.
const BACKLOG_AT_MOST: usize = 500;

pub(super) fn start(root: &Root, shared: &Arc<Shared>, out: &Output) {
    let (root, shared, out) = (root.clone(), Arc::clone(shared), out.clone());
    spawn(NAME, move || {
        let failed = match Kmsg::open(&root, shared.clock).and_then(|log| follow(log, &shared, &out)) {
            Ok(()) => return,
            Err(error) => error,
        };
        let why = if root.is_live() { follow_journal(&failed, &shared, &out) } else { failed.to_string() };
        driver_events::follow(&why, &shared, &out);
    });
}

/// Follows the log until it ends.
fn follow(mut log: Kmsg, shared: &Shared, out: &Output) -> Result<(), KmsgError> {
    let mut backlog = VecDeque::new();
    let mut overruns = 0_u64;
    loop {
        match log.read_next()? {
            Next::Event(event) => {
                if backlog.len() >= BACKLOG_AT_MOST {
                    backlog.pop_front();
                }
                backlog.push_back(event);
            }
            Next::Overrun => overruns += 1,
            Next::Idle => break,
        }
    }
    backlog.into_iter().for_each(|event| send(event, out));
    tell(shared, overruns);
    while log.wait()? {
        loop {
            match log.read_next()? {
                Next::Event(event) => send(event, out),
                Next::Overrun => {
                    overruns += 1;
                    tell(shared, overruns);
                }
                Next::Idle => break,
            }
        }
    }
    shared.post(|board| {
        board.source(
            NAME,
            SourceState::Degraded,
            "the file in place of /dev/kmsg ended: nothing new is seen",
        );
    });
    Ok(())
}

fn tell(shared: &Shared, overruns: u64) {
    shared.post(|board| match overruns {
        0 => board.source(NAME, SourceState::Ok, "/dev/kmsg: this boot"),
        _ => {
            let why = format!("/dev/kmsg was overrun {overruns} times: lines of the kernel log are missing");
            board.source(NAME, SourceState::Degraded, &why);
        }
    });
}

/// Follows the journal for as long as it goes on. Gives why neither it nor kmsg tells anything new.
fn follow_journal(failed: &KmsgError, shared: &Shared, out: &Output) -> String {
    let mut journal = match Journal::follow() {
        Ok(journal) => journal,
        Err(error) => return format!("{failed}; {error}"),
    };
    let why = format!("the journal: {failed}");
    shared.post(|board| board.source(NAME, SourceState::Ok, &why));
    while let Some(event) = journal.read_next() {
        send(event, out);
    }
    format!("{failed}; the journal ended")
}

fn send(event: RawEvent, out: &Output) {
    out.line(line(&Record::Event(event)));
}
