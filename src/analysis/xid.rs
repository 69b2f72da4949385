//! The catalogues of NVIDIA's error codes: Xid (GPU), SXid (NVSwitch), and the decode of NVLink5 errors. The data
//! stands in `assets/`; every file is read in full by a test.

use super::Severity;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One Xid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number in the log line.
    pub code: u32,
    /// The driver's name for it (nverror.h); `UNUSED` where the driver has none on data centre GPUs of today.
    pub mnemonic: &'static str,
    /// What it means, one sentence without a full stop.
    pub meaning: &'static str,
    /// How bad it is when the line says no more.
    pub severity: Severity,
    /// NVIDIA's immediate action (`RESET_GPU`); `-` where the catalogue has none.
    pub immediate: &'static str,
    /// NVIDIA's investigatory action, likewise.
    pub investigatory: &'static str,
    /// What an operator does.
    pub advice: &'static str,
    /// Where this comes from.
    pub source: &'static str,
}

/// One SXid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchEntry {
    /// The number in the log line.
    pub code: u32,
    /// Whether it is fatal where the line does not say; `None`: not known.
    pub fatal: Option<bool>,
    /// What it means, where that is known.
    pub meaning: Option<&'static str>,
}

/// What NVIDIA's sheet says about one NVLink5 error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAction {
    /// NVIDIA's immediate action.
    pub immediate: &'static str,
    /// NVIDIA's investigatory action, where there is one.
    pub investigatory: Option<&'static str>,
}

/// Xids of applications: the GPU is healthy after them (as the Kubernetes device plugin has it).
pub const APPLICATION: [u32; 6] = [13, 31, 43, 45, 68, 109];

const XID: &str = include_str!("../../assets/xid.tsv");
const SXID: &str = include_str!("../../assets/sxid.tsv");
const NVLINK5: &str = include_str!("../../assets/nvlink5.tsv");

/// The catalogue entry of an Xid.
#[must_use]
pub fn xid(code: u32) -> Option<&'static Entry> {
    static ALL: OnceLock<BTreeMap<u32, Entry>> = OnceLock::new();
    ALL.get_or_init(|| rows(XID).filter_map(|row| entry(&row)).map(|entry| (entry.code, entry)).collect())
        .get(&code)
}

/// All Xids, by code.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    (0..=LAST).filter_map(xid)
}

/// The last code of the catalogue (nverror.h of 595.45.04).
pub const LAST: u32 = 176;

/// What is known of an SXid.
#[must_use]
pub fn sxid(code: u32) -> Option<SwitchEntry> {
    rows(SXID).filter_map(|row| switch_entry(&row)).find(|entry| entry.code == code)
}

/// NVIDIA's actions for an NVLink5 error (Xid 144 to 150): `unit` as the line prints it, then the first two numbers
/// of its list. A status of bit 31 alone is software's own.
#[must_use]
pub fn nvlink5(code: u32, unit: &str, first: u32, status: u32) -> Option<LinkAction> {
    if status == SOFTWARE {
        return Some(LinkAction { immediate: "IGNORE", investigatory: Some("CONTACT_SUPPORT") });
    }
    rows(NVLINK5).find_map(|row| {
        let [row_code, row_unit, kind, value, immediate, investigatory] = row.as_slice() else { return None };
        let value = number(value)?;
        let looked_at = if *kind == "reason" { (first >> REASON_SHIFT) & REASON_MASK } else { status };
        let same = row_code.parse() == Ok(code) && *row_unit == unit && value == looked_at;
        same.then(|| LinkAction {
            immediate,
            investigatory: Some(*investigatory).filter(|action| *action != "-"),
        })
    })
}

/// "0x80000000 always: IGNORE, software" (NVIDIA's decode sheet).
const SOFTWARE: u32 = 0x8000_0000;
/// The link-down reason stands in bits 20 to 25 of the first number.
const REASON_SHIFT: u32 = 20;
const REASON_MASK: u32 = 0x3f;

/// NVIDIA's two action words in a sentence; `-` is a word that the catalogue leaves out.
#[must_use]
pub fn actions_text(immediate: &str, investigatory: &str) -> String {
    match (immediate, investigatory) {
        ("-", "-") => "no action listed".to_owned(),
        ("-", later) => format!("{later} to investigate"),
        (now, "-") => format!("{now} at once"),
        (now, later) => format!("{now} at once, {later} to investigate"),
    }
}

/// What an operator does for one of NVIDIA's action words.
#[must_use]
pub fn action_advice(action: &str) -> Option<&'static str> {
    Some(match action {
        "IGNORE" => "Nothing to do now; follow the other errors of this GPU, if there are any.",
        "RESET_GPU" => {
            "Drain the GPU and reset it (kgtop act reset --gpu ADDRESS); restart the application from a checkpoint."
        }
        "XID_154_EVAL" => "Do what the Xid 154 that comes with it recommends.",
        "INVESTIGATE_LINK_SI" => "Look into the signal integrity of the link.",
        "INVESTIGATE_LINK_SI_AND_CABLES" => "Check the link's cables and signal integrity.",
        "INVESTIGATE_PEER_DEVICE" => "Look at the device at the other end of the link.",
        "INVESTIGATE_HOST" => "Look at the host: it took the link down.",
        "INVESTIGATE_SW_USER" | "INVESTIGATE_SW/USER" => {
            "Look for software or an operator that took it down."
        }
        "INVESTIGATE_SW_USER_LINK_SI" => "Look for software that took it down, then at signal integrity.",
        "CHECK_NVLINK_FAILURE_FLOW" => "Follow NVIDIA's flow chart for NVLink failures.",
        "CONTACT_SUPPORT" | "SYMPATHETIC_REPORT_SOLO" => "If it stands alone, contact NVIDIA support.",
        _ => return None,
    })
}

/// Name of a recovery action as Xid 154 and NVML field 230 number it, for people.
#[must_use]
pub const fn recovery(action: u32) -> (&'static str, Severity, &'static str) {
    match action {
        0 => ("none", Severity::Info, "The driver asks for nothing any more."),
        1 => ("GPU reset", Severity::Critical, "Drain the GPU and reset it (kgtop act reset --gpu ADDRESS)."),
        2 => {
            ("node reboot", Severity::Critical, "Drain the node and reboot it: a GPU reset does not suffice.")
        }
        3 => (
            "drain P2P",
            Severity::Critical,
            "Stop the jobs that use peer-to-peer traffic of this GPU; others may go on.",
        ),
        4 => (
            "drain and reset",
            Severity::Critical,
            "Start no new work on this GPU, let what runs come to its end, then reset it (kgtop act reset --gpu \
             ADDRESS).",
        ),
        5 => ("recover IMEX domain", Severity::Critical, "Recover the IMEX domain of this NVLink rack."),
        6 => ("bus reset", Severity::Critical, "Drain the GPU and reset its PCIe bus."),
        7 => ("system reboot", Severity::Critical, "Drain the node and reboot it."),
        _ => ("unknown", Severity::Warning, "A newer driver's action: see its release notes."),
    }
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

fn entry(row: &[&'static str]) -> Option<Entry> {
    let [code, mnemonic, meaning, severity, immediate, investigatory, advice, source] = row else {
        return None;
    };
    Some(Entry {
        code: code.parse().ok()?,
        mnemonic,
        meaning,
        severity: match *severity {
            "info" => Severity::Info,
            "warning" => Severity::Warning,
            "critical" => Severity::Critical,
            _ => return None,
        },
        immediate,
        investigatory,
        advice,
        source,
    })
}

fn switch_entry(row: &[&'static str]) -> Option<SwitchEntry> {
    let [code, fatal, meaning] = row else { return None };
    Some(SwitchEntry {
        code: code.parse().ok()?,
        fatal: match *fatal {
            "fatal" => Some(true),
            "non-fatal" => Some(false),
            "unknown" => None,
            _ => return None,
        },
        meaning: Some(*meaning).filter(|meaning| *meaning != "-"),
    })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_catalogue_is_read() {
        assert_eq!(rows(XID).filter_map(|row| entry(&row)).count(), rows(XID).count());
        assert_eq!(rows(SXID).filter_map(|row| switch_entry(&row)).count(), rows(SXID).count());
        for row in rows(NVLINK5) {
            let [code, unit, kind, value, ..] = row.as_slice() else { panic!("{row:?}") };
            let value = number(value).unwrap();
            let (first, status) = if *kind == "reason" { (value << 20, 0) } else { (0, value) };
            let found = nvlink5(code.parse().unwrap(), unit, first, status).unwrap();
            assert_eq!(found.immediate, row[4], "{row:?}");
        }
    }

    #[test]
    fn every_code_is_there_and_says_what_to_do() {
        assert_eq!(all().map(|entry| entry.code).collect::<Vec<_>>(), (1..=LAST).collect::<Vec<_>>());
        for entry in all() {
            assert!(entry.advice.ends_with('.') && !entry.meaning.ends_with('.'), "{entry:?}");
            assert!(!entry.mnemonic.is_empty() && !entry.source.is_empty(), "{entry:?}");
        }
    }

    #[test]
    fn what_is_often_told_wrong_is_right_here() {
        let severity = |code| xid(code).unwrap().severity;
        assert_eq!(severity(63), Severity::Info, "63 is the successful record of a remap");
        assert_eq!(severity(64), Severity::Critical, "64 is the failure");
        assert_eq!(severity(92), Severity::Info, "92 is about corrected errors");
        assert_eq!((severity(94), severity(95)), (Severity::Warning, Severity::Critical));
        assert_eq!(xid(94).unwrap().immediate, "RESTART_APP");
        assert_eq!(xid(79).unwrap().immediate, "RESTART_BM");
    }

    #[test]
    fn a_link_event_is_decoded_by_reason_and_an_error_by_status() {
        assert_eq!(nvlink5(145, "RLW_SRC_TRACK", 0x0408_68e2, 0x8).unwrap().immediate, "XID_154_EVAL");
        let down = nvlink5(149, "NETIR_LINK_EVT", 0x0214_25c6 | (33 << 20), 0).unwrap();
        assert_eq!(down.investigatory, Some("INVESTIGATE_PEER_DEVICE"));
        assert_eq!(nvlink5(146, "TLW_CTRL", 0, 0x8000_0000).unwrap().immediate, "IGNORE");
        assert_eq!(nvlink5(146, "TLW_CTRL", 0, 0x40), None);
    }
}
