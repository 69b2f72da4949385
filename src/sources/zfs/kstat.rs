//! The text form of a named kernel statistic.

use std::collections::HashMap;

/// Rows of one file: `name type value`, where the value of a text (type 7) is the rest of the line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kstat {
    created_ns: u64,
    rows: HashMap<String, String>,
}

impl Kstat {
    /// Reads a file; `None` if it has not the two lines of heading.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // 41 1 0x01 7 2160 6165713428 20486843127: the last two are when it was created and read, ns since boot.
        let heading: Vec<&str> = lines.next()?.split_whitespace().collect();
        let created_ns = heading.len().checked_sub(2).and_then(|index| heading.get(index)?.parse().ok())?;
        lines.next().filter(|line| line.starts_with("name"))?;
        let rows = lines
            .filter_map(|line| {
                let (name, rest) = line.split_once(char::is_whitespace)?;
                let (_kind, value) = rest.trim_start().split_once(char::is_whitespace)?;
                Some((name.to_owned(), value.trim_start().to_owned()))
            })
            .collect();
        Some(Self { created_ns, rows })
    }

    /// When the counters began, ns since boot.
    pub(super) const fn created_ns(&self) -> u64 {
        self.created_ns
    }

    /// A row as it stands.
    pub(super) fn text(&self, row: &str) -> Option<&str> {
        self.rows.get(row).map(String::as_str)
    }

    /// A row as a count. Rows that can be negative (`memory_available_bytes`) have no count then.
    pub(super) fn unsigned(&self, row: &str) -> Option<u64> {
        self.text(row)?.trim_end().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_is_whole_and_a_negative_row_is_no_count() {
        let text = "47 1 0x01 7 2160 6165713428 20486843127\nname   type data\n\
                    dataset_name                    7    rpool/ai/with 4 spaces 7\n\
                    nread                           4    42\nmemory_available_bytes  3    -12\n";
        let kstat = Kstat::parse(text).unwrap();
        assert_eq!(kstat.text("dataset_name"), Some("rpool/ai/with 4 spaces 7"));
        assert_eq!(kstat.unsigned("nread"), Some(42));
        assert_eq!(kstat.unsigned("memory_available_bytes"), None);
        assert_eq!(kstat.created_ns(), 6_165_713_428);
    }

    #[test]
    fn garbage_is_no_statistic() {
        for text in ["", "x", "a b c\n", "1 2 3\nnot a heading\n"] {
            assert_eq!(Kstat::parse(text), None, "{text:?}");
        }
    }
}
