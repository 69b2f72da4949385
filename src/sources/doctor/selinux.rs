//! SELinux: whether it enforces, what the policy says the labels should be, and what was denied.

use super::gather::{Gather, shortened};
use crate::model::{Absence, Reading};
use crate::sources::root::{Root, absence_of};
use rustix::fs::SeekFrom;
use std::sync::Arc;

const AUDIT_LOG: &str = "/var/log/audit/audit.log";
/// Of the audit log only its end is read: it rotates at 8 MiB (auditd.conf(5), `max_log_file`).
const TAIL: u64 = 4 << 20;
/// Denials that are kept, the newest.
const DENIALS: usize = 20;

pub(super) fn read(gather: &mut Gather<'_>) {
    gather.text("/sys/fs/selinux/enforce");
    gather.text("/sys/fs/selinux/booleans/container_use_devices");
    gather.lines("/etc/selinux/config", |line| line.starts_with("SELINUX"));
    let policy = gather
        .root
        .read_to_string("/etc/selinux/config", 65_536)
        .ok()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("SELINUXTYPE=").map(str::to_owned)))
        .unwrap_or_else(|| "targeted".into());
    // What matchpathcon would look up, without starting it; local definitions are the stronger ones.
    for name in ["file_contexts", "file_contexts.local"] {
        gather.lines(&format!("/etc/selinux/{}/contexts/files/{name}", policy.trim()), |line| {
            line.starts_with("/dev/nvidia")
        });
    }
    let denials = denials(gather.root);
    gather.put_lines(AUDIT_LOG, denials);
}

/// Denials that mention nvidia in the end of the audit log, and the newest record, by whose time they are old or new.
/// Numbers of lines count from where reading began.
fn denials(root: &Root) -> Reading<Vec<(u32, Arc<str>)>> {
    let file = root.open_file(AUDIT_LOG)?;
    let size = u64::try_from(rustix::fs::fstat(&file).map_err(absence_of)?.st_size).unwrap_or(0);
    rustix::fs::seek(&file, SeekFrom::Start(size.saturating_sub(TAIL))).map_err(absence_of)?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < TAIL {
        bytes.reserve(65_536);
        let before = bytes.len();
        match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(_) if bytes.len() == before => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(absence_of(errno)),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<(u32, Arc<str>)> = Vec::new();
    let mut last = None;
    for (index, line) in text.lines().enumerate() {
        let line_of = || (u32::try_from(index + 1).unwrap_or(u32::MAX), Arc::from(shortened(line)));
        if line.contains("type=AVC") && line.contains("denied") && line.contains("nvidia") {
            lines.push(line_of());
        }
        last = Some((index, line));
    }
    if lines.len() > DENIALS {
        lines.drain(..lines.len() - DENIALS);
    }
    let Some((index, line)) = last else { return Err(Absence::NotSupported) };
    // Only its time matters: the rest of a record that does not concern GPUs stays here.
    let time = line.split("msg=").nth(1).and_then(|rest| rest.split(')').next());
    lines.extend(time.map(|time| {
        (u32::try_from(index + 1).unwrap_or(u32::MAX), Arc::from(format!("newest record: msg={time})")))
    }));
    Ok(lines)
}
