//! The one loop of the monitor: input, records, signals and ticks become messages; effects are carried out.

mod sudo;

use super::clipboard::copy;
use super::feed::{Command, Feed, FeedEvent};
use super::hands::{Hands, HandsEvent};
use super::keyboard::Keyboard;
use super::last_resort::LastResort;
use super::log::Log;
use super::{bundle, demo};
use crate::app::{Effect, Message, Settings, State, update};
use crate::terminal::{self, Guard, Screen};
use crate::ui::{self, theme::Theme};
use crate::units::{Clock, Mono};
use color_eyre::eyre::{Context, Result};
use crossterm::event::Event;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::layout::Rect;
use std::time::Duration;
use sudo::COLLECTOR_STAYS;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Everything the loop holds.
pub(super) struct Loop {
    pub(super) state: State,
    pub(super) theme: Theme,
    pub(super) feed: Feed,
    /// What carries actions out, where any can be expressed.
    pub(super) hands: Option<Hands>,
    pub(super) clock: Clock,
    pub(super) mouse: bool,
    pub(super) settings: Settings,
    pub(super) log: Log,
}

/// Signals that end or stop the monitor.
struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            go_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }
}

/// A plan can be confirmed when it was on the screen for so long without a key: a key that was pressed before the
/// picture reached the eye (through SSH, or held down) confirms nothing.
const LOOKED_AT: Duration = Duration::from_millis(250);

/// While records keep coming, a frame is drawn no sooner than this after the last one: a backlog of a kernel log is
/// hundreds of records at once, and nobody sees each of them.
const FRAME: Duration = Duration::from_millis(33);

/// A plan that waits to have been looked at.
#[derive(Clone, Copy)]
struct Look {
    generation: u64,
    until: Mono,
}

/// What woke the loop.
enum Woken {
    Input(Option<std::io::Result<Event>>),
    Feed(Option<FeedEvent>),
    Hands(HandsEvent),
    /// The plan of that generation has been looked at.
    Seen(u64),
    Stop,
    /// The process goes on after a stop.
    GoneOn,
    Leave,
    Tick,
    /// Nothing else is there to be taken in before the next frame.
    Quiet,
    Told(Message),
}

impl Loop {
    /// Runs until the operator leaves. The terminal is given back on every way out.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut signals = Signals::listen().wrap_err("the signal handlers could not be installed")?;
        // Dropped after the guard: giving the terminal back can block as well.
        let _last_resort = LastResort::begin().wrap_err("the thread for signals could not be started")?;
        let guard = Guard::enter(self.mouse).wrap_err("the terminal could not be taken over")?;
        let mut screen = terminal::screen().wrap_err("the terminal's size could not be read")?;
        if let Ok(size) = screen.size() {
            update(&mut self.state, Message::Resize(size.width, size.height));
        }
        self.tick();
        self.draw(&mut screen)?;
        let mut input = Keyboard::new();
        let demand = self.state.demand();
        self.command(Command::Demand(demand));
        let mut feed_open = true;
        // What threads of their own have done: the screen never waits for a disk.
        let (done, mut told) = tokio::sync::mpsc::channel::<Message>(1);
        let mut look: Option<Look> = None;
        // Since when there is something that the last frame does not show, and when that frame was drawn.
        let mut undrawn: Option<Mono> = None;
        let mut drawn = (self.clock.mono)();
        // The stop was ours, and the terminal is taken again already.
        let mut own_stop = false;
        loop {
            let tick = self.state.tick_after();
            look = self.look(look);
            let looking = look.map(|look| look.until.since((self.clock.mono)()));
            let rest = FRAME.saturating_sub((self.clock.mono)().since(drawn));
            let woken = tokio::select! {
                biased;
                event = input.next() => Woken::Input(event),
                _ = signals.terminate.recv() => Woken::Leave,
                _ = signals.hangup.recv() => Woken::Leave,
                _ = signals.interrupt.recv() => Woken::Leave,
                _ = signals.stop.recv() => Woken::Stop,
                _ = signals.go_on.recv() => Woken::GoneOn,
                Some(message) = told.recv() => Woken::Told(message),
                event = from(&mut self.hands) => Woken::Hands(event),
                event = self.feed.events.recv(), if feed_open => Woken::Feed(event),
                () = quiet(rest), if undrawn.is_some() => Woken::Quiet,
                () = tokio::time::sleep(looking.unwrap_or(Duration::MAX)), if looking.is_some() => {
                    Woken::Seen(look.map_or(0, |look| look.generation))
                }
                () = tokio::time::sleep(tick.unwrap_or(Duration::MAX)), if tick.is_some() => Woken::Tick,
            };
            let fed = matches!(woken, Woken::Feed(_));
            let messages = match woken {
                Woken::Leave | Woken::Input(None | Some(Err(_))) => return Ok(()),
                Woken::Input(Some(Ok(event))) => {
                    let typed = matches!(event, Event::Key(_) | Event::Paste(_));
                    if typed {
                        look = None;
                    }
                    let more = typed && self.state.is_armed() && input.has_more();
                    // Keys that come all at once are pasted, or were held up on the way.
                    match input.ahead() {
                        Some(Event::Key(_)) if more => vec![Message::Hasty],
                        _ => self.input(&screen, &event),
                    }
                }
                Woken::Hands(event) => self.hands_messages(event),
                // What still lies in the terminal's queue was typed before.
                Woken::Seen(_)
                    if rustix::io::ioctl_fionread(std::io::stdin()).is_ok_and(|bytes| bytes > 0) =>
                {
                    look = None;
                    vec![]
                }
                Woken::Seen(generation) => vec![Message::PlanSeen(generation)],
                Woken::Feed(Some(event)) => self.feed_messages(event),
                Woken::Feed(None) => {
                    feed_open = false;
                    Vec::new()
                }
                Woken::Stop => {
                    own_stop = true;
                    stop(&guard, &mut screen, Stopped::Alone)?;
                    vec![]
                }
                Woken::GoneOn => {
                    // A stop that was not ours (SIGSTOP) left the shell with the terminal in its own modes.
                    if !std::mem::take(&mut own_stop) {
                        away(&guard, &mut screen, || ())?;
                    }
                    vec![]
                }
                Woken::Quiet => vec![],
                Woken::Tick => vec![self.now()],
                Woken::Told(message) => vec![message],
            };
            for message in messages {
                for effect in update(&mut self.state, message) {
                    match effect {
                        Effect::Quit => return Ok(()),
                        Effect::Suspend => {
                            own_stop = true;
                            stop(&guard, &mut screen, Stopped::Group)?;
                        }
                        Effect::WriteBundle => write_bundle(self.state.clone(), self.clock, done.clone()),
                        Effect::Sudo(words) => {
                            // Whoever else reads the terminal would take the password's letters.
                            drop(input);
                            self.draw(&mut screen)?;
                            let mut said = COLLECTOR_STAYS.to_owned();
                            if self.collector_leaves().await? {
                                let hands = self.hands.as_ref();
                                away(&guard, &mut screen, || {
                                    said = hands.map_or_else(String::new, |hands| hands.sudo(&words));
                                })?;
                            }
                            input = Keyboard::new();
                            // It may have been resized while nobody read its events.
                            if let Ok(size) = screen.size() {
                                self.tell(Message::Resize(size.width, size.height))?;
                            }
                            self.tell(Message::SudoEnded { text: said })?;
                        }
                        other => {
                            feed_open |= matches!(other, Effect::StartDemo(_));
                            self.carry_out(other)?;
                        }
                    }
                }
            }
            // What is to be confirmed is looked at from the moment on that it can be.
            let more_may_come = fed && self.state.plan_to_be_seen().is_none();
            let now = (self.clock.mono)();
            if more_may_come && now.since(*undrawn.get_or_insert(now)) < FRAME {
                continue;
            }
            self.draw(&mut screen)?;
            (undrawn, drawn) = (None, (self.clock.mono)());
        }
    }

    fn input(&self, screen: &Screen, event: &Event) -> Vec<Message> {
        let area = screen.size().map(|size| Rect::new(0, 0, size.width, size.height)).unwrap_or_default();
        let meant = ui::input::message_for(&self.state, area, event);
        // What is confirmed has an age.
        let now = self.state.acts().then(|| self.now());
        now.into_iter().chain(meant).collect()
    }

    /// The plan that is being looked at, and until when that takes.
    fn look(&self, last: Option<Look>) -> Option<Look> {
        let generation = self.state.plan_to_be_seen().filter(|_| ui::confirmable(&self.state))?;
        let last = last.filter(|look| look.generation == generation);
        Some(last.unwrap_or_else(|| Look { generation, until: (self.clock.mono)().plus(LOOKED_AT) }))
    }

    fn hands_messages(&self, event: HandsEvent) -> Vec<Message> {
        let message = match event {
            HandsEvent::Preflight(preflight) => Message::Preflight(preflight),
            HandsEvent::Undoables(gpu, changes) => Message::Undoables(gpu, changes),
            HandsEvent::Progress(progress) => Message::ActProgress(progress),
            HandsEvent::Ended(outcome) => Message::ActEnded(outcome),
        };
        vec![self.now(), message]
    }

    fn feed_messages(&mut self, event: FeedEvent) -> Vec<Message> {
        match &event {
            FeedEvent::Complaint(line) => self.log.line(line),
            FeedEvent::Ended { reason, .. } => self.log.line(reason),
            FeedEvent::Lingers { pid } => self.log.line(&format!("collector {pid} cannot exit")),
            _ => {}
        }
        let message = match event {
            FeedEvent::Record(record) => Message::Record(record),
            FeedEvent::Complaint(line) => Message::CollectorStderr(line.to_string()),
            FeedEvent::Ended { reason, restarting_in } => Message::SourceEnded { reason, restarting_in },
            FeedEvent::Progress(progress) => Message::Replayed(progress),
            FeedEvent::Restore(deriver) => Message::Restore(deriver),
            FeedEvent::Lingers { pid } => Message::SourceStuck { pid, call: None },
        };
        vec![self.now(), message]
    }

    fn now(&self) -> Message {
        Message::Tick((self.clock.mono)(), (self.clock.wall)())
    }

    fn tick(&mut self) {
        let now = self.now();
        let _nothing_to_do = update(&mut self.state, now);
    }

    fn carry_out(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Demand(demand) => self.command(Command::Demand(demand)),
            Effect::ListSnapshots(dataset) => self.command(Command::ListSnapshots(dataset)),
            Effect::RestartCollector => self.command(Command::Restart),
            Effect::ReplayPause(paused) => self.command(Command::Pause(paused)),
            Effect::ReplaySpeed(speed) => self.command(Command::Speed(speed)),
            Effect::ReplaySeek(position) => self.command(Command::Seek(position)),
            Effect::ReplayStep(samples) => self.command(Command::Step(samples)),
            Effect::StartDemo(name) => {
                let (mode, feed) = demo::start(&name, self.clock)?;
                self.state = State::new(self.settings.clone(), mode);
                self.hands = None;
                self.feed = feed;
                self.tick();
                self.command(Command::Demand(self.state.demand()));
            }
            Effect::Copy(text) => copy(&text),
            Effect::ReadAgain => self.command(Command::Refresh),
            Effect::HoldCollector(hold) => self.command(Command::Hold(hold)),
            Effect::Preflight(wanted) => {
                if let Some(hands) = &self.hands {
                    hands.preflight(wanted);
                }
            }
            Effect::ReadUndoables(gpu) => {
                if let Some(hands) = &self.hands {
                    hands.undoables(gpu);
                }
            }
            Effect::Act(confirmed) => {
                if let Some(hands) = &self.hands {
                    hands.act(&confirmed);
                }
            }
            Effect::Quit | Effect::Suspend | Effect::WriteBundle | Effect::Sudo(_) => {}
        }
        Ok(())
    }

    fn command(&self, command: Command) {
        // A feed that takes no commands any more has ended, and its last event says so.
        let _ended = self.feed.commands.try_send(command);
    }

    fn draw(&self, screen: &mut Screen) -> Result<()> {
        let failed = "the terminal could not be written to";
        crossterm::queue!(screen.backend_mut(), BeginSynchronizedUpdate).wrap_err(failed)?;
        // What `Terminal::draw` does but for its end: the guard has hidden the cursor already, and a frame is one write.
        screen.autoresize().wrap_err(failed)?;
        ui::render(&self.state, &self.theme, &mut screen.get_frame());
        screen.flush().wrap_err(failed)?;
        screen.swap_buffers();
        crossterm::execute!(screen.backend_mut(), EndSynchronizedUpdate).wrap_err(failed)?;
        Ok(())
    }
}

/// Waits until whatever feeds the screen had its turn, and for the rest of the last frame's time.
async fn quiet(rest: Duration) {
    tokio::task::yield_now().await;
    if !rest.is_zero() {
        tokio::time::sleep(rest).await;
    }
}

/// Writes the bundle on a thread of its own: a home on a network that hangs must not hold the screen.
fn write_bundle(state: State, clock: Clock, done: tokio::sync::mpsc::Sender<Message>) {
    std::thread::spawn(move || {
        let outcome = bundle::of_screen(&state, clock);
        let _left = done.blocking_send(Message::BundleWritten(outcome));
    });
}

/// Who is stopped.
#[derive(Clone, Copy)]
enum Stopped {
    /// This process: the signal came to it, and to the others of its job where it was meant for them.
    Alone,
    /// The job, as the terminal does for Ctrl-Z: the shell waits for all of a pipeline. The collector and a child that
    /// acts lead sessions of their own and go on.
    Group,
}

/// Gives the terminal back, stops as the shell expects, and takes the terminal again.
fn stop(guard: &Guard, screen: &mut Screen, who: Stopped) -> Result<()> {
    use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
    away(guard, screen, || {
        // SIGSTOP rather than SIGTSTP: the handler for the latter is ours.
        let _refused = match who {
            Stopped::Alone => kill_process(getpid(), Signal::STOP),
            Stopped::Group => kill_current_process_group(Signal::STOP),
        };
    })
}

/// Gives the terminal back for as long as `body` takes.
fn away(guard: &Guard, screen: &mut Screen, body: impl FnOnce()) -> Result<()> {
    guard.suspended(body).wrap_err("the terminal could not be taken again")?;
    // Not `clear`: that asks the terminal where its cursor is, and waits for an answer. Taking the size anew clears
    // as well, and the window may have another one after the stop.
    let size = screen.size().wrap_err("the terminal's size could not be read")?;
    screen.resize(Rect::new(0, 0, size.width, size.height)).wrap_err("the terminal could not be cleared")?;
    Ok(())
}

/// What comes next from what was begun; never, where nothing can be.
async fn from(hands: &mut Option<Hands>) -> HandsEvent {
    let event = match hands {
        Some(hands) => hands.next().await,
        None => None,
    };
    match event {
        Some(event) => event,
        None => std::future::pending().await,
    }
}
