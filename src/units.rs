//! Quantities as types that know their unit and how to print themselves.
//!
//! A newtype keeps megahertz from being added to watts, and keeps the unit off every call site that prints.
//! All of them are plain data; none reads a clock.

mod quantity;
mod text;
mod time;

pub use quantity::{Bytes, BytesPerSecond, Celsius, Joules, Megahertz, Percent, Watts};
pub use text::{printable, printable_lines, steers};
pub use time::{Clock, Mono, Wall, format_age};
