//! From the driver's numbers to quantities. NVML marks "not available" by all ones, and some boards answer zeros
//! for sensors they lack: neither may pass as a value.

use super::raw::FieldValue;
use crate::model::{Absence, Reading};
use crate::units::{BytesPerSecond, Celsius, Megahertz, Percent, Watts};

/// Degrees beyond which no sensor of a working board reads.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<i64> = -100..=250;
/// Watts beyond which no board draws; NVML's largest limits are a few thousand.
const MOST_MILLIWATTS: u32 = 100_000_000;

/// The number, unless it is NVML's "not available".
pub(super) const fn real(value: u32) -> Reading<u32> {
    if value == u32::MAX { Err(Absence::NotSupported) } else { Ok(value) }
}

/// Watts from milliwatts.
pub(super) fn watts(milliwatts: u32) -> Reading<Watts> {
    if milliwatts > MOST_MILLIWATTS { Err(Absence::NotSupported) } else { Ok(Watts(milliwatts as f32 / 1e3)) }
}

/// A clock; 0 is what a stopped clock reads (the video clock of a compute board).
pub(super) fn megahertz(value: u32) -> Reading<Megahertz> {
    real(value).map(Megahertz)
}

/// A share; all ones is absent, anything else beyond 100 is held there.
pub(super) fn share(value: u32) -> Reading<Percent> {
    real(value).map(|value| Percent(value.min(100) as f32))
}

/// A temperature or a signed margin.
pub(super) fn celsius(value: i64) -> Reading<Celsius> {
    if PLAUSIBLE_CELSIUS.contains(&value) { Ok(Celsius(value as f32)) } else { Err(Absence::NotSupported) }
}

/// A temperature or threshold for which 0 means "no sensor" or "no such threshold".
pub(super) fn celsius_or_none(value: i64) -> Reading<Celsius> {
    if value == 0 { Err(Absence::NotSupported) } else { celsius(value) }
}

/// A rate from a floating-point number of `unit` bytes per second.
pub(super) fn rate(value: f64, unit: f64) -> Reading<BytesPerSecond> {
    BytesPerSecond::new(value * unit).filter(|rate| rate.0 >= 0.0).ok_or_else(not_a_number)
}

/// A percentage from a floating-point number.
pub(super) fn percent(value: f64) -> Reading<Percent> {
    Percent::new(value as f32).map(|percent| Percent(percent.0.clamp(0.0, 100.0))).ok_or_else(not_a_number)
}

/// What stands in place of a NaN.
pub(super) fn not_a_number() -> Absence {
    Absence::failed(0, "the driver's answer is not a number")
}

impl FieldValue {
    /// As a counter or a code.
    pub(super) fn counter(self) -> Reading<u64> {
        match self {
            Self::U32(u32::MAX) | Self::U64(u64::MAX) => Err(Absence::NotSupported),
            Self::U32(value) => Ok(u64::from(value)),
            Self::U64(value) => Ok(value),
            Self::I64(value) => u64::try_from(value).ok().ok_or(Absence::NotSupported),
            Self::F64(value) if value.is_finite() && value >= 0.0 => Ok(value as u64),
            Self::F64(_) => Err(not_a_number()),
        }
    }

    /// As a small number.
    pub(super) fn number(self) -> Reading<u32> {
        u32::try_from(self.counter()?).ok().ok_or(Absence::NotSupported)
    }

    /// As a signed number of degrees; some drivers give the two's complement in an unsigned field.
    pub(super) fn degrees(self) -> Reading<i64> {
        match self {
            Self::U32(value) => Ok(i64::from(value.cast_signed())),
            Self::U64(value) => Ok(value.cast_signed()),
            Self::I64(value) => Ok(value),
            Self::F64(value) if value.is_finite() => Ok(value as i64),
            Self::F64(_) => Err(not_a_number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_available_is_never_a_value() {
        assert_eq!(real(u32::MAX), Err(Absence::NotSupported));
        assert_eq!(watts(u32::MAX), Err(Absence::NotSupported));
        assert_eq!(megahertz(u32::MAX), Err(Absence::NotSupported));
        assert_eq!(share(u32::MAX), Err(Absence::NotSupported));
        assert_eq!(FieldValue::U32(u32::MAX).counter(), Err(Absence::NotSupported));
        assert_eq!(FieldValue::U64(u64::MAX).counter(), Err(Absence::NotSupported));
        assert_eq!(FieldValue::I64(-1).counter(), Err(Absence::NotSupported));
    }

    #[test]
    fn not_a_number_is_absent_and_shares_stay_in_range() {
        assert!(percent(f64::NAN).is_err());
        assert!(rate(f64::INFINITY, 1.0).is_err());
        assert!(FieldValue::F64(f64::NAN).counter().is_err());
        assert_eq!(percent(100.4), Ok(Percent(100.0)));
        assert_eq!(percent(-0.2), Ok(Percent(0.0)));
        assert_eq!(share(104), Ok(Percent(100.0)));
    }

    #[test]
    fn gpm_link_rates_are_mebibytes() {
        // Measured under a device-to-device copy: 67,965 MiB/s.
        assert_eq!(rate(67_965.0, 1_048_576.0), Ok(BytesPerSecond(67_965.0 * 1_048_576.0)));
    }

    #[test]
    fn limits_are_signed_whatever_type_carries_them() {
        for value in [FieldValue::I64(-8), FieldValue::U32((-8i32).cast_unsigned()), FieldValue::F64(-8.0)] {
            assert_eq!(value.degrees().and_then(celsius), Ok(Celsius(-8.0)), "{value:?}");
        }
        assert_eq!(FieldValue::I64(0).degrees().and_then(celsius), Ok(Celsius(0.0)));
    }

    #[test]
    fn a_sensor_that_reads_zero_is_no_sensor() {
        assert_eq!(celsius_or_none(0), Err(Absence::NotSupported));
        assert_eq!(celsius_or_none(65_535), Err(Absence::NotSupported));
        assert_eq!(celsius_or_none(41), Ok(Celsius(41.0)));
    }
}
