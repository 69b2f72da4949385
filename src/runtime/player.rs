//! Plays a tape (a recording or a scenario) at its own pace, and goes where it is told.

use super::feed::{Command, FeedEvent};
use crate::app::ReplayProgress;
use crate::model::{Deriver, Record};
use crate::sources::recording::{ReplayCursor, Target};
use crate::sources::scenario::{Scenario, ScenarioPlayer};
use crate::units::{Clock, Mono, Wall};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};

/// What can be played.
pub(super) enum Tape {
    /// A recording; a looping one begins again at its end.
    Recording { cursor: Box<ReplayCursor>, looping: bool },
    /// A scenario, whose times begin where it was started.
    Scenario(Box<ScenarioTape>),
}

/// A scenario being played.
pub(super) struct ScenarioTape {
    scenario: Arc<Scenario>,
    player: ScenarioPlayer,
    wall: Wall,
    mono: Mono,
}

impl ScenarioTape {
    pub(super) fn new(scenario: Scenario, wall: Wall, mono: Mono) -> Self {
        let scenario = Arc::new(scenario);
        let player = ScenarioPlayer::new(Arc::clone(&scenario), wall, mono);
        Self { scenario, player, wall, mono }
    }

    /// Plays from the start to just before `target` without showing it.
    fn refold(&mut self, target: Duration) -> Box<Deriver> {
        self.player = ScenarioPlayer::new(Arc::clone(&self.scenario), self.wall, self.mono);
        let mut deriver = Box::<Deriver>::default();
        while self.player.next_at().is_some_and(|at| at < target) {
            if let Some(record) = self.player.next() {
                deriver.push(record);
            }
        }
        deriver
    }
}

impl Tape {
    fn next(&mut self) -> Option<Record> {
        match self {
            Self::Recording { cursor, .. } => cursor.next(),
            Self::Scenario(tape) => tape.player.next(),
        }
    }

    /// Time from the first sample to the newest given out.
    fn elapsed(&self) -> Duration {
        match self {
            Self::Recording { cursor, .. } => cursor.elapsed(),
            Self::Scenario(tape) => tape.player.position(),
        }
    }

    fn length(&self) -> Option<Duration> {
        match self {
            Self::Recording { cursor, .. } => Some(cursor.span().duration()),
            Self::Scenario(tape) => tape.scenario.ends().then(|| tape.scenario.duration()),
        }
    }

    fn damage(&self) -> Option<String> {
        match self {
            Self::Recording { cursor, .. } => cursor.damage().first().map(ToString::to_string),
            Self::Scenario(_) => None,
        }
    }

    fn seek(&mut self, position: Duration) -> Box<Deriver> {
        match self {
            Self::Recording { cursor, .. } => {
                let at = cursor.span().first.plus(position);
                cursor.seek(Target::At(at))
            }
            Self::Scenario(tape) => tape.refold(position),
        }
    }

    /// Goes `by` samples on (or back) from the newest given out.
    fn step(&mut self, by: i32) -> Box<Deriver> {
        match self {
            Self::Recording { cursor, .. } => cursor.seek_by(i64::from(by)),
            Self::Scenario(tape) => {
                let interval = tape.scenario.interval();
                let distance = interval * by.unsigned_abs();
                let now = tape.player.position();
                let target = if by < 0 { now.saturating_sub(distance) } else { now + distance };
                tape.refold(target)
            }
        }
    }
}

/// The task that plays.
pub(super) struct Player {
    tape: Tape,
    speed: f32,
    paused: bool,
    /// A sample to be shown although the player stands still.
    show_one: bool,
    /// A sample's time on the tape and when it was shown: the pace counts from there.
    anchor: Option<(Mono, Mono)>,
    events: Sender<FeedEvent>,
    commands: Receiver<Command>,
    clock: Clock,
}

impl Player {
    pub(super) const fn new(
        tape: Tape,
        speed: f32,
        events: Sender<FeedEvent>,
        commands: Receiver<Command>,
        clock: Clock,
    ) -> Self {
        Self { tape, speed, paused: false, show_one: false, anchor: None, events, commands, clock }
    }

    pub(super) async fn run(mut self) {
        let mut record = self.tape.next();
        // Ends when the screen goes away: its channels close.
        loop {
            match record.take() {
                None => {
                    if self.begin_again().await {
                        record = self.tape.next();
                        continue;
                    }
                    self.tell(true).await;
                    let Some(command) = self.commands.recv().await else { return };
                    if self.obey(command).await {
                        record = self.tape.next();
                    }
                }
                Some(next) => {
                    let sample = match &next {
                        Record::Sample(sample) => Some(sample.mono),
                        _ => None,
                    };
                    if let Some(mono) = sample
                        && !self.show_one
                    {
                        match self.wait_until_due(mono).await {
                            Wait::Due => {}
                            Wait::Moved => {
                                record = self.tape.next();
                                continue;
                            }
                            Wait::Gone => return,
                        }
                    }
                    // A recording's last word is not the screen's source leaving.
                    if !matches!(next, Record::Bye(_))
                        && self.events.send(FeedEvent::Record(Box::new(next))).await.is_err()
                    {
                        return;
                    }
                    if sample.is_some() {
                        self.show_one = false;
                        self.tell(false).await;
                    }
                    record = self.tape.next();
                }
            }
        }
    }

    /// Waits until the sample of `mono` is due, taking commands meanwhile.
    async fn wait_until_due(&mut self, mono: Mono) -> Wait {
        loop {
            let now = (self.clock.mono)();
            let (tape, shown) = *self.anchor.get_or_insert((mono, now));
            let due = shown.plus(mono.since(tape).div_f32(self.speed.max(0.01)));
            let command = if self.paused {
                self.commands.recv().await
            } else {
                match tokio::time::timeout(due.since(now), self.commands.recv()).await {
                    Err(_due) => return Wait::Due,
                    Ok(command) => command,
                }
            };
            let Some(command) = command else { return Wait::Gone };
            if self.obey(command).await {
                return Wait::Moved;
            }
        }
    }

    /// Does as told; whether the tape was moved.
    async fn obey(&mut self, command: Command) -> bool {
        self.anchor = None;
        let deriver = match command {
            Command::Pause(paused) => {
                self.paused = paused;
                return false;
            }
            Command::Speed(speed) => {
                self.speed = speed;
                return false;
            }
            Command::Seek(position) => self.tape.seek(position),
            Command::Step(by) => {
                self.paused = true;
                self.tape.step(by)
            }
            Command::Demand(_)
            | Command::ListSnapshots(_)
            | Command::Restart
            | Command::Refresh
            | Command::Hold(_) => return false,
        };
        self.show_one = true;
        let _left = self.events.send(FeedEvent::Restore(deriver)).await;
        true
    }

    /// A demo's recording begins again at its end, with a fold that has seen nothing.
    async fn begin_again(&mut self) -> bool {
        if !matches!(self.tape, Tape::Recording { looping: true, .. }) {
            return false;
        }
        self.anchor = None;
        let deriver = self.tape.seek(Duration::ZERO);
        self.events.send(FeedEvent::Restore(deriver)).await.is_ok()
    }

    async fn tell(&mut self, at_end: bool) {
        let progress = ReplayProgress {
            position: self.tape.elapsed(),
            length: self.tape.length(),
            at_end,
            damage: self.tape.damage(),
        };
        let _left = self.events.send(FeedEvent::Progress(progress)).await;
    }
}

enum Wait {
    Due,
    Moved,
    Gone,
}
