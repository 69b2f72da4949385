//! What the readings mean: verdicts, decoding, advice. Pure; time is an argument; thresholds are named constants
//! with their source; catalogues are data in `assets/`.

mod advice;
pub mod clock_events;
pub mod doctor;
pub mod events;
pub mod fit;
pub mod kernel_log;
pub mod limits;
pub mod loading;
pub mod names;
pub mod storage;
pub mod topology;
pub mod verdict;
pub mod xid;

pub use verdict::{Judge, Severity, Verdict};
