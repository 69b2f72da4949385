//! Values as they are written, on the command line and on the screen.

/// A power limit as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PowerValue {
    /// Watts.
    Watts(f64),
    /// Per cent of the default.
    Percent(f64),
    /// The default.
    Default,
}

impl std::str::FromStr for PowerValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self::Default);
        }
        let number =
            |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let value = match text.strip_suffix('%') {
            Some(percent) => number(percent).map(Self::Percent),
            None => number(text.strip_suffix(['W', 'w']).unwrap_or(text)).map(Self::Watts),
        };
        value.ok_or_else(|| {
            "a power limit is watts (250), per cent of the default (80%), or default".to_owned()
        })
    }
}

/// A clock range as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRange(pub u32, pub u32);

impl std::str::FromStr for ClockRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once(',').unwrap_or((text, text));
        match (least.trim().parse(), most.trim().parse()) {
            (Ok(least), Ok(most)) => Ok(Self(least, most)),
            _ => Err("a clock range is one number of MHz, or two: 1200,1500".to_owned()),
        }
    }
}

impl PowerValue {
    /// Milliwatts on a GPU with that default. Per cent give whole watts.
    ///
    /// # Errors
    /// Where per cent or the default are asked for, and the default is not known.
    pub fn milliwatts(self, default: Option<u32>) -> Result<u32, String> {
        let default = default
            .ok_or_else(|| "the default power limit of this GPU cannot be read: name the watts".to_owned());
        Ok(match self {
            Self::Watts(watts) => (watts * 1_000.0).round().clamp(0.0, f64::from(u32::MAX)) as u32,
            Self::Percent(percent) => {
                let watts = (f64::from(default?) / 1_000.0 * percent / 100.0).round();
                (watts * 1_000.0).clamp(0.0, f64::from(u32::MAX)) as u32
            }
            Self::Default => default?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_limit_is_watts_per_cent_or_the_default() {
        let at = |text: &str| text.parse::<PowerValue>().unwrap().milliwatts(Some(700_000)).unwrap();
        assert_eq!((at("250"), at("250W"), at("80%"), at("default")), (250_000, 250_000, 560_000, 700_000));
        for bad in ["", "W", "-5", "NaN", "inf", "0", "80 percent", "1e400"] {
            assert!(bad.parse::<PowerValue>().is_err(), "{bad}");
        }
        assert!(PowerValue::Default.milliwatts(None).is_err());
        assert_eq!(PowerValue::Watts(1e300).milliwatts(None), Ok(u32::MAX));
    }
}
