//! What a healthy GPU reads under a load: a pure function of model, GPU and time. The trembling is a hash, so
//! that GPUs differ and the same moment always reads the same.

use super::metric::{Metric, Values};
use super::preset::Preset;
use super::spec::LoadName;

/// Ten readings a second: the driver renews power and clocks every 100 ms (measured).
const STEPS_PER_SECOND: f64 = 10.0;

/// A number in −1 to 1 that belongs to this GPU, metric and step.
pub(super) fn tremble(gpu: u32, metric: Metric, t: f64) -> f64 {
    let step = (t * STEPS_PER_SECOND).round() as i64 as u64;
    hash(u64::from(gpu) << 48 ^ (metric as u64) << 40 ^ step)
}

/// splitmix64, to −1 to 1.
fn hash(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A slow wander in −1 to 1 that belongs to this GPU: two incommensurate waves.
fn wander(gpu: u32, t: f64) -> f64 {
    let phase = f64::from(gpu) * 2.399;
    0.6 * (t / 7.3 + phase).sin() + 0.4 * (t / 2.9 + phase * 1.7).sin()
}

/// How busy the load makes the GPU, each 0 to 1.
struct Activity {
    /// Now, for what follows at once (power, clocks, pipes).
    now: f64,
    /// On the mean, for what is slow (temperature).
    mean: f64,
    /// Share of the power budget at `now` = 1.
    power: f64,
    /// Tensor pipe at `now` = 1, per cent.
    tensor: f64,
    /// DRAM at `now` = 1, per cent.
    dram: f64,
}

/// A training job writes a checkpoint for this long, every so often.
const CHECKPOINT: (f64, f64) = (4.0, 75.0);

fn activity(load: LoadName, gpu: u32, t: f64) -> Activity {
    let wander = wander(gpu, t);
    match load {
        LoadName::Idle => Activity { now: 0.0, mean: 0.0, power: 0.0, tensor: 0.0, dram: 0.0 },
        LoadName::Training => {
            // All ranks stop together: the phase has no GPU in it.
            let saving = (t + 40.0).rem_euclid(CHECKPOINT.1) < CHECKPOINT.0;
            let now = if saving { 0.12 } else { 0.955 + 0.03 * wander };
            Activity { now, mean: 0.93, power: 0.93, tensor: 64.0, dram: 41.0 }
        }
        LoadName::Inference => {
            let now = (0.52 + 0.3 * wander).clamp(0.05, 1.0);
            Activity { now, mean: 0.5, power: 0.75, tensor: 22.0, dram: 74.0 }
        }
        // The measured matrix load: 692 of 700 W, capped by software.
        LoadName::Full => {
            Activity { now: 0.99 + 0.01 * wander, mean: 1.0, power: 1.0, tensor: 72.0, dram: 15.0 }
        }
    }
}

/// The numbers of a healthy GPU at `t`.
pub(super) fn healthy(preset: &Preset, load: LoadName, gpu: u32, t: f64) -> Values {
    let activity = activity(load, gpu, t);
    let busy = activity.now > 0.0;
    let (idle_power, full_power) = preset.power;
    let (max_sm, max_memory, max_video) = preset.max_clocks;
    let (idle_sm, idle_memory, idle_video) = preset.idle_clocks;
    let shake = |metric, share: f64| 1.0 + share * tremble(gpu, metric, t);
    let own = hash(0xC0FF_EE00 + u64::from(gpu));
    let percent = |value: f64| value.clamp(0.0, 100.0);
    let capped = load == LoadName::Full;

    let power =
        (idle_power + (full_power - idle_power) * activity.power * activity.now) * (1.0 + 0.012 * own);
    let temperature = 31.0 + 5.0 * (1.0 + own) / 2.0 + 31.0 * activity.power * activity.mean;
    let rest = 1.0 - 0.7 * activity.now;
    let sm = percent(activity.now * 79.0 * shake(Metric::Sm, 0.02));
    let link = if preset.nvlinks > 0 { activity.now } else { 0.0 };
    let (nvlink_mean, pcie_mean) = match load {
        LoadName::Idle => (0.0, 0.6),
        LoadName::Training => (96_000.0, 1_900.0),
        LoadName::Inference => (31_000.0, 420.0),
        LoadName::Full => (0.0, 40.0),
    };
    let pcie_rate = if busy { pcie_mean * activity.now } else { pcie_mean };
    Values {
        power: power * shake(Metric::Power, 0.008),
        power_limit: preset.power_limits.map_or(0.0, |(_, _, default)| default),
        temperature: (temperature + 0.7 * wander(gpu, t / 3.0)).round(),
        memory_temperature: (temperature + 2.0 + 9.0 * activity.power * activity.mean).round(),
        sm_clock: if !busy {
            idle_sm
        } else if capped {
            // Steps of 15 MHz around the clock that was measured at the cap (1620 of 1980).
            (max_sm * (0.818 + 0.012 * tremble(gpu, Metric::SmClock, t)) / 15.0).round() * 15.0
        } else {
            max_sm
        },
        memory_clock: if busy { max_memory } else { idle_memory },
        video_clock: if busy { max_video } else { idle_video },
        utilization: if busy { percent((60.0 + 42.0 * activity.now).round()) } else { 0.0 },
        memory_utilization: percent((activity.dram * activity.now).round()),
        sm,
        sm_occupancy: percent(sm * 0.17),
        tensor: percent(activity.tensor * activity.now * shake(Metric::Tensor, 0.02)),
        dram: percent(activity.dram * activity.now * shake(Metric::Dram, 0.025)),
        fp64: 0.0,
        fp32: percent(6.0 * activity.now * shake(Metric::Fp32, 0.05)),
        fp16: 0.0,
        encoder: 0.0,
        decoder: 0.0,
        fan: if preset.fan { (30.0 + 45.0 * activity.power * activity.mean).round() } else { 0.0 },
        memory_used: 0.0,
        clock_events: if !busy {
            1.0
        } else if capped {
            4.0
        } else {
            0.0
        },
        performance_state: if busy || preset.pcie.0 >= 5 { 0.0 } else { 8.0 },
        pcie_generation: f64::from(if busy || preset.pcie.0 >= 5 { preset.pcie.0 } else { 1 }),
        pcie_width: f64::from(preset.pcie.1),
        pcie_rx: pcie_rate * shake(Metric::PcieRx, 0.05),
        pcie_tx: pcie_rate * (0.3 + 0.2 * rest) * shake(Metric::PcieTx, 0.05),
        pcie_replays: 0.0,
        nvlink_rx: nvlink_mean * link * shake(Metric::NvlinkRx, 0.02),
        nvlink_tx: nvlink_mean * link * shake(Metric::NvlinkTx, 0.02),
        nvlinks_active: f64::from(preset.nvlinks),
        ecc_pending: f64::from(u8::from(preset.ecc)),
        fabric_state: if preset.fabric { 3.0 } else { 0.0 },
        persistence: f64::from(u8::from(preset.power_limits.is_some() && preset.brand != 5)),
        ..Values::default()
    }
}
