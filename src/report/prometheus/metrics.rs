//! The metrics that are read off each GPU.

use crate::model::{Band, Gpu, Reading, known};
use crate::report::read;
use crate::units::{Bytes, Percent};

/// Name, type, help, and how it is read off a GPU.
pub(super) type Metric = (&'static str, &'static str, &'static str, fn(&Gpu) -> Option<f64>);

pub(super) const GAUGE: &str = "gauge";
pub(super) const COUNTER: &str = "counter";

fn mean(reading: Reading<Band>) -> Option<f64> {
    reading.ok().map(|band| tenth(band.mean))
}

/// The nearest double to a float of one decimal, so that it prints as one.
fn tenth(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

fn mebibytes(reading: Reading<Bytes>) -> Option<f64> {
    reading.ok().map(|bytes| bytes.mib().round())
}

fn ratio(reading: Reading<Percent>) -> Option<f64> {
    reading.ok().map(|percent| (f64::from(percent.0) * 100.0).round() / 10_000.0)
}

fn percent(reading: Reading<Percent>) -> Option<f64> {
    reading.ok().map(|percent| tenth(percent.0))
}

fn count(reading: Reading<u64>) -> Option<f64> {
    reading.ok().map(|count| count as f64)
}

fn flag(reading: Reading<bool>) -> Option<f64> {
    reading.ok().map(|set| f64::from(u8::from(set)))
}

/// Names of dcgm-exporter's default counters and of those its configuration offers.
pub(super) const DCGM: [Metric; 36] = [
    ("DCGM_FI_DEV_SM_CLOCK", GAUGE, "SM clock frequency (in MHz).", |gpu| {
        read::band(gpu, |fast| &fast.sm_clock).ok().map(|band| f64::from(band.mean.round()))
    }),
    ("DCGM_FI_DEV_MEM_CLOCK", GAUGE, "Memory clock frequency (in MHz).", |gpu| {
        read::live(gpu, |live| &live.memory_clock).ok().map(|clock| f64::from(clock.0))
    }),
    ("DCGM_FI_DEV_MEMORY_TEMP", GAUGE, "Memory temperature (in C).", |gpu| {
        read::live(gpu, |live| &live.memory_temperature).ok().map(|value| tenth(value.0))
    }),
    ("DCGM_FI_DEV_GPU_TEMP", GAUGE, "GPU temperature (in C).", |gpu| {
        read::live(gpu, |live| &live.temperature).ok().map(|value| tenth(value.0))
    }),
    ("DCGM_FI_DEV_POWER_USAGE", GAUGE, "Power draw (in W).", |gpu| mean(read::band(gpu, |fast| &fast.power))),
    (
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        COUNTER,
        "Total energy consumption since boot (in mJ).",
        |gpu| read::health(gpu, |health| &health.energy).ok().map(|energy| (energy.0 * 1_000.0).round()),
    ),
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", COUNTER, "Total number of PCIe retries.", |gpu| {
        count(read::health(gpu, |health| &health.pcie_replays))
    }),
    ("DCGM_FI_DEV_GPU_UTIL", GAUGE, "GPU utilization (in %).", |gpu| {
        mean(read::band(gpu, |fast| &fast.utilization))
    }),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", GAUGE, "Memory utilization (in %).", |gpu| {
        mean(read::band(gpu, |fast| &fast.memory_utilization))
    }),
    ("DCGM_FI_DEV_ENC_UTIL", GAUGE, "Encoder utilization (in %).", |gpu| {
        percent(read::live(gpu, |live| &live.encoder))
    }),
    ("DCGM_FI_DEV_DEC_UTIL", GAUGE, "Decoder utilization (in %).", |gpu| {
        percent(read::live(gpu, |live| &live.decoder))
    }),
    ("DCGM_FI_DEV_FB_FREE", GAUGE, "Framebuffer memory free (in MiB).", |gpu| {
        mebibytes(read::live(gpu, |live| &live.memory_free))
    }),
    ("DCGM_FI_DEV_FB_USED", GAUGE, "Framebuffer memory used (in MiB).", |gpu| {
        mebibytes(read::live(gpu, |live| &live.memory_used))
    }),
    ("DCGM_FI_DEV_FB_RESERVED", GAUGE, "Framebuffer memory reserved (in MiB).", |gpu| {
        mebibytes(read::live(gpu, |live| &live.memory_reserved))
    }),
    (
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        COUNTER,
        "Number of remapped rows for uncorrectable errors",
        |gpu| count(read::health(gpu, |health| &health.remapped_uncorrected)),
    ),
    (
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        COUNTER,
        "Number of remapped rows for correctable errors",
        |gpu| count(read::health(gpu, |health| &health.remapped_corrected)),
    ),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", GAUGE, "Whether remapping of rows has failed", |gpu| {
        flag(read::health(gpu, |health| &health.remap_failed))
    }),
    ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", COUNTER, "Total number of single-bit volatile ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_corrected_volatile))
    }),
    ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", COUNTER, "Total number of double-bit volatile ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_uncorrected_volatile))
    }),
    ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", COUNTER, "Total number of single-bit persistent ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_corrected_aggregate))
    }),
    ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", COUNTER, "Total number of double-bit persistent ECC errors.", |gpu| {
        count(read::health(gpu, |health| &health.ecc_uncorrected_aggregate))
    }),
    ("DCGM_FI_DEV_RETIRED_SBE", COUNTER, "Total number of retired pages due to single-bit errors.", |gpu| {
        count(read::health(gpu, |health| &health.retired_single))
    }),
    ("DCGM_FI_DEV_RETIRED_DBE", COUNTER, "Total number of retired pages due to double-bit errors.", |gpu| {
        count(read::health(gpu, |health| &health.retired_double))
    }),
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", GAUGE, "Ratio of time the graphics engine is active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.graphics))
    }),
    ("DCGM_FI_PROF_SM_ACTIVE", GAUGE, "The ratio of cycles an SM has at least 1 warp assigned.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.sm))
    }),
    ("DCGM_FI_PROF_SM_OCCUPANCY", GAUGE, "The ratio of number of warps resident on an SM.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.sm_occupancy))
    }),
    ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", GAUGE, "Ratio of cycles the tensor (HMMA) pipe is active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.tensor))
    }),
    ("DCGM_FI_PROF_PIPE_FP64_ACTIVE", GAUGE, "Ratio of cycles the fp64 pipes are active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.fp64))
    }),
    ("DCGM_FI_PROF_PIPE_FP32_ACTIVE", GAUGE, "Ratio of cycles the fp32 pipes are active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.fp32))
    }),
    ("DCGM_FI_PROF_PIPE_FP16_ACTIVE", GAUGE, "Ratio of cycles the fp16 pipes are active.", |gpu| {
        ratio(read::gpm(gpu, |gpm| &gpm.fp16))
    }),
    (
        "DCGM_FI_PROF_DRAM_ACTIVE",
        GAUGE,
        "Ratio of cycles the device memory interface is active sending or receiving data.",
        |gpu| ratio(read::gpm(gpu, |gpm| &gpm.dram)),
    ),
    ("DCGM_FI_PROF_PCIE_TX_BYTES", GAUGE, "The rate of data sent over PCIe (in B/s).", |gpu| {
        read::gpm(gpu, |gpm| &gpm.pcie_tx).ok().map(|rate| rate.0.round())
    }),
    ("DCGM_FI_PROF_PCIE_RX_BYTES", GAUGE, "The rate of data received over PCIe (in B/s).", |gpu| {
        read::gpm(gpu, |gpm| &gpm.pcie_rx).ok().map(|rate| rate.0.round())
    }),
    ("DCGM_FI_PROF_NVLINK_TX_BYTES", GAUGE, "The rate of data sent over all NVLinks (in B/s).", |gpu| {
        read::gpm(gpu, |gpm| &gpm.nvlink_tx).ok().map(|rate| rate.0.round())
    }),
    ("DCGM_FI_PROF_NVLINK_RX_BYTES", GAUGE, "The rate of data received over all NVLinks (in B/s).", |gpu| {
        read::gpm(gpu, |gpm| &gpm.nvlink_rx).ok().map(|rate| rate.0.round())
    }),
    ("DCGM_FI_DEV_RETIRED_PENDING", GAUGE, "Whether pages wait for retirement.", |gpu| {
        flag(read::health(gpu, |health| &health.retired_pending))
    }),
];

/// What dcgm-exporter lacks.
pub(super) const OWN: [Metric; 10] = [
    (
        "kgtop_gpu_recovery_action",
        GAUGE,
        "What the driver recommends: 0 none, 1 GPU reset, 2 node reboot, 3 drain P2P, 4 drain and reset, \
         5 recover IMEX domain, 6 bus reset, 7 system reboot.",
        |gpu| read::live(gpu, |live| &live.recovery_action).ok().map(f64::from),
    ),
    ("kgtop_gpu_remap_pending", GAUGE, "Whether a row remap waits for a reset.", |gpu| {
        flag(read::health(gpu, |health| &health.remap_pending))
    }),
    (
        "kgtop_gpu_sram_threshold_exceeded",
        GAUGE,
        "Whether uncorrected SRAM errors exceeded the limit.",
        |gpu| flag(read::health(gpu, |health| &health.sram_threshold_exceeded)),
    ),
    ("kgtop_gpu_power_limit_watts", GAUGE, "The power limit that is enforced.", |gpu| {
        read::live(gpu, |live| &live.power_limit).ok().map(|watts| tenth(watts.0))
    }),
    (
        "kgtop_gpu_refusal_code",
        GAUGE,
        "NVML's return code by which the driver gave the GPU up; none while it answers.",
        |gpu| gpu.refusal.map(f64::from),
    ),
    ("kgtop_gpu_temperature_margin_celsius", GAUGE, "Degrees left to T.Limit.", |gpu| {
        read::live(gpu, |live| &live.temperature_margin).ok().map(|value| tenth(value.0))
    }),
    ("kgtop_gpu_unattributed_memory_bytes", GAUGE, "Framebuffer in use that no process owns.", |gpu| {
        known(&gpu.unattributed).map(|bytes| bytes.0 as f64)
    }),
    ("kgtop_gpu_nvlink_transmit_bytes_total", COUNTER, "Payload sent over all NVLinks.", |gpu| {
        count(read::counter(gpu, |counters| &counters.nvlink_tx_kib)).map(|kib| kib * 1_024.0)
    }),
    ("kgtop_gpu_nvlink_receive_bytes_total", COUNTER, "Payload received over all NVLinks.", |gpu| {
        count(read::counter(gpu, |counters| &counters.nvlink_rx_kib)).map(|kib| kib * 1_024.0)
    }),
    ("kgtop_gpu_nvlink_errors_total", COUNTER, "CRC, replay and recovery errors of all NVLinks.", |gpu| {
        count(read::health(gpu, |health| &health.nvlink_errors))
    }),
];
