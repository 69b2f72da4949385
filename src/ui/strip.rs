//! The verdict strip: the worst that is known, in one sentence, and the keys that lead to it.

use super::theme::Role;
use super::widgets::{Pen, width};
use super::words;
use crate::app::findings::Concern;
use crate::app::{Mode, SourceLife, State, Tab};
use crate::units::format_age;
use ratatui::layout::Rect;

/// The sentence.
struct Sentence {
    mark: &'static str,
    role: Role,
    text: String,
    about: About,
}

/// What it is about: that decides which keys follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// The first of the concerns, a finding.
    Finding,
    /// The first of the concerns, of the doctor.
    Check,
    /// The first of the concerns, a source.
    Source,
    /// None of them.
    Other,
}

fn other(mark: &'static str, role: Role, text: impl Into<String>) -> Sentence {
    Sentence { mark, role, text: text.into(), about: About::Other }
}

/// Draws it.
pub(super) fn render(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let mut concerns = state.concerns();
    if state.without_driver() {
        // What the doctor and the sources have to say then is that there is no driver.
        concerns.retain(|concern| matches!(concern, Concern::Finding(_)));
    }
    let Sentence { mark, role, text, about } = sentence(state, concerns.first());
    let keys = keys(about, concerns.len());
    let x = pen.text(area.x, area.y, area.width, mark, role) + 1;
    let room = area.right().saturating_sub(x);
    let key = width(&keys).min(room);
    let x = pen.text(x, area.y, room - key, &text, role);
    pen.text(x, area.y, key, &keys, Role::Key);
}

/// `v` goes to the evidence of the first concern, `f` lists them all.
fn keys(about: About, count: usize) -> String {
    let first = match about {
        About::Finding => " [v]".to_string(),
        About::Check => format!(" [{}]", Tab::Doctor.number()),
        About::Source => " [f]".to_string(),
        About::Other => String::new(),
    };
    match (about, count.saturating_sub(usize::from(about != About::Other))) {
        (About::Finding, 0) => format!("{first} [f]"),
        (_, 0) => first,
        (About::Source, more) => format!(" +{more} more{first}"),
        (_, more) => format!("{first} +{more} more [f]"),
    }
}

/// The source first: nothing below the strip is current without it.
fn sentence(state: &State, first: Option<&Concern<'_>>) -> Sentence {
    if let Some(sentence) = of_the_source(state) {
        return sentence;
    }
    if let Some(concern @ Concern::Finding(worst)) = first
        && worst.is_a_warning()
    {
        return of(concern);
    }
    if let Mode::Replay(replay) = &state.mode
        && let Some(damage) = &replay.damage
    {
        return other("!", Role::Warning, format!("{} is {damage}", replay.file));
    }
    if state.snapshot().is_none() {
        return other("○", Role::Muted, "waiting for the first reading");
    }
    if state.without_driver() {
        let where_told = if state.on_driver_page() { "see below" } else { "7 Doctor says which layer it is" };
        return other("!", Role::Warning, format!("no NVIDIA driver: {where_told}"));
    }
    first.map_or_else(|| all_clear(state), of)
}

fn all_clear(state: &State) -> Sentence {
    let gpus = state.snapshot().map_or(0, |snapshot| snapshot.gpus.len());
    let gpus = words::counted(gpus as u64, "GPU");
    // A recording that has nothing for the doctor will not get it either.
    if matches!(state.mode, Mode::Live | Mode::Remote) && !state.doctor_has_judged() {
        return other("✓", Role::Good, format!("{gpus}, nothing to report; the doctor has not run yet"));
    }
    other("✓", Role::Good, format!("all clear: {gpus}, nothing to report"))
}

fn of_the_source(state: &State) -> Option<Sentence> {
    let critical = |text: String| Some(other("✗", Role::Critical, text));
    match &state.source {
        SourceLife::Stuck { pid, call } => {
            let call = call.as_ref().map_or_else(String::new, |call| {
                let wait =
                    call.wait_channel.as_ref().map_or_else(String::new, |at| format!(" (waits in {at})"));
                format!(" in {}{wait}", call.call)
            });
            let age = format_age(state.data_age());
            critical(format!(
                "The collector (PID {pid}) hangs{call} for {age} and cannot be killed; no second one is started"
            ))
        }
        SourceLife::Ended { .. } if state.holds_the_collector() => Some(other(
            "!",
            Role::Warning,
            "The collector stands still, so that the GPU is free for the action [A shows it]",
        )),
        SourceLife::Ended { reason, restarting_in } if !matches!(state.mode, Mode::Replay(_)) => {
            let next = match restarting_in {
                Some(after) => match after.saturating_sub(state.waited()) {
                    left if left.as_secs() == 0 => "; a new one starts now".to_string(),
                    left => format!("; a new one starts in {}", format_age(left)),
                },
                None if state.mode == Mode::Live => "; no new one is started [R starts one]".to_string(),
                // What came through standard input cannot be started from here.
                None => String::new(),
            };
            critical(format!("The source ended: {reason}{next}"))
        }
        SourceLife::Running if state.is_late() => Some(other(
            "!",
            Role::Warning,
            format!("no reading for {}: what stands below is old", format_age(state.data_age())),
        )),
        _ => None,
    }
}

/// A concern in a sentence.
fn of(concern: &Concern<'_>) -> Sentence {
    match concern {
        Concern::Finding(verdict) => {
            let (mark, role) = words::mark(verdict.severity);
            Sentence { mark, role, text: verdict.summary.clone(), about: About::Finding }
        }
        Concern::Check(failed) => Sentence {
            mark: "✗",
            role: Role::Critical,
            text: words::failed_checks(failed),
            about: About::Check,
        },
        Concern::Source(source) => {
            let reason = if source.reason.is_empty() { "no reason given" } else { &*source.reason };
            let text = format!("source {} is {}: {reason}", source.name, source.state.name());
            Sentence { mark: "!", role: Role::Warning, text, about: About::Source }
        }
    }
}
