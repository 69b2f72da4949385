//! The thread that follows the kernel log and sends each line that may matter at once, without waiting for a sample.

mod driver_events;

use super::shared::Shared;
use super::writer::{Output, line, spawn};
use crate::model::{RawEvent, Record, SourceState};
use crate::sources::kernel_log::{Journal, JournalError, Kmsg, KmsgError, Next};
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
        let why = if root.is_live() {
            follow_journal(&failed, Journal::follow(), &shared, &out)
        } else {
            failed.to_string()
        };
        driver_events::follow(&why, &shared, &out);
    });
}

/// A kernel log that can be followed.
trait Log {
    /// The next line, without waiting.
    fn read_next(&mut self) -> Result<Next, KmsgError>;
    /// Waits for more; `false`: there will never be more.
    fn wait(&mut self) -> Result<bool, KmsgError>;
}

impl Log for Kmsg {
    fn read_next(&mut self) -> Result<Next, KmsgError> {
        Self::read_next(self)
    }

    fn wait(&mut self) -> Result<bool, KmsgError> {
        Self::wait(self)
    }
}

/// Follows the log until it ends.
fn follow(mut log: impl Log, shared: &Shared, out: &Output) -> Result<(), KmsgError> {
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
    shared.put(|board| {
        board.source(
            NAME,
            SourceState::Degraded,
            "the file in place of /dev/kmsg ended: nothing new is seen",
        );
    });
    Ok(())
}

fn tell(shared: &Shared, overruns: u64) {
    shared.put(|board| match overruns {
        0 => board.source(NAME, SourceState::Ok, "/dev/kmsg: this boot"),
        _ => {
            let why = format!("/dev/kmsg was overrun {overruns} times: lines of the kernel log are missing");
            board.source(NAME, SourceState::Degraded, &why);
        }
    });
}

/// Follows the journal for as long as it goes on. Gives why neither it nor kmsg tells anything new.
fn follow_journal(
    failed: &KmsgError,
    journal: Result<Journal, JournalError>,
    shared: &Shared,
    out: &Output,
) -> String {
    let mut journal = match journal {
        Ok(journal) => journal,
        Err(error) => return format!("{failed}; {error}"),
    };
    let why = format!("the journal: {failed}");
    shared.put(|board| board.source(NAME, SourceState::Ok, &why));
    while let Some(event) = journal.read_next() {
        send(event, out);
    }
    format!("{failed}; the journal ended")
}

fn send(event: RawEvent, out: &Output) {
    out.line(line(&Record::Event(event)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Absence, EventSource};
    use crate::units::{Clock, Mono, Wall};
    use std::time::Duration;

    fn shared() -> Arc<Shared> {
        Shared::new(Clock { mono: || Mono(1), wall: || Wall(1) }, Duration::from_secs(1))
    }

    fn output() -> Output {
        Output::start(Box::new(std::io::sink()))
    }

    fn told(shared: &Shared) -> (SourceState, String) {
        let board = shared.board();
        let (state, reason) = &board.sources[NAME];
        (*state, reason.to_string())
    }

    fn event() -> RawEvent {
        RawEvent {
            at: Mono(1),
            wall: Wall(1),
            source: EventSource::Kmsg,
            priority: None,
            facility: None,
            gpu: None,
            text: "NVRM: hello".into(),
        }
    }

    /// What a log gives, each time it is asked; asked for more, it can no longer be read.
    struct Script(VecDeque<Next>);

    impl Log for Script {
        fn read_next(&mut self) -> Result<Next, KmsgError> {
            self.0.pop_front().ok_or(KmsgError::Open(Absence::NoPermission))
        }

        fn wait(&mut self) -> Result<bool, KmsgError> {
            Ok(!self.0.is_empty())
        }
    }

    #[test]
    fn what_an_overrun_skipped_is_said_as_long_as_the_log_is_followed() {
        let shared = shared();
        let log = [Next::Event(event()), Next::Overrun, Next::Event(event()), Next::Idle, Next::Overrun];
        // The end of the script is an error, which leaves what was told on the board.
        follow(Script(log.into()), &shared, &output()).unwrap_err();
        let (state, reason) = told(&shared);
        assert_eq!(state, SourceState::Degraded);
        assert!(reason.contains("overrun 2 times: lines of the kernel log are missing"), "{reason}");

        let calm = [Next::Event(event()), Next::Idle, Next::Event(event())];
        follow(Script(calm.into()), &shared, &output()).unwrap_err();
        assert_eq!(told(&shared).0, SourceState::Ok);
    }

    #[test]
    fn a_journal_that_ends_is_not_taken_for_a_quiet_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journalctl.sh");
        std::fs::write(&path, "echo '{\"MESSAGE\":\"NVRM: hello\"}'\n").unwrap();
        let shared = shared();
        let journal = Journal::follow_by(&["sh", path.to_str().unwrap()]);
        let failed = KmsgError::Open(Absence::NoPermission);
        let why = follow_journal(&failed, journal, &shared, &output());
        assert!(told(&shared).1.starts_with("the journal: /dev/kmsg may not be read"), "{:?}", told(&shared));
        assert!(why.ends_with("; the journal ended"), "{why}");
    }
}
