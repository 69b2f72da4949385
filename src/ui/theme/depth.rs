//! How many colours a terminal has, and from 24-bit colours to the palette of 256.

use super::ColourDepth;
use ratatui::style::Color;

/// Beginnings of the names of terminals that show 24-bit colours and do not say so in their name: `COLORTERM`, by which
/// they say it otherwise, does not pass through ssh. From their own terminfo entries and manuals.
const TRUE_COLOUR_TERMINALS: [&str; 6] =
    ["alacritty", "contour", "foot", "wezterm", "xterm-ghostty", "xterm-kitty"];

impl ColourDepth {
    /// What a terminal shows by its environment variables `COLORTERM` and `TERM`; `None`: no colour at all.
    #[must_use]
    pub fn of_terminal(colorterm: &str, term: &str) -> Option<Self> {
        if term.is_empty() || term == "dumb" {
            return None;
        }
        // https://github.com/termstandard/colors names the two values; `-direct` is ncurses' suffix.
        let says_true = matches!(colorterm, "truecolor" | "24bit") || term.ends_with("-direct");
        if says_true || TRUE_COLOUR_TERMINALS.iter().any(|name| term.starts_with(name)) {
            return Some(Self::True);
        }
        Some(if term.ends_with("-256color") { Self::Indexed } else { Self::Sixteen })
    }
}

/// Levels of the 6 × 6 × 6 cube of the xterm palette.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest colour of the xterm palette, of its cube or its greys. The first 16 are left out: they are the
/// user's own.
pub(super) fn indexed(colour: Color) -> Color {
    let Color::Rgb(red, green, blue) = colour else { return colour };
    let nearest = |value: u8| {
        LEVELS
            .iter()
            .zip(0_u8..)
            .min_by_key(|(level, _)| level.abs_diff(value))
            .map_or((0, 0), |(l, i)| (*l, i))
    };
    let ((r, ri), (g, gi), (b, bi)) = (nearest(red), nearest(green), nearest(blue));
    let cube = (distance((red, green, blue), (r, g, b)), 16 + 36 * ri + 6 * gi + bi);
    let greys = (0_u8..24).map(|step| {
        let level = 8 + 10 * step;
        (distance((red, green, blue), (level, level, level)), 232 + step)
    });
    let best = greys.fold(cube, |best, grey| if grey.0 < best.0 { grey } else { best });
    Color::Indexed(best.1)
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_says_how_many_colours_it_has() {
        for (colorterm, term, depth) in [
            ("truecolor", "xterm-256color", Some(ColourDepth::True)),
            ("24bit", "screen", Some(ColourDepth::True)),
            ("", "xterm-direct", Some(ColourDepth::True)),
            ("", "xterm-kitty", Some(ColourDepth::True)),
            ("", "xterm-256color", Some(ColourDepth::Indexed)),
            ("", "tmux-256color", Some(ColourDepth::Indexed)),
            ("", "screen-256color", Some(ColourDepth::Indexed)),
            // Some set it to nothing in particular: it then says that there is colour, not how much.
            ("1", "rxvt-unicode-256color", Some(ColourDepth::Indexed)),
            ("", "linux", Some(ColourDepth::Sixteen)),
            ("", "xterm", Some(ColourDepth::Sixteen)),
            ("", "xterm-16color", Some(ColourDepth::Sixteen)),
            ("", "screen", Some(ColourDepth::Sixteen)),
            ("", "dumb", None),
            ("truecolor", "dumb", None),
            ("", "", None),
        ] {
            assert_eq!(ColourDepth::of_terminal(colorterm, term), depth, "COLORTERM={colorterm} TERM={term}");
        }
    }

    #[test]
    fn exact_colours_stay_exact() {
        assert_eq!(indexed(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(indexed(Color::Rgb(8, 8, 8)), Color::Indexed(232));
        assert_eq!(indexed(Color::Rgb(0, 0, 0)), Color::Indexed(16));
        assert_eq!(indexed(Color::Red), Color::Red);
    }

    #[test]
    fn a_grey_stays_grey() {
        assert!(matches!(indexed(Color::Rgb(0x47, 0x4d, 0x59)), Color::Indexed(232..=255)));
    }
}
