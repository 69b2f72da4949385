use super::*;
use crate::model::{Absence, GpuInfo, GpuState, Health, Live};
use crate::units::{Megahertz, Mono, Watts};

pub(super) fn host() -> HostFacts {
    HostFacts {
        hostname: "node".into(),
        boot_id: "boot-1".into(),
        is_root: true,
        program: "/usr/bin/kgtop".into(),
        pids_visible: true,
        in_container: false,
        proc_partial: None,
        drm_loaded: false,
        fabric_manager: Some(true),
        open_by: Some(Vec::new()),
    }
}

pub(super) fn gpu() -> GpuFacts {
    let info = GpuInfo {
        uuid: Ok("GPU-1".into()),
        pci_bus_id: Ok("0000:41:00.0".into()),
        index: Ok(3),
        name: Ok("NVIDIA H200".into()),
        min_power_limit: Ok(Watts(200.0)),
        max_power_limit: Ok(Watts(700.0)),
        default_power_limit: Ok(Watts(700.0)),
        max_sm_clock: Ok(Megahertz(1980)),
        ..GpuInfo::default()
    };
    let health = Health {
        power_limit_set: Ok(Watts(700.0)),
        persistence: Ok(true),
        compute_mode: Ok(0),
        mig: Ok(false),
        ecc_corrected_volatile: Ok(2),
        ecc_uncorrected_volatile: Ok(0),
        ..Health::default()
    };
    let live = Live { recovery_action: Ok(0), ..Live::default() };
    GpuFacts::of_readings(&info, Some(&live), Some(&health)).with_list(&Ok(Vec::new()))
}

fn holder(pid: u32) -> HolderFacts {
    HolderFacts {
        pid,
        start: 7,
        name: Some("python".into()),
        user: Some("ann".into()),
        ..HolderFacts::default()
    }
}

pub(super) fn limit(watts: u32) -> Change {
    Change::PowerLimit { milliwatts: watts * 1_000 }
}

fn kinds(plan: &Plan) -> Vec<RefusalKind> {
    plan.refusals.iter().map(|refusal| refusal.kind).collect()
}

#[test]
fn a_power_limit_in_range_on_an_idle_gpu_is_one_key_and_can_be_undone() {
    let plan = plan_gpu(&gpu(), &host(), limit(250), Mono(1));
    assert_eq!(plan.refusals, []);
    assert_eq!(plan.weight, Weight::Key);
    assert_eq!(plan.expected.as_deref(), Some("700 W"));
    assert_eq!(plan.undo, Some(limit(700)));
    assert_eq!(plan.command, "nvidia-smi -i 00000000:41:00.0 -pl 250");
    let text = plan.text();
    for part in
        ["700 W → 250 W", "200 W to 700 W, default 700 W", "nobody is on the GPU", "GPU-1", "until reboot"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_busy_gpu_takes_a_yes_and_the_plan_names_who_is_on_it() {
    let mut facts = gpu();
    facts.holders = Ok(vec![HolderFacts { slurm_job: Some("4711.0".into()), ..holder(42) }]);
    let plan = plan_gpu(&facts, &host(), limit(250), Mono(1));
    assert_eq!(plan.weight, Weight::YesNo);
    assert!(plan.text().contains("PID 42, python, of ann, Slurm job 4711.0"));
    assert_eq!(plan.drain, ["scontrol update NodeName=node State=DRAIN Reason=gpu", "scancel 4711"]);
}

#[test]
fn every_refusal_is_foreseen_with_its_reason() {
    let refused = |change: &Change, alter: &dyn Fn(&mut GpuFacts, &mut HostFacts)| {
        let (mut facts, mut host) = (gpu(), host());
        alter(&mut facts, &mut host);
        plan_gpu(&facts, &host, change.clone(), Mono(1))
    };
    let out = refused(&limit(701), &|_, _| {});
    assert_eq!(kinds(&out), [RefusalKind::OutOfRange]);
    assert!(out.text().contains("200 W to 700 W can be set"));
    assert_eq!(kinds(&refused(&limit(199), &|_, _| {})), [RefusalKind::OutOfRange]);
    assert_eq!(kinds(&refused(&limit(250), &|_, host| host.is_root = false)), [RefusalKind::NotRoot]);
    assert_eq!(kinds(&refused(&limit(250), &|g, _| g.virtualization = Ok(2))), [RefusalKind::VgpuGuest]);
    assert_eq!(kinds(&refused(&limit(250), &|g, _| g.state = GpuState::Lost)), [RefusalKind::Lost]);
    assert_eq!(kinds(&refused(&limit(250), &|g, _| g.uuid = None)), [RefusalKind::Unread]);
    assert_eq!(
        kinds(&refused(&limit(250), &|g, _| g.power_range = Err(Absence::NotSupported))),
        [RefusalKind::NotSupported]
    );
    let lock = Change::LockClocks { domain: ClockDomain::Graphics, least: 1200, most: 1990 };
    assert_eq!(kinds(&refused(&lock, &|_, _| {})), [RefusalKind::OutOfRange]);
    let mode = Change::ComputeMode { mode: ComputeMode::ExclusiveProcess };
    assert_eq!(kinds(&refused(&mode, &|g, _| g.mig = Ok(true))), [RefusalKind::Mig]);
    assert_eq!(
        kinds(&refused(&mode, &|g, _| g.holders = Ok(vec![holder(1), holder(2)]))),
        [RefusalKind::Held]
    );
}

#[test]
fn a_reset_is_refused_for_every_holder_and_where_nobody_can_be_proven_absent() {
    let refused = |alter: &dyn Fn(&mut GpuFacts, &mut HostFacts)| {
        let (mut facts, mut host) = (gpu(), host());
        alter(&mut facts, &mut host);
        kinds(&plan_gpu(&facts, &host, Change::Reset, Mono(1)))
    };
    assert_eq!(refused(&|_, _| {}), []);
    assert_eq!(refused(&|g, _| g.holders = Ok(vec![holder(9)])), [RefusalKind::Held]);
    assert_eq!(refused(&|_, h| h.open_by = Some(vec![(5, "nv-hostengine".into())])), [RefusalKind::Held]);
    assert_eq!(refused(&|_, h| h.open_by = None), [RefusalKind::ProcPartial]);
    assert_eq!(refused(&|_, h| h.in_container = true), [RefusalKind::Container]);
    assert_eq!(refused(&|_, h| h.proc_partial = Some("hidepid".into())), [RefusalKind::ProcPartial]);
    assert_eq!(refused(&|_, h| h.drm_loaded = true), [RefusalKind::Held]);
    for action in [2, 3, 5, 6, 7] {
        assert_eq!(refused(&|g, _| g.recovery_action = Ok(action)), [RefusalKind::WrongRemedy], "{action}");
    }
    for action in [0, 1, 4] {
        assert_eq!(refused(&|g, _| g.recovery_action = Ok(action)), [], "{action}");
    }
    assert_eq!(refused(&|g, _| g.state = GpuState::Lost), [RefusalKind::Lost]);
    assert_eq!(refused(&|g, _| g.virtualization = Ok(3)), [RefusalKind::Held]);
}

#[test]
fn a_gpu_that_waits_for_its_reset_may_be_reset_and_nothing_else() {
    let refused = |change: &Change, code: u32, open_by: &[(u32, String)]| {
        let mut facts = GpuFacts { state: GpuState::Lost, refusal: Some(code), ..gpu() };
        // It has no process list any more: the device files say who holds it.
        facts.holders = Err(Absence::Lost);
        let host = HostFacts { open_by: Some(open_by.to_vec()), ..host() };
        kinds(&plan_gpu(&facts, &host, change.clone(), Mono(1)))
    };
    assert_eq!(refused(&Change::Reset, 16, &[]), []);
    assert_eq!(refused(&Change::Reset, 16, &[(5, "python".into())]), [RefusalKind::Held]);
    assert_eq!(refused(&Change::Reset, 15, &[]), [RefusalKind::Lost, RefusalKind::Unread]);
    assert_eq!(refused(&limit(250), 16, &[]), [RefusalKind::Lost, RefusalKind::Unread]);
}

#[test]
fn peers_over_nvlink_come_along_where_their_generation_needs_it() {
    let refused = |architecture: &str, links: (u32, u32), fabric_manager: Option<bool>| {
        let facts = GpuFacts { architecture: Ok(architecture.into()), nvlinks: links, ..gpu() };
        let host = HostFacts {
            fabric_manager,
            // Where it helps, it is no obstacle either.
            open_by: Some(if fabric_manager == Some(true) {
                vec![(9, "nv-fabricmanage".into())]
            } else {
                vec![]
            }),
            ..host()
        };
        kinds(&plan_gpu(&facts, &host, Change::Reset, Mono(1)))
    };
    assert_eq!(refused("Volta", (6, 0), Some(false)), [RefusalKind::WrongRemedy]);
    assert_eq!(refused("Volta", (0, 0), Some(false)), []);
    assert_eq!(refused("Ampere", (4, 0), Some(false)), []);
    assert_eq!(refused("Ampere", (12, 12), Some(false)), [RefusalKind::WrongRemedy]);
    assert_eq!(refused("Ampere", (12, 12), None), [RefusalKind::WrongRemedy]);
    assert_eq!(refused("Ampere", (12, 12), Some(true)), []);
    assert_eq!(refused("Hopper", (18, 18), Some(false)), []);
    // From Hopper on it is a holder like any other.
    assert_eq!(refused("Hopper", (18, 18), Some(true)), [RefusalKind::Held]);
    let unknown = GpuFacts { architecture: Err(Absence::NoPermission), nvlinks: (4, 0), ..gpu() };
    assert_eq!(kinds(&plan_gpu(&unknown, &host(), Change::Reset, Mono(1))), [RefusalKind::Unread]);
}

#[test]
fn a_last_resort_has_the_whole_preflight_of_a_reset() {
    let last = |remedy| Change::LastResort { remedy };
    for remedy in [Remedy::PciRescan, Remedy::DriverRebind] {
        let plan = |facts: &GpuFacts, host: &HostFacts| kinds(&plan_gpu(facts, host, last(remedy), Mono(1)));
        assert_eq!(plan(&gpu(), &host()), []);
        assert_eq!(plan(&GpuFacts { state: GpuState::Lost, ..gpu() }, &host()), [RefusalKind::Lost]);
        assert_eq!(plan(&GpuFacts { recovery_action: Ok(2), ..gpu() }, &host()), [RefusalKind::WrongRemedy]);
        let held = HostFacts { open_by: Some(vec![(5, "nvtop".into())]), ..host() };
        assert_eq!(plan(&gpu(), &held), [RefusalKind::Held]);
        let partial = HostFacts { proc_partial: Some("hidepid".into()), ..host() };
        assert_eq!(plan(&gpu(), &partial), [RefusalKind::ProcPartial]);
    }
}

#[test]
fn what_cannot_be_taken_back_is_typed() {
    let typed = |change| plan_gpu(&gpu(), &host(), change, Mono(1)).weight;
    let bus = Weight::Typed { text: "41:00".into() };
    assert_eq!(typed(Change::Reset), bus);
    assert_eq!(typed(Change::ClearEcc { counters: EccCounters::Volatile }), bus);
    let target = ProcessTarget { holder: holder(42), visible: true, nice: Some(0) };
    let signal = |name: &str| plan_process(&target, &host(), Change::Signal { name: name.into() }, Mono(1));
    assert_eq!(signal("KILL").weight, Weight::Typed { text: "42".into() });
    assert_eq!(signal("TERM").weight, Weight::YesNo);
}

#[test]
fn a_process_of_another_namespace_or_unseen_is_never_signalled() {
    let signal = Change::Signal { name: "TERM".into() };
    let target = ProcessTarget { holder: holder(42), visible: true, nice: None };
    let inside = HostFacts { pids_visible: false, ..host() };
    assert_eq!(kinds(&plan_process(&target, &inside, signal.clone(), Mono(1))), [RefusalKind::NotProven]);
    let unseen = ProcessTarget { visible: false, ..target.clone() };
    assert_eq!(kinds(&plan_process(&unseen, &host(), signal, Mono(1))), [RefusalKind::NotProven]);
    let bogus = Change::Signal { name: "SEGV".into() };
    assert_eq!(kinds(&plan_process(&target, &host(), bogus, Mono(1))), [RefusalKind::NotSupported]);
}

#[test]
fn a_plan_goes_through_json_and_an_edit_is_found() {
    let plan = plan_gpu(&gpu(), &host(), limit(250), Mono(1));
    let json = plan.to_json();
    assert_eq!(Plan::parse(&json).unwrap(), plan);
    let edited = json.replace("250000", "650000");
    assert_ne!(edited, json);
    assert!(matches!(Plan::parse(&edited), Err(PlanError::Edited)));
    assert!(matches!(Plan::parse("{}"), Err(PlanError::NotAPlan(_))));
    let unlocked = json.replace("\"weight\"", "\"wait\"");
    assert!(matches!(Plan::parse(&unlocked), Err(PlanError::NotAPlan(_))));
}

#[test]
fn a_plan_fits_only_the_machine_it_was_made_on() {
    let (facts, host) = (gpu(), host());
    let made = Mono(5_000_000);
    let plan = plan_gpu(&facts, &host, limit(250), made);
    let fits =
        |now: u64, host: &HostFacts, gpu: &GpuFacts| plan.fits(&Fit { now: Mono(now), host, gpu: Some(gpu) });
    assert_eq!(fits(6_000_000, &host, &facts), Ok(()));
    assert_eq!(fits(15_000_001, &host, &facts), Err(FitError::Stale { seconds: 10 }));
    assert_eq!(fits(4_000_000, &host, &facts), Err(FitError::FromTheFuture));
    let other = HostFacts { boot_id: "boot-2".into(), ..host.clone() };
    assert_eq!(fits(6_000_000, &other, &facts), Err(FitError::OtherBoot));
    let moved = GpuFacts { address: Some("0000:42:00.0".into()), ..facts.clone() };
    assert!(matches!(fits(6_000_000, &host, &moved), Err(FitError::OtherTarget(_))));
    let swapped = GpuFacts { uuid: Some("GPU-2".into()), ..facts.clone() };
    assert!(matches!(fits(6_000_000, &host, &swapped), Err(FitError::OtherTarget(_))));
    let changed = GpuFacts { power_limit: Ok(Watts(600.0)), ..facts.clone() };
    assert!(matches!(fits(6_000_000, &host, &changed), Err(FitError::OtherValue { .. })));
    let busy = GpuFacts { holders: Ok(vec![holder(77)]), ..facts };
    assert_eq!(fits(6_000_000, &host, &busy), Err(FitError::NewProcess { pid: 77 }));
}

#[test]
fn what_is_so_already_is_not_sent() {
    assert!(plan_gpu(&gpu(), &host(), limit(700), Mono(1)).already);
    assert!(plan_gpu(&gpu(), &host(), Change::Persistence { on: true }, Mono(1)).already);
    assert!(!plan_gpu(&gpu(), &host(), limit(699), Mono(1)).already);
}

#[test]
fn the_unit_sets_each_gpu_by_its_address() {
    let unit = power_unit(&[("0000:41:00.0".into(), 250_000), ("0000:42:00.0".into(), 300_000)]);
    assert!(unit.text.contains("ExecStart=/usr/bin/nvidia-smi -i 00000000:41:00.0 -pl 250\n"));
    assert!(unit.text.contains("ExecStart=/usr/bin/nvidia-smi -i 00000000:42:00.0 -pl 300\n"));
    assert!(unit.undo.contains("disable --now kgtop-power-limit.service"));
    let undone = "\nsudo kgtop act power-limit default --gpu 0000:41:00.0\n\
                  sudo kgtop act power-limit default --gpu 0000:42:00.0";
    assert!(unit.undo.ends_with(undone), "{}", unit.undo);
}
