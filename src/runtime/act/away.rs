//! Resets and last resorts: everybody off the GPU, kgtop's own collector too; then the steps, each told before it
//! begins; then the GPU's health against what it was before.
//!
//! The driver is never loaded in this process, which would hold the GPU as well: facts are read by a collector that
//! has left before the first step.

use super::execute::{Say, audited, refused, step, watched};
use super::facts::{self, Snapshots};
use super::smi::{Smi, SmiError};
use super::{Place, host};
use crate::actions::{
    Change, Comparison, Fit, GpuFacts, HostFacts, Outcome, Plan, Progress, Refusal, RefusalKind, Remedy,
    Target, compare, gpu_command, plan_gpu, smi_arguments, sysfs_writes,
};
use crate::model::known;
use crate::sources::holders::Holder;
use crate::units::Clock;
use std::time::Duration;

/// How long kgtop's own collector has to leave: it goes within an interval, or is inside a driver call.
const COLLECTOR_PATIENCE: Duration = Duration::from_secs(10);
/// How long the kernel has to show a device again, driver and all. Initialising a GPU takes some seconds.
const DEVICE_PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A step that failed: what went wrong, and how to go on from where the machine is now.
struct Failure {
    error: String,
    advice: String,
}

/// One run, with what it knows of before.
struct Run<'a> {
    place: &'a Place,
    clock: Clock,
    plan: &'a Plan,
    address: &'a str,
    before: GpuFacts,
    smi: Smi,
    say: Say<'a>,
}

/// Carries out a reset or a last resort.
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
    if matches!(plan.change, Change::LastResort { .. }) && !place.last_resort {
        return refused(RefusalKind::WrongRemedy, "a last resort takes --last-resort");
    }
    let smi = match Smi::find(place, clock) {
        Ok(smi) => smi,
        Err(error) => return refused(RefusalKind::NotSupported, error),
    };
    step(say, "reading the GPU again");
    let snapshots = Snapshots::of(place);
    let before = match watched(say, clock, "the driver to answer", || facts::of_gpu(&snapshots, clock, uuid))
    {
        Ok(Some(facts)) => facts,
        Ok(None) => return refused(RefusalKind::Lost, format!("the driver has no GPU {uuid} (any more)")),
        Err(error) => return refused(RefusalKind::Unread, error),
    };
    step(say, "looking for everybody who has it open");
    let host = facts::with_holders(host.clone(), &place.root, &before);
    if let Err(error) = plan.fits(&Fit { now: (clock.mono)(), host: &host, gpu: Some(&before) }) {
        return refused(RefusalKind::Outdated, error);
    }
    let again = plan_gpu(&before, &host, plan.change.clone(), (clock.mono)());
    if !again.is_allowed() {
        return Outcome::Refused { refusals: again.refusals };
    }
    let run = Run { place, clock, plan, address, before, smi, say };
    let collector = |wanted| say(Progress::Collector { wanted });
    let still = || {
        collector(false);
        run.everybody_off().inspect_err(|_refused| collector(true))
    };
    audited(place, clock, plan, say, still, || {
        let outcome = run.go(&snapshots, uuid);
        collector(true);
        outcome
    })
}

impl Run<'_> {
    /// Waits until kgtop's own collector has left, and looks a last time for anybody else.
    fn everybody_off(&self) -> Result<(), Outcome> {
        step(self.say, "waiting for kgtop's own collector to leave the GPU");
        let began = (self.clock.mono)();
        loop {
            let found = facts::holders(&self.place.root, &self.before)
                .map_err(|why| refused(RefusalKind::ProcPartial, why))?;
            if let Some(why) = found.partial {
                return Err(refused(RefusalKind::ProcPartial, why));
            }
            let (own, others): (Vec<Holder>, Vec<Holder>) =
                found.holders.into_iter().partition(|holder| host::is_own(&self.place.root, holder));
            if let Some(first) = others.first() {
                let reason =
                    format!("{} (PID {}) opened the GPU after the plan was made", first.name, first.pid);
                return Err(refused(RefusalKind::Held, reason));
            }
            let Some(first) = own.first() else { return Ok(()) };
            if (self.clock.mono)().since(began) > COLLECTOR_PATIENCE {
                let reason = format!(
                    "kgtop's own collector (PID {}) does not leave the GPU: it is inside a driver call",
                    first.pid
                );
                return Err(refused(RefusalKind::Held, reason));
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// The steps, and what became of the GPU.
    fn go(&self, snapshots: &Snapshots, uuid: &str) -> Outcome {
        step(
            self.say,
            format!("this goes on in process {}, whoever watches it or leaves", std::process::id()),
        );
        let done = self.steps();
        step(self.say, "reading the GPU's health");
        let after = watched(self.say, self.clock, "the driver to answer", || {
            facts::of_gpu(snapshots, self.clock, uuid)
        });
        let after = after.ok().flatten();
        match (done, after) {
            (Err(failure), after) => Outcome::Failed {
                error: failure.error,
                now: Some(after.map_or_else(
                    || "not shown by the driver".to_owned(),
                    |after| compare(&self.before, &after).lines.join(", "),
                )),
                advice: failure.advice,
            },
            (Ok(()), None) => Outcome::Failed {
                error: format!("the {} went through, and the driver does not show the GPU", self.title()),
                now: Some("not shown by the driver".to_owned()),
                advice: "see the kernel log for its Xid; what is left is a reboot, then a power cycle"
                    .to_owned(),
            },
            (Ok(()), Some(after)) => self.compared(&compare(&self.before, &after)),
        }
    }

    fn title(&self) -> &'static str {
        self.plan.change.setting()
    }

    fn compared(&self, comparison: &Comparison) -> Outcome {
        if comparison.left.is_empty() {
            let restore: Vec<&str> =
                self.plan.lost.iter().filter_map(|loss| loss.restore.as_deref()).collect();
            let restore = if restore.is_empty() {
                String::new()
            } else {
                format!("; what was lost comes back with: {}", restore.join("; "))
            };
            let verified =
                format!("the {} went through: {}{restore}", self.title(), comparison.lines.join(", "));
            return Outcome::Done { verified };
        }
        Outcome::Failed {
            error: format!("the {} went through, and {}", self.title(), comparison.left.join(", ")),
            now: Some(comparison.lines.join(", ")),
            advice: "keep work off the GPU; what is left is a reboot, then a power cycle, then a replacement"
                .to_owned(),
        }
    }

    /// Persistence off if it is on, the step itself, persistence back whatever became of that.
    fn steps(&self) -> Result<(), Failure> {
        let persistence = known(&self.before.persistence) == Some(true);
        if persistence {
            self.persistence(false).map_err(|error| Failure {
                error: format!("persistence mode could not be turned off: {error}"),
                advice: format!("nothing else was done; the GPU is as it was, no {} was begun", self.title()),
            })?;
        }
        let done = match &self.plan.change {
            Change::LastResort { remedy } => self.last_resort(*remedy),
            _ => self.reset(),
        };
        if !persistence {
            return done;
        }
        let back = self.persistence(true);
        let command = gpu_command(self.address, &Change::Persistence { on: true });
        match (done, back) {
            (done, Ok(())) => done,
            (Ok(()), Err(error)) => Err(Failure {
                error: format!(
                    "the {} went through, and persistence mode could not be turned on again: {error}",
                    self.title()
                ),
                advice: format!("persistence mode is off now: {command}"),
            }),
            (Err(failure), Err(error)) => Err(Failure {
                error: format!(
                    "{}; and persistence mode could not be turned on again: {error}",
                    failure.error
                ),
                advice: format!("{}; persistence mode is off now: {command}", failure.advice),
            }),
        }
    }

    fn persistence(&self, on: bool) -> Result<(), SmiError> {
        for arguments in smi_arguments(self.address, &Change::Persistence { on }) {
            self.smi.run(&arguments, self.say)?;
        }
        Ok(())
    }

    fn reset(&self) -> Result<(), Failure> {
        for arguments in smi_arguments(self.address, &self.plan.change) {
            match self.smi.run(&arguments, self.say) {
                Ok(said) if said.contains("was successfully reset") => {}
                Ok(said) => {
                    let said = said.lines().next().unwrap_or("nothing").to_owned();
                    return Err(Failure {
                        error: format!(
                            "nvidia-smi ended well and did not say that the GPU was reset; it said: {said}"
                        ),
                        advice: STATE_UNKNOWN.to_owned(),
                    });
                }
                Err(error) => {
                    return Err(Failure { advice: after_failed_reset(&error), error: error.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Writes to sysfs. A write returns when the kernel is done, which may be never: this process can be left alone
    /// with it.
    fn last_resort(&self, remedy: Remedy) -> Result<(), Failure> {
        let root = &self.place.root;
        let device = format!("/sys/bus/pci/devices/{}", self.address);
        let writes = sysfs_writes(self.address, remedy);
        for (index, write) in writes.iter().enumerate() {
            let line = format!("echo {} > {}", write.text, write.path);
            step(self.say, line.clone());
            let written = watched(self.say, self.clock, &line, || root.write_value(&write.path, &write.text));
            if let Err(absence) = written {
                return Err(Failure {
                    error: format!("{line}: {absence}"),
                    advice: self.stranded(remedy, index),
                });
            }
            let first = index == 0;
            let is_there = || match (remedy, first) {
                (Remedy::PciRescan, true) => !root.exists(&device),
                (Remedy::DriverRebind, true) => root.link_name(&format!("{device}/driver")).is_err(),
                (_, false) => root.link_name(&format!("{device}/driver")).as_deref() == Ok("nvidia"),
            };
            if !self.wait_for(&is_there) {
                return Err(Failure {
                    error: format!(
                        "{line}: the kernel took it, and {} s later the device is not as it should be",
                        DEVICE_PATIENCE.as_secs()
                    ),
                    advice: self.stranded(remedy, index + usize::from(first)),
                });
            }
        }
        Ok(())
    }

    /// Where the machine stands when the write of that number was not done.
    fn stranded(&self, remedy: Remedy, index: usize) -> String {
        let next = sysfs_writes(self.address, remedy).into_iter().nth(index);
        let again = next.map(|write| format!("echo {} > {}", write.text, write.path)).unwrap_or_default();
        match (remedy, index) {
            (_, 0) => "the device is where it was; what is left is a reboot".to_owned(),
            (Remedy::PciRescan, _) => {
                format!("the device may be off the PCI bus now: {again}; if it stays away, reboot")
            }
            (Remedy::DriverRebind, _) => {
                format!("the device has no driver now: {again}; if that fails, reboot")
            }
        }
    }

    fn wait_for(&self, is_there: &dyn Fn() -> bool) -> bool {
        let began = (self.clock.mono)();
        watched(self.say, self.clock, "the kernel to show the device", || {
            while !is_there() {
                if (self.clock.mono)().since(began) > DEVICE_PATIENCE {
                    return false;
                }
                std::thread::sleep(BETWEEN_LOOKS);
            }
            true
        })
    }
}

/// After a reset of which nobody knows how far it went.
const STATE_UNKNOWN: &str = "the state of the GPU is not known: keep work off it, compare its health now with what it \
                             was, and see the kernel log; what is left is a reboot";

/// How to go on after nvidia-smi failed. Only where it never began, or says that the driver refused, is the GPU known
/// to be as it was.
fn after_failed_reset(error: &SmiError) -> String {
    let way = match error {
        SmiError::NotStarted(_) | SmiError::Missing(_) | SmiError::NotNamed | SmiError::Untrusted(_) => {
            "see why it does not start"
        }
        SmiError::Failed { said, .. }
            if said.contains("In use by another client") || said.contains("being used by") =>
        {
            "somebody opened the GPU meanwhile, perhaps a unit that started its daemon again: kgtop act reset \
             --dry-run names who has it now"
        }
        SmiError::Failed { said, .. } if said.contains("Not Supported") => {
            "this GPU, driver or platform has no reset: drain the machine and reboot it"
        }
        SmiError::Failed { said, .. } if said.contains("Insufficient Permissions") => {
            "root's rights are not enough here, as in a container or under a security module: do it from the host"
        }
        SmiError::Failed { .. } | SmiError::Followed(_) => return STATE_UNKNOWN.to_owned(),
    };
    format!("the GPU was not reset and is as it was; {way}")
}

/// Why a change of that kind could not be begun here, apart from what the plan itself knows.
pub(super) fn missing_tool(place: &Place, clock: Clock, change: &Change) -> Option<Refusal> {
    let needs =
        change.takes_the_gpu_away() || matches!(change, Change::MigCreate { .. } | Change::MigDestroy { .. });
    let error = needs.then(|| Smi::find(place, clock).err()).flatten()?;
    Some(Refusal { kind: RefusalKind::NotSupported, reason: error.to_string() })
}
