//! What feeds the screen: the collector's process, or a player of records. Both are tasks with two channels.

use super::child::CollectorTask;
use super::player::{Player, Tape};
use crate::app::ReplayProgress;
use crate::model::{Demand, Deriver, Record};
use crate::stream::{DecodeError, ReadError, Reader};
use crate::units::Clock;
use std::ffi::OsString;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// Records in flight between the feed and the screen. A screen that does not keep up slows the reader, whose
/// collector then drops samples and says so.
const IN_FLIGHT: usize = 32;

/// What a feed tells the screen.
#[derive(Debug)]
pub(super) enum FeedEvent {
    /// A record.
    Record(Box<Record>),
    /// A line that the collector wrote to standard error, or a record that could not be read.
    Complaint(Arc<str>),
    /// The collector is gone, and how soon the next one starts.
    Ended { reason: String, restarting_in: Option<Duration> },
    /// Where the replay stands.
    Progress(ReplayProgress),
    /// The replay went elsewhere: go on from this fold.
    Restore(Box<Deriver>),
    /// The collector left and cannot die.
    Lingers { pid: u32 },
}

/// What the screen tells a feed.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Which groups are shown.
    Demand(Demand),
    /// List the snapshots of a dataset; `None` calls that off.
    ListSnapshots(Option<Arc<str>>),
    /// Stop the collector and start a fresh one.
    Restart,
    /// Have the collector read now what it seldom reads.
    Refresh,
    /// Stop the collector and start none (true), or start it again.
    Hold(bool),
    /// Replay: stand still, or go on.
    Pause(bool),
    /// Replay: that many seconds of it in one.
    Speed(f32),
    /// Replay: go there, from its start.
    Seek(Duration),
    /// Replay: go that many samples on or back, and stand still.
    Step(i32),
}

/// A running feed; dropping it ends it.
pub(super) struct Feed {
    pub(super) events: Receiver<FeedEvent>,
    pub(super) commands: Sender<Command>,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        // The collector's standard input closes with the task, and that ends the collector.
        self.task.abort();
    }
}

/// Feeds the screen from a collector that is started with these arguments.
pub(super) fn collector(arguments: Vec<OsString>, clock: Clock) -> Feed {
    let (events, received) = channel(IN_FLIGHT);
    let (commands, wanted) = channel(IN_FLIGHT);
    let task = tokio::spawn(CollectorTask { arguments, events, commands: wanted, clock }.run());
    Feed { events: received, commands, task }
}

/// Feeds the screen by playing a tape.
pub(super) fn player(tape: Tape, speed: f32, clock: Clock) -> Feed {
    let (events, received) = channel(IN_FLIGHT);
    let (commands, wanted) = channel(IN_FLIGHT);
    let task = tokio::spawn(Player::new(tape, speed, events, wanted, clock).run());
    Feed { events: received, commands, task }
}

/// Feeds the screen from a live stream on standard input.
pub(super) fn standard_input() -> Feed {
    let (events, received) = channel(IN_FLIGHT);
    let (commands, mut wanted) = channel(IN_FLIGHT);
    // A thread of its own: reading standard input blocks and cannot be given up.
    std::thread::spawn(move || read_standard_input(&events));
    // Nobody listens on the far side; take the commands, so that the channel does not fill.
    let task = tokio::spawn(async move { while wanted.recv().await.is_some() {} });
    Feed { events: received, commands, task }
}

fn read_standard_input(events: &Sender<FeedEvent>) {
    let reason = forward(std::io::stdin().lock(), |event| events.blocking_send(event).is_ok());
    if let Some(reason) = reason {
        let _left = events.blocking_send(FeedEvent::Ended { reason, restarting_in: None });
    }
}

/// Sends every record on; gives the reason of the end, or `None` when nobody takes them any more.
fn forward(input: impl BufRead, mut send: impl FnMut(FeedEvent) -> bool) -> Option<String> {
    let mut came = false;
    let mut complaint = None;
    for record in Reader::new(input) {
        let event = match record {
            Ok(record) => {
                came = true;
                FeedEvent::Record(Box::new(record))
            }
            // What it says may mean something else than this kgtop thinks.
            Err(ReadError::Line { error: error @ DecodeError::NewerFormat { .. }, .. }) => {
                return Some(error.to_string());
            }
            Err(error) => {
                let text: Arc<str> = error.to_string().into();
                complaint = Some(Arc::clone(&text));
                FeedEvent::Complaint(text)
            }
        };
        if !send(event) {
            return None;
        }
    }
    let ended = "the stream on standard input ended";
    Some(match complaint.filter(|_| !came) {
        Some(complaint) => format!("{ended} without a record: {complaint}"),
        None if came => ended.to_owned(),
        None => format!("{ended} without a record"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(input: &str) -> (usize, Option<String>) {
        let mut sent = 0;
        let reason = forward(input.as_bytes(), |_| {
            sent += 1;
            true
        });
        (sent, reason)
    }

    #[test]
    fn a_stream_of_a_newer_version_is_not_shown() {
        let newer = "{\"kind\":\"header\",\"format\":9,\"kgtop\":\"9.0.0\"}\n{\"kind\":\"bye\",\"reason\":\"done\"}\n";
        let (sent, reason) = ended(newer);
        assert_eq!(sent, 0);
        assert!(reason.unwrap().contains("needs kgtop 9.0.0 or newer"));
    }

    #[test]
    fn the_end_says_why_nothing_came() {
        let (sent, reason) = ended("not json\n");
        assert_eq!(sent, 1, "the complaint is kept, too");
        assert!(reason.unwrap().contains("without a record: line 1"));
        let bye = "{\"kind\":\"bye\",\"reason\":\"done\",\"restart\":false}\n";
        assert_eq!(ended("").1.unwrap(), "the stream on standard input ended without a record");
        assert_eq!(ended(bye).1.unwrap(), "the stream on standard input ended");
    }
}
