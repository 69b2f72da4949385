//! The host: who it is, and its raw counters of CPU, memory and load.
//!
//! `procfs` parses `loadavg` and `uptime`. `/proc/stat` and `/proc/meminfo` are read by hand: one field that a
//! kernel (or a sandbox that imitates one) leaves out must not cost all the others.

use super::root::Root;
use crate::model::{Absence, HostInfo, HostSample, Reading};
use crate::units::Bytes;
use procfs::prelude::FromRead;
use procfs::{LoadAverage, Uptime};

/// `/proc/stat` lists every interrupt of every CPU: some hundred KiB on the largest machines.
const STAT_LIMIT: usize = 1 << 20;
const SMALL_LIMIT: usize = 64 << 10;

/// Name, kernel, boot and CPUs of the host.
#[must_use]
pub fn host_info(root: &Root) -> HostInfo {
    let text = |path: &str| root.read_value(path).unwrap_or_default();
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let stat = root.read_to_string("/proc/stat", STAT_LIMIT).unwrap_or_default();
    let cpus = stat.lines().filter(is_cpu).count();
    HostInfo {
        hostname: text("/proc/sys/kernel/hostname"),
        kernel: text("/proc/sys/kernel/osrelease"),
        boot_id: text("/proc/sys/kernel/random/boot_id"),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
    }
}

/// When the machine was booted, in seconds of the wall clock (`btime` of `/proc/stat`).
///
/// # Errors
/// When `/proc/stat` cannot be read or has no such line.
pub fn boot_time(root: &Root) -> Reading<u64> {
    let stat = root.read_to_string("/proc/stat", STAT_LIMIT)?;
    let btime = stat.lines().find_map(|line| line.strip_prefix("btime "));
    btime.and_then(|seconds| seconds.trim().parse().ok()).ok_or_else(|| malformed("/proc/stat", "btime"))
}

/// Reads the host's counters.
#[derive(Debug)]
pub struct HostReader {
    root: Root,
    buffer: Vec<u8>,
}

impl HostReader {
    /// A reader of `root`.
    #[must_use]
    pub const fn new(root: Root) -> Self {
        Self { root, buffer: Vec::new() }
    }

    /// The counters of now. Each file that cannot be read makes its own readings absent.
    pub fn read(&mut self) -> HostSample {
        let mut sample = HostSample::default();
        (sample.cpu_busy_ns, sample.cpu_total_ns) = self.cpu();
        let memory = self.text("/proc/meminfo", SMALL_LIMIT).map(|text| Memory::parse(&text));
        let of = |get: fn(&Memory) -> Reading<Bytes>| memory.as_ref().map_err(Clone::clone).and_then(get);
        sample.memory_total = of(|memory| Memory::field(memory.total, "MemTotal"));
        sample.memory_available = of(Memory::available);
        sample.swap_total = of(|memory| Memory::field(memory.swap_total, "SwapTotal"));
        sample.swap_used = of(Memory::swap_used);
        sample.arc_reclaimable = self.arc_reclaimable();
        [sample.load_1m, sample.load_5m, sample.load_15m] = self.load();
        sample.uptime_seconds = self.uptime();
        sample
    }

    fn text(&mut self, path: &str, limit: usize) -> Reading<String> {
        self.root.read_into(path, limit, &mut self.buffer)?;
        Ok(String::from_utf8_lossy(&self.buffer).into_owned())
    }

    fn cpu(&mut self) -> (Reading<u64>, Reading<u64>) {
        // The line of all CPUs is the first; the rest is not needed.
        match self
            .text("/proc/stat", 4_096)
            .and_then(|text| cpu_ticks(&text).ok_or_else(|| malformed("/proc/stat", "cpu")))
        {
            Ok((busy, total)) => {
                let ticks = self.root.clock_ticks_per_second();
                (Ok(ticks_to_ns(busy, ticks)), Ok(ticks_to_ns(total, ticks)))
            }
            Err(absence) => (Err(absence.clone()), Err(absence)),
        }
    }

    /// What the ARC could give back: its size above the least that it keeps.
    fn arc_reclaimable(&mut self) -> Reading<Bytes> {
        let path = "/proc/spl/kstat/zfs/arcstats";
        let text = self.text(path, SMALL_LIMIT)?;
        let row = |name: &str| {
            text.lines().find_map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let matches = fields.next() == Some(name);
                let value = fields.nth(1)?;
                if matches { value.parse::<u64>().ok() } else { None }
            })
        };
        let size = row("size").ok_or_else(|| malformed(path, "size"))?;
        let least = row("c_min").ok_or_else(|| malformed(path, "c_min"))?;
        Ok(Bytes(size.saturating_sub(least)))
    }

    fn load(&mut self) -> [Reading<f32>; 3] {
        let path = "/proc/loadavg";
        let load = self
            .text(path, SMALL_LIMIT)
            .and_then(|text| LoadAverage::from_read(text.as_bytes()).map_err(|error| unparsed(path, &error)));
        match load {
            Ok(load) => [load.one, load.five, load.fifteen].map(|value| finite(path, value)),
            Err(absence) => [Err(absence.clone()), Err(absence.clone()), Err(absence)],
        }
    }

    fn uptime(&mut self) -> Reading<f64> {
        let path = "/proc/uptime";
        let text = self.text(path, SMALL_LIMIT)?;
        let uptime = Uptime::from_read(text.as_bytes()).map_err(|error| unparsed(path, &error))?.uptime;
        if uptime.is_finite() { Ok(uptime) } else { Err(malformed(path, "uptime")) }
    }
}

/// Clock ticks as nanoseconds.
pub(super) fn ticks_to_ns(ticks: u64, per_second: u64) -> u64 {
    let ns = u128::from(ticks) * 1_000_000_000 / u128::from(per_second.max(1));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

fn malformed(path: &str, field: &str) -> Absence {
    Absence::failed(0, format!("{path} has no usable \"{field}\""))
}

fn unparsed(path: &str, error: &procfs::ProcError) -> Absence {
    Absence::failed(0, format!("{path} cannot be read: {error}"))
}

fn finite(path: &str, value: f32) -> Reading<f32> {
    if value.is_finite() { Ok(value) } else { Err(malformed(path, "load average")) }
}

/// Busy and total ticks of all CPUs together. Waiting for I/O is idle time; the time of guests is already part
/// of `user` and `nice`, so it is not added again; stolen time was wanted and not had, which is not idle.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut fields = [0_u64; 8];
    let mut seen = 0;
    for (field, text) in fields.iter_mut().zip(line.split_ascii_whitespace()) {
        *field = text.parse().ok()?;
        seen += 1;
    }
    let [user, nice, system, idle, iowait, irq, softirq, steal] = fields;
    // The oldest kernels end after `idle`.
    (seen >= 4).then_some(())?;
    let sum = |parts: &[u64]| parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
    let busy = sum(&[user, nice, system, irq, softirq, steal]);
    Some((busy, sum(&[busy, idle, iowait])))
}

/// The lines of `/proc/meminfo` that count here, in bytes.
#[derive(Debug, Default)]
struct Memory {
    total: Option<u64>,
    available: Option<u64>,
    free: Option<u64>,
    buffers: Option<u64>,
    cached: Option<u64>,
    shared: Option<u64>,
    slab_reclaimable: Option<u64>,
    swap_total: Option<u64>,
    swap_free: Option<u64>,
}

impl Memory {
    fn parse(text: &str) -> Self {
        let mut memory = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let field = match name {
                "MemTotal" => &mut memory.total,
                "MemAvailable" => &mut memory.available,
                "MemFree" => &mut memory.free,
                "Buffers" => &mut memory.buffers,
                "Cached" => &mut memory.cached,
                "Shmem" => &mut memory.shared,
                "SReclaimable" => &mut memory.slab_reclaimable,
                "SwapTotal" => &mut memory.swap_total,
                "SwapFree" => &mut memory.swap_free,
                _ => continue,
            };
            let kib = value.split_ascii_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            *field = kib.map(|kib| kib.saturating_mul(1_024));
        }
        memory
    }

    fn field(value: Option<u64>, name: &str) -> Reading<Bytes> {
        value.map(Bytes).ok_or_else(|| malformed("/proc/meminfo", name))
    }

    /// `MemAvailable`; kernels before 3.14 have none, there free memory and what the caches could give back
    /// (shared memory is counted as cached and could not).
    fn available(&self) -> Reading<Bytes> {
        if let Some(available) = self.available {
            return Ok(Bytes(available));
        }
        let free = Self::field(self.free, "MemFree")?.0;
        let cached = self.cached.unwrap_or(0).saturating_sub(self.shared.unwrap_or(0));
        let reclaimable = self.buffers.unwrap_or(0).saturating_add(self.slab_reclaimable.unwrap_or(0));
        let available = free.saturating_add(cached).saturating_add(reclaimable);
        Ok(Bytes(available.min(self.total.unwrap_or(available))))
    }

    fn swap_used(&self) -> Reading<Bytes> {
        let total = Self::field(self.swap_total, "SwapTotal")?;
        Ok(total.saturating_sub(Self::field(self.swap_free, "SwapFree")?))
    }
}

#[cfg(test)]
mod tests;
