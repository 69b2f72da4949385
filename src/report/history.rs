//! The history of the GPUs as CSV, one row a second and GPU.

use super::rfc3339;
use crate::model::{History, Metric, Snapshot};
use crate::units::Wall;
use std::fmt::Write as _;

/// What a GPU has, and the column's name.
const COLUMNS: [(Metric, &str); 13] = [
    (Metric::Utilization, "utilization_percent"),
    (Metric::Sm, "sm_percent"),
    (Metric::Tensor, "tensor_percent"),
    (Metric::Dram, "dram_percent"),
    (Metric::Memory, "memory_used_gib"),
    (Metric::Power, "power_watts"),
    (Metric::Temperature, "temperature_celsius"),
    (Metric::MemoryTemperature, "memory_temperature_celsius"),
    (Metric::SmClock, "sm_mhz"),
    (Metric::PcieRx, "pcie_rx_bytes_per_second"),
    (Metric::PcieTx, "pcie_tx_bytes_per_second"),
    (Metric::NvlinkRx, "nvlink_rx_bytes_per_second"),
    (Metric::NvlinkTx, "nvlink_tx_bytes_per_second"),
];

/// The last hour up to `snapshot`: the mean of each second; a cell is empty where nothing was read. The last two
/// columns are the clock event bits that were set in any reading of the second, and in all.
pub fn history_csv<'a>(
    snapshot: &Snapshot,
    history: impl Fn(&crate::model::GpuId) -> Option<&'a History>,
) -> String {
    let mut out =
        format!("time,gpu,{},clock_events_any,clock_events_all\n", COLUMNS.map(|(_, name)| name).join(","));
    let last = snapshot.mono.seconds();
    let first = last.saturating_sub(crate::model::HISTORY_SECONDS as u64);
    for second in first..=last {
        let after = i64::try_from(second).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let since_boot = i64::try_from(snapshot.mono.0).unwrap_or(i64::MAX);
        let wall = Wall(snapshot.wall.0.saturating_sub(since_boot).saturating_add(after));
        for gpu in &snapshot.gpus {
            let Some(history) = history(&gpu.id) else { continue };
            let name = gpu.index().map_or_else(|| gpu.id.to_string(), |index| index.to_string());
            row(&mut out, history, second, wall, &name);
        }
    }
    out
}

fn row(out: &mut String, history: &History, second: u64, wall: Wall, gpu: &str) {
    let values = COLUMNS.map(|(metric, _)| history.at(metric, second));
    let events = history.clock_events(second);
    if events.is_none() && values.iter().all(crate::model::Bucket::is_empty) {
        return;
    }
    let _ = write!(out, "{},{gpu}", rfc3339(wall).unwrap_or_default());
    for value in values {
        out.push(',');
        if !value.is_empty() {
            let _ = write!(out, "{}", (f64::from(value.mean) * 100.0).round() / 100.0);
        }
    }
    let _ = match events {
        Some(events) => writeln!(out, ",{:#x},{:#x}", events.any, events.all),
        None => writeln!(out, ",,"),
    };
}
