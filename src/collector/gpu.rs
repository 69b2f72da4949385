//! What is read of one GPU: ten fast reads a second, and the tiers at their own pace.

use super::shared::Shared;
use super::writer::spawn;
use crate::model::{Absence, Demand, Fast, GpuSample, GpuState, Grouped, read};
use crate::sources::nvml::{Caller, Device, FastBand, Session};
use crate::units::Mono;
use std::sync::Arc;
use std::time::Duration;

/// Groups nobody looks at are read this seldom; their counters lose nothing by it.
const HIDDEN: Duration = Duration::from_secs(5);
/// The power buffer holds 2.4 s (h200.md).
const POWER_BUFFER: Duration = Duration::from_secs(2);
/// The utilisation buffers hold 14 s (h200.md).
const UTILIZATION_BUFFER: Duration = Duration::from_secs(10);
/// Slow state changes rarely and costs 10 ms.
const SLOW: Duration = Duration::from_secs(10);
/// Layout of MIG instances.
const LAYOUT: Duration = Duration::from_secs(10);
/// The demand groups are read at most this often, however short the interval.
const DEMAND_AT_LEAST: Duration = Duration::from_secs(1);

/// When each tier is due next.
struct Due {
    gpm: Mono,
    counters: Mono,
    process_utilization: Mono,
    power_buffer: Mono,
    utilization_buffer: Mono,
    health: Mono,
    links: Mono,
    mig: Mono,
}

impl Due {
    /// All at once.
    const fn from(now: Mono) -> Self {
        Self {
            gpm: now,
            counters: now,
            process_utilization: now,
            power_buffer: now,
            utilization_buffer: now,
            health: now,
            links: now,
            mig: now,
        }
    }
}

/// What is read of one GPU: at its own pace each group, by whichever thread has it.
pub(super) struct GpuReader {
    place: usize,
    device: Device,
    caller: Caller,
    session: Session,
    shared: Arc<Shared>,
    due: Due,
    band: FastBand,
    /// The last round it was read for.
    done: u64,
    /// Of that round, what is dear was not read yet.
    owes: bool,
    /// Another thread reads the counters, PCIe throughput among them.
    throughput: bool,
    /// How many requests to read what is seldom read were met.
    refreshes: u64,
}

impl GpuReader {
    /// The reader of the GPU at `place` of the board.
    pub(super) fn new(
        place: usize,
        device: Device,
        session: Session,
        caller: Caller,
        shared: &Arc<Shared>,
    ) -> Self {
        Self {
            place,
            device,
            session,
            caller,
            shared: Arc::clone(shared),
            due: Due::from((shared.clock.mono)()),
            band: FastBand::default(),
            done: 0,
            owes: false,
            throughput: false,
            refreshes: 0,
        }
    }

    /// Its place on the board.
    pub(super) const fn place(&self) -> usize {
        self.place
    }

    /// What is read first: what stays as it is, then a round. What is dear comes with the second sample.
    pub(super) fn begin(&mut self) {
        self.identify();
        self.read();
        if std::mem::take(&mut self.owes) {
            self.end_round();
            self.slow();
        }
    }

    /// What is read ten times a second; and if a round began, what is cheap of what is read then.
    pub(super) fn read(&mut self) {
        self.caller.enter_thread();
        let round = self.shared.board().round;
        if self.device.is_lost() {
            // Nothing is asked of it any more: each call into it may block for seconds. The driver's thread watches
            // whether it comes back.
            if round > self.done {
                self.post_lost(round);
            }
        } else {
            self.band.push(self.device.fast_read(&self.caller));
            if round > self.done {
                self.round(round);
                self.owes = true;
            }
        }
        self.done = round;
    }

    /// The rest of the round that [`read`](Self::read) began: what is dear, for which the other GPUs' cheap groups need
    /// not wait.
    pub(super) fn read_rest(&mut self) {
        if std::mem::take(&mut self.owes) {
            self.caller.enter_thread();
            self.slow();
            self.end_round();
        }
    }

    fn now(&self) -> Mono {
        (self.shared.clock.mono)()
    }

    fn identify(&mut self) {
        let info = self.device.info(&self.caller);
        let id = self.device.id();
        self.shared.put(|board| {
            board.inventory_version += 1;
            if let Some(slot) = board.gpus.get_mut(self.place) {
                slot.info = Some(info);
                slot.pending.id = id;
            }
        });
    }

    /// What is read once per interval but for the slow groups. The cheap ones are posted first, so that a call that
    /// blocks further on keeps nothing back.
    fn round(&mut self, round: u64) {
        let demand = self.shared.board().demand;
        let fast = self.fast();
        let at = self.now();
        let live = self.device.live(&self.caller);
        let list = self.device.process_list(&self.caller);
        let pids = list.iter().flatten().map(|process| process.pid).collect();
        let state = if self.device.is_lost() { GpuState::Lost } else { GpuState::Ok };
        let refusal = self.device.refusal();
        let unreadable = read::refusal(Some(&fast.value), Some(&live)).cloned();
        self.put(|slot| {
            slot.fast = Some(fast);
            slot.live = Some(Grouped { at, value: live });
            slot.processes = Some(Grouped { at, value: list });
            (slot.state, slot.refusal) = (state, refusal);
        });
        self.shared.finish(|board| {
            if let Some(slot) = board.gpus.get_mut(self.place) {
                slot.unreadable = unreadable;
                slot.pids = pids;
                slot.listed = round;
            }
        });
        if !self.device.is_lost() {
            self.on_demand(demand);
            self.buffers();
        }
    }

    fn end_round(&self) {
        self.shared.finish(|board| {
            if let Some(slot) = board.gpus.get_mut(self.place) {
                slot.round = self.done;
            }
        });
    }

    fn fast(&mut self) -> Grouped<Fast> {
        Grouped { at: self.now(), value: self.band.take() }
    }

    fn on_demand(&mut self, demand: Demand) {
        let now = self.now();
        let shown = self.shared.interval.max(DEMAND_AT_LEAST);
        let pace = |wanted: bool| if wanted { shown } else { HIDDEN.max(shown) };
        if due(&mut self.due.gpm, now, pace(demand.gpm))
            && let Some(gpm) = self.device.gpm(&self.caller, now)
        {
            let missing = gpm.pcie_rx == Err(Absence::NotSupported);
            self.put(|slot| slot.gpm = Some(Grouped { at: now, value: gpm }));
            if missing && demand.pcie_throughput && !self.throughput {
                self.start_throughput();
            }
        }
        if !(self.throughput && demand.pcie_throughput) && due(&mut self.due.counters, now, HIDDEN.max(shown))
        {
            let counters = self.device.counters(&self.caller, false);
            self.put(|slot| slot.counters = Some(Grouped { at: now, value: counters }));
        }
        if due(&mut self.due.process_utilization, now, pace(demand.process_utilization)) {
            let value = self.device.process_utilization(&self.caller);
            self.put(|slot| slot.process_utilization = Some(Grouped { at: now, value }));
        }
    }

    /// Where GPM is missing, PCIe rates cost a call that blocks 21 ms per direction: on a thread of its own, and
    /// only while they are shown.
    fn start_throughput(&mut self) {
        self.throughput = true;
        let (place, index, session) = (self.place, self.device.index(), self.session);
        let shared = Arc::clone(&self.shared);
        spawn(&format!("pcie {index}"), move || follow_throughput(place, index, session, &shared));
    }

    fn buffers(&mut self) {
        let now = self.now();
        let power = due(&mut self.due.power_buffer, now, POWER_BUFFER.max(self.shared.interval));
        let utilization =
            due(&mut self.due.utilization_buffer, now, UTILIZATION_BUFFER.max(self.shared.interval));
        if power || utilization {
            let value = self.device.buffers(&self.caller, power, utilization);
            self.put(|slot| slot.buffers = Some(Grouped { at: now, value }));
        }
    }

    fn slow(&mut self) {
        if self.device.is_lost() {
            return;
        }
        let now = self.now();
        let (demand, refreshes) = {
            let board = self.shared.board();
            (board.demand, board.refreshes)
        };
        if refreshes != self.refreshes {
            self.refreshes = refreshes;
            (self.due.health, self.due.links, self.due.mig) = (now, now, now);
        }
        // Before the health, which has the links' errors in it.
        let pace = if demand.links { SLOW } else { SLOW * 6 };
        // These are dear: the GPUs read them in different seconds.
        let phase = Duration::from_secs(self.place as u64 % SLOW.as_secs());
        if due_in_phase(&mut self.due.links, now, pace, phase) {
            let value = self.device.nvlinks(&self.caller);
            let at = self.now();
            self.put(|slot| slot.nvlinks = Some(Grouped { at, value }));
        }
        let mut mode = None;
        if due_in_phase(&mut self.due.health, now, SLOW, phase) {
            let value = self.device.health(&self.caller);
            let at = self.now();
            mode = value.mig.as_ref().ok().copied();
            self.put(|slot| slot.health = Some(Grouped { at, value }));
        }
        if due_in_phase(&mut self.due.mig, now, LAYOUT, phase) {
            let value = match mode {
                Some(false) => Ok(self.device.mig_is_off()),
                _ => self.device.mig(&self.caller),
            };
            let at = self.now();
            self.put(|slot| slot.mig = Some(Grouped { at, value }));
        }
    }

    fn post_lost(&self, round: u64) {
        self.shared.finish(|board| {
            if let Some(slot) = board.gpus.get_mut(self.place) {
                (slot.pending.state, slot.pending.refusal) = (GpuState::Lost, self.device.refusal());
                slot.unreadable = None;
                (slot.listed, slot.round) = (round, round);
            }
        });
    }

    fn put(&self, change: impl FnOnce(&mut GpuSample)) {
        self.shared.put(|board| {
            if let Some(slot) = board.gpus.get_mut(self.place) {
                change(&mut slot.pending);
            }
        });
    }
}

/// Reads the counters with PCIe throughput once per round, for as long as somebody looks.
fn follow_throughput(place: usize, index: u32, session: Session, shared: &Shared) {
    let caller = Caller::new(shared.clock);
    let mut device = session.device(&caller, index);
    shared.put(|board| {
        if let Some(slot) = board.gpus.get_mut(place) {
            slot.throughput = Some(caller.slot());
        }
    });
    let mut done = 0;
    while !device.is_lost() {
        shared.wait_until(|board| Mono(if board.demand.pcie_throughput { 0 } else { u64::MAX }));
        done = shared.next_round(done);
        let at = (shared.clock.mono)();
        let value = device.counters(&caller, true);
        shared.put(|board| {
            if let Some(slot) = board.gpus.get_mut(place) {
                slot.pending.counters = Some(Grouped { at, value });
            }
        });
    }
}

/// Whether `when` has come; if so, it moves to the next whole multiple of `pace` on the clock, as the ticks do: the
/// first tick comes at once, and the second must not be too early for every group.
fn due(when: &mut Mono, now: Mono, pace: Duration) -> bool {
    due_in_phase(when, now, pace, Duration::ZERO)
}

/// The same, `phase` after each whole multiple.
fn due_in_phase(when: &mut Mono, now: Mono, pace: Duration, phase: Duration) -> bool {
    // One that waits for longer than its pace was hidden until now.
    if now < *when && when.since(now) <= pace {
        return false;
    }
    let step = u64::try_from(pace.as_micros()).unwrap_or(u64::MAX).max(1);
    let phase = u64::try_from(phase.as_micros()).unwrap_or(0);
    let next = (now.0.saturating_sub(phase) / step).saturating_add(1).saturating_mul(step);
    *when = Mono(next.saturating_add(phase));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_due_at_whole_multiples_of_its_pace() {
        let second = Duration::from_secs(1);
        let mut when = Mono(0);
        assert!(due(&mut when, Mono(7_300_000), second), "at once");
        assert!(!due(&mut when, Mono(7_900_000), second));
        assert!(due(&mut when, Mono(8_000_040), second), "with the next tick");
        assert!(!due(&mut when, Mono(8_999_999), second));
        assert!(due(&mut when, Mono(9_000_001), second));
    }

    #[test]
    fn gpus_read_what_is_dear_in_different_seconds() {
        let pace = Duration::from_secs(10);
        let mut whens = [Mono(0); 3];
        for (place, when) in whens.iter_mut().enumerate() {
            let phase = Duration::from_secs(place as u64);
            assert!(due_in_phase(when, Mono(20_004_000), pace, phase), "the first time all at once");
        }
        assert_eq!(whens, [Mono(30_000_000), Mono(21_000_000), Mono(22_000_000)]);
    }

    #[test]
    fn what_was_hidden_is_due_when_it_is_shown() {
        let (shown, hidden) = (Duration::from_secs(10), Duration::from_secs(60));
        let mut when = Mono(0);
        assert!(due(&mut when, Mono(61_000_000), hidden));
        assert!(!due(&mut when, Mono(75_000_000), hidden));
        assert!(due(&mut when, Mono(75_000_001), shown), "it would have been due at 120 s");
        assert!(!due(&mut when, Mono(79_000_000), shown));
    }
}
