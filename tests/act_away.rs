//! `kgtop act reset` and the last resorts against a stand-in `nvidia-smi` and a made-up `/proc`, `/dev` and `/sys`: what
//! is run, in which order, what refuses it, and what is said when a step fails.
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
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use machine::{ADDRESS, Machine, acted, is_root, text};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};

const RESET: [&str; 6] = ["reset", "--gpu", "0", "--yes", "--force-destructive", ADDRESS];
/// Asks for a reset; a row remap is pending.
const SICK: &str = "set = { recovery_action = 1, remap_pending = true, ecc_uncorrected_volatile = 1 }\n";
const WITHOUT_PERSISTENCE: &str = "set = { persistence = false }\n";

const OFF: &str = "-i 00000000:00:06.0 -pm 0";
const ON: &str = "-i 00000000:00:06.0 -pm 1";
const RESETS: &str = "-i 00000000:00:06.0 --gpu-reset";

fn says(output: &Output, parts: &[&str]) {
    for part in parts {
        assert!(text(output).contains(part), "{part} is not in\n{}", text(output));
    }
}

/// Refused for `reason`, with nothing told to anybody and nothing written down.
fn refused(machine: &Machine, output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(3), "{}", text(output));
    says(output, &[reason]);
    assert_eq!(machine.smi_told(), [] as [String; 0]);
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_reset_takes_persistence_off_resets_and_compares_the_health() {
    let machine = Machine::new(SICK);
    machine.afterwards("");
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(machine.smi_told(), [OFF, RESETS, ON]);
    says(
        &output,
        &[
            "recovery action GPU reset → none",
            "pending row remap on → off",
            "volatile ECC 0 corrected, 1 uncorrected → 0 corrected, 0 uncorrected",
            "nvidia-smi -i 00000000:00:06.0 --gpu-reset",
        ],
    );
    assert_eq!(machine.outcomes(), ["done"]);
    assert_eq!(machine.sent(), "", "the driver library set nothing");
}

#[test]
fn persistence_that_is_off_stays_off() {
    let machine = Machine::new(WITHOUT_PERSISTENCE);
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(machine.smi_told(), [RESETS]);
}

#[test]
fn a_gpu_that_still_asks_for_it_afterwards_is_a_failure() {
    let machine = Machine::new(SICK);
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    says(&output, &["went through", "the driver still asks for: GPU reset", "a row remap is still pending"]);
    assert_eq!(machine.outcomes(), ["failed"]);
}

#[test]
fn a_gpu_that_does_not_come_back_is_a_failure() {
    let machine = Machine::new("");
    machine.afterwards("state = \"lost\"\n");
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    says(&output, &["went through, and the driver does not show the GPU", "reboot, then a power cycle"]);
}

#[test]
fn a_reset_that_fails_says_why_and_brings_persistence_back() {
    let cases = [
        ("busy", "In use by another client", "--dry-run names who has it now"),
        (
            "unsupported",
            "Not Supported",
            "as it was; this GPU, driver or platform has no reset: drain the machine",
        ),
        ("silent", "did not say that the GPU was reset", "keep work off it"),
    ];
    for (mode, said, advice) in cases {
        let machine = Machine::new("");
        machine.smi_is(mode);
        let Some(output) = acted(&machine, &RESET) else { return };
        assert_eq!(output.status.code(), Some(4), "{mode}: {}", text(&output));
        says(&output, &[said, advice]);
        assert_eq!(machine.smi_told(), [OFF, RESETS, ON], "{mode}");
        assert_eq!(machine.outcomes(), ["failed"], "{mode}");
    }
}

#[test]
fn a_reset_that_failed_on_its_way_leaves_a_gpu_whose_state_is_not_known() {
    let machine = Machine::new(SICK);
    machine.smi_is("halfway");
    machine.afterwards("set = { recovery_action = 2, remap_pending = true }\n");
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    says(
        &output,
        &["Unknown Error", "recovery action GPU reset → node reboot", "the state of the GPU is not known"],
    );
    assert!(!text(&output).contains("is as it was"), "{}", text(&output));
}

#[test]
fn persistence_that_does_not_go_off_ends_it_before_the_reset() {
    let machine = Machine::new("");
    machine.smi_is("stubborn");
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    says(&output, &["persistence mode could not be turned off", "no GPU reset was begun"]);
    assert_eq!(machine.smi_told(), [OFF]);
}

#[test]
fn persistence_that_does_not_come_back_is_told_with_the_command() {
    let machine = Machine::new("");
    machine.smi_is("partial");
    let Some(output) = acted(&machine, &RESET) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    says(
        &output,
        &[
            "the GPU reset went through, and persistence mode could not be turned on again",
            "persistence mode is off now: nvidia-smi -i 00000000:00:06.0 -pm 1",
        ],
    );
}

#[test]
fn a_reset_that_hangs_is_reported_and_outlives_who_waits_for_it() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return; // refused before it begins, as the tests above show
    }
    let machine = Machine::new("");
    machine.smi_is("hang");
    let mut waiting = machine.command(&RESET).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let reported = BufReader::new(waiting.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("waiting for nvidia-smi -i 00000000:00:06.0 --gpu-reset (PID "));
    assert!(reported.is_some_and(|line| line.contains("state ") && line.contains("not killed")));
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    assert_eq!(machine.outcomes(), [] as [String; 0]);
    std::fs::write(machine.path("go"), "").unwrap();
    machine.wait_until("the end of the reset in the audit log", || machine.outcomes() == ["done"]);
    assert_eq!(machine.smi_told(), [OFF, RESETS, ON]);
}

#[test]
fn signals_do_not_end_a_reset_that_was_begun() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    machine.smi_is("hang");
    let mut child = machine.start(&machine.plan(&["reset", "--gpu", "0"]), &[]);
    machine.wait_until("the reset", || machine.smi_told().iter().any(|line| line == RESETS));
    let pid = rustix::process::Pid::from_child(&child);
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM, rustix::process::Signal::HUP]
    {
        rustix::process::kill_process(pid, signal).unwrap();
    }
    std::fs::write(machine.path("go"), "").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    // Whoever shows it stops its collector before, and starts it after.
    let place = |part: &str| said.find(part).unwrap_or_else(|| panic!("{part} is not in\n{said}"));
    let stop = place("{\"progress\":\"collector\",\"wanted\":false}");
    let start = place("{\"progress\":\"collector\",\"wanted\":true}");
    assert!(stop < place("--gpu-reset\"") && place("--gpu-reset\"") < start, "{said}");
}

#[test]
fn everybody_who_has_the_gpu_open_is_named_before_anything_is_run() {
    let cases: [(&str, &str, &str); 5] = [
        ("nvidia-persiste", "/dev/nvidia0", "systemctl stop nvidia-persistenced"),
        ("nv-hostengine", "/dev/nvidia0", "systemctl stop nvidia-dcgm"),
        ("dcgm-exporter", "/dev/nvidia0", "stop the exporter"),
        ("nvtop", "/dev/nvidia0", "leave the monitor"),
        ("Xorg", "/dev/dri/card1", "end the graphical session"),
    ];
    for (name, file, advice) in cases {
        let machine = Machine::new("");
        std::fs::create_dir_all(machine.path(&format!("root/sys/bus/pci/devices/{ADDRESS}/drm/card1")))
            .unwrap();
        std::fs::create_dir_all(machine.path("root/dev/dri")).unwrap();
        std::fs::write(machine.path("root/dev/dri/card1"), "").unwrap();
        machine.process(41, name, file);
        // Another GPU's file is no reason.
        machine.process(42, "python", "/dev/nvidia1");
        let Some(output) = acted(&machine, &RESET) else { return };
        refused(&machine, &output, &format!("{name} (PID 41) holds the device file of the GPU: {advice}"));
        assert!(!text(&output).contains("PID 42"), "{}", text(&output));
        assert_eq!(machine.audit().len(), 0);
    }
}

#[test]
fn what_a_reset_cannot_mend_or_cannot_know_is_refused() {
    type Alter = fn(&Machine);
    let cases: [(&str, Alter, &str); 7] = [
        ("set = { recovery_action = 2 }\n", |_| {}, "asks for a reboot of the machine"),
        ("set = { recovery_action = 3 }\n", |_| {}, "stop peer-to-peer jobs first"),
        (
            "",
            |m| std::fs::create_dir_all(m.path("root/sys/module/nvidia_drm")).unwrap(),
            "nvidia_drm is loaded",
        ),
        ("", |m| std::fs::write(m.path("root/.dockerenv"), "").unwrap(), "in a container"),
        ("", |m| std::fs::remove_file(m.path("root/dev/nvidia0")).unwrap(), "/dev/nvidia0"),
        (
            "",
            |m| std::fs::remove_file(m.path("root/usr/bin/nvidia-smi")).unwrap(),
            "nvidia-smi is in none of its places",
        ),
        (
            "",
            |m| {
                std::fs::write(m.path("root/root.toml"), "[file.\"/proc/1/fd\"]\nerror = \"EACCES\"\n")
                    .unwrap();
            },
            "not all of /proc can be read",
        ),
    ];
    for (scenario, alter, reason) in cases {
        let machine = Machine::new(scenario);
        alter(&machine);
        let Some(output) = acted(&machine, &RESET) else { return };
        refused(&machine, &output, reason);
    }
}

#[test]
fn a_lost_gpu_is_told_to_need_a_reboot() {
    let machine = Machine::new("state = \"lost\"\n");
    let output = machine.act(&RESET);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output));
    says(&output, &["lost: it comes back with a reboot, not with a reset"]);
    assert_eq!(machine.smi_told(), [] as [String; 0]);
}

#[test]
fn nothing_that_lies_in_a_captured_tree_is_run_unless_its_directory_is_named() {
    let machine = Machine::new("");
    let output = machine.without_tools(&RESET).output().unwrap();
    refused(&machine, &output, "below --root no nvidia-smi is run unless --tools names its directory");
}

#[test]
fn a_root_and_tools_may_be_named_from_where_one_stands() {
    let machine = Machine::new("");
    let command = machine.without_tools(&RESET);
    let whole = machine.path("root");
    let arguments: Vec<_> = command
        .get_args()
        .map(|argument| if argument == whole { "root".into() } else { argument.to_owned() })
        .collect();
    let mut there = std::process::Command::new(command.get_program());
    there.args(arguments).args(["--tools", "root/usr/bin"]).current_dir(machine.path(""));
    there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = there.output().unwrap();
    if is_root() {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert_eq!(machine.smi_told(), [OFF, RESETS, ON]);
    }
}

#[test]
fn nothing_is_searched_for_on_the_path_that_was_inherited() {
    let machine = Machine::new("");
    // One that would be found first.
    let other = machine.path("bin");
    std::fs::create_dir(&other).unwrap();
    let trap = other.join("nvidia-smi");
    std::fs::write(&trap, format!("#!/bin/sh\ntouch {}\n", machine.path("trapped").display())).unwrap();
    std::fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = machine.command(&RESET).env("PATH", &other).output().unwrap();
    assert!(!machine.path("trapped").exists());
    if is_root() {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert_eq!(machine.smi_told(), [OFF, RESETS, ON]);
    }
}

#[test]
fn who_opens_the_gpu_after_the_plan_was_made_stops_it() {
    let machine = Machine::new("");
    let plan = machine.plan(&["reset", "--gpu", "0"]);
    machine.process(77, "python", "/dev/nvidia0");
    let output = machine.child(&plan);
    if is_root() {
        refused(&machine, &output, "python (PID 77)");
    } else {
        refused(&machine, &output, "only root");
    }
}

#[test]
fn an_nvidia_smi_that_others_can_write_is_not_run_as_root() {
    let machine = Machine::new("");
    let smi = machine.path("root/usr/bin/nvidia-smi");
    std::fs::set_permissions(smi, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let Some(output) = acted(&machine, &RESET) else { return };
    refused(&machine, &output, "runs no program that others can write");
}

#[test]
fn a_reset_is_of_one_gpu_that_is_named() {
    let machine = Machine::new("");
    for arguments in [&["reset", "--all"][..], &["reset"], &["reset", "--all", "--yes"]] {
        let output = machine.act(arguments);
        assert_eq!(output.status.code(), Some(64), "{}", text(&output));
    }
    assert_eq!(machine.smi_told(), [] as [String; 0]);
}

/// Does what the kernel does when the files of sysfs are written to, until the device is back.
fn kernel(machine: &Machine) -> std::thread::JoinHandle<()> {
    let sys = machine.path("root/sys/bus/pci");
    let device = sys.join("devices").join(ADDRESS);
    let drivers = sys.join("drivers/nvidia");
    std::fs::create_dir_all(&drivers).unwrap();
    std::fs::create_dir_all(&device).unwrap();
    for file in [sys.join("rescan"), drivers.join("bind"), drivers.join("unbind"), device.join("remove")] {
        std::fs::write(file, "").unwrap();
    }
    symlink("../../drivers/nvidia", device.join("driver")).unwrap();
    std::thread::spawn(move || {
        let said = |file: std::path::PathBuf| std::fs::read_to_string(file).unwrap_or_default();
        for _ in 0..3_000 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            if said(device.join("remove")) == "1" {
                std::fs::remove_dir_all(&device).unwrap();
            }
            if said(drivers.join("unbind")) == ADDRESS {
                let _gone_already = std::fs::remove_file(device.join("driver"));
            }
            if said(sys.join("rescan")) == "1" || said(drivers.join("bind")) == ADDRESS {
                std::fs::create_dir_all(&device).unwrap();
                symlink("../../drivers/nvidia", device.join("driver")).unwrap();
                return;
            }
        }
    })
}

#[test]
fn the_last_resorts_write_to_sysfs_and_only_when_allowed() {
    for (action, steps) in [
        ("pci-rescan", ["/remove", "/sys/bus/pci/rescan"]),
        ("driver-rebind", ["/driver/unbind", "/sys/bus/pci/drivers/nvidia/bind"]),
    ] {
        let machine = Machine::new("");
        let arguments = [action, "--gpu", "0", "--yes", "--force-destructive", ADDRESS];
        let without = machine.act(&arguments);
        assert_eq!(without.status.code(), Some(64), "{}", text(&without));
        says(&without, &["--last-resort"]);
        let kernel = kernel(&machine);
        let Some(output) = acted(&machine, &[&arguments[..], &["--last-resort"]].concat()) else { return };
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        says(&output, &steps);
        kernel.join().unwrap();
        assert_eq!(machine.smi_told(), [OFF, ON]);
        assert_eq!(machine.outcomes(), ["done"]);
        // The plan alone does not allow it.
        let plan = machine.plan(&[action, "--gpu", "0", "--last-resort"]);
        let output = machine.child(&plan);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    }
}

#[test]
fn a_device_that_the_kernel_does_not_let_go_is_told_with_where_it_stands() {
    let machine = Machine::new("");
    // No such file below /sys: the write fails.
    let arguments = ["pci-rescan", "--gpu", "0", "--yes", "--force-destructive", ADDRESS, "--last-resort"];
    let Some(output) = acted(&machine, &arguments) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    says(&output, &["the device is where it was"]);
    assert_eq!(machine.smi_told(), [OFF, ON]);
}
