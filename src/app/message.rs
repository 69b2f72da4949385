//! What can happen, and what the runtime is asked to do about it.

use super::actions::{self, Confirmed, Preflight, Wanted};
use super::{Motion, Tab, doctor, events, findings, gpus, processes, storage, topology};
use crate::actions::{Change, Outcome, Progress};
use crate::model::{Demand, Deriver, GpuId, Record, StuckCall};
use crate::units::{Mono, Wall};
use std::time::Duration;

/// What can happen: a record, a state of the source, a tick, or an intent of the user.
#[derive(Clone, Debug)]
pub enum Message {
    /// A record of the stream.
    Record(Box<Record>),
    /// The clocks of this machine; comes while an age is on the screen ([`super::State::tick_after`]).
    Tick(Mono, Wall),
    /// The terminal's size in columns and rows.
    Resize(u16, u16),
    /// The source left, or could not be started.
    SourceEnded {
        /// Why.
        reason: String,
        /// When a fresh one is started; `None` if none will be.
        restarting_in: Option<Duration>,
    },
    /// The collector does not leave and cannot be killed: no second one is started.
    SourceStuck {
        /// Its PID.
        pid: u32,
        /// The driver call it hangs in, where that is known.
        call: Option<StuckCall>,
    },
    /// A line that the collector wrote to standard error.
    CollectorStderr(String),
    /// Where the replay stands.
    Replayed(ReplayProgress),
    /// The runtime went back in a replay: go on from this checkpoint.
    Restore(Box<Deriver>),
    /// Something to tell the user in the footer, until the next key.
    Notify(String),

    /// The bundle is written: its path, or why there is none.
    BundleWritten(Result<String, String>),
    /// What a plan needs was read.
    Preflight(Box<Preflight>),
    /// The plan of that generation was on the screen long enough to be seen, and no input is left that came before.
    PlanSeen(u64),
    /// What can be taken back on that GPU, the newest last.
    Undoables(GpuId, Vec<Change>),
    /// Several keys came at once: not typed by hands.
    Hasty,
    /// A line of progress of what runs.
    ActProgress(Progress),
    /// What ran is gone without a last word, or never began.
    ActEnded(Outcome),
    /// sudo came back.
    SudoEnded {
        /// In a sentence.
        text: String,
    },

    /// Leave.
    Quit,
    /// Write one file for the ticket.
    WriteBundle,
    /// Stop as Ctrl-Z does.
    Suspend,
    /// Show that tab.
    SelectTab(Tab),
    /// Show the tab to the right.
    NextTab,
    /// Show the tab to the left.
    PreviousTab,
    /// Hold the screen still, or let it go on.
    ToggleFreeze,
    /// Open the help.
    ShowHelp,
    /// Open the list of findings.
    ShowFindings,
    /// Open what the collector wrote to standard error.
    ShowCollectorLog,
    /// Close what lies over the screen.
    CloseOverlay,
    /// Move in what lies over the screen.
    MoveOverlay {
        /// Where to.
        motion: Motion,
        /// The line that stands at the top, as drawn.
        first: usize,
        /// The last line that can stand at the top, as drawn.
        last: usize,
    },
    /// Start a fresh collector now.
    RestartCollector,
    /// Leave this source for the demo.
    StartDemo,
    /// Pause the replay, or let it go on.
    TogglePause,
    /// Go forward (or back) in the replay, in seconds.
    Seek(i64),
    /// Go some samples forward (or back) in the replay.
    Step(i32),
    /// Replay faster.
    Faster,
    /// Replay slower.
    Slower,
    /// Text from the terminal's clipboard. It is only ever taken as text.
    Paste(String),
    /// Something about the findings.
    Findings(findings::Intent),
    /// An intent within the GPUs tab.
    Gpus(gpus::Intent),
    /// An intent within the topology tab.
    Topology(topology::Intent),
    /// An intent within the processes tab.
    Processes(processes::Intent),
    /// Something in the events tab.
    Events(events::Intent),
    /// An intent that has to do with actions.
    Actions(actions::Intent),
    /// Something in the storage tab.
    Storage(storage::Intent),
    /// Something in the doctor tab.
    Doctor(doctor::Intent),
}

/// Where a replay stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayProgress {
    /// Time from the first sample to the newest pushed.
    pub position: Duration,
    /// Time from the first sample to the last, if known.
    pub length: Option<Duration>,
    /// Whether there is nothing after it.
    pub at_end: bool,
    /// Where and how the file is damaged, if it is.
    pub damage: Option<String>,
}

/// What the runtime is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Leave at once; wait for nothing.
    Quit,
    /// Write everything that is known into one file, and say where with [`Message::BundleWritten`].
    WriteBundle,
    /// Give the terminal back and stop; on return, draw anew.
    Suspend,
    /// Tell the source what is looked at.
    Demand(Demand),
    /// List the snapshots of a dataset; `None` calls that off.
    ListSnapshots(Option<std::sync::Arc<str>>),
    /// Put text into the terminal's clipboard (OSC 52).
    Copy(String),
    /// Replace the source by the demo of that name (empty: the first).
    StartDemo(String),
    /// Go to that position from the start of the recording.
    ReplaySeek(Duration),
    /// Replay at that speed.
    ReplaySpeed(f32),
    /// Pause (true) or go on.
    ReplayPause(bool),
    /// Go that many samples forward or back, and pause.
    ReplayStep(i32),
    /// Stop the collector, if one runs, and start a fresh one now.
    RestartCollector,
    /// Have the collector read now what it seldom reads.
    ReadAgain,
    /// Stop the collector and start none (true), or start it again.
    HoldCollector(bool),
    /// Read what a plan needs of this host.
    Preflight(Wanted),
    /// Read in the audit log what can be taken back on that GPU.
    ReadUndoables(GpuId),
    /// Carry a confirmed plan out, in a child.
    Act(Box<Confirmed>),
    /// Give the terminal back and run these words (the program first) through sudo.
    Sudo(Vec<String>),
}
