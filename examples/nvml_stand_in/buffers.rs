//! The driver's sample buffers, as measured on the H200: power at 50 Hz for 2.4 s, utilisation at 5 Hz for 14 s.

use crate::code::{INVALID_ARGUMENT, NOT_FOUND, NOT_SUPPORTED, list, out};
use crate::state::{Target, device_calls, stamp};
use nvml_wrapper_sys::bindings::{nvmlSample_t, nvmlValue_t};
use std::ffi::c_uint;
use std::time::Duration;

const UNSIGNED: u32 = 1;
/// Period in ms and number of samples.
const POWER: (u64, u64) = (20, 119);
const UTILIZATION: (u64, u64) = (200, 71);

fn samples(gpu: &Target, kind: c_uint, since: u64) -> Result<Vec<nvmlSample_t>, u32> {
    let (period, number) = match kind {
        0 => POWER,
        1..=4 | 8 | 9 => UTILIZATION,
        5 | 6 => return Err(NOT_FOUND),
        _ => return Err(INVALID_ARGUMENT),
    };
    if gpu.gpu.mig_enabled() && kind != 0 {
        return Err(NOT_SUPPORTED);
    }
    let last = Duration::from_millis(gpu.t.as_millis() as u64 / period * period);
    let newest = stamp(last);
    // The driver sampled before this library was loaded: its ring is full from the first call.
    let samples = (0..number)
        .rev()
        .map(|back| Duration::from_millis(back * period))
        .map(|age| {
            let values = gpu.values_before(last, age);
            let value = match kind {
                0 => values.power * 1000.0,
                1 => values.utilization,
                2 => values.memory_utilization,
                3 => values.encoder,
                4 => values.decoder,
                _ => 0.0,
            };
            nvmlSample_t {
                timeStamp: newest.saturating_sub(age.as_micros() as u64),
                sampleValue: nvmlValue_t { uiVal: value as c_uint },
            }
        })
        .filter(|sample| sample.timeStamp > since)
        .collect();
    Ok(samples)
}

device_calls! {
    fn nvmlDeviceGetSamples(
        gpu, kind: c_uint, since: u64, value_type: *mut c_uint, count: *mut c_uint, samples_out: *mut nvmlSample_t
    ) {
        let answer = samples(gpu, kind, since)?;
        out(value_type, UNSIGNED)?;
        // Without a buffer the driver tells how many its ring holds.
        if samples_out.is_null() {
            return out(count, if kind == 0 { POWER.1 } else { UTILIZATION.1 } as c_uint);
        }
        if answer.is_empty() {
            return Err(NOT_FOUND);
        }
        list(count, samples_out, &answer)
    }
}
