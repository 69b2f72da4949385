//! Everything that the screen shows.

use super::actions::{ActionsState, Ask, Menu, PlanView};
use super::events::EventsState;
use super::gpus::GpusState;
use super::processes::ProcessesState;
use super::{Mode, Tab, Window};
use crate::analysis::events::Incident;
use crate::analysis::verdict::Key;
use crate::analysis::{Judge, Severity, Verdict};
use crate::model::{
    DatasetTracks, DatasetView, Demand, Deriver, Gpu, GpuId, GpuState, Header, History, Inventory,
    ProcessKey, Snapshot, StuckCall,
};
use crate::units::Mono;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What was chosen at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between samples.
    pub interval: Duration,
    /// The tab to open on.
    pub tab: Tab,
    /// No actions at all.
    pub read_only: bool,
    /// How much of the past the charts show.
    pub window: Window,
    /// The GPUs to show: index, beginning of the UUID, or end of the PCI address. Empty: all.
    pub gpu_filter: Vec<String>,
    /// Local time minus UTC, in seconds: times of day are shown in it.
    pub utc_offset_seconds: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            tab: Tab::Gpus,
            read_only: false,
            window: Window::M5,
            gpu_filter: Vec::new(),
            utc_offset_seconds: 0,
        }
    }
}

impl Settings {
    /// Whether the filter lets `gpu` through.
    pub(crate) fn shows(&self, gpu: &Gpu) -> bool {
        self.gpu_filter.is_empty()
            || self.gpu_filter.iter().any(|wanted| {
                gpu.index().is_some_and(|index| index.to_string() == *wanted)
                    || (wanted.len() > 3 && gpu.id.0.starts_with(wanted.as_str()))
                    || (wanted.len() > 3
                        && gpu.info.pci_bus_id.as_ref().is_ok_and(|pci| pci.ends_with(wanted.as_str())))
            })
    }
}

/// What lies over the screen: one thing at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// All keys.
    Help {
        /// First line shown.
        scroll: usize,
    },
    /// All findings, with evidence and advice.
    Findings {
        /// The selected one; `None`: the worst, whatever it is.
        selected: Option<Key>,
        /// First line shown, where it was scrolled by hand; else the selected one is in view.
        scroll: Option<usize>,
    },
    /// Everything about one GPU.
    Gpu {
        /// Which.
        id: GpuId,
        /// First line shown.
        scroll: usize,
    },
    /// Everything about one process.
    Process {
        /// Which.
        key: ProcessKey,
        /// First line shown.
        scroll: usize,
    },
    /// What can be done to what is selected.
    Actions(Menu),
    /// A value that an action needs.
    Ask(Ask),
    /// A plan, and its confirmation.
    Plan(Box<PlanView>),
    /// A confirmed plan while it is carried out, and its outcome.
    Progress {
        /// First line shown.
        scroll: usize,
    },
    /// Something to read.
    Notice {
        /// What it is about.
        title: String,
        /// The text.
        lines: Vec<String>,
        /// First line shown.
        scroll: usize,
    },
}

/// How the source of the records is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceLife {
    /// No record came yet.
    #[default]
    Starting,
    /// Records come.
    Running,
    /// It left.
    Ended {
        /// Why.
        reason: String,
        /// When a fresh one starts.
        restarting_in: Option<Duration>,
    },
    /// It hangs and cannot be replaced.
    Stuck {
        /// Its PID.
        pid: u32,
        /// The call it hangs in.
        call: Option<StuckCall>,
    },
}

/// A snapshot and what was found in it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Findings, the worst first.
    pub verdicts: Arc<[Verdict]>,
}

/// Everything that the screen shows. Changed by [`super::update`] only.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) settings: Settings,
    pub(crate) mode: Mode,
    pub(super) deriver: Deriver,
    pub(super) judge: Judge,
    pub(super) current: Option<Shown>,
    pub(super) frozen: Option<Shown>,
    pub(crate) header: Option<Arc<Header>>,
    pub(crate) inventory: Option<Arc<Inventory>>,
    pub(crate) tab: Tab,
    pub(crate) gpus: GpusState,
    pub(crate) processes: ProcessesState,
    pub(crate) topology: super::topology::TopologyState,
    pub(crate) events: EventsState,
    pub(crate) actions: ActionsState,
    pub(crate) storage: super::storage::StorageState,
    pub(crate) doctor: super::doctor::DoctorState,
    pub(crate) overlay: Overlay,
    pub(crate) source: SourceLife,
    pub(crate) collector_log: VecDeque<String>,
    /// One line in the footer, until the next key.
    pub(crate) notice: Option<String>,
    /// This machine's clock, as of the last tick.
    pub(super) ticked: Option<Mono>,
    /// The first tick after the newest record or the source's end: from there on their age is counted.
    pub(super) ticked_first: Option<Mono>,
    pub(super) demanded: Option<Demand>,
    pub(crate) size: (u16, u16),
}

/// Data older than this many intervals is late.
const LATE_AFTER_INTERVALS: u32 = 3;
/// Data is never called late before this.
const LATE_AT_LEAST: Duration = Duration::from_secs(3);

impl State {
    /// A screen without data yet.
    #[must_use]
    pub fn new(settings: Settings, mode: Mode) -> Self {
        let tab = settings.tab;
        let gpus = GpusState { window: settings.window, ..GpusState::default() };
        Self {
            settings,
            mode,
            deriver: Deriver::new(),
            judge: Judge::default(),
            current: None,
            frozen: None,
            header: None,
            inventory: None,
            tab,
            gpus,
            processes: ProcessesState::default(),
            topology: super::topology::TopologyState::default(),
            events: EventsState::default(),
            actions: ActionsState::default(),
            storage: super::storage::StorageState::default(),
            doctor: super::doctor::DoctorState::default(),
            overlay: Overlay::None,
            source: SourceLife::Starting,
            collector_log: VecDeque::new(),
            notice: None,
            ticked: None,
            ticked_first: None,
            demanded: None,
            size: (0, 0),
        }
    }

    /// What is shown: the newest snapshot, or the one it was frozen at.
    #[must_use]
    pub fn shown(&self) -> Option<&Shown> {
        self.frozen.as_ref().or(self.current.as_ref())
    }

    /// The snapshot that is shown.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.shown().map(|shown| &*shown.snapshot)
    }

    /// The findings that are shown, the worst first.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        self.shown().map(|shown| &*shown.verdicts).unwrap_or_default()
    }

    /// The worst finding about `gpu`.
    pub(crate) fn severity_of(&self, gpu: &Gpu) -> Option<Severity> {
        self.verdicts().iter().filter(|v| v.gpu.as_ref() == Some(&gpu.id)).map(|v| v.severity).max()
    }

    /// The history of a GPU.
    pub(crate) fn history(&self, gpu: &Gpu) -> Option<&History> {
        self.deriver.history(&gpu.id)
    }

    /// The history of cache and pools.
    pub(crate) const fn storage_history(&self) -> &History {
        self.deriver.storage_history()
    }

    /// What was read from and written to a dataset over time.
    pub(crate) fn dataset_tracks(&self, dataset: &DatasetView<'_>) -> Option<&DatasetTracks> {
        self.deriver.dataset_tracks(&dataset.key()?)
    }

    /// The tab that is shown.
    #[must_use]
    pub const fn tab(&self) -> Tab {
        self.tab
    }

    /// What feeds the screen.
    #[must_use]
    pub const fn mode(&self) -> &Mode {
        &self.mode
    }

    /// What lies over the screen.
    #[must_use]
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// A copy of the fold, to go back to in a replay ([`super::Message::Restore`]).
    #[must_use]
    pub fn checkpoint(&self) -> Deriver {
        self.deriver.clone()
    }

    /// Name of the machine that the records come from.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        self.header.as_ref().map(|header| &*header.host.hostname).filter(|name| !name.is_empty())
    }

    /// What the kernel log told, the oldest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.events.log.incidents()
    }

    /// Whether the screen stands still at an older snapshot.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// How long ago the newest sample was taken, as far as ticks told. Live data carries this machine's clock;
    /// that of another machine is counted from the first tick after it came.
    pub(crate) fn data_age(&self) -> Duration {
        match (&self.mode, &self.current, self.ticked) {
            (Mode::Live, Some(current), Some(now)) => now.since(current.snapshot.mono),
            _ => self.waited(),
        }
    }

    /// Time since the first tick after the newest record or the source's end.
    pub(crate) fn waited(&self) -> Duration {
        match (self.ticked, self.ticked_first) {
            (Some(now), Some(first)) => now.since(first),
            _ => Duration::ZERO,
        }
    }

    /// From which age on data is late.
    pub(crate) fn late_after(&self) -> Duration {
        (self.settings.interval * LATE_AFTER_INTERVALS).max(LATE_AT_LEAST)
    }

    /// Whether data should have come and did not.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.mode, Mode::Live | Mode::Remote)
            && self.source == SourceLife::Running
            && self.data_age() >= self.late_after()
    }

    /// Whether what is shown is old because nothing new comes, whatever the reason.
    pub(crate) fn is_stale(&self) -> bool {
        !self.is_frozen() && self.shown_age() >= self.late_after()
    }

    /// How long ago what is shown was current: zero while live data flows.
    pub(crate) fn shown_age(&self) -> Duration {
        let behind = match (&self.frozen, &self.current) {
            (Some(frozen), Some(current)) => current.snapshot.mono.since(frozen.snapshot.mono),
            _ => Duration::ZERO,
        };
        let silent = self.data_age();
        if self.frozen.is_some() || silent >= self.late_after() { behind + silent } else { behind }
    }

    /// Whether there is nothing to show but what stands in the way of the driver.
    pub(crate) fn without_driver(&self) -> bool {
        let problem = |inventory: &Inventory| inventory.driver.problem.is_some();
        match self.snapshot() {
            // Devices that only the bus knows stand among the GPUs: the page lists them, and says why.
            Some(snapshot) => {
                let unserved = |gpu: &Gpu| matches!(gpu.state, GpuState::NoDriver | GpuState::PassedThrough);
                snapshot.gpus.iter().all(unserved) && problem(&snapshot.inventory)
            }
            None => self
                .inventory
                .as_ref()
                .is_some_and(|inventory| inventory.gpus.is_empty() && problem(inventory)),
        }
    }

    /// Whether that is what the tab shows: the tabs about GPUs have nothing else to say then, the others go on.
    pub(crate) fn on_driver_page(&self) -> bool {
        matches!(self.tab, Tab::Gpus | Tab::Processes | Tab::Limits) && self.without_driver()
    }

    /// Whether an age is on the screen that no new record will move on: then a tick is due each second.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        let waits = match self.source {
            SourceLife::Starting | SourceLife::Ended { .. } | SourceLife::Stuck { .. } => true,
            SourceLife::Running => self.data_age() >= Duration::from_secs(1),
        };
        waits && !self.ends_by_itself() || self.counts_an_action()
    }

    /// When the next tick is due, counted from the last record or tick: at once a second while an age is on the
    /// screen, else when the next record would be late.
    #[must_use]
    pub fn tick_after(&self) -> Option<Duration> {
        if self.wants_tick() {
            Some(Duration::from_secs(1))
        } else if self.ends_by_itself() {
            None
        } else {
            Some(self.late_after())
        }
    }

    /// A replay that stands still is not late.
    const fn ends_by_itself(&self) -> bool {
        matches!(self.mode, Mode::Replay(_))
    }

    /// Which groups are on the screen.
    #[must_use]
    pub fn demand(&self) -> Demand {
        match self.tab {
            Tab::Gpus => {
                let without_gpm = self.gpus_shown().any(|gpu| !matches!(gpu.info.gpm, Ok(true)));
                Demand { gpm: true, counters: true, pcie_throughput: without_gpm, ..Demand::default() }
            }
            Tab::Topology => {
                let without_gpm = self.gpus_shown().any(|gpu| !matches!(gpu.info.gpm, Ok(true)));
                Demand {
                    gpm: true,
                    counters: true,
                    links: true,
                    pcie_throughput: without_gpm,
                    ..Demand::default()
                }
            }
            Tab::Limits => Demand { counters: true, ..Demand::default() },
            Tab::Events => Demand::default(),
            Tab::Storage => Demand { storage: true, ..Demand::default() },
            Tab::Doctor => Demand { host_files: true, ..Demand::default() },
            Tab::Processes => Demand { process_utilization: true, ..Demand::default() },
        }
    }
}
