//! What can stand in a line: the traits, readings and groups, and the macros that map the model's structs.

use super::json::{Fields, Json, write_name, write_text};
use crate::model::{Absence, Grouped, Reading, ReadingExt};
use std::fmt::Write as _;

/// A value that is not what its place asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The innermost member that is wrong; empty for the value itself.
    pub(super) member: &'static str,
    /// What it should have been (`"a number"`).
    pub(super) wanted: &'static str,
}

impl Malformed {
    pub(super) const fn wanted(wanted: &'static str) -> Self {
        Self { member: "", wanted }
    }

    fn within(self, member: &'static str) -> Self {
        if self.member.is_empty() { Self { member, ..self } } else { self }
    }
}

/// Something that stands in a line.
pub(super) trait Wire: Sized {
    fn write(&self, out: &mut String);

    fn read(json: &Json<'_>) -> Result<Self, Malformed>;

    /// Whether a member of this value is not written at all.
    fn left_out(&self) -> bool {
        false
    }

    /// What a missing member means; `None` where it must be there.
    fn missing() -> Option<Self> {
        None
    }

    /// How a list of these is written, for those with a denser form than one by one.
    fn write_list(items: &[Self], out: &mut String) {
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item.write(out);
        }
        out.push(']');
    }

    fn read_list(json: &Json<'_>) -> Result<Vec<Self>, Malformed> {
        match json {
            Json::List(items) => items.iter().map(Self::read).collect(),
            _ => Err(Malformed::wanted("a list")),
        }
    }
}

/// Something that is an object of named members, so that its members can also stand among others.
pub(super) trait Object: Sized {
    /// The names of its members, in the order in which they are written.
    const NAMES: &'static [&'static str];

    fn write_members(&self, out: &mut String);

    fn read_members(fields: &Fields<'_, '_>) -> Result<Self, Malformed>;
}

/// Reads a member, whatever its absence means.
pub(super) fn member<T: Wire>(fields: &Fields<'_, '_>, name: &'static str) -> Result<T, Malformed> {
    match fields.get(name) {
        Some(json) => T::read(json).map_err(|error| error.within(name)),
        None => T::missing().ok_or(Malformed { member: name, wanted: "there" }),
    }
}

/// Writes a member unless it is left out.
pub(super) fn write_member<T: Wire>(out: &mut String, name: &str, value: &T) {
    if !value.left_out() {
        write_name(out, name);
        value.write(out);
    }
}

/// Maps a struct's fields to the names of members: `object!(Type [flattened] { field => "name" })`.
macro_rules! object {
    ($type:ty $([$($flat:ident),*])? { $($field:ident => $name:literal,)* }) => {
        impl Object for $type {
            const NAMES: &'static [&'static str] = &[$($name),*];

            fn write_members(&self, out: &mut String) {
                $($(self.$flat.write_members(out);)*)?
                $(write_member(out, $name, &self.$field);)*
            }

            fn read_members(fields: &Fields<'_, '_>) -> Result<Self, Malformed> {
                Ok(Self {
                    $($($flat: Object::read_members(fields)?,)*)?
                    $($field: member(fields, $name)?,)*
                })
            }
        }

        impl Wire for $type {
            fn write(&self, out: &mut String) {
                out.push('{');
                self.write_members(out);
                out.push('}');
            }

            fn read(json: &Json<'_>) -> Result<Self, Malformed> {
                Self::read_members(&json.fields().ok_or(Malformed::wanted("an object"))?)
            }
        }

        impl Group for $type {
            fn write_group(&self, out: &mut String) {
                self.write_members(out);
            }

            fn read_group(fields: &Fields<'_, '_>) -> Result<Self, Malformed> {
                Self::read_members(fields)
            }
        }
    };
}
pub(super) use object;

/// Maps an enum's variants to texts. After `else` stands what a text of a newer writer is taken for, where the record
/// is of use without it.
macro_rules! names {
    ($type:ty { $($variant:ident => $name:literal,)* } $(else $unknown:ident)?) => {
        impl Wire for $type {
            fn write(&self, out: &mut String) {
                write_text(out, match self { $(Self::$variant => $name,)* });
            }

            fn read(json: &Json<'_>) -> Result<Self, Malformed> {
                match json.text() {
                    $(Some($name) => Ok(Self::$variant),)*
                    $(Some(_) => Ok(Self::$unknown),)?
                    _ => Err(Malformed::wanted(concat!("one of", $(" ", $name),*))),
                }
            }
        }
    };
}
pub(super) use names;

/// What can stand in a group beside the time of its reading.
pub(super) trait Group: Sized {
    fn write_group(&self, out: &mut String);
    fn read_group(fields: &Fields<'_, '_>) -> Result<Self, Malformed>;
}

/// The name under which a group of one list holds it.
pub(super) const LIST: &str = "list";
/// The name of a group's time.
pub(super) const AT: &str = "at_us";

impl<T: Wire> Group for Vec<T> {
    fn write_group(&self, out: &mut String) {
        write_name(out, LIST);
        self.write(out);
    }

    fn read_group(fields: &Fields<'_, '_>) -> Result<Self, Malformed> {
        member(fields, LIST)
    }
}

impl<T: Wire> Group for Reading<Vec<T>> {
    fn write_group(&self, out: &mut String) {
        write_member(out, LIST, self);
    }

    fn read_group(fields: &Fields<'_, '_>) -> Result<Self, Malformed> {
        member(fields, LIST)
    }
}

impl<T: Group> Wire for Grouped<T> {
    fn write(&self, out: &mut String) {
        out.push('{');
        write_member(out, AT, &self.at);
        self.value.write_group(out);
        out.push('}');
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        let fields = json.fields().ok_or(Malformed::wanted("an object"))?;
        Ok(Self { at: member(&fields, AT)?, value: T::read_group(&fields)? })
    }
}

impl<T: Wire> Wire for Reading<T> {
    fn write(&self, out: &mut String) {
        match self {
            Ok(value) => value.write(out),
            Err(absence) => write_absence(out, absence),
        }
    }

    /// Never fails: what is not a value of this type is an absent reading.
    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        if let Some(absence) = read_absence(json) {
            return Ok(Err(absence));
        }
        Ok(T::read(json).map_err(|error| match json {
            Json::Null => Absence::failed(0, "not a number"),
            _ => Absence::failed(0, format!("not {}", error.wanted)),
        }))
    }

    fn left_out(&self) -> bool {
        self.not_requested()
    }

    fn missing() -> Option<Self> {
        Some(Err(Absence::NotRequested))
    }
}

fn write_absence(out: &mut String, absence: &Absence) {
    out.push('{');
    write_name(out, "absent");
    write_text(out, absence.name());
    match absence {
        Absence::Failed { code, text } => {
            if *code != 0 {
                write_name(out, "code");
                let _ = write!(out, "{code}");
            }
            if !text.is_empty() {
                write_name(out, "detail");
                write_text(out, text);
            }
        }
        Absence::InsufficientHistory { seen_seconds } => {
            write_name(out, "seen_seconds");
            seen_seconds.write(out);
        }
        _ => {}
    }
    out.push('}');
}

fn read_absence(json: &Json<'_>) -> Option<Absence> {
    let fields = json.fields()?;
    let name = fields.get("absent")?;
    let detail = || fields.get("detail").and_then(Json::text).unwrap_or_default();
    Some(match name.text() {
        Some("not_supported") => Absence::NotSupported,
        Some("no_permission") => Absence::NoPermission,
        Some("not_requested") => Absence::NotRequested,
        Some("asleep") => Absence::Asleep,
        Some("lost") => Absence::Lost,
        Some("insufficient_history") => Absence::InsufficientHistory {
            seen_seconds: fields.get("seen_seconds").and_then(Json::float).unwrap_or_default() as f32,
        },
        Some("failed") => {
            let code = fields.get("code").and_then(Json::signed).and_then(|code| i32::try_from(code).ok());
            Absence::failed(code.unwrap_or_default(), detail())
        }
        // A reason that a newer writer knows.
        other => Absence::failed(0, other.unwrap_or("unknown reason")),
    })
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        Ok(T::read(json).ok())
    }

    fn left_out(&self) -> bool {
        self.is_none()
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, out: &mut String) {
        T::write(self, out);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        T::read(json).map(Self::new)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut String) {
        T::write_list(self, out);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        T::read_list(json)
    }

    fn missing() -> Option<Self> {
        Some(Self::new())
    }
}
