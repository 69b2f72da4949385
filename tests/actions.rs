//! `kgtop act` against the stand-in driver library: what is sent, what is refused, what is written down.
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

use machine::{ADDRESS, Machine, UUID, acted, is_root, text};
use pty::Pty;
use std::io::Write;
use std::process::{Command, Output};

#[test]
fn a_confirmed_power_limit_is_sent_once_read_back_and_written_down_before_and_after() {
    let machine = Machine::new("");
    let Some(output) = acted(&machine, &["power-limit", "250", "--gpu", UUID, "--yes"]) else { return };
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("done: read back: 250 W"), "{}", text(&output));
    assert_eq!(machine.sent(), "nvmlDeviceSetPowerManagementLimit 0 250000\n");
    let audit = machine.audit();
    assert_eq!(
        audit.iter().map(|line| line["phase"].as_str().unwrap()).collect::<Vec<_>>(),
        ["before", "after"]
    );
    assert_eq!(audit[1]["outcome"]["verified"], "read back: 250 W");
    assert_eq!(audit[0]["plan"]["expected"], "700 W");
}

#[test]
fn a_dry_run_and_an_unconfirmed_plan_send_nothing() {
    let machine = Machine::new("");
    let dry = machine.act(&["power-limit", "80%", "--gpu", "0", "--dry-run"]);
    assert!(text(&dry).contains("700 W → 560 W"), "{}", text(&dry));
    assert!(text(&dry).contains("nvidia-smi -i 00000000:00:06.0 -pl 560"), "{}", text(&dry));
    let unconfirmed = machine.act(&["power-limit", "250", "--gpu", "0"]);
    assert!(!unconfirmed.status.success());
    assert_eq!(machine.sent(), "");
    assert_eq!(machine.audit().len(), 0);
}

#[test]
fn out_of_range_and_unknown_gpus_are_refused_with_what_would_be_right() {
    let machine = Machine::new("");
    for watts in ["199", "701", "100000000"] {
        let output = machine.act(&["power-limit", watts, "--gpu", "0", "--yes"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains("200 W to 700 W can be set"), "{}", text(&output));
    }
    for wanted in ["7", "GPU-9", "MIG-0123", "0000:99:00.0"] {
        let output = machine.act(&["power-limit", "250", "--gpu", wanted, "--yes"]);
        assert_eq!(output.status.code(), Some(64), "{}", text(&output));
        assert!(text(&output).contains(UUID) && text(&output).contains(ADDRESS), "{}", text(&output));
    }
    let unnamed = machine.act(&["power-limit", "250", "--yes"]);
    assert!(text(&unnamed).contains("--all"), "{}", text(&unnamed));
    assert_eq!(machine.sent(), "");
}

#[test]
fn what_cannot_be_taken_back_needs_the_target_repeated() {
    let machine = Machine::new("");
    let clear = ["ecc-clear", "volatile", "--gpu", "0", "--yes"];
    if acted(&machine, &clear).is_none() {
        return;
    }
    assert_eq!(machine.sent(), "");
    let wrong = machine.act(&[&clear[..], &["--force-destructive", "0000:41:00.0"]].concat());
    assert_eq!(wrong.status.code(), Some(64), "{}", text(&wrong));
    assert_eq!(machine.sent(), "");
    let right = machine.act(&[&clear[..], &["--force-destructive", "00000000:00:06.0"]].concat());
    assert_eq!(right.status.code(), Some(0), "{}", text(&right));
    assert_eq!(machine.sent(), "nvmlDeviceClearEccErrorCounts 0 0\n");
    assert_eq!(machine.audit()[0]["plan"]["expected"], "0 corrected, 0 uncorrected");
}

#[test]
fn read_only_removes_actions_by_flag_and_by_environment() {
    let machine = Machine::new("");
    let flag = machine.act(&["power-limit", "250", "--gpu", "0", "--yes", "--read-only"]);
    let variable = machine
        .command(&["power-limit", "250", "--gpu", "0", "--yes"])
        .env("KGTOP_READ_ONLY", "1")
        .output()
        .unwrap();
    for output in [flag, variable] {
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    }
    assert_eq!(machine.sent(), "");
}

#[test]
fn the_drivers_refusal_is_named_and_the_value_is_the_drivers() {
    let fault =
        "[[fault]]\ncall = \"nvmlDeviceSetPowerManagementLimit\"\nkind = \"error\"\ncode = 4\nfrom = 0\n";
    let machine = Machine::new(fault);
    let Some(output) = acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("NO_PERMISSION"), "{}", text(&output));
    assert!(text(&output).contains("it is 700 W now"), "{}", text(&output));
    assert_eq!(machine.audit()[1]["outcome"]["outcome"], "failed");
}

#[test]
fn a_value_that_does_not_stick_is_a_failure() {
    let fault =
        "[[fault]]\ncall = \"nvmlDeviceGetPowerManagementLimit\"\nkind = \"value\"\nvalue = 700\nfrom = 0\n";
    let machine = Machine::new(fault);
    let Some(output) = acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]) else { return };
    assert_eq!(machine.sent(), "nvmlDeviceSetPowerManagementLimit 0 250000\n", "{}", text(&output));
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("is not 250 W"), "{}", text(&output));
}

#[test]
fn a_gpu_that_is_lost_during_the_change_fails_with_what_to_do() {
    let fault =
        "[[fault]]\ncall = \"nvmlDeviceSetPowerManagementLimit\"\nkind = \"error\"\ncode = 15\nfrom = 0\n";
    let machine = Machine::new(fault);
    let Some(output) = acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]) else { return };
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("GPU_IS_LOST") && text(&output).contains("reboot"), "{}", text(&output));
}

#[test]
fn an_edited_plan_a_plan_of_another_boot_and_no_plan_are_refused() {
    let machine = Machine::new("");
    let plan = machine.plan(&["power-limit", "250", "--gpu", "0"]);
    let edited = plan.replace("\"milliwatts\":250000", "\"milliwatts\":650000");
    assert_ne!(edited, plan);
    let refused = |output: Output, why: &str| {
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains(why), "{why}: {}", text(&output));
    };
    refused(machine.child(&edited), "edited");
    refused(machine.child("not a plan"), "not a plan");
    refused(machine.child(""), "not a plan");
    let boot_id = machine.path("root/proc/sys/kernel/random/boot_id");
    std::fs::write(boot_id, "99999999-2222-3333-4444-555555555555\n").unwrap();
    refused(machine.child(&plan), "another boot");
    assert_eq!(machine.sent(), "");
    assert_eq!(machine.audit().len(), 0);
}

#[test]
fn the_second_of_two_kgtops_is_told_who_acts() {
    let machine = Machine::new("");
    let plan = machine.plan(&["power-limit", "250", "--gpu", "0"]);
    let locks = machine.path("root/run/kgtop");
    std::fs::create_dir_all(&locks).unwrap();
    let lock = std::fs::File::create(locks.join(format!("{UUID}.lock"))).unwrap();
    (&lock).write_all(b"PID 4711, since 1").unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let output = machine.child(&plan);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("PID 4711"), "{}", text(&output));
    assert_eq!(machine.sent(), "");
}

#[test]
fn processes_that_cannot_be_read_refuse_the_dry_run_as_they_refuse_the_run() {
    let fault = |call: &str| {
        let call = format!("nvmlDeviceGet{call}RunningProcesses_v3");
        format!("[[fault]]\ncall = \"{call}\"\nkind = \"error\"\ncode = 4\nfrom = 0\n")
    };
    let process =
        "[[process]]\npid = 4711\nname = \"python\"\ncommand = [\"python\"]\ngpus = [0]\nmemory_mib = 100\n";
    let scenario = process.to_owned() + &["Compute", "Graphics", "MPSCompute"].map(fault).concat();
    let machine = Machine::new(&scenario);
    for last in ["--dry-run", "--yes"] {
        let output = machine.act(&["power-limit", "250", "--gpu", "0", last]);
        assert_eq!(output.status.code(), Some(3), "{last}: {}", text(&output));
        assert!(text(&output).contains("not known: the processes on the GPU could not be read"), "{last}");
        assert!(!text(&output).contains("nobody is on the GPU"), "{last}: {}", text(&output));
        let reason = "Refused   the processes on the GPU could not be read";
        assert!(text(&output).contains(if is_root() { reason } else { "only root" }), "{last}");
    }
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_log_that_cannot_grow_is_left_as_it_was() {
    let machine = Machine::new("");
    if acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]).is_none() {
        return;
    }
    let log = machine.path("root/var/log/kgtop/audit.jsonl");
    let before = std::fs::read(&log).unwrap();
    // A file may have so many KiB, which ends within the next line.
    let kilobytes = (before.len() / 1024 + 1).to_string();
    let command = machine.command(&["power-limit", "300", "--gpu", "0", "--yes"]);
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -f \"$0\"; trap '' XFSZ; exec \"$@\"", &kilobytes]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("File too large"), "{}", text(&output));
    assert_eq!(std::fs::read(&log).unwrap(), before);
}

#[test]
fn another_kgtop_that_writes_to_the_log_without_end_refuses() {
    let machine = Machine::new("");
    let log = machine.path("root/var/log/kgtop");
    std::fs::create_dir_all(&log).unwrap();
    let lock = std::fs::File::create(log.join("audit.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let Some(output) = acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]) else { return };
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("the audit log is held by another kgtop"), "{}", text(&output));
    assert_eq!(machine.sent(), "");
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let machine = Machine::new("");
    std::fs::create_dir_all(machine.path("root/var/log")).unwrap();
    std::fs::write(machine.path("root/var/log/kgtop"), "a file where the directory should be").unwrap();
    let Some(output) = acted(&machine, &["power-limit", "250", "--gpu", "0", "--yes"]) else { return };
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("audit log"), "{}", text(&output));
    assert_eq!(machine.sent(), "");
}

#[test]
fn an_expected_value_that_is_another_refuses() {
    let machine = Machine::new("");
    let arguments = ["power-limit", "250", "--gpu", UUID, "--yes", "--expect", "600 W"];
    let output = machine.act(&arguments);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("700 W, not 600 W"), "{}", text(&output));
    assert_eq!(machine.sent(), "");
}

#[test]
fn every_setting_is_read_back() {
    let machine = Machine::new("");
    let cases: [(&[&str], &str, &str); 5] = [
        (&["persistence", "off"], "nvmlDeviceSetPersistenceMode 0 0", "read back: off"),
        (&["compute-mode", "prohibited"], "nvmlDeviceSetComputeMode 0 2", "read back: prohibited"),
        (
            &["clocks", "--graphics", "300,1200"],
            "nvmlDeviceSetGpuLockedClocks 0 300 1200",
            "not above 1200 MHz",
        ),
        (
            &["clocks", "--memory", "3201"],
            "nvmlDeviceSetMemoryLockedClocks 0 3201 3201",
            "not above 3201 MHz",
        ),
        (&["clocks", "--reset", "memory"], "nvmlDeviceResetMemoryLockedClocks 0", "no call that reads"),
    ];
    for (action, call, said) in cases {
        let arguments = [action, &["--gpu", "0", "--yes"]].concat();
        let Some(output) = acted(&machine, &arguments) else { return };
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains(said), "{said}: {}", text(&output));
        assert_eq!(machine.sent().lines().last(), Some(call));
    }
}

#[test]
fn a_unit_is_printed_and_nothing_is_set() {
    let machine = Machine::new("");
    let output = machine.act(&["power-limit", "300", "--gpu", "0", "--print-unit"]);
    assert!(output.status.success(), "{}", text(&output));
    let unit = String::from_utf8(output.stdout).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/nvidia-smi -i 00000000:00:06.0 -pl 300\n"), "{unit}");
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_pid_on_no_gpu_is_refused() {
    let machine = Machine::new("");
    let output = machine.act(&["signal", &std::process::id().to_string(), "--signal", "KILL", "--yes"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output));
    assert!(text(&output).contains("on no GPU"), "{}", text(&output));
}

#[test]
fn a_full_disk_refuses_what_cannot_be_taken_back_and_nothing_else() {
    let machine = Machine::new("");
    let log = machine.path("root/var/log/kgtop");
    std::fs::create_dir_all(&log).unwrap();
    std::os::unix::fs::symlink("/dev/full", log.join("audit.jsonl")).unwrap();
    let clear = ["ecc-clear", "aggregate", "--gpu", "0", "--yes", "--force-destructive", ADDRESS];
    let Some(refused) = acted(&machine, &clear) else { return };
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(text(&refused).contains("No space left"), "{}", text(&refused));
    assert_eq!(machine.sent(), "");
    let small = machine.act(&["power-limit", "250", "--gpu", "0", "--yes"]);
    assert_eq!(small.status.code(), Some(0), "{}", text(&small));
    assert!(text(&small).contains("No space left"), "{}", text(&small));
}

#[test]
fn root_loads_no_library_that_others_can_write() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let copy = machine.path("libnvml.so");
    std::fs::copy(stand_in::stand_in_library(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
        .args(["act", "power-limit", "250", "--gpu", "0", "--yes", "--nvml-lib"])
        .arg(&copy)
        .arg("--root")
        .arg(machine.path("root"))
        .env("KGTOP_STAND_IN", machine.path("scenario.toml"))
        .env("KGTOP_STAND_IN_LOG", machine.path("set.log"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert_eq!(machine.sent(), "");
}

/// The action on a terminal, with what is answered to its question; its exit status.
fn answered(machine: &Machine, arguments: &[&str], question: &str, answer: &str) -> Option<i32> {
    let mut pty = Pty::spawn(machine.command(arguments), 120, 40, &[]);
    pty.wait_for("the question", |screen| screen.contains(question));
    pty.keys(answer);
    pty.wait_exit().0.code()
}

#[test]
fn a_library_that_others_can_write_is_loaded_by_no_command_of_root() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let copy = machine.path("libnvml.so");
    std::fs::copy(stand_in::stand_in_library(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let config = machine.path("config.toml");
    std::fs::write(&config, format!("nvml_lib = \"{}\"\n", copy.display())).unwrap();
    for command in ["stream", "snapshot", "doctor", "export"] {
        for named in [("--nvml-lib", &copy), ("--config", &config)] {
            let mut kgtop = Command::new(env!("CARGO_BIN_EXE_kgtop"));
            kgtop.env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"));
            kgtop.arg(command).arg(named.0).arg(named.1).arg("--root").arg(machine.path("root"));
            let output = kgtop.env("KGTOP_STAND_IN", machine.path("scenario.toml")).output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{command} {}: {}", named.0, text(&output));
            assert!(text(&output).contains("loads no library that others can write"), "{command}");
        }
    }
}

#[test]
fn without_a_gpu_nothing_was_sent() {
    let machine = Machine::of(
        "title = \"none\"\nduration_seconds = 60\nend = \"stay\"\n[host]\nhostname = \"node\"\ncpus = 4\n\
         memory_gib = 16\n",
    );
    let output = machine.act(&["power-limit", "250", "--all", "--yes"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("refused: there is no GPU to act on"), "{}", text(&output));
}

#[test]
fn a_pid_that_became_another_process_is_refused() {
    let machine = Machine::new(
        "[[process]]\npid = 41\nname = \"python\"\ncommand = [\"python\"]\ngpus = [0]\nmemory_mib = 100\n",
    );
    machine.process(41, "python", "/dev/nvidia0");
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    std::fs::write(machine.path("root/proc/41/stat"), format!("41 (python){rest}")).unwrap();
    // Field 22, where the state is field 3.
    let start: u64 = rest.split_ascii_whitespace().nth(19).unwrap().parse().unwrap();
    let planned = |start: u64| {
        machine.act(&["signal", "41", "--signal", "USR1", "--start", &start.to_string(), "--dry-run"])
    };
    let right = planned(start);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right));
    let other = planned(start + 1);
    assert_eq!(other.status.code(), Some(3), "{}", text(&other));
    assert!(text(&other).contains("PID 41 is another process now"), "{}", text(&other));
}

#[test]
fn the_domain_is_typed_where_bus_and_device_are_not_enough() {
    let typed = |first: &str, second: &str| {
        let machine = Machine::of(&format!(
            "title = \"two\"\nduration_seconds = 60\nend = \"stay\"\n[host]\nhostname = \"node\"\ncpus = 4\n\
             memory_gib = 16\n[[gpu]]\nmodel = \"h200\"\ncount = 2\npci = [\"{first}\", \"{second}\"]\n"
        ));
        let plans = ["0", "1"].map(|gpu| machine.plan(&["ecc-clear", "volatile", "--gpu", gpu]));
        plans.map(|plan| {
            let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
            plan["weight"]["text"].as_str().unwrap().to_owned()
        })
    };
    assert_eq!(typed("0008:01:00.0", "0009:01:00.0"), ["0008:01:00", "0009:01:00"]);
    assert_eq!(typed("0000:01:00.0", "0009:01:00.0"), ["0000:01:00", "0009:01:00"]);
    assert_eq!(typed("0000:01:00.0", "0000:02:00.0"), ["01:00", "02:00"]);
}

#[test]
fn a_question_is_asked_about_what_was_shown() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let words = "power limit: 700 W → 250 W on GPU 0, NVIDIA H200 at 0000:00:06.0";
    let limit = ["power-limit", "250", "--gpu", "0"];
    for format in ["text", "json"] {
        let mut command = machine.command(&limit);
        command.args(["--format", format]);
        let mut pty = Pty::spawn(command, 160, 60, &[]);
        let asked = pty.wait_for("the question", |screen| screen.contains("Go on? y/N"));
        // The plan, and then what the question is about.
        let plan = asked.find("nvidia-smi -i 00000000:00:06.0 -pl 250").expect("the plan");
        assert!(plan < asked.find(words).expect("the target and the change"), "{asked}");
        assert!(asked.contains("Confirm   y or N") && !asked.contains("one key"), "{asked}");
        pty.keys("n\r");
        assert_eq!(pty.wait_exit().0.code(), Some(3));
    }
    assert_eq!(machine.sent(), "");
}

#[test]
fn on_a_terminal_a_small_change_takes_a_y_and_a_destructive_one_the_bus_address() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return; // refused before any question, as every test above shows
    }
    let machine = Machine::new("");
    let limit = ["power-limit", "250", "--gpu", "0"];
    for no in ["n\r", "\r", "00:06\r"] {
        assert_eq!(answered(&machine, &limit, "y/N", no), Some(3), "{no}");
    }
    let clear = ["ecc-clear", "volatile", "--gpu", "0"];
    for no in ["y\r", "yes\r", "\r", "00:07\r", "0000:00:06.0\r"] {
        assert_eq!(answered(&machine, &clear, "Type 00:06", no), Some(3), "{no}");
    }
    assert_eq!(machine.sent(), "");
    assert_eq!(answered(&machine, &limit, "y/N", "y\r"), Some(0));
    assert_eq!(answered(&machine, &clear, "Type 00:06", "00:06\r"), Some(0));
    let sent = "nvmlDeviceSetPowerManagementLimit 0 250000\nnvmlDeviceClearEccErrorCounts 0 0\n";
    assert_eq!(machine.sent(), sent);
}
