//! The child that carries a plan out: every precondition again, the one send, the read-back.

use super::audit::{Audit, AuditError};
use super::host::{self, DEVICE_FILES};
use super::signal::{self, SignalError};
use super::{Place, lock};
use crate::actions::{
    Change, ClockDomain, Fit, GpuFacts, HolderFacts, HostFacts, Outcome, Plan, ProcessTarget, Progress,
    Refusal, RefusalKind, Target, plan_gpu, plan_process,
};
use crate::model::{GpuState, Reading};
use crate::sources::nvml::{self, Caller, Device, Setting};
use crate::sources::root::Root;
use crate::units::{Clock, Megahertz};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A call that has lasted this long is shown, and again each time it lasts as long again. It is never killed.
const SAY_AFTER: Duration = Duration::from_secs(5);
/// How often and how far apart a value that follows with a delay (a clock, a process's end) is looked at.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Who hears of the progress.
pub(super) type Say<'a> = &'a (dyn Fn(Progress) + Sync);

fn refused(kind: RefusalKind, reason: impl std::fmt::Display) -> Outcome {
    Outcome::Refused { refusals: vec![Refusal { kind, reason: format!("{reason}") }] }
}

fn step(say: Say<'_>, text: impl Into<String>) {
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
            // Held until the outcome is written down.
            let _lock = match lock::take(&place.locks, uuid, (clock.wall)()) {
                Ok(lock) => lock,
                Err(error) => return refused(RefusalKind::Locked, error),
            };
            on_gpu(place, clock, &plan, &host, uuid, say)
        }
        Target::Process { pid, start, .. } => on_process(place, clock, &plan, &host, (*pid, *start), say),
    }
}

/// Writes down what will be sent, sends it, writes down what came of it.
fn audited(
    place: &Place,
    clock: Clock,
    plan: &Plan,
    say: Say<'_>,
    send: impl FnOnce() -> Outcome,
) -> Outcome {
    step(say, format!("writing to the audit log {}", place.audit.display()));
    let opened = Audit::open(&place.audit).and_then(|mut audit| {
        audit.write((clock.wall)(), plan, None)?;
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
        && let Err(error) = audit.write((clock.wall)(), plan, Some(&outcome))
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
fn watched<T>(say: Say<'_>, clock: Clock, what: &str, body: impl FnOnce() -> T) -> T {
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

fn on_gpu(place: &Place, clock: Clock, plan: &Plan, host: &HostFacts, uuid: &str, say: Say<'_>) -> Outcome {
    let Some(setting) = setting_of(&plan.change) else {
        return refused(
            RefusalKind::NotSupported,
            format!("a {} is not carried out here", plan.change.setting()),
        );
    };
    let caller = Caller::new(clock);
    step(say, "reading the GPU again");
    let found = watched(say, clock, "the driver to answer", || find(place.library.as_deref(), &caller, uuid));
    let mut device = match found {
        Ok(Some(device)) => device,
        Ok(None) => return refused(RefusalKind::Lost, format!("the driver has no GPU {uuid} (any more)")),
        Err(error) => return refused(RefusalKind::Unread, error),
    };
    let facts = watched(say, clock, "the GPU to answer", || read(&mut device, &caller));
    if let Err(error) = plan.fits(&Fit { now: (clock.mono)(), host, gpu: Some(&facts) }) {
        return refused(RefusalKind::Outdated, error);
    }
    let again = plan_gpu(&facts, host, plan.change.clone(), (clock.mono)());
    if !again.is_allowed() {
        return Outcome::Refused { refusals: again.refusals };
    }
    if again.already {
        return Outcome::Done {
            verified: format!("it was {} already; nothing was sent", plan.change.wanted()),
        };
    }
    audited(place, clock, plan, say, || {
        step(say, format!("setting the {} to {}", plan.change.setting(), plan.change.wanted()));
        let sent = watched(say, clock, "the driver to take it", || device.set(&caller, setting));
        step(say, "reading it back");
        let outcome =
            watched(say, clock, "the GPU to answer", || verify(&mut device, &caller, &plan.change, setting));
        match sent {
            Ok(()) => outcome,
            Err(error) => failed(error.to_string(), &mut device, &caller, &plan.change),
        }
    })
}

fn find(library: Option<&Path>, caller: &Caller, uuid: &str) -> Result<Option<Device>, String> {
    let session = nvml::open(library, caller).map_err(|error| error.to_string())?;
    Ok(session.devices(caller).into_iter().find(|device| &*device.id().0 == uuid))
}

fn read(device: &mut Device, caller: &Caller) -> GpuFacts {
    let info = device.info(caller);
    let live = device.live(caller);
    let health = device.health(caller);
    let list = device.process_list(caller);
    let mut facts = GpuFacts::of_readings(&info, Some(&live), Some(&health)).with_list(&list);
    if device.is_lost() {
        facts.state = GpuState::Lost;
    }
    facts
}

fn setting_of(change: &Change) -> Option<Setting> {
    Some(match change {
        Change::PowerLimit { milliwatts } => Setting::PowerLimit(*milliwatts),
        Change::LockClocks { domain: ClockDomain::Graphics, least, most } => {
            Setting::LockGraphicsClocks(*least, *most)
        }
        Change::LockClocks { least, most, .. } => Setting::LockMemoryClocks(*least, *most),
        Change::UnlockClocks { domain: ClockDomain::Graphics } => Setting::UnlockGraphicsClocks,
        Change::UnlockClocks { .. } => Setting::UnlockMemoryClocks,
        Change::Persistence { on } => Setting::Persistence(*on),
        Change::ComputeMode { mode } => Setting::ComputeMode(mode.number()),
        Change::ClearEcc { counters } => Setting::ClearEcc(counters.number()),
        Change::DefaultApplicationClocks
        | Change::MigCreate { .. }
        | Change::MigDestroy { .. }
        | Change::Reset
        | Change::LastResort { .. }
        | Change::Signal { .. }
        | Change::Renice { .. } => return None,
    })
}

/// What the GPU says now, against what was wanted.
fn verify(device: &mut Device, caller: &Caller, change: &Change, setting: Setting) -> Outcome {
    match setting {
        Setting::LockGraphicsClocks(_, most) => {
            clock_within(device, caller, most, |live| live.graphics_clock.clone())
        }
        Setting::LockMemoryClocks(_, most) => {
            clock_within(device, caller, most, |live| live.memory_clock.clone())
        }
        Setting::UnlockGraphicsClocks | Setting::UnlockMemoryClocks => Outcome::Done {
            verified: "the driver took it; it has no call that reads a clock lock back".to_owned(),
        },
        Setting::ClearEcc(_) => {
            let now = read(device, caller).current(change);
            match now.as_deref() {
                Some(zero @ "0 corrected, 0 uncorrected") => {
                    Outcome::Done { verified: format!("read back: {zero}") }
                }
                _ => not_as_wanted(now, change),
            }
        }
        Setting::PowerLimit(_) | Setting::Persistence(_) | Setting::ComputeMode(_) => {
            let now = read(device, caller).current(change);
            if now.as_deref() == Some(change.wanted().as_str()) {
                Outcome::Done { verified: format!("read back: {}", change.wanted()) }
            } else {
                not_as_wanted(now, change)
            }
        }
    }
}

fn not_as_wanted(now: Option<String>, change: &Change) -> Outcome {
    let error = match &now {
        Some(_) => format!("the driver took it, and the {} is not {}", change.setting(), change.wanted()),
        None => format!("the driver took it, and the {} can no longer be read", change.setting()),
    };
    Outcome::Failed { error, now, advice: advice(change) }
}

fn failed(error: String, device: &mut Device, caller: &Caller, change: &Change) -> Outcome {
    let now = read(device, caller).current(change);
    let advice = if device.is_lost() {
        "the GPU is lost: see the kernel log for its Xid; it comes back with a reboot".to_owned()
    } else {
        advice(change)
    };
    Outcome::Failed { error, now, advice }
}

fn advice(change: &Change) -> String {
    format!("look at the GPU's findings and the kernel log, then plan the {} anew", change.setting())
}

/// A lock has no getter: the clock itself shows whether it holds.
fn clock_within(
    device: &mut Device,
    caller: &Caller,
    most: u32,
    clock: fn(&crate::model::Live) -> Reading<Megahertz>,
) -> Outcome {
    let mut last = None;
    for _ in 0..LOOKS {
        match clock(&device.live(caller)) {
            Ok(now) if now.0 <= most => {
                return Outcome::Done {
                    verified: format!("the driver took it, and the clock is {now}, not above {most} MHz"),
                };
            }
            Ok(now) => last = Some(now),
            Err(absence) => {
                return Outcome::Failed {
                    error: format!("the driver took it, and the clock cannot be read: {absence}"),
                    now: None,
                    advice: "see the kernel log".to_owned(),
                };
            }
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Outcome::Failed {
        error: format!("the driver took it, and the clock stays above {most} MHz"),
        now: last.map(|clock| clock.to_string()),
        advice:
            "lift the lock (kgtop act clocks --reset) and try a range of nvidia-smi -q -d SUPPORTED_CLOCKS"
                .to_owned(),
    }
}

fn on_process(
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
    audited(place, clock, plan, say, || match &plan.change {
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
                Ok(now) if now == *nice => Outcome::Done { verified: format!("read back: {now}") },
                Ok(now) => Outcome::Failed {
                    error: format!("the niceness is not {nice}"),
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
