//! A plan as rows of text: the same in the overlay and in `--dry-run`.

use super::change::Change;
use super::command::gpu_command;
use super::facts::HolderFacts;
use super::plan::{Plan, Target, Weight};
use crate::units::{Bytes, format_age};
use std::time::Duration;

/// One row: a label (empty: it goes on) and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub label: &'static str,
    /// The text.
    pub text: String,
    /// It stands in the way.
    pub is_refusal: bool,
}

impl Plan {
    /// The plan in rows.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut push = |label, text: String| rows.push(Row { label, text, is_refusal: false });
        match &self.target {
            Target::Gpu { uuid, address, label } => {
                push("GPU", format!("{label} at {address}"));
                push("", uuid.clone());
            }
            Target::Process { pid, label, .. } => push("Process", format!("PID {pid}, {label}")),
        }
        let from = self.expected.as_deref().unwrap_or("not readable");
        let change = match self.change {
            Change::Reset
            | Change::LastResort { .. }
            | Change::DefaultApplicationClocks
            | Change::Signal { .. } => self.change.wanted(),
            _ => format!("{from} → {}", self.change.wanted()),
        };
        push("Change", format!("{}: {change}", self.change.setting()));
        if self.already {
            push("", "it is so already: nothing will be sent".to_owned());
        }
        if let Some(range) = &self.range {
            push("Range", range.clone());
        }
        push("Command", self.command.clone());
        for (index, step) in self.steps.iter().enumerate() {
            push(if index == 0 { "Steps" } else { "" }, format!("{}. {step}", index + 1));
        }
        if let Some(effect) = &self.effect {
            push("Effect", effect.clone());
        }
        if let Target::Gpu { .. } = self.target {
            let nobody = match &self.unseen {
                Some(why) => format!("not known: the processes on the GPU could not be read ({why})"),
                None => "nobody is on the GPU".to_owned(),
            };
            many("Disturbs", self.disturbed.iter().map(holder_text), &nobody, &mut push);
        }
        for (index, command) in self.drain.iter().enumerate() {
            push(if index == 0 { "Drain" } else { "" }, command.clone());
        }
        let lost = self.lost.iter().map(|loss| match &loss.restore {
            Some(command) => format!("{}; back with: {command}", loss.what),
            None => loss.what.clone(),
        });
        many("Lost", lost, "nothing", &mut push);
        push("Lasts", self.lasting.clone());
        push("Undo", self.undo_text());
        let refusals = self.refusals.iter().enumerate();
        rows.extend(refusals.map(|(index, refusal)| Row {
            label: if index == 0 { "Refused" } else { "" },
            text: refusal.reason.clone(),
            is_refusal: true,
        }));
        if self.is_allowed() && !self.already {
            let text = match &self.weight {
                Weight::Key => "one key".to_owned(),
                Weight::YesNo => "y or N".to_owned(),
                Weight::Typed { text } => format!("type {text}"),
            };
            rows.push(Row { label: "Confirm", text, is_refusal: false });
        }
        rows
    }

    fn undo_text(&self) -> String {
        match (&self.undo, &self.target) {
            (Some(change), Target::Gpu { address, .. }) => gpu_command(address, change),
            (Some(Change::Renice { nice }), Target::Process { pid, .. }) => {
                format!("renice -n {nice} -p {pid}")
            }
            (Some(Change::Signal { name }), Target::Process { pid, .. }) => format!("kill -s {name} {pid}"),
            (None, _) | (Some(_), Target::Process { .. }) => "cannot be undone".to_owned(),
        }
    }

    /// The plan as text, for the command line, where the question for what is small and can be taken back is one of
    /// yes or no as well.
    #[must_use]
    pub fn text(&self) -> String {
        let mut plan = self.clone();
        if plan.weight == Weight::Key {
            plan.weight = Weight::YesNo;
        }
        plan.rows().iter().map(|row| format!("{:<9} {}\n", row.label, row.text)).collect()
    }
}

fn many(
    label: &'static str,
    texts: impl Iterator<Item = String>,
    none: &str,
    push: &mut impl FnMut(&'static str, String),
) {
    let mut label = Some(label);
    for text in texts {
        push(label.take().unwrap_or(""), text);
    }
    if let Some(label) = label {
        push(label, none.to_owned());
    }
}

fn holder_text(holder: &HolderFacts) -> String {
    let mut text = format!("PID {}", holder.pid);
    let mut add = |part: Option<String>| {
        if let Some(part) = part {
            text.push_str(", ");
            text.push_str(&part);
        }
    };
    add(holder.name.clone());
    add(holder.user.as_ref().map(|user| format!("of {user}")));
    add(holder.age_seconds.map(|age| format!("{} old", format_age(Duration::from_secs(age)))));
    add(holder.memory.map(|bytes| Bytes(bytes).to_string()));
    add(holder
        .container
        .as_ref()
        .map(|(runtime, id)| format!("{runtime} {}", id.chars().take(12).collect::<String>())));
    add(holder.pod.as_ref().map(|pod| format!("pod {pod}")));
    add(holder.slurm_job.as_ref().map(|job| format!("Slurm job {job}")));
    text
}
