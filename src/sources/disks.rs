//! Counters of the block devices: `/proc/diskstats`.

use super::root::Root;
use crate::model::{Absence, DiskCounters, Reading};

/// Twenty fields a row, a few hundred rows on the largest machines.
const FILE_AT_MOST: usize = 1 << 20;
/// `/proc/diskstats` counts sectors of this size, whatever the device's own is (kernel, Documentation/admin-guide/
/// iostats.rst).
const SECTOR: u64 = 512;
/// Devices that are memory or stand for files, and the volumes of ZFS, which lie above what is counted.
const NOT_DEVICES: [&str; 6] = ["loop", "ram", "zram", "zd", "sr", "fd"];

/// Reads the counters.
#[derive(Debug)]
pub struct DiskReader {
    root: Root,
    buffer: Vec<u8>,
}

impl DiskReader {
    /// A reader below `root`.
    #[must_use]
    pub const fn new(root: Root) -> Self {
        Self { root, buffer: Vec::new() }
    }

    /// Disks and partitions that did anything since boot.
    ///
    /// # Errors
    /// What the kernel answered; failed where no row is one.
    pub fn read(&mut self) -> Reading<Vec<DiskCounters>> {
        self.root.read_into("/proc/diskstats", FILE_AT_MOST, &mut self.buffer)?;
        let text = String::from_utf8_lossy(&self.buffer);
        let rows: Vec<DiskCounters> = text.lines().filter_map(row).collect();
        if rows.is_empty() && !text.trim().is_empty() {
            return Err(Absence::failed(0, "/proc/diskstats: no row of it was understood"));
        }
        Ok(rows.into_iter().filter(|disk| disk.reads + disk.writes > 0 && is_device(&disk.name)).collect())
    }
}

fn is_device(name: &str) -> bool {
    let digits = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    !NOT_DEVICES.iter().any(|kind| name.strip_prefix(kind).is_some_and(digits))
}

fn row(line: &str) -> Option<DiskCounters> {
    let mut fields = line.split_ascii_whitespace().skip(2);
    let name = fields.next()?.into();
    let mut numbers = [0_u64; 10];
    for number in &mut numbers {
        *number = fields.next()?.parse().ok()?;
    }
    let [reads, _merged, read, read_ms, writes, _also, written, write_ms, in_flight, busy_ms] = numbers;
    Some(DiskCounters {
        name,
        reads,
        read_bytes: read.saturating_mul(SECTOR),
        read_ms,
        writes,
        written_bytes: written.saturating_mul(SECTOR),
        write_ms,
        in_flight,
        busy_ms,
    })
}

/// The kernel's name of the block device behind a device file; `None` for what is none.
#[must_use]
pub fn disk_of(root: &Root, path: &str) -> Option<std::sync::Arc<str>> {
    let below_dev = path.strip_prefix("/dev/")?;
    // What is not linked (an unplugged leg whose link is gone) keeps its own name.
    root.link_name(path).ok().or_else(|| below_dev.rsplit('/').next().map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading<Vec<DiskCounters>> {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("proc")).unwrap();
        std::fs::write(tree.path().join("proc/diskstats"), text).unwrap();
        DiskReader::new(Root::open(tree.path()).unwrap()).read()
    }

    #[test]
    fn sectors_are_bytes_and_idle_or_virtual_devices_are_left_out() {
        let text = "   7       0 loop0 9 0 9 9 0 0 0 0 0 9 9 0 0 0 0 0 0\n \
                    259       0 nvme0n1 100 5 2048 40 10 2 16 30 1 60 70 0 0 0 0 3 4\n \
                    259       1 nvme0n1p1 0 0 0 0 0 0 0 0 0 0 0\n 253 1 zd0 1 1 1 1 1 1 1 1 1 1 1\n";
        let disks = read(text).unwrap();
        assert_eq!(disks.len(), 1);
        assert_eq!((&*disks[0].name, disks[0].read_bytes, disks[0].read_ms), ("nvme0n1", 1 << 20, 40));
        assert_eq!((disks[0].written_bytes, disks[0].write_ms), (8_192, 30));
        assert_eq!((disks[0].in_flight, disks[0].busy_ms), (1, 60));
    }

    #[test]
    fn garbage_is_a_failure_and_not_an_idle_machine() {
        assert!(matches!(read("what is this\n"), Err(Absence::Failed { .. })));
        assert_eq!(read(""), Ok(Vec::new()));
    }
}
