//! The numbers of a GPU that a scenario can set, each once: its name in the TOML, its place in [`Values`], how
//! much it trembles.

use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// A number in a scenario: integer, float, or a boolean as 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, true or false")
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Number, E> {
                Ok(Number(f64::from(u8::from(value))))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                if value.is_finite() { Ok(Number(value)) } else { Err(E::custom("a number must be finite")) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident $variant:ident $tremble:literal,)*) => {
        /// One number of a GPU.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $($(#[$doc])* $variant,)* }

        impl Metric {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in a scenario file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($field)),* }
            }

            /// How much a value that a scenario sets trembles from read to read, as a share of it.
            pub(super) const fn tremble(self) -> f64 {
                match self { $(Self::$variant => $tremble),* }
            }
        }

        /// The numbers of one GPU at one time.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct Values { $($(#[$doc])* pub $field: f64,)* }

        impl Values {
            pub(super) fn slot(&mut self, metric: Metric) -> &mut f64 {
                match metric { $(Metric::$variant => &mut self.$field),* }
            }
        }

        /// The `[[at]]` of a scenario: what happens at a time.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Entry {
            pub(super) t: Option<Number>,
            pub(super) from: Option<Number>,
            pub(super) to: Option<Number>,
            pub(super) gpu: Option<super::spec::Selector>,
            pub(super) state: Option<super::spec::StateName>,
            pub(super) load: Option<super::spec::LoadName>,
            #[serde(default)]
            pub(super) release: Vec<String>,
            #[serde(default)]
            pub(super) kernel: Vec<String>,
            pub(super) priority: Option<u8>,
            pub(super) throttle: Option<Vec<super::spec::ReasonName>>,
            #[serde(default)]
            pub(super) start: Vec<u32>,
            #[serde(default)]
            pub(super) end: Vec<u32>,
            $(#[serde(default)] pub(super) $field: Option<Number>,)*
        }

        impl Entry {
            pub(super) fn changes(&self) -> Vec<(Metric, f64)> {
                [$((Metric::$variant, self.$field)),*]
                    .into_iter()
                    .filter_map(|(metric, value)| Some((metric, value?.0)))
                    .collect()
            }
        }

        /// The `[gpu.set]` of a scenario: values that hold from the start.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct Settings { $($field: Option<Number>,)* }

        impl Settings {
            pub(super) fn changes(&self) -> Vec<(Metric, f64)> {
                [$((Metric::$variant, self.$field)),*]
                    .into_iter()
                    .filter_map(|(metric, value)| Some((metric, value?.0)))
                    .collect()
            }
        }
    };
}

metrics! {
    /// Board power, W.
    power Power 0.006,
    /// Limit that is enforced, W.
    power_limit PowerLimit 0.0,
    /// GPU temperature, °C.
    temperature Temperature 0.0,
    /// Memory temperature, °C.
    memory_temperature MemoryTemperature 0.0,
    /// SM and graphics clock, MHz.
    sm_clock SmClock 0.0,
    /// Memory clock, MHz.
    memory_clock MemoryClock 0.0,
    /// Video clock, MHz.
    video_clock VideoClock 0.0,
    /// Share of time in which a kernel ran, per cent.
    utilization Utilization 0.005,
    /// Share of time in which memory was read or written, per cent.
    memory_utilization MemoryUtilization 0.01,
    /// SM activity, per cent.
    sm Sm 0.012,
    /// SM occupancy, per cent.
    sm_occupancy SmOccupancy 0.01,
    /// Tensor pipe activity, per cent.
    tensor Tensor 0.012,
    /// DRAM activity, per cent.
    dram Dram 0.015,
    /// FP64 pipe activity, per cent.
    fp64 Fp64 0.0,
    /// FP32 pipe activity, per cent.
    fp32 Fp32 0.02,
    /// FP16 pipe activity, per cent.
    fp16 Fp16 0.0,
    /// Encoder utilisation, per cent.
    encoder Encoder 0.0,
    /// Decoder utilisation, per cent.
    decoder Decoder 0.0,
    /// Fan, per cent.
    fan Fan 0.0,
    /// Framebuffer in use, MiB; unset: what the processes hold.
    memory_used MemoryUsed 0.0,
    /// Bit mask of clock event reasons.
    clock_events ClockEvents 0.0,
    /// P-state.
    performance_state PerformanceState 0.0,
    /// PCIe link generation now.
    pcie_generation PcieGeneration 0.0,
    /// PCIe link width now, lanes.
    pcie_width PcieWidth 0.0,
    /// To the GPU over PCIe, MB/s.
    pcie_rx PcieRx 0.03,
    /// From the GPU over PCIe, MB/s.
    pcie_tx PcieTx 0.03,
    /// PCIe replays, in all.
    pcie_replays PcieReplays 0.0,
    /// To the GPU over all NVLinks, MB/s.
    nvlink_rx NvlinkRx 0.02,
    /// From the GPU over all NVLinks, MB/s.
    nvlink_tx NvlinkTx 0.02,
    /// NVLinks that are up: the first so many.
    nvlinks_active NvlinksActive 0.0,
    /// NVLink CRC, replay and recovery errors, in all, on the last link that is up.
    nvlink_errors NvlinkErrors 0.0,
    /// Corrected ECC errors since the driver loaded.
    ecc_corrected_volatile EccCorrectedVolatile 0.0,
    /// Uncorrected ECC errors since the driver loaded.
    ecc_uncorrected_volatile EccUncorrectedVolatile 0.0,
    /// Corrected ECC errors in the GPU's life.
    ecc_corrected_aggregate EccCorrectedAggregate 0.0,
    /// Uncorrected ECC errors in the GPU's life.
    ecc_uncorrected_aggregate EccUncorrectedAggregate 0.0,
    /// ECC mode after the next reset, 0 or 1.
    ecc_pending EccPending 0.0,
    /// SRAM error threshold exceeded, 0 or 1.
    sram_threshold_exceeded SramThresholdExceeded 0.0,
    /// Rows remapped for corrected errors.
    remapped_corrected RemappedCorrected 0.0,
    /// Rows remapped for uncorrected errors.
    remapped_uncorrected RemappedUncorrected 0.0,
    /// A remap waits for a reset, 0 or 1.
    remap_pending RemapPending 0.0,
    /// A remap failed, 0 or 1.
    remap_failed RemapFailed 0.0,
    /// Pages retired for single-bit errors.
    retired_single RetiredSingle 0.0,
    /// Pages retired for double-bit errors.
    retired_double RetiredDouble 0.0,
    /// A retirement waits for a reboot, 0 or 1.
    retired_pending RetiredPending 0.0,
    /// What the driver recommends (field 230).
    recovery_action RecoveryAction 0.0,
    /// Fabric registration: 3 is completed.
    fabric_state FabricState 0.0,
    /// NVML status of the registration.
    fabric_status FabricStatus 0.0,
    /// Fabric health summary.
    fabric_health FabricHealth 0.0,
    /// Persistence mode, 0 or 1.
    persistence Persistence 0.0,
    /// Compute mode.
    compute_mode ComputeMode 0.0,
}
