//! Lines of labelled values, in the making.

use super::super::{Line, wrapped};
use crate::model::Reading;
use crate::ui::theme::Role;
use crate::ui::widgets::width;
use crate::ui::words;
use std::fmt::Display;

/// Width of a label.
const LABEL: usize = 14;

/// A value and what it is of: `70.0 GiB` `used`.
pub(super) struct Cell {
    pub(super) value: (String, Role),
    pub(super) name: &'static str,
}

pub(super) fn cell<T: Display>(reading: &Reading<T>, name: &'static str) -> Cell {
    Cell { value: words::reading(reading, Role::Text), name }
}

/// Lines in the making.
pub(super) struct Sheet {
    pub(super) lines: Vec<Line>,
    pub(super) columns: u16,
    /// What is known is no longer so: values are greyed.
    pub(super) past: bool,
}

impl Sheet {
    /// A line of air before what belongs together.
    pub(super) fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
    }

    /// A label and its cells, over as many lines as they need.
    pub(super) fn row(&mut self, label: &str, cells: impl IntoIterator<Item = Cell>) {
        let begin = |label: &str| vec![(format!("{label:<LABEL$}"), Role::Muted)];
        let mut line = begin(label);
        let mut taken = LABEL as u16;
        for Cell { value: (text, role), name } in cells {
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            let wide = width(&text) + width(&name);
            let first = line.len() == 1;
            if !first && taken + 3 + wide > self.columns {
                self.lines.push(std::mem::replace(&mut line, begin("")));
                taken = LABEL as u16;
            } else if !first {
                line.push(("   ".into(), Role::Text));
                taken += 3;
            }
            line.push((text, if self.past && role == Role::Text { Role::Stale } else { role }));
            line.push((name, Role::Muted));
            taken += wide;
        }
        self.lines.push(line);
    }

    /// A label and a text that may be longer than a line.
    pub(super) fn text(&mut self, label: &str, text: &str, role: Role) {
        let room = self.columns.saturating_sub(LABEL as u16);
        for (index, part) in wrapped(text, room).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.lines.push(vec![(format!("{label:<LABEL$}"), Role::Muted), (part, role)]);
        }
    }
}
