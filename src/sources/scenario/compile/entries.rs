//! The `[[at]]` of a scenario: changes of numbers and states, kernel lines, processes that start and end.

use super::Compiler;
use crate::sources::scenario::KernelLine;
use crate::sources::scenario::error::{ScenarioError, nearest};
use crate::sources::scenario::metric::{Entry, Metric};
use crate::sources::scenario::rig::ProcessRig;

impl Compiler<'_> {
    /// From when to when an entry changes things; one instant where it says `t`.
    pub(super) fn span(&self, entry: &Entry, duration: f64) -> Result<(f64, f64), ScenarioError> {
        let (from, to) = match (entry.t, entry.from, entry.to) {
            (Some(t), None, None) => (t.0, t.0),
            (None, Some(from), Some(to)) if from.0 <= to.0 => (from.0, to.0),
            (None, Some(_), Some(_)) => return Err(self.fault("an [[at]] ends before it begins")),
            _ => return Err(self.fault("an [[at]] needs either `t`, or `from` and `to`")),
        };
        if from < 0.0 || to > duration {
            return Err(self.fault(format!("an [[at]] at {from} s lies outside of 0 to {duration} s")));
        }
        Ok((from, to))
    }

    pub(super) fn add_entry(
        &mut self,
        from: f64,
        to: f64,
        entry: &Entry,
        lines: &mut Vec<KernelLine>,
        processes: &mut [ProcessRig],
    ) -> Result<(), ScenarioError> {
        let chosen = entry.gpu.as_ref().map(|gpu| self.select("an [[at]]", gpu)).transpose()?;
        let mut changes: Vec<(Metric, Option<f64>)> =
            entry.changes().into_iter().map(|(metric, value)| (metric, Some(value))).collect();
        if let Some(reasons) = &entry.throttle {
            let mask = reasons.iter().fold(0, |mask, reason| mask | reason.bit());
            changes.push((Metric::ClockEvents, Some(mask as f64)));
        }
        for name in &entry.release {
            let metric =
                Metric::ALL.iter().find(|metric| metric.name() == name).ok_or_else(|| ScenarioError {
                    nearest: nearest(name, Metric::ALL.iter().map(|metric| metric.name())).map(str::to_owned),
                    ..self.fault(format!("`release` names an unknown number `{name}`"))
                })?;
            changes.push((*metric, None));
        }
        if chosen.is_none() && (!changes.is_empty() || entry.state.is_some() || entry.load.is_some()) {
            return Err(
                self.fault(format!("the [[at]] at {from} s changes a GPU and does not say which: add `gpu`"))
            );
        }
        for index in chosen.iter().flatten() {
            let Some(gpu) = self.gpus.get_mut(*index as usize) else { continue };
            if let Some(load) = entry.load {
                gpu.loads.push((from, load));
            }
            for (metric, value) in &changes {
                gpu.change(*metric, from, to, *value);
            }
            if let Some(state) = entry.state {
                gpu.states.push((from, state));
            }
        }
        self.write_lines(from, entry, chosen.as_deref(), lines);
        self.live_and_die(from, entry, processes)
    }

    /// `{bdf}`, `{uuid}`, `{serial}` and `{index}` stand for those of the chosen GPU.
    fn write_lines(&self, at: f64, entry: &Entry, chosen: Option<&[u32]>, lines: &mut Vec<KernelLine>) {
        let priority = entry.priority.unwrap_or(3);
        for line in &entry.kernel {
            let Some(chosen) = chosen else {
                lines.push(KernelLine { at, priority, text: line.clone() });
                continue;
            };
            for gpu in chosen.iter().filter_map(|index| self.gpus.get(*index as usize)) {
                let bdf = gpu.pci.split('.').next().unwrap_or_default();
                let text = line
                    .replace("{bdf}", bdf)
                    .replace("{uuid}", &gpu.uuid)
                    .replace("{serial}", &gpu.serial)
                    .replace("{index}", &gpu.index.to_string());
                lines.push(KernelLine { at, priority, text });
            }
        }
    }

    fn live_and_die(
        &self,
        at: f64,
        entry: &Entry,
        processes: &mut [ProcessRig],
    ) -> Result<(), ScenarioError> {
        for pid in entry.start.iter().chain(&entry.end) {
            if !processes.iter().any(|process| process.pid == *pid) {
                return Err(
                    self.fault(format!("the [[at]] at {at} s names PID {pid}, which no [[process]] has"))
                );
            }
        }
        for process in processes {
            if entry.end.contains(&process.pid)
                && let Some((_, end)) = process.life.last_mut()
            {
                *end = at;
            }
            if entry.start.contains(&process.pid) {
                process.life.push((at, f64::INFINITY));
            }
        }
        Ok(())
    }
}
