//! Lines of the kernel and of other drivers.

use super::text::{device_message, leading_number, number_after};
use super::{Event, Kind, Line, PciAddress};

pub(super) fn parse(line: &str) -> Option<Line<'_>> {
    match line.as_bytes().first()? {
        b'I' => hung_task(line).or_else(|| block(line)),
        b'O' | b'M' | b'o' => out_of_memory(line),
        b'm' => machine_check(line).or_else(|| mlx5(line)).or_else(|| bus_error(line)),
        b'[' | b'{' | b'E' | b'K' => machine_check(line),
        b'b' | b'c' => block(line).or_else(|| invoked(line)).or_else(|| bus_error(line)),
        b'n' => nvme(line).or_else(|| bus_error(line)).or_else(|| invoked(line)),
        _ => bus_error(line).or_else(|| invoked(line)),
    }
}

/// `INFO: task <name>:<pid> blocked for more than 120 seconds.`
fn hung_task(line: &str) -> Option<Line<'_>> {
    let rest = line.strip_prefix("INFO: task ")?;
    let (task, message) = rest.split_once(" blocked ")?;
    if !message.contains("for more than ") {
        return None;
    }
    let (name, pid) = task.rsplit_once(':')?;
    let pid = pid.parse().ok()?;
    Some(Line::Event(Event { pid: Some(pid), process: Some(name), ..Event::new(Kind::HungTask, line) }))
}

fn out_of_memory(line: &str) -> Option<Line<'_>> {
    if line.starts_with("oom-kill:") || line.starts_with("oom_reaper: ") {
        return Some(Line::Detail(Kind::OomKill, None));
    }
    let message =
        line.strip_prefix("Out of memory").or_else(|| line.strip_prefix("Memory cgroup out of memory"));
    let Some(message) = message else { return invoked(line) };
    let Some((_, killed)) = message.split_once(": Killed process ") else {
        return Some(Line::Detail(Kind::OomKill, None));
    };
    let (pid, rest) = leading_number(killed)?;
    // A name may have parentheses of its own, `(sd-pam)`; what follows it has none.
    let named = rest.strip_prefix(" (");
    let process = named.and_then(|rest| rest.rsplit_once(')')).map(|(name, _)| name);
    Some(Line::Event(Event { pid: Some(pid), process, ..Event::new(Kind::OomKill, line) }))
}

/// `<name> invoked oom-killer: gfp_mask=…`
fn invoked(line: &str) -> Option<Line<'_>> {
    line.contains(" invoked oom-killer: ").then_some(Line::Detail(Kind::OomKill, None))
}

fn machine_check(line: &str) -> Option<Line<'_>> {
    if let Some(rest) = line.strip_prefix("EDAC ") {
        return memory_controller(line, rest);
    }
    if line.starts_with("Kernel panic - not syncing: ") {
        let fatal = line.contains("machine check") || line.contains("hardware error");
        return fatal
            .then(|| Line::Event(Event { fatal: Some(true), ..Event::new(Kind::MachineCheck, line) }));
    }
    let rest = match line.strip_prefix("mce: ") {
        Some(rest) => rest,
        None => line,
    };
    // Firmware's reports carry a running number in braces.
    let rest = match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    let message = rest.strip_prefix("[Hardware Error]: ")?;
    let event = |fatal, corrected| {
        Some(Line::Event(Event { fatal, corrected, ..Event::new(Kind::MachineCheck, message) }))
    };
    if let Some(severity) = message.trim_start().strip_prefix("event severity: ") {
        return event(Some(severity == "fatal"), severity == "corrected" || severity == "info");
    }
    if message.contains("Machine Check Exception: ") {
        return event(Some(true), false);
    }
    if message.starts_with("Machine check events logged") {
        return event(None, true);
    }
    if message.contains(": Machine Check: ") || message.starts_with("Uncorrected error") {
        return event(None, false);
    }
    if message.starts_with("Corrected error") {
        return event(None, true);
    }
    Some(Line::Detail(Kind::MachineCheck, None))
}

/// `EDAC MC0: 1 CE memory read error on CPU_SrcID#0_…`
fn memory_controller<'a>(line: &'a str, rest: &'a str) -> Option<Line<'a>> {
    let (controller, message) = rest.split_once(": ")?;
    let number = controller.strip_prefix("MC")?;
    number.parse::<u32>().ok()?;
    let (_, what) = leading_number(message)?;
    let corrected = what.starts_with(" CE ");
    (corrected || what.starts_with(" UE ")).then(|| {
        let fatal = (!corrected).then_some(false);
        Line::Event(Event { fatal, corrected, ..Event::new(Kind::MachineCheck, line) })
    })
}

/// Faults of an NVMe controller; its ordinary messages are none.
fn nvme(line: &str) -> Option<Line<'_>> {
    let rest = line.strip_prefix("nvme ")?;
    let (device, message) = rest.split_once(": ")?;
    if !device.starts_with("nvme") {
        return None;
    }
    const FAULTS: [&str; 9] = [
        " timeout, ",
        "controller is down; will reset",
        "Device not ready; aborting",
        "Removing after probe failure",
        "Disabling device after reset failure",
        "Abort status: ",
        "failed to mark controller",
        "I/O Error (sct",
        "Media and Data Integrity",
    ];
    let fault = FAULTS.iter().any(|fault| message.contains(fault));
    let gone = message.starts_with("Removing after probe failure") || message.starts_with("Disabling device");
    let polled = message.contains("completion polled");
    fault.then(|| {
        let event = Event { device: Some(device), corrected: polled, ..Event::new(Kind::Nvme, message) };
        Line::Event(Event { fatal: gone.then_some(true), ..event })
    })
}

/// `[blk_update_request: ]I/O error, dev nvme0n1, sector …`, `critical medium error, dev nvme0n1, …`
fn block(line: &str) -> Option<Line<'_>> {
    let message = line.strip_prefix("blk_update_request: ").unwrap_or(line);
    let (what, rest) = message.split_once(" error, dev nvme")?;
    if !matches!(what, "I/O" | "critical medium" | "critical target" | "critical space allocation") {
        return None;
    }
    let (_, device) = message.split_once(" dev ")?;
    let device = device.split(',').next()?;
    let fatal = (what == "critical medium").then_some(true);
    let _sector = rest;
    Some(Line::Event(Event { device: Some(device), fatal, ..Event::new(Kind::Nvme, message) }))
}

/// Faults of an NVIDIA (Mellanox) network card.
fn mlx5(line: &str) -> Option<Line<'_>> {
    if !line.starts_with("mlx5_core ") {
        return None;
    }
    let (_, pci, message) = device_message(line)?;
    if message.contains("PCIe Bus Error: ") || message.starts_with("AER: ") {
        return bus_error(line);
    }
    const FATAL: [&str; 5] = [
        "device's health compromised",
        "Fatal error",
        "handling bad device",
        "health_care",
        "device removed",
    ];
    const FAULTS: [&str; 9] = [
        "Port module event[error]",
        "Cable unplugged",
        "Cable error",
        "insufficient power on the PCIe slot",
        "High temperature",
        "Will cause a leak of a command resource",
        "Error cqe on cqn",
        "TX timeout detected",
        "NETDEV WATCHDOG",
    ];
    let fatal = FATAL.iter().any(|word| message.contains(word));
    let down = message.ends_with("Link down");
    let fault = fatal || down || FAULTS.iter().any(|word| message.contains(word));
    if !fault {
        let health =
            message.contains("assert_") || message.contains("synd ") || message.contains("print_health_info");
        return health.then_some(Line::Detail(Kind::Nic, Some(pci)));
    }
    let fatal = fatal.then_some(true);
    Some(Line::Event(Event { pci: Some(pci), fatal, ..Event::new(Kind::Nic, message) }))
}

/// PCIe error reporting: `<driver> <address>: [AER: ]PCIe Bus Error: severity=…, type=…`, what the root port says
/// before it, and the registers after it.
fn bus_error(line: &str) -> Option<Line<'_>> {
    let (_, address, message) = device_message(line)?;
    let of_aer = message.strip_prefix("AER: ");
    let body = of_aer.unwrap_or(message).trim_start();
    if let Some(rest) = body.strip_prefix("PCIe Bus Error: severity=") {
        let severity = rest.split(',').next()?.trim();
        let corrected = severity.starts_with("Correct");
        let fatal = (!corrected).then(|| severity.contains("(Fatal)") || severity == "Fatal");
        let event = Event { pci: Some(address), corrected, fatal, ..Event::new(Kind::Aer, body) };
        return Some(Line::Event(event));
    }
    if of_aer.is_some() {
        // The port names the device that sent the message; the driver's own report follows.
        let about = body.rsplit(' ').next().and_then(PciAddress::parse).unwrap_or(address);
        return Some(Line::Detail(Kind::Aer, Some(about)));
    }
    let registers = body.starts_with("device [") && body.contains("error status/mask=");
    let bit = message.starts_with("   [") && number_after(message, "[").is_some();
    (registers || bit).then_some(Line::Detail(Kind::Aer, Some(address)))
}
