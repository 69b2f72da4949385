//! The preflight: every reason why a change of a GPU would be refused or would hurt, found before anything is sent.

mod mig;
mod reset;

use super::change::{Change, format_watts};
use super::facts::{GpuFacts, HostFacts, milliwatts};
use super::plan::{Refusal, RefusalKind};
use super::settings::ComputeMode;
use crate::model::{Absence, GpuState, Reading};

/// `NVML_GPU_VIRTUALIZATION_MODE_VGPU`
const VGPU_GUEST: u32 = 2;

fn refusal(kind: RefusalKind, reason: impl Into<String>) -> Refusal {
    Refusal { kind, reason: reason.into() }
}

/// Everything that stands in the way of `change` on this GPU.
pub(super) fn refusals(gpu: &GpuFacts, host: &HostFacts, change: &Change) -> Vec<Refusal> {
    let mut found = Vec::new();
    if !host.is_root {
        found.push(refusal(
            RefusalKind::NotRoot,
            format!("the driver lets only root change the {}: run it through sudo", change.setting()),
        ));
    }
    if gpu.uuid.is_none() || gpu.address.is_none() {
        found.push(refusal(
            RefusalKind::Unread,
            "its UUID and PCI address cannot both be read: what is changed must be known for certain",
        ));
    }
    let is_reset = matches!(change, Change::Reset | Change::LastResort { .. });
    let remedied = is_reset && gpu.waits_for_reset();
    if gpu.state != GpuState::Ok && !remedied {
        let advice = if gpu.waits_for_reset() {
            "the driver answers nothing before it is reset (kgtop act reset)"
        } else if gpu.state == GpuState::Lost {
            "a lost GPU comes back with a reboot, not with a reset or a setting"
        } else {
            "wait until it answers"
        };
        found.push(refusal(RefusalKind::Lost, format!("the GPU is {}: {advice}", gpu.state.name())));
    }
    if gpu.virtualization == Ok(VGPU_GUEST) {
        found.push(refusal(
            RefusalKind::VgpuGuest,
            "this is a vGPU guest: the setting belongs to the host of the virtual machine",
        ));
    }
    // What root alone may read, root reads when the plan is made again with root's rights.
    let for_root = |absence: &Absence| !host.is_root && *absence == Absence::NoPermission;
    // A GPU that waits for its reset has no process list; who holds its device file is looked for all the same.
    if let Err(absence) = &gpu.holders
        && !for_root(absence)
        && !remedied
    {
        found.push(refusal(
            RefusalKind::Unread,
            format!("the processes on the GPU could not be read ({absence}): nobody knows whom it disturbs"),
        ));
    }
    match change {
        Change::PowerLimit { milliwatts } => power_limit(gpu, *milliwatts, &mut found),
        Change::LockClocks { domain, least, most } => {
            let highest = match domain {
                super::ClockDomain::Graphics => &gpu.max_graphics_clock,
                super::ClockDomain::Memory => &gpu.max_memory_clock,
            };
            clocks(*least, *most, highest.as_ref().map(|clock| clock.0).map_err(Clone::clone), &mut found);
        }
        Change::Persistence { .. } => read(&gpu.persistence, "persistence mode", &mut found),
        Change::ComputeMode { mode } => {
            read(&gpu.compute_mode, "compute mode", &mut found);
            if gpu.mig == Ok(true) {
                found.push(refusal(
                    RefusalKind::Mig,
                    "the GPU is in MIG mode, in which it has no compute mode",
                ));
            }
            let holders = gpu.holders.as_ref().map_or(0, Vec::len);
            if *mode == ComputeMode::ExclusiveProcess && holders > 1 {
                found.push(refusal(
                    RefusalKind::Held,
                    format!(
                        "{holders} processes are on the GPU, and the mode allows one: end the others first"
                    ),
                ));
            }
        }
        Change::ClearEcc { counters } => {
            if gpu.current(change).is_none() {
                found.push(refusal(
                    RefusalKind::NotSupported,
                    format!(
                        "the {} ECC counters cannot be read here, so they cannot be saved first",
                        counters.name()
                    ),
                ));
            }
        }
        Change::Reset | Change::LastResort { .. } => reset::reset(gpu, host, &mut found),
        Change::MigCreate { profiles } => mig::create(gpu, profiles, &mut found),
        Change::MigDestroy { instance } => mig::destroy(gpu, *instance, &mut found),
        Change::UnlockClocks { .. } | Change::DefaultApplicationClocks => {}
        Change::Signal { .. } | Change::Renice { .. } => {
            found.push(refusal(RefusalKind::WrongRemedy, "this is about a process, not a GPU"));
        }
    }
    found
}

fn read<T>(reading: &Reading<T>, what: &str, found: &mut Vec<Refusal>) {
    match reading {
        Ok(_) => {}
        Err(Absence::NotSupported) => {
            found.push(refusal(RefusalKind::NotSupported, format!("this GPU or driver has no {what}")));
        }
        Err(absence) => {
            found.push(refusal(RefusalKind::Unread, format!("the {what} could not be read: {absence}")));
        }
    }
}

fn power_limit(gpu: &GpuFacts, wanted: u32, found: &mut Vec<Refusal>) {
    match (&gpu.power_limit, &gpu.power_range) {
        (Ok(_), Ok((least, most))) => {
            let (least, most) = (milliwatts(*least), milliwatts(*most));
            if !(least..=most).contains(&wanted) {
                found.push(refusal(
                    RefusalKind::OutOfRange,
                    format!(
                        "{} is out of range: {} to {} can be set",
                        format_watts(wanted),
                        format_watts(least),
                        format_watts(most)
                    ),
                ));
            }
        }
        (Err(Absence::NotSupported), _) | (_, Err(Absence::NotSupported)) => {
            let laptop = ["Laptop", "Mobile", "Max-Q"].iter().any(|word| gpu.name.contains(word));
            let why = if laptop { ": on a laptop it belongs to the firmware" } else { "" };
            found.push(refusal(
                RefusalKind::NotSupported,
                format!("the power limit of this GPU cannot be set{why}"),
            ));
        }
        (Err(absence), _) | (_, Err(absence)) => {
            found.push(refusal(RefusalKind::Unread, format!("the power limit could not be read: {absence}")));
        }
    }
}

fn clocks(least: u32, most: u32, highest: Reading<u32>, found: &mut Vec<Refusal>) {
    match highest {
        Ok(highest) if least == 0 || least > most || most > highest => found.push(refusal(
            RefusalKind::OutOfRange,
            format!("{least} to {most} MHz is no range within 1 to {highest} MHz"),
        )),
        Ok(_) => {}
        Err(absence) => found.push(refusal(
            RefusalKind::NotSupported,
            format!("the highest clock could not be read ({absence}), so no range can be checked"),
        )),
    }
}
