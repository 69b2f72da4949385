//! `kgtop doctor` and `kgtop doctor explain`.

use super::rfc3339;
use crate::analysis::doctor::{Check, Evidence, Examined, Outcome, Symptom, Tally};
use crate::model::Snapshot;
use crate::units::printable;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The marks of the outcomes, as wide as one letter.
const fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✓",
        Outcome::Warn => "!",
        Outcome::Fail => "✗",
        Outcome::Skipped => "–",
    }
}

/// All checks for people, in the order given. What is wrong is told in full, the rest in a line each.
#[must_use]
pub fn doctor_text(snapshot: &Snapshot, examined: &[Examined]) -> String {
    let tally = Tally::of(examined);
    let mut out = String::new();
    let host = &snapshot.header.host.hostname;
    let on = if host.is_empty() { String::new() } else { format!("{host}: ") };
    let _ = writeln!(
        out,
        "{}{} failed, {} to look at, {} passed, {} skipped\n",
        printable(&on),
        tally.failed,
        tally.warned,
        tally.passed,
        tally.skipped
    );
    let mut skipped: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in examined {
        let Examined { check, found } = one;
        if found.outcome == Outcome::Skipped {
            match skipped.iter_mut().find(|(reason, _)| *reason == found.summary) {
                Some((_, titles)) => titles.push(check.title),
                None => skipped.push((&found.summary, vec![check.title])),
            }
            continue;
        }
        let word = found.outcome.name();
        let _ = writeln!(
            out,
            "{} {word:<7}  {:<11}  {}: {}",
            mark(found.outcome),
            check.layer.title(),
            check.title,
            printable(&found.summary)
        );
        if matches!(found.outcome, Outcome::Warn | Outcome::Fail) {
            in_full(&mut out, one);
        }
    }
    // What was not checked is told by its reason, each once.
    for (reason, titles) in skipped {
        let _ = writeln!(out, "{} skipped  {}", mark(Outcome::Skipped), printable(reason));
        for line in wrapped(&titles.join(", ")) {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// Columns of a line of text; terminals that are read at night have at least 80, and four are the margin.
const COLUMNS: usize = 76;

/// Cuts text between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn in_full(out: &mut String, Examined { check, found }: &Examined) {
    let _ = writeln!(out, "    seen as:    {}", check.symptom);
    for Evidence { place, text } in &found.evidence {
        let _ = writeln!(out, "    evidence:   {}: {}", printable(place), printable(text));
    }
    for advice in &found.advice {
        let _ = writeln!(out, "    what to do: {}", printable(advice));
    }
    for command in &found.fix {
        let _ = writeln!(out, "    command:    {}", printable(command));
    }
    out.push('\n');
}

/// All checks as one object, in the order given, ending with a line end.
#[must_use]
pub fn doctor_json(snapshot: &Snapshot, examined: &[Examined]) -> String {
    let tally = Tally::of(examined);
    let mut root = Map::new();
    root.insert("format".into(), 1.into());
    root.insert("time".into(), rfc3339(snapshot.wall).into());
    root.insert("hostname".into(), (&*snapshot.header.host.hostname).into());
    root.insert("status".into(), tally.status().into());
    for (name, count) in [
        ("passed", tally.passed),
        ("warned", tally.warned),
        ("failed", tally.failed),
        ("skipped", tally.skipped),
    ] {
        root.insert(name.into(), count.into());
    }
    root.insert("checks".into(), examined.iter().map(examined_json).collect());
    format!("{:#}\n", Value::Object(root))
}

fn examined_json(Examined { check, found }: &Examined) -> Value {
    let mut object = Map::new();
    object.insert("check".into(), check.id.into());
    object.insert("layer".into(), check.layer.name().into());
    object.insert("title".into(), check.title.into());
    object.insert("outcome".into(), found.outcome.name().into());
    object.insert("summary".into(), found.summary.as_str().into());
    let evidence = found.evidence.iter().map(|Evidence { place, text }| {
        let mut one = Map::new();
        one.insert("place".into(), place.as_str().into());
        one.insert("text".into(), text.as_str().into());
        Value::Object(one)
    });
    object.insert("evidence".into(), evidence.collect());
    let advice = Some(found.advice.join(" ")).filter(|advice| !advice.is_empty());
    object.insert("advice".into(), advice.into());
    object.insert("fix".into(), found.fix.clone().into());
    object.insert("symptom".into(), check.symptom.into());
    Value::Object(object)
}

/// What stands behind a message, for people.
#[must_use]
pub fn explain_text(message: &str, found: &[&Symptom]) -> String {
    if found.is_empty() {
        return format!(
            "This message is not in the table: \"{}\"\nkgtop doctor checks every layer; kgtop explain decodes Xids and \
             clock event reasons.\n",
            printable(message)
        );
    }
    let mut out = String::new();
    for symptom in found {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "layer:         {}", symptom.layer.title());
        let _ = writeln!(out, "meaning:       {}.", symptom.meaning);
        let _ = writeln!(out, "what to do:    {}", symptom.advice);
        for (index, check) in symptom.checks().enumerate() {
            let label = if index == 0 { "checks:" } else { "" };
            let _ = writeln!(out, "{label:<14} {} ({})", check.id, check.title);
        }
        let _ = writeln!(out, "source:        {}", symptom.source);
    }
    out
}

/// The same as one object.
#[must_use]
pub fn explain_json(message: &str, found: &[&Symptom]) -> String {
    let mut root = Map::new();
    root.insert("format".into(), 1.into());
    root.insert("message".into(), message.into());
    let causes = found.iter().map(|symptom| {
        let mut object = Map::new();
        object.insert("symptom".into(), symptom.id.into());
        object.insert("layer".into(), symptom.layer.name().into());
        object.insert("meaning".into(), symptom.meaning.into());
        object.insert("advice".into(), symptom.advice.into());
        object.insert("checks".into(), symptom.checks().map(|check: &Check| Value::from(check.id)).collect());
        object.insert("source".into(), symptom.source.into());
        Value::Object(object)
    });
    root.insert("causes".into(), causes.collect());
    format!("{:#}\n", Value::Object(root))
}
