//! Plans, from arguments and what is read now.

use crate::actions::{
    Change, GpuFacts, HolderFacts, HostFacts, Plan, ProcessTarget, Refusal, RefusalKind, plan_process,
    select_gpus, undoables,
};
use crate::cli::act::{ActArgs, Action};
use crate::model::{Gpu, Snapshot, known};
use crate::runtime::act::facts::{self, Snapshots};
use crate::runtime::act::host::NotProven;
use crate::runtime::act::{Place, audit, host, mig, signal};
use crate::runtime::commands::{Refused, Usage};
use crate::units::Clock;
use color_eyre::eyre::{Result, bail};

/// Makes plans, as often as they are needed anew.
#[derive(Clone, Copy)]
pub(super) struct Maker<'a> {
    /// GPUs that were named.
    pub(super) wanted: &'a [String],
    pub(super) arguments: &'a ActArgs,
    pub(super) action: &'a Action,
    pub(super) place: &'a Place,
    pub(super) clock: Clock,
}

impl Maker<'_> {
    /// What is there now.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        let snapshot =
            Snapshots::of(self.place).take(self.clock).map_err(|error| Refused(format!("{error:#}")))?;
        if snapshot.gpus.is_empty() {
            let why = snapshot.inventory.driver.problem.as_deref().unwrap_or("the driver names no GPU");
            bail!(Refused(format!("there is no GPU to act on: {why}")));
        }
        Ok(snapshot)
    }

    /// The plans, and the host that they are for.
    pub(super) fn plans(&self) -> Result<(Vec<Plan>, HostFacts)> {
        let snapshot = self.snapshot()?;
        let host = host::facts(&self.place.root);
        let plans = match self.action.pid() {
            Some(pid) => vec![self.for_process(&snapshot, &host, pid)?],
            None => self.for_gpus(&snapshot, &host)?,
        };
        let plans = plans.into_iter().map(|plan| expecting(plan, self.arguments.expect.as_deref())).collect();
        Ok((plans, host))
    }

    /// The plan itself, or, where it has grown old while others were carried out, the same made anew. A plan that
    /// is another one now is given as it was: the child refuses it, and says what changed.
    pub(super) fn fresh(&self, plan: &Plan) -> Result<Plan> {
        if !plan.is_stale((self.clock.mono)()) {
            return Ok(plan.clone());
        }
        let (plans, _) = self.plans()?;
        Ok(plans.into_iter().find(|anew| anew.is_like(plan)).unwrap_or_else(|| plan.clone()))
    }

    fn for_gpus(&self, snapshot: &Snapshot, host: &HostFacts) -> Result<Vec<Plan>> {
        let gpus = select_gpus(snapshot, self.wanted, self.arguments.all)
            .map_err(|error| Usage(error.to_string()))?;
        let several = self.arguments.all || gpus.len() > 1;
        gpus.into_iter()
            .map(|gpu| {
                let mut facts = GpuFacts::of_snapshot(snapshot, gpu);
                let change = self.change(gpu, &facts, host)?;
                if change.takes_the_gpu_away() && several {
                    bail!(Usage(format!(
                        "a {} is of one GPU at a time: name it with --gpu",
                        change.setting()
                    )));
                }
                if matches!(change, Change::LastResort { .. }) && !self.arguments.last_resort {
                    bail!(Usage(format!(
                        "{} is for where a reset does not help: --last-resort allows it",
                        change.setting()
                    )));
                }
                if matches!(change, Change::MigCreate { .. }) && facts.mig == Ok(true) {
                    facts.mig_offered = mig::offered(self.place.library.as_deref(), self.clock, &gpu.id.0);
                }
                Ok(facts::plan(self.place, host, &facts, change, self.clock))
            })
            .collect()
    }

    fn change(&self, gpu: &Gpu, facts: &GpuFacts, host: &HostFacts) -> Result<Change> {
        if let Action::Undo { setting } = self.action {
            return self.undo(gpu, host, setting.as_deref());
        }
        let default = known(&facts.default_power_limit).map(|watts| (watts.0 * 1_000.0).round() as u32);
        Ok(self.action.change(default).map_err(Usage)?)
    }

    /// What takes back the last change, or the last of one setting.
    fn undo(&self, gpu: &Gpu, host: &HostFacts, setting: Option<&str>) -> Result<Change> {
        let entries = audit::entries(&self.place.audits);
        let found = undoables(&entries, &gpu.id.0, &host.boot_id);
        let is_meant = |change: &Change| {
            setting.is_none_or(|setting| change.setting().replace(' ', "-") == setting.replace(' ', "-"))
        };
        if let Some(undoable) = found.iter().find(|undoable| is_meant(&undoable.done)) {
            return Ok(undoable.undo.clone());
        }
        let settings: Vec<String> =
            found.iter().map(|undoable| undoable.done.setting().replace(' ', "-")).collect();
        let there = if settings.is_empty() { "nothing".to_owned() } else { settings.join(", ") };
        let what = setting.unwrap_or("any setting");
        bail!(Usage(format!(
            "kgtop changed {what} of {} in no way that it can take back in this boot; it can take back: {there}",
            gpu.id
        )))
    }

    fn for_process(&self, snapshot: &Snapshot, host: &HostFacts, pid: u32) -> Result<Plan> {
        let is_there = |process: &&crate::model::Process| process.ended.is_none();
        let process = snapshot.processes.iter().filter(is_there).find(|process| process.key.pid == pid);
        let Some(process) = process else {
            let on_gpus: Vec<String> =
                snapshot.processes.iter().filter(is_there).map(|p| p.key.pid.to_string()).collect();
            let there = if on_gpus.is_empty() { "none".to_owned() } else { on_gpus.join(", ") };
            bail!(Usage(format!("PID {pid} is on no GPU; on GPUs there are: {there}")));
        };
        let unknown = || ProcessTarget {
            holder: HolderFacts { pid, ..HolderFacts::default() },
            visible: false,
            nice: None,
        };
        let mut target = ProcessTarget::of_snapshot(snapshot, process.key).unwrap_or_else(unknown);
        target.nice = signal::niceness(pid);
        let change = self.action.change(None).map_err(Usage)?;
        let mut plan = plan_process(&target, host, change, (self.clock.mono)());
        let proof = match self.action.start() {
            Some(start) if start != process.key.start => Err(NotProven::Reused(pid)),
            _ if plan.is_allowed() => {
                host::prove(&self.place.root, host::DEVICE_FILES, pid, process.key.start)
            }
            _ => Ok(()),
        };
        if let Err(error) = proof {
            plan = plan.refused(Refusal { kind: RefusalKind::NotProven, reason: error.to_string() });
        }
        Ok(plan)
    }
}

/// Refuses a plan that does not start from the value that is expected.
fn expecting(plan: Plan, expected: Option<&str>) -> Plan {
    match expected {
        Some(wanted) if plan.expected.as_deref() != Some(wanted) => {
            let now = plan.expected.clone().unwrap_or_else(|| "not readable".to_owned());
            let reason =
                format!("the {} is {now}, not {wanted}: somebody else changed it", plan.change.setting());
            plan.refused(Refusal { kind: RefusalKind::Outdated, reason })
        }
        _ => plan,
    }
}
