//! Actions as the operator sees them: a list, a value, a plan, its confirmation, its progress, its undo.
//!
//! Without a [`LocalAuthority`] none of it can be expressed: each way in asks for it first, and only a plan that was
//! confirmed under it becomes an [`Effect::Act`].

mod ask;
mod authority;
mod confirm;
mod menu;
mod plan;
mod run;
mod undo;

pub use ask::{Ask, Question};
pub use authority::{Confirmed, LocalAuthority};
pub use menu::{Entry, List, Menu, Then};
pub use plan::{PlanView, Preflight, Wanted};
pub use run::Run;
pub use undo::Undo;

pub(super) use confirm::sudo_ended;
pub(super) use plan::{review, take_preflight};
pub(super) use run::{ended, progress};
pub(super) use undo::take_undoables;

use super::{Effect, Motion, Overlay, State, Tab};
use crate::model::{GpuId, ProcessKey};
use crate::units::Mono;

/// What an action is about, by identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A GPU.
    Gpu(GpuId),
    /// A process.
    Process(ProcessKey),
}

/// State of the actions.
#[derive(Clone, Debug, Default)]
pub struct ActionsState {
    authority: Option<LocalAuthority>,
    /// This machine's clock, as of the newest message that carried it.
    now: Option<Mono>,
    /// Counts the plans that were put on the screen: what was drawn is told by it.
    generation: u64,
    /// What runs, or ran last.
    run: Option<Run>,
    /// The collector is stopped, so that what runs finds the GPU free.
    held: bool,
    /// The last change of each setting of each target, with what takes it back; the newest last. Of a GPU it is
    /// what the audit log says: another kgtop may have acted too.
    undo: Vec<Undo>,
    /// The GPU whose last change is to be planned back as soon as the log has been read.
    undo_wanted: Option<GpuId>,
}

/// What the operator can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Open the list of what can be done to what is selected.
    Open,
    /// Plan to take the last change of what is selected back.
    Undo,
    /// Select another entry of the list.
    Move(Motion),
    /// Select the entry of that place.
    Select(usize),
    /// Take the selected entry.
    Choose,
    /// A character: of a value, or of what is typed to confirm.
    Type(char),
    /// Remove the last character.
    Backspace,
    /// Take what was typed.
    Accept,
    /// Yes.
    Yes,
    /// No.
    No,
    /// Run it through sudo, with the terminal given back.
    Sudo,
    /// Copy the command.
    Copy,
    /// Show what runs.
    ShowRun,
}

impl State {
    /// The same with the right to act on this machine: taken up only where a collector of this machine feeds the
    /// screen, and nothing forbids it.
    #[must_use]
    pub fn with_authority(mut self, authority: LocalAuthority) -> Self {
        let may = self.mode == super::Mode::Live && !self.settings.read_only;
        self.actions.authority = may.then_some(authority);
        self
    }

    /// The right to act; `None` until the source has proven to be this boot of this machine.
    #[must_use]
    pub fn authority(&self) -> Option<&LocalAuthority> {
        let header = self.header.as_ref()?;
        let live = self.mode == super::Mode::Live && !self.settings.read_only;
        self.actions.authority.as_ref().filter(|authority| live && authority.is_of(&header.host.boot_id))
    }

    /// Whether the list of actions can be opened from here.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.authority().is_some() && !self.without_driver() && self.subject().is_some()
    }

    /// What an action would be about: the selected process on the tab of processes, the selected GPU on those of
    /// GPUs.
    fn subject(&self) -> Option<Subject> {
        match self.tab {
            Tab::Processes => {
                let process = self.selected_process()?;
                process.ended.is_none().then_some(Subject::Process(process.key))
            }
            Tab::Gpus | Tab::Limits => Some(Subject::Gpu(self.selected_gpu()?.1.id.clone())),
            Tab::Topology => {
                let matrix = self.matrix();
                let (row, _) = self.selected_pair(&matrix);
                matrix.devices.get(row)?.gpu.clone().map(Subject::Gpu)
            }
            _ => None,
        }
    }

    /// What runs, or ran last.
    pub(crate) fn run(&self) -> Option<&Run> {
        self.actions.run.as_ref()
    }

    /// Whether a window of an action is open: then input carries its time.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(
            self.overlay,
            Overlay::Actions(_) | Overlay::Ask(_) | Overlay::Plan(_) | Overlay::Progress { .. }
        )
    }

    /// Whether an age of a plan or of a run is on the screen.
    pub(super) fn counts_an_action(&self) -> bool {
        matches!(self.overlay, Overlay::Plan(_))
            || matches!(self.overlay, Overlay::Progress { .. }) && self.run().is_some_and(Run::is_running)
    }

    /// Whether what runs needs the GPU free of kgtop's own collector.
    pub(crate) fn holds_the_collector(&self) -> bool {
        let takes_it = |run: &Run| run.is_running() && run.plan.change.takes_the_gpu_away();
        self.actions.held || self.run().is_some_and(takes_it)
    }

    /// Closes what belongs to an action: what it rested on is gone.
    pub(super) fn drop_action(&mut self) {
        if self.acts() {
            self.overlay = Overlay::None;
        }
    }
}

/// The clock came.
pub(super) fn tick(state: &mut State, now: Mono) -> Vec<Effect> {
    state.actions.now = Some(now);
    review(state, false)
}

/// Carries out an intent.
pub(super) fn update(state: &mut State, intent: Intent) -> Vec<Effect> {
    if state.authority().is_none() {
        state.drop_action();
        return Vec::new();
    }
    match intent {
        Intent::Open => return open(state),
        Intent::Undo => return undo::begin(state),
        Intent::Move(motion) => menu::select(state, |selected, count| motion.apply(selected, count)),
        Intent::Select(place) => menu::select(state, |_, _| place),
        Intent::Choose => return menu::choose(state),
        Intent::Type(character) => {
            if let Overlay::Ask(ask) = &mut state.overlay {
                ask.type_text(&character.to_string());
            } else {
                confirm::type_character(state, character);
            }
        }
        Intent::Backspace => match &mut state.overlay {
            Overlay::Ask(ask) => ask.backspace(),
            Overlay::Plan(view) => view.backspace(),
            _ => {}
        },
        Intent::Accept => {
            return match &state.overlay {
                Overlay::Ask(_) => ask::accept(state),
                Overlay::Plan(_) => confirm::accept(state),
                _ => Vec::new(),
            };
        }
        Intent::Yes => return confirm::yes(state),
        Intent::No => {
            if matches!(state.overlay, Overlay::Plan(_)) {
                state.overlay = Overlay::None;
            }
        }
        Intent::Sudo => return confirm::through_sudo(state),
        Intent::Copy => return confirm::copy(state),
        Intent::ShowRun => {
            if state.actions.run.is_some() {
                state.overlay = Overlay::Progress { scroll: run::AT_THE_END };
            }
        }
    }
    Vec::new()
}

/// While something runs there is one thing to see: how it goes.
fn open(state: &mut State) -> Vec<Effect> {
    if state.run().is_some_and(Run::is_running) {
        state.overlay = Overlay::Progress { scroll: run::AT_THE_END };
        return Vec::new();
    }
    let Some(subject) = state.subject() else {
        state.notice = Some("nothing is selected that can be acted on".into());
        return Vec::new();
    };
    state.overlay = Overlay::Actions(Menu::new(subject.clone(), List::Actions));
    match subject {
        Subject::Gpu(gpu) => vec![Effect::ReadUndoables(gpu)],
        Subject::Process(_) => Vec::new(),
    }
}

/// Text from the clipboard: a value may be pasted, a confirmation never.
pub(super) fn paste(state: &mut State, text: &str) {
    match &mut state.overlay {
        Overlay::Ask(ask) => ask.type_text(text),
        Overlay::Plan(view) if view.armed => {
            view.typed.clear();
            state.notice = Some("pasted text does not confirm: type it".into());
        }
        _ => {}
    }
}

/// Input came all at once, as a paste does in a terminal that does not mark it: what is open must be seen again
/// before it can be confirmed.
pub(super) fn hasty(state: &mut State) {
    if let Overlay::Plan(view) = &mut state.overlay {
        view.armed = false;
        view.typed.clear();
        state.notice =
            Some("that came all at once, as pasted text does: it does not confirm; type it".into());
    }
}

/// The screen is another: what was seen on it counts no more.
pub(super) fn unseen(state: &mut State) {
    if let Overlay::Plan(view) = &mut state.overlay {
        view.armed = false;
    }
}

/// The plan of that generation has been on the screen, and no input is left that came before.
pub(super) fn seen(state: &mut State, generation: u64) {
    if let Overlay::Plan(view) = &mut state.overlay
        && view.generation == generation
        && view.plan.is_some()
    {
        view.armed = true;
    }
}
