//! GPM samples and the metrics between two of them.

use super::super::error::Failure;
use super::{Plain, RawDevice};
use nvml_wrapper_sys::bindings as sys;

/// What the header's structure has room for.
const MOST_METRICS: usize = 210;

/// A buffer for a GPM sample. It is kept and filled again; never freed, as a device lives as long as the process.
pub(in super::super) struct GpmSample {
    buffer: sys::nvmlGpmSample_t,
}

// SAFETY: the buffer is plain memory of the library's, owned by this value alone.
unsafe impl Send for GpmSample {}

impl GpmSample {
    pub(in super::super) fn new(device: RawDevice) -> Result<Self, Failure> {
        let function = device.library.nvmlGpmSampleAlloc.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut buffer = std::ptr::null_mut();
        // SAFETY: the function writes one pointer.
        Failure::check(unsafe { function(&raw mut buffer) })?;
        if buffer.is_null() {
            Err(Failure::Nonsense("no buffer was given".into()))
        } else {
            Ok(Self { buffer })
        }
    }

    /// Takes a sample of the device, or of one MIG GPU instance of it.
    pub(in super::super) fn take(
        &mut self,
        device: RawDevice,
        gpu_instance: Option<u32>,
    ) -> Result<(), Failure> {
        let library = device.library;
        match gpu_instance {
            None => {
                let function = library.nvmlGpmSampleGet.as_ref().ok().ok_or(Failure::MISSING)?;
                // SAFETY: the buffer came from `nvmlGpmSampleAlloc`.
                Failure::check(unsafe { function(device.handle, self.buffer) })
            }
            Some(instance) => {
                let function = library.nvmlGpmMigSampleGet.as_ref().ok().ok_or(Failure::MISSING)?;
                // SAFETY: as above.
                Failure::check(unsafe { function(device.handle, instance, self.buffer) })
            }
        }
    }
}

impl RawDevice {
    /// Metrics between two GPM samples, in the order of `metrics`.
    pub(in super::super) fn gpm_metrics(
        self,
        older: &GpmSample,
        newer: &GpmSample,
        metrics: &[u32],
    ) -> Result<Vec<Result<f64, Failure>>, Failure> {
        let function = self.library.nvmlGpmMetricsGet.as_ref().ok().ok_or(Failure::MISSING)?;
        let mut request = sys::nvmlGpmMetricsGet_t {
            version: sys::NVML_GPM_METRICS_GET_VERSION,
            numMetrics: 0,
            sample1: older.buffer,
            sample2: newer.buffer,
            metrics: [sys::nvmlGpmMetric_t::zeroed(); MOST_METRICS],
        };
        for (slot, metric) in request.metrics.iter_mut().zip(metrics) {
            slot.metricId = *metric;
            request.numMetrics += 1;
        }
        // SAFETY: both buffers came from `nvmlGpmSampleAlloc`, and `numMetrics` entries are set.
        Failure::check(unsafe { function(&raw mut request) })?;
        Ok(request
            .metrics
            .iter()
            .take(metrics.len())
            .map(|metric| Failure::check(metric.nvmlReturn).map(|()| metric.value))
            .collect())
    }
}
