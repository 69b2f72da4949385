//! The threads that read storage. Kernel statistics and device counters on one, which costs no process and answers
//! also while a pool is suspended; the ZFS tools on another, one child at a time; the space of file systems on a third,
//! since asking for it can block. None of them is waited for.

mod tools;

use super::shared::Shared;
use super::writer::{Output, spawn};
use crate::model::{DiskCounters, Grouped, Reading, StorageSample, ZfsPoolState};
use crate::sources::disks::DiskReader;
use crate::sources::mounts::MountReader;
use crate::sources::root::Root;
use crate::sources::zfs::{self, ZfsReader};
use crate::units::Mono;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often the kernel statistics are read while nobody looks: a pool that degrades is told this late.
const HIDDEN: Duration = Duration::from_secs(10);
/// How often the file systems are asked for their space.
const MOUNTS_EVERY: Duration = Duration::from_secs(30);
/// The same while nobody looks.
const MOUNTS_HIDDEN: Duration = Duration::from_secs(120);
/// How long to wait for the first reading of the kernel statistics, which takes a millisecond.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
/// While the disks read less than this per second, no stream is being sent that would matter.
const BUSY_BYTES_PER_SECOND: f64 = 32.0 * 1024.0 * 1024.0;

/// What the module of GPUDirect Storage makes while it is loaded.
const GPU_DIRECT: &str = "/proc/driver/nvidia-fs";

/// Storage's part of the board.
#[derive(Default)]
pub(super) struct Parts {
    pending: StorageSample,
    /// The pools as the kernel knows them; `None` while the module is not loaded or nothing was read yet.
    pools: Option<Vec<ZfsPoolState>>,
    /// The kernel was asked at least once.
    read: bool,
    /// The dataset whose snapshots are wanted.
    asked: Option<Arc<str>>,
    /// Counts the questions, so that a listing knows when it is no longer wanted.
    question: u64,
}

impl Parts {
    /// What was read since the last tick.
    pub(super) fn take_sample(&mut self) -> Option<Box<StorageSample>> {
        let sample = std::mem::take(&mut self.pending);
        (!sample.is_empty()).then(|| Box::new(sample))
    }

    /// A question about snapshots, in place of the one before.
    pub(super) fn ask_snapshots(&mut self, dataset: Option<Arc<str>>) {
        self.asked = dataset;
        self.question += 1;
    }
}

pub(super) fn start(root: &Root, tools: Option<&Path>, shared: &Arc<Shared>, out: &Output) {
    {
        let (root, shared) = (root.clone(), Arc::clone(shared));
        spawn("storage", move || follow_kernel(&root, &shared));
    }
    {
        let (root, shared) = (root.clone(), Arc::clone(shared));
        spawn("mounts", move || follow_mounts(&root, &shared));
    }
    tools::start(root, tools, shared, out);
}

fn follow_kernel(root: &Root, shared: &Shared) {
    let mut zfs = ZfsReader::new(root.clone());
    let mut disks = DiskReader::new(root.clone());
    let mut before: Option<(Mono, u64)> = None;
    let mut round = 0;
    loop {
        let kernel = zfs.read();
        let counters = disks.read();
        let at = (shared.clock.mono)();
        let read = read_bytes(&counters);
        let busy = before.is_some_and(|(then, bytes)| {
            let seconds = at.since(then).as_secs_f64();
            read.saturating_sub(bytes) as f64 > BUSY_BYTES_PER_SECOND * seconds
        });
        before = Some((at, read));
        let senders = if kernel.is_ok() && busy { zfs::senders(root) } else { Ok(Vec::new()) };
        let gpu_direct = root.exists(GPU_DIRECT);
        let pools = kernel.as_ref().ok().map(|kernel| kernel.pools.clone());
        shared.put(|board| {
            board.storage.pending.gpu_direct = Some(gpu_direct);
            board.storage.pending.senders = kernel.is_ok().then_some(Grouped { at, value: senders });
            board.storage.pending.kernel = Some(Grouped { at, value: kernel });
            board.storage.pending.disks = Some(Grouped { at, value: counters });
        });
        let news = {
            let board = shared.board();
            !board.storage.read || board.storage.pools != pools
        };
        if news {
            // Whoever runs the tools asks about a pool that changed at once.
            shared.ask(|board| (board.storage.read, board.storage.pools) = (true, pools));
        }
        round = shared.next_look(round, |board| board.demand.storage, at.plus(HIDDEN));
    }
}

/// Waits for the first reading of the kernel statistics.
fn wait_for_kernel(shared: &Shared) {
    let until = (shared.clock.mono)().plus(FIRST_PATIENCE);
    shared.wait_until(|board| if board.storage.read { Mono(0) } else { until });
}

/// Read by all devices, partitions left out where their disk is counted too.
fn read_bytes(counters: &Reading<Vec<DiskCounters>>) -> u64 {
    let Ok(disks) = counters else { return 0 };
    let is_part =
        |name: &str| disks.iter().any(|disk| name.len() > disk.name.len() && name.starts_with(&*disk.name));
    disks.iter().filter(|disk| !is_part(&disk.name)).map(|disk| disk.read_bytes).fold(0, u64::saturating_add)
}

fn follow_mounts(root: &Root, shared: &Shared) {
    let mut reader = MountReader::new(root.clone());
    // The kernel statistics come first: they say which pools must not be touched.
    wait_for_kernel(shared);
    loop {
        let pools = shared.board().storage.pools.clone().unwrap_or_default();
        let suspended = |name: &str| pools.iter().any(|pool| &*pool.name == name && pool.suspended());
        let filesystems = reader.read(suspended);
        let at = (shared.clock.mono)();
        shared.put(|board| board.storage.pending.filesystems = Some(Grouped { at, value: filesystems }));
        shared.wait_until(|board| at.plus(if board.demand.storage { MOUNTS_EVERY } else { MOUNTS_HIDDEN }));
    }
}
