//! Clock event ("throttle") reasons: what each bit of the driver's mask means and what to do about it.
//!
//! Bits and names from `nvml.h` (`nvmlClocksEventReason…`, the older name is `nvmlClocksThrottleReason…`), meanings
//! from its comments and the nvidia-smi manual; bits 0x200 and 0x400 from the R615 binding (`nvidia-ml-py` 13.615).

use super::Severity;

/// One reason why clocks are not as high as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockEventReason {
    /// Its bit in the mask.
    pub bit: u64,
    /// The name in JSON, and to look it up by.
    pub name: &'static str,
    /// The name in `nvml.h`.
    pub nvml_name: &'static str,
    /// What the driver says by it.
    pub meaning: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// How bad it is while it lasts.
    pub severity: Severity,
}

impl ClockEventReason {
    /// Whether it is about heat.
    #[must_use]
    pub const fn is_thermal(&self) -> bool {
        self.bit & THERMAL != 0
    }

    /// Whether it holds clocks back: all but idling do.
    #[must_use]
    pub const fn is_throttling(&self) -> bool {
        self.bit != GPU_IDLE
    }
}

/// Nothing runs, so the clocks are low: no throttling.
pub const GPU_IDLE: u64 = 0x1;
/// The driver holds the power limit.
pub const SW_POWER_CAP: u64 = 0x4;
/// The hardware cut the clocks; 0x40 or 0x80 tell why.
pub const HW_SLOWDOWN: u64 = 0x8;
/// The driver lowers clocks because of heat.
pub const SW_THERMAL_SLOWDOWN: u64 = 0x20;
/// The hardware cut the clocks because of heat.
pub const HW_THERMAL_SLOWDOWN: u64 = 0x40;
/// The hardware cut the clocks because the power supply or the board asked.
pub const HW_POWER_BRAKE_SLOWDOWN: u64 = 0x80;
/// The thermal reasons. 0x8 is none of them: it stands for power too.
pub const THERMAL: u64 = SW_THERMAL_SLOWDOWN | HW_THERMAL_SLOWDOWN;

/// The reasons there are, by bit.
pub const REASONS: [ClockEventReason; 11] = [
    ClockEventReason {
        bit: GPU_IDLE,
        name: "gpu_idle",
        nvml_name: "nvmlClocksEventReasonGpuIdle",
        meaning: "Nothing runs on the GPU, and its clocks drop to idle.",
        advice: "Nothing to do: this is no throttling.",
        severity: Severity::Info,
    },
    ClockEventReason {
        bit: 0x2,
        name: "applications_clocks_setting",
        nvml_name: "nvmlClocksEventReasonApplicationsClocksSetting",
        meaning: "Clocks are held by the applications clocks setting (no longer used by new drivers).",
        advice: "If nobody meant it: kgtop act clocks --reset applications --gpu ADDRESS, and --reset graphics for \
                 locked ones.",
        severity: Severity::Info,
    },
    ClockEventReason {
        bit: SW_POWER_CAP,
        name: "sw_power_cap",
        nvml_name: "nvmlClocksEventReasonSwPowerCap",
        meaning: "The driver lowers clocks to stay under the power limit.",
        advice: "Normal under full load. Compare the enforced limit with the default one; raise it if power and \
                 cooling allow.",
        severity: Severity::Info,
    },
    ClockEventReason {
        bit: HW_SLOWDOWN,
        name: "hw_slowdown",
        nvml_name: "nvmlClocksThrottleReasonHwSlowdown",
        meaning: "The hardware cut the core clocks to half or less: too hot, or an external power brake, or a fast \
                  power trigger. May flash when the P-state changes.",
        advice: "Look at hw_thermal_slowdown and hw_power_brake_slowdown to tell which.",
        severity: Severity::Warning,
    },
    ClockEventReason {
        bit: 0x10,
        name: "sync_boost",
        nvml_name: "nvmlClocksEventReasonSyncBoost",
        meaning: "Another GPU of its sync boost group holds it down.",
        advice: "Look at the other GPUs of the group: one of them has the reason.",
        severity: Severity::Info,
    },
    ClockEventReason {
        bit: SW_THERMAL_SLOWDOWN,
        name: "sw_thermal_slowdown",
        nvml_name: "nvmlClocksEventReasonSwThermalSlowdown",
        meaning: "The driver lowers clocks: the GPU or its memory is above its maximum operating temperature.",
        advice: "Check airflow, inlet temperature and thermal paste; compare the memory temperature.",
        severity: Severity::Warning,
    },
    ClockEventReason {
        bit: HW_THERMAL_SLOWDOWN,
        name: "hw_thermal_slowdown",
        nvml_name: "nvmlClocksThrottleReasonHwThermalSlowdown",
        meaning: "The hardware cut the core clocks to half or less because the GPU is too hot.",
        advice: "An urgent fault of the cooling: check fans, cold plates and inlet temperature now.",
        severity: Severity::Critical,
    },
    ClockEventReason {
        bit: HW_POWER_BRAKE_SLOWDOWN,
        name: "hw_power_brake_slowdown",
        nvml_name: "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
        meaning: "The hardware cut the core clocks to half or less because the power supply or the board asked.",
        advice: "Check the power supplies, the rack's power, the cables, and the BMC's log.",
        severity: Severity::Critical,
    },
    ClockEventReason {
        bit: 0x100,
        name: "display_clock_setting",
        nvml_name: "nvmlClocksEventReasonDisplayClockSetting",
        meaning: "Display clocks hold the others.",
        advice: "Nothing to do.",
        severity: Severity::Info,
    },
    ClockEventReason {
        bit: 0x200,
        name: "board_limit",
        nvml_name: "nvmlClocksEventReasonBoardLimit",
        meaning: "The board's own limit holds the clocks.",
        advice: "Compare with its siblings; ask the vendor if only this one does it.",
        severity: Severity::Info,
    },
    ClockEventReason {
        bit: 0x400,
        name: "reliability",
        nvml_name: "nvmlClocksEventReasonReliability",
        meaning: "The reliability policy holds the clocks.",
        advice: "Nothing to do.",
        severity: Severity::Info,
    },
];

/// What a mask says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The reasons whose bits are set, by bit.
    pub reasons: Vec<&'static ClockEventReason>,
    /// Bits that are set and have no name here.
    pub unknown: u64,
    /// Known reasons that the device cannot report: they are unknown, not false. Empty when the supported mask is
    /// not known.
    pub unsupported: Vec<&'static ClockEventReason>,
}

impl Decoded {
    /// The names of the reasons; each unknown bit by its number (`"0x800"`).
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let known = self.reasons.iter().map(|reason| reason.name.to_owned());
        let bits = (0..u64::BITS).map(|shift| 1_u64 << shift);
        let unknown = bits.filter(|bit| self.unknown & bit != 0).map(|bit| format!("{bit:#x}"));
        known.chain(unknown).collect()
    }

    /// The worst severity among the reasons; unknown bits count as worth knowing.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        let unknown = (self.unknown != 0).then_some(Severity::Info);
        self.reasons.iter().map(|reason| reason.severity).chain(unknown).max()
    }
}

/// Decodes a mask. `supported` is what the device can report, where that is known.
#[must_use]
pub fn decode(mask: u64, supported: Option<u64>) -> Decoded {
    let known = REASONS.iter().fold(0, |bits, reason| bits | reason.bit);
    Decoded {
        reasons: REASONS.iter().filter(|reason| mask & reason.bit != 0).collect(),
        unknown: mask & !known,
        unsupported: supported.map_or_else(Vec::new, |supported| {
            REASONS.iter().filter(|reason| supported & reason.bit == 0).collect()
        }),
    }
}

/// The reason of that JSON name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static ClockEventReason> {
    REASONS.iter().find(|reason| reason.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_stands_once_and_in_order() {
        for (shift, reason) in REASONS.iter().enumerate() {
            assert_eq!(reason.bit, 1 << shift, "{}", reason.name);
            assert_eq!(by_name(reason.name), Some(reason));
        }
    }

    #[test]
    fn common_mistakes_are_not_made() {
        assert_eq!(decode(0x44, None).names(), ["sw_power_cap", "hw_thermal_slowdown"]);
        assert_eq!(decode(0x2, None).names(), ["applications_clocks_setting"]);
        assert!(!REASONS.iter().any(|reason| reason.bit == 0x8 && reason.is_thermal()));
        assert!(!decode(0x1, None).reasons.iter().any(|reason| reason.is_throttling()));
    }

    #[test]
    fn unknown_and_unsupported_bits_are_named() {
        let decoded = decode(0x1_0804, Some(0x1ff));
        assert_eq!(decoded.names(), ["sw_power_cap", "0x800", "0x10000"]);
        let unsupported: Vec<_> = decoded.unsupported.iter().map(|reason| reason.name).collect();
        assert_eq!(unsupported, ["board_limit", "reliability"]);
        assert_eq!(decoded.severity(), Some(Severity::Info));
        assert_eq!(decode(0, Some(0)).severity(), None);
        assert_eq!(decode(0x48, None).severity(), Some(Severity::Critical));
    }
}
