//! `kgtop snapshot --format csv`: one line per GPU.

use super::{read, rfc3339};
use crate::analysis::clock_events;
use crate::model::{Gpu, Reading, Snapshot, known};

type Column = (&'static str, fn(&Gpu) -> Option<String>);

/// A number to a tenth, without a tenth that says nothing.
fn tenth(value: f32) -> String {
    let short = (f64::from(value) * 10.0).round() / 10.0;
    format!("{short}")
}

fn some<T: ToString>(reading: Reading<T>) -> Option<String> {
    reading.ok().map(|value| value.to_string())
}

const COLUMNS: [Column; 25] = [
    ("index", Gpu::number),
    ("uuid", |gpu| some(gpu.info.uuid.clone())),
    ("name", |gpu| some(gpu.info.name.clone())),
    ("pci_bus_id", |gpu| some(gpu.info.pci_bus_id.clone())),
    ("state", |gpu| Some(gpu.state.name().into())),
    ("gpu_percent", |gpu| read::band(gpu, |fast| &fast.utilization).ok().map(|band| tenth(band.mean))),
    ("memory_percent", |gpu| {
        read::band(gpu, |fast| &fast.memory_utilization).ok().map(|band| tenth(band.mean))
    }),
    ("sm_percent", |gpu| read::gpm(gpu, |gpm| &gpm.sm).ok().map(|value| tenth(value.0))),
    ("tensor_percent", |gpu| read::gpm(gpu, |gpm| &gpm.tensor).ok().map(|value| tenth(value.0))),
    ("memory_total_bytes", |gpu| some(read::live(gpu, |live| &live.memory_total).map(|bytes| bytes.0))),
    ("memory_used_bytes", |gpu| some(read::live(gpu, |live| &live.memory_used).map(|bytes| bytes.0))),
    ("memory_reserved_bytes", |gpu| some(read::live(gpu, |live| &live.memory_reserved).map(|bytes| bytes.0))),
    ("memory_free_bytes", |gpu| some(read::live(gpu, |live| &live.memory_free).map(|bytes| bytes.0))),
    ("power_watts", |gpu| read::band(gpu, |fast| &fast.power).ok().map(|band| tenth(band.mean))),
    ("power_limit_watts", |gpu| read::live(gpu, |live| &live.power_limit).ok().map(|watts| tenth(watts.0))),
    ("gpu_celsius", |gpu| read::live(gpu, |live| &live.temperature).ok().map(|value| tenth(value.0))),
    ("memory_celsius", |gpu| {
        read::live(gpu, |live| &live.memory_temperature).ok().map(|value| tenth(value.0))
    }),
    ("sm_clock_mhz", |gpu| {
        read::band(gpu, |fast| &fast.sm_clock).ok().map(|band| format!("{:.0}", band.mean))
    }),
    ("memory_clock_mhz", |gpu| some(read::live(gpu, |live| &live.memory_clock).map(|clock| clock.0))),
    ("throttle_reasons", |gpu| {
        let supported = known(&gpu.info.supported_clock_events);
        let events = read::clock_events(gpu).ok()?;
        Some(clock_events::decode(events.last, supported).names().join("|"))
    }),
    ("pcie_rx_bytes_per_second", |gpu| gpu.rates.pcie_rx.as_ref().ok().map(|rate| format!("{:.0}", rate.0))),
    ("pcie_tx_bytes_per_second", |gpu| gpu.rates.pcie_tx.as_ref().ok().map(|rate| format!("{:.0}", rate.0))),
    ("nvlink_rx_bytes_per_second", |gpu| {
        gpu.rates.nvlink_rx.as_ref().ok().map(|rate| format!("{:.0}", rate.0))
    }),
    ("nvlink_tx_bytes_per_second", |gpu| {
        gpu.rates.nvlink_tx.as_ref().ok().map(|rate| format!("{:.0}", rate.0))
    }),
    ("ecc_uncorrected_volatile", |gpu| some(read::health(gpu, |health| &health.ecc_uncorrected_volatile))),
];

/// A header and one line per GPU, as RFC 4180 has it but for the line ends. An absent reading is an empty cell.
#[must_use]
pub fn csv(snapshot: &Snapshot) -> String {
    let mut out = String::from("time");
    for (name, _) in COLUMNS {
        out.push(',');
        out.push_str(name);
    }
    out.push('\n');
    let time = rfc3339(snapshot.wall).unwrap_or_default();
    for gpu in &snapshot.gpus {
        out.push_str(&time);
        for (_, read) in COLUMNS {
            out.push(',');
            out.push_str(&quoted(&read(gpu).unwrap_or_default()));
        }
        out.push('\n');
    }
    out
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
