//! MIG instances: made and destroyed by nvidia-smi, and seen by a collector before and after.

use super::Place;
use super::execute::{Say, audited, refused, step, watched};
use super::facts::{self, Snapshots};
use super::setting::{advice, find, not_as_wanted};
use super::smi::Smi;
use crate::actions::{
    Change, Fit, GpuFacts, HostFacts, MigProfile, Outcome, Plan, RefusalKind, Target, plan_gpu, smi_arguments,
};
use crate::model::{Absence, Reading};
use crate::sources::nvml::Caller;
use crate::units::Clock;
use std::path::Path;
use std::time::Duration;

/// What was read no longer ago than this is not read again before the send.
const JUST_READ: Duration = Duration::from_secs(1);

/// Profiles of which instances can be made of the GPU of that UUID, from a driver library that this process loads.
pub(super) fn offered(library: Option<&Path>, clock: Clock, uuid: &str) -> Reading<Vec<MigProfile>> {
    let caller = Caller::new(clock);
    let device = find(library, &caller, uuid).map_err(|error| Absence::failed(0, error))?;
    let profiles = device.ok_or(Absence::Lost)?.mig_profiles(&caller)?;
    Ok(profiles
        .into_iter()
        .map(|profile| MigProfile {
            id: profile.id,
            name: profile.name,
            memory_mib: profile.memory_mib,
            most: profile.most,
            free: profile.free,
        })
        .collect())
}

/// Makes or destroys instances.
pub(super) fn carry_out(
    place: &Place,
    clock: Clock,
    plan: &Plan,
    host: &HostFacts,
    uuid: &str,
    say: Say<'_>,
) -> Outcome {
    let Target::Gpu { address, .. } = &plan.target else {
        return refused(RefusalKind::WrongRemedy, "this is about a GPU, not a process");
    };
    let smi = match Smi::find(place, clock) {
        Ok(smi) => smi,
        Err(error) => return refused(RefusalKind::NotSupported, error),
    };
    step(say, "reading the GPU again");
    let snapshots = Snapshots::of(place);
    let look = || watched(say, clock, "the driver to answer", || facts::of_gpu(&snapshots, clock, uuid));
    let mut before = match look() {
        Ok(Some(facts)) => facts,
        Ok(None) => return refused(RefusalKind::Lost, format!("the driver has no GPU {uuid} (any more)")),
        Err(error) => return refused(RefusalKind::Unread, error),
    };
    if matches!(plan.change, Change::MigCreate { .. }) {
        before.mig_offered =
            watched(say, clock, "the driver to answer", || offered(place.library.as_deref(), clock, uuid));
    }
    if let Err(outcome) = fitting(plan, host, &before, clock) {
        return outcome;
    }
    let read_at = (clock.mono)();
    let still = || {
        // A look takes a collector of its own: what was just read is not read again.
        if (clock.mono)().since(read_at) < JUST_READ {
            return Ok(());
        }
        match look() {
            Ok(Some(mut facts)) => {
                facts.mig_offered = before.mig_offered.clone();
                fitting(plan, host, &facts, clock)
            }
            Ok(None) => Err(refused(RefusalKind::Lost, format!("the driver has no GPU {uuid} any more"))),
            Err(error) => Err(refused(RefusalKind::Unread, error)),
        }
    };
    audited(place, clock, plan, say, still, || {
        let mut sent = Ok(());
        for arguments in smi_arguments(address, &plan.change) {
            sent = smi.run(&arguments, say).map(|_said| ());
            if sent.is_err() {
                break;
            }
        }
        step(say, "reading the instances back");
        let after = look().ok().flatten();
        let now = after.as_ref().and_then(|after| after.current(&plan.change));
        if let Err(error) = sent {
            return Outcome::Failed { error: error.to_string(), now, advice: advice(&plan.change) };
        }
        match now {
            Some(now) if after.is_some_and(|after| is_as_wanted(&plan.change, &before, &after)) => {
                Outcome::Done { verified: format!("read back: {now}") }
            }
            now => not_as_wanted(now, &plan.change),
        }
    })
}

/// Whether the plan fits the GPU as it is, and would be made again.
fn fitting(plan: &Plan, host: &HostFacts, gpu: &GpuFacts, clock: Clock) -> Result<(), Outcome> {
    let now = (clock.mono)();
    plan.fits(&Fit { now, host, gpu: Some(gpu) }).map_err(|error| refused(RefusalKind::Outdated, error))?;
    let again = plan_gpu(gpu, host, plan.change.clone(), now);
    if again.is_allowed() { Ok(()) } else { Err(Outcome::Refused { refusals: again.refusals }) }
}

/// Whether there are as many more, or fewer, as was wanted.
fn is_as_wanted(change: &Change, before: &GpuFacts, after: &GpuFacts) -> bool {
    let (Ok(before), Ok(after)) = (&before.mig_instances, &after.mig_instances) else { return false };
    match change {
        Change::MigCreate { profiles } => after.len() == before.len() + profiles.len(),
        Change::MigDestroy { instance: Some(number) } => {
            !after.iter().any(|instance| instance.instance == Ok(*number))
        }
        _ => after.is_empty(),
    }
}
