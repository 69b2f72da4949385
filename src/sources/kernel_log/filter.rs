//! Whether a message may be an event, or more about one. Cheap, and generous: the analysis decides.

/// Looks at the start of the message only, so that a line which quotes a driver is none.
pub(super) fn may_matter(text: &[u8]) -> bool {
    let starts: &[&[u8]] = match text.first() {
        Some(b'N') => return text.starts_with(b"NVRM: "),
        Some(b'X') => &[b"Xid ("],
        Some(b'S') => &[b"SXid ("],
        Some(b'I') => &[b"INFO: task ", b"I/O error, dev nvme"],
        Some(b'O') => &[b"Out of memory"],
        Some(b'M') => &[b"Memory cgroup out of memory"],
        Some(b'o') => &[b"oom-kill:", b"oom_reaper: "],
        Some(b'm') => &[b"mce: ", b"mlx5_core "],
        Some(b'n') => &[b"nvidia-nvswitch", b"nvme nvme"],
        Some(b'[') => &[b"[Hardware Error]: "],
        Some(b'{') => return text.iter().take(16).any(|byte| *byte == b'}') && hardware_error(text),
        Some(b'E') => &[b"EDAC MC"],
        Some(b'K') => &[b"Kernel panic - not syncing: "],
        Some(b'b') => &[b"blk_update_request: "],
        Some(b'c') => &[b"critical "],
        _ => &[],
    };
    starts.iter().any(|start| text.starts_with(start)) || bus_error(text) || invoked(text)
}

fn hardware_error(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b'}');
    parts.nth(1).is_some_and(|rest| rest.starts_with(b"[Hardware Error]: "))
}

/// `<driver> dddd:bb:dd.f: …` that speaks of PCIe errors.
fn bus_error(text: &[u8]) -> bool {
    let Some(space) = text.iter().take(24).position(|byte| *byte == b' ') else { return false };
    let Some(rest) = text.get(space + 1..) else { return false };
    let at = |index: usize, byte: u8| rest.get(index) == Some(&byte);
    if !(at(4, b':') && at(7, b':') && at(10, b'.')) {
        return false;
    }
    let message = rest.get(12..).unwrap_or_default();
    let bit = message.starts_with(b":    [");
    bit || [&b"PCIe Bus Error"[..], b"AER: ", b"error status/mask="]
        .iter()
        .any(|word| contains(message, word))
}

/// `<name> invoked oom-killer: …`; a name has at most 15 bytes.
fn invoked(text: &[u8]) -> bool {
    let head = text.get(..34).unwrap_or(text);
    contains(head, b" invoked oom-killer")
}

/// Whether `needle` stands in `text`.
pub(super) fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}
