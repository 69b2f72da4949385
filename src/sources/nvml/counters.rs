//! Cumulative counters: time per clock event reason, NVLink traffic; and PCIe rates where GPM is missing.

use super::Device;
use super::call::{CallId, Caller};
use super::port::{ALL_LINKS, Port};
use super::raw::FieldValue;
use super::value::rate;
use crate::model::{Absence, Counters, Reading};
use crate::units::BytesPerSecond;
use nvml_wrapper::enum_wrappers::device::PcieUtilCounter;

/// Time below the power cap, by sync boost, in SW thermal, HW thermal and HW power brake slowdown, ns; numbers of
/// R580.82 and later.
const FIELD_REASONS: [u32; 5] = [74, 76, 269, 270, 271];
/// NVLink payload sent and received, then the same with protocol, KiB. With the scope of all links; 0 would be link 0
/// alone. All four are asked together, and only where GPM does not tell the links' rates: driver 580.159.04 answers
/// them as a batch, and when two of them were asked beside other fields on H100 with NVLink, it wrote a time and a
/// value behind the list as well, over the heap.
const FIELD_NVLINK: [u32; 4] = [138, 139, 140, 141];
/// `nvmlDeviceGetPcieThroughput` answers KB/s.
const KILOBYTE: f64 = 1_000.0;

impl Device {
    /// Reads the counters, 0.6 to 1.6 ms. `pcie_throughput` adds the two calls that block for 21 ms
    /// each: only without GPM, only while shown, and on a thread where that harms nobody.
    pub fn counters(&mut self, caller: &Caller, pcie_throughput: bool) -> Counters {
        let port = &mut self.port;
        let [cap, boost, sw_thermal, hw_thermal, brake] =
            port.fields(caller, FIELD_REASONS.map(|field| (field, 0)));
        let (tx, rx) = if self.gpm.works() {
            (Err(Absence::NotRequested), Err(Absence::NotRequested))
        } else {
            let [tx, rx, ..] = port.fields(caller, FIELD_NVLINK.map(|field| (field, ALL_LINKS)));
            (tx, rx)
        };
        let (pcie_tx, pcie_rx) = if pcie_throughput {
            (
                throughput(port, caller, PcieUtilCounter::Send),
                throughput(port, caller, PcieUtilCounter::Receive),
            )
        } else {
            (Err(Absence::NotRequested), Err(Absence::NotRequested))
        };
        let counter = |value: Reading<FieldValue>| value.and_then(FieldValue::counter);
        Counters {
            sw_power_cap_ns: counter(cap),
            sync_boost_ns: counter(boost),
            sw_thermal_ns: counter(sw_thermal),
            hw_thermal_ns: counter(hw_thermal),
            hw_power_brake_ns: counter(brake),
            nvlink_tx_kib: counter(tx),
            nvlink_rx_kib: counter(rx),
            pcie_tx,
            pcie_rx,
        }
    }
}

fn throughput(port: &mut Port, caller: &Caller, direction: PcieUtilCounter) -> Reading<BytesPerSecond> {
    port.safe_variant(caller, CallId::PcieThroughput, direction.as_c(), |device| {
        device.pcie_throughput(direction)
    })
    .and_then(super::value::real)
    .and_then(|value| rate(f64::from(value), KILOBYTE))
}
