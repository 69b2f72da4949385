//! Lines of NVIDIA's kernel modules.

use super::text::{hex_after, leading_number, number_after};
use super::{Event, Kind, Line, PciAddress};

/// A line of the main module, without `NVRM: `.
pub(super) fn module(text: &str) -> Option<Line<'_>> {
    if let Some(rest) = text.strip_prefix("Xid (") {
        return xid(rest).map(Line::Event);
    }
    if let Some(rest) = text.strip_prefix("GPU at PCI:") {
        let (address, uuid) = rest.split_once(": ")?;
        return Some(match PciAddress::parse(address) {
            Some(pci) if uuid.starts_with("GPU-") => Line::Identity(pci, uuid),
            _ => Line::Detail(Kind::Xid, None),
        });
    }
    if let Some(rest) = text.strip_prefix("GPU ")
        && let Some((address, message)) = rest.split_once(": ")
        && let Some(pci) = PciAddress::parse(address)
    {
        return Some(of_gpu(pci, message));
    }
    if let Some(rest) = text.strip_prefix("loading NVIDIA UNIX ") {
        let version = rest.split_whitespace().find(|word| is_version(word));
        return Some(Line::Event(Event { device: version, ..Event::new(Kind::DriverLoad, text) }));
    }
    if let Some(rest) = text.strip_prefix("API mismatch: ") {
        let process = rest.split('\'').nth(1);
        let pid = number_after(rest, "(pid ");
        return Some(Line::Event(Event { process, pid, ..Event::new(Kind::ApiMismatch, text) }));
    }
    if let Some(rest) = text.strip_prefix("Attempting to remove device ") {
        if !rest.contains("non-zero usage count") {
            return Some(Line::Detail(Kind::OffBus, None));
        }
        let pci = rest.split_whitespace().find_map(PciAddress::parse);
        return Some(Line::Event(Event { pci, ..Event::new(Kind::OffBus, text) }));
    }
    // The probe's three lines: the last one says it.
    if text.starts_with("fallen off the bus and is not responding to commands") {
        return Some(Line::Event(Event::new(Kind::OffBus, text)));
    }
    if let Some(rest) = text.strip_prefix("The NVIDIA GPU ") {
        return Some(Line::Detail(Kind::OffBus, rest.split_whitespace().next().and_then(PciAddress::parse)));
    }
    if text.starts_with("(PCI ID: ") {
        return Some(Line::Detail(Kind::OffBus, None));
    }
    if INIT_FAILED.iter().any(|start| text.starts_with(start)) {
        return Some(Line::Event(Event::new(Kind::InitFailed, text)));
    }
    let of_mismatch = ["has the version ", "the version ", "NVIDIA kernel module", "make sure that"];
    let kind =
        if of_mismatch.iter().any(|start| text.starts_with(start)) { Kind::ApiMismatch } else { Kind::Xid };
    Some(Line::Detail(kind, None))
}

/// What the module says when it could not take a GPU.
const INIT_FAILED: [&str; 4] = [
    "The NVIDIA probe routine failed for ",
    "None of the NVIDIA devices were initialized",
    "No NVIDIA GPU found",
    "This PCI I/O region assigned to your NVIDIA device is invalid",
];

fn is_version(word: &str) -> bool {
    word.contains('.')
        && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// `GPU dddd:bb:dd.f: …`
fn of_gpu(pci: PciAddress, message: &str) -> Line<'_> {
    let kind = if message.starts_with("GPU has fallen off the bus") {
        Kind::OffBus
    } else if message.starts_with("RmInitAdapter failed!") {
        Kind::InitFailed
    } else {
        return Line::Detail(Kind::Xid, Some(pci));
    };
    Line::Event(Event { pci: Some(pci), ..Event::new(kind, message) })
}

/// What follows `Xid (`.
fn xid(text: &str) -> Option<Event<'_>> {
    let (place, rest) = text.split_once("): ")?;
    let mut words = place.split(' ');
    let pci = PciAddress::parse(words.next()?)?;
    let (mut gpu_instance, mut compute_instance) = (None, None);
    for word in words {
        if let Some(number) = word.strip_prefix("GPU-I:") {
            gpu_instance = number.parse().ok();
        } else if let Some(number) = word.strip_prefix("GPU-CI:") {
            compute_instance = number.parse().ok();
        }
    }
    let (code, rest) = leading_number(rest)?;
    let rest = rest.strip_prefix(',')?.trim_start();
    let (pid, process, message) = process(rest);
    let (message, caused_by) = match message.rsplit_once(" caused by previous Xid ") {
        Some((message, number)) => (message, leading_number(number).map(|(number, _)| number)),
        None => (message, None),
    };
    let link = match code {
        74 | 136 => number_after(message, "link "),
        144..=150 => number_after(message, " Link "),
        _ => None,
    };
    let fatal = if matches!(code, 144..=150) { link_error(message).map(|error| error.fatal) } else { None };
    Some(Event {
        code: Some(code),
        pci: Some(pci),
        pid,
        process,
        gpu_instance,
        compute_instance,
        link,
        fatal,
        caused_by,
        recovery_action: if code == 154 { hex_after(message, " to ") } else { None },
        ..Event::new(Kind::Xid, message)
    })
}

/// `pid=…, name=…, ` before the message; old drivers quote the PID they do not know, and leave out the name.
fn process(text: &str) -> (Option<u32>, Option<&str>, &str) {
    let Some(rest) = text.strip_prefix("pid=") else { return (None, None, text) };
    let Some((pid, rest)) = rest.split_once(", ") else { return (None, None, text) };
    let pid = pid.trim_matches('\'').parse().ok();
    let Some(named) = rest.strip_prefix("name=") else { return (pid, None, rest) };
    let (name, message) = named.split_once(", ").unwrap_or((named, ""));
    (pid, Some(name).filter(|name| *name != "<unknown>" && !name.is_empty()), message)
}

/// The parts of an NVLink5 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkError<'a> {
    /// `RLW_SRC_TRACK`
    pub unit: &'a str,
    /// The word in the line.
    pub fatal: bool,
    /// First number of the list.
    pub first: u32,
    /// Second number: the error status.
    pub status: u32,
}

impl<'a> LinkError<'a> {
    /// Reads `<UNIT> Fatal|Nonfatal XC0|XC1 i0 Link <nn|-1> (0x… 0x… …)`.
    #[must_use]
    pub fn parse(message: &'a str) -> Option<Self> {
        link_error(message)
    }
}

fn link_error(message: &str) -> Option<LinkError<'_>> {
    let (head, list) = message.split_once('(')?;
    let mut words = head.split_whitespace();
    let (unit, gravity) = (words.next()?, words.next()?);
    let fatal = match gravity {
        "Fatal" => true,
        "Nonfatal" | "Non-fatal" => false,
        _ => return None,
    };
    let mut numbers = list
        .split([' ', ')'])
        .filter_map(|word| word.strip_prefix("0x"))
        .filter_map(|hex| u32::from_str_radix(hex, 16).ok());
    Some(LinkError { unit, fatal, first: numbers.next()?, status: numbers.next()? })
}

/// The ftrace form: the message without the module's name.
pub(super) fn trace(line: &str) -> Option<Line<'_>> {
    if let Some(rest) = line.strip_prefix("Xid (") {
        return xid(rest).map(Line::Event);
    }
    sxid(line.strip_prefix("SXid (")?)
}

/// Lines of the other modules.
pub(super) fn other(line: &str) -> Option<Line<'_>> {
    let rest = line.strip_prefix("nvidia-nvswitch")?;
    let (device, message) = rest.split_once(": ")?;
    let message = match message.strip_prefix("SXid (") {
        Some(message) if device.parse::<u32>().is_ok() => message,
        _ => return None,
    };
    sxid(message)
}

/// What follows `SXid (`.
fn sxid(text: &str) -> Option<Line<'_>> {
    let (place, rest) = text.split_once("): ")?;
    let pci = PciAddress::parse(place)?;
    let (code, rest) = leading_number(rest)?;
    let message = rest.strip_prefix(',')?.trim_start();
    if message.starts_with("Severity ") || message.starts_with("Data {") {
        return Some(Line::Detail(Kind::Sxid, Some(pci)));
    }
    let (fatal, message) = if let Some(message) = message.strip_prefix("Fatal, ") {
        (Some(true), message)
    } else if let Some(message) = message.strip_prefix("Non-fatal, ") {
        (Some(false), message)
    } else {
        (None, message)
    };
    let (link, message) = match message.strip_prefix("Link ").and_then(leading_number) {
        Some((link, message)) => (Some(link), message.trim_start()),
        None => (None, message),
    };
    Some(Line::Event(Event {
        code: Some(code),
        pci: Some(pci),
        fatal,
        link,
        ..Event::new(Kind::Sxid, message)
    }))
}
