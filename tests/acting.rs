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

use pty::Pty;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const ONE_H200: &str = "title = \"one\"\nduration_seconds = 60\nend = \"loop\"\n[host]\nhostname = \"node\"\n\
    cpus = 4\nmemory_gib = 16\n[[gpu]]\nmodel = \"h200\"\npci = [\"0000:00:06.0\"]\n";

/// A machine of its own: a root for `/proc`, the audit log and the locks, a scenario, and a log of what was set.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new(faults: &str) -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        let kernel = machine.path("root/proc/sys/kernel");
        std::fs::create_dir_all(kernel.join("random")).unwrap();
        let boot_id = "11111111-2222-3333-4444-555555555555\n";
        std::fs::write(kernel.join("random/boot_id"), boot_id).unwrap();
        std::fs::write(kernel.join("hostname"), "node\n").unwrap();
        std::fs::write(machine.path("scenario.toml"), format!("{ONE_H200}{faults}")).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn screen(&self, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Pty {
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(env!("CARGO_BIN_EXE_kgtop"))
            .arg("--nvml-lib")
            .arg(stand_in::stand_in_library())
            .arg("--root")
            .arg(self.path("root"))
            .args(["--interval", "0.3"])
            .args(arguments)
            .env("KGTOP_STAND_IN", self.path("scenario.toml"))
            .env("KGTOP_STAND_IN_LOG", self.path("set.log"))
            .env_remove("KGTOP_READ_ONLY");
        let pty = Pty::spawn(command, 120, 40, environment);
        pty.wait_for("the GPU", |screen| screen.contains("H200") && screen.contains("/700 W"));
        pty
    }

    /// What the driver was told, call by call.
    fn sent(&self) -> String {
        std::fs::read_to_string(self.path("set.log")).unwrap_or_default()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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

/// Goes down the list to the entry that begins so, and takes it.
fn choose(pty: &mut Pty, label: &str) {
    let selected = |screen: &str| {
        let (_, entry) = screen.lines().find_map(|line| line.split_once("› "))?;
        Some(entry.to_owned())
    };
    for _ in 0..40 {
        let now = selected(&pty.contents());
        if now.as_deref().is_some_and(|entry| entry.starts_with(label)) {
            pty.keys("\r");
            return;
        }
        pty.keys("j");
        pty.wait_for("the next entry", |screen| {
            selected(screen).is_some_and(|entry| Some(&entry) != now.as_ref())
        });
    }
    panic!("no entry {label} in\n{}", pty.contents());
}

const GO_ON: &str = "? Go on? y goes on";

#[test]
fn a_power_limit_goes_from_a_key_over_its_plan_to_the_value_that_was_read_back() {
    let machine = Machine::new("");
    let mut pty = machine.screen(&[], &[]);
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
    // kgtop goes on, and offers the way back.
    pty.keys("u");
    pty.wait_for("the plan to undo it", |screen| {
        screen.contains("Plan: power limit") && screen.contains("-pl 700")
    });
}

#[test]
fn what_is_typed_ahead_or_pasted_confirms_nothing() {
    if !is_root() {
        return;
    }
    let machine = Machine::new("");
    let mut pty = machine.screen(&[], &[]);
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
        return;
    }
    let machine = Machine::new("");
    let mut pty = machine.screen(&[], &[]);
    pty.keys("a");
    pty.wait_for("the list", |screen| screen.contains("› Power limit…"));
    choose(&mut pty, "Clear the volatile ECC counters");
    pty.wait_for("the question", |screen| screen.contains("Type 00:06 and Enter to go on"));
    let type_slowly = |pty: &mut Pty, text: &str| {
        let mut typed = String::from("› ");
        for letter in text.chars() {
            typed.push(letter);
            pty.keys(&letter.to_string());
            pty.wait_for("what is typed", |screen| screen.contains(&format!("{typed}▏")));
        }
    };
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
    let mut pty = machine.screen(&[], &[]);
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
        return;
    }
    let fault =
        "[[fault]]\ncall = \"nvmlDeviceSetPowerManagementLimit\"\nkind = \"error\"\ncode = 4\nfrom = 0\n";
    let machine = Machine::new(fault);
    let mut pty = machine.screen(&[], &[]);
    plan_power_limit(&mut pty, "250");
    pty.wait_for("the question", |screen| screen.contains(GO_ON));
    pty.keys("y");
    pty.wait_for("the failure, and the value now", |screen| {
        screen.contains("✗ failed: nvmlDeviceSetPowerManagementLimit: NO_PERMISSION")
            && screen.contains("Now       700 W")
    });
    pty.keys("\x1b");
    let clock = |screen: &str| screen.lines().next().unwrap_or_default().to_owned();
    let before = clock(&pty.wait_for("the window to close", |screen| !screen.contains("failed:")));
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
        let mut pty = machine.screen(arguments, environment);
        assert!(!pty.contents().contains("actions"), "{}", pty.contents());
        pty.keys("au?");
        let help = pty.wait_for("the help", |screen| screen.contains("show all keys"));
        assert!(!help.contains("can be done"), "{help}");
    }
    assert_eq!(machine.sent(), "");
}
