//! What an event means and what an operator does.

use crate::analysis::Severity;
use crate::analysis::kernel_log::{Event, Kind, LinkError};
use crate::analysis::xid;

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop, and without the GPU.
    pub summary: String,
    /// What an operator does.
    pub advice: String,
    /// NVIDIA's words: immediate and investigatory action.
    pub actions: Option<(&'static str, &'static str)>,
}

impl Meaning {
    /// The meaning of an event; a line that user space wrote is never more than information.
    #[must_use]
    pub fn of(event: &Event<'_>, user_space: bool) -> Self {
        let meaning = match event.kind {
            Kind::Xid => gpu_error(event),
            Kind::Sxid => switch_error(event),
            _ => other(event),
        };
        if user_space {
            return Self {
                severity: Severity::Info,
                summary: format!("Written by user space, not by the kernel: {}", meaning.summary),
                advice:
                    "Anyone who may write to the kernel log can write this line; nothing follows from it."
                        .into(),
                actions: None,
            };
        }
        meaning
    }
}

fn gpu_error(event: &Event<'_>) -> Meaning {
    let code = event.code.unwrap_or_default();
    let Some(entry) = xid::xid(code) else {
        return Meaning {
            severity: Severity::Warning,
            summary: with_message(&format!("Xid {code}: not in kgtop's catalogue"), event.message),
            advice: "A newer driver's code: see NVIDIA's Xid catalog.".into(),
            actions: None,
        };
    };
    let mut meaning = Meaning {
        severity: entry.severity,
        summary: format!("Xid {code}: {}", entry.meaning),
        advice: entry.advice.into(),
        actions: Some((entry.immediate, entry.investigatory)),
    };
    if let Some(action) = event.recovery_action {
        let (name, severity, advice) = xid::recovery(action);
        meaning.severity = severity;
        meaning.summary = format!("Xid {code}: the driver now recommends: {name}");
        meaning.advice = advice.into();
    }
    if let Some(error) = LinkError::parse(event.message).filter(|_| matches!(code, 144..=150)) {
        link_error(&mut meaning, code, event, error);
    }
    // "RST" of a contained error: the GPU must be reset all the same.
    if code == 94 && event.message.contains(" RST: Yes") {
        meaning.severity = Severity::Critical;
        meaning.advice =
            "Restart the application that was hit, drain the GPU and reset it: the driver asks for a \
                          reset."
                .into();
    }
    meaning
}

fn link_error(meaning: &mut Meaning, code: u32, event: &Event<'_>, error: LinkError<'_>) {
    let gravity = if error.fatal { "fatal" } else { "non-fatal" };
    let link = event.link.map_or_else(String::new, |link| format!(" on link {link}"));
    meaning.summary = format!("Xid {code}: {gravity} NVLink error{link}, unit {}", error.unit);
    let found = xid::nvlink5(code, error.unit, error.first, error.status);
    let immediate = found.map_or(if error.fatal { "RESET_GPU" } else { "IGNORE" }, |action| action.immediate);
    let investigatory = found.and_then(|action| action.investigatory);
    meaning.actions = Some((immediate, investigatory.unwrap_or("-")));
    meaning.severity = match (error.fatal, immediate) {
        (true, "IGNORE") => Severity::Warning,
        (true, _) => Severity::Critical,
        (false, "IGNORE") => Severity::Info,
        (false, _) => Severity::Warning,
    };
    let mut advice = xid::action_advice(immediate).unwrap_or_default().to_owned();
    if let Some(further) = investigatory.and_then(xid::action_advice) {
        advice.push(' ');
        advice.push_str(further);
    }
    meaning.advice = advice;
}

fn switch_error(event: &Event<'_>) -> Meaning {
    let code = event.code.unwrap_or_default();
    let entry = xid::sxid(code);
    // The word in the line wins over the table.
    let fatal = event.fatal.or_else(|| entry.and_then(|entry| entry.fatal));
    let severity = match fatal {
        Some(true) => Severity::Critical,
        _ => Severity::Warning,
    };
    let gravity = match fatal {
        Some(true) => "fatal",
        Some(false) => "non-fatal",
        None => "unclassified",
    };
    let what = entry.and_then(|entry| entry.meaning).unwrap_or(event.message);
    let link = event.link.map_or_else(String::new, |link| format!(", link {link}"));
    Meaning {
        severity,
        summary: with_message(&format!("SXid {code}: {gravity} NVSwitch error{link}"), what),
        advice: match fatal {
            Some(true) => {
                "Work over this NVLink fails. Drain the node, reset all of its GPUs and NVSwitches together, or reboot \
                 it; if it comes back, have the baseboard examined."
            }
            _ => "Work goes on. If it repeats on one link, have it examined at the next maintenance.",
        }
        .into(),
        actions: None,
    }
}

fn other(event: &Event<'_>) -> Meaning {
    let process = || {
        let name = event.process.unwrap_or("unknown");
        event.pid.map_or_else(|| name.to_owned(), |pid| format!("{name} (pid {pid})"))
    };
    let device = event.device.unwrap_or_default();
    let fatal = event.fatal == Some(true);
    let (severity, summary, advice) = match event.kind {
        Kind::OffBus if event.message.starts_with("Attempting to remove") => (
            Severity::Critical,
            "A GPU was removed from the bus while it was in use".to_owned(),
            "Reboot the node; processes that hold the GPU cannot go on.",
        ),
        Kind::OffBus => (
            Severity::Critical,
            "The GPU has fallen off the bus: it does not answer over PCIe".to_owned(),
            "A reset cannot bring it back. Drain the node and reboot it; if it happens again, check power, seating, \
             risers and cooling, then replace the GPU.",
        ),
        Kind::InitFailed => (
            Severity::Critical,
            with_message("The driver could not initialise a GPU", event.message),
            "Look at the lines around it. Reboot the node; if it comes back, check the GPU's seating and power, the \
             BIOS settings for large BARs, and that no other driver holds the GPU.",
        ),
        Kind::ApiMismatch => (
            Severity::Warning,
            format!("Library and kernel module are of different versions: {} was refused", process()),
            "The driver was upgraded under a running kernel module. Reload the module or reboot; in a container, \
             start it again so that it gets the host's libraries.",
        ),
        Kind::DriverLoad => (
            Severity::Info,
            format!("The driver was loaded: version {}", if device.is_empty() { "unknown" } else { device }),
            "Nothing to do: counters of the driver begin again here.",
        ),
        Kind::Aer if event.corrected => (
            Severity::Info,
            with_message("Corrected PCIe error", &bus_layer(event.message)),
            "Corrected errors cost bandwidth only. If they go on: check slot, riser and cable.",
        ),
        Kind::Aer => (
            if fatal { Severity::Critical } else { Severity::Warning },
            with_message("Uncorrected PCIe error", &bus_layer(event.message)),
            "Look for an Xid of the same GPU. Check slot, riser and cable; drain the node if it repeats.",
        ),
        Kind::OomKill => (
            Severity::Warning,
            format!("The kernel ended {} for want of memory", process()),
            "Give the job more host memory, or make it use less: data loaders and pinned memory count. Look at the \
             limits of its container or job.",
        ),
        Kind::MachineCheck => (
            match (event.fatal, event.corrected) {
                (_, true) => Severity::Info,
                (Some(_), _) => Severity::Critical,
                (None, false) => Severity::Warning,
            },
            with_message(
                if event.corrected { "Corrected hardware error" } else { "Hardware error" },
                event.message,
            ),
            if event.corrected {
                "Nothing was lost. If it repeats, find the part in the system's event log and replace it."
            } else {
                "Find the part in the system's event log (ipmitool sel list); drain the node and replace it."
            },
        ),
        Kind::Nvme => (
            match (fatal, event.corrected) {
                (_, true) => Severity::Info,
                (true, _) => Severity::Critical,
                _ => Severity::Warning,
            },
            with_message(&format!("NVMe device {device}"), event.message),
            "Loading models and checkpoints from it stalls. Look at its health (nvme smart-log) and at its PCIe slot.",
        ),
        Kind::Nic => (
            if fatal { Severity::Critical } else { Severity::Warning },
            with_message("Network card", event.message),
            "Jobs over this card stall or fail. Check cable, module and switch port; after a firmware fault reset \
             the card or reboot.",
        ),
        Kind::HungTask => (
            Severity::Warning,
            format!("{} has not run for minutes: it waits in the kernel", process()),
            "Look at what it waits for: storage, network file system or a GPU driver call (an Xid nearby says so). It \
             cannot be killed while it waits.",
        ),
        Kind::Action | Kind::Xid | Kind::Sxid => (Severity::Info, event.message.to_owned(), ""),
    };
    Meaning { severity, summary, advice: advice.into(), actions: None }
}

/// `Physical Layer (Receiver ID)` of what AER prints: the severity is told already.
fn bus_layer(message: &str) -> String {
    message.split_once("type=").map_or_else(|| message.to_owned(), |(_, layer)| layer.replace(", (", " ("))
}

fn with_message(what: &str, message: &str) -> String {
    if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") }
}
