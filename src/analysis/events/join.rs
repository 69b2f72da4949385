//! Which incident an event belongs to.

use super::{EventLog, Incident, Meaning, WAITING_AT_MOST, When, place};
use crate::analysis::kernel_log::{Event, Kind, PciAddress};
use crate::analysis::xid;
use crate::model::{EventSource, RawEvent};
use std::sync::Arc;

/// The same fault again within this time of its last line is the same incident. Drivers print the channels of one
/// fault within milliseconds; GSP timeouts come every 6 s (nvml.h, the driver's own time limit).
const SAME_WITHIN: u64 = 10_000_000;
/// What follows from an Xid comes within this time of its last line.
const FOLLOWS_WITHIN: u64 = 30_000_000;
/// Lines of one report stand this close together.
const REPORT_WITHIN: u64 = 2_000_000;
/// Xids that are the cleanup of another one.
const CLEANUP: [u32; 2] = [43, 45];
/// The driver's recommendation.
const RECOVERY: u32 = 154;
/// The GPU has fallen off the bus.
const OFF_BUS: u32 = 79;

impl EventLog {
    /// Joins the event with an incident that it belongs to, if there is one.
    pub(super) fn join(&mut self, event: &Event<'_>, raw: &RawEvent, when: When) -> Option<u64> {
        let same_gpu = |incident: &Incident| {
            (event.pci.is_some() && incident.pci == event.pci)
                || (raw.gpu.is_some() && incident.gpu == raw.gpu)
        };
        // The newest first: a fault is continued by what comes right after it.
        for incident in self.incidents.iter_mut().rev().filter(|incident| !incident.user_space) {
            let apart = when.apart(incident.last);
            if apart > FOLLOWS_WITHIN && incident.last.mono < when.mono {
                break;
            }
            if apart <= SAME_WITHIN && same(incident, event) && same_or_nowhere(incident, event, raw) {
                // An event set tells what the log told already, or the other way around: one fault.
                let twice = (incident.source == EventSource::Nvml) != (raw.source == EventSource::Nvml);
                if twice && incident.source == EventSource::Nvml {
                    incident.source = raw.source;
                    (incident.pci, incident.pid) = (event.pci, event.pid);
                    incident.process = event.process.map(Into::into);
                    incident.keep(&raw.text);
                } else if !twice {
                    incident.count = incident.count.saturating_add(1);
                    incident.keep(&raw.text);
                }
                incident.last = when;
                return Some(incident.id);
            }
            if !same_gpu(incident) {
                continue;
            }
            if incident.kind == Kind::Xid && apart <= FOLLOWS_WITHIN && follows(incident, event) {
                let code = event.code.unwrap_or_default();
                *incident.consequences.entry(code).or_insert(0) += 1;
                incident.last = when;
                incident.keep(&raw.text);
                return Some(incident.id);
            }
            if event.code == Some(RECOVERY)
                && apart <= SAME_WITHIN
                && incident.kind == Kind::Xid
                && incident.code != Some(RECOVERY)
            {
                *incident.consequences.entry(RECOVERY).or_insert(0) += 1;
                incident.last = when;
                incident.keep(&raw.text);
                advise(incident, event.recovery_action);
                return Some(incident.id);
            }
            // What the module says beside Xid 79.
            if event.kind == Kind::OffBus && apart <= SAME_WITHIN && incident.code == Some(OFF_BUS) {
                incident.last = when;
                incident.keep(&raw.text);
                return Some(incident.id);
            }
        }
        None
    }

    /// Takes in what was told of the same fault before it: a recommendation, or the bus line beside Xid 79.
    pub(super) fn absorb(&mut self, incident: &mut Incident) {
        if incident.kind != Kind::Xid || incident.code == Some(RECOVERY) || incident.pci.is_none() {
            return;
        }
        let place = self.incidents.iter().rposition(|earlier| {
            earlier.pci == incident.pci
                && !earlier.user_space
                && incident.first.apart(earlier.last) <= SAME_WITHIN
                && (earlier.code == Some(RECOVERY)
                    || (earlier.kind == Kind::OffBus && incident.code == Some(OFF_BUS)))
        });
        let Some(earlier) = place.and_then(|place| self.incidents.remove(place)) else { return };
        incident.first = earlier.first;
        let own = std::mem::take(&mut incident.raw);
        earlier.raw.iter().chain(&own).for_each(|line| incident.keep(line));
        if earlier.code == Some(RECOVERY) {
            *incident.consequences.entry(RECOVERY).or_insert(0) += earlier.count;
            advise(incident, earlier.recovery_action);
        }
    }

    /// A line that says more about an event before it, or after it.
    pub(super) fn detail(
        &mut self,
        kind: Kind,
        pci: Option<PciAddress>,
        when: When,
        line: &Arc<str>,
    ) -> Option<u64> {
        let incident = self.incidents.iter_mut().rev().find(|incident| {
            incident.kind == kind
                && !incident.user_space
                && (pci.is_none() || incident.pci.is_none() || incident.pci == pci)
                && when.apart(incident.last) <= REPORT_WITHIN
        });
        if let Some(incident) = incident {
            incident.keep(line);
            return Some(incident.id);
        }
        if self.waiting.len() >= WAITING_AT_MOST {
            self.waiting.pop_front();
        }
        self.waiting.push_back((kind, pci, when, Arc::clone(line)));
        None
    }

    /// Gives the incident the details that came before it.
    pub(super) fn take_waiting(&mut self, incident: &mut Incident) {
        for (kind, pci, when, line) in std::mem::take(&mut self.waiting) {
            let fits =
                kind == incident.kind && (pci.is_none() || incident.pci.is_none() || pci == incident.pci);
            if fits && incident.first.apart(when) <= REPORT_WITHIN {
                incident.pci = incident.pci.or(pci);
                incident.keep(&line);
            } else {
                self.waiting.push_back((kind, pci, when, line));
            }
        }
    }
}

/// Whether the event is what the incident is.
fn same(incident: &Incident, event: &Event<'_>) -> bool {
    // A PID that only one of the two knows does not tell them apart.
    let process = incident.pid == event.pid || incident.pid.is_none() || event.pid.is_none();
    let by_process = match incident.kind {
        Kind::Xid => process,
        Kind::OomKill | Kind::HungTask => incident.pid == event.pid,
        _ => true,
    };
    let by_action = event.code != Some(RECOVERY) || incident.recovery_action == event.recovery_action;
    let by_link = incident.link == event.link || incident.kind != Kind::Sxid;
    let alone = matches!(incident.kind, Kind::Action | Kind::DriverLoad);
    incident.kind == event.kind
        && incident.code == event.code
        && incident.fatal == event.fatal
        && by_process
        && by_action
        && by_link
        && !alone
}

/// Whether both are about the same device; kinds without a device are told apart by their summary.
fn same_or_nowhere(incident: &Incident, event: &Event<'_>, raw: &RawEvent) -> bool {
    if raw.gpu.is_some() || incident.source == EventSource::Nvml {
        return incident.gpu == raw.gpu || (event.pci.is_some() && incident.pci == event.pci);
    }
    match event.kind {
        Kind::Nvme | Kind::MachineCheck => incident.summary == Meaning::of(event, false).summary,
        _ => incident.pci == event.pci,
    }
}

/// Whether the event is a consequence of the incident.
fn follows(incident: &Incident, event: &Event<'_>) -> bool {
    if event.kind != Kind::Xid || incident.code == Some(RECOVERY) {
        return false;
    }
    match (event.code, event.caused_by) {
        (_, Some(cause)) => incident.code == Some(cause),
        (Some(code), None) if CLEANUP.contains(&code) => {
            let cause = incident.code.unwrap_or_default();
            // What one application did wrong ends that one; a fault of the GPU ends all of them.
            let another = xid::APPLICATION.contains(&cause)
                && incident.pid.zip(event.pid).is_some_and(|(guilty, ended)| guilty != ended);
            !CLEANUP.contains(&cause) && !another
        }
        // The details of an uncorrectable error.
        (Some(171 | 172), None) => incident.code == Some(48),
        _ => false,
    }
}

/// The driver's own recommendation is the best advice there is.
fn advise(incident: &mut Incident, action: Option<u32>) {
    let Some(action) = action else { return };
    incident.recovery_action = Some(action);
    if action == 0 {
        return;
    }
    let (name, severity, advice) = xid::recovery(action);
    incident.severity = incident.severity.max(severity);
    incident.advice = format!("The driver recommends: {name}. {advice}");
    place::address(incident);
}
