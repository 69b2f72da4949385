//! What the screen is made of.

mod bar;
mod chart;
mod columns;
mod pen;

pub(super) use bar::{BarPart, bar};
pub(super) use chart::{Chart, Scale, Series, Timeline, chart};
pub(super) use columns::{Align, Column, Placed, place};
pub(super) use pen::{Pen, fitted, width};
