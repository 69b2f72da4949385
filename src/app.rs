//! What is on the screen and how it changes: [`State`], the [`Message`]s, and [`update`], the only place where
//! state changes. No I/O, no terminal, no clock: time comes with the messages.
//!
//! A tab is one entry of [`Tab`], one file here for its state and intents, one line in [`update`], and one file in
//! `ui/tabs/`.

pub mod actions;
pub mod doctor;
pub mod events;
pub mod findings;
pub mod gpus;
mod message;
mod mode;
pub mod processes;
mod state;
pub mod storage;
mod tab;
pub mod topology;
mod update;

pub use message::{Effect, Message, ReplayProgress};
pub use mode::{Mode, Replay, Window};
pub use state::{Overlay, Settings, Shown, SourceLife, State};
pub use tab::{Motion, Tab};
pub use update::update;
