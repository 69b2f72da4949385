//! Names that somebody else wrote (in a header, a configuration, a file's name), made safe where they are read: what
//! leaves this module steers no terminal, and takes no more memory than a name needs.

use crate::model::Absence;
use crate::units::printable;

/// Characters of a name that are kept.
const NAME_AT_MOST: usize = 256;
/// Bytes of a path (`PATH_MAX`).
const PATH_AT_MOST: usize = 4_096;

/// A name that steers no terminal, cut where no name is that long.
pub(super) fn plain(text: &str) -> String {
    cut(text, NAME_AT_MOST)
}

/// The same of a path.
pub(super) fn plain_path(text: &str) -> String {
    cut(text, PATH_AT_MOST)
}

/// An absence with a text that quotes a file.
pub(super) fn failed(text: impl AsRef<str>) -> Absence {
    Absence::failed(0, plain_path(text.as_ref()))
}

fn cut(text: &str, most: usize) -> String {
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
    printable(text.get(..end).unwrap_or(text)).into_owned()
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
