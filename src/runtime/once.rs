//! One derived snapshot, for `kgtop snapshot`, `kgtop export` and `kgtop doctor`.

use super::feed::{Command, Feed, FeedEvent};
use crate::analysis::events::{EventLog, Incident};
use crate::analysis::{Judge, Verdict};
use crate::model::{Demand, Deriver, Record, Snapshot};
use color_eyre::eyre::{Result, bail};
use std::time::Duration;

/// Rates need two readings, this share of an interval apart: the first sample comes at once, and the second may
/// follow it too closely for the driver's performance counters.
const APART: f64 = 0.5;

/// How long to wait beyond the two intervals: a driver call that hangs must not hang the script that asked. What
/// was read by then is printed, with the stuck call in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Folds records until rates can be given.
pub(super) async fn snapshot(feed: Feed, interval: Duration) -> Result<(Snapshot, Vec<Verdict>)> {
    snapshot_when(feed, interval, Duration::ZERO, |_| true).await
}

/// Folds records until rates can be given, `watched` has passed and the snapshot is `complete`.
pub(super) async fn snapshot_when(
    mut feed: Feed,
    interval: Duration,
    watched: Duration,
    complete: impl Fn(&Snapshot) -> bool,
) -> Result<(Snapshot, Vec<Verdict>)> {
    let mut deriver = Deriver::new();
    let mut judge = Judge::default();
    let mut log = EventLog::default();
    let mut latest = None;
    let mut first = None;
    let mut complaint = String::new();
    let _full = feed.commands.try_send(Command::Demand(Demand::all()));
    let collect = async {
        while let Some(event) = feed.events.recv().await {
            match event {
                FeedEvent::Record(record) => {
                    if let Record::Event(event) = &*record {
                        log.push(event, latest.as_ref().map(|(snapshot, _)| snapshot));
                    }
                    if let Some(snapshot) = deriver.push(*record) {
                        log.refresh(&snapshot);
                        let incidents: Vec<&Incident> = log.incidents().collect();
                        let verdicts = judge.push_with(&snapshot, &incidents);
                        let first = *first.get_or_insert(snapshot.mono);
                        let seen = snapshot.mono.since(first);
                        let enough = seen >= interval.mul_f64(APART).max(watched) && complete(&snapshot);
                        latest = Some((snapshot, verdicts));
                        if enough {
                            return;
                        }
                    }
                }
                FeedEvent::Complaint(line) => complaint = line.to_string(),
                FeedEvent::Ended { reason, .. } => {
                    complaint = reason;
                    if first.is_some() {
                        return;
                    }
                }
                FeedEvent::Lingers { pid, .. } => {
                    complaint = format!("the collector (PID {pid}) cannot exit");
                }
                FeedEvent::Progress(_) | FeedEvent::Restore(_) => {}
            }
        }
    };
    let _late = tokio::time::timeout(PATIENCE + interval * 2, collect).await;
    match latest {
        Some(found) => Ok(found),
        None if complaint.is_empty() => bail!("nothing was read within {} s", PATIENCE.as_secs()),
        None => bail!("nothing was read: {complaint}"),
    }
}
