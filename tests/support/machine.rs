//! A machine of its own for actions: a root for `/proc`, `/dev`, `/sys`, the audit log and the locks, a scenario for the
//! stand-in driver library, a stand-in `nvidia-smi`, and logs of what each was told.

use crate::stand_in;
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const BOOT: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const UUID: &str = "GPU-00000000-0000-4000-8000-000000000001";
pub(crate) const ADDRESS: &str = "0000:00:06.0";

/// The machine is shared and may be slow; what is waited for comes in a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

const ONE_H200: &str = "title = \"one\"\nduration_seconds = 60\nend = \"stay\"\n[host]\nhostname = \"node\"\n\
    cpus = 4\nmemory_gib = 16\n[[gpu]]\nmodel = \"h200\"\npci = [\"0000:00:06.0\"]\n";

/// Answers as nvidia-smi does, in the way that the file `smi.mode` names; what it was told goes to `smi.log`. Where a
/// file `after.toml` is there when it succeeds, that is the driver's scenario from then on.
const NVIDIA_SMI: &str = r#"#!/bin/sh
here=${0%/root/*}
echo "$*" >> "$here/smi.log"
mode=$(cat "$here/smi.mode")
begin_again() { if [ -e "$here/after.toml" ]; then cp "$here/after.toml" "$here/scenario.toml"; fi; }
could_not() {
    echo "The following GPUs could not be reset:"
    echo "  GPU $2: $1"
    echo
    exit 255
}
case "$*" in
*--gpu-reset*)
    case $mode in
    busy) could_not "In use by another client" "$2" ;;
    unsupported) could_not "Not Supported" "$2" ;;
    silent) exit 0 ;;
    halfway) begin_again; echo "Unable to reset GPU $2: Unknown Error"; exit 255 ;;
    hang) while [ ! -e "$here/go" ]; do sleep 0.1; done ;;
    esac
    begin_again
    echo "GPU $2 was successfully reset."
    echo "All done."
    ;;
*"-pm 1") if [ "$mode" = partial ]; then echo "Unable to set persistence mode for GPU $2: Unknown Error"; exit 1; fi ;;
*"-pm 0") if [ "$mode" = stubborn ]; then echo "Unable to set persistence mode for GPU $2: Unknown Error"; exit 1; fi ;;
mig*) if [ "$mode" = busy ]; then echo "Unable to destroy GPU instances: In use by another client"; exit 19; fi; begin_again ;;
esac
"#;

pub(crate) struct Machine {
    directory: TempDir,
}

impl Machine {
    /// One idle H200, and whatever else the scenario says.
    pub(crate) fn new(more: &str) -> Self {
        Self::of(&format!("{ONE_H200}{more}"))
    }

    /// The machine of a scenario. PID 1 is there, and has no GPU open.
    pub(crate) fn of(scenario: &str) -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        let make = |name: &str| std::fs::create_dir_all(machine.path(name)).unwrap();
        make("root/proc/sys/kernel/random");
        make("root/proc/self/ns");
        make("root/dev");
        make("root/usr/bin");
        std::fs::write(machine.path("root/proc/sys/kernel/random/boot_id"), format!("{BOOT}\n")).unwrap();
        std::fs::write(machine.path("root/proc/sys/kernel/hostname"), "node\n").unwrap();
        symlink("pid:[4026531836]", machine.path("root/proc/self/ns/pid")).unwrap();
        for minor in 0..8 {
            std::fs::write(machine.path(&format!("root/dev/nvidia{minor}")), "").unwrap();
        }
        machine.process(1, "systemd", "/dev/null");
        let smi = machine.path("root/usr/bin/nvidia-smi");
        std::fs::write(&smi, NVIDIA_SMI).unwrap();
        std::fs::set_permissions(&smi, PermissionsExt::from_mode(0o755)).unwrap();
        machine.smi_is("success");
        std::fs::write(machine.path("scenario.toml"), scenario).unwrap();
        machine
    }

    /// A process that has a file open.
    pub(crate) fn process(&self, pid: u32, name: &str, open: &str) {
        let own = self.path(&format!("root/proc/{pid}"));
        std::fs::create_dir_all(own.join("fd")).unwrap();
        std::fs::write(own.join("comm"), format!("{name}\n")).unwrap();
        std::fs::write(own.join("status"), format!("Name:\t{name}\nPPid:\t1\nNSpid:\t{pid}\n")).unwrap();
        symlink(open, own.join("fd/3")).unwrap();
    }

    pub(crate) fn smi_is(&self, mode: &str) {
        std::fs::write(self.path("smi.mode"), mode).unwrap();
    }

    /// What the driver says from now on.
    pub(crate) fn driver_says(&self, more: &str) {
        std::fs::write(self.path("scenario.toml"), format!("{ONE_H200}{more}")).unwrap();
    }

    /// What the driver says from the moment on at which nvidia-smi has done its work.
    pub(crate) fn afterwards(&self, more: &str) {
        std::fs::write(self.path("after.toml"), format!("{ONE_H200}{more}")).unwrap();
    }

    /// What nvidia-smi was told, call by call.
    pub(crate) fn smi_told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("smi.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.without_tools(arguments);
        command.arg("--tools").arg(self.path("root/usr/bin"));
        command
    }

    /// The same where no directory of nvidia-smi is named.
    pub(crate) fn without_tools(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgtop"));
        command
            .arg("act")
            .args(arguments)
            .arg("--nvml-lib")
            .arg(stand_in::stand_in_library())
            .arg("--root")
            .arg(self.path("root"))
            .env("KGTOP_STAND_IN", self.path("scenario.toml"))
            .env("KGTOP_STAND_IN_LOG", self.path("set.log"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env_remove("KGTOP_READ_ONLY")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn act(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the child that carries plans out, with a plan.
    pub(crate) fn start(&self, plan: &str, arguments: &[&str]) -> Child {
        let mut child = self
            .command(&[&["--plan", "-"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(plan.as_bytes()).unwrap();
        child
    }

    /// Gives a plan to the child that carries plans out.
    pub(crate) fn child(&self, plan: &str) -> Output {
        self.start(plan, &[]).wait_with_output().unwrap()
    }

    pub(crate) fn plan(&self, arguments: &[&str]) -> String {
        let mut all = arguments.to_vec();
        all.extend(["--dry-run", "--format", "json"]);
        let plans: Value = serde_json::from_slice(&self.act(&all).stdout).unwrap();
        plans[0].to_string()
    }

    /// What the driver was told, call by call.
    pub(crate) fn sent(&self) -> String {
        std::fs::read_to_string(self.path("set.log")).unwrap_or_default()
    }

    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("root/var/log/kgtop/audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Outcomes in the audit log, one for each action that is over.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let ended = self.audit().into_iter().filter(|line| line["phase"] == "after");
        ended.map(|line| line["outcome"]["outcome"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until something holds, or fails with its name.
    #[allow(clippy::disallowed_methods, reason = "a test is at the top: nobody passes it a clock")]
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "{what} did not come; nvidia-smi: {:?}", self.smi_told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs an action; as anybody but root it is refused for that, and the test ends there.
pub(crate) fn acted(machine: &Machine, arguments: &[&str]) -> Option<Output> {
    let output = machine.act(arguments);
    if is_root() {
        return Some(output);
    }
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("only root"), "{}", text(&output));
    assert_eq!(machine.sent(), "");
    assert_eq!(machine.smi_told(), [] as [String; 0]);
    None
}
