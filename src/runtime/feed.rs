//! What feeds the screen: the collector's process, or a player of records. Both are tasks with two channels.

use super::child::CollectorTask;
use super::player::{Player, Tape};
use crate::app::ReplayProgress;
use crate::model::{Demand, Deriver, Record};
use crate::stream::Reader;
use crate::units::Clock;
use std::ffi::OsString;
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
    for record in Reader::new(std::io::stdin().lock()) {
        let event = match record {
            Ok(record) => FeedEvent::Record(Box::new(record)),
            Err(error) => FeedEvent::Complaint(error.to_string().into()),
        };
        if events.blocking_send(event).is_err() {
            return;
        }
    }
    let reason = "the stream on standard input ended".to_owned();
    let _left = events.blocking_send(FeedEvent::Ended { reason, restarting_in: None });
}
