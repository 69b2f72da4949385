//! Small steps through a line.

use super::PciAddress;

/// The digits at the start, as a number, and what follows them.
pub(super) fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// The number right after `marker`, spaces between them allowed.
pub(super) fn number_after(text: &str, marker: &str) -> Option<u32> {
    let (_, rest) = text.split_once(marker)?;
    leading_number(rest.trim_start()).map(|(number, _)| number)
}

/// The number written `0x…` right after `marker`.
pub(super) fn hex_after(text: &str, marker: &str) -> Option<u32> {
    let (_, rest) = text.split_once(marker)?;
    let rest = rest.trim_start().strip_prefix("0x")?;
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    u32::from_str_radix(rest.split_at_checked(end)?.0, 16).ok()
}

/// Splits `<driver> <pci address>: <message>` as `dev_err` prints it; a device name may stand before the colon.
pub(super) fn device_message(line: &str) -> Option<(&str, PciAddress, &str)> {
    let (driver, rest) = line.split_once(' ')?;
    let (device, message) = rest.split_once(": ")?;
    let address = device.split(' ').next()?;
    Some((driver, PciAddress::parse(address)?, message))
}
