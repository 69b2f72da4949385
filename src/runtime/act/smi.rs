//! nvidia-smi, for what the driver library has no call for: reset, and making and destroying MIG instances.
//!
//! It is found by a fixed list of absolute paths, gets an environment of its own, and is never killed: it runs in a
//! process group of its own, what it says goes to memory rather than to a pipe that may close, and waiting for it
//! has no end.

use super::Place;
use super::execute::{SAY_AFTER, Say, step};
use super::trust::trusted;
use crate::actions::Progress;
use crate::runtime::SYSTEM_PATH;
use crate::sources::processes::ProcessReader;
use crate::sources::root::Root;
use crate::units::Clock;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Where nvidia-smi is installed: by distributions and NVIDIA's installer, by hand, on NixOS, in GPU operator images.
const PLACES: [&str; 4] = [
    "/usr/bin/nvidia-smi",
    "/usr/local/bin/nvidia-smi",
    "/run/current-system/sw/bin/nvidia-smi",
    "/run/nvidia/driver/usr/bin/nvidia-smi",
];
/// More output than this is not looked at.
const OUTPUT_LIMIT: u64 = 64 << 10;
/// How often is looked whether it has ended.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Why nvidia-smi cannot be run, or what it said against what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum SmiError {
    /// It is nowhere.
    #[error("nvidia-smi is in none of its places ({0}): install the driver's utilities")]
    Missing(String),
    /// The programs of a captured tree are another machine's.
    #[error("below --root no nvidia-smi is run unless --tools names its directory")]
    NotNamed,
    /// Somebody else could have written it.
    #[error("{}: as root kgtop runs no program that others can write", .0.display())]
    Untrusted(PathBuf),
    /// It cannot be started.
    #[error("nvidia-smi could not be started: {0}")]
    NotStarted(std::io::Error),
    /// It was started, and how it ended is not known.
    #[error("nvidia-smi was started, and could not be followed to its end: {0}")]
    Followed(std::io::Error),
    /// It failed.
    #[error("nvidia-smi: {said} ({status})")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The line of its output that says why.
        said: String,
    },
}

/// An nvidia-smi that may be run.
pub(super) struct Smi {
    path: PathBuf,
    clock: Clock,
}

impl Smi {
    /// Finds it, in the directory that was named, or where the system has it.
    pub(super) fn find(place: &Place, clock: Clock) -> Result<Self, SmiError> {
        let places: Vec<PathBuf> = match &place.tools {
            Some(directory) => vec![directory.join("nvidia-smi")],
            None if place.root.is_live() => PLACES.iter().map(PathBuf::from).collect(),
            None => return Err(SmiError::NotNamed),
        };
        let Some(path) = places.iter().find(|path| path.is_file()) else {
            let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            return Err(SmiError::Missing(places.join(", ")));
        };
        // What was looked at is what is run, whatever becomes of a link on the way to it.
        let path = trusted(path).ok_or_else(|| SmiError::Untrusted(path.clone()))?;
        Ok(Self { path, clock })
    }

    /// Runs it to its end, however long that takes, and gives what it said.
    pub(super) fn run(&self, arguments: &[String], say: Say<'_>) -> Result<String, SmiError> {
        let line = format!("nvidia-smi {}", arguments.join(" "));
        step(say, line.clone());
        let (mut child, output) = self.start(arguments).map_err(SmiError::NotStarted)?;
        let ended = self.wait(&mut child, &line, say).and_then(|status| Ok((status, read_back(output)?)));
        let (status, text) = ended.map_err(SmiError::Followed)?;
        if status.success() { Ok(text) } else { Err(SmiError::Failed { status, said: reason(&text) }) }
    }

    /// Starts it; gives where it writes to.
    fn start(&self, arguments: &[String]) -> std::io::Result<(Child, File)> {
        let output: File = memfd_create("nvidia-smi", MemfdFlags::CLOEXEC)?.into();
        let child = Command::new(&self.path)
            .args(arguments)
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .process_group(0)
            .spawn()?;
        Ok((child, output))
    }

    /// Waits; says what is waited for, how long already, and in which state the process is.
    fn wait(&self, child: &mut Child, line: &str, say: Say<'_>) -> std::io::Result<ExitStatus> {
        let began = (self.clock.mono)();
        let mut said = Duration::ZERO;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let age = (self.clock.mono)().since(began);
            if age.saturating_sub(said) >= SAY_AFTER {
                said = age;
                let text = format!("{line} (PID {}, {})", child.id(), state(child.id()));
                say(Progress::Waiting { text, seconds: age.as_secs() });
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }
}

/// The state of a process in words.
fn state(pid: u32) -> String {
    let process = ProcessReader::new(Root::Live).read(&[pid]).into_iter().next();
    match process.map(|process| process.state) {
        Some(Ok('D')) => "D: inside the driver, cannot be interrupted".to_owned(),
        Some(Ok(state)) => format!("state {state}"),
        Some(Err(_)) | None => "state unknown".to_owned(),
    }
}

fn read_back(mut output: File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    output.rewind()?;
    output.take(OUTPUT_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What nvidia-smi says when a GPU cannot be reset, each on a line of its own (`man nvidia-smi`, issue reports).
const REASONS: [&str; 4] =
    ["In use by another client", "Not Supported", "Insufficient Permissions", "currently being used by"];

/// The line that says why; the first one where none of the known ones does.
fn reason(output: &str) -> String {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let known = lines.clone().find(|line| REASONS.iter().any(|reason| line.contains(reason)));
    known.or_else(|| lines.next()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_found() {
        let busy = "The following GPUs could not be reset:\n  GPU 00000000:1A:00.0: In use by another client\n\n\
                    1 device is currently being used by one or more other processes\n";
        assert_eq!(reason(busy), "GPU 00000000:1A:00.0: In use by another client");
        assert_eq!(reason("Something new\nsecond line\n"), "Something new");
        assert_eq!(reason(" \n"), "it said nothing");
    }
}
