//! What one line of the kernel log says, without stamp and priority. Anchored at the start of the message: a line that
//! only quotes a driver's message is none.
//!
//! Formats: the driver's own `kernel_rc.c` and `nvswitch` sources, the kernel's `aer.c`, `oom_kill.c`, `hung_task.c`,
//! `mce`, `nvme` and `mlx5_core`.

mod host;
mod nvidia;
mod text;

pub use nvidia::LinkError;

use std::fmt;

/// Kind of an event, as in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An error of a GPU.
    Xid,
    /// An error of an NVSwitch.
    Sxid,
    /// A GPU that does not answer any more.
    OffBus,
    /// A GPU that could not be initialised.
    InitFailed,
    /// User space and kernel module of different versions.
    ApiMismatch,
    /// The kernel module was loaded.
    DriverLoad,
    /// PCIe error reporting.
    Aer,
    /// The kernel ended a process for want of memory.
    OomKill,
    /// A hardware error of CPU or memory.
    MachineCheck,
    /// A fault of an NVMe device.
    Nvme,
    /// A fault of a network card.
    Nic,
    /// A task that does not run any more.
    HungTask,
    /// kgtop's own action.
    Action,
}

impl Kind {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xid => "xid",
            Self::Sxid => "sxid",
            Self::OffBus => "off_bus",
            Self::InitFailed => "init_failed",
            Self::ApiMismatch => "api_mismatch",
            Self::DriverLoad => "driver_load",
            Self::Aer => "aer",
            Self::OomKill => "oom_kill",
            Self::MachineCheck => "machine_check",
            Self::Nvme => "nvme",
            Self::Nic => "nic",
            Self::HungTask => "hung_task",
            Self::Action => "action",
        }
    }
}

/// A PCI address as a log line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// Domain.
    pub domain: u32,
    /// Bus.
    pub bus: u8,
    /// Device.
    pub device: u8,
}

impl PciAddress {
    /// Reads `dddd:bb:dd`, with or without `.f` and `PCI:`; domains of four to eight digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("PCI:").unwrap_or(text);
        let text = match text.split_once('.') {
            Some((address, function)) if function.len() == 1 && hex(function).is_some() => address,
            Some(_) => return None,
            None => text,
        };
        let mut parts = text.split(':');
        let (domain, bus, device) = (parts.next()?, parts.next()?, parts.next()?);
        let sizes = (4..=8).contains(&domain.len()) && bus.len() == 2 && device.len() == 2;
        if parts.next().is_some() || !sizes {
            return None;
        }
        Some(Self {
            domain: hex(domain)?,
            bus: u8::try_from(hex(bus)?).ok()?,
            device: u8::try_from(hex(device)?).ok()?,
        })
    }
}

fn hex(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(text, 16).ok() } else { None }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}", self.domain, self.bus, self.device)
    }
}

/// An event of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Xid or SXid.
    pub code: Option<u32>,
    /// The device.
    pub pci: Option<PciAddress>,
    /// The process that the line names, by its PID on the host.
    pub pid: Option<u32>,
    /// Its name, where the line has it.
    pub process: Option<&'a str>,
    /// MIG GPU instance.
    pub gpu_instance: Option<u32>,
    /// MIG compute instance.
    pub compute_instance: Option<u32>,
    /// NVLink.
    pub link: Option<u32>,
    /// What the line says of its gravity: AER's and NVSwitch's `Fatal`, an uncorrected error.
    pub fatal: Option<bool>,
    /// Whether the line calls it corrected.
    pub corrected: bool,
    /// Recovery action that an Xid 154 changed to.
    pub recovery_action: Option<u32>,
    /// The Xid that this one names as its cause.
    pub caused_by: Option<u32>,
    /// Name of the device that has no PCI address in the line (`nvme0`), or the driver's version.
    pub device: Option<&'a str>,
    /// The message, without what stands in the members.
    pub message: &'a str,
}

impl<'a> Event<'a> {
    /// An Xid of which only the code is known.
    pub(super) const fn xid(code: u32) -> Self {
        Self { code: Some(code), ..Self::new(Kind::Xid, "") }
    }

    /// kgtop's own action.
    pub(super) const fn action(message: &'a str) -> Self {
        Self::new(Kind::Action, message)
    }

    const fn new(kind: Kind, message: &'a str) -> Self {
        Self {
            kind,
            code: None,
            pci: None,
            pid: None,
            process: None,
            gpu_instance: None,
            compute_instance: None,
            link: None,
            fatal: None,
            corrected: false,
            recovery_action: None,
            caused_by: None,
            device: None,
            message,
        }
    }
}

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// An event.
    Event(Event<'a>),
    /// More about an event of that kind just before or after it.
    Detail(Kind, Option<PciAddress>),
    /// The driver says which UUID a PCI address has.
    Identity(PciAddress, &'a str),
}

/// What the line says; `None` for the many lines that are nothing to a GPU operator.
#[must_use]
pub fn parse(line: &str) -> Option<Line<'_>> {
    let line = line.trim_end_matches(['\r', '\n', '\0', ' ']);
    match line.as_bytes().first()? {
        b'N' => nvidia::module(line.strip_prefix("NVRM: ")?),
        b'X' | b'S' => nvidia::trace(line),
        b'n' => nvidia::other(line).or_else(|| host::parse(line)),
        _ => host::parse(line),
    }
}

#[cfg(test)]
mod tests;
