//! The tabs that exist, and how a selection moves in them.

/// A tab. Its number on the keyboard is its place in [`Tab::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tab {
    /// All GPUs, and one of them in detail.
    #[default]
    Gpus,
    /// Who holds GPU memory.
    Processes,
    /// How the devices are joined.
    Topology,
    /// What holds the GPUs back.
    Limits,
    /// What the kernel and the driver reported.
    Events,
    /// The filesystems that hold models, and the models on them.
    Storage,
    /// The layers from the bus to the container.
    Doctor,
}

impl Tab {
    /// All tabs, in the order of their numbers.
    pub const ALL: &[Self] = &[
        Self::Gpus,
        Self::Processes,
        Self::Topology,
        Self::Limits,
        Self::Events,
        Self::Storage,
        Self::Doctor,
    ];

    /// What the tab bar calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Gpus => "GPUs",
            Self::Processes => "Processes",
            Self::Topology => "Topology",
            Self::Limits => "Limits",
            Self::Events => "Events",
            Self::Storage => "Storage",
            Self::Doctor => "Doctor",
        }
    }

    /// The tab of that name (`gpus`) or number (`1`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let by_number = name.parse::<usize>().ok().and_then(Self::from_number);
        by_number.or_else(|| Self::ALL.iter().copied().find(|tab| tab.title().eq_ignore_ascii_case(name)))
    }

    /// The tab of that number, from 1.
    #[must_use]
    pub fn from_number(number: usize) -> Option<Self> {
        Self::ALL.get(number.checked_sub(1)?).copied()
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).map_or(1, |index| index + 1)
    }

    /// The tab `by` places further, around the end.
    #[must_use]
    pub fn moved(self, by: isize) -> Self {
        let count = Self::ALL.len().cast_signed();
        let index = (self.number().cast_signed() - 1 + by).rem_euclid(count.max(1));
        Self::ALL.get(index.cast_unsigned()).copied().unwrap_or(self)
    }
}

/// How a selection moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One up.
    Previous,
    /// One down.
    Next,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
    /// That many rows further.
    By(isize),
}

/// How many rows a page key moves where nobody said how many the screen shows.
const PAGE: usize = 10;

impl Motion {
    /// The same with pages of `rows` lines: the last one read stays in sight.
    #[must_use]
    pub fn paged(self, rows: usize) -> Self {
        let page = rows.saturating_sub(1).max(1).cast_signed();
        match self {
            Self::PageUp => Self::By(-page),
            Self::PageDown => Self::By(page),
            other => other,
        }
    }

    /// Where the selection at `index` of `count` rows goes.
    #[must_use]
    pub fn apply(self, index: usize, count: usize) -> usize {
        let last = count.saturating_sub(1);
        match self {
            Self::Previous => index.saturating_sub(1),
            Self::Next => index.saturating_add(1).min(last),
            Self::PageUp => index.saturating_sub(PAGE),
            Self::PageDown => index.saturating_add(PAGE).min(last),
            Self::First => 0,
            Self::Last => last,
            Self::By(rows) => index.saturating_add_signed(rows).min(last),
        }
    }
}
