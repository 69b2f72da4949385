//! NVLinks one by one. Their state is cheap; an error counter costs 0.8 ms for each link and kind, so those are
//! read only when the total of the kind has moved.

use super::Device;
use super::call::{CallId, Caller};
use super::error::{Failure, code};
use super::port::Port;
use super::raw::FieldValue;
use super::version::pci_address;
use crate::model::{Absence, NvLink, Reading};
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;
use std::sync::Arc;

/// Number of links. The only bound that holds: past it NVML answers `INVALID_ARGUMENT`, and the header's maximum
/// has grown twice.
const FIELD_NVLINKS: u32 = 91;
/// More links than any GPU has.
const MOST_LINKS: u32 = 64;
/// Kinds of errors: replay, recovery, CRC.
const KINDS: usize = 3;
/// The counters of each kind.
const COUNTERS: [&[ErrorCounter]; KINDS] = [
    &[ErrorCounter::DlReplay],
    &[ErrorCounter::DlRecovery],
    &[ErrorCounter::DlCrcFlit, ErrorCounter::DlCrcData],
];
/// The other end is a GPU (`nvmlIntNvLinkDeviceType_t`).
const REMOTE_GPU: u32 = 0;

type Errors = [Reading<u64>; KINDS];

/// What is kept between readings.
#[derive(Debug)]
pub(super) struct LinkState {
    count: Option<u32>,
    /// Totals of all links per kind, from the slow group.
    totals: Errors,
    /// The totals at which the links were read one by one.
    read_at: [Option<u64>; KINDS],
    links: Vec<KnownLink>,
}

/// What stays true of a link.
#[derive(Clone, Debug)]
struct KnownLink {
    remote: Option<(Reading<u32>, Reading<Arc<str>>)>,
    errors: Errors,
}

const fn not_requested() -> Errors {
    [const { Err(Absence::NotRequested) }; KINDS]
}

impl Default for LinkState {
    fn default() -> Self {
        Self { count: None, totals: not_requested(), read_at: [None; KINDS], links: Vec::new() }
    }
}

/// How the links' own counters of a kind come about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    /// As they were.
    Keep,
    /// The total is zero, and so is each of its parts.
    Zero,
    /// The total moved.
    Read,
}

impl LinkState {
    /// Takes the totals of all links: replay, recovery, CRC.
    pub(super) fn set_totals(&mut self, totals: Errors) {
        self.totals = totals;
    }

    /// The number of links, where it is known already.
    pub(super) fn set_count(&mut self, count: u32) {
        self.count = Some(count.min(MOST_LINKS));
    }

    fn plan(&self, kind: usize) -> Plan {
        match (self.totals.get(kind), self.read_at.get(kind)) {
            (Some(Ok(0)), _) => Plan::Zero,
            (Some(Ok(total)), Some(read_at)) if *read_at != Some(*total) => Plan::Read,
            _ => Plan::Keep,
        }
    }
}

impl Device {
    /// State of each link: up or down, what is at its other end, its errors. Errors are known once
    /// [`health`](Self::health) has read their totals.
    pub fn nvlinks(&mut self, caller: &Caller) -> Vec<NvLink> {
        let count = self.link_count(caller);
        let plans: [Plan; KINDS] = std::array::from_fn(|kind| self.links.plan(kind));
        let port = &mut self.port;
        let mut links = Vec::new();
        for link in 0..count {
            let active = port.attempt(caller, CallId::NvLinkState, link, |handle| {
                Ok(handle.safe.link_wrapper_for(link).is_active()?)
            });
            if active == Err(Failure::Code(code::INVALID_ARGUMENT)) {
                break;
            }
            let known = known_link(&mut self.links.links, link);
            read_errors(port, caller, link, &plans, &mut known.errors);
            let (remote_type, remote_pci) = match (&known.remote, &active) {
                (Some(remote), _) => remote.clone(),
                (None, Ok(true)) => known.remote.insert(read_remote(port, caller, link)).clone(),
                // What a link that is down leads to cannot be known, and is asked again when it is up.
                (None, Ok(false)) => (Err(Absence::NotRequested), Err(Absence::NotRequested)),
                (None, Err(failure)) => (Err(Absence::from(failure)), Err(Absence::from(failure))),
            };
            let [replay_errors, recovery_errors, crc_errors] = known.errors.clone();
            links.push(NvLink {
                link,
                active: active.map_err(|failure| Absence::from(&failure)),
                remote_type,
                remote_pci,
                replay_errors,
                recovery_errors,
                crc_errors,
            });
        }
        for ((read_at, total), plan) in self.links.read_at.iter_mut().zip(&self.links.totals).zip(plans) {
            if plan != Plan::Keep && !self.port.is_lost() {
                *read_at = total.as_ref().ok().copied();
            }
        }
        links
    }

    fn link_count(&mut self, caller: &Caller) -> u32 {
        if self.links.count.is_none() {
            let [count] = self.port.fields(caller, [(FIELD_NVLINKS, 0)]);
            match count.and_then(FieldValue::number) {
                Ok(count) => self.links.set_count(count),
                // No links at all, or a driver that cannot say.
                Err(Absence::NotSupported) => self.links.set_count(0),
                Err(_) => {}
            }
        }
        self.links.count.unwrap_or(0)
    }
}

fn known_link(links: &mut Vec<KnownLink>, link: u32) -> &mut KnownLink {
    let index = link as usize;
    if links.len() <= index {
        links.resize(index + 1, KnownLink { remote: None, errors: not_requested() });
    }
    #[expect(clippy::indexing_slicing, reason = "the list was just made long enough")]
    &mut links[index]
}

fn read_errors(port: &mut Port, caller: &Caller, link: u32, plans: &[Plan; KINDS], errors: &mut Errors) {
    for ((plan, counters), errors) in plans.iter().zip(COUNTERS).zip(errors) {
        match plan {
            Plan::Keep => {}
            Plan::Zero => *errors = Ok(0),
            Plan::Read => {
                *errors = counters.iter().try_fold(0u64, |sum, counter| {
                    let variant = link * 8 + counter.as_c();
                    port.safe_variant(caller, CallId::NvLinkErrors, variant, |device| {
                        device.link_wrapper_for(link).error_counter(*counter)
                    })
                    .map(|count| sum.saturating_add(count))
                });
            }
        }
    }
}

/// Type and address of the other end. A switch has no address there (NVML answers all ones).
fn read_remote(port: &mut Port, caller: &Caller, link: u32) -> (Reading<u32>, Reading<Arc<str>>) {
    let kind = port
        .attempt(caller, CallId::NvLinkRemoteType, link, |handle| handle.raw.nvlink_remote_type(link))
        .map_err(|failure| Absence::from(&failure));
    let address = match kind {
        Ok(REMOTE_GPU) | Err(_) => port
            .safe_variant(caller, CallId::NvLinkRemotePci, link, |device| {
                device.link_wrapper_for(link).remote_pci_info()
            })
            .and_then(|info| pci_address(&info.bus_id).map(Arc::from).ok_or(Absence::NotSupported)),
        Ok(_) => Err(Absence::NotSupported),
    };
    (kind, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(total: Reading<u64>, read_at: Option<u64>) -> LinkState {
        let mut state = LinkState::default();
        state.set_totals([total, Ok(0), Err(Absence::NotSupported)]);
        state.read_at = [read_at, None, None];
        state
    }

    #[test]
    fn links_are_read_one_by_one_only_when_their_total_moved() {
        assert_eq!(with(Ok(5), None).plan(0), Plan::Read);
        assert_eq!(with(Ok(5), Some(5)).plan(0), Plan::Keep);
        assert_eq!(with(Ok(6), Some(5)).plan(0), Plan::Read);
        assert_eq!(with(Ok(1), Some(5)).plan(0), Plan::Read, "a reset counter moved too");
    }

    #[test]
    fn a_total_of_zero_needs_no_reading_and_an_absent_one_gets_none() {
        let state = with(Err(Absence::Lost), None);
        assert_eq!([0, 1, 2].map(|kind| state.plan(kind)), [Plan::Keep, Plan::Zero, Plan::Keep]);
        assert_eq!(LinkState::default().plan(0), Plan::Keep);
    }

    #[test]
    fn a_count_out_of_reason_is_bounded() {
        let mut state = LinkState::default();
        state.set_count(u32::MAX);
        assert_eq!(state.count, Some(MOST_LINKS));
    }

    #[test]
    fn a_links_place_is_its_number() {
        let mut links = Vec::new();
        known_link(&mut links, 2).errors = [Ok(1), Ok(2), Ok(3)];
        assert_eq!(links.len(), 3);
        assert_eq!(known_link(&mut links, 0).errors, not_requested());
        assert_eq!(known_link(&mut links, 2).errors, [Ok(1), Ok(2), Ok(3)]);
    }
}
