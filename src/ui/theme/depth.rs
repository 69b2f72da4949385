//! From 24-bit colours to the palette of 256.

use ratatui::style::Color;

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
