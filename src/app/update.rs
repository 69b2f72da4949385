//! The only place where state changes.

use super::{Effect, Message, Mode, Motion, Overlay, Replay, ReplayProgress, Shown, SourceLife, State};
use super::{actions, events, findings, gpus, processes};
use crate::analysis::Judge;
use crate::analysis::events::{EventLog, Incident};
use crate::model::{Deriver, Record};
use std::sync::Arc;
use std::time::Duration;

/// Lines of the collector's standard error that are kept.
const COLLECTOR_LOG_LINES: usize = 200;

/// Takes a message in; gives what the runtime has to do about it.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    // What was said of keys that came too early is not to vanish with the next one of them.
    if is_intent(&message) && state.plan_to_be_seen().is_none() {
        state.notice = None;
    }
    let mut effects = dispatch(state, message);
    state.refresh_doctor();
    let demand = state.demand();
    if state.demanded != Some(demand) {
        state.demanded = Some(demand);
        effects.push(Effect::Demand(demand));
    }
    effects
}

/// Whether a person did it, rather than the source or the clock.
const fn is_intent(message: &Message) -> bool {
    !matches!(
        message,
        Message::Record(_)
            | Message::Tick(..)
            | Message::Resize(..)
            | Message::SourceEnded { .. }
            | Message::SourceStuck { .. }
            | Message::CollectorStderr(_)
            | Message::Replayed(_)
            | Message::Restore(_)
            | Message::Notify(_)
            | Message::BundleWritten(_)
            | Message::Preflight(_)
            | Message::PlanSeen(_)
            | Message::Undoables(..)
            | Message::ActProgress(_)
            | Message::ActEnded(_)
            | Message::SudoEnded { .. }
    )
}

fn dispatch(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Record(record) => {
            take_record(state, *record);
            return actions::review(state, true);
        }
        Message::Tick(mono, _) => {
            state.ticked_first.get_or_insert(mono);
            state.ticked = Some(mono);
            return actions::tick(state, mono);
        }
        Message::Resize(columns, rows) => {
            // A plan that fitted may not fit any more: it has to be seen again.
            if state.size != (columns, rows) {
                actions::unseen(state);
            }
            state.size = (columns, rows);
        }
        Message::SourceEnded { reason, restarting_in } => {
            state.source = SourceLife::Ended { reason, restarting_in };
            state.ticked_first = None;
        }
        Message::SourceStuck { pid, call } => {
            state.source = SourceLife::Stuck { pid, call };
            state.ticked_first = None;
        }
        Message::CollectorStderr(line) => {
            while state.collector_log.len() >= COLLECTOR_LOG_LINES {
                state.collector_log.pop_front();
            }
            state.collector_log.push_back(line);
        }
        Message::Replayed(progress) => take_progress(state, progress),
        Message::Restore(deriver) => restore(state, *deriver),
        Message::Notify(text) => state.notice = Some(text),
        Message::BundleWritten(outcome) => tell_of_bundle(state, outcome),
        Message::Preflight(preflight) => return actions::take_preflight(state, *preflight),
        Message::PlanSeen(generation) => actions::seen(state, generation),
        Message::Undoables(gpu, changes) => return actions::take_undoables(state, &gpu, changes),
        Message::Hasty => actions::hasty(state),
        Message::ActProgress(progress) => return actions::progress(state, progress),
        Message::ActEnded(outcome) => return actions::ended(state, outcome),
        Message::SudoEnded { text } => return actions::sudo_ended(state, text),

        Message::Quit => return vec![Effect::Quit],
        Message::Suspend => return vec![Effect::Suspend],
        Message::SelectTab(tab) => show_tab(state, tab),
        Message::NextTab => show_tab(state, state.tab.moved(1)),
        Message::PreviousTab => show_tab(state, state.tab.moved(-1)),
        Message::ToggleFreeze => {
            state.frozen = if state.frozen.is_some() { None } else { state.current.clone() };
            state.refresh_rows();
        }
        Message::WriteBundle if state.snapshot().is_none() => {
            state.notice = Some("nothing was read yet: there is nothing to write".into());
        }
        Message::WriteBundle => {
            state.notice = Some("a bundle for the ticket is being written".into());
            return vec![Effect::WriteBundle];
        }
        Message::ShowHelp => state.overlay = Overlay::Help { scroll: 0 },
        Message::ShowFindings => state.overlay = Overlay::Findings { selected: None, scroll: None },
        Message::ShowCollectorLog => {
            state.overlay = Overlay::Notice {
                title: "What the collector wrote to standard error".into(),
                lines: state.collector_log.iter().cloned().collect(),
                scroll: 0,
            };
        }
        Message::CloseOverlay => state.overlay = Overlay::None,
        Message::MoveOverlay { motion, .. } if matches!(state.overlay, Overlay::Actions(_)) => {
            return actions::update(state, actions::Intent::Move(motion));
        }
        Message::MoveOverlay { motion, first, last } => move_overlay(&mut state.overlay, motion, first, last),
        Message::RestartCollector if state.holds_the_collector() => {
            state.notice = Some("the collector starts again when the action is over".into());
        }
        Message::RestartCollector if state.mode == Mode::Live => return vec![Effect::RestartCollector],
        Message::RestartCollector => state.notice = Some("no collector runs here: nothing to restart".into()),
        Message::StartDemo => return start_demo(state),
        Message::TogglePause => {
            return replay(state, |replay| {
                replay.paused = !replay.paused;
                Effect::ReplayPause(replay.paused)
            });
        }
        Message::Seek(seconds) => return replay(state, |replay| Effect::ReplaySeek(sought(replay, seconds))),
        Message::Step(samples) => {
            return replay(state, |replay| {
                replay.paused = true;
                Effect::ReplayStep(samples)
            });
        }
        Message::Faster => return change_speed(state, true),
        Message::Slower => return change_speed(state, false),
        Message::Paste(text) => {
            if state.processes.editing {
                state.processes.type_text(&text);
                state.refresh_rows();
            } else {
                actions::paste(state, &text);
            }
        }
        Message::Findings(intent) => return findings::update(state, &intent),
        Message::Gpus(intent) => {
            let effects = gpus::update(state, intent);
            state.refresh_rows();
            return effects;
        }
        Message::Topology(intent) => return super::topology::update(state, &intent),
        Message::Processes(intent) => return processes::update(state, intent),
        Message::Events(intent) => return events::update(state, intent),
        Message::Actions(intent) => return actions::update(state, intent),
        Message::Storage(intent) => return super::storage::update(state, &intent),
        Message::Doctor(intent) => return super::doctor::update(state, &intent),
    }
    Vec::new()
}

fn take_record(state: &mut State, record: Record) {
    state.source = SourceLife::Running;
    state.ticked = None;
    state.ticked_first = None;
    match &record {
        Record::Header(header) => {
            let other_machine = state.header.as_ref().is_some_and(|old| {
                old.host.boot_id != header.host.boot_id || old.host.hostname != header.host.hostname
            });
            if other_machine {
                forget(state);
            }
            state.events.log.restarted();
            state.settings.interval =
                Duration::try_from_secs_f32(header.interval_seconds).unwrap_or(state.settings.interval);
            state.header = Some(Arc::new(header.clone()));
        }
        Record::Event(event) => {
            let snapshot = state.current.as_ref().map(|shown| &*shown.snapshot);
            state.events.log.push(event, snapshot);
        }
        Record::Inventory(inventory) => state.inventory = Some(Arc::new((**inventory).clone())),
        _ => {}
    }
    if let Some(snapshot) = state.deriver.push(record) {
        state.events.log.refresh(&snapshot);
        let incidents: Vec<&Incident> = state.events.log.incidents().collect();
        let verdicts = state.judge.push_with(&snapshot, &incidents).into();
        state.current = Some(Shown { snapshot: Arc::new(snapshot), verdicts });
        if state.frozen.is_none() {
            state.refresh_rows();
        }
    }
}

/// Says where the bundle is. It never covers what somebody reads or is asked.
fn tell_of_bundle(state: &mut State, outcome: Result<String, String>) {
    let (title, lines) = match outcome {
        Ok(path) => (
            "Bundle written",
            vec![
                path,
                String::new(),
                "The last hour as CSV, events and their raw lines, findings, the snapshot as JSON, and every tab as".into(),
                "text; for its owner alone (mode 0600).".into(),
                "Nothing in it is redacted: kgtop bundle --redact writes one without users, hosts and UUIDs.".into(),
            ],
        ),
        Err(error) => ("No bundle was written", vec![error]),
    };
    if state.overlay == Overlay::None {
        state.notice = None;
        state.overlay = Overlay::Notice { title: title.into(), lines, scroll: 0 };
    } else {
        state.notice = Some(format!("{title}: {}", lines.first().map_or("", String::as_str)));
    }
}

/// Another machine's data begins: nothing of the one before may stay on the screen.
fn forget(state: &mut State) {
    state.drop_action();
    state.current = None;
    state.frozen = None;
    state.inventory = None;
    state.judge = Judge::default();
    state.events.log = EventLog::default();
    state.processes.rows.clear();
}

fn take_progress(state: &mut State, progress: ReplayProgress) {
    if let Mode::Replay(replay) = &mut state.mode {
        replay.position = progress.position;
        replay.length = progress.length.or(replay.length);
        replay.at_end = progress.at_end;
        replay.damage = progress.damage.or_else(|| replay.damage.take());
    }
}

fn restore(state: &mut State, deriver: Deriver) {
    state.events.log = EventLog::default();
    for event in deriver.events() {
        state.events.log.push(event, None);
    }
    state.deriver = deriver;
    state.judge = Judge::default();
    state.current = None;
    state.frozen = None;
    state.processes.rows.clear();
}

pub(super) fn show_tab(state: &mut State, tab: super::Tab) {
    state.tab = tab;
    state.overlay = Overlay::None;
    state.processes.editing = false;
    state.refresh_rows();
}

/// The demo starts with a state of its own; what was chosen stays.
fn start_demo(state: &mut State) -> Vec<Effect> {
    let mut fresh = State::new(state.settings.clone(), Mode::Demo { name: String::new() });
    fresh.size = state.size;
    fresh.demanded = state.demanded;
    *state = fresh;
    vec![Effect::StartDemo(String::new())]
}

fn replay(state: &mut State, change: impl FnOnce(&mut Replay) -> Effect) -> Vec<Effect> {
    match &mut state.mode {
        Mode::Replay(replay) => vec![change(replay)],
        _ => Vec::new(),
    }
}

fn sought(replay: &Replay, seconds: i64) -> Duration {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let position =
        if seconds < 0 { replay.position.saturating_sub(by) } else { replay.position.saturating_add(by) };
    replay.length.map_or(position, |length| position.min(length))
}

fn change_speed(state: &mut State, faster: bool) -> Vec<Effect> {
    replay(state, |replay| {
        replay.speed = replay.next_speed(faster);
        Effect::ReplaySpeed(replay.speed)
    })
}

/// `first` is the line that stands at the top, `last` the last one that can: what only the drawing knows comes with
/// the message.
fn move_overlay(overlay: &mut Overlay, motion: Motion, first: usize, last: usize) {
    let scroll = match overlay {
        Overlay::None | Overlay::Actions(_) => return,
        Overlay::Ask(ask) => &mut ask.scroll,
        Overlay::Findings { scroll, .. } => scroll.get_or_insert(first),
        Overlay::Plan(view) => &mut view.scroll,
        Overlay::Help { scroll }
        | Overlay::Gpu { scroll, .. }
        | Overlay::Process { scroll, .. }
        | Overlay::Progress { scroll }
        | Overlay::Notice { scroll, .. } => scroll,
    };
    *scroll = motion.apply((*scroll).min(last), last.saturating_add(1));
}
