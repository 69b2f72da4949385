//! What feeds the screen: the collector's process, or a player of records. Both are tasks with two channels.

use super::child::CollectorTask;
use crate::model::{Demand, Record};
use crate::units::{Clock, Mono};
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
    /// The collector left and cannot die.
    Lingers { pid: u32, since: Mono },
}

/// What the screen tells a feed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// Which groups are shown.
    Demand(Demand),
    /// Stop the collector and start a fresh one.
    Restart,
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
