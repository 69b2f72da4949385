//! Confirmation by weight. Nothing here acts on a plan that has not been seen, that is stale, or that would be
//! refused.

use super::{Confirmed, Run, plan, run};
use crate::actions::Weight;
use crate::app::{Effect, Overlay, State};

/// What the answer to a question of yes or no is kept as.
const YES: &str = "y";
/// The longest text that is typed to confirm.
const LONGEST: usize = 24;

/// A character of what is typed to confirm. What comes before the plan was seen is dropped.
pub(super) fn type_character(state: &mut State, character: char) {
    let Overlay::Plan(view) = &mut state.overlay else { return };
    if view.armed && view.is_typed() && view.typed.chars().count() < LONGEST {
        view.typed.push(character);
    }
}

/// Yes: enough for what is small and can be taken back; where somebody is disturbed Enter has to follow.
pub(super) fn yes(state: &mut State) -> Vec<Effect> {
    let Overlay::Plan(view) = &mut state.overlay else { return Vec::new() };
    if !view.armed {
        return Vec::new();
    }
    match view.weight() {
        Some(Weight::Key) => return act(state),
        Some(Weight::YesNo) => view.typed = YES.to_owned(),
        Some(Weight::Typed { .. }) | None => {}
    }
    Vec::new()
}

/// Enter: takes what was typed. Without a yes it is a no.
pub(super) fn accept(state: &mut State) -> Vec<Effect> {
    let Overlay::Plan(view) = &mut state.overlay else { return Vec::new() };
    let armed = view.armed;
    match view.weight() {
        Some(Weight::YesNo) if armed && view.typed == YES => return act(state),
        // Enter that was pressed on the window before must not close this one either.
        Some(Weight::YesNo) if armed => state.overlay = Overlay::None,
        Some(Weight::Typed { text }) if armed => {
            if view.typed.trim().eq_ignore_ascii_case(text) {
                return act(state);
            }
            state.notice = Some(format!("this is confirmed by typing {text}, and Enter"));
            view.typed.clear();
        }
        None if view.plan.is_some() => state.overlay = Overlay::None,
        Some(_) | None => {}
    }
    Vec::new()
}

/// Hands the plan over to be carried out.
fn act(state: &mut State) -> Vec<Effect> {
    let Overlay::Plan(view) = &state.overlay else { return Vec::new() };
    if state.run().is_some_and(Run::is_running) {
        state.notice = Some("another action runs: one at a time".into());
        return Vec::new();
    }
    if !plan::is_fresh(state) {
        return plan::review(state, false);
    }
    let confirmed = match (state.authority(), &view.plan) {
        (Some(authority), Some(plan)) => Confirmed::by(authority, plan),
        _ => None,
    };
    let Some(confirmed) = confirmed else { return Vec::new() };
    state.actions.run = Some(Run::new(view.subject.clone(), confirmed.plan().clone(), state.actions.now));
    state.overlay = Overlay::Progress { scroll: run::AT_THE_END };
    vec![Effect::Act(Box::new(confirmed))]
}

/// Runs it through sudo: there the plan is shown and confirmed again, with root's eyes. Offered only where root's
/// rights are all that is missing. What takes the GPU away finds it free of this screen's collector: root's kgtop
/// cannot tell this one to stop it.
pub(super) fn through_sudo(state: &mut State) -> Vec<Effect> {
    let Overlay::Plan(view) = &state.overlay else { return Vec::new() };
    let (Some(plan), Some(host)) = (view.plan.as_ref().filter(|plan| plan.needs_only_root()), view.host())
    else {
        return Vec::new();
    };
    if state.run().is_some_and(Run::is_running) {
        state.notice = Some("another action runs: one at a time".into());
        return Vec::new();
    }
    let takes_it_away = plan.change.takes_the_gpu_away();
    let mut words = vec![host.program.clone()];
    words.extend(plan.act_words());
    state.overlay = Overlay::None;
    let mut effects = Vec::new();
    if takes_it_away {
        state.actions.held = true;
        state.notice = Some("the collector leaves the GPU; sudo comes when it is gone".into());
        effects.push(Effect::HoldCollector(true));
    }
    effects.push(Effect::Sudo(words));
    effects
}

/// sudo came back: the collector may run again, and reads what is now.
pub(in crate::app) fn sudo_ended(state: &mut State, text: String) -> Vec<Effect> {
    state.notice = Some(text);
    let mut effects = Vec::new();
    if std::mem::take(&mut state.actions.held) {
        effects.push(Effect::HoldCollector(false));
    }
    effects.push(Effect::ReadAgain);
    effects
}

/// Copies the command: kgtop's own through sudo where only root's rights are missing, else the system's tool's. What
/// is refused for anything else is not to be done with another tool either.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let Overlay::Plan(view) = &state.overlay else { return Vec::new() };
    let (Some(plan), Some(host)) = (&view.plan, view.host()) else { return Vec::new() };
    let line = if plan.needs_only_root() {
        plan.sudo_line(&host.program)
    } else if plan.is_allowed() {
        plan.command.clone()
    } else {
        state.notice = Some("this is refused: its command is not copied".into());
        return Vec::new();
    };
    state.notice = Some(format!("copied: {line}"));
    vec![Effect::Copy(line)]
}
