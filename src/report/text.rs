//! `kgtop snapshot --format text`: what `nvidia-smi` shows, in half of the lines.

use super::{read, rfc3339};
use crate::analysis::{Verdict, clock_events};
use crate::model::nvml_code::code_words;
use crate::model::{Absence, Gpu, GpuState, Process, Reading, Snapshot, known};
use crate::units::{Megahertz, Percent, Watts, format_age, printable, printable_lines};
use std::fmt::{Display, Write as _};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// Findings, one line per GPU, and the processes that hold them; columns are aligned. Absent readings show their
/// label.
#[must_use]
pub fn text(snapshot: &Snapshot, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    head(&mut out, snapshot);
    for verdict in verdicts {
        let _ = writeln!(out, "{}: {}", verdict.severity.name(), verdict.summary);
    }
    out.push('\n');
    if snapshot.gpus.is_empty() {
        let problem = super::driver_problem(snapshot);
        let _ = writeln!(out, "{}", problem.as_deref().unwrap_or("No NVIDIA GPU was found."));
    } else {
        // GPUs that only the bus knows stand in the table too: why they do is the same question.
        if let Some(problem) = &snapshot.inventory.driver.problem {
            let _ = writeln!(out, "{problem}\n");
        }
        gpus(&mut out, snapshot);
    }
    if !snapshot.processes.is_empty() {
        out.push('\n');
        processes(&mut out, snapshot);
    }
    for row in snapshot.unattributed(crate::units::Bytes(UNATTRIBUTED)) {
        let index = row.index.map_or_else(|| row.gpu.to_string(), |index| index.to_string());
        let _ = writeln!(out, "GPU {index}: {} in use that no process owns", row.memory);
    }
    printable_lines(&out).into_owned()
}

/// Less than this is the driver's own small contexts.
const UNATTRIBUTED: u64 = 64 << 20;

fn head(out: &mut String, snapshot: &Snapshot) {
    let host = &snapshot.header.host.hostname;
    let driver = &snapshot.inventory.driver;
    let time = rfc3339(snapshot.wall).unwrap_or_default();
    let _ = writeln!(
        out,
        "{host}  {time}  driver {}  CUDA {}",
        cell(&driver.version),
        cell(&driver.cuda_version)
    );
}

fn gpus(out: &mut String, snapshot: &Snapshot) {
    let header = [
        "GPU", "Name", "State", "Util", "SM", "Memory", "Total", "Power", "Limit", "Temp", "SM clock",
        "Throttle",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for gpu in &snapshot.gpus {
        let band = |read: fn(&crate::model::Fast) -> &Reading<crate::model::Band>| read::band(gpu, read);
        rows.push(vec![
            gpu.number().unwrap_or_else(|| "–".into()),
            cell(&gpu.info.name),
            state(snapshot, gpu),
            cell(&band(|fast| &fast.utilization).map(|band| Percent(band.mean))),
            cell(&read::gpm(gpu, |gpm| &gpm.sm)),
            cell(&read::live(gpu, |live| &live.memory_used)),
            cell(&read::live(gpu, |live| &live.memory_total)),
            cell(&band(|fast| &fast.power).map(|band| Watts(band.mean))),
            cell(&read::live(gpu, |live| &live.power_limit)),
            cell(&read::live(gpu, |live| &live.temperature)),
            cell(&band(|fast| &fast.sm_clock).map(|band| Megahertz(band.mean.round() as u32))),
            throttle(gpu),
        ]);
    }
    aligned(out, &rows, &[1, 2, 11]);
}

/// The state of a GPU; of one that does not answer, how old its numbers are: they stand beside those of the others.
fn state(snapshot: &Snapshot, gpu: &Gpu) -> String {
    let name = gpu.state.name();
    match (gpu.state, read::stale_seconds(snapshot, gpu)) {
        (GpuState::Ok, _) | (_, Err(_)) => name.into(),
        (_, Ok(seconds)) => {
            format!("{name}, {} old", format_age(Duration::from_secs(seconds.round() as u64)))
        }
    }
}

fn throttle(gpu: &Gpu) -> String {
    if gpu.state != GpuState::Ok {
        let stuck = gpu.stuck.as_ref().map(|stuck| format!("stuck in {}", stuck.call));
        return stuck.or_else(|| gpu.refusal.map(code_words)).unwrap_or_else(|| "–".into());
    }
    let decoded = read::clock_events(gpu)
        .map(|events| clock_events::decode(events.last, known(&gpu.info.supported_clock_events)));
    match decoded {
        Ok(decoded) if decoded.names().is_empty() => "none".into(),
        Ok(decoded) => decoded.names().join(", "),
        Err(absence) => absence.label().into(),
    }
}

fn processes(out: &mut String, snapshot: &Snapshot) {
    let header = ["PID", "User", "GPU", "Memory", "SM", "CPU", "Name"];
    let mut rows = vec![header.map(String::from).to_vec()];
    for process in &snapshot.processes {
        rows.push(process_row(process));
    }
    aligned(out, &rows, &[1, 2, 6]);
}

fn process_row(process: &Process) -> Vec<String> {
    let facts = process.facts.as_deref();
    let unseen = || Absence::NotRequested.label().to_owned();
    let gpus: Vec<String> = process
        .gpus
        .iter()
        .map(|share| share.index.map_or_else(|| "?".into(), |index| index.to_string()))
        .collect();
    let mut name = facts.map_or_else(unseen, |facts| cell(&facts.name));
    if process.ended.is_some() {
        name.push_str(" (ended)");
    }
    vec![
        process.key.pid.to_string(),
        facts.map_or_else(unseen, |facts| cell(&facts.user)),
        gpus.join(","),
        cell(&process.memory()),
        cell(&process.sm()),
        cell(&process.cpu),
        name,
    ]
}

fn cell<T: Display>(reading: &Reading<T>) -> String {
    match reading {
        // A terminal that this is printed on must not be steered by a process's name.
        Ok(value) => printable(&value.to_string()).into_owned(),
        Err(absence) => absence.label().into(),
    }
}

/// Writes rows with columns as wide as their widest cell; `left` are the columns that are not numbers.
pub(super) fn aligned(out: &mut String, rows: &[Vec<String>], left: &[usize]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let (before, after) =
                if left.contains(&column) { ("", padding.as_str()) } else { (padding.as_str(), "") };
            let _ = write!(line, "{before}{cell}{after}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
