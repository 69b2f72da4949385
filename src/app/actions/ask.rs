//! A value that an action needs, as it is typed.

use super::{Subject, plan};
use crate::actions::{Change, ClockDomain, ClockRange, PowerValue};
use crate::app::{Effect, Overlay, State};
use crate::model::known;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Watts, per cent of the default, or `default`.
    PowerLimit,
    /// A range of MHz.
    Clocks(ClockDomain),
    /// A niceness.
    Niceness,
}

/// The longest value there is.
const LONGEST: usize = 24;

/// An open question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What it is about.
    pub(crate) subject: Subject,
    /// What is asked.
    pub(crate) question: Question,
    /// What was typed.
    pub(crate) text: String,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
    /// First line shown of what can be written.
    pub(crate) scroll: usize,
}

impl Ask {
    pub(super) const fn new(subject: Subject, question: Question) -> Self {
        Self { subject, question, text: String::new(), error: None, scroll: 0 }
    }

    pub(super) fn type_text(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.text.chars().count() < LONGEST {
                self.text.push(character);
            }
        }
        self.error = None;
    }

    pub(super) fn backspace(&mut self) {
        self.text.pop();
        self.error = None;
    }
}

impl State {
    /// What can be set, as far as the GPU tells.
    pub(crate) fn range_of(&self, ask: &Ask) -> Option<String> {
        let Subject::Gpu(id) = &ask.subject else { return None };
        let facts = self.gpu_facts(id)?;
        match ask.question {
            Question::PowerLimit => {
                let (least, most) = known(&facts.power_range)?;
                let now = known(&facts.power_limit).map(|now| format!("; now {now}")).unwrap_or_default();
                let default = known(&facts.default_power_limit);
                let default = default.map(|watts| format!(", default {watts}")).unwrap_or_default();
                Some(format!("{least} to {most}{default}{now}"))
            }
            Question::Clocks(domain) => {
                let highest = match domain {
                    ClockDomain::Graphics => facts.max_graphics_clock,
                    ClockDomain::Memory => facts.max_memory_clock,
                };
                Some(format!("up to {}", known(&highest)?))
            }
            Question::Niceness => None,
        }
    }
}

/// Takes the value: a plan, or what is wrong.
pub(super) fn accept(state: &mut State) -> Vec<Effect> {
    let Overlay::Ask(ask) = &state.overlay else { return Vec::new() };
    let subject = ask.subject.clone();
    match change(state, ask) {
        Ok(change) => plan::begin(state, subject, change),
        Err(error) => {
            if let Overlay::Ask(ask) = &mut state.overlay {
                ask.error = Some(error);
                ask.scroll = 0;
            }
            Vec::new()
        }
    }
}

fn change(state: &State, ask: &Ask) -> Result<Change, String> {
    let text = ask.text.trim();
    match ask.question {
        Question::PowerLimit => {
            let default = match &ask.subject {
                Subject::Gpu(id) => state.gpu_facts(id).and_then(|facts| known(&facts.default_power_limit)),
                Subject::Process(_) => None,
            };
            let default = default.map(|watts| (watts.0 * 1_000.0).round() as u32);
            Ok(Change::PowerLimit { milliwatts: text.parse::<PowerValue>()?.milliwatts(default)? })
        }
        Question::Clocks(domain) => {
            let ClockRange(least, most) = text.parse()?;
            Ok(Change::LockClocks { domain, least, most })
        }
        Question::Niceness => text
            .parse()
            .map(|nice| Change::Renice { nice })
            .map_err(|_not_a_number| "a niceness is a number from -20 (first) to 19 (last)".to_owned()),
    }
}
