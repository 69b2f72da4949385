//! Slow state: ECC, repair, fabric, modes. Read every 10 to 60 s, 5 ms in all.

use super::Device;
use super::call::{CallId, Caller};
use super::error::Failure;
use super::port::Port;
use super::raw::{FieldValue, RawDevice};
use super::value::{real, watts};
use crate::model::{Absence, Health, Reading};
use crate::units::{Bytes, Joules};
use nvml_wrapper::Device as SafeDevice;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, RetirementCause};

/// Remapped rows: corrected, uncorrected, pending, failed.
const FIELD_REMAPPED: [u32; 4] = [142, 143, 144, 145];
/// Energy since the driver loaded, mJ; 3 to 4 ms of the group's time.
const FIELD_ENERGY: u32 = 83;
/// Millijoules in a joule.
const MILLI: f64 = 1e3;

impl Device {
    /// Reads the slow group. What costs a look at every NVLink is as it was at the last one
    /// ([`nvlinks`](Self::nvlinks)).
    pub fn health(&mut self, caller: &Caller) -> Health {
        let nvlink_errors = self.nvlink_errors(caller);
        let port = &mut self.port;
        let [corrected, uncorrected, pending, failed] = FIELD_REMAPPED;
        let [corrected, uncorrected, pending, failed, energy] = port
            .fields(caller, [(corrected, 0), (uncorrected, 0), (pending, 0), (failed, 0), (FIELD_ENERGY, 0)]);
        let counter = |value: Reading<FieldValue>| value.and_then(FieldValue::counter);
        let flag = |value: Reading<FieldValue>| counter(value).map(|value| value != 0);
        let ecc_mode = port.safe(caller, CallId::EccMode, SafeDevice::is_ecc_enabled);
        let mut ecc = |error: MemoryError, counter: EccCounter| {
            let variant = error.as_c() * 2 + counter.as_c();
            port.safe_variant(caller, CallId::TotalEccErrors, variant, |device| {
                device.total_ecc_errors(error, counter)
            })
            .and_then(|count| if count == u64::MAX { Err(Absence::NotSupported) } else { Ok(count) })
        };
        let (ecc_corrected_volatile, ecc_uncorrected_volatile) = (
            ecc(MemoryError::Corrected, EccCounter::Volatile),
            ecc(MemoryError::Uncorrected, EccCounter::Volatile),
        );
        let (ecc_corrected_aggregate, ecc_uncorrected_aggregate) = (
            ecc(MemoryError::Corrected, EccCounter::Aggregate),
            ecc(MemoryError::Uncorrected, EccCounter::Aggregate),
        );
        let mut retired = |cause: RetirementCause| {
            port.safe_variant(caller, CallId::RetiredPages, cause.as_c(), |device| {
                device.retired_pages(cause)
            })
            .map(|pages| pages.len() as u64)
        };
        let (retired_single, retired_double) = (
            retired(RetirementCause::MultipleSingleBitEccErrors),
            retired(RetirementCause::DoubleBitEccError),
        );
        let (fabric_state, fabric_status, fabric_health) = fabric(port, caller);
        let mig = mig_mode(port, caller);
        Health {
            ecc_corrected_volatile,
            ecc_uncorrected_volatile,
            ecc_corrected_aggregate,
            ecc_uncorrected_aggregate,
            sram_threshold_exceeded: port.raw(
                caller,
                CallId::SramEccStatus,
                RawDevice::sram_threshold_exceeded,
            ),
            ecc_enabled: ecc_mode.as_ref().map(|mode| mode.currently_enabled).map_err(Clone::clone),
            ecc_pending: ecc_mode.map(|mode| mode.pending_enabled),
            remapped_corrected: counter(corrected),
            remapped_uncorrected: counter(uncorrected),
            remap_pending: flag(pending),
            remap_failed: flag(failed),
            remap_banks: port.raw(caller, CallId::RowRemapperHistogram, RawDevice::row_remapper_histogram),
            retired_single,
            retired_double,
            retired_pending: port.safe(
                caller,
                CallId::RetiredPagesPending,
                SafeDevice::are_pages_pending_retired,
            ),
            energy: counter(energy).map(|millijoules| Joules(millijoules as f64 / MILLI)),
            pcie_replays: port
                .safe(caller, CallId::PcieReplays, SafeDevice::pcie_replay_counter)
                .and_then(real)
                .map(u64::from),
            nvlink_errors,
            fabric_state,
            fabric_status,
            fabric_health,
            persistence: port.safe(caller, CallId::PersistenceMode, SafeDevice::is_in_persistent_mode),
            compute_mode: port
                .safe(caller, CallId::ComputeMode, SafeDevice::compute_mode)
                .map(|mode| mode.as_c()),
            mig: mig.as_ref().map(|(now, _)| *now).map_err(Clone::clone),
            mig_pending: mig.map(|(_, pending)| pending),
            power_limit_set: port
                .safe(caller, CallId::PowerLimit, SafeDevice::power_management_limit)
                .and_then(watts),
            bar1_used: port.safe(caller, CallId::Bar1Memory, SafeDevice::bar1_memory_info).and_then(|info| {
                if info.used == u64::MAX { Err(Absence::NotSupported) } else { Ok(Bytes(info.used)) }
            }),
        }
    }
}

/// MIG mode now and after the next reset.
pub(super) fn mig_mode(port: &mut Port, caller: &Caller) -> Reading<(bool, bool)> {
    port.safe(caller, CallId::MigMode, SafeDevice::mig_mode)
        .map(|mode| (mode.current == 1, mode.pending == 1))
}

type Fabric = (Reading<u32>, Reading<u32>, Reading<u32>);

/// Fabric state, status and health.
fn fabric(port: &mut Port, caller: &Caller) -> Fabric {
    let newer = port.attempt(caller, CallId::FabricInfoV, 0, |handle| handle.raw.fabric());
    let answer = match newer {
        Err(failure) if failure.is_unsupported() => {
            port.attempt(caller, CallId::FabricInfo, 0, |handle| handle.raw.fabric_v1())
        }
        other => other,
    };
    fabric_readings(answer)
}

fn fabric_readings(answer: Result<(u32, u32, Option<u32>), Failure>) -> Fabric {
    match answer {
        Ok((state, status, health)) => (Ok(state), Ok(status), health.ok_or(Absence::NotSupported)),
        Err(failure) => {
            let absent = || Err(Absence::from(&failure));
            (absent(), absent(), absent())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_fabric_structure_has_no_health() {
        assert_eq!(fabric_readings(Ok((3, 0, None))), (Ok(3), Ok(0), Err(Absence::NotSupported)));
        assert_eq!(fabric_readings(Ok((3, 0, Some(1)))).2, Ok(1));
        assert_eq!(fabric_readings(Err(Failure::Code(15))).0, Err(Absence::Lost));
    }
}
