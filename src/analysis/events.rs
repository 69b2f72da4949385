//! From raw events to incidents: one fault that prints thirty lines is one incident with a count; what follows from
//! an Xid is told as its consequence; a line that user space wrote is marked and taken for nothing more.

mod join;
mod meaning;
mod place;

pub use meaning::Meaning;

use super::Severity;
use super::kernel_log::{self, Event, Kind, Line, PciAddress};
use crate::model::{EventSource, GpuId, Inventory, ProcessKey, RawEvent, Snapshot};
use crate::units::{Mono, Wall};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Incidents that are kept; the oldest one falls out first.
pub const INCIDENTS_AT_MOST: usize = 1_000;
/// Raw lines that are kept of one incident: its first ones, which say most.
pub const RAW_AT_MOST: usize = 64;
/// The recovery action "none" (`nvmlDeviceGpuRecoveryAction_t` of nvml.h).
const RECOVERED: u32 = 0;
/// Details that wait for the event that they belong to.
const WAITING_AT_MOST: usize = 16;

/// What happened, once.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Number within this log, from 0: stays the same while the log lives.
    pub id: u64,
    /// Its kind.
    pub kind: Kind,
    /// Xid or SXid.
    pub code: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether user space wrote the line: then nothing follows from it.
    pub user_space: bool,
    /// The GPU, once the inventory knows its address.
    pub gpu: Option<GpuId>,
    /// Its number, for the screen.
    pub gpu_index: Option<u32>,
    /// The device.
    pub pci: Option<PciAddress>,
    /// NVLink.
    pub link: Option<u32>,
    /// What the line says of its gravity.
    pub fatal: Option<bool>,
    /// MIG GPU instance.
    pub gpu_instance: Option<u32>,
    /// The recovery action that the driver recommends for it (numbers of NVML field 230).
    pub recovery_action: Option<u32>,
    /// PID that the line names.
    pub pid: Option<u32>,
    /// Name of that process, from the line or from the process that had the PID when it happened.
    pub process: Option<Arc<str>>,
    /// The process that is to blame: it had the PID, and had started before.
    pub blamed: Option<ProcessKey>,
    /// First line.
    pub first: When,
    /// Last line.
    pub last: When,
    /// Where it was read.
    pub source: EventSource,
    /// How often it was reported; its consequences are not counted.
    pub count: u32,
    /// Xids that followed from it, each with its number of lines.
    pub consequences: BTreeMap<u32, u32>,
    /// One sentence, without the GPU.
    pub summary: String,
    /// What an operator does.
    pub advice: String,
    /// NVIDIA's words for it: immediate and investigatory action.
    pub actions: Option<(&'static str, &'static str)>,
    /// The lines as they were read, consequences included; at most [`RAW_AT_MOST`].
    pub raw: Vec<Arc<str>>,
    /// Lines that are not kept any more.
    pub raw_left_out: u32,
}

impl Incident {
    /// The process in words: `python3 (pid 4711)`, `pid 4711, unknown`.
    #[must_use]
    pub fn process_text(&self) -> Option<String> {
        let pid = self.pid?;
        Some(match &self.process {
            Some(name) => format!("{name} (pid {pid})"),
            None => format!("pid {pid}, unknown"),
        })
    }

    /// Whether this ends what an earlier fault left: the driver was loaded anew, or it calls the GPU recovered. Told
    /// of one boot's log alone, whose lines have a time since boot, and of what the kernel wrote.
    #[must_use]
    pub fn ends(&self, fault: &Self) -> bool {
        if self.user_space || self.first.mono.0 == 0 || fault.first.mono.0 == 0 {
            return false;
        }
        let recovered = self.recovery_action == Some(RECOVERED)
            && self.last.mono >= fault.first.mono
            && self.gpu == fault.gpu
            && self.pci == fault.pci;
        recovered || self.kind == Kind::DriverLoad && self.first.mono > fault.last.mono
    }

    fn keep(&mut self, line: &Arc<str>) {
        if self.raw.len() < RAW_AT_MOST {
            self.raw.push(Arc::clone(line));
        } else {
            self.raw_left_out = self.raw_left_out.saturating_add(1);
        }
    }
}

/// A point in time as far as the source tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Since boot; zero where only the wall clock is known.
    pub mono: Mono,
    /// For people; zero where only the time since boot is known.
    pub wall: Wall,
}

impl When {
    const fn of(event: &RawEvent) -> Self {
        Self { mono: event.at, wall: event.wall }
    }

    /// Microseconds between the two; lines without any stamp happened one right after the other.
    fn apart(self, other: Self) -> u64 {
        if self.mono.0 != 0 && other.mono.0 != 0 {
            self.mono.0.abs_diff(other.mono.0)
        } else if self.wall.0 != 0 && other.wall.0 != 0 {
            self.wall.0.abs_diff(other.wall.0)
        } else {
            0
        }
    }
}

/// The log: a bounded fold over raw events.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    incidents: VecDeque<Incident>,
    waiting: VecDeque<(Kind, Option<PciAddress>, When, Arc<str>)>,
    uuids: BTreeMap<PciAddress, Arc<str>>,
    inventory: Option<Arc<Inventory>>,
    next: u64,
    /// The newest line of this boot's log, and up to where a log that is read anew is known already.
    newest: Mono,
    known_until: Mono,
}

impl EventLog {
    /// All incidents, the oldest first.
    pub fn incidents(&self) -> impl DoubleEndedIterator<Item = &Incident> + ExactSizeIterator {
        self.incidents.iter()
    }

    /// The incident of that number.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Incident> {
        self.incidents.iter().find(|incident| incident.id == id)
    }

    /// Takes a raw event in; `snapshot` is what is known of GPUs and processes now. Gives the incident that it
    /// began or went on with.
    pub fn push(&mut self, raw: &RawEvent, snapshot: Option<&Snapshot>) -> Option<u64> {
        let when = When::of(raw);
        if matches!(raw.source, EventSource::Kmsg | EventSource::Journal | EventSource::Action)
            && raw.at.0 != 0
        {
            if raw.at <= self.known_until {
                return None;
            }
            self.newest = self.newest.max(raw.at);
        }
        let user_space = raw.facility.is_some_and(|facility| facility != 0);
        if raw.source == EventSource::Action {
            return Some(self.action(raw, when));
        }
        let parsed = match raw.source {
            EventSource::Nvml => nvml_event(&raw.text).map(Line::Event),
            _ => kernel_log::parse(&raw.text),
        };
        match parsed? {
            Line::Identity(pci, uuid) if !user_space => {
                self.uuids.insert(pci, uuid.into());
                None
            }
            Line::Identity(..) => None,
            Line::Detail(kind, pci) => self.detail(kind, pci, when, &raw.text),
            Line::Event(event) => self.event(&event, raw, when, user_space, snapshot),
        }
    }

    /// A fresh collector reads this boot's log from its beginning: what is known already is not told again.
    pub fn restarted(&mut self) {
        self.known_until = self.newest;
    }

    fn event(
        &mut self,
        event: &Event<'_>,
        raw: &RawEvent,
        when: When,
        user_space: bool,
        snapshot: Option<&Snapshot>,
    ) -> Option<u64> {
        if event.kind == Kind::Aer && !place::concerns_gpu(event.pci, snapshot, &self.uuids) {
            return None;
        }
        if !user_space && let Some(id) = self.join(event, raw, when) {
            return Some(id);
        }
        let meaning = Meaning::of(event, user_space);
        let mut incident = Incident {
            id: self.next,
            kind: event.kind,
            code: event.code,
            severity: meaning.severity,
            user_space,
            gpu: raw.gpu.clone(),
            gpu_index: None,
            pci: event.pci,
            link: event.link,
            fatal: event.fatal,
            gpu_instance: event.gpu_instance,
            recovery_action: event.recovery_action,
            pid: event.pid,
            process: event.process.map(Into::into),
            blamed: None,
            first: when,
            last: when,
            source: raw.source,
            count: 1,
            consequences: BTreeMap::new(),
            summary: meaning.summary,
            advice: meaning.advice,
            actions: meaning.actions,
            raw: Vec::new(),
            raw_left_out: 0,
        };
        self.next += 1;
        if !user_space {
            self.take_waiting(&mut incident);
        }
        incident.keep(&raw.text);
        if !user_space {
            self.absorb(&mut incident);
            place::blame(&mut incident, snapshot);
        }
        place::locate(&mut incident, snapshot.map(|snapshot| &*snapshot.inventory), &self.uuids);
        let id = incident.id;
        if self.incidents.len() >= INCIDENTS_AT_MOST {
            self.incidents.pop_front();
        }
        self.incidents.push_back(incident);
        Some(id)
    }

    /// Names the GPUs of incidents that came before the inventory, and those whose number changed.
    pub fn refresh(&mut self, snapshot: &Snapshot) {
        let known = self.inventory.as_ref().is_some_and(|known| Arc::ptr_eq(known, &snapshot.inventory));
        if known {
            return;
        }
        for incident in &mut self.incidents {
            place::locate(incident, Some(&snapshot.inventory), &self.uuids);
            if incident.blamed.is_none() && !incident.user_space {
                place::blame(incident, Some(snapshot));
            }
        }
        self.inventory = Some(Arc::clone(&snapshot.inventory));
    }

    fn action(&mut self, raw: &RawEvent, when: When) -> u64 {
        let event = Event::action(&raw.text);
        let id = self.event(&event, raw, when, false, None);
        id.unwrap_or(self.next)
    }
}

/// `Xid 79`, `Xid 94 GPU-I:01 GPU-CI:00`, as an event set tells it.
fn nvml_event(text: &str) -> Option<Event<'_>> {
    let mut words = text.strip_prefix("Xid ")?.split_whitespace();
    let mut event = Event::xid(words.next()?.parse().ok()?);
    for word in words {
        if let Some(instance) = word.strip_prefix("GPU-I:") {
            event.gpu_instance = instance.parse().ok();
        } else if let Some(instance) = word.strip_prefix("GPU-CI:") {
            event.compute_instance = instance.parse().ok();
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests;
