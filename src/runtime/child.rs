//! The collector's process as the monitor sees it: started, read, reaped, started again.
//!
//! Two collectors never run at once: a successor is started only when the predecessor has been reaped. One that
//! cannot die (a thread in uninterruptible sleep) is shown, not doubled.

use super::feed::{Command, FeedEvent};
use crate::collector::LET_SLEEP;
use crate::model::{Bye, Demand, Record};
use crate::stream;
use crate::stream::control::{self, Control};
use crate::units::Clock;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinHandle;

/// The running binary itself, also when the file on disk was replaced by an upgrade.
const SELF: &str = "/proc/self/exe";

/// Heaps of the collector (`mallopt(3)`, `M_ARENA_MAX`): the C library would give each of its threads one, for a few
/// allocations a second.
const ARENAS: &str = "1";

/// Waiting time before a restart doubles from the first to the second of these.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// A collector that lived this long was healthy: the back-off begins anew.
const HEALTHY: Duration = Duration::from_secs(30);

/// How long a collector that said `bye` may take to be gone before the screen says that it lingers.
const REAP_PATIENCE: Duration = Duration::from_secs(1);

/// Starts and restarts the collector until the monitor goes away.
pub(super) struct CollectorTask {
    pub(super) arguments: Vec<OsString>,
    pub(super) events: Sender<FeedEvent>,
    pub(super) commands: Receiver<Command>,
    pub(super) clock: Clock,
}

/// How long to wait for the next collector.
struct BackOff {
    delay: Duration,
}

impl BackOff {
    const fn new() -> Self {
        Self { delay: BACK_OFF.0 }
    }

    /// The wait after a collector that lived for so long.
    fn after(&mut self, lived: Duration, then: Then) -> Duration {
        if lived >= HEALTHY {
            self.delay = BACK_OFF.0;
        }
        let wait = match then {
            // One that wants a successor as soon as it has begun would spin.
            Then::AtOnce { .. } if lived >= BACK_OFF.0 => Duration::ZERO,
            _ => self.delay,
        };
        self.delay = (self.delay * 2).min(BACK_OFF.1);
        wait
    }
}

/// How a collector's life ended.
struct End {
    reason: String,
    then: Then,
}

impl End {
    fn new(reason: impl Into<String>, then: Then) -> Self {
        Self { reason: reason.into(), then }
    }
}

/// What follows a collector's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// A fresh one, now.
    AtOnce { let_sleep: bool },
    /// A fresh one, later.
    BackOff,
    /// A fresh one, when what needs the GPU is over.
    Held,
    /// None.
    StayDown,
}

impl CollectorTask {
    pub(super) async fn run(mut self) {
        let mut back_off = BackOff::new();
        let mut demand = None;
        let mut let_sleep = false;
        loop {
            let started = (self.clock.mono)();
            let end = match self.spawn(let_sleep) {
                Ok(child) => self.live(child, &mut demand).await,
                Err(error) => End::new(format!("the collector could not be started: {error}"), Then::BackOff),
            };
            let lived = (self.clock.mono)().since(started);
            let wait = back_off.after(lived, end.then);
            let restarting_in = (!matches!(end.then, Then::StayDown | Then::Held)).then_some(wait);
            if self.events.send(FeedEvent::Ended { reason: end.reason, restarting_in }).await.is_err() {
                return;
            }
            match end.then {
                Then::StayDown => {
                    // Nothing more will come; hold the channels open, so that the screen stays with what it has.
                    while self.commands.recv().await.is_some() {}
                    return;
                }
                Then::Held => {
                    if !self.released(&mut demand).await {
                        return;
                    }
                    let_sleep = false;
                    back_off = BackOff::new();
                    continue;
                }
                Then::AtOnce { let_sleep: wanted } => let_sleep = wanted,
                Then::BackOff => let_sleep = false,
            }
            if self.held_while_waiting(wait, &mut demand).await && !self.released(&mut demand).await {
                return;
            }
        }
    }

    /// Waits for the next start. Says whether it was asked meanwhile that none comes.
    async fn held_while_waiting(&mut self, wait: Duration, demand: &mut Option<Demand>) -> bool {
        let due = tokio::time::sleep(wait);
        tokio::pin!(due);
        loop {
            tokio::select! {
                () = &mut due => return false,
                command = self.commands.recv() => match command {
                    Some(Command::Hold(true)) => return true,
                    Some(Command::Demand(wanted)) => *demand = Some(wanted),
                    // Asked to start now; or the monitor left, which the next start notices.
                    Some(Command::Restart) | None => return false,
                    Some(_) => {}
                },
            }
        }
    }

    /// Waits until a collector may run again; false when the monitor left.
    async fn released(&mut self, demand: &mut Option<Demand>) -> bool {
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Hold(false) => return true,
                Command::Demand(wanted) => *demand = Some(wanted),
                _ => {}
            }
        }
        false
    }

    fn spawn(&self, let_sleep: bool) -> std::io::Result<Child> {
        let mut command = tokio::process::Command::new(SELF);
        if rustix::process::geteuid().is_root() {
            // The collector starts journalctl.
            command.env("PATH", super::SYSTEM_PATH);
        }
        command
            .arg0("kgtop")
            .env("MALLOC_ARENA_MAX", ARENAS)
            .args(&self.arguments)
            .args(let_sleep.then_some("--let-sleep"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Reads one collector until its output ends, then reaps it.
    async fn live(&mut self, mut child: Child, demand: &mut Option<Demand>) -> End {
        let pid = child.id();
        let (Some(stdout), Some(stderr), Some(mut stdin)) =
            (child.stdout.take(), child.stderr.take(), child.stdin.take())
        else {
            return End::new("the collector has no pipes", Then::StayDown);
        };
        tokio::spawn(follow_stderr(stderr, self.events.clone()));
        if let Some(demand) = demand {
            tell(&mut stdin, &Control::Demand(*demand)).await;
        }
        let mut reader = tokio::spawn(read_records(stdout, self.events.clone()));
        let bye = loop {
            tokio::select! {
                bye = &mut reader => break bye.ok().flatten(),
                command = self.commands.recv() => match command {
                    Some(Command::Demand(wanted)) => {
                        *demand = Some(wanted);
                        tell(&mut stdin, &Control::Demand(wanted)).await;
                    }
                    Some(Command::ListSnapshots(dataset)) => {
                        tell(&mut stdin, &Control::Snapshots(dataset)).await;
                    }
                    Some(Command::Refresh) => tell(&mut stdin, &Control::Refresh).await,
                    Some(stop @ (Command::Restart | Command::Hold(true))) => {
                        drop(stdin);
                        let bye = self.silence(&mut child, reader).await;
                        let end = self.reap(child, pid, bye).await;
                        return match stop {
                            Command::Hold(_) => End::new("it leaves the GPU free for an action", Then::Held),
                            _ => End { then: Then::AtOnce { let_sleep: false }, ..end },
                        };
                    }
                    Some(_for_a_replay) => {}
                    None => return End::new("the monitor left", Then::StayDown),
                },
            }
        };
        drop(stdin);
        self.reap(child, pid, bye).await
    }

    /// Waits for a collector that was told to leave to close its output. One that does not (it is stopped, or its
    /// last record does not fit into the pipe) is killed.
    async fn silence(&self, child: &mut Child, mut reader: JoinHandle<Option<Bye>>) -> Option<Bye> {
        match tokio::time::timeout(REAP_PATIENCE, &mut reader).await {
            Ok(bye) => bye.ok().flatten(),
            Err(_elapsed) => {
                // A process in uninterruptible sleep survives this too: `reap` says that it lingers.
                let _gone = child.start_kill();
                None
            }
        }
    }

    /// Waits for the process to be gone; says so when it lingers, and goes on waiting.
    async fn reap(&mut self, mut child: Child, pid: Option<u32>, bye: Option<Bye>) -> End {
        let status = loop {
            match tokio::time::timeout(REAP_PATIENCE, child.wait()).await {
                Ok(status) => break status,
                Err(_elapsed) => {
                    // A full channel only means that the screen already knows enough.
                    let _full = self.events.try_send(FeedEvent::Lingers { pid: pid.unwrap_or(0) });
                }
            }
        };
        match (bye, status) {
            (Some(bye), _) if bye.restart => {
                let let_sleep = &*bye.reason == LET_SLEEP;
                End::new(format!("the collector begins anew: {}", bye.reason), Then::AtOnce { let_sleep })
            }
            (Some(bye), _) => End::new(format!("the collector left: {}", bye.reason), Then::BackOff),
            (None, Ok(status)) => End::new(format!("the collector died: {status}"), Then::BackOff),
            (None, Err(error)) => {
                End::new(format!("the collector cannot be waited for: {error}"), Then::BackOff)
            }
        }
    }
}

async fn tell(stdin: &mut ChildStdin, what: &Control) {
    let mut line = String::new();
    control::encode(what, &mut line);
    // A collector that left is noticed at its output.
    let _left = stdin.write_all(line.as_bytes()).await;
}

/// Sends every record on; gives the `bye`, if there was one.
async fn read_records(stdout: ChildStdout, events: Sender<FeedEvent>) -> Option<Bye> {
    let mut reader = BufReader::with_capacity(64 * 1024, stdout);
    let mut line = Vec::new();
    let mut bye = None;
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return bye,
            Ok(_) => {}
        }
        let event = match std::str::from_utf8(&line)
            .map_err(|error| error.to_string())
            .and_then(|text| stream::decode(text.trim_end()).map_err(|error| error.to_string()))
        {
            Ok(Some(record)) => {
                if let Record::Bye(farewell) = &record {
                    bye = Some(farewell.clone());
                }
                FeedEvent::Record(Box::new(record))
            }
            Ok(None) => continue,
            Err(error) => FeedEvent::Complaint(format!("a record could not be read: {error}").into()),
        };
        if events.send(event).await.is_err() {
            return bye;
        }
    }
}

async fn follow_stderr(stderr: tokio::process::ChildStderr, events: Sender<FeedEvent>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if events.send(FeedEvent::Complaint(Arc::from(line))).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_greatest_and_begins_anew_after_a_healthy_life() {
        let mut back_off = BackOff::new();
        let short = Duration::from_millis(10);
        let waits: Vec<u128> = (0..8).map(|_| back_off.after(short, Then::BackOff).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        assert_eq!(back_off.after(HEALTHY, Then::BackOff), BACK_OFF.0);
        assert_eq!(back_off.after(short, Then::BackOff), BACK_OFF.0 * 2);
    }

    #[test]
    fn a_successor_comes_at_once_unless_that_would_spin() {
        let mut back_off = BackOff::new();
        let at_once = Then::AtOnce { let_sleep: false };
        assert_eq!(back_off.after(Duration::from_secs(1), at_once), Duration::ZERO);
        assert!(back_off.after(Duration::from_millis(1), at_once) >= BACK_OFF.0);
    }
}
