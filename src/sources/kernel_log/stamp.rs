//! Where the message of a log line begins, and what stands before it: the stamps of `dmesg`, `dmesg -T`, journal and
//! syslog, the priority, and who wrote it.

use super::filter::contains;
use crate::units::{Mono, Wall};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A line taken apart; nothing is computed yet, since most lines are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split<'a> {
    /// Time since boot as printed: `1234.567890`.
    pub(super) mono: Option<&'a [u8]>,
    /// Time of day as printed.
    pub(super) wall: Option<&'a [u8]>,
    /// `<6>` or the first number of a kmsg record: priority plus eight times the facility.
    pub(super) priority: Option<&'a [u8]>,
    /// Microseconds since boot, from a kmsg record.
    pub(super) micros: Option<&'a [u8]>,
    /// The line names a writer other than the kernel.
    pub(super) user_space: bool,
    /// The message.
    pub(super) text: &'a [u8],
}

/// Takes a line apart.
pub(super) fn split(line: &[u8]) -> Split<'_> {
    let mut split = Split { text: line.trim_ascii_end(), ..Split::default() };
    if let Some(rest) = split.text.strip_prefix(b"<")
        && let Some((number, rest)) = cut(rest, b'>', 4)
    {
        split.priority = Some(number);
        split.text = rest;
    }
    facility_and_level(&mut split);
    match split.text.first() {
        Some(b'[') => bracket(&mut split),
        Some(digit) if digit.is_ascii_digit() && !record(&mut split) => iso(&mut split),
        Some(letter) if letter.is_ascii_uppercase() => syslog(&mut split),
        Some(b' ') => trace(&mut split),
        _ => {}
    }
    split
}

/// `kern  :err   : `, as `dmesg --decode` prints it (util-linux, `dmesg.c`): names padded to six columns.
fn facility_and_level(split: &mut Split<'_>) {
    const FACILITIES: [&[u8]; 13] = [
        b"kern",
        b"user",
        b"mail",
        b"daemon",
        b"auth",
        b"syslog",
        b"lpr",
        b"news",
        b"uucp",
        b"cron",
        b"authpriv",
        b"ftp",
        b"local",
    ];
    const LEVELS: [(&[u8], &[u8]); 8] = [
        (b"emerg", b"0"),
        (b"alert", b"1"),
        (b"crit", b"2"),
        (b"err", b"3"),
        (b"warn", b"4"),
        (b"notice", b"5"),
        (b"info", b"6"),
        (b"debug", b"7"),
    ];
    let Some((facility, rest)) = cut(split.text, b':', 10) else { return };
    let Some((level, rest)) = cut(rest, b':', 10) else { return };
    let Some(rest) = rest.strip_prefix(b" ") else { return };
    let facility = facility.trim_ascii_end();
    let known = FACILITIES
        .iter()
        .any(|known| facility.strip_prefix(*known).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit)));
    let level = LEVELS.iter().find(|(name, _)| *name == level.trim_ascii_end());
    if let (true, Some((_, number))) = (known, level) {
        split.priority = Some(number);
        split.user_space = facility != b"kern";
        split.text = rest;
    }
}

/// `[ 1234.567890] text`, `[Tue Nov 24 04:45:11 2026] text`; the caller's id of some kernels in a second bracket.
fn bracket(split: &mut Split<'_>) {
    let Some((inside, rest)) = split.text.strip_prefix(b"[").and_then(|rest| cut(rest, b']', 40)) else {
        return;
    };
    let inside = inside.trim_ascii();
    let number = inside.contains(&b'.') && inside.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let day = inside.first().is_some_and(u8::is_ascii_uppercase) && contains(inside, b":");
    // `dmesg --human`: seconds since the line before, which are no time of their own.
    let since = inside.strip_prefix(b"+").is_some_and(|rest| {
        rest.contains(&b'.') && rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    });
    if number {
        split.mono = Some(inside);
    } else if since {
        // The message is what counts.
    } else if day {
        split.wall = Some(inside);
    } else {
        return;
    }
    let mut rest = rest.strip_prefix(b" ").unwrap_or(rest);
    if let Some((caller, after)) = rest.strip_prefix(b"[").and_then(|rest| cut(rest, b']', 12))
        && matches!(caller.trim_ascii().first(), Some(b'T' | b'C'))
        && caller.trim_ascii().iter().skip(1).all(u8::is_ascii_digit)
    {
        rest = after.strip_prefix(b" ").unwrap_or(after);
    }
    split.text = rest;
    // `journalctl -o short-monotonic` prints host and writer after the stamp.
    if number && let Some((_, after)) = cut(rest, b' ', 64) {
        if let Some(after) = after.strip_prefix(b"kernel: ") {
            split.text = after;
        } else if let Some(after) = writer(after) {
            split.user_space = true;
            split.text = after;
        }
    }
}

/// `name[pid]: text` of a program: gives the text.
fn writer(text: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = cut(text, b' ', 64)?;
    let tag = tag.strip_suffix(b":")?;
    let pid = tag.strip_suffix(b"]")?;
    let open = pid.iter().position(|byte| *byte == b'[')?;
    pid.get(open + 1..)?.iter().all(u8::is_ascii_digit).then_some(rest)
}

/// A kmsg record: `6,1234,5678901,-;text`.
fn record(split: &mut Split<'_>) -> bool {
    let Some((head, text)) = cut(split.text, b';', 80) else { return false };
    let mut members = head.split(|byte| *byte == b',');
    let (Some(priority), Some(sequence), Some(micros)) = (members.next(), members.next(), members.next())
    else {
        return false;
    };
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if members.next().is_none() || ![priority, sequence, micros].into_iter().all(digits) {
        return false;
    }
    (split.priority, split.micros, split.text) = (Some(priority), Some(micros), text);
    true
}

/// `2026-11-24T04:45:11.123456+00:00 host kernel: [12.3] text`, and what `dmesg --time-format iso` prints.
fn iso(split: &mut Split<'_>) {
    let Some((stamp, rest)) = cut(split.text, b' ', 40) else { return };
    if stamp.get(4) != Some(&b'-') || stamp.get(10) != Some(&b'T') {
        return;
    }
    split.wall = Some(stamp);
    split.text = rest;
    after_host(split, rest);
}

/// `Nov 24 04:45:11[.123456] host kernel: [12.3] text`; also with a weekday and a year before it.
fn syslog(split: &mut Split<'_>) {
    let line = split.text;
    let colon = |at: usize| line.get(at) == Some(&b':');
    let end = if colon(9) && colon(12) {
        // A fraction may follow the seconds.
        line.iter().skip(15).position(|byte| *byte == b' ').map(|more| 15 + more)
    } else if line.get(3) == Some(&b' ') && line.get(8) == Some(&b'-') && colon(17) && colon(20) {
        // `Tue 2026-11-24 04:45:11 UTC`, `journalctl -o short-full`
        line.iter().skip(24).position(|byte| *byte == b' ').map(|more| 24 + more)
    } else {
        None
    };
    let parts = end.and_then(|end| line.split_at_checked(end));
    let Some((stamp, rest)) = parts else { return };
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    split.wall = Some(stamp);
    split.text = rest;
    after_host(split, rest);
}

/// Host and writer after a time of day; then perhaps the stamp of dmesg. Without them the text is the message.
fn after_host<'a>(split: &mut Split<'a>, rest: &'a [u8]) {
    let Some((_host, rest)) = cut(rest, b' ', 255) else { return };
    if let Some(message) = rest.strip_prefix(b"kernel: ") {
        split.text = message;
        if let Some((inside, after)) = message.strip_prefix(b"[").and_then(|rest| cut(rest, b']', 20)) {
            let inside = inside.trim_ascii();
            if inside.contains(&b'.') && inside.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
                split.mono = Some(inside);
                split.text = after.strip_prefix(b" ").unwrap_or(after);
            }
        }
        return;
    }
    // A program's line: `name: text` or `name[pid]: text`. The kernel's own never has a host here.
    if let Some((tag, message)) = cut(rest, b' ', 128)
        && tag.ends_with(b":")
        && split.text.first().is_some_and(u8::is_ascii_alphanumeric)
        && !split.text.starts_with(b"NVRM: ")
        && !split.text.starts_with(b"nvidia-nvswitch")
        && !split.text.starts_with(b"INFO: task ")
    {
        let name = tag.strip_suffix(b":").unwrap_or(tag);
        // A device's address is no program: `dmesg --time-format iso` has no host.
        if !name.contains(&b':') && !name.starts_with(b"nvme") && !name.starts_with(b"MC") {
            split.user_space = true;
            split.text = message;
        }
    }
}

/// ftrace: `irq/99-nvidia-512 [003] d.h. 1234.567890: nvidia_dev_xid: Xid (PCI:…): …`
fn trace(split: &mut Split<'_>) {
    for name in [&b" nvidia_dev_xid: "[..], b" nvidia_dev_sxid: ", b" nvswitch_dev_sxid: "] {
        let Some(at) = split.text.windows(name.len()).position(|window| window == name) else { continue };
        let Some((head, rest)) = split.text.split_at_checked(at) else { continue };
        let stamp = head.rsplit(|byte| *byte == b' ').next();
        split.mono = stamp.and_then(|stamp| stamp.strip_suffix(b":"));
        split.text = rest.get(name.len()..).unwrap_or_default();
        return;
    }
}

/// What stands before the first `mark` within `within` bytes, and what follows it.
fn cut(text: &[u8], mark: u8, within: usize) -> Option<(&[u8], &[u8])> {
    let at = text.iter().take(within).position(|byte| *byte == mark)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// What stamps without year or zone are read in.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    /// Local time of the machine that reads.
    pub(super) zone: TimeZone,
    /// Now: a stamp without a year is the last such day that is not in the future.
    pub(super) now: Wall,
}

/// Seconds since boot with a fraction.
pub(super) fn mono(text: &[u8]) -> Option<Mono> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let digits: u64 = fraction.parse().ok()?;
    let scale = 10_u64.checked_pow(6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?)?;
    Some(Mono(seconds.checked_mul(1_000_000)?.checked_add(digits.checked_mul(scale)?)?))
}

/// A day may pass between the clocks of two machines.
const AHEAD_AT_MOST: i64 = 86_400_000_000;

/// A time of day in any of the forms.
pub(super) fn wall(text: &[u8], calendar: &Calendar) -> Option<Wall> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.get(4..5) == Some("-") {
        return iso_time(text, calendar);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        // dmesg -T: Tue Nov 24 04:45:11 2026
        [_, month, day, time, year] => local(&civil(year.parse().ok()?, month, day, time)?, calendar),
        // short-full: Tue 2026-11-24 04:45:11 UTC
        [_, date, time, zone] => {
            let date_time: DateTime = format!("{date}T{time}").parse().ok()?;
            let zone = if *zone == "UTC" { TimeZone::UTC } else { calendar.zone.clone() };
            at(date_time, &zone)
        }
        [month, day, time] => {
            let now = jiff::Timestamp::from_microsecond(calendar.now.0).ok()?;
            let year = calendar.zone.to_datetime(now).year();
            let this_year = civil(year, month, day, time).and_then(|civil| local(&civil, calendar));
            match this_year {
                Some(wall) if wall.0 <= calendar.now.0.saturating_add(AHEAD_AT_MOST) => Some(wall),
                _ => local(&civil(year - 1, month, day, time)?, calendar),
            }
        }
        _ => None,
    }
}

/// `2026-11-24T04:45:11,123456+0000`: a comma or a point, the zone with or without a colon, or none.
fn iso_time(text: &str, calendar: &Calendar) -> Option<Wall> {
    let text = text.replace(',', ".");
    let parsed: Option<jiff::Timestamp> = text.parse().ok();
    match parsed {
        Some(timestamp) => Some(Wall(timestamp.as_microsecond())),
        None => local(&text.parse().ok()?, calendar),
    }
}

fn civil(year: i16, month: &str, day: &str, time: &str) -> Option<DateTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let day: u8 = day.parse().ok()?;
    format!("{year:04}-{month:02}-{day:02}T{time}").parse().ok()
}

fn local(civil: &DateTime, calendar: &Calendar) -> Option<Wall> {
    at(*civil, &calendar.zone)
}

fn at(civil: DateTime, zone: &TimeZone) -> Option<Wall> {
    zone.to_timestamp(civil).ok().map(|timestamp| Wall(timestamp.as_microsecond()))
}

#[cfg(test)]
mod tests;
