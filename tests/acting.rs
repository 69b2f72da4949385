//! Actions on the screen, in a pseudo-terminal against the stand-in driver library: what the operator sees, and what
//! the driver is told.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/pty.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod pty;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

#[path = "support/machine.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod machine;

use machine::{Machine, is_root};
use pty::Pty;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The screen of a machine. What is set holds for every process that uses the driver, as on a real one.
fn screen(machine: &Machine, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Pty {
    screen_as(&["setsid", "--ctty"], machine, arguments, environment)
}

fn screen_as(before: &[&str], machine: &Machine, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Pty {
    let mut command = Command::new(before[0]);
    command
        .args(&before[1..])
        .arg(env!("CARGO_BIN_EXE_kgtop"))
        .arg("--nvml-lib")
        .arg(stand_in::stand_in_library())
        .arg("--root")
        .arg(machine.path("root"))
        .arg("--tools")
        .arg(machine.path("root/usr/bin"))
        .args(["--interval", "0.3"])
        .args(arguments)
        .env("KGTOP_STAND_IN", machine.path("scenario.toml"))
        .env("KGTOP_STAND_IN_LOG", machine.path("set.log"))
        .env("KGTOP_STAND_IN_SHARED", "1")
        .env_remove("KGTOP_READ_ONLY");
    let pty = Pty::spawn(command, 120, 40, environment);
    pty.wait_for("the GPU", |screen| screen.contains("H200") && screen.contains("/700 W"));
    pty
}

/// From the tab to the plan of a power limit.
fn plan_power_limit(pty: &mut Pty, watts: &str) -> String {
    pty.keys("a");
    pty.wait_for("the list of actions", |screen| screen.contains("› Power limit…"));
    pty.keys("\r");
    pty.wait_for("the question", |screen| screen.contains("Watts (250)"));
    pty.keys(watts);
    pty.wait_for("the value", |screen| screen.contains(&format!("› {watts}▏")));
    pty.keys("\r");
    // The limit itself is read with the slow groups: until it is there, the plan says that it is not.
    pty.wait_for("the plan", |screen| {
        screen.contains("Plan: power limit") && screen.contains(&format!("700 W → {watts} W"))
    })
}

/// Goes to that entry of the list by these keys, and takes it.
fn choose(pty: &mut Pty, keys: &str, label: &str) {
    pty.keys(keys);
    pty.wait_for("the entry", |screen| screen.contains(&format!("› {label}")));
    pty.keys("\r");
}

/// Types what confirms, letter by letter: all at once it would be taken for a paste.
fn type_slowly(pty: &mut Pty, text: &str) {
    let mut typed = String::from("› ");
    for letter in text.chars() {
        typed.push(letter);
        pty.keys(&letter.to_string());
        pty.wait_for("what is typed", |screen| screen.contains(&format!("{typed}▏")));
    }
}

const GO_ON: &str = "? Go on? y goes on";

#[test]
fn a_power_limit_goes_from_a_key_over_its_plan_to_the_value_that_was_read_back() {
    let machine = Machine::new("");
    let mut pty = screen(&machine, &[], &[]);
    let plan = plan_power_limit(&mut pty, "250");
    assert!(plan.contains("700 W → 250 W") && plan.contains("-pl 250"), "{plan}");
    if !is_root() {
        pty.wait_for("the way for those who are not root", |screen| {
            screen.contains("s runs it through sudo")
        });
        assert_eq!(machine.sent(), "");
        return;
    }
    pty.wait_for("the question", |screen| screen.contains(GO_ON));
    assert_eq!(machine.sent(), "", "a plan sends nothing");
    pty.keys("y");
    pty.wait_for("the value that was read back", |screen| screen.contains("✓ done: read back: 250 W"));
    assert_eq!(machine.sent(), "nvmlDeviceSetPowerManagementLimit 0 250000\n");
    // kgtop goes on: the collector reads it too.
    pty.keys("\x1b");
    pty.wait_for("the new limit among the readings", |screen| {
        screen.contains("/250 W") && !screen.contains("Done: power limit")
    });
    pty.keys("u");
    pty.wait_for("the plan to undo it", |screen| screen.contains("250 W → 700 W"));
    pty.wait_for("the question", |screen| screen.contains(GO_ON));
    pty.keys("y");
    pty.wait_for("the old value", |screen| screen.contains("done: read back: 700 W"));
    assert_eq!(machine.sent().lines().last(), Some("nvmlDeviceSetPowerManagementLimit 0 700000"));
}

#[test]
fn what_another_kgtop_changed_can_be_taken_back_here() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let mut pty = screen(&machine, &[], &[]);
    let mut other = machine.command(&["power-limit", "300", "--gpu", "0", "--yes"]);
    let output = other.env("KGTOP_STAND_IN_SHARED", "1").output().unwrap();
    assert!(output.status.success(), "{}", machine::text(&output));
    pty.wait_for("the new limit", |screen| screen.contains("/300 W"));
    pty.keys("u");
    pty.wait_for("the plan", |screen| screen.contains("300 W → 700 W"));
    pty.wait_for("the question", |screen| screen.contains(GO_ON));
}

/// Children of a process.
fn children(pid: u32) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().count()
}

#[test]
fn a_reset_finds_the_gpu_free_of_the_collector_which_comes_back_after_it() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    machine.smi_is("hang");
    let mut pty = screen(&machine, &[], &[]);
    pty.keys("a");
    pty.wait_for("the list", |screen| screen.contains("› Power limit…"));
    choose(&mut pty, "G", "Reset the GPU");
    pty.wait_for("the question", |screen| screen.contains("Type 00:06 and Enter to go on"));
    type_slowly(&mut pty, "00:06");
    pty.keys("\r");
    pty.wait_for("the reset to run", |screen| {
        screen.contains("Running: GPU reset") && screen.contains("The collector stands still")
    });
    machine.wait_until("the reset", || machine.smi_told().iter().any(|line| line.contains("--gpu-reset")));
    assert_eq!(children(pty.pid()), 1, "the one who acts, and no collector");
    // Nobody can start one in the middle of it.
    pty.keys("\x1b");
    pty.wait_for("the window to close", |screen| !screen.contains("Running: GPU reset"));
    pty.keys("R");
    pty.wait_for("the answer", |screen| {
        screen.contains("the collector starts again when the action is over")
    });
    std::fs::write(machine.path("go"), "").unwrap();
    pty.keys("A");
    pty.wait_for("the outcome", |screen| screen.contains("Done: GPU reset"));
    pty.keys("\x1b");
    pty.wait_for("the readings again", |screen| screen.contains("● live") && screen.contains("/700 W"));
    assert_eq!(machine.outcomes(), ["done"]);
}

/// Stands in for sudo: says what it was told, asks, and tells what it was answered.
const SUDO: &str = "#!/bin/sh\necho \"sudo was told: $*\"\nprintf 'password: '\nread -r word\n\
    echo \"sudo read: $word\"\nexit 3\n";

/// The screen of somebody who is not root on a machine that has such a sudo.
fn screen_of_nobody(machine: &Machine) -> Pty {
    let sudo = machine.path("root/usr/bin/sudo");
    std::fs::write(&sudo, SUDO).unwrap();
    std::fs::set_permissions(&sudo, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(machine.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    // Anybody's number will do, as long as it is not root's.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "setsid", "--ctty"];
    let before: &[&str] = if is_root() { &nobody } else { &nobody[4..] };
    screen_as(before, machine, &[], &[])
}

#[test]
fn a_reset_through_sudo_finds_the_gpu_free_of_the_collector_which_comes_back_after_it() {
    let machine = Machine::new("");
    let mut pty = screen_of_nobody(&machine);
    pty.keys("a");
    pty.wait_for("the list", |screen| screen.contains("› Power limit…"));
    choose(&mut pty, "G", "Reset the GPU");
    pty.wait_for("the way through sudo", |screen| screen.contains("s runs it through sudo"));
    assert_eq!(children(pty.pid()), 1, "the collector");
    pty.keys("s");
    let asked = pty.wait_for("sudo on the terminal", |screen| screen.contains("password:"));
    assert!(asked.replace('\n', "").contains("act reset --gpu"), "{asked}");
    assert_eq!(children(pty.pid()), 1, "sudo, and no collector");
    pty.keys("secret\r");
    pty.wait_for("the way back", |screen| screen.contains("Enter goes back to the screen"));
    pty.keys("\r");
    pty.wait_for("the readings again", |screen| screen.contains("● live") && screen.contains("/700 W"));
    assert_eq!(children(pty.pid()), 1, "the collector again");
}

#[test]
fn who_is_not_root_goes_through_sudo_on_the_suspended_screen_or_copies_the_line() {
    let machine = Machine::new("");
    let mut pty = screen_of_nobody(&machine);
    plan_power_limit(&mut pty, "250");
    pty.wait_for("the two ways", |screen| screen.contains("s runs it through sudo, c copies it"));
    pty.keys("y\r");
    pty.wait_for("Enter to close it", |screen| !screen.contains("Plan: power limit"));
    plan_power_limit(&mut pty, "250");
    pty.keys("c");
    pty.wait_for("the copy", |screen| screen.contains("copied: sudo "));
    assert!(String::from_utf8_lossy(&pty.raw()).contains("\x1b]52;c;"));
    pty.keys("s");
    let asked = pty.wait_for("sudo on the terminal", |screen| screen.contains("password:"));
    let line = asked.replace('\n', "");
    assert!(line.contains(&format!("act power-limit 250 --gpu {} --expect 700 W", machine::UUID)), "{asked}");
    assert!(line.contains("sudo was told: /"), "by its absolute path: {asked}");
    pty.keys("secret\r");
    pty.wait_for("every letter to reach sudo", |screen| screen.contains("sudo read: secret"));
    pty.wait_for("the way back", |screen| screen.contains("Enter goes back to the screen"));
    pty.keys("\r");
    pty.wait_for("the screen", |screen| {
        screen.contains("through sudo: refused, nothing was sent") && screen.contains("/700 W")
    });
    pty.keys("?");
    pty.wait_for("keys to work again", |screen| screen.contains("show all keys"));
    assert_eq!(machine.sent(), "");
}

#[test]
fn what_is_typed_ahead_or_pasted_confirms_nothing() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let mut pty = screen(&machine, &[], &[]);
    // All of it before the plan can have been drawn.
    pty.keys("a\r250\ryyyy\ry");
    pty.wait_for("the question, unanswered", |screen| screen.contains(GO_ON));
    assert_eq!(machine.sent(), "");
    pty.keys("\x1b[200~y\r\x1b[201~");
    pty.keys("yy");
    pty.wait_for("the paste to be refused", |screen| screen.contains("all at once"));
    pty.wait_for("the question again", |screen| screen.contains(GO_ON));
    assert_eq!(machine.sent(), "");
    pty.keys("y");
    pty.wait_for("the outcome", |screen| screen.contains("done: read back: 250 W"));
}

#[test]
fn what_cannot_be_taken_back_is_confirmed_by_typing_the_bus() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let mut pty = screen(&machine, &[], &[]);
    pty.keys("a");
    pty.wait_for("the list", |screen| screen.contains("› Power limit…"));
    choose(&mut pty, "Gkk", "Clear the volatile ECC counters");
    pty.wait_for("the question", |screen| screen.contains("Type 00:06 and Enter to go on"));
    type_slowly(&mut pty, "y");
    pty.keys("\r");
    pty.wait_for("it to be refused", |screen| screen.contains("confirmed by typing 00:06"));
    assert_eq!(machine.sent(), "");
    type_slowly(&mut pty, "00:06");
    assert_eq!(machine.sent(), "");
    pty.keys("\r");
    pty.wait_for("the outcome", |screen| screen.contains("done: read back: 0 corrected, 0 uncorrected"));
    assert_eq!(machine.sent(), "nvmlDeviceClearEccErrorCounts 0 0\n");
}

#[test]
fn a_refusal_names_the_range_and_cannot_be_confirmed() {
    let machine = Machine::new("");
    let mut pty = screen(&machine, &[], &[]);
    plan_power_limit(&mut pty, "900");
    pty.wait_for("the refusal", |screen| screen.contains("200 W to 700 W can be set"));
    pty.keys("y");
    pty.keys("\r");
    pty.wait_for("the plan to close", |screen| !screen.contains("Plan: power limit"));
    assert_eq!(machine.sent(), "");
}

#[test]
fn after_a_failure_the_value_is_the_drivers_and_kgtop_goes_on() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let fault =
        "[[fault]]\ncall = \"nvmlDeviceSetPowerManagementLimit\"\nkind = \"error\"\ncode = 4\nfrom = 0\n";
    let machine = Machine::new(fault);
    let mut pty = screen(&machine, &[], &[]);
    plan_power_limit(&mut pty, "250");
    pty.wait_for("the question", |screen| screen.contains(GO_ON));
    pty.keys("y");
    pty.wait_for("the failure, and the value now", |screen| {
        screen.contains("✗ failed: nvmlDeviceSetPowerManagementLimit: NO_PERMISSION")
            && screen.contains("Now       700 W")
    });
    pty.keys("\x1b");
    let clock = |screen: &str| screen.lines().next().unwrap_or_default().to_owned();
    let before = clock(&pty.wait_for("the window to close", |screen| !screen.contains("✗ failed:")));
    pty.wait_for("the readings to go on", |screen| clock(screen) != before && screen.contains("/700 W"));
}

#[test]
fn read_only_has_no_actions() {
    let machine = Machine::new("");
    let config = machine.path("read-only.toml");
    std::fs::write(&config, "read_only = true\n").unwrap();
    let one = OsStr::new("1");
    let file = config.to_str().unwrap();
    for (arguments, environment) in [
        (&["--read-only"][..], &[][..]),
        (&["--config", file][..], &[][..]),
        (&[][..], &[("KGTOP_READ_ONLY", one)][..]),
    ] {
        let mut pty = screen(&machine, arguments, environment);
        assert!(!pty.contents().contains("actions"), "{}", pty.contents());
        pty.keys("au?");
        let help = pty.wait_for("the help", |screen| screen.contains("show all keys"));
        assert!(!help.contains("can be done"), "{help}");
    }
    assert_eq!(machine.sent(), "");
}

#[test]
fn a_process_that_is_not_proven_to_be_on_the_gpu_is_sent_nothing() {
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = child.id();
    // The driver names a PID of this machine whose process has no GPU open: as a host's PID does in a container.
    let process = format!(
        "[[process]]\npid = {pid}\nname = \"python\"\nuser = \"ann\"\ncommand = [\"python\"]\ngpus = [0]\n\
         memory_mib = 1000\n"
    );
    let machine = Machine::new(&process);
    let mut command = Command::new("setsid");
    command
        .arg("--ctty")
        .arg(env!("CARGO_BIN_EXE_kgtop"))
        .arg("--nvml-lib")
        .arg(stand_in::stand_in_library())
        .args(["--interval", "0.3", "--tab", "2"])
        .env("KGTOP_STAND_IN", machine.path("scenario.toml"))
        .env_remove("KGTOP_READ_ONLY");
    let mut pty = Pty::spawn(command, 120, 40, &[]);
    let row = pid.to_string();
    pty.wait_for("the process", |screen| screen.contains(&row) && screen.contains("actions"));
    pty.keys("a");
    pty.wait_for("its list", |screen| screen.contains("› Send SIGTERM"));
    pty.keys("jj");
    pty.wait_for("the kill", |screen| screen.contains("› Send SIGKILL"));
    pty.keys("\r");
    let plan = pty.wait_for("the refusal", |screen| screen.contains("✗ refused: "));
    assert!(plan.contains(&format!("kill -s KILL {pid}")) && !plan.contains("Go on?"), "{plan}");
    pty.keys(&format!("{pid}\r"));
    pty.wait_for("the plan to close", |screen| !screen.contains("✗ refused: "));
    assert!(child.try_wait().unwrap().is_none(), "it was signalled");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A click into the footer, as a terminal sends it.
const CLOSE: &str = "\x1b[<0;1;40M";

#[test]
fn keys_pastes_and_clicks_in_heaps_tell_the_driver_nothing() {
    if !is_root() {
        eprintln!("not tried: only root gets that far");
        return;
    }
    let machine = Machine::new("");
    let mut pty = screen(&machine, &[], &[]);
    // Each heap is there at once, and so none of it can follow from what was seen. `q` alone would end it.
    let heaps = [
        "a\r250\ryyyy\r",
        "yy\r",
        "\x1b[200~y\r\x1b[201~yy",
        "aj\ry\ry\r",
        "\x1b[<0;60;20M\x1b[<0;60;20my\r",
        "uy\ry\r",
        "aGk\r00:06\r",
        "00:06\r",
        "\x1b[A\x1b[Ba\rdefault\ry\ny",
        "2ay\r1ay\r",
        "a\r80%\r\r\r\ryy\r",
    ];
    let mut dice = 7_usize;
    for _ in 0..60 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Now and then a click beside the window closes it first.
        let close = if dice >> 63 == 0 { CLOSE } else { "" };
        pty.keys(&format!("{close}{}", heaps[(dice >> 33) % heaps.len()]));
    }
    // A click beside it closes the window that is left, and the tab that follows says that all before was taken.
    pty.keys(CLOSE);
    pty.keys("3");
    pty.wait_for("the tab that no heap shows", |screen| screen.contains("GPU0"));
    assert_eq!(machine.sent(), "");
    pty.keys("1");
    plan_power_limit(&mut pty, "250");
    pty.wait_for("the question", |screen| screen.contains(GO_ON));
    pty.keys("y");
    pty.wait_for("the one change that was confirmed", |screen| screen.contains("done: read back: 250 W"));
    assert_eq!(machine.sent(), "nvmlDeviceSetPowerManagementLimit 0 250000\n");
}
