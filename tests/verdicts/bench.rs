//! Records go in, what was told at each sample comes out.

use kgtop::analysis::events::{EventLog, Incident};
use kgtop::analysis::{Judge, Severity, Verdict};
use kgtop::model::{Deriver, Record, Snapshot};
use kgtop::sources::scenario::{Scenario, ScenarioPlayer};
use kgtop::units::{Mono, Wall};
use std::time::Duration;

pub(crate) const WALL: Wall = Wall(1_790_000_000_000_000);
/// The scenarios begin an hour after boot, so that no stamp of a line is zero.
pub(crate) const MONO: Mono = Mono(3_600_000_000);

/// What was told at one sample.
pub(crate) struct Told {
    pub(crate) at: f64,
    pub(crate) gpus: Vec<Option<u32>>,
    pub(crate) verdicts: Vec<Verdict>,
}

#[derive(Default)]
pub(crate) struct Bench {
    deriver: Deriver,
    judge: Judge,
    pub(crate) log: EventLog,
    latest: Option<Snapshot>,
    pub(crate) told: Vec<Told>,
}

impl Bench {
    pub(crate) fn push(&mut self, record: Record) {
        if let Record::Event(event) = &record {
            self.log.push(event, self.latest.as_ref());
        }
        let Some(snapshot) = self.deriver.push(record) else { return };
        self.log.refresh(&snapshot);
        let incidents: Vec<&Incident> = self.log.incidents().collect();
        let verdicts = self.judge.push_with(&snapshot, &incidents);
        let index = |verdict: &Verdict| verdict.gpu.as_ref().and_then(|id| snapshot.gpu(id)?.index());
        self.told.push(Told {
            at: snapshot.mono.since(MONO).as_secs_f64(),
            gpus: verdicts.iter().map(index).collect(),
            verdicts,
        });
        self.latest = Some(snapshot);
    }
}

impl Told {
    pub(crate) fn has(&self, rule: &str, gpu: Option<u32>) -> bool {
        self.verdicts.iter().zip(&self.gpus).any(|(verdict, index)| verdict.rule == rule && *index == gpu)
    }

    /// What is more than information.
    pub(crate) fn alarms(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.severity >= Severity::Warning)
    }
}

/// Plays a scenario; each record may be changed on its way, and has its time in seconds with it.
pub(crate) fn play(scenario: &Scenario, until: Duration, change: &dyn Fn(&mut Record, f64)) -> Vec<Told> {
    let mut player = ScenarioPlayer::new(scenario.clone(), WALL, MONO);
    let mut bench = Bench::default();
    while player.next_at().is_some_and(|at| at < until) {
        let at = player.next_at().unwrap_or_default().as_secs_f64();
        if let Some(mut record) = player.next() {
            change(&mut record, at);
            bench.push(record);
        }
    }
    bench.told
}
