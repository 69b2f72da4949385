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

/// No slower than this: at a speed of nearly nothing the next sample would be due in years.
const SLOWEST: f32 = 0.01;

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
    /// `None` while it is being moved, on a thread of its own.
    tape: Option<Tape>,
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
        let tape = Some(tape);
        Self { tape, speed, paused: false, show_one: false, anchor: None, events, commands, clock }
    }

    pub(super) async fn run(mut self) {
        let mut record = self.next();
        // Ends when the screen goes away: its channels close.
        loop {
            match record.take() {
                None => {
                    if self.begin_again().await {
                        record = self.next();
                        continue;
                    }
                    self.tell(true).await;
                    let Some(command) = self.commands.recv().await else { return };
                    if self.obey(command).await {
                        record = self.next();
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
                                record = self.next();
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
                    if let Some(mono) = sample {
                        if std::mem::take(&mut self.show_one) {
                            self.anchor = Some((mono, (self.clock.mono)()));
                        }
                        self.tell(false).await;
                    }
                    record = self.next();
                }
            }
        }
    }

    /// Waits until the sample of `mono` is due, taking commands meanwhile.
    async fn wait_until_due(&mut self, mono: Mono) -> Wait {
        loop {
            let now = (self.clock.mono)();
            let due = self.due(mono, now);
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

    fn next(&mut self) -> Option<Record> {
        self.tape.as_mut().and_then(Tape::next)
    }

    /// When the sample of `mono` is to be shown.
    fn due(&mut self, mono: Mono, now: Mono) -> Mono {
        let (tape, shown) = *self.anchor.get_or_insert((mono, now));
        shown.plus(mono.since(tape).div_f32(self.pace()))
    }

    /// Seconds of the tape that pass in one, while it runs.
    const fn pace(&self) -> f32 {
        self.speed.max(SLOWEST)
    }

    /// Counts on from where the tape stands now: what passed until now, passed at the pace until now.
    fn anchor_here(&mut self, now: Mono) {
        if let Some((tape, shown)) = self.anchor {
            let passed = now.since(shown).as_secs_f64() * f64::from(self.pace());
            let passed = Duration::try_from_secs_f64(passed).unwrap_or(Duration::MAX);
            self.anchor = Some((if self.paused { tape } else { tape.plus(passed) }, now));
        }
    }

    /// Does as told; whether the tape was moved.
    async fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Pause(paused) => {
                self.anchor_here((self.clock.mono)());
                self.paused = paused;
                false
            }
            Command::Speed(speed) => {
                self.anchor_here((self.clock.mono)());
                self.speed = speed;
                false
            }
            Command::Seek(position) => self.go(move |tape| tape.seek(position)).await,
            Command::Step(by) => {
                self.paused = true;
                self.go(move |tape| tape.step(by)).await
            }
            // Nothing that moves the tape: its pace goes on.
            Command::Demand(_)
            | Command::ListSnapshots(_)
            | Command::Restart
            | Command::Refresh
            | Command::Hold(_) => false,
        }
    }

    /// Moves the tape on a thread of its own, as an hour may have to be folded, and shows the sample there.
    async fn go(&mut self, to: impl FnOnce(&mut Tape) -> Box<Deriver> + Send + 'static) -> bool {
        let Some(mut tape) = self.tape.take() else { return false };
        let moved = tokio::task::spawn_blocking(move || {
            let deriver = to(&mut tape);
            (tape, deriver)
        });
        // It fails only when the screen leaves.
        let Ok((tape, deriver)) = moved.await else { return false };
        self.tape = Some(tape);
        self.anchor = None;
        self.show_one = true;
        let _left = self.events.send(FeedEvent::Restore(deriver)).await;
        true
    }

    /// A demo's recording begins again at its end, with a fold that has seen nothing.
    async fn begin_again(&mut self) -> bool {
        if !matches!(self.tape, Some(Tape::Recording { looping: true, .. })) {
            return false;
        }
        let moved = self.go(|tape| tape.seek(Duration::ZERO)).await;
        self.show_one = false;
        moved && !self.events.is_closed()
    }

    async fn tell(&mut self, at_end: bool) {
        let Some(tape) = &self.tape else { return };
        let progress =
            ReplayProgress { position: tape.elapsed(), length: tape.length(), at_end, damage: tape.damage() };
        let _left = self.events.send(FeedEvent::Progress(progress)).await;
    }
}

enum Wait {
    Due,
    Moved,
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Demand;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::sync::mpsc::channel;

    /// The clock of these tests, in seconds.
    static NOW: AtomicU64 = AtomicU64::new(0);

    fn mono() -> Mono {
        at(NOW.load(Ordering::SeqCst))
    }

    const fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000)
    }

    fn on_loop(body: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
    }

    fn player() -> (Player, Receiver<FeedEvent>) {
        let text = "title = \"t\"\nduration_seconds = 600\n[[gpu]]\nmodel = \"h100\"\n";
        let scenario = Scenario::parse(text, "test").unwrap();
        let tape = Tape::Scenario(Box::new(ScenarioTape::new(scenario, Wall(0), Mono(0))));
        let (events, received) = channel(64);
        let (_commands, wanted) = channel(1);
        (Player::new(tape, 1.0, events, wanted, Clock { mono, wall: || Wall(0) }), received)
    }

    /// One test, as the clock is one: samples lie 20 s apart on the tape, and the first is shown at 1,000 s.
    #[test]
    fn only_what_moves_the_tape_changes_where_it_stands() {
        on_loop(async {
            let (mut player, _events) = player();
            NOW.store(1_000, Ordering::SeqCst);
            assert_eq!(player.due(at(0), mono()), at(1_000), "the first is due at once");
            assert_eq!(player.due(at(20), mono()), at(1_020));
            NOW.store(1_005, Ordering::SeqCst);
            let unmoved = [
                Command::Demand(Demand::all()),
                Command::ListSnapshots(None),
                Command::Restart,
                Command::Refresh,
                Command::Hold(true),
            ];
            for command in unmoved {
                assert!(!player.obey(command.clone()).await);
                assert_eq!(player.due(at(20), mono()), at(1_020), "{command:?}");
            }
            // 10 s of the tape are left at 1,010 s, and pass in 5 s.
            NOW.store(1_010, Ordering::SeqCst);
            assert!(!player.obey(Command::Speed(2.0)).await);
            assert_eq!(player.due(at(20), mono()), at(1_015));
            // 4 s of them are left when it is paused: they are left when it goes on.
            NOW.store(1_013, Ordering::SeqCst);
            assert!(!player.obey(Command::Pause(true)).await);
            NOW.store(2_000, Ordering::SeqCst);
            assert!(!player.obey(Command::Speed(1.0)).await);
            assert!(!player.obey(Command::Pause(false)).await);
            assert_eq!(player.due(at(20), mono()), at(2_004));
            // A speed that no time can hold is no panic.
            assert!(!player.obey(Command::Speed(f32::MAX)).await);
            NOW.store(3_000, Ordering::SeqCst);
            assert!(!player.obey(Command::Speed(1.0)).await);
        });
    }

    #[test]
    fn the_tape_is_moved_on_another_thread_than_the_screens() {
        on_loop(async {
            let (mut player, mut events) = player();
            let here = std::thread::current().id();
            let (told, thread) = std::sync::mpsc::channel();
            let to = move |tape: &mut Tape| {
                told.send(std::thread::current().id()).unwrap();
                tape.seek(Duration::from_secs(60))
            };
            assert!(player.go(to).await);
            assert_ne!(thread.recv().unwrap(), here);
            assert!(matches!(events.recv().await, Some(FeedEvent::Restore(_))));
            assert!(player.next().is_some(), "the tape is back in its place");
        });
    }
}
