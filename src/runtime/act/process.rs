//! Signals and niceness: the process proven, the one send, and a look at what became of it.

use super::Place;
use super::execute::{BETWEEN_LOOKS, LOOKS, Say, audited, refused, step};
use super::host::{self, DEVICE_FILES};
use super::signal::{self, SignalError};
use crate::actions::{
    Change, Fit, HolderFacts, HostFacts, Outcome, Plan, ProcessTarget, RefusalKind, plan_process,
};
use crate::sources::root::Root;
use crate::units::Clock;

/// Carries out a signal or a change of niceness.
pub(super) fn carry_out(
    place: &Place,
    clock: Clock,
    plan: &Plan,
    host: &HostFacts,
    (pid, start): (u32, u64),
    say: Say<'_>,
) -> Outcome {
    if !matches!(place.root, Root::Live) {
        return refused(RefusalKind::NotProven, "the processes below --root are not those of this machine");
    }
    if let Err(error) = plan.fits(&Fit { now: (clock.mono)(), host, gpu: None }) {
        return refused(RefusalKind::Outdated, error);
    }
    let holder = HolderFacts { pid, start, ..HolderFacts::default() };
    let target = ProcessTarget { holder, visible: true, nice: signal::niceness(pid) };
    let again = plan_process(&target, host, plan.change.clone(), (clock.mono)());
    if !again.is_allowed() {
        return Outcome::Refused { refusals: again.refusals };
    }
    // Before anything is written down: a plan that cannot be proven is not an action.
    if let Err(error) = host::prove(&place.root, DEVICE_FILES, pid, start) {
        return refused(RefusalKind::NotProven, error);
    }
    // It is proven once more where it is sent.
    let still = || Ok(());
    audited(place, clock, plan, say, still, || match &plan.change {
        Change::Signal { name } => {
            step(say, format!("sending SIG{name} to PID {pid}"));
            match signal::send(&place.root, DEVICE_FILES, pid, start, name) {
                Ok(()) => after_signal(&place.root, pid, start, name),
                Err(error) => not_sent(&error),
            }
        }
        Change::Renice { nice } => {
            step(say, format!("setting the niceness of PID {pid} to {nice}"));
            match signal::renice(&place.root, DEVICE_FILES, pid, start, *nice) {
                Ok(now) if now == *nice => {
                    Outcome::Done { verified: format!("read back: {now} of all its threads") }
                }
                Ok(now) => Outcome::Failed {
                    error: format!("the niceness of not every thread is {nice}"),
                    now: Some(now.to_string()),
                    advice: "try it again".to_owned(),
                },
                Err(error) => not_sent(&error),
            }
        }
        _ => refused(RefusalKind::WrongRemedy, "this is about a GPU, not a process"),
    })
}

fn not_sent(error: &SignalError) -> Outcome {
    match error {
        SignalError::Kernel(_) => Outcome::Failed {
            error: error.to_string(),
            now: None,
            advice: "the process of another user takes root: run it through sudo".to_owned(),
        },
        SignalError::NotProven(_) | SignalError::Unnameable(_) => refused(RefusalKind::NotProven, error),
    }
}

/// Looks for a moment whether the process ends, and says what it saw.
fn after_signal(root: &Root, pid: u32, start: u64, name: &str) -> Outcome {
    if !["TERM", "INT", "KILL", "QUIT", "HUP"].contains(&name) {
        return Outcome::Done { verified: format!("SIG{name} was sent") };
    }
    for _ in 0..LOOKS {
        if host::start_of(root, pid) != Some(start) || host::has_ended(root, pid) {
            return Outcome::Done { verified: format!("SIG{name} was sent, and the process has ended") };
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    if name == "KILL" {
        return Outcome::Failed {
            error: "SIGKILL was sent, and the process is still there".to_owned(),
            now: Some("not ended".to_owned()),
            advice: "it is stuck in the kernel, most likely in a driver call: see the stalled GPU".to_owned(),
        };
    }
    Outcome::Done { verified: format!("SIG{name} was sent; the process has not ended yet") }
}
