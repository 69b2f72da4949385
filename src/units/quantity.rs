//! The physical quantities.

use std::fmt;

/// Bytes to a binary prefix, three significant digits: `"140 GiB"`, `"1.20 GiB"`, `"812 MiB"`.
fn scaled(value: f64, base: f64, prefixes: [&str; 6]) -> String {
    let mut value = value;
    let mut unit = prefixes.len() - 1;
    for index in 0..prefixes.len() {
        // 999.5 prints as "1000": carry to the next prefix before that happens.
        if value.abs() < 999.5 {
            unit = index;
            break;
        }
        if index + 1 < prefixes.len() {
            value /= base;
        }
    }
    let prefix = prefixes.get(unit).copied().unwrap_or_default();
    if unit == 0 {
        format!("{value:.0} {prefix}")
    } else if value.abs() < 9.995 {
        format!("{value:.2} {prefix}")
    } else if value.abs() < 99.95 {
        format!("{value:.1} {prefix}")
    } else {
        format!("{value:.0} {prefix}")
    }
}

macro_rules! float_quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(pub f32);

        impl $name {
            /// The value, unless it is not a number or infinite: such a reading is absent, not zero.
            #[must_use]
            pub fn new(value: f32) -> Option<Self> {
                value.is_finite().then_some(Self(value))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!(concat!("{:.", $digits, "}", $unit), self.0))
            }
        }
    };
}

float_quantity!(
    /// Electrical power in watts.
    Watts, " W", 0
);
float_quantity!(
    /// Temperature (or a margin of it, which is signed) in degrees Celsius.
    Celsius, " °C", 0
);
float_quantity!(
    /// A share of a whole, 0 to 100.
    Percent, "%", 0
);

/// Energy in joules. As the driver counts it, in millijoules and for years: an `f32` would move on in steps of 64 J after
/// two weeks at full load.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Joules(pub f64);

impl Joules {
    /// The value, unless it is not a number or infinite: such a reading is absent, not zero.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }
}

impl fmt::Display for Joules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.0} J", self.0))
    }
}

impl Percent {
    /// `part` of `whole` in per cent; `None` for an empty whole.
    #[must_use]
    pub fn of(part: f64, whole: f64) -> Option<Self> {
        if whole > 0.0 { Self::new((part / whole * 100.0) as f32) } else { None }
    }
}

/// A clock rate in megahertz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Megahertz(pub u32);

impl fmt::Display for Megahertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} MHz", self.0))
    }
}

/// An amount of memory or data in bytes; prints with binary prefixes (GiB), as nvidia-smi counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The amount in GiB.
    #[must_use]
    pub fn gib(self) -> f64 {
        self.0 as f64 / f64::from(1u32 << 30)
    }

    /// The amount in MiB, the unit of nvidia-smi.
    #[must_use]
    pub fn mib(self) -> f64 {
        self.0 as f64 / f64::from(1u32 << 20)
    }

    /// `self` − `other`, never below zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0 as f64, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]))
    }
}

/// A data rate in bytes per second; prints with decimal prefixes (GB/s), as links are sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct BytesPerSecond(pub f64);

impl BytesPerSecond {
    /// The rate, unless it is not a number or infinite.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0, 1000.0, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits_and_no_four_digit_number() {
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Bytes(1023).to_string(), "1.00 KiB");
        assert_eq!(Bytes(150_754_820_096).to_string(), "140 GiB");
        assert_eq!(Bytes(925_696_000).to_string(), "883 MiB");
        assert_eq!(BytesPerSecond(3.1e9).to_string(), "3.10 GB/s");
        assert_eq!(BytesPerSecond(999_600.0).to_string(), "1.00 MB/s");
        assert_eq!(Bytes(u64::MAX).to_string(), "16384 PiB");
    }

    #[test]
    fn padding_applies_to_the_whole_text() {
        assert_eq!(format!("{:>8}", Watts(692.4)), "   692 W");
        assert_eq!(format!("{:<10}|", Megahertz(1980)), "1980 MHz  |");
    }

    #[test]
    fn not_a_number_is_refused() {
        assert_eq!(Watts::new(f32::NAN), None);
        assert_eq!(BytesPerSecond::new(f64::INFINITY), None);
        assert_eq!(Percent::of(1.0, 0.0), None);
    }
}
