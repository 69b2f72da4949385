//! Settings that the driver library sets: read the GPU again, send once, read back.

use super::Place;
use super::execute::{BETWEEN_LOOKS, LOOKS, Say, audited, refused, step, watched};
use crate::actions::{Change, ClockDomain, Fit, GpuFacts, HostFacts, Outcome, Plan, RefusalKind, plan_gpu};
use crate::model::{GpuState, Reading};
use crate::sources::nvml::{self, Caller, Device, Setting};
use crate::units::{Clock, Megahertz};
use std::path::Path;

/// Carries out a change of a setting.
pub(super) fn carry_out(
    place: &Place,
    clock: Clock,
    plan: &Plan,
    host: &HostFacts,
    uuid: &str,
    say: Say<'_>,
) -> Outcome {
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
    let look = |device: &mut Device| -> Result<Plan, Outcome> {
        let facts = watched(say, clock, "the GPU to answer", || read(device, &caller));
        if let Err(error) = plan.fits(&Fit { now: (clock.mono)(), host, gpu: Some(&facts) }) {
            return Err(refused(RefusalKind::Outdated, error));
        }
        let again = plan_gpu(&facts, host, plan.change.clone(), (clock.mono)());
        if again.is_allowed() { Ok(again) } else { Err(Outcome::Refused { refusals: again.refusals }) }
    };
    let again = match look(&mut device) {
        Ok(again) => again,
        Err(outcome) => return outcome,
    };
    if again.already {
        return Outcome::Done {
            verified: format!("it was {} already; nothing was sent", plan.change.wanted()),
        };
    }
    let device = std::cell::RefCell::new(device);
    let still = || look(&mut device.borrow_mut()).map(drop);
    audited(place, clock, plan, say, still, || {
        let mut device = device.borrow_mut();
        step(say, format!("setting the {} to {}", plan.change.setting(), plan.change.wanted()));
        let sent = watched(say, clock, "the driver to take it", || device.set(&caller, setting));
        step(say, "reading it back");
        watched(say, clock, "the GPU to answer", || match sent {
            Ok(()) => verify(&mut device, &caller, &plan.change),
            Err(error) => failed(error.to_string(), &mut device, &caller, &plan.change),
        })
    })
}

/// The GPU of that UUID, from a driver library that this process loads.
pub(super) fn find(library: Option<&Path>, caller: &Caller, uuid: &str) -> Result<Option<Device>, String> {
    let session = nvml::open(library, caller).map_err(|error| error.to_string())?;
    Ok(session.devices(caller).into_iter().find(|device| &*device.id().0 == uuid))
}

/// The facts that a plan rests on, from the driver itself.
fn read(device: &mut Device, caller: &Caller) -> GpuFacts {
    let info = device.info(caller);
    let live = device.live(caller);
    let health = device.health(caller);
    let list = device.process_list(caller);
    let mut facts = GpuFacts::of_readings(&info, Some(&live), Some(&health)).with_list(&list);
    if device.is_lost() {
        (facts.state, facts.refusal) = (GpuState::Lost, device.refusal());
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
        Change::DefaultApplicationClocks => Setting::DefaultApplicationClocks,
        Change::MigCreate { .. }
        | Change::MigDestroy { .. }
        | Change::Reset
        | Change::LastResort { .. }
        | Change::Signal { .. }
        | Change::Renice { .. } => return None,
    })
}

/// What the GPU says now, against what was wanted.
fn verify(device: &mut Device, caller: &Caller, change: &Change) -> Outcome {
    let now = |device: &mut Device| read(device, caller).current(change);
    match change {
        Change::LockClocks { domain: ClockDomain::Graphics, most, .. } => {
            clock_within(device, caller, *most, |live| live.graphics_clock.clone())
        }
        Change::LockClocks { most, .. } => {
            clock_within(device, caller, *most, |live| live.memory_clock.clone())
        }
        Change::UnlockClocks { .. } => Outcome::Done {
            verified: "the driver took it; it has no call that reads a clock lock back".to_owned(),
        },
        Change::DefaultApplicationClocks => application_clocks(device, caller, change),
        Change::ClearEcc { .. } => match now(device) {
            Some(zero) if zero == "0 corrected, 0 uncorrected" => {
                Outcome::Done { verified: format!("read back: {zero}") }
            }
            now => not_as_wanted(now, change),
        },
        _ => {
            let now = now(device);
            if now.as_deref() == Some(change.wanted().as_str()) {
                Outcome::Done { verified: format!("read back: {}", change.wanted()) }
            } else {
                not_as_wanted(now, change)
            }
        }
    }
}

pub(super) fn not_as_wanted(now: Option<String>, change: &Change) -> Outcome {
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

pub(super) fn advice(change: &Change) -> String {
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

/// Application clocks have getters, and so have their defaults.
fn application_clocks(device: &mut Device, caller: &Caller, change: &Change) -> Outcome {
    match device.application_clocks(caller) {
        Ok((now, default)) if now == default => {
            let [graphics, memory] = now;
            Outcome::Done {
                verified: format!("read back: graphics {graphics} and memory {memory}, the defaults"),
            }
        }
        Ok(([graphics, memory], _)) => {
            not_as_wanted(Some(format!("graphics {graphics}, memory {memory}")), change)
        }
        Err(_absence) => not_as_wanted(None, change),
    }
}
