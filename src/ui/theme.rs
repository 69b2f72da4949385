//! Colours by role. `Color` is named in this module and below it only; everything else asks for a [`Role`].

mod depth;
mod parse;
mod role;

pub use parse::ThemeError;
pub use role::Role;

use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourDepth {
    /// The 16 named colours.
    Sixteen,
    /// The palette of 256.
    Indexed,
    /// 24 bits.
    True,
}

/// What one role looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    fg: Option<Color>,
    bg: Option<Color>,
    ansi_fg: Option<Color>,
    ansi_bg: Option<Color>,
    modifiers: Modifier,
}

/// A style for each role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    looks: [Look; Role::ALL.len()],
    colour: bool,
}

/// The themes that are part of the binary, by name.
const EMBEDDED: [(&str, &str); 3] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
];

impl Theme {
    /// Names of the embedded themes; the first is the default.
    pub fn names() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    /// The embedded theme of that name.
    #[must_use]
    pub fn embedded(name: &str) -> Option<Self> {
        let (name, text) = EMBEDDED.iter().find(|(known, _)| *known == name)?;
        parse::parse(None, text, &format!("themes/{name}.toml")).ok()
    }

    /// Reads a theme from TOML; `file` is named in errors. Roles that the text leaves out look as in `dark`.
    ///
    /// # Errors
    /// What is wrong, with the file, the line and the nearest valid name.
    pub fn parse(text: &str, file: &str) -> Result<Self, ThemeError> {
        parse::parse(Self::embedded("dark"), text, file)
    }

    /// Without any colour: modifiers only (`NO_COLOR`).
    #[must_use]
    pub fn without_colour(self) -> Self {
        let mut theme = self;
        for (look, role) in theme.looks.iter_mut().zip(Role::ALL) {
            *look = Look { modifiers: look.modifiers | role.colourless(), ..Look::default() };
        }
        Self { colour: false, ..theme }
    }

    /// The nearest look that a terminal of that many colours can show.
    #[must_use]
    pub fn for_depth(self, depth: ColourDepth) -> Self {
        let mut theme = self;
        for look in &mut theme.looks {
            match depth {
                ColourDepth::True => {}
                ColourDepth::Indexed => {
                    look.fg = look.fg.map(depth::indexed);
                    look.bg = look.bg.map(depth::indexed);
                }
                ColourDepth::Sixteen => {
                    look.fg = look.ansi_fg;
                    look.bg = look.ansi_bg;
                }
            }
        }
        theme
    }

    /// For tests: each role has a foreground and a background of its own, so that cells map back to roles
    /// ([`Self::role_of_foreground`], [`Self::role_of_background`]).
    #[must_use]
    pub fn probe() -> Self {
        let mut looks = [Look::default(); Role::ALL.len()];
        for ((index, look), role) in (0_u8..).zip(&mut looks).zip(Role::ALL) {
            look.fg = Some(Color::Indexed(index * 2));
            look.bg = Some(Color::Indexed(index * 2 + 1));
            look.modifiers = role.colourless();
        }
        Self { looks, colour: true }
    }

    /// The role that this foreground colour belongs to, in the probe theme.
    #[must_use]
    pub fn role_of_foreground(&self, colour: Color) -> Option<Role> {
        Role::ALL.into_iter().zip(&self.looks).find(|(_, look)| look.fg == Some(colour)).map(|(role, _)| role)
    }

    /// The role that this background colour belongs to, in the probe theme. A foreground colour that is used as a
    /// background (the upper part of a chart's cell) counts as its role's.
    #[must_use]
    pub fn role_of_background(&self, colour: Color) -> Option<Role> {
        let is = |look: &&Look| look.bg == Some(colour) || look.fg == Some(colour);
        Role::ALL.into_iter().zip(&self.looks).find(|(_, look)| is(look)).map(|(role, _)| role)
    }

    /// Whether there is any colour: without, textures stand in for shades.
    #[must_use]
    pub const fn has_colour(&self) -> bool {
        self.colour
    }

    /// The style of a role. Without a colour of its own it is the terminal's, which also costs the fewest bytes.
    #[must_use]
    pub fn style(&self, role: Role) -> Style {
        let look = self.look(role);
        let fg = Some(look.fg.unwrap_or(Color::Reset));
        Style { fg, bg: look.bg, ..Style::default() }.add_modifier(look.modifiers)
    }

    /// Whether the whole screen is painted: [`Role::Text`] is not just the terminal's own.
    #[must_use]
    pub fn paints(&self) -> bool {
        let style = self.style(Role::Text);
        style.bg.is_some() || style.fg != Some(Color::Reset) || !style.add_modifier.is_empty()
    }

    /// What a role lays over something that is drawn: what it says nothing of stays as it is.
    #[must_use]
    pub fn over(&self, role: Role) -> Style {
        let look = self.look(role);
        Style { fg: look.fg, bg: look.bg, ..Style::default() }.add_modifier(look.modifiers)
    }

    /// A cell whose lower part has one role's colour and whose upper part the other's.
    #[must_use]
    pub fn split(&self, lower: Role, upper: Role) -> Style {
        Style { bg: self.look(upper).fg, ..self.style(lower) }
    }

    fn look(&self, role: Role) -> Look {
        self.looks.get(role as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as WCAG 2 defines them.
    fn luminance(colour: Color) -> Option<f32> {
        let Color::Rgb(red, green, blue) = colour else { return None };
        let linear = |value: u8| {
            let share = f32::from(value) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        Some(0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue))
    }

    #[test]
    fn what_is_old_or_absent_can_be_read_in_the_selected_row() {
        // 3:1 is the least that WCAG 2 asks of large text and of marks.
        for name in Theme::names() {
            let theme = Theme::embedded(name).unwrap();
            let selection = theme.look(Role::Selection);
            for role in [Role::Stale, Role::Absent, Role::Muted] {
                let fg = selection.fg.or_else(|| theme.look(role).fg).and_then(luminance).unwrap();
                let bg = selection.bg.and_then(luminance).unwrap();
                let contrast = (fg.max(bg) + 0.05) / (fg.min(bg) + 0.05);
                assert!(contrast >= 3.0, "{name}: {} has {contrast:.1}:1", role.name());
            }
        }
    }
}
