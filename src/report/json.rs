//! `kgtop snapshot --format json`: one object, names in `snake_case` with the unit last.

mod gpu;

use super::object::{Json, Object, rounded};
use super::rfc3339;
use crate::analysis::Verdict;
use crate::analysis::events::EventLog;
use crate::model::{Absence, Gpu, Process, ProcessKind, ProcessUtilization, Snapshot};
use crate::units::{Mono, Percent, Wall};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One snapshot as an object, ending with a line end.
///
/// An absent reading is `null`, and its reason stands in the nearest `absent` map under its dotted path. What does
/// not apply (a process in no container) is `null` without a reason.
#[must_use]
pub fn json(snapshot: &Snapshot, verdicts: &[Verdict]) -> String {
    let mut root = Map::new();
    root.insert("format".into(), 1.into());
    root.insert("time".into(), rfc3339(snapshot.wall).into());
    root.insert("interval_seconds".into(), rounded(snapshot.interval.as_secs_f64(), 3));
    root.insert("host".into(), host(snapshot));
    root.insert("driver".into(), driver(snapshot));
    let sources = snapshot.sources.iter().map(|source| {
        let mut object = Object::default();
        object.set("name", source.name.to_json());
        object.set("state", source.state.name().into());
        object.set("reason", source.reason.to_json());
        object.bare()
    });
    root.insert("sources".into(), sources.collect());
    root.insert("gpus".into(), snapshot.gpus.iter().map(|each| gpu::gpu(snapshot, each)).collect());
    root.insert("processes".into(), snapshot.processes.iter().map(|each| process(snapshot, each)).collect());
    root.insert("topology".into(), super::topology::json(snapshot));
    root.insert("storage".into(), super::storage::json(snapshot));
    let mut log = EventLog::default();
    for event in snapshot.events.iter() {
        log.push(event, Some(snapshot));
    }
    root.insert("events".into(), log.incidents().map(super::event_json).collect());
    root.insert("verdicts".into(), verdicts.iter().map(|each| verdict(snapshot, each)).collect());
    format!("{:#}\n", Value::Object(root))
}

fn host(snapshot: &Snapshot) -> Value {
    let mut object = Object::default();
    let info = &snapshot.header.host;
    object.set("hostname", info.hostname.to_json());
    object.set("kernel", info.kernel.to_json());
    let host = &snapshot.host;
    object.put("uptime_seconds", &host.uptime_seconds);
    object.put("cpu_percent", &host.cpu);
    let [load_1m, load_5m, load_15m] = &host.load;
    object.put("load_1m", load_1m);
    object.put("load_5m", load_5m);
    object.put("load_15m", load_15m);
    object.put("memory_total_bytes", &host.memory_total);
    object.put("memory_used_bytes", &host.memory_used);
    object.put("arc_reclaimable_bytes", &host.arc_reclaimable);
    object.put("swap_total_bytes", &host.swap_total);
    object.put("swap_used_bytes", &host.swap_used);
    object.with_absent()
}

fn driver(snapshot: &Snapshot) -> Value {
    let mut object = Object::default();
    let driver = &snapshot.inventory.driver;
    object.put("version", &driver.version);
    object.put("nvml_version", &driver.nvml_version);
    object.put("cuda_version", &driver.cuda_version);
    object.put("module_version", &driver.module_version);
    object.set("problem", super::driver_problem(snapshot).into());
    object.with_absent()
}

fn process(snapshot: &Snapshot, process: &Process) -> Value {
    let mut object = Object::default();
    object.set("pid", process.key.pid.into());
    let facts = process.facts.as_deref();
    let unseen = || Err(Absence::NotRequested);
    object.put("host_pid_visible", &facts.map_or_else(unseen, |facts| Ok(facts.visible)));
    object.set("ended", process.ended.and_then(|at| rfc3339(wall_at(snapshot, at))).into());
    let gpus = process.gpus.iter().enumerate().map(|(index, share)| {
        let mut each = Object::default();
        each.set("index", share.index.into());
        each.put("memory_bytes", &share.memory);
        let of = |part: fn(&ProcessUtilization) -> Percent| {
            share.utilization.as_ref().map(part).map_err(Clone::clone)
        };
        each.put("sm_percent", &of(|shares| shares.sm));
        each.put("memory_interface_percent", &of(|shares| shares.memory));
        each.put("encoder_percent", &of(|shares| shares.encoder));
        each.put("decoder_percent", &of(|shares| shares.decoder));
        each.set("kind", kind(share.kind).into());
        each.set("gpu_instance", share.gpu_instance.into());
        (index, each)
    });
    let mut list = Vec::new();
    for (index, each) in gpus {
        for (path, reason) in each.absent {
            object.absent.insert(format!("gpus.{index}.{path}"), reason);
        }
        list.push(Value::Object(each.members));
    }
    object.set("gpus", list.into());
    object.put("user", &facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.user.clone()));
    object.put("name", &facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.name.clone()));
    let command = facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.command.clone());
    object.put("command", &command.map(|arguments| arguments.join(" ")));
    object.put("cpu_percent", &process.cpu);
    let resident =
        process.host.as_ref().map_or_else(|| Err(Absence::NotRequested), |host| host.resident.clone());
    object.put("memory_bytes", &resident);
    let started = facts.map_or_else(|| Err(Absence::NotRequested), |facts| facts.started.clone());
    object.put("started", &started.map(|wall| rfc3339(wall).unwrap_or_default()));
    let container = process.container().map(|container| format!("{}:{}", container.runtime, container.id));
    object.set("container", container.into());
    let name = |text: Option<&Arc<str>>| text.map_or(Value::Null, Json::to_json);
    object.set("pod", name(facts.and_then(|facts| facts.pod.as_ref())));
    object.set("slurm_job", name(facts.and_then(|facts| facts.slurm_job.as_ref())));
    object.set("unit", name(facts.and_then(|facts| facts.unit.as_ref())));
    object.set("model_files", super::models::model_files(snapshot, process.key));
    object.with_absent()
}

const fn kind(kind: ProcessKind) -> &'static str {
    match kind {
        ProcessKind::Compute => "compute",
        ProcessKind::Graphics => "graphics",
        ProcessKind::Mps => "mps",
        ProcessKind::ComputeGraphics => "compute_graphics",
    }
}

fn verdict(snapshot: &Snapshot, verdict: &Verdict) -> Value {
    let mut object = Object::default();
    object.set("severity", verdict.severity.name().into());
    let index = verdict.gpu.as_ref().and_then(|id| snapshot.gpu(id)).and_then(Gpu::index);
    object.set("gpu", index.into());
    object.set("rule", verdict.rule.into());
    object.set("summary", verdict.summary.as_str().into());
    object.set("evidence", verdict.evidence.as_str().into());
    object.set("advice", verdict.advice.as_str().into());
    object.set("since", rfc3339(wall_at(snapshot, verdict.since)).into());
    object.bare()
}

/// A point of the monotonic clock for people, by the snapshot's two clocks.
fn wall_at(snapshot: &Snapshot, at: Mono) -> Wall {
    let micros = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let wall = snapshot.wall.0.saturating_sub(micros(snapshot.mono.0.saturating_sub(at.0)));
    Wall(wall.saturating_add(micros(at.0.saturating_sub(snapshot.mono.0))))
}
