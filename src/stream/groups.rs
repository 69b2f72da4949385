//! The groups of a GPU's part of a sample on the wire.

use super::json::{Fields, Json, write_text};
use super::wire::{Group, Malformed, Object, Wire, member, names, object, write_member};
use crate::model::{
    Band, Buffers, ClockEvents, Counters, Fast, Gpm, Health, Live, MigInstance, NvLink, ProcessKind,
    ProcessOnGpu, ProcessUtilization, TimedValue,
};

/// A band is `[min, mean, max]`, in the unit that its member's name ends with, to a tenth.
impl Wire for Band {
    fn write(&self, out: &mut String) {
        out.push('[');
        super::json::write_rounded(out, f64::from(self.min), 1);
        out.push(',');
        super::json::write_rounded(out, f64::from(self.mean), 1);
        out.push(',');
        super::json::write_rounded(out, f64::from(self.max), 1);
        out.push(']');
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        let [min, mean, max] = <[f32; 3]>::read(json).map_err(|_error| Malformed::wanted("a number"))?;
        Ok(Self { min, mean, max })
    }
}

object!(ClockEvents {
    last => "last",
    any => "any",
    all => "all",
});

object!(Fast {
    power => "power_watts",
    sm_clock => "sm_clock_mhz",
    utilization => "utilization_percent",
    memory_utilization => "memory_utilization_percent",
    clock_events => "clock_events",
    reads => "reads",
});

object!(Live {
    memory_total => "memory_total_bytes",
    memory_used => "memory_used_bytes",
    memory_free => "memory_free_bytes",
    memory_reserved => "memory_reserved_bytes",
    temperature => "temperature_celsius",
    memory_temperature => "memory_temperature_celsius",
    temperature_margin => "temperature_margin_celsius",
    memory_clock => "memory_clock_mhz",
    graphics_clock => "graphics_clock_mhz",
    video_clock => "video_clock_mhz",
    performance_state => "performance_state",
    pcie_generation => "pcie_generation",
    pcie_width => "pcie_width",
    power_limit => "power_limit_watts",
    encoder => "encoder_percent",
    decoder => "decoder_percent",
    fan => "fan_percent",
    recovery_action => "recovery_action",
});

object!(Gpm {
    interval_seconds => "interval_seconds",
    graphics => "graphics_percent",
    sm => "sm_percent",
    sm_occupancy => "sm_occupancy_percent",
    tensor => "tensor_percent",
    dram => "dram_percent",
    fp64 => "fp64_percent",
    fp32 => "fp32_percent",
    fp16 => "fp16_percent",
    pcie_tx => "pcie_tx_bytes_per_second",
    pcie_rx => "pcie_rx_bytes_per_second",
    nvlink_tx => "nvlink_tx_bytes_per_second",
    nvlink_rx => "nvlink_rx_bytes_per_second",
});

object!(Counters {
    sw_power_cap_ns => "sw_power_cap_ns",
    sync_boost_ns => "sync_boost_ns",
    sw_thermal_ns => "sw_thermal_slowdown_ns",
    hw_thermal_ns => "hw_thermal_slowdown_ns",
    hw_power_brake_ns => "hw_power_brake_slowdown_ns",
    nvlink_tx_kib => "nvlink_tx_kib",
    nvlink_rx_kib => "nvlink_rx_kib",
    pcie_tx => "pcie_tx_bytes_per_second",
    pcie_rx => "pcie_rx_bytes_per_second",
});

object!(Health {
    ecc_corrected_volatile => "ecc_corrected_volatile",
    ecc_uncorrected_volatile => "ecc_uncorrected_volatile",
    ecc_corrected_aggregate => "ecc_corrected_aggregate",
    ecc_uncorrected_aggregate => "ecc_uncorrected_aggregate",
    sram_threshold_exceeded => "sram_threshold_exceeded",
    ecc_enabled => "ecc_enabled",
    ecc_pending => "ecc_pending",
    remapped_corrected => "remapped_corrected",
    remapped_uncorrected => "remapped_uncorrected",
    remap_pending => "remap_pending",
    remap_failed => "remap_failed",
    remap_banks => "remap_banks",
    retired_single => "retired_single_bit",
    retired_double => "retired_double_bit",
    retired_pending => "retired_pending",
    energy => "energy_joules",
    pcie_replays => "pcie_replays",
    nvlink_errors => "nvlink_errors",
    fabric_state => "fabric_state",
    fabric_status => "fabric_status",
    fabric_health => "fabric_health",
    persistence => "persistence_mode",
    compute_mode => "compute_mode",
    mig => "mig_mode",
    mig_pending => "mig_mode_pending",
    power_limit_set => "power_limit_set_watts",
    bar1_used => "bar1_used_bytes",
});

object!(NvLink {
    link => "link",
    active => "active",
    remote_type => "remote_type",
    remote_pci => "remote_pci_bus_id",
    replay_errors => "replay_errors",
    recovery_errors => "recovery_errors",
    crc_errors => "crc_errors",
});

object!(Buffers {
    power => "power_watts",
    utilization => "utilization_percent",
});

/// Names of a series of timed values.
pub(super) const SERIES: [&str; 4] = ["first_ms", "after_ms", "first", "rises"];

/// A series is `{"first_ms": T, "after_ms": [20, 20], "first": 650, "rises": [-3, 1]}`: the wall clock and value of
/// the first, then for each further one the time and the rise from the one before it. Whole milliseconds, watts and
/// per cent: at fifty values a second and GPU, more digits would be most of a recording. Values that are no numbers
/// are left out.
impl Wire for TimedValue {
    fn write(&self, out: &mut String) {
        Self::write_list(std::slice::from_ref(self), out);
    }

    fn read(json: &Json<'_>) -> Result<Self, Malformed> {
        Self::read_list(json)?.first().copied().ok_or(Malformed::wanted("a timed value"))
    }

    fn write_list(items: &[Self], out: &mut String) {
        let whole = |item: &Self| {
            let at = i64::try_from(item.at_us / 1_000).unwrap_or(i64::MAX);
            item.value.is_finite().then(|| (at, item.value.round() as i64))
        };
        let points: Vec<(i64, i64)> = items.iter().filter_map(whole).collect();
        let rises = |read: fn(&(i64, i64)) -> i64| -> Vec<i64> {
            points.iter().zip(points.iter().skip(1)).map(|(a, b)| read(b).saturating_sub(read(a))).collect()
        };
        out.push('{');
        if let Some((at, value)) = points.first() {
            write_member(out, SERIES[0], at);
            write_member(out, SERIES[1], &rises(|point| point.0));
            write_member(out, SERIES[2], value);
            write_member(out, SERIES[3], &rises(|point| point.1));
        }
        out.push('}');
    }

    fn read_list(json: &Json<'_>) -> Result<Vec<Self>, Malformed> {
        let fields = json.fields().ok_or(Malformed::wanted("a series"))?;
        if fields.get(SERIES[0]).is_none() {
            return Ok(Vec::new());
        }
        let mut at: i64 = member(&fields, SERIES[0])?;
        let after: Vec<i64> = member(&fields, SERIES[1])?;
        let mut value: i64 = member(&fields, SERIES[2])?;
        let rises: Vec<i64> = member(&fields, SERIES[3])?;
        let point = |at: i64, value: i64| Self {
            at_us: u64::try_from(at).unwrap_or(0).saturating_mul(1_000),
            value: value as f32,
        };
        let mut series = Vec::with_capacity(after.len() + 1);
        series.push(point(at, value));
        for (step, rise) in after.into_iter().zip(rises) {
            at = at.saturating_add(step);
            value = value.saturating_add(rise);
            series.push(point(at, value));
        }
        Ok(series)
    }
}

names!(ProcessKind {
    Compute => "compute",
    Graphics => "graphics",
    Mps => "mps",
    ComputeGraphics => "compute_graphics",
});

object!(ProcessOnGpu {
    pid => "pid",
    kind => "type",
    memory => "memory_bytes",
    gpu_instance => "gpu_instance",
    compute_instance => "compute_instance",
});

object!(ProcessUtilization {
    pid => "pid",
    sm => "sm_percent",
    memory => "memory_percent",
    encoder => "encoder_percent",
    decoder => "decoder_percent",
});

object!(MigInstance {
    gpu_instance => "gpu_instance",
    compute_instance => "compute_instance",
    uuid => "uuid",
    profile => "profile",
    memory_total => "memory_total_bytes",
    memory_used => "memory_used_bytes",
    sm => "sm_percent",
    processes => "processes",
});

/// Every object of this file and the names of its members.
pub(super) fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    macro_rules! table {
        ($($type:ident)*) => { vec![$((stringify!($type), <$type as Object>::NAMES)),*] };
    }
    let mut table = table![ClockEvents Fast Live Gpm Counters Health NvLink Buffers ProcessOnGpu ProcessUtilization MigInstance];
    table.push(("series", &SERIES));
    table.push(("group", &[super::wire::AT, super::wire::LIST]));
    table
}
