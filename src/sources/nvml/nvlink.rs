//! NVLinks one by one: state, other end, errors.
//!
//! Where the error counts come from depends on the GPU. Before Hopper the fields of all links together are true and
//! cheap, and the links' own counters (0.8 ms each) are read only when a total has moved. From Hopper on those
//! totals answer success and zero whatever happens; there the links' own fields are read, all in one call, with the
//! links' states: 14 and 25 ms for the 18 links of an H200.

use super::Device;
use super::call::{CallId, Caller};
use super::error::{Failure, code};
use super::port::Port;
use super::raw::{FieldValue, RawDevice};
use super::version::pci_address;
use crate::model::{Absence, NvLink, Reading};
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;
use std::sync::Arc;

/// Number of links. The only bound that holds: past it NVML answers `INVALID_ARGUMENT`, and the header's maximum
/// has grown twice.
const FIELD_NVLINKS: u32 = 91;
/// Errors of all links: replay, recovery, CRC of flits, CRC of data. True before Hopper only.
const FIELD_TOTALS: [u32; 4] = [52, 59, 38, 45];
/// Errors of the link that is the scope: replay, recovery, CRC.
const FIELD_OF_LINK: [u32; KINDS] = [161, 162, 163];
/// `nvmlDeviceArchitecture_t` of Hopper.
const HOPPER: u32 = 9;
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
    /// Whether the totals can be believed; `None` before the first reading.
    totals_true: Option<bool>,
    /// The links' own fields answer nothing: their counters are asked instead.
    no_link_fields: bool,
    /// Totals of all links per kind.
    totals: Errors,
    /// The totals at which the links were read one by one.
    read_at: [Option<u64>; KINDS],
    links: Vec<KnownLink>,
}

/// What is known of a link.
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
        Self {
            count: None,
            totals_true: None,
            no_link_fields: false,
            totals: not_requested(),
            read_at: [None; KINDS],
            links: Vec::new(),
        }
    }
}

/// How the links' own counters of a kind come about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    /// As they are known.
    Keep,
    /// The total is zero, and so is each of its parts.
    Zero,
    /// The total moved.
    Read,
}

impl LinkState {
    /// The number of links, where it is known already.
    pub(super) fn set_count(&mut self, count: u32) {
        self.count = Some(count.min(MOST_LINKS));
    }

    fn plan(&self, kind: usize) -> Plan {
        match (self.totals_true, self.totals.get(kind), self.read_at.get(kind)) {
            (Some(true), Some(Ok(0)), _) => Plan::Zero,
            (Some(true), Some(Ok(total)), Some(read_at)) if *read_at != Some(*total) => Plan::Read,
            _ => Plan::Keep,
        }
    }

    fn set_totals(&mut self, [replay, recovery, crc_flit, crc_data]: [Reading<u64>; 4]) {
        self.totals = [replay, recovery, sum([&crc_flit, &crc_data])];
    }

    /// Takes the answers of the links' own fields, link by link.
    fn set_link_fields(&mut self, answers: Vec<Reading<FieldValue>>) {
        let mut answers = answers.into_iter().map(|answer| answer.and_then(FieldValue::counter));
        for link in 0..self.count.unwrap_or(0) {
            let errors = std::array::from_fn(|_| answers.next().unwrap_or(Err(Absence::NotSupported)));
            known_link(&mut self.links, link).errors = errors;
        }
    }

    /// The errors of all links and kinds together.
    fn sum_of_links(&self) -> Reading<u64> {
        sum(self.links.iter().flat_map(|link| &link.errors))
    }
}

impl Device {
    /// Errors of all links together, for the slow group. Where the totals are not true, they are what
    /// [`nvlinks`](Self::nvlinks) found at its last look.
    pub(super) fn nvlink_errors(&mut self, caller: &Caller) -> Reading<u64> {
        if self.link_count(caller)? == 0 {
            return Err(Absence::NotSupported);
        }
        if self.totals_are_true(caller) {
            self.read_totals(caller);
            return sum(&self.links.totals);
        }
        if self.links.links.is_empty() { Err(Absence::NotRequested) } else { self.links.sum_of_links() }
    }

    fn totals_are_true(&mut self, caller: &Caller) -> bool {
        let port = &mut self.port;
        *self.links.totals_true.get_or_insert_with(|| {
            let architecture = port.raw(caller, CallId::Architecture, RawDevice::architecture);
            architecture.is_ok_and(|number| number < HOPPER)
        })
    }

    fn read_totals(&mut self, caller: &Caller) {
        let totals = self.port.fields(caller, FIELD_TOTALS.map(|field| (field, 0)));
        self.links.set_totals(totals.map(|value| value.and_then(FieldValue::counter)));
    }

    /// The errors of each link by its own fields, or by its counters where those answer nothing.
    fn read_each(&mut self, caller: &Caller, count: u32) {
        if !self.links.no_link_fields {
            let fields: Vec<_> =
                (0..count).flat_map(|link| FIELD_OF_LINK.map(|field| (field, link))).collect();
            let answers = self.port.field_list(caller, &fields);
            self.links.no_link_fields =
                answers.iter().all(|answer| matches!(answer, Err(Absence::NotSupported)));
            self.links.set_link_fields(answers);
        }
        if self.links.no_link_fields {
            for link in 0..count {
                let known = known_link(&mut self.links.links, link);
                read_errors(&mut self.port, caller, link, [Plan::Read; KINDS], &mut known.errors);
            }
        }
    }

    /// Each link: up or down, what is at its other end, its errors. About 40 ms for the 18 links of an H100.
    pub fn nvlinks(&mut self, caller: &Caller) -> Vec<NvLink> {
        let count = self.link_count(caller).unwrap_or(0);
        if count == 0 {
            return Vec::new();
        }
        if self.totals_are_true(caller) {
            self.read_totals(caller);
        } else {
            self.read_each(caller, count);
        }
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
            read_errors(port, caller, link, plans, &mut known.errors);
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
        if !self.port.is_lost() {
            for ((read_at, total), plan) in self.links.read_at.iter_mut().zip(&self.links.totals).zip(plans) {
                if plan != Plan::Keep {
                    *read_at = total.as_ref().ok().copied();
                }
            }
        }
        links
    }

    fn link_count(&mut self, caller: &Caller) -> Reading<u32> {
        if let Some(count) = self.links.count {
            return Ok(count);
        }
        let [count] = self.port.fields(caller, [(FIELD_NVLINKS, 0)]);
        match count.and_then(FieldValue::number) {
            Ok(count) => self.links.set_count(count),
            // No links at all, or a driver that cannot say.
            Err(Absence::NotSupported) => self.links.set_count(0),
            Err(absence) => return Err(absence),
        }
        Ok(self.links.count.unwrap_or(0))
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

/// The sum of the counters that there are; the first reason when there is none.
fn sum<'a>(counters: impl IntoIterator<Item = &'a Reading<u64>>) -> Reading<u64> {
    let mut total: Option<u64> = None;
    let mut reason = Absence::NotSupported;
    for counter in counters {
        match counter {
            Ok(count) => total = Some(total.unwrap_or(0).saturating_add(*count)),
            Err(absence) if reason == Absence::NotSupported => reason = absence.clone(),
            Err(_) => {}
        }
    }
    total.ok_or(reason)
}

fn read_errors(port: &mut Port, caller: &Caller, link: u32, plans: [Plan; KINDS], errors: &mut Errors) {
    for ((plan, counters), errors) in plans.iter().zip(COUNTERS).zip(errors) {
        match plan {
            Plan::Keep => {}
            Plan::Zero => *errors = Ok(0),
            Plan::Read => {
                let read: Vec<_> = counters
                    .iter()
                    .map(|counter| {
                        // Which counter of which link: there are five counters.
                        let variant = link * 8 + counter.as_c();
                        port.safe_variant(caller, CallId::NvLinkErrors, variant, |device| {
                            device.link_wrapper_for(link).error_counter(*counter)
                        })
                    })
                    .collect();
                *errors = sum(&read);
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
        let mut state = LinkState { totals_true: Some(true), ..LinkState::default() };
        state.set_totals([total, Ok(0), Err(Absence::NotSupported), Err(Absence::NotSupported)]);
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
    }

    #[test]
    fn totals_that_cannot_be_believed_decide_nothing() {
        let mut state = with(Ok(0), None);
        state.totals_true = Some(false);
        assert_eq!(state.plan(0), Plan::Keep);
    }

    #[test]
    fn fields_of_links_are_told_apart_by_position() {
        let mut state = LinkState::default();
        state.set_count(2);
        let unsupported = || Err(Absence::NotSupported);
        state.set_link_fields(vec![
            Ok(FieldValue::U64(1)),
            Ok(FieldValue::U32(2)),
            unsupported(),
            Ok(FieldValue::U64(4)),
            Ok(FieldValue::U64(u64::MAX)),
            Ok(FieldValue::U64(6)),
        ]);
        assert_eq!(known_link(&mut state.links, 0).errors, [Ok(1), Ok(2), Err(Absence::NotSupported)]);
        assert_eq!(known_link(&mut state.links, 1).errors, [Ok(4), Err(Absence::NotSupported), Ok(6)]);
        assert_eq!(state.sum_of_links(), Ok(13));
    }

    #[test]
    fn sums_add_up_what_there_is() {
        assert_eq!(sum(&[Ok(2), Err(Absence::NotSupported), Ok(3)]), Ok(5));
        assert_eq!(sum(&[Err(Absence::NotSupported), Err(Absence::Lost)]), Err(Absence::Lost));
        assert_eq!(sum(&[Ok(u64::MAX), Ok(1)]), Ok(u64::MAX));
        assert_eq!(sum(&[]), Err(Absence::NotSupported));
    }

    #[test]
    fn a_count_out_of_reason_is_bounded() {
        let mut state = LinkState::default();
        state.set_count(u32::MAX);
        assert_eq!(state.count, Some(MOST_LINKS));
    }
}
