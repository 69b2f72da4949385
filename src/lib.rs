//! kgtop: a full-screen terminal monitor for NVIDIA GPU rigs.
//!
//! Everything is one stream of records. A source reads, the collector (a process of its own) assembles
//! what was read into records, the [`model::Deriver`] folds records into snapshots, and the terminal,
//! the reports and the analysis only ever look at snapshots:
//!
//! ```text
//!  NVML, /proc, /sys, kernel log       recording       scenario       ssh host kgtop stream
//!              │                           │               │                    │
//!  sources ─► collector ═══════════► one JSON record a line ◄══════════════════╝     (stream)
//!                                          │
//!                        Deriver::push(Record) -> Snapshot                           (model)
//!                                          │
//!                        verdicts, decoding, advice                                  (analysis)
//!                     ┌────────────────────┼─────────────────────┐
//!                 app + ui              report                actions
//! ```
//!
//! Import rules, held by `tests/architecture.rs`:
//!
//! | module | may import |
//! |---|---|
//! | [`units`] | – |
//! | [`model`] | units |
//! | [`stream`], [`analysis`], [`actions`] | model, units |
//! | [`sources`] | model, units; `sources::recording` stream too |
//! | [`config`] | units |
//! | [`collector`] | sources, stream, model, units |
//! | [`app`] | model, analysis, actions, config, units |
//! | [`ui`] | app, model, analysis, actions, config, units |
//! | [`report`] | model, analysis, units |
//! | [`terminal`], [`runtime`], [`cli`] | everything |
//!
//! A new tab is one file in `ui/tabs/`, a new check one entry in `analysis`, a new source one file in
//! `sources/`. State changes only in [`app::update`]; nothing below [`runtime`] reads a clock.

pub mod actions;
pub mod analysis;
pub mod app;
pub mod cli;
pub mod collector;
pub mod config;
pub mod model;
pub mod report;
pub mod runtime;
pub mod sources;
pub mod stream;
pub mod terminal;
pub mod ui;
pub mod units;
