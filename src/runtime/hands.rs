//! What the screen's actions need of this machine: facts for a plan, the child that carries a confirmed plan out, and
//! sudo where the screen has no right to.

use super::SYSTEM_PATH;
use super::act::{self, Place, Reader};
use crate::actions::{Change, Outcome, Progress, Refusal, RefusalKind};
use crate::app::actions::{Confirmed, LocalAuthority, Preflight, Wanted};
use crate::model::GpuId;
use crate::units::Clock;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The running binary itself, also when the file on disk was replaced by an upgrade.
const SELF: &str = "/proc/self/exe";
/// What is read of a child's standard error.
const COMPLAINT_LIMIT: u64 = 4 << 10;
/// Lines in flight between a child and the screen.
const IN_FLIGHT: usize = 32;
/// Where sudo is looked for: whoever set PATH could have named another one.
const SUDO: [&str; 3] = ["/usr/bin/sudo", "/bin/sudo", "/run/wrappers/bin/sudo"];

/// What an action tells the screen.
#[derive(Debug)]
pub(super) enum HandsEvent {
    /// What a plan needs.
    Preflight(Box<Preflight>),
    /// What can be taken back on a GPU.
    Undoables(GpuId, Vec<Change>),
    /// How a run goes.
    Progress(Progress),
    /// It is gone without a last word, or never began.
    Ended(Outcome),
}

/// The hands of the screen.
pub(super) struct Hands {
    reader: Reader,
    arguments: Vec<OsString>,
    sender: Sender<HandsEvent>,
    events: Receiver<HandsEvent>,
}

impl Hands {
    /// The hands for this machine; `arguments` are the global ones that a child needs too.
    pub(super) fn new(place: Place, arguments: Vec<OsString>, clock: Clock) -> Self {
        let (sender, events) = channel(IN_FLIGHT);
        Self { reader: Reader { place, clock }, arguments, sender, events }
    }

    /// The right to act here.
    pub(super) fn authority(&self) -> Option<LocalAuthority> {
        LocalAuthority::over(&self.reader.host())
    }

    /// What comes next from what was begun.
    pub(super) async fn next(&mut self) -> Option<HandsEvent> {
        self.events.recv().await
    }

    /// Reads what a plan needs, on a thread of its own: `/proc` of a wedged process can block.
    pub(super) fn preflight(&self, wanted: Wanted) {
        let (reader, sender) = (self.reader.clone(), self.sender.clone());
        std::thread::spawn(move || {
            // The screen may have left meanwhile.
            let _left = sender.blocking_send(HandsEvent::Preflight(Box::new(reader.preflight(&wanted))));
        });
    }

    /// Reads in the audit log what can be taken back on that GPU.
    pub(super) fn undoables(&self, gpu: GpuId) {
        let (reader, sender) = (self.reader.clone(), self.sender.clone());
        std::thread::spawn(move || {
            let changes = reader.undoables(&gpu.0);
            let _left = sender.blocking_send(HandsEvent::Undoables(gpu, changes));
        });
    }

    /// Runs kgtop itself through sudo on the terminal, and waits until the operator has read the end. Gives what is
    /// to be said on the screen.
    pub(super) fn sudo(&self, words: &[String]) -> String {
        let Some(sudo) = sudo_of(&self.reader.place) else {
            return "sudo is not installed here: c on the plan copies the command".to_owned();
        };
        let status = std::process::Command::new(&sudo)
            .args(words)
            .args(&self.arguments)
            .env("PATH", SYSTEM_PATH)
            .status();
        let text = match status {
            Ok(status) => match status.code() {
                Some(0) => "through sudo: done".to_owned(),
                Some(3) => "through sudo: refused, nothing was sent".to_owned(),
                Some(4) => "through sudo: failed; what it said tells what to do".to_owned(),
                _ => format!("through sudo: not carried out ({status})"),
            },
            Err(error) => format!("{} could not be started: {error}", sudo.display()),
        };
        wait_for_enter(&text);
        text
    }

    /// Carries a confirmed plan out in a child. The child leads a session of its own and is never killed: it goes on
    /// when the screen leaves.
    pub(super) fn act(&self, confirmed: &Confirmed) {
        let child = tokio::process::Command::new(SELF)
            .args(["act", "--plan", "-"])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let (plan, sender) = (confirmed.plan().to_json(), self.sender.clone());
        tokio::spawn(async move {
            let end = match child {
                Ok(child) => follow(child, &plan, &sender).await,
                Err(error) => Some(Outcome::Refused {
                    refusals: vec![Refusal {
                        kind: RefusalKind::Unread,
                        reason: format!("the process that carries plans out could not be started: {error}"),
                    }],
                }),
            };
            if let Some(outcome) = end {
                let _left = sender.send(HandsEvent::Ended(outcome)).await;
            }
        });
    }
}

/// Gives the plan to the child and its progress to the screen; an outcome where the child itself gave none.
async fn follow(mut child: Child, plan: &str, sender: &Sender<HandsEvent>) -> Option<Outcome> {
    if let Some(mut stdin) = child.stdin.take() {
        // A child that left already says so by its status.
        let _left = stdin.write_all(plan.as_bytes()).await;
    }
    let stderr = child.stderr.take();
    let complaint = tokio::spawn(async move {
        let mut text = Vec::new();
        if let Some(stderr) = stderr {
            let _unreadable = stderr.take(COMPLAINT_LIMIT).read_to_end(&mut text).await;
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    let mut ended = false;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(progress) = serde_json::from_str::<Progress>(&line) else { continue };
            ended |= matches!(progress, Progress::End(_));
            // Read on when nobody listens: a full pipe would hold the child up.
            let _left = sender.send(HandsEvent::Progress(progress)).await;
        }
    }
    let status = child.wait().await;
    if ended {
        return None;
    }
    let complaint = complaint.await.unwrap_or_default();
    Some(act::without_a_word(
        &status.map_or_else(|error| error.to_string(), |status| status.to_string()),
        &complaint,
    ))
}

/// sudo, in the directory that was named, or where the system has it; what lies in a captured tree is not run.
fn sudo_of(place: &Place) -> Option<PathBuf> {
    let places: Vec<PathBuf> = match &place.tools {
        Some(directory) => vec![directory.join("sudo")],
        None if place.root.is_live() => SUDO.iter().map(PathBuf::from).collect(),
        None => Vec::new(),
    };
    places.into_iter().find(|path| path.exists())
}

/// Waits for Enter on the terminal: what was printed would be gone with the next frame.
fn wait_for_enter(text: &str) {
    use std::io::{BufRead, Write};
    let mut out = std::io::stderr();
    let _gone = write!(out, "\nkgtop: {text}. Enter goes back to the screen. ").and_then(|()| out.flush());
    if let Ok(terminal) = std::fs::File::open("/dev/tty") {
        let mut line = String::new();
        let _gone = std::io::BufReader::new(terminal).read_line(&mut line);
    }
}
