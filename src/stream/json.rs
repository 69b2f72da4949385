//! A JSON line as a borrowed tree, and the few things that writing one needs.
//!
//! `serde_json::Value` would copy every key of every line into a map; the stream's readers know which key comes
//! next, so a list of borrowed pairs is several times cheaper.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write as _};

/// One JSON value, borrowing from its line where nothing is escaped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Json<'a> {
    /// Reads one line.
    pub(super) fn parse(line: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// The members of an object.
    pub(super) fn fields(&self) -> Option<Fields<'_, 'a>> {
        match self {
            Self::Object(entries) => Some(Fields { entries, next: Cell::new(0) }),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub(super) fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            // 2^53: above it, a float no longer says which whole number was meant.
            Self::Float(value) if value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(value) => {
                Some(*value as u64)
            }
            _ => None,
        }
    }

    pub(super) fn signed(&self) -> Option<i64> {
        match self {
            Self::Signed(value) => Some(*value),
            _ => self.unsigned().and_then(|value| i64::try_from(value).ok()),
        }
    }

    /// Any finite number.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => value.is_finite().then_some(*value),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Signed(value) => Some(*value as f64),
            _ => None,
        }
    }
}

/// The members of an object, looked up by name; cheapest in the order in which they were written.
pub(super) struct Fields<'j, 'a> {
    entries: &'j [(Cow<'a, str>, Json<'a>)],
    next: Cell<usize>,
}

impl<'j, 'a> Fields<'j, 'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'j Json<'a>> {
        let next = self.next.get();
        let expected = self.entries.get(next).filter(|(key, _)| key == name).map(|_| next);
        let position = expected.or_else(|| self.entries.iter().position(|(key, _)| key == name))?;
        self.next.set(position + 1);
        self.entries.get(position).map(|(_, value)| value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(value).map_or(Json::Signed(value), Json::Unsigned))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut entries = Vec::with_capacity(8);
        while let Some((Key(key), value)) = access.next_entry()? {
            entries.push((key, value));
        }
        Ok(Json::Object(entries))
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(value)))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Replaces numbers that JSON does not have (`NaN`, `-Infinity`, `1e999`) by `null`, so that one of them costs
/// its own reading and not the line. `None` when there is none. Only looked for in a line that did not parse.
pub(super) fn without_strange_numbers(line: &str) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let mut changed = false;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_length(rest, first));
        if first != '"' && is_strange(token) {
            out.push_str("null");
            changed = true;
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    changed.then_some(out)
}

fn token_length(rest: &str, first: char) -> usize {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if first == '"' {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return at + 1,
                _ => {}
            }
        }
        rest.len()
    } else if word(first) {
        rest.find(|c: char| !word(c)).unwrap_or(rest.len())
    } else {
        first.len_utf8()
    }
}

fn is_strange(token: &str) -> bool {
    // Rust's own parser takes "nan", "inf" and "infinity" in any case, and turns 1e999 into infinity.
    token.parse::<f64>().is_ok_and(|value| !value.is_finite())
}

/// Writes `text` as a JSON string.
pub(super) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\0'..='\x1f' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                _ => out.push(c),
            }
        }
    }
    out.push('"');
}

/// Opens a member: the name, and the comma before it unless it is the first.
pub(super) fn write_name(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

/// Writes a number rounded to `digits` decimals, without trailing zeros; `null` for what is not a number.
pub(super) fn write_rounded(out: &mut String, value: f64, digits: u32) {
    let scale = 10_i64.pow(digits.min(6));
    let scaled = (value * scale as f64).round();
    if !value.is_finite() {
        out.push_str("null");
    } else if scaled.abs() >= 9.0e15 {
        let _ = write!(out, "{value:e}");
    } else {
        let whole = scaled as i64;
        if whole < 0 {
            out.push('-');
        }
        let whole = whole.unsigned_abs();
        let scale = scale.unsigned_abs();
        let _ = write!(out, "{}", whole / scale);
        let mut fraction = whole % scale;
        let mut place = scale / 10;
        if fraction > 0 {
            out.push('.');
        }
        while fraction > 0 && place > 0 {
            let digit = u8::try_from(fraction / place).unwrap_or(0);
            out.push(char::from(b'0' + digit));
            fraction %= place;
            place /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(value: f64, digits: u32) -> String {
        let mut out = String::new();
        write_rounded(&mut out, value, digits);
        out
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(rounded(692.400_024, 1), "692.4");
        assert_eq!(rounded(692.0, 1), "692");
        assert_eq!(rounded(-2.0, 1), "-2");
        assert_eq!(rounded(-0.04, 1), "0");
        assert_eq!(rounded(-0.25, 2), "-0.25");
        assert_eq!(rounded(1.004, 2), "1");
        assert_eq!(rounded(0.005_4, 3), "0.005");
        assert_eq!(rounded(f64::NAN, 1), "null");
        assert_eq!(rounded(f64::NEG_INFINITY, 1), "null");
        assert_eq!(rounded(1e300, 1), "1e300");
    }

    #[test]
    fn strange_numbers_become_null_outside_of_text_only() {
        let line = r#"{"NaN":NaN,"a":[-Infinity,1e999,2.5],"b":"x\"NaN","c":true}"#;
        let repaired = without_strange_numbers(line).unwrap();
        assert_eq!(repaired, r#"{"NaN":null,"a":[null,null,2.5],"b":"x\"NaN","c":true}"#);
        assert_eq!(without_strange_numbers("{\"a\":1"), None);
    }

    #[test]
    fn text_survives() {
        for text in ["", "plain", "a\"b\\c\n\t\r\0\u{1f}é\u{2028}🦀"] {
            let mut out = String::new();
            write_text(&mut out, text);
            assert_eq!(Json::parse(&out).unwrap().text(), Some(text));
        }
    }
}
