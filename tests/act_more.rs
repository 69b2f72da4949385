//! What lies around an action: undo, events of the audit log, MIG instances, several GPUs, plans that no longer fit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/machine.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod machine;
#[path = "support/pty.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod pty;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use kgtop::actions::{Change, GpuFacts, HostFacts, plan_gpu};
use kgtop::model::{GpuInfo, Health};
use kgtop::units::{Mono, Watts};
use machine::{ADDRESS, BOOT, Machine, UUID, acted, is_root, text};
use pty::Pty;
use std::ffi::OsStr;
use std::process::{Command, Output};

/// Two GPUs, at these addresses.
fn two(first: &str, second: &str, more: &str) -> String {
    format!(
        "title = \"two\"\nduration_seconds = 60\nend = \"stay\"\n[host]\nhostname = \"node\"\ncpus = 4\n\
         memory_gib = 16\n[[gpu]]\nmodel = \"h200\"\ncount = 2\npci = [\"{first}\", \"{second}\"]\n{more}"
    )
}

fn says(output: &Output, parts: &[&str]) {
    for part in parts {
        assert!(text(output).contains(part), "{part} is not in\n{}", text(output));
    }
}

fn exits(output: &Output, status: i32) {
    assert_eq!(output.status.code(), Some(status), "{}", text(output));
}

#[test]
fn the_last_change_of_a_setting_is_taken_back_by_a_plan_of_its_own() {
    let machine = Machine::new("");
    let nothing = machine.act(&["undo", "--gpu", "0", "--dry-run"]);
    exits(&nothing, 64);
    says(&nothing, &["it can take back: nothing"]);
    if acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]).is_none() {
        return;
    }
    exits(&machine.act(&["persistence", "off", "--gpu", "0", "--yes"]), 0);
    // The driver keeps what was set, which the stand-in's next process does not.
    let kept = "set = { power_limit = 250, persistence = false }\n";
    machine.driver_says(kept);
    let dry = machine.act(&["undo", "--gpu", "0", "--dry-run"]);
    says(&dry, &["persistence mode: off → on", "nvidia-smi -i 00000000:00:06.0 -pm 1"]);
    let undone = machine.act(&["undo", "power-limit", "--gpu", "0", "--yes"]);
    exits(&undone, 0);
    says(&undone, &["power limit: 250 W → 700 W", "read back: 700 W"]);
    assert_eq!(machine.sent().lines().last(), Some("nvmlDeviceSetPowerManagementLimit 0 700000"));
    // Undone twice it is as it was.
    machine.driver_says("set = { persistence = false }\n");
    says(&machine.act(&["undo", "power-limit", "--gpu", "0", "--dry-run"]), &["700 W → 250 W"]);
    let other = machine.act(&["undo", "compute-mode", "--gpu", "0", "--yes"]);
    exits(&other, 64);
    says(&other, &["it can take back: power-limit, persistence-mode"]);
}

#[test]
fn what_was_done_is_an_event() {
    let machine = Machine::new("");
    if acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]).is_none() {
        return;
    }
    let words = "power limit: 700 W → 250 W on GPU 0, NVIDIA H200 at 0000:00:06.0 by ";
    let library = stand_in::stand_in_library();
    let root = machine.path("root");
    std::fs::write(root.join("dev/kmsg"), "").unwrap();
    let events = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
        .arg("events")
        .arg("--root")
        .arg(&root)
        .output()
        .unwrap();
    says(&events, &[words, "done: read back: 250 W"]);
    assert_eq!(text(&events).matches("  info  ").count(), 1, "{}", text(&events));
    let arguments: [&OsStr; 6] = [
        "--root".as_ref(),
        root.as_os_str(),
        "--nvml-lib".as_ref(),
        library.as_os_str(),
        "--tab".as_ref(),
        "events".as_ref(),
    ];
    let scenario = machine.path("scenario.toml");
    let mut pty = Pty::kgtop(&arguments, 160, 30, &[("KGTOP_STAND_IN", scenario.as_os_str())]);
    pty.wait_for("the action of before", |screen| screen.contains("power limit: 700 W → 250 W"));
    // Another kgtop acts while this one looks.
    exits(&machine.act(&["compute-mode", "prohibited", "--gpu", "0", "--yes"]), 0);
    pty.wait_for("the action of now", |screen| screen.contains("compute mode: default → prohibited"));
    pty.keys("q");
}

#[test]
fn application_clocks_are_read_back() {
    let machine = Machine::new("");
    let reset = ["clocks", "--reset", "applications", "--gpu", "0", "--yes"];
    let Some(output) = acted(&machine, &reset) else { return };
    exits(&output, 0);
    says(&output, &["nvidia-smi -i 00000000:00:06.0 -rac", "the defaults"]);
    assert_eq!(machine.sent(), "nvmlDeviceResetApplicationsClocks 0\n");
    let stuck =
        "[[fault]]\ncall = \"nvmlDeviceGetApplicationsClock\"\nkind = \"value\"\nvalue = 900\nfrom = 0\n";
    let machine = Machine::new(stuck);
    let output = machine.act(&reset);
    exits(&output, 4);
    says(&output, &["application clocks is not default", "graphics 900 MHz"]);
}

#[test]
fn a_driver_that_does_not_have_it_is_named() {
    let fault = "[[fault]]\ncall = \"nvmlDeviceSetGpuLockedClocks\"\nkind = \"error\"\ncode = 3\nfrom = 0\n";
    let machine = Machine::new(fault);
    let Some(output) = acted(&machine, &["clocks", "--graphics", "300,900", "--gpu", "0", "--yes"]) else {
        return;
    };
    exits(&output, 4);
    says(&output, &["nvmlDeviceSetGpuLockedClocks", "NOT_SUPPORTED"]);
}

#[test]
fn one_of_two_that_fails_is_partly() {
    let fault = "[[fault]]\ncall = \"nvmlDeviceSetPowerManagementLimit\"\ngpu = 1\nkind = \"error\"\ncode = 4\nfrom = 0\n";
    let machine = Machine::of(&two("0000:00:06.0", "0000:00:07.0", fault));
    let Some(output) = acted(&machine, &["power-limit", "250", "--all", "--yes"]) else { return };
    exits(&output, 5);
    says(&output, &["done: read back: 250 W", "NO_PERMISSION"]);
    assert_eq!(machine.outcomes(), ["done", "failed"]);
}

#[test]
fn the_beginning_of_two_uuids_is_refused_with_both() {
    let machine = Machine::of(&two("0000:00:06.0", "0000:00:07.0", ""));
    let output = machine.act(&["power-limit", "250", "--gpu", "GPU-0000", "--yes"]);
    exits(&output, 64);
    says(&output, &["the beginning of several UUIDs", UUID, "0000:00:07.0"]);
    says(
        &machine.act(&["power-limit", "250", "--gpu", "0000:00:07.0", "--dry-run"]),
        &["00000000:00:07.0 -pl 250"],
    );
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_plan_does_not_follow_an_index_to_another_gpu() {
    let machine = Machine::of(&two("0000:00:06.0", "0000:00:07.0", ""));
    let plan = machine.plan(&["power-limit", "250", "--gpu", "1"]);
    std::fs::write(machine.path("scenario.toml"), two("0000:00:07.0", "0000:00:06.0", "")).unwrap();
    let output = machine.child(&plan);
    exits(&output, 3);
    says(&output, &["is at 0000:00:06.0 now, and the plan was made for 0000:00:07.0"]);
    // And not at all where its GPU is gone.
    machine.driver_says("");
    let output = machine.child(&plan);
    exits(&output, 3);
    says(&output, &["the driver has no GPU"]);
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_process_that_came_after_the_plan_was_made_stops_it() {
    let machine = Machine::new("");
    let plan = machine.plan(&["power-limit", "250", "--gpu", "0"]);
    machine.driver_says(
        "[[process]]\npid = 4711\nname = \"python\"\ncommand = [\"python\"]\ngpus = [0]\nmemory_mib = 100\n",
    );
    let output = machine.child(&plan);
    exits(&output, 3);
    says(&output, &["process 4711 came onto the GPU after the plan was made"]);
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_plan_that_is_old_is_refused() {
    let machine = Machine::new("");
    let info = GpuInfo {
        uuid: Ok(UUID.into()),
        pci_bus_id: Ok(ADDRESS.into()),
        min_power_limit: Ok(Watts(200.0)),
        max_power_limit: Ok(Watts(700.0)),
        ..GpuInfo::default()
    };
    let health = Health { power_limit_set: Ok(Watts(700.0)), ..Health::default() };
    let facts = GpuFacts::of_readings(&info, None, Some(&health)).with_list(&Ok(Vec::new()));
    let host = HostFacts {
        hostname: "node".into(),
        boot_id: BOOT.into(),
        is_root: true,
        program: String::new(),
        pids_visible: true,
        in_container: false,
        proc_partial: None,
        drm_loaded: false,
        fabric_manager: None,
        open_by: None,
    };
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = now.tv_sec as u64 * 1_000_000;
    let plan = |made: u64| plan_gpu(&facts, &host, Change::PowerLimit { milliwatts: 250_000 }, Mono(made));
    let output = machine.child(&plan(now - 11_000_000).to_json());
    exits(&output, 3);
    says(&output, &["s old; after 10 s it must be made anew"]);
    let output = machine.child(&plan(now + 60_000_000).to_json());
    exits(&output, 3);
    says(&output, &["made in the future"]);
    assert_eq!(machine.sent(), "");
    assert_eq!(machine.audit().len(), 0);
}

#[test]
fn everybody_may_read_what_root_did() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new("");
    if acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]).is_none() {
        return;
    }
    let mode = |name: &str| std::fs::metadata(machine.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("root/var/log/kgtop"), 0o755);
    assert_eq!(mode("root/var/log/kgtop/audit.jsonl"), 0o644);
}

/// A GPU divided into these instances.
fn divided(instances: &[(u32, &str)]) -> String {
    let instances: String = instances
        .iter()
        .map(|(number, profile)| {
            format!("[[gpu.mig]]\ngpu_instance = {number}\nprofile = \"{profile}\"\nmemory_mib = 18000\n")
        })
        .collect();
    format!("mig_enabled = true\n{instances}")
}

#[test]
fn mig_instances_are_made_by_nvidia_smi_and_read_back() {
    let machine = Machine::new(&divided(&[(1, "1g.18gb")]));
    let list = machine.act(&["mig", "list", "--gpu", "0"]);
    exits(&list, 0);
    says(&list, &["1g.18gb", "7g.141gb", "free"]);
    machine.afterwards(&divided(&[(1, "1g.18gb"), (2, "3g.71gb"), (7, "1g.18gb")]));
    let Some(output) = acted(&machine, &["mig", "create", "9,1g.18gb", "--gpu", "0", "--yes"]) else {
        return;
    };
    exits(&output, 0);
    assert_eq!(machine.smi_told(), ["mig -i 00000000:00:06.0 -cgi 9,1g.18gb -C"]);
    says(&output, &["read back: 1g.18gb (1), 3g.71gb (2), 1g.18gb (7)"]);
}

#[test]
fn what_cannot_be_made_is_refused_before_nvidia_smi_is_run() {
    let whole = divided(&[(0, "7g.141gb")]);
    let some = divided(&[(1, "1g.18gb")]);
    for (scenario, profiles, reason) in [
        ("", "19", "MIG mode is off"),
        (some.as_str(), "4711", "the GPU has no profile 4711; it has 1g.18gb (19)"),
        (some.as_str(), "-rf", "unexpected argument"),
        (some.as_str(), "a;b", "name profiles by number or name"),
        (some.as_str(), "19,19,19,19,19,19,19", "7 of 1g.18gb are asked for, and there is room for 6"),
        (whole.as_str(), "19", "there is room for 0"),
    ] {
        let machine = Machine::new(scenario);
        let output = machine.act(&["mig", "create", profiles, "--gpu", "0", "--yes"]);
        assert!(!output.status.success(), "{}", text(&output));
        says(&output, &[reason]);
        assert_eq!(machine.smi_told(), [] as [String; 0]);
    }
}

#[test]
fn mig_instances_are_destroyed_one_or_all_and_never_in_use() {
    let destroy = ["mig", "destroy", "--gpu", "0", "--yes", "--force-destructive", ADDRESS];
    let machine = Machine::new(&divided(&[(1, "1g.18gb"), (2, "3g.71gb")]));
    let unconfirmed = machine.act(&["mig", "destroy", "--gpu", "0", "--yes"]);
    assert!(!unconfirmed.status.success());
    let wrong = machine.act(&[&destroy[..], &["--instance", "5"]].concat());
    says(&wrong, &["there is no GPU instance 5 to destroy; there are: 1g.18gb (1), 3g.71gb (2)"]);
    assert_eq!(machine.smi_told(), [] as [String; 0]);
    machine.afterwards(&divided(&[(1, "1g.18gb")]));
    let Some(output) = acted(&machine, &[&destroy[..], &["--instance", "2"]].concat()) else { return };
    exits(&output, 0);
    assert_eq!(
        machine.smi_told(),
        ["mig -i 00000000:00:06.0 -dci -gi 2", "mig -i 00000000:00:06.0 -dgi -gi 2"]
    );
    says(
        &output,
        &["back with: nvidia-smi mig -i 00000000:00:06.0 -cgi 3g.71gb -C", "read back: 1g.18gb (1)"],
    );
    // The first command that fails is the last, and what is there is the driver's word.
    machine.smi_is("busy");
    let failed = machine.act(&destroy);
    exits(&failed, 4);
    says(&failed, &["In use by another client", "it is 1g.18gb (1) now"]);
    assert_eq!(machine.smi_told().len(), 3);
    let busy = "[[process]]\npid = 4711\nname = \"python\"\ncommand = [\"python\"]\nuser = \"ann\"\ngpus = [0]\ngpu_instance = 1\n\
                compute_instance = 0\nmemory_mib = 100\n";
    let machine = Machine::new(&format!("{}{busy}", divided(&[(1, "1g.18gb")])));
    let output = machine.act(&destroy);
    exits(&output, 3);
    says(&output, &["PID 4711 runs on 1g.18gb (1)"]);
    assert_eq!(machine.smi_told(), [] as [String; 0]);
}

#[test]
fn the_second_kgtop_on_a_gpu_that_is_being_reset_is_told_so() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    machine.smi_is("hang");
    let reset = machine.plan(&["reset", "--gpu", "0"]);
    let mut first = machine.start(&reset, &[]);
    machine.wait_until("the reset", || machine.smi_told().iter().any(|line| line.contains("--gpu-reset")));
    let second = machine.act(&["power-limit", "250", "--gpu", "0", "--yes"]);
    exits(&second, 3);
    says(&second, &["another kgtop acts on this GPU right now", &format!("PID {}", first.id())]);
    std::fs::write(machine.path("go"), "").unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(machine.sent(), "");
}
