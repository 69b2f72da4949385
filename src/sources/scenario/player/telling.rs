//! What a made-up rig tells at once, without waiting for a sample: kernel lines, stuck calls, a changed inventory.

use super::{STUCK_AFTER, ScenarioPlayer, Stuck, inventory};
use crate::model::{EventSource, RawEvent, Record, StuckCall};
use crate::sources::scenario::FaultKind;
use crate::sources::scenario::fault::is_system_call;
use std::sync::Arc;
use std::time::Duration;

impl ScenarioPlayer {
    pub(super) fn tell_lines(&mut self, t: Duration) {
        let scenario = Arc::clone(&self.scenario);
        let length = scenario.duration().as_secs_f64();
        loop {
            let (next, round) = self.lines;
            let Some(line) = scenario.kernel_lines().get(next) else {
                if !scenario.loops() || scenario.kernel_lines().is_empty() {
                    return;
                }
                self.lines = (0, round + 1);
                if (round + 1) as f64 * length > t.as_secs_f64() {
                    return;
                }
                continue;
            };
            let at = Duration::from_secs_f64(line.at + round as f64 * length);
            if at > t {
                return;
            }
            self.lines.0 += 1;
            let event = RawEvent {
                at: self.mono_at(at),
                wall: self.wall_at(at),
                source: EventSource::Kmsg,
                priority: Some(line.priority),
                facility: Some(0),
                gpu: None,
                text: line.text.as_str().into(),
            };
            self.queue.push_back((at, Record::Event(event)));
        }
    }

    /// Follows the calls that the scenario holds: told once when they are overdue, and once when they are over.
    pub(super) fn tell_stuck(&mut self, t: Duration) {
        let scenario = Arc::clone(&self.scenario);
        let local = scenario.local(t);
        let mut held = Vec::new();
        for fault in scenario.faults() {
            if !matches!(fault.kind, FaultKind::Block | FaultKind::BlockLibrary) {
                continue;
            }
            if local < fault.from || local >= fault.to {
                continue;
            }
            let since = t.saturating_sub(Duration::from_secs_f64((local - fault.from).max(0.0)));
            let is_system = is_system_call(&fault.call);
            let gpus: Vec<Option<u32>> = match (&fault.gpus, fault.kind) {
                (Some(gpus), FaultKind::Block) => gpus.iter().map(|gpu| Some(*gpu)).collect(),
                _ if is_system => vec![None],
                (Some(gpus), _) => vec![gpus.first().copied()],
                (None, FaultKind::BlockLibrary) => vec![scenario.gpus().first().map(|gpu| gpu.index)],
                (None, _) => scenario.gpus().iter().map(|gpu| Some(gpu.index)).collect(),
            };
            for gpu in gpus {
                // A thread that is stuck makes no further call.
                if !held.iter().any(|other: &Stuck| other.gpu == gpu) {
                    held.push(Stuck { gpu, call: fault.call.as_str().into(), since, told: false });
                }
            }
        }
        let before = std::mem::take(&mut self.stuck);
        for mut call in held {
            let known = before.iter().find(|old| old.gpu == call.gpu && old.call == call.call);
            call.told = known.is_some_and(|old| old.told);
            let due = call.since + STUCK_AFTER;
            if !call.told && due <= t {
                call.told = true;
                self.queue.push_back((due, Record::CallStuck(self.stuck_call(&call, false))));
            }
            self.stuck.push(call);
        }
        for old in before.iter().filter(|old| old.told) {
            if !self.stuck.iter().any(|call| call.gpu == old.gpu && call.call == old.call) {
                self.queue.push_back((t, Record::CallStuck(self.stuck_call(old, true))));
            }
        }
        // Lines and calls of one interval, each by its time.
        self.queue.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    pub(super) fn stuck_call(&self, stuck: &Stuck, ended: bool) -> StuckCall {
        StuckCall {
            gpu: stuck.gpu.and_then(|index| self.scenario.gpus().get(index as usize)).map(inventory::id),
            call: Arc::clone(&stuck.call),
            since: self.mono_at(stuck.since),
            wait_channel: Some("rpcRmApiControl_GSP".into()).filter(|_| !ended),
            ended,
        }
    }

    pub(super) fn tell_inventory(&mut self, t: Duration) {
        let truth = self.scenario.truth_at(t);
        let now: Vec<usize> = truth.processes.iter().map(|process| process.index).collect();
        if self.known.as_ref() != Some(&now) {
            let inventory = self.inventory(&now, t);
            self.known = Some(now);
            self.queue.push_back((t, Record::Inventory(Box::new(inventory))));
        }
    }
}
