//! The child that carries a plan out: which way a plan goes, and what all ways have in common.

use super::audit::{Audit, AuditError};
use super::lock::LockError;
use super::{Place, away, host, lock, mig, process, setting};
use crate::actions::{Change, FitError, Outcome, Plan, Progress, Refusal, RefusalKind, Target};
use crate::units::{Clock, Mono};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A call that has lasted this long is shown, and again each time it lasts as long again. It is never killed.
pub(super) const SAY_AFTER: Duration = Duration::from_secs(5);
/// How often and how far apart a value that follows with a delay (a clock, a process's end) is looked at.
pub(super) const LOOKS: usize = 20;
/// See [`LOOKS`].
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Who hears of the progress.
pub(super) type Say<'a> = &'a (dyn Fn(Progress) + Sync);

pub(super) fn refused(kind: RefusalKind, reason: impl std::fmt::Display) -> Outcome {
    Outcome::Refused { refusals: vec![Refusal { kind, reason: format!("{reason}") }] }
}

pub(super) fn step(say: Say<'_>, text: impl Into<String>) {
    say(Progress::Step { text: text.into() });
}

/// Carries out the plan in `text`, if it still holds.
pub(super) fn carry_out(place: &Place, clock: Clock, text: &str, say: Say<'_>) -> Outcome {
    let plan = match Plan::parse(text) {
        Ok(plan) => plan,
        Err(error) => return refused(RefusalKind::Outdated, error),
    };
    let host = host::facts(&place.root);
    match &plan.target {
        Target::Gpu { uuid, .. } => {
            // The system's driver would act on this machine's GPU, after a preflight against another `/proc`.
            if !place.root.is_live() && place.library.is_none() {
                return refused(
                    RefusalKind::NotSupported,
                    "below --root there is no driver: name its library with --nvml-lib",
                );
            }
            // Held until the outcome is written down. Who is not root may not make it, and is refused below for that.
            let _lock = match lock::take(&place.locks, uuid, (clock.wall)()) {
                Ok(lock) => Some(lock),
                Err(LockError::Failed { .. }) if !host.is_root => None,
                Err(error) => return refused(RefusalKind::Locked, error),
            };
            let way = match &plan.change {
                Change::Reset | Change::LastResort { .. } => away::carry_out,
                Change::MigCreate { .. } | Change::MigDestroy { .. } => mig::carry_out,
                _ => setting::carry_out,
            };
            way(place, clock, &plan, &host, uuid, say)
        }
        Target::Process { pid, start, .. } => {
            process::carry_out(place, clock, &plan, &host, (*pid, *start), say)
        }
    }
}

/// Writes down what will be sent, sends it, writes down what came of it. Writing may have to wait, for a disk or for
/// another kgtop: before the send it is looked at again whether the plan `still` holds.
pub(super) fn audited(
    place: &Place,
    clock: Clock,
    plan: &Plan,
    say: Say<'_>,
    still: impl FnOnce() -> Result<(), Outcome>,
    send: impl FnOnce() -> Outcome,
) -> Outcome {
    step(say, format!("writing to the audit log {}", place.audit.display()));
    let audit = Audit::new(&place.audit);
    let written = watched(say, clock, "the audit log", || audit.write(clock, plan, None));
    let is_written = match written {
        Ok(()) => true,
        Err(error) if may_go_unaudited(plan, &error) => {
            step(say, error.to_string());
            false
        }
        Err(error) => return refused(RefusalKind::Unaudited, error),
    };
    let outcome = match young(plan, clock).and_then(|()| still()) {
        Ok(()) => send(),
        Err(outcome) => outcome,
    };
    if is_written
        && let Err(error) = watched(say, clock, "the audit log", || audit.write(clock, plan, Some(&outcome)))
    {
        step(say, error.to_string());
    }
    outcome
}

/// Refuses a plan that has grown old.
pub(super) fn young(plan: &Plan, clock: Clock) -> Result<(), Outcome> {
    let now = (clock.mono)();
    if !plan.is_stale(now) {
        return Ok(());
    }
    let seconds = now.since(Mono(plan.made_at)).as_secs();
    Err(refused(RefusalKind::Outdated, FitError::Stale { seconds }))
}

/// A full disk alone does not keep small things from being done: one of them may be what makes room.
fn may_go_unaudited(plan: &Plan, error: &AuditError) -> bool {
    error.is_full() && !plan.change.is_destructive()
}

/// Runs `body`; says so each time it has lasted another while.
pub(super) fn watched<T>(say: Say<'_>, clock: Clock, what: &str, body: impl FnOnce() -> T) -> T {
    let began = (clock.mono)();
    std::thread::scope(|scope| {
        let (done, ended) = channel::<()>();
        scope.spawn(move || {
            while ended.recv_timeout(SAY_AFTER) == Err(RecvTimeoutError::Timeout) {
                let seconds = (clock.mono)().since(began).as_secs();
                say(Progress::Waiting { text: what.to_owned(), seconds });
            }
        });
        let answer = body();
        drop(done);
        answer
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::actions::{GpuFacts, HostFacts, plan_gpu};
    use crate::model::{GpuInfo, Health};
    use crate::sources::root::Root;
    use crate::units::{Wall, Watts};
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    /// A clock that stands still.
    pub(in crate::runtime::act) fn clock() -> Clock {
        Clock { mono: || Mono(1_000_000), wall: || Wall(0) }
    }

    /// A plan of that moment.
    pub(in crate::runtime::act) fn plan() -> Plan {
        let info = GpuInfo {
            uuid: Ok("GPU-1".into()),
            pci_bus_id: Ok("0000:41:00.0".into()),
            min_power_limit: Ok(Watts(200.0)),
            max_power_limit: Ok(Watts(700.0)),
            ..GpuInfo::default()
        };
        let health = Health { power_limit_set: Ok(Watts(700.0)), ..Health::default() };
        let facts = GpuFacts::of_readings(&info, None, Some(&health)).with_list(&Ok(Vec::new()));
        let host = HostFacts {
            hostname: "node".into(),
            boot_id: "boot-1".into(),
            is_root: true,
            program: String::new(),
            pids_visible: true,
            in_container: false,
            proc_partial: None,
            drm_loaded: false,
            fabric_manager: None,
            open_by: None,
        };
        plan_gpu(&facts, &host, Change::PowerLimit { milliwatts: 250_000 }, Mono(1_000_000))
    }

    fn place(directory: &Path) -> Place {
        Place {
            root: Root::Live,
            audit: directory.join("audit.jsonl"),
            audits: Vec::new(),
            locks: directory.to_owned(),
            library: None,
            collector: Vec::new(),
            tools: None,
            last_resort: false,
        }
    }

    /// What came of it, and whether it was sent.
    fn outcome(place: &Place, clock: Clock, still: impl FnOnce() -> Result<(), Outcome>) -> (Outcome, bool) {
        let sent = AtomicBool::new(false);
        let outcome = audited(place, clock, &plan(), &|_progress| {}, still, || {
            sent.store(true, Ordering::SeqCst);
            Outcome::Done { verified: "sent".to_owned() }
        });
        (outcome, sent.into_inner())
    }

    #[test]
    fn a_plan_that_grew_old_or_was_overtaken_while_it_was_written_down_is_not_sent() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(directory.path());
        assert!(outcome(&place, clock(), || Ok(())).1);
        let (overtaken, sent) = outcome(&place, clock(), || Err(refused(RefusalKind::Held, "python came")));
        assert!(!sent && overtaken.text().contains("python came"), "{overtaken:?}");
        // Each look at this clock is four seconds later than the one before.
        static NOW: AtomicU64 = AtomicU64::new(1_000_000);
        let slow = Clock { mono: || Mono(NOW.fetch_add(4_000_000, Ordering::SeqCst)), wall: || Wall(0) };
        NOW.store(5_000_000, Ordering::SeqCst);
        let (old, sent) = outcome(&place, slow, || Ok(()));
        assert!(!sent && old.text().contains("after 10 s it must be made anew"), "{old:?}");
        // What came of it is written down as well.
        let text = std::fs::read_to_string(&place.audit).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("\"phase\":\"after\"")).count(), 3, "{text}");
    }
}
