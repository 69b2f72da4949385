//! Theme files.

use super::{Look, Role, Theme};
use ratatui::style::{Color, Modifier};
use std::collections::BTreeMap;
use thiserror::Error;
use toml::Spanned;
use toml::Value;

/// What is wrong with a theme file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ThemeError {
    /// It is no TOML, or its shape is another.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A name that is not known.
    #[error("{file}:{line}: unknown {what} `{name}`; the nearest valid one is `{nearest}`")]
    Unknown {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// `role`, `key`, `colour` or `modifier`.
        what: &'static str,
        /// What stands there.
        name: String,
        /// What was probably meant.
        nearest: String,
    },
}

const COLOURS: [(&str, Color); 17] = [
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("gray", Color::Gray),
    ("dark_gray", Color::DarkGray),
    ("light_red", Color::LightRed),
    ("light_green", Color::LightGreen),
    ("light_yellow", Color::LightYellow),
    ("light_blue", Color::LightBlue),
    ("light_magenta", Color::LightMagenta),
    ("light_cyan", Color::LightCyan),
    ("white", Color::White),
];

const MODIFIERS: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

const KEYS: [&str; 5] = ["fg", "bg", "ansi", "ansi_bg", "modifiers"];

type Entry = BTreeMap<Spanned<String>, Spanned<Value>>;

/// Where errors are: the text and its name.
struct Place<'a> {
    text: &'a str,
    file: &'a str,
}

impl Place<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn syntax(&self, offset: usize, message: impl Into<String>) -> ThemeError {
        ThemeError::Syntax { file: self.file.into(), line: self.line(offset), message: message.into() }
    }

    fn unknown<'n>(
        &self,
        offset: usize,
        what: &'static str,
        name: &str,
        valid: impl Iterator<Item = &'n str>,
    ) -> ThemeError {
        let nearest = valid.min_by_key(|known| distance(name, known)).unwrap_or_default();
        ThemeError::Unknown {
            file: self.file.into(),
            line: self.line(offset),
            what,
            name: name.into(),
            nearest: nearest.into(),
        }
    }
}

/// Reads `text` over `base`, which holds for every role that the text leaves out.
pub(super) fn parse(base: Option<Theme>, text: &str, file: &str) -> Result<Theme, ThemeError> {
    let place = Place { text, file };
    let document: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Entry>> = toml::from_str(text)
        .map_err(|error| place.syntax(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut looks = base.map_or_else(|| [Look::default(); Role::ALL.len()], |theme| theme.looks);
    for (section, roles) in document {
        if section.get_ref() != "roles" {
            let offset = section.span().start;
            return Err(place.unknown(offset, "section", section.get_ref(), std::iter::once("roles")));
        }
        for (name, entry) in roles {
            let role = Role::ALL.into_iter().find(|role| role.name() == name.get_ref());
            let names = Role::ALL.iter().map(|role| role.name());
            let role = role.ok_or_else(|| place.unknown(name.span().start, "role", name.get_ref(), names))?;
            if let Some(slot) = looks.get_mut(role as usize) {
                *slot = look(&place, &entry)?;
            }
        }
    }
    Ok(Theme { looks, colour: true })
}

fn look(place: &Place<'_>, entry: &Entry) -> Result<Look, ThemeError> {
    let mut look = Look::default();
    for (key, value) in entry {
        match key.get_ref().as_str() {
            "fg" => look.fg = Some(colour(place, value)?),
            "bg" => look.bg = Some(colour(place, value)?),
            "ansi" => look.ansi_fg = Some(named(place, value)?),
            "ansi_bg" => look.ansi_bg = Some(named(place, value)?),
            "modifiers" => look.modifiers = modifiers(place, value)?,
            other => return Err(place.unknown(key.span().start, "key", other, KEYS.into_iter())),
        }
    }
    Ok(look)
}

fn text<'v>(place: &Place<'_>, value: &'v Spanned<Value>) -> Result<&'v str, ThemeError> {
    let wrong =
        || place.syntax(value.span().start, "a colour is a text: \"#rrggbb\" or a name such as \"green\"");
    value.get_ref().as_str().ok_or_else(wrong)
}

/// `#rrggbb`, `default` (the terminal's own), or one of the sixteen names.
fn colour(place: &Place<'_>, value: &Spanned<Value>) -> Result<Color, ThemeError> {
    let written = text(place, value)?;
    let Some(digits) = written.strip_prefix('#') else { return named(place, value) };
    let number = (digits.len() == 6).then(|| u32::from_str_radix(digits, 16).ok()).flatten();
    let wrong = || place.syntax(value.span().start, format!("`{written}` is not of the form #rrggbb"));
    let [_, red, green, blue] = number.ok_or_else(wrong)?.to_be_bytes();
    Ok(Color::Rgb(red, green, blue))
}

fn named(place: &Place<'_>, value: &Spanned<Value>) -> Result<Color, ThemeError> {
    let written = text(place, value)?;
    let found = COLOURS.iter().find(|(name, _)| *name == written).map(|(_, colour)| *colour);
    let names = COLOURS.iter().map(|(name, _)| *name);
    found.ok_or_else(|| place.unknown(value.span().start, "colour", written, names))
}

fn modifiers(place: &Place<'_>, value: &Spanned<Value>) -> Result<Modifier, ThemeError> {
    let offset = value.span().start;
    let wrong = || place.syntax(offset, "modifiers is a list of texts such as [\"bold\"]");
    let mut all = Modifier::empty();
    for item in value.get_ref().as_array().ok_or_else(wrong)? {
        let written = item.as_str().ok_or_else(wrong)?;
        let found = MODIFIERS.iter().find(|(name, _)| *name == written).map(|(_, modifier)| *modifier);
        let names = MODIFIERS.iter().map(|(name, _)| *name);
        all |= found.ok_or_else(|| place.unknown(offset, "modifier", written, names))?;
    }
    Ok(all)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *slot;
            left = replaced.min(left + 1).min(diagonal + 1);
            *slot = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(None, text, "mine.toml").unwrap_err().to_string()
    }

    #[test]
    fn all_embedded_themes_name_every_role() {
        for name in Theme::names() {
            let theme = Theme::embedded(name).unwrap_or_else(|| panic!("{name} does not parse"));
            for role in Role::ALL {
                let look = theme.look(role);
                assert!(look.fg.or(look.bg).is_some(), "{name} says nothing of {}", role.name());
                assert!(
                    look.ansi_fg.or(look.ansi_bg).is_some() || role == Role::Text,
                    "{name}: {}",
                    role.name()
                );
            }
        }
    }

    #[test]
    fn an_unknown_role_names_file_line_and_the_nearest() {
        let text = "# my theme\n[roles]\ntext = { fg = \"#ffffff\" }\nwarnin = { fg = \"#ffaa00\" }\n";
        assert_eq!(error(text), "mine.toml:4: unknown role `warnin`; the nearest valid one is `warning`");
    }

    #[test]
    fn unknown_keys_colours_and_modifiers_are_told() {
        assert_eq!(
            error("[roles]\ntext = { fgg = \"#ffffff\" }"),
            "mine.toml:2: unknown key `fgg`; the nearest valid one is `fg`"
        );
        assert_eq!(
            error("[roles]\ntext = { fg = \"grean\" }"),
            "mine.toml:2: unknown colour `grean`; the nearest valid one is `green`"
        );
        assert_eq!(
            error("[roles]\ntext = { modifiers = [\"bald\"] }"),
            "mine.toml:2: unknown modifier `bald`; the nearest valid one is `bold`"
        );
        assert_eq!(
            error("[roles]\n\ntext = { fg = \"#ff\" }"),
            "mine.toml:3: `#ff` is not of the form #rrggbb"
        );
        assert!(error("[roles\n").starts_with("mine.toml:1: "));
        assert!(error("[rolls]\n").contains("nearest valid one is `roles`"));
    }

    #[test]
    fn without_colour_only_modifiers_are_left() {
        let theme = Theme::embedded("dark").unwrap().without_colour();
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (Some(Color::Reset), None));
        }
        assert!(theme.style(Role::Selection).add_modifier.contains(Modifier::REVERSED));
        assert_ne!(theme.style(Role::Critical), theme.style(Role::Text));
    }
}
