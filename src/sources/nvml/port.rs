//! The way to one device: guards every call by what is known of the device already.

use super::call::{CallId, Caller, Tier};
use super::error::{Failure, code};
use super::raw::{FieldValue, RawDevice};
use super::version::{DriverVersion, Numbering, ProcessListVersion};
use crate::model::{Absence, Reading};
use crate::units::Mono;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device as SafeDevice, Nvml};
use std::collections::BTreeMap;
use std::time::Duration;

/// Scope of a field that adds up all links or lanes.
pub(super) const ALL_LINKS: u32 = u32::MAX;

/// Variant of a call that stands for a batch: what it answers says nothing about other batches.
pub(super) const BATCH: u32 = u32::MAX;

/// How long "not supported" is believed: a mode that was why (MIG, a driver that was busy with a reset) may be over
/// without anybody being told. To ask all that a board lacks again costs less than a millisecond.
const BELIEVED: Duration = Duration::from_secs(120);

/// A device's two handles: the wrapper's for what it gets right, the raw one for the rest.
pub(super) struct Handle {
    pub(super) safe: SafeDevice<'static>,
    pub(super) raw: RawDevice,
}

/// Calls into one device. Once it answers "lost", nothing is asked any more: each call into a lost GPU can block
/// for seconds. What it called unsupported is not asked again for a while, nor before the device's modes change; the
/// cheap calls of the 10 Hz tier are asked each time.
pub(super) struct Port {
    handle: Result<Handle, Failure>,
    lost: Option<u32>,
    unsupported: BTreeMap<(CallId, u32), Mono>,
    numbering: Numbering,
    pub(super) process_list: ProcessListVersion,
}

impl Port {
    pub(super) fn new(
        nvml: &'static Nvml,
        device: SafeDevice<'static>,
        driver: Option<DriverVersion>,
    ) -> Self {
        let raw = RawDevice::new(nvml, &device);
        Self { handle: Ok(Handle { safe: device, raw }), ..Self::refused(driver, Failure::MISSING) }
    }

    /// A device that the driver gave no handle for, and why.
    pub(super) fn refused(driver: Option<DriverVersion>, reason: Failure) -> Self {
        Self {
            handle: Err(reason),
            lost: None,
            unsupported: BTreeMap::new(),
            // A driver that hides its version is taken for one with the older numbering, as the wrapper does, and
            // the newer process list, which all but a few have.
            numbering: driver.map_or(Numbering::Cuda12, DriverVersion::numbering),
            process_list: driver.map_or(ProcessListVersion::V3, DriverVersion::process_list),
        }
    }

    /// The way to a MIG instance of this device.
    pub(super) fn instance(&self, device: SafeDevice<'static>) -> Self {
        let raw = RawDevice::new(device.nvml(), &device);
        Self {
            handle: Ok(Handle { safe: device, raw }),
            lost: None,
            unsupported: BTreeMap::new(),
            numbering: self.numbering,
            process_list: self.process_list,
        }
    }

    /// Whether the device is gone. One that this user may not open is not gone.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
            || self.handle.as_ref().err().is_some_and(|reason| *reason != Failure::Code(code::NO_PERMISSION))
    }

    /// The code by which the driver gave the device up, or gave no handle.
    pub(super) fn refusal(&self) -> Option<u32> {
        self.lost.or_else(|| match &self.handle {
            Err(Failure::Code(code)) if self.is_lost() => Some(*code),
            _ => None,
        })
    }

    /// The raw handle, for a call of another device about this one.
    pub(super) fn raw_device(&self) -> Option<RawDevice> {
        if self.lost.is_some() { None } else { self.handle.as_ref().ok().map(|handle| handle.raw) }
    }

    /// Makes the call `id`; `variant` tells its arguments apart (which clock, which threshold).
    pub(super) fn attempt<T>(
        &mut self,
        caller: &Caller,
        id: CallId,
        variant: u32,
        call: impl FnOnce(&Handle) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(code) = self.lost {
            return Err(Failure::Code(code));
        }
        let handle = self.handle.as_ref().map_err(Clone::clone)?;
        if self.is_unsupported((id, variant), caller.now()) {
            return Err(Failure::Code(code::NOT_SUPPORTED));
        }
        let answer = caller.call(id, || call(handle));
        if let Err(failure) = &answer {
            self.note(failure, (id, variant), caller.now());
        }
        answer
    }

    /// The device's modes changed: what it did not answer before it may answer now.
    pub(super) fn forget(&mut self) {
        self.unsupported.clear();
    }

    fn is_unsupported(&self, call: (CallId, u32), now: Mono) -> bool {
        self.unsupported.get(&call).is_some_and(|told| now.since(*told) < BELIEVED)
    }

    fn note(&mut self, failure: &Failure, call: (CallId, u32), now: Mono) {
        let (id, variant) = call;
        if let Some(code) = failure.lost_code() {
            self.lost = Some(code);
        } else if failure.is_unsupported() && id.tier() != Tier::TenHertz && variant != BATCH {
            self.unsupported.insert(call, now);
        }
    }

    /// A raw call.
    pub(super) fn raw<T>(
        &mut self,
        caller: &Caller,
        id: CallId,
        call: impl FnOnce(RawDevice) -> Result<T, Failure>,
    ) -> Reading<T> {
        self.attempt(caller, id, 0, |handle| call(handle.raw)).map_err(|failure| Absence::from(&failure))
    }

    /// A call through the wrapper.
    pub(super) fn safe<T>(
        &mut self,
        caller: &Caller,
        id: CallId,
        call: impl FnOnce(&SafeDevice<'static>) -> Result<T, NvmlError>,
    ) -> Reading<T> {
        self.safe_variant(caller, id, 0, call)
    }

    /// A call through the wrapper, of which several variants exist.
    pub(super) fn safe_variant<T>(
        &mut self,
        caller: &Caller,
        id: CallId,
        variant: u32,
        call: impl FnOnce(&SafeDevice<'static>) -> Result<T, NvmlError>,
    ) -> Reading<T> {
        self.attempt(caller, id, variant, |handle| call(&handle.safe).map_err(Failure::from))
            .map_err(|failure| Absence::from(&failure))
    }

    /// Reads `(field, scope)` pairs in one driver call, fields named by their numbers of today. Answers by
    /// position; fields known to be unsupported are left out of the call.
    pub(super) fn fields<const N: usize>(
        &mut self,
        caller: &Caller,
        fields: [(u32, u32); N],
    ) -> [Reading<FieldValue>; N] {
        let now = caller.now();
        let unsupported = |(field, _): &(u32, u32)| self.is_unsupported((CallId::FieldValues, *field), now);
        let asked: Vec<_> = fields.iter().copied().filter(|request| !unsupported(request)).collect();
        let answers = self.field_batch(caller, &asked);
        let mut readings = fields.map(|_| Err(Absence::NotSupported));
        for (request, answer) in asked.into_iter().zip(answers) {
            if let Err(failure) = &answer {
                self.note(failure, (CallId::FieldValues, request.0), now);
            }
            let position = fields.iter().position(|field| *field == request);
            if let Some(reading) = position.and_then(|position| readings.get_mut(position)) {
                *reading = answer.map_err(|failure| Absence::from(&failure));
            }
        }
        readings
    }

    /// The same for a list of scopes that is known at run time only (links). What is unsupported is not remembered.
    pub(super) fn field_list(&mut self, caller: &Caller, fields: &[(u32, u32)]) -> Vec<Reading<FieldValue>> {
        let answers = self.field_batch(caller, fields);
        answers.into_iter().map(|answer| answer.map_err(|failure| Absence::from(&failure))).collect()
    }

    fn field_batch(&mut self, caller: &Caller, fields: &[(u32, u32)]) -> Vec<Result<FieldValue, Failure>> {
        if fields.is_empty() {
            return Vec::new();
        }
        let numbering = self.numbering;
        let request: Vec<_> = fields.iter().map(|(field, scope)| (numbering.of(*field), *scope)).collect();
        let answer =
            self.attempt(caller, CallId::FieldValues, BATCH, |handle| handle.raw.field_values(&request));
        let answers = match answer {
            Ok(answers) => answers,
            Err(failure) => vec![Err(failure); fields.len()],
        };
        for failure in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            self.lost = self.lost.or_else(|| failure.lost_code());
        }
        answers
            .into_iter()
            .map(|answer| match answer {
                // A field that this driver does not know, or not in this scope.
                Err(Failure::Code(code::INVALID_ARGUMENT)) => Err(Failure::Code(code::NOT_SUPPORTED)),
                other => other,
            })
            .collect()
    }
}
