//! From an error message to the layer and the checks behind it.

use super::{Check, Layer, checks};
use std::sync::OnceLock;

const SYMPTOMS: &str = include_str!("../../../assets/symptoms.tsv");

/// What stands behind an error message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symptom {
    /// Stable name, as in JSON.
    pub id: &'static str,
    /// Alternatives of parts that must all be there.
    texts: Vec<Vec<&'static str>>,
    /// The layer.
    pub layer: Layer,
    /// Ids of the checks, the likeliest first; none where nothing on this host shows it.
    pub checks: Vec<&'static str>,
    /// What it means, without a full stop.
    pub meaning: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// Where this comes from.
    pub source: &'static str,
}

impl Symptom {
    /// The checks behind it, the likeliest first.
    pub fn checks(&self) -> impl Iterator<Item = &'static Check> {
        self.checks.iter().filter_map(|id| checks().find(|check| check.id == *id))
    }

    /// How closely a text fits: the letters of the parts that were found.
    fn fit(&self, text: &str) -> usize {
        let fits = self.texts.iter().filter(|parts| parts.iter().all(|part| is_in(text, part)));
        fits.map(|parts| parts.iter().map(|part| part.len()).sum()).max().unwrap_or(0)
    }
}

/// All that are known.
pub fn symptoms() -> &'static [Symptom] {
    static ALL: OnceLock<Vec<Symptom>> = OnceLock::new();
    ALL.get_or_init(|| {
        let lines = SYMPTOMS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.filter_map(symptom).collect()
    })
}

/// Number of lines of the table, for the test that reads every one.
#[cfg(test)]
pub(super) fn rows() -> usize {
    SYMPTOMS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

fn symptom(line: &'static str) -> Option<Symptom> {
    let mut columns = line.split('\t');
    let mut next = || columns.next().filter(|column| !column.is_empty());
    let symptom = Symptom {
        id: next()?,
        texts: next()?.split("||").map(|parts| parts.split("&&").collect()).collect(),
        layer: Layer::from_name(next()?)?,
        checks: next()?.split(',').filter(|id| *id != "-").collect(),
        meaning: next()?,
        advice: next()?,
        source: next()?,
    };
    next().is_none().then_some(symptom)
}

/// What stands behind a message; the closest fit first, nothing where it is not known.
#[must_use]
pub fn explain(text: &str) -> Vec<&'static Symptom> {
    let text = normal(text);
    let mut found: Vec<(usize, &Symptom)> =
        symptoms().iter().map(|symptom| (symptom.fit(&text), symptom)).filter(|(fit, _)| *fit > 0).collect();
    found.sort_by_key(|(fit, _)| std::cmp::Reverse(*fit));
    found.into_iter().map(|(_, symptom)| symptom).collect()
}

/// Whether a part is in a text, and not as a piece of a longer number: error 43 is not 431.
fn is_in(text: &str, part: &str) -> bool {
    let digit = |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit());
    text.match_indices(part).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        !(digit(part.chars().next()) && digit(before) || digit(part.chars().next_back()) && digit(after))
    })
}

/// Lower case, no quotes, single blanks.
fn normal(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '"' | '\'' | '`' | '’' | '‘' | '“' | '”' | '\\'))
        .map(|c| if c.is_whitespace() { ' ' } else { c.to_ascii_lowercase() })
        .collect();
    plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
