//! The roles that a colour can have.

use ratatui::style::Modifier;

/// Defines the roles with their names in a theme file.
macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $name:literal, $modifier:expr;)*) => {
        /// What a colour means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Role { $($(#[$doc])* $role,)* }

        impl Role {
            /// All roles.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$role,)*];

            /// The name in a theme file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$role => $name,)* }
            }

            /// What stands in for the colour where there is none.
            #[must_use]
            pub const fn colourless(self) -> Modifier {
                match self { $(Self::$role => $modifier,)* }
            }
        }
    };
}

const NONE: Modifier = Modifier::empty();

roles! {
    /// Values and running text.
    Text = "text", NONE;
    /// Values that matter most.
    Strong = "strong", Modifier::BOLD;
    /// Units, labels, headings of columns.
    Muted = "muted", Modifier::DIM;
    /// Axes and whatever should be nearly unseen.
    Faint = "faint", Modifier::DIM;
    /// kgtop's own name, marks of what is chosen.
    Accent = "accent", Modifier::BOLD;
    /// Titles of panels.
    Title = "title", Modifier::BOLD;
    /// Lines around and between.
    Border = "border", Modifier::DIM;
    /// Names of keys.
    Key = "key", Modifier::BOLD;
    /// The selected row.
    Selection = "selection", Modifier::REVERSED;
    /// The tab that is shown.
    TabActive = "tab_active", Modifier::REVERSED;
    /// All is well.
    Good = "good", NONE;
    /// Worth knowing.
    Info = "info", NONE;
    /// Will become a fault, or costs performance.
    Warning = "warning", Modifier::BOLD;
    /// Work is lost or about to be.
    Critical = "critical", Modifier::BOLD.union(Modifier::UNDERLINED);
    /// A last value, no longer current.
    Stale = "stale", Modifier::DIM.union(Modifier::ITALIC);
    /// The label in place of an absent value.
    Absent = "absent", Modifier::DIM;
    /// A source that works.
    BadgeOk = "badge_ok", NONE;
    /// A source that works in part.
    BadgeDegraded = "badge_degraded", Modifier::BOLD;
    /// A source that does not work.
    BadgeUnavailable = "badge_unavailable", Modifier::BOLD.union(Modifier::UNDERLINED);
    /// The filled part of a bar.
    BarFill = "bar_fill", NONE;
    /// What is taken and not in use: memory that the driver reserves.
    BarReserved = "bar_reserved", Modifier::DIM;
    /// The empty part of a bar.
    BarTrack = "bar_track", Modifier::DIM;
    /// First kind of chart.
    Series1 = "series_1", NONE;
    /// Its band between mean and greatest.
    Series1Band = "series_1_band", Modifier::DIM;
    /// Second kind of chart.
    Series2 = "series_2", NONE;
    /// Its band.
    Series2Band = "series_2_band", Modifier::DIM;
    /// Third kind of chart.
    Series3 = "series_3", NONE;
    /// Its band.
    Series3Band = "series_3_band", Modifier::DIM;
    /// Fourth kind of chart.
    Series4 = "series_4", NONE;
    /// Its band.
    Series4Band = "series_4_band", Modifier::DIM;
}
