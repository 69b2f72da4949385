//! From the board to records: what changed of the inventory, calls that got stuck or returned, and the sample.

use super::board::Board;
use super::shared::Shared;
use crate::model::{
    Absence, GpuSample, GpuState, Grouped, Inventory, Record, Sample, SelfCost, SourceState, StorageSample,
    StuckCall,
};
use crate::sources::host::HostReader;
use crate::sources::root::Root;
use crate::units::{Bytes, Clock};

pub(super) struct Assembler {
    host: HostReader,
    clock: Clock,
    inventory_version: u64,
    stuck: Vec<StuckCall>,
    page_size: u64,
}

impl Assembler {
    pub(super) fn new(root: Root, clock: Clock) -> Self {
        Self {
            host: HostReader::new(root),
            clock,
            inventory_version: u64::MAX,
            stuck: Vec::new(),
            page_size: rustix::param::page_size() as u64,
        }
    }

    /// The records of one tick, in the order in which they must be sent.
    pub(super) fn tick(&mut self, shared: &Shared, round: u64) -> Vec<Record> {
        let host = self.host.read();
        let now = (self.clock.mono)();
        let mut records = Vec::new();
        let mut board = shared.board();
        board.source("host", SourceState::Ok, "");
        if board.inventory_version != self.inventory_version {
            self.inventory_version = board.inventory_version;
            records.push(Record::Inventory(Box::new(inventory(&board))));
        }
        let stuck = board.stuck_calls(now);
        records.extend(self.stuck_changes(&stuck));
        let sample = Sample {
            sequence: round,
            mono: now,
            wall: (self.clock.wall)(),
            gpus: take_gpus(&mut board, &stuck),
            processes: board.processes.take(),
            host: Some(Grouped { at: now, value: host }),
            storage: storage(&mut board),
            host_files: board.host_files.take(),
            sources: board.source_list(),
            cost: Some(self.cost(&board)),
        };
        records.push(Record::Sample(Box::new(sample)));
        records
    }

    /// Calls that became stuck since the last tick, and those that returned.
    fn stuck_changes(&mut self, stuck: &[StuckCall]) -> Vec<Record> {
        let same = |a: &StuckCall, b: &StuckCall| a.gpu == b.gpu && a.call == b.call && a.since == b.since;
        let began = stuck.iter().filter(|call| !self.stuck.iter().any(|old| same(old, call))).cloned();
        let ended = self
            .stuck
            .iter()
            .filter(|call| !stuck.iter().any(|new| same(new, call)))
            .map(|call| StuckCall { ended: true, ..call.clone() });
        let changes = ended.chain(began).map(Record::CallStuck).collect();
        self.stuck = stuck.to_vec();
        changes
    }

    fn cost(&self, board: &Board) -> SelfCost {
        let gpus = board.gpus.iter().flat_map(|gpu| std::iter::once(&gpu.call).chain(&gpu.throughput));
        let slots = gpus.chain(&board.others);
        let (calls, call_ns) =
            slots.fold((0, 0), |(calls, ns), slot| (calls + slot.calls(), ns + slot.call_ns()));
        SelfCost { cpu_ns: own_cpu_ns(), resident: self.own_memory(), calls, call_ns }
    }

    fn own_memory(&self) -> Bytes {
        // Not below the root: a captured machine knows nothing of this process.
        let pages = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()));
        Bytes(pages.unwrap_or(0) * self.page_size)
    }
}

fn own_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn storage(board: &mut Board) -> Option<Box<StorageSample>> {
    let (models, model_uses) = (board.models.take_store(), board.models.take_uses());
    let mut sample = board.storage.take_sample();
    if models.is_some() || model_uses.is_some() {
        let sample = sample.get_or_insert_default();
        (sample.models, sample.model_uses) = (models, model_uses);
    }
    sample
}

fn inventory(board: &Board) -> Inventory {
    Inventory {
        host_pids_visible: board.host_pids_visible.clone().unwrap_or(Err(Absence::NotRequested)),
        driver: board.driver.clone(),
        gpus: board.gpus.iter().filter_map(|gpu| gpu.info.clone()).collect(),
        pci: board.pci.clone(),
        processes: board.facts.values().cloned().collect(),
        topology: board.topology.inventory(),
    }
}

/// Takes what the GPU threads posted; a GPU whose thread is stuck is stalled, whatever it posted before.
fn take_gpus(board: &mut Board, stuck: &[StuckCall]) -> Vec<GpuSample> {
    board
        .gpus
        .iter_mut()
        .map(|slot| {
            let empty = GpuSample {
                refusal: slot.pending.refusal,
                ..GpuSample::new(slot.pending.id.clone(), slot.pending.state)
            };
            let mut sample = std::mem::replace(&mut slot.pending, empty);
            if let Some(call) = stuck.iter().find(|call| call.gpu.as_ref() == Some(&sample.id)) {
                sample.state = GpuState::Stalled;
                sample.stuck = Some(call.clone());
            }
            sample
        })
        .collect()
}
