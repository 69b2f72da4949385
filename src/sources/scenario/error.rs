//! What is wrong with a scenario file, and where.

use std::fmt;

/// A scenario that cannot be played. Names the file, the line, and for an unknown key the nearest valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1; 0 where the fault is of the whole file.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// The nearest valid key or value, where one is near.
    pub nearest: Option<String>,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}

impl ScenarioError {
    /// A fault of the whole file.
    pub(super) fn whole(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, message: message.into(), nearest: None }
    }

    /// A fault at a byte of the text.
    pub(super) fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Self { line, ..Self::whole(file, message) }
    }

    pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let whole = error.message();
        let (message, nearest) = split_expectation(whole);
        let offset = error.span().map_or(text.len(), |span| span.start);
        Self { nearest, ..Self::at(file, text, offset, message) }
    }
}

/// Serde lists every valid name after "expected": for a person the nearest one is worth more than forty.
fn split_expectation(message: &str) -> (String, Option<String>) {
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let Some((fault, expected)) = message.split_once(", expected").filter(|_| is_unknown) else {
        return (message.lines().next().unwrap_or(message).to_owned(), None);
    };
    let wrong = fault.split('`').nth(1).unwrap_or_default();
    let names = expected.split('`').skip(1).step_by(2);
    match nearest(wrong, names.clone()) {
        Some(name) => (fault.to_owned(), Some(name.to_owned())),
        None => {
            let all: Vec<&str> = names.collect();
            (format!("{fault}; valid here: {}", all.join(", ")), None)
        }
    }
}

/// The name with the least edit distance to `wrong`, if it is near enough to be meant.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).max(2);
    names
        .map(|name| (distance(wrong, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, name)| name)
}

/// Edit distance in which two swapped neighbours count as one edit (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous: Option<char> = None;
    for (i, left) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let cell = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (cell(&row, j) + usize::from(left != *right))
                .min(cell(&row, j + 1) + 1)
                .min(cell(&next, j) + 1);
            let swapped = j > 0 && previous == Some(*right) && b.get(j - 1) == Some(&left);
            if swapped {
                cost = cost.min(cell(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(left);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("temprature", "temperature"), 1);
        assert_eq!(distance("pwoer", "power"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("sitting", "kitten"), 3);
    }

    #[test]
    fn a_far_name_is_no_suggestion() {
        assert_eq!(nearest("zzzzzz", ["power", "fan"].into_iter()), None);
        assert_eq!(nearest("fna", ["power", "fan"].into_iter()), Some("fan"));
    }
}
