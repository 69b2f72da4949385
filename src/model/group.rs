//! The groups of readings that make up a GPU's part of a sample, one per sampling tier. Each is read in one go
//! and carries the time of that read ([`Grouped`]).

use super::{Absence, GpuId, Reading};
use crate::units::{Bytes, BytesPerSecond, Celsius, Joules, Megahertz, Mono, Percent, Watts};
use std::sync::Arc;

/// A group of readings and when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped<T> {
    /// When the group was read.
    pub at: Mono,
    /// What was read.
    pub value: T,
}

/// Defines a struct whose fields are all [`Reading`]s, absent (`NotRequested`) by default, with a visitor over
/// what is absent and why.
macro_rules! readings {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: Reading<$type>,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: Err(Absence::NotRequested),)* }
            }
        }

        impl $name {
            /// Every reading absent for one reason.
            #[must_use]
            pub fn absent(reason: &Absence) -> Self {
                Self { $($field: Err(reason.clone()),)* }
            }

            /// Why nothing of it could be read: every reading that the device has was refused or failed. `None`
            /// as soon as there is one value, or where nothing was asked for.
            #[must_use]
            pub fn refusal(&self) -> Option<&Absence> {
                let mut refusal = None;
                $(match &self.$field {
                    Ok(_) => return None,
                    Err(reason) if reason.is_refusal() => refusal = refusal.or(Some(reason)),
                    Err(_) => {}
                })*
                refusal
            }

            /// Calls `visit` with the field name and the reason of every absent reading.
            pub fn absences(&self, visit: &mut dyn FnMut(&'static str, &Absence)) {
                $(if let Err(reason) = &self.$field { visit(stringify!($field), reason); })*
            }
        }
    };
}
pub(super) use readings;

/// Least, mean and greatest of what was seen since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Band {
    /// The least value.
    pub min: f32,
    /// The mean value.
    pub mean: f32,
    /// The greatest value.
    pub max: f32,
}

/// Clock event ("throttle") reasons as raw NVML bit masks over an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockEvents {
    /// The mask of the last read.
    pub last: u64,
    /// Bits that were set in at least one read of the interval.
    pub any: u64,
    /// Bits that were set in every read of the interval.
    pub all: u64,
}

readings! {
    /// Read ten times a second and folded into one band per sample: what the driver renews every 100 ms
    /// and answers in about 2 µs.
    pub struct Fast {
        /// Board power, watts (`nvmlDeviceGetPowerUsage`).
        power: Band,
        /// SM clock, MHz (`nvmlDeviceGetClockInfo`).
        sm_clock: Band,
        /// `utilization.gpu`, per cent: the share of time in which any kernel ran.
        utilization: Band,
        /// `utilization.memory`, per cent: the share of time in which memory was read or written.
        memory_utilization: Band,
        /// Clock event reasons (`nvmlDeviceGetCurrentClocksEventReasons`).
        clock_events: ClockEvents,
        /// How many reads the bands rest on.
        reads: u32,
    }
}

readings! {
    /// Cheap values the driver keeps cached, read at each interval.
    pub struct Live {
        /// Framebuffer, all of it.
        memory_total: Bytes,
        /// Framebuffer in use by contexts, without the driver's reserved part.
        memory_used: Bytes,
        /// Framebuffer that can be allocated.
        memory_free: Bytes,
        /// Framebuffer the driver keeps for itself (`NotSupported` where only v1 of the call exists, whose
        /// `used` then includes it).
        memory_reserved: Bytes,
        /// GPU temperature.
        temperature: Celsius,
        /// Memory temperature (field 82).
        memory_temperature: Celsius,
        /// Degrees left to T.Limit (`nvmlDeviceGetMarginTemperature`), signed. Its zero is the maximum operating
        /// temperature, not the slowdown: an H200 slows down at -2.
        temperature_margin: Celsius,
        /// Memory clock.
        memory_clock: Megahertz,
        /// Graphics clock.
        graphics_clock: Megahertz,
        /// Video clock.
        video_clock: Megahertz,
        /// P-state, 0 to 15.
        performance_state: u32,
        /// PCIe link generation now.
        pcie_generation: u32,
        /// PCIe link width now, lanes.
        pcie_width: u32,
        /// The limit that is enforced now (the least of all limits).
        power_limit: Watts,
        /// Encoder utilisation.
        encoder: Percent,
        /// Decoder utilisation.
        decoder: Percent,
        /// Fan, per cent of its intended speed; may exceed 100.
        fan: Percent,
        /// What the driver recommends (field 230): 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset…
        recovery_action: u32,
    }
}

readings! {
    /// GPU performance monitoring (Hopper and later): means over the time between two GPM samples.
    pub struct Gpm {
        /// Length of that time in seconds.
        interval_seconds: f32,
        /// Graphics or compute engine active.
        graphics: Percent,
        /// SMs with at least one warp.
        sm: Percent,
        /// Warps resident, of the most possible.
        sm_occupancy: Percent,
        /// Any tensor pipe active.
        tensor: Percent,
        /// DRAM interface active.
        dram: Percent,
        /// FP64 pipe active.
        fp64: Percent,
        /// FP32 pipe active.
        fp32: Percent,
        /// FP16 pipe active.
        fp16: Percent,
        /// From the GPU over PCIe.
        pcie_tx: BytesPerSecond,
        /// To the GPU over PCIe.
        pcie_rx: BytesPerSecond,
        /// From the GPU over all its NVLinks.
        nvlink_tx: BytesPerSecond,
        /// To the GPU over all its NVLinks.
        nvlink_rx: BytesPerSecond,
    }
}

readings! {
    /// Cumulative counters. They lose nothing by being read seldom; rates come from two distinct readings.
    pub struct Counters {
        /// Time below the power cap by the driver's doing, ns (field 74).
        sw_power_cap_ns: u64,
        /// Time held by a sync boost group, ns (field 76).
        sync_boost_ns: u64,
        /// Time in SW thermal slowdown, ns (field 269, 251 before R580.82).
        sw_thermal_ns: u64,
        /// Time in HW thermal slowdown, ns (field 270, 252 before).
        hw_thermal_ns: u64,
        /// Time in HW power brake slowdown, ns (field 271, 253 before).
        hw_power_brake_ns: u64,
        /// NVLink payload sent over all links, KiB (field 138).
        nvlink_tx_kib: u64,
        /// NVLink payload received over all links, KiB (field 139).
        nvlink_rx_kib: u64,
        /// PCIe rate from the GPU where GPM is missing (`nvmlDeviceGetPcieThroughput`).
        pcie_tx: BytesPerSecond,
        /// PCIe rate to the GPU where GPM is missing.
        pcie_rx: BytesPerSecond,
    }
}

readings! {
    /// Slow state: ECC, repair, links, modes. It changes rarely and costs the most.
    pub struct Health {
        /// Corrected ECC errors since the driver loaded.
        ecc_corrected_volatile: u64,
        /// Uncorrected ECC errors since the driver loaded.
        ecc_uncorrected_volatile: u64,
        /// Corrected ECC errors in the GPU's life.
        ecc_corrected_aggregate: u64,
        /// Uncorrected ECC errors in the GPU's life.
        ecc_uncorrected_aggregate: u64,
        /// Uncorrected SRAM errors exceeded the vendor's threshold (`nvmlDeviceGetSramEccErrorStatus`).
        sram_threshold_exceeded: bool,
        /// ECC on now.
        ecc_enabled: bool,
        /// ECC on after the next reset or reboot.
        ecc_pending: bool,
        /// Rows remapped for corrected errors.
        remapped_corrected: u64,
        /// Rows remapped for uncorrected errors.
        remapped_uncorrected: u64,
        /// A remap waits for the next reset.
        remap_pending: bool,
        /// A remap failed: the vendor's criterion for a replacement.
        remap_failed: bool,
        /// Banks by spare rows left: max, high, partial, low, none.
        remap_banks: [u32; 5],
        /// Pages retired for single-bit errors (before Ampere).
        retired_single: u64,
        /// Pages retired for double-bit errors (before Ampere).
        retired_double: u64,
        /// A retirement waits for the next reboot.
        retired_pending: bool,
        /// Energy since the driver loaded.
        energy: Joules,
        /// PCIe replays (`nvmlDeviceGetPcieReplayCounter`).
        pcie_replays: u64,
        /// NVLink CRC, replay and recovery errors of all links together.
        nvlink_errors: u64,
        /// Fabric registration: 0 unsupported, 1 not started, 2 in progress, 3 completed.
        fabric_state: u32,
        /// The NVML status that the registration ended with (0 is success).
        fabric_status: u32,
        /// Fabric health summary: 0 unsupported, 1 healthy, 2 unhealthy, 3 limited capacity.
        fabric_health: u32,
        /// Persistence mode.
        persistence: bool,
        /// 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process.
        compute_mode: u32,
        /// MIG mode now.
        mig: bool,
        /// MIG mode after the next reset.
        mig_pending: bool,
        /// The management limit that was set (`nvmlDeviceGetPowerManagementLimit`).
        power_limit_set: Watts,
        /// BAR1 in use.
        bar1_used: Bytes,
    }
}

/// One NVLink of a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct NvLink {
    /// Link number.
    pub link: u32,
    /// Whether it is up.
    pub active: Reading<bool>,
    /// What is at the other end: 0 GPU, 1 NPU, 2 switch, 255 unknown.
    pub remote_type: Reading<u32>,
    /// PCI address of the other end (`0000:41:00.0`), where it is a GPU.
    pub remote_pci: Reading<Arc<str>>,
    /// Replay errors.
    pub replay_errors: Reading<u64>,
    /// Recovery errors.
    pub recovery_errors: Reading<u64>,
    /// CRC errors (flit and data).
    pub crc_errors: Reading<u64>,
}

/// A value and the driver's time of it (µs of the wall clock, as NVML stamps its sample buffers).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimedValue {
    /// Wall clock, µs since the epoch.
    pub at_us: u64,
    /// The value.
    pub value: f32,
}

readings! {
    /// The driver's own sample buffers: power at 50 Hz, utilisation at 5 Hz. Only what is newer than the
    /// reading before.
    pub struct Buffers {
        /// Power, watts.
        power: Vec<TimedValue>,
        /// `utilization.gpu`, per cent.
        utilization: Vec<TimedValue>,
    }
}

/// How a process uses the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessKind {
    /// Compute context.
    Compute,
    /// Graphics context.
    Graphics,
    /// Compute through MPS.
    Mps,
    /// Compute and graphics.
    ComputeGraphics,
}

/// One process in the driver's list of a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessOnGpu {
    /// The PID as the driver knows it: the host's, whatever namespace kgtop is in.
    pub pid: u32,
    /// How it uses the GPU.
    pub kind: ProcessKind,
    /// Framebuffer it holds.
    pub memory: Reading<Bytes>,
    /// MIG GPU instance.
    pub gpu_instance: Option<u32>,
    /// MIG compute instance.
    pub compute_instance: Option<u32>,
}

/// The driver's process list of a GPU.
pub type ProcessList = Reading<Vec<ProcessOnGpu>>;

/// Utilisation of one process, from the driver's ring since the timestamp of the reading before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUtilization {
    /// The PID as the driver knows it.
    pub pid: u32,
    /// SM share.
    pub sm: Percent,
    /// Memory interface share.
    pub memory: Percent,
    /// Encoder share.
    pub encoder: Percent,
    /// Decoder share.
    pub decoder: Percent,
}

/// One MIG instance.
#[derive(Clone, Debug, PartialEq)]
pub struct MigInstance {
    /// GPU instance id.
    pub gpu_instance: Reading<u32>,
    /// Compute instance id.
    pub compute_instance: Reading<u32>,
    /// UUID of the instance (`MIG-…`).
    pub uuid: Reading<GpuId>,
    /// Profile as nvidia-smi names it (`1g.18gb`).
    pub profile: Reading<Arc<str>>,
    /// Framebuffer of the instance.
    pub memory_total: Reading<Bytes>,
    /// Framebuffer in use.
    pub memory_used: Reading<Bytes>,
    /// SM activity, where GPM can tell.
    pub sm: Reading<Percent>,
    /// Processes of the instance.
    pub processes: ProcessList,
}
