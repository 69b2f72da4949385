//! How the leaves of the model look in a line: numbers as short as what was measured, texts, lists.

use super::json::{Json, write_rounded, write_text};
use super::wire::{Malformed, Wire};
use crate::model::GpuId;
use crate::units::{Bytes, BytesPerSecond, Celsius, Joules, Megahertz, Mono, Percent, Wall, Watts};
use std::fmt::Write as _;
use std::sync::Arc;

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn write(&self, out: &mut String) {
        out.push('[');
        self.0.write(out);
        out.push(',');
        self.1.write(out);
        out.push(']');
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        match json {
            Json::List(pair) => match pair.as_slice() {
                [first, second] => Ok((A::read(first)?, B::read(second)?)),
                _ => Err(Malformed::wanted("a pair")),
            },
            _ => Err(Malformed::wanted("a pair")),
        }
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    fn write(&self, out: &mut String) {
        T::write_list(self, out);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        T::read_list(json)?.try_into().map_err(|_list: Vec<T>| Malformed::wanted("a list of that length"))
    }
}

const NUMBER: Malformed = Malformed::wanted("a number");

macro_rules! whole {
    ($($type:ty, $through:ident, $wrap:expr, $unwrap:expr;)*) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut String) {
                let unwrap: fn(&$type) -> _ = $unwrap;
                let _ = write!(out, "{}", unwrap(self));
            }

            fn read(json: &Json<'_>) -> Result<Self, Malformed> {
                let value = json.$through().ok_or(NUMBER)?;
                value.try_into().map($wrap).map_err(|_too_large| NUMBER)
            }
        }
    )*};
}

whole! {
    u16, unsigned, |value: u16| value, |value| *value;
    u32, unsigned, |value: u32| value, |value| *value;
    Megahertz, unsigned, Megahertz, |value| value.0;
}

macro_rules! wide {
    ($($type:ty, $through:ident, $wrap:expr, $unwrap:expr;)*) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut String) {
                let unwrap: fn(&$type) -> _ = $unwrap;
                let _ = write!(out, "{}", unwrap(self));
            }

            fn read(json: &Json<'_>) -> Result<Self, Malformed> {
                json.$through().map($wrap).ok_or(NUMBER)
            }
        }
    )*};
}

wide! {
    u64, unsigned, |value| value, |value| *value;
    i64, signed, |value| value, |value| *value;
    Bytes, unsigned, Bytes, |value| value.0;
    Mono, unsigned, Mono, |value| value.0;
    Wall, signed, Wall, |value| value.0;
}

impl Wire for u8 {
    fn write(&self, out: &mut String) {
        u16::from(*self).write(out);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        u16::read(json)?.try_into().map_err(|_too_large| NUMBER)
    }
}

/// Floats and how many decimals of them are kept: what the driver resolves, and no noise behind it.
macro_rules! rounded {
    ($($type:ty, $digits:literal, $wrap:expr, $unwrap:expr;)*) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut String) {
                let unwrap: fn(&$type) -> f64 = $unwrap;
                write_rounded(out, unwrap(self), $digits);
            }

            fn read(json: &Json<'_>) -> Result<Self, Malformed> {
                let wrap: fn(f64) -> Option<$type> = $wrap;
                json.float().and_then(wrap).ok_or(NUMBER)
            }
        }
    )*};
}

rounded! {
    Watts, 1, |value| Watts::new(value as f32), |value| f64::from(value.0);
    Celsius, 1, |value| Celsius::new(value as f32), |value| f64::from(value.0);
    Percent, 1, |value| Percent::new(value as f32), |value| f64::from(value.0);
    Joules, 3, Joules::new, |value| value.0;
    BytesPerSecond, 0, BytesPerSecond::new, |value| five_digits(value.0);
    f32, 3, |value| Some(value as f32).filter(|value| value.is_finite()), |value| f64::from(*value);
    f64, 2, |value| Some(value).filter(|value| value.is_finite()), |value| *value;
}

/// Rates keep five significant digits: the driver measures none of them better.
fn five_digits(value: f64) -> f64 {
    let above = value.abs().log10().floor() - 4.0;
    if above <= 0.0 || !above.is_finite() {
        return value;
    }
    let unit = 10_f64.powi(above as i32);
    (value / unit).round() * unit
}

impl Wire for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        match json {
            Json::Bool(value) => Ok(*value),
            _ => Err(Malformed::wanted("true or false")),
        }
    }
}

impl Wire for char {
    fn write(&self, out: &mut String) {
        write_text(out, self.encode_utf8(&mut [0; 4]));
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        let mut letters = json.text().unwrap_or_default().chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(letter),
            _ => Err(Malformed::wanted("one letter")),
        }
    }
}

impl Wire for Arc<str> {
    fn write(&self, out: &mut String) {
        write_text(out, self);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        json.text().map(Into::into).ok_or(Malformed::wanted("text"))
    }
}

impl Wire for GpuId {
    fn write(&self, out: &mut String) {
        self.0.write(out);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        Arc::read(json).map(Self)
    }
}
