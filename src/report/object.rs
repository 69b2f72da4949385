//! JSON objects that note what is absent in them.

use crate::model::{Absence, Reading};
use crate::units::{Bytes, BytesPerSecond, Celsius, Joules, Megahertz, Percent, Watts};
use serde_json::{Map, Value};
use std::sync::Arc;

/// An object in the making, and what is absent in it.
#[derive(Default)]
pub(super) struct Object {
    pub(super) members: Map<String, Value>,
    pub(super) absent: Map<String, Value>,
}

impl Object {
    /// Puts a reading at a dotted path.
    pub(super) fn put<T: Json>(&mut self, path: &str, reading: &Reading<T>) {
        match reading {
            Ok(value) => self.set(path, value.to_json()),
            Err(absence) => {
                self.set(path, Value::Null);
                self.note(path, absence);
            }
        }
    }

    pub(super) fn note(&mut self, path: &str, absence: &Absence) {
        self.absent.insert(path.to_owned(), absence.name().into());
    }

    pub(super) fn set(&mut self, path: &str, value: Value) {
        let mut members = &mut self.members;
        let mut rest = path;
        while let Some((outer, inner)) = rest.split_once('.') {
            let nested = members.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(nested) = nested else { return };
            members = nested;
            rest = inner;
        }
        members.insert(rest.to_owned(), value);
    }

    pub(super) fn with_absent(mut self) -> Value {
        self.members.insert("absent".into(), Value::Object(self.absent));
        Value::Object(self.members)
    }

    pub(super) fn bare(self) -> Value {
        Value::Object(self.members)
    }
}

/// A float as short as what was measured: `692.4`, not `692.4000244140625`.
pub(super) fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    let short = (value * scale).round() / scale;
    // What is not a number is null: JSON has no other word for it.
    if short.fract() == 0.0 && short.abs() < 9.0e15 { (short as i64).into() } else { short.into() }
}

/// A value as it stands in JSON.
pub(super) trait Json {
    fn to_json(&self) -> Value;
}

macro_rules! as_json {
    ($($type:ty: $convert:expr;)*) => {$(
        impl Json for $type {
            fn to_json(&self) -> Value {
                let convert: fn(&$type) -> Value = $convert;
                convert(self)
            }
        }
    )*};
}

as_json! {
    bool: |value| (*value).into();
    u32: |value| (*value).into();
    u64: |value| (*value).into();
    f32: |value| rounded(f64::from(*value), 3);
    f64: |value| rounded(*value, 3);
    String: |value| value.as_str().into();
    Arc<str>: |value| (&**value).into();
    Vec<String>: |value| value.clone().into();
    Vec<u32>: |value| value.clone().into();
    Bytes: |value| value.0.into();
    Megahertz: |value| value.0.into();
    Watts: |value| rounded(f64::from(value.0), 1);
    Celsius: |value| rounded(f64::from(value.0), 1);
    Percent: |value| rounded(f64::from(value.0), 1);
    Joules: |value| rounded(value.0, 3);
    BytesPerSecond: |value| rounded(value.0, 0);
}
