//! Text from outside that is shown on a terminal.

use std::borrow::Cow;

/// What is shown in the place of a character that would steer the terminal.
const IN_ITS_PLACE: char = '·';

/// Control characters steer a terminal (they clear it, or set the clipboard); those of the bidirectional algorithm
/// (Unicode Standard Annex 9, "Directional Formatting Characters") make a line read otherwise than it is; and two more
/// end a line.
#[must_use]
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// One line of text from outside, as a terminal may have it: what would steer it is shown as `·`, line ends too.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    without(text, steers)
}

/// The same for text of several lines.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    without(text, |character| character != '\n' && steers(character))
}

fn without(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().any(&unwanted) {
        Cow::Owned(text.chars().map(|c| if unwanted(c) { IN_ITS_PLACE } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_a_dot() {
        assert_eq!(printable("ll\u{1b}]52;c;\u{7}x\ny\u{9b}2J\u{202e}z"), "ll·]52;c;·x·y·2J·z");
        assert_eq!(printable_lines("a\r\nb\tc\u{7f}"), "a·\nb·c·");
        assert!(matches!(printable("héllo 模型 🦀"), Cow::Borrowed("héllo 模型 🦀")));
    }
}
