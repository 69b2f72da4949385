//! What rules need to know of earlier snapshots: what time counters were before, which links were up.

use super::rule::ok;
use crate::model::{Counters, Gpu, GpuId, Grouped, Health, Reading, Snapshot};
use crate::units::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The clock event reasons with a time counter.
pub(super) const SW_POWER_CAP: usize = 0;
pub(super) const SW_THERMAL: usize = 1;
pub(super) const HW_THERMAL: usize = 2;
pub(super) const HW_POWER_BRAKE: usize = 3;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    counters: BTreeMap<GpuId, Pair>,
    errors: BTreeMap<GpuId, Errors>,
    links_up: BTreeMap<GpuId, BTreeSet<u32>>,
    ports_active: BTreeSet<(String, u32)>,
}

#[derive(Clone, Debug)]
struct Pair {
    at: Mono,
    newest: [Reading<u64>; 4],
    shares: [Option<f32>; 4],
}

/// The newest reading of the NVLink error counters, and what it is more than the one before.
#[derive(Clone, Debug)]
struct Errors {
    at: Mono,
    newest: Reading<u64>,
    rise: Option<Rise>,
}

/// By how much the NVLink errors of a GPU rose between the last two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rise {
    /// New errors.
    pub(super) errors: u64,
    /// Time between the readings.
    pub(super) within: Duration,
    /// The newer reading.
    pub(super) at: Mono,
}

fn times(counters: &Counters) -> [Reading<u64>; 4] {
    [
        counters.sw_power_cap_ns.clone(),
        counters.sw_thermal_ns.clone(),
        counters.hw_thermal_ns.clone(),
        counters.hw_power_brake_ns.clone(),
    ]
}

impl Memory {
    pub(super) fn learn(&mut self, snapshot: &Snapshot) {
        for gpu in &snapshot.gpus {
            if let Some(group) = &gpu.counters {
                self.learn_counters(&gpu.id, group);
            }
            if let Some(group) = &gpu.health {
                self.learn_errors(&gpu.id, group);
            }
            self.learn_links(gpu);
        }
        let nics = snapshot.inventory.topology.iter().flat_map(|topology| &topology.devices);
        for device in nics {
            for port in device.ports.iter().filter(|port| port.state.as_deref() == Ok("ACTIVE")) {
                self.ports_active.insert((device.name.to_string(), port.port));
            }
        }
    }

    fn learn_counters(&mut self, id: &GpuId, group: &Grouped<Counters>) {
        let newest = times(&group.value);
        let shares = match self.counters.get(id) {
            Some(pair) if pair.at == group.at => return,
            Some(pair) if pair.at < group.at => {
                let passed = group.at.since(pair.at).as_nanos() as f64;
                let share = |index: usize| {
                    let before = ok(pair.newest.get(index)?)?;
                    let now = ok(newest.get(index)?)?;
                    now.checked_sub(before).map(|rose| (rose as f64 / passed) as f32)
                };
                [share(0), share(1), share(2), share(3)]
            }
            _ => [None; 4],
        };
        self.counters.insert(id.clone(), Pair { at: group.at, newest, shares });
    }

    fn learn_errors(&mut self, id: &GpuId, group: &Grouped<Health>) {
        let newest = group.value.nvlink_errors.clone();
        let rise = match self.errors.get(id) {
            Some(known) if known.at >= group.at => return,
            Some(Errors { at, newest: Ok(before), .. }) => {
                // A counter that fell began anew.
                let errors = ok(&newest).and_then(|now| now.checked_sub(*before));
                errors.map(|errors| Rise { errors, within: group.at.since(*at), at: group.at })
            }
            _ => None,
        };
        self.errors.insert(id.clone(), Errors { at: group.at, newest, rise });
    }

    fn learn_links(&mut self, gpu: &Gpu) {
        if let Some(group) = &gpu.nvlinks {
            let up = group.value.iter().filter(|link| link.active == Ok(true)).map(|link| link.link);
            self.links_up.entry(gpu.id.clone()).or_default().extend(up);
        }
    }

    /// Share of the time between the last two readings of its counter that a reason held, and when the newer one
    /// was; `None` without two readings.
    pub(super) fn share(&self, id: &GpuId, reason: usize) -> Option<(f32, Mono)> {
        let pair = self.counters.get(id)?;
        Some(((*pair.shares.get(reason)?)?, pair.at))
    }

    /// Whether the device has that time counter at all.
    pub(super) fn counts(&self, id: &GpuId, reason: usize) -> bool {
        self.counters.get(id).and_then(|pair| pair.newest.get(reason)).is_some_and(Result::is_ok)
    }

    /// By how much its NVLink errors rose; `None` without two readings.
    pub(super) fn nvlink_errors(&self, id: &GpuId) -> Option<Rise> {
        self.errors.get(id)?.rise
    }

    /// Whether that link was up at any time.
    pub(super) fn was_up(&self, id: &GpuId, link: u32) -> bool {
        self.links_up.get(id).is_some_and(|links| links.contains(&link))
    }

    /// Whether that port of a NIC was active at any time.
    pub(super) fn was_active(&self, device: &str, port: u32) -> bool {
        self.ports_active.contains(&(device.to_owned(), port))
    }
}
