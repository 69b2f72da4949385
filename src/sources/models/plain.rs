//! Names that somebody else wrote (in a header, a configuration, a file's name), made safe where they are read: what
//! leaves this module steers no terminal, and takes no more memory than a name needs.

use crate::model::Absence;

/// Characters of a name that are kept.
const NAME_AT_MOST: usize = 256;
/// Bytes of a path (`PATH_MAX`).
const PATH_AT_MOST: usize = 4_096;

/// A name of which control characters are shown as dots, cut where no name is that long.
pub(super) fn plain(text: &str) -> String {
    text.chars().take(NAME_AT_MOST).map(shown).collect()
}

/// The same of a path.
pub(super) fn plain_path(text: &str) -> String {
    text.chars().take(PATH_AT_MOST).map(shown).collect()
}

/// An absence with a text that quotes a file.
pub(super) fn failed(text: impl AsRef<str>) -> Absence {
    Absence::failed(0, plain_path(text.as_ref()))
}

fn shown(c: char) -> char {
    if steers(c) { '·' } else { c }
}

/// Control characters, and those that reverse what is written after them (Unicode, "Bidirectional Formatting
/// Characters").
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_steers_no_terminal_and_ends() {
        assert_eq!(plain("ll\u{1b}]52;c;x\u{7}ama\u{202e}"), "ll·]52;c;x·ama·");
        assert_eq!(plain("Qwen2.5 模型"), "Qwen2.5 模型");
        assert_eq!(plain(&"x".repeat(100_000)).len(), NAME_AT_MOST);
        assert_eq!(failed("a\nb"), Absence::failed(0, "a·b"));
    }
}
