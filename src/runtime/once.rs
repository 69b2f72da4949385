//! One derived snapshot, for the commands that print one and leave.

use super::feed::{Command, Feed, FeedEvent};
use crate::analysis::events::{EventLog, Incident};
use crate::analysis::{Judge, Verdict};
use crate::model::{Demand, Deriver, GpuState, Record, Snapshot, SourceState};
use crate::report;
use crate::units::Mono;
use color_eyre::eyre::{Result, bail};
use std::time::Duration;

/// Rates need two readings, this share of an interval apart: the first sample comes at once, and the second may
/// follow it too closely for the driver's performance counters.
const APART: f64 = 0.5;

/// How long to wait beyond the two intervals: a driver call that hangs must not hang the script that asked. What
/// was read by then is printed, with the stuck call in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one snapshot has to hold before it is taken.
pub(super) struct Until<F> {
    /// Whether the driver is waited for: that it answered, or that it was said why it cannot. The time that is
    /// watched begins then.
    pub(super) driver: bool,
    /// How long is watched at least.
    pub(super) watched: Duration,
    /// What else has to be there.
    pub(super) complete: F,
}

/// What was taken.
pub(super) struct Taken {
    pub(super) snapshot: Snapshot,
    pub(super) verdicts: Vec<Verdict>,
    /// What the driver owes: it was waited for, and neither answered nor failed within the patience. Nothing is known
    /// of any GPU then.
    pub(super) silent: Option<String>,
}

/// Folds records until rates can be given. A driver that does not answer in time is an error.
pub(super) async fn snapshot(feed: Feed, interval: Duration) -> Result<(Snapshot, Vec<Verdict>)> {
    let taken = take(feed, interval).await?;
    match taken.silent {
        None => Ok((taken.snapshot, taken.verdicts)),
        Some(owed) => bail!(owed),
    }
}

/// The same, where what is known without the driver is worth printing.
pub(super) async fn take(feed: Feed, interval: Duration) -> Result<Taken> {
    take_when(feed, interval, Until { driver: true, watched: Duration::ZERO, complete: |_: &Snapshot| true })
        .await
}

/// Folds records until rates can be given and `until` is met, or the patience is over.
pub(super) async fn take_when(
    mut feed: Feed,
    interval: Duration,
    until: Until<impl Fn(&Snapshot) -> bool>,
) -> Result<Taken> {
    let _full = feed.commands.try_send(Command::Demand(Demand::all()));
    let mut taking = Taking::new(interval, until);
    let collect = async {
        while let Some(event) = feed.events.recv().await {
            if taking.is_done_with(event) {
                return;
            }
        }
    };
    let _late = tokio::time::timeout(PATIENCE + interval * 2, collect).await;
    taking.finish()
}

/// Records on their way into one snapshot.
struct Taking<F> {
    interval: Duration,
    until: Until<F>,
    deriver: Deriver,
    judge: Judge,
    log: EventLog,
    latest: Option<(Snapshot, Vec<Verdict>)>,
    /// The first sample that counts.
    first: Option<Mono>,
    complaint: String,
}

impl<F: Fn(&Snapshot) -> bool> Taking<F> {
    fn new(interval: Duration, until: Until<F>) -> Self {
        Self {
            interval,
            until,
            deriver: Deriver::new(),
            judge: Judge::default(),
            log: EventLog::default(),
            latest: None,
            first: None,
            complaint: String::new(),
        }
    }

    /// Takes one event of the feed; says whether nothing more is needed.
    fn is_done_with(&mut self, event: FeedEvent) -> bool {
        match event {
            FeedEvent::Record(record) => return self.take(*record),
            FeedEvent::Complaint(line) => self.complaint = line.to_string(),
            FeedEvent::Ended { reason, .. } => {
                self.complaint = reason;
                return self.first.is_some();
            }
            FeedEvent::Lingers { pid, .. } => {
                self.complaint = format!("the collector (PID {pid}) cannot exit");
            }
            FeedEvent::Progress(_) | FeedEvent::Restore(_) => {}
        }
        false
    }

    fn take(&mut self, record: Record) -> bool {
        if let Record::Event(event) = &record {
            self.log.push(event, self.latest.as_ref().map(|(snapshot, _)| snapshot));
        }
        let Some(snapshot) = self.deriver.push(record) else { return false };
        self.log.refresh(&snapshot);
        let incidents: Vec<&Incident> = self.log.incidents().collect();
        let verdicts = self.judge.push_with(&snapshot, &incidents);
        let enough = self.is_enough(&snapshot);
        self.latest = Some((snapshot, verdicts));
        enough
    }

    fn is_enough(&mut self, snapshot: &Snapshot) -> bool {
        if self.until.driver && !is_answered(snapshot) {
            return false;
        }
        let first = *self.first.get_or_insert(snapshot.mono);
        let least = self.interval.mul_f64(APART).max(self.until.watched);
        let gpus =
            !self.until.driver || snapshot.gpus.iter().all(|gpu| is_read(gpu.state, gpu.live.is_some()));
        snapshot.mono.since(first) >= least && gpus && (self.until.complete)(snapshot)
    }

    fn finish(self) -> Result<Taken> {
        match self.latest {
            Some((snapshot, verdicts)) => {
                let owes = self.until.driver && !is_answered(&snapshot);
                let silent = owes.then(|| owed(&snapshot, &self.complaint));
                Ok(Taken { snapshot, verdicts, silent })
            }
            None if self.complaint.is_empty() => bail!("nothing was read within {} s", PATIENCE.as_secs()),
            None => bail!("nothing was read: {}", self.complaint),
        }
    }
}

/// Whether the driver named its GPUs, or it is known why there are none. `nvmlInit` alone may take a second or two per
/// GPU where persistence mode is off.
fn is_answered(snapshot: &Snapshot) -> bool {
    match snapshot.source("nvml") {
        None => false,
        Some(source) if source.state == SourceState::Unavailable => true,
        Some(_) => !snapshot.gpus.is_empty() || snapshot.inventory.driver.problem.is_some(),
    }
}

/// Whether a GPU was read, or is in a state in which it is not.
fn is_read(state: GpuState, live: bool) -> bool {
    live || state != GpuState::Ok
}

fn owed(snapshot: &Snapshot, complaint: &str) -> String {
    match report::driver_problem(snapshot) {
        Some(_) if snapshot.stuck.is_empty() && !complaint.is_empty() => {
            format!("the driver gave no answer: {complaint}")
        }
        Some(problem) => problem,
        None => format!("the driver gave no answer within {} s", PATIENCE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        GpuId, GpuInfo, GpuSample, Grouped, Header, HostInfo, Inventory, Live, Sample, SourceStatus,
        StuckCall,
    };
    use crate::units::Wall;

    const SECOND: u64 = 1_000_000;

    fn begun(driver: bool) -> Taking<impl Fn(&Snapshot) -> bool> {
        let until = Until { driver, watched: Duration::ZERO, complete: |_: &Snapshot| true };
        let mut taking = Taking::new(Duration::from_secs(1), until);
        let header = Header {
            format: 1,
            kgtop: "1".into(),
            host: HostInfo::default(),
            wall: Wall(0),
            mono: Mono(0),
            interval_seconds: 1.0,
            collector_pid: 1,
        };
        assert!(!taking.take(Record::Header(header)));
        taking
    }

    fn sample(second: u64, nvml: Option<SourceState>, gpus: Vec<GpuSample>) -> Record {
        let source = |state| SourceStatus { name: "nvml".into(), state, reason: "".into() };
        Record::Sample(Box::new(Sample {
            sequence: second,
            mono: Mono(second * SECOND),
            wall: Wall(0),
            gpus,
            processes: None,
            host: None,
            storage: None,
            host_files: None,
            sources: nvml.map(source).into_iter().collect(),
            cost: None,
        }))
    }

    fn gpu(second: u64, read: bool) -> GpuSample {
        let mut sample = GpuSample::new(GpuId("GPU-1".into()), GpuState::Ok);
        let value = Live::absent(&crate::model::Absence::NotSupported);
        sample.live = read.then(|| Grouped { at: Mono(second * SECOND), value });
        sample
    }

    #[test]
    fn a_driver_that_takes_its_time_is_waited_for_and_its_gpus_are_read_twice() {
        let mut taking = begun(true);
        for second in 0..4 {
            assert!(!taking.take(sample(second, None, Vec::new())), "still initialising");
        }
        assert!(!taking.take(sample(4, Some(SourceState::Ok), Vec::new())), "the GPUs are not named yet");
        let info = GpuInfo::absent(&crate::model::Absence::NotSupported);
        let inventory = Inventory { gpus: vec![info], ..Inventory::default() };
        assert!(!taking.take(Record::Inventory(Box::new(inventory))));
        assert!(!taking.take(sample(5, Some(SourceState::Ok), vec![gpu(5, false)])));
        assert!(!taking.take(sample(6, Some(SourceState::Ok), vec![gpu(6, false)])), "named, and not read");
        assert!(taking.take(sample(7, Some(SourceState::Ok), vec![gpu(7, true)])));
        let taken = taking.finish().unwrap();
        assert_eq!((taken.snapshot.gpus.len(), taken.silent), (1, None));
    }

    #[test]
    fn a_driver_that_is_not_there_is_an_answer() {
        let mut taking = begun(true);
        assert!(!taking.take(sample(0, Some(SourceState::Unavailable), Vec::new())), "no rates yet");
        assert!(taking.take(sample(1, Some(SourceState::Unavailable), Vec::new())));
        assert_eq!(taking.finish().unwrap().silent, None);
    }

    #[test]
    fn a_driver_that_says_nothing_is_told_with_the_call_that_does_not_return() {
        let mut taking = begun(true);
        let stuck = StuckCall {
            gpu: None,
            call: "nvmlInit_v2".into(),
            since: Mono(SECOND),
            wait_channel: None,
            ended: false,
        };
        assert!(!taking.take(sample(1, None, Vec::new())));
        assert!(!taking.take(Record::CallStuck(stuck)));
        assert!(!taking.take(sample(13, None, Vec::new())));
        let silent = taking.finish().unwrap().silent;
        assert_eq!(silent.as_deref(), Some("driver call nvmlInit_v2 has not returned for 12 s"));
        let mut taking = begun(true);
        assert!(!taking.take(sample(1, None, Vec::new())));
        let _ended = taking
            .is_done_with(FeedEvent::Ended { reason: "the collector died".into(), restarting_in: None });
        let silent = taking.finish().unwrap().silent.unwrap();
        assert!(silent.contains("no answer: the collector died"), "{silent}");
    }

    #[test]
    fn who_needs_no_driver_does_not_wait_for_it() {
        let mut taking = begun(false);
        assert!(!taking.take(sample(0, None, Vec::new())));
        assert!(taking.take(sample(1, None, Vec::new())));
        assert_eq!(taking.finish().unwrap().silent, None);
    }
}
