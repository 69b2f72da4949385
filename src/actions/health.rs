//! A GPU's health before and after something that was meant to mend it.

use super::change::{Change, on_off};
use super::facts::GpuFacts;
use super::settings::EccCounters;
use crate::model::{GpuState, Reading};

/// `nvmlDeviceGpuRecoveryAction_t`, by its numbers.
const RECOVERY: [&str; 8] = [
    "none",
    "GPU reset",
    "node reboot",
    "drain P2P",
    "drain and reset",
    "recover IMEX domain",
    "bus reset",
    "system reboot",
];

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// One line for each value: before → after.
    pub lines: Vec<String>,
    /// What the driver still asks for; empty: it is well as far as the driver tells.
    pub left: Vec<String>,
}

/// Compares what the driver says of a GPU before and after.
#[must_use]
pub fn compare(before: &GpuFacts, after: &GpuFacts) -> Comparison {
    let recovery = |facts: &GpuFacts| {
        text(&facts.recovery_action, |action| {
            let name = usize::try_from(*action).ok().and_then(|action| RECOVERY.get(action));
            name.map_or_else(|| action.to_string(), |name| (*name).to_owned())
        })
    };
    let remap = |facts: &GpuFacts| text(&facts.remap_pending, |pending| on_off(*pending).to_owned());
    let ecc = |facts: &GpuFacts| {
        facts
            .current(&Change::ClearEcc { counters: EccCounters::Volatile })
            .unwrap_or_else(|| "not readable".to_owned())
    };
    let lines = [
        ("recovery action", recovery(before), recovery(after)),
        ("pending row remap", remap(before), remap(after)),
        ("volatile ECC", ecc(before), ecc(after)),
    ]
    .into_iter()
    .map(|(what, before, after)| format!("{what} {before} → {after}"))
    .collect();
    let mut left = Vec::new();
    if after.state != GpuState::Ok {
        left.push(format!("the GPU is {}", after.state.name()));
    }
    if after.recovery_action.as_ref().is_ok_and(|action| *action != 0) {
        left.push(format!("the driver still asks for: {}", recovery(after)));
    }
    if after.remap_pending == Ok(true) {
        left.push("a row remap is still pending".to_owned());
    }
    Comparison { lines, left }
}

fn text<T>(reading: &Reading<T>, words: impl FnOnce(&T) -> String) -> String {
    reading.as_ref().map_or_else(|absence| format!("({absence})"), words)
}

#[cfg(test)]
mod tests {
    use super::super::tests::gpu;
    use super::*;
    use crate::model::Absence;

    #[test]
    fn what_the_driver_still_asks_for_is_left() {
        let mut before = gpu();
        before.recovery_action = Ok(1);
        before.remap_pending = Ok(true);
        let mut after = gpu();
        after.remap_pending = Err(Absence::NotSupported);
        let mended = compare(&before, &after);
        assert_eq!(mended.left, [] as [String; 0]);
        assert_eq!(mended.lines.first().map(String::as_str), Some("recovery action GPU reset → none"));
        let still = compare(&before, &before);
        assert_eq!(still.left, ["the driver still asks for: GPU reset", "a row remap is still pending"]);
    }
}
