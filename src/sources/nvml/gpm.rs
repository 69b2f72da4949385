//! GPU performance monitoring (Hopper and later): two samples at least 100 ms apart, and the means between them.

use super::Device;
use super::call::{CallId, Caller};
use super::port::Port;
use super::raw::GpmSample;
use super::value::{percent, rate};
use crate::model::{Absence, Gpm, Reading};
use crate::units::{BytesPerSecond, Mono, Percent};
use nvml_wrapper_sys::bindings as sys;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// NVML asks for at least this long between two samples; closer ones give noise.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
/// The driver's link rates are in MiB/s (`nvml.h`; the wrapper's "bytes per second" is wrong).
const MIB: f64 = 1_048_576.0;

const GRAPHICS: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_GRAPHICS_UTIL;
const SM: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_SM_UTIL;
const SM_OCCUPANCY: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_SM_OCCUPANCY;
const TENSOR: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_ANY_TENSOR_UTIL;
const DRAM: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_DRAM_BW_UTIL;
const FP64: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_FP64_UTIL;
const FP32: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_FP32_UTIL;
const FP16: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_FP16_UTIL;
const PCIE_TX: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_PCIE_TX_PER_SEC;
const PCIE_RX: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_PCIE_RX_PER_SEC;
const NVLINK_TX: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC;
const NVLINK_RX: u32 = sys::nvmlGpmMetricId_t_NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC;

/// All that is asked of the driver, in one call.
const METRICS: [u32; 12] =
    [GRAPHICS, SM, SM_OCCUPANCY, TENSOR, DRAM, FP64, FP32, FP16, PCIE_TX, PCIE_RX, NVLINK_TX, NVLINK_RX];

/// One GPU at a time is in a GPM call, although NVML calls itself thread-safe: on two H100 with driver 580.159.04, a
/// thread each, every second start crashed inside of the first `nvmlGpmMetricsGet`, far outside of both samples; a
/// single GPU, or both on one thread, never did.
static TURN: Turn = Turn::new();
/// How long a GPU waits for its turn: eight GPUs need 12 ms together (h200.md). One whose call does not return costs
/// the others this much a round and their GPM, nothing else.
const PATIENCE: Duration = Duration::from_millis(50);

/// What only one thread does at a time, and no thread waits for without end.
struct Turn {
    taken: Mutex<bool>,
    given_back: Condvar,
}

impl Turn {
    const fn new() -> Self {
        Self { taken: Mutex::new(false), given_back: Condvar::new() }
    }

    /// The turn, until it is dropped; `None` when it did not come within `patience`.
    fn take(&self, patience: Duration) -> Option<Taken<'_>> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.given_back.wait_timeout_while(taken, patience, |taken| *taken);
        let (mut taken, _timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Taken(self))
    }
}

/// Gives the turn back when it is dropped.
struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.given_back.notify_one();
    }
}

/// The sample before, and buffers to take the next ones into. Two serve a device for good.
#[derive(Default)]
pub(super) struct GpmState {
    before: Option<(GpmSample, Mono)>,
    spare: Vec<GpmSample>,
}

/// Which sample is taken: the whole device's, or one MIG GPU instance's.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    Device,
    Instance(u32),
}

impl Device {
    /// Takes a GPM sample at `now` and gives the means since the one before; `None` for the first one, when less
    /// than 100 ms have passed, and when another GPU's call does not return.
    pub fn gpm(&mut self, caller: &Caller, now: Mono) -> Option<Gpm> {
        self.gpm.read(&mut self.port, caller, Scope::Device, now)
    }
}

impl GpmState {
    /// Whether a sample was taken: this GPU has GPM, and the links' rates come from it.
    pub(super) const fn works(&self) -> bool {
        self.before.is_some()
    }

    /// Begins anew: what comes next has nothing to do with the sample before.
    pub(super) fn restart(&mut self) {
        self.spare.extend(self.before.take().map(|(sample, _)| sample));
    }

    pub(super) fn read(&mut self, port: &mut Port, caller: &Caller, scope: Scope, now: Mono) -> Option<Gpm> {
        if self.before.as_ref().is_some_and(|(_, at)| now.since(*at) < LEAST_INTERVAL) {
            return None;
        }
        let _turn = TURN.take(PATIENCE)?;
        let sample = match self.sample(port, caller, scope) {
            Ok(sample) => sample,
            Err(absence) => {
                self.restart();
                return Some(Gpm::absent(&absence));
            }
        };
        let (older, then) = self.before.replace((sample, now))?;
        let newer = self.before.as_ref().map(|(sample, _)| sample)?;
        let metrics =
            port.raw(caller, CallId::GpmMetrics, |device| device.gpm_metrics(&older, newer, &METRICS));
        let gpm = match metrics {
            Ok(values) => {
                let readings: Vec<Reading<f64>> = values
                    .into_iter()
                    .map(|value| value.map_err(|failure| Absence::from(&failure)))
                    .collect();
                group(&readings, now.since(then))
            }
            Err(absence) => Gpm::absent(&absence),
        };
        self.spare.push(older);
        Some(gpm)
    }

    fn sample(&mut self, port: &mut Port, caller: &Caller, scope: Scope) -> Reading<GpmSample> {
        let mut sample = match self.spare.pop() {
            Some(sample) => sample,
            None => port.raw(caller, CallId::GpmAlloc, GpmSample::new)?,
        };
        let (id, instance) = match scope {
            Scope::Device => (CallId::GpmSample, None),
            Scope::Instance(instance) => (CallId::GpmMigSample, Some(instance)),
        };
        let taken = port.raw(caller, id, |device| sample.take(device, instance));
        match taken {
            Ok(()) => Ok(sample),
            Err(absence) => {
                self.spare.push(sample);
                Err(absence)
            }
        }
    }
}

/// The group from the answers in the order of [`METRICS`].
fn group(answers: &[Reading<f64>], interval: Duration) -> Gpm {
    let of = |metric: u32| {
        METRICS
            .iter()
            .zip(answers)
            .find_map(|(asked, answer)| (*asked == metric).then(|| answer.clone()))
            .unwrap_or(Err(Absence::NotSupported))
    };
    let share = |metric| -> Reading<Percent> { of(metric).and_then(percent) };
    let traffic = |metric| -> Reading<BytesPerSecond> { of(metric).and_then(|value| rate(value, MIB)) };
    Gpm {
        interval_seconds: Ok(interval.as_secs_f32()),
        graphics: share(GRAPHICS),
        sm: share(SM),
        sm_occupancy: share(SM_OCCUPANCY),
        tensor: share(TENSOR),
        dram: share(DRAM),
        fp64: share(FP64),
        fp32: share(FP32),
        fp16: share(FP16),
        pcie_tx: traffic(PCIE_TX),
        pcie_rx: traffic(PCIE_RX),
        nvlink_tx: traffic(NVLINK_TX),
        nvlink_rx: traffic(NVLINK_RX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_does_not_come_is_not_waited_for() {
        let turn = Turn::new();
        let first = turn.take(Duration::ZERO);
        assert!(first.is_some());
        assert!(turn.take(Duration::from_millis(1)).is_none(), "the call of another GPU hangs");
        drop(first);
        assert!(turn.take(Duration::ZERO).is_some());
        std::thread::scope(|scope| {
            let held = turn.take(Duration::ZERO);
            let waiting = scope.spawn(|| turn.take(Duration::from_secs(60)).is_some());
            drop(held);
            assert!(waiting.join().unwrap(), "it comes as soon as it is given back");
        });
    }

    #[test]
    fn answers_are_told_apart_by_position_and_scaled() {
        let answers: Vec<_> =
            [79.0, 74.0, 11.0, 72.0, 15.0, 0.0, 0.0, 0.0, 1.0, 2.0, 67_965.0, 4.0].map(Ok).to_vec();
        let gpm = group(&answers, Duration::from_millis(1_000));
        assert_eq!((gpm.sm, gpm.tensor), (Ok(Percent(74.0)), Ok(Percent(72.0))));
        assert_eq!(gpm.sm_occupancy, Ok(Percent(11.0)));
        assert_eq!((gpm.pcie_tx, gpm.pcie_rx), (Ok(BytesPerSecond(MIB)), Ok(BytesPerSecond(2.0 * MIB))));
        assert_eq!(gpm.nvlink_tx, Ok(BytesPerSecond(67_965.0 * MIB)));
        assert_eq!(gpm.interval_seconds, Ok(1.0));
    }

    #[test]
    fn one_metric_without_an_answer_leaves_the_others() {
        let mut answers = vec![Ok(50.0); METRICS.len()];
        answers[3] = Err(Absence::NotSupported);
        answers[4] = Ok(f64::NAN);
        let gpm = group(&answers, Duration::from_secs(1));
        assert_eq!(gpm.tensor, Err(Absence::NotSupported));
        assert!(matches!(gpm.dram, Err(Absence::Failed { .. })), "not a number is no value");
        assert_eq!(gpm.sm, Ok(Percent(50.0)));
        assert_eq!(group(&[], Duration::ZERO).sm, Err(Absence::NotSupported));
    }
}
