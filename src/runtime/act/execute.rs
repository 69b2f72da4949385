//! The child that carries a plan out: which way a plan goes, and what all ways have in common.

use super::audit::{Audit, AuditError};
use super::lock::LockError;
use super::{Place, away, host, lock, mig, process, setting};
use crate::actions::{Change, Outcome, Plan, Progress, Refusal, RefusalKind, Target};
use crate::units::Clock;
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

/// Writes down what will be sent, sends it, writes down what came of it.
pub(super) fn audited(
    place: &Place,
    clock: Clock,
    plan: &Plan,
    say: Say<'_>,
    send: impl FnOnce() -> Outcome,
) -> Outcome {
    step(say, format!("writing to the audit log {}", place.audit.display()));
    let opened = Audit::open(&place.audit).and_then(|mut audit| {
        audit.write(clock, plan, None)?;
        Ok(audit)
    });
    let mut audit = match opened {
        Ok(audit) => Some(audit),
        Err(error) if may_go_unaudited(plan, &error) => {
            step(say, error.to_string());
            None
        }
        Err(error) => return refused(RefusalKind::Unaudited, error),
    };
    let outcome = send();
    if let Some(audit) = &mut audit
        && let Err(error) = audit.write(clock, plan, Some(&outcome))
    {
        step(say, error.to_string());
    }
    outcome
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
