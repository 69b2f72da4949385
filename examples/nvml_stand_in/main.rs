//! A stand-in for `libnvidia-ml.so.1`, driven by a scenario: it answers as a driver does, and fails as one does.
//! The failures that matter (a call that never returns, a GPU that falls off the bus, a driver that crashes)
//! cannot be ordered from real hardware.
//!
//! Built by plain `cargo test` and `cargo build --examples` as `target/debug/examples/libnvml_stand_in.so`.
//!
//! | environment variable | |
//! |---|---|
//! | `KGTOP_STAND_IN` | scenario file, or the name of an embedded one; `healthy-8xh100` without |
//! | `KGTOP_STAND_IN_LOG` | file to which every call that sets something is appended, one a line |
//! | `KGTOP_STAND_IN_SHARED` | set: what any process set according to that file holds for all, as on one machine |
//! | `KGTOP_STAND_IN_EPOCH` | the scenario's start in seconds since the Unix epoch; the first call without |
#![allow(
    unsafe_code,
    missing_docs,
    non_snake_case,
    unreachable_pub,
    clippy::missing_safety_doc,
    clippy::undocumented_unsafe_blocks,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::map_err_ignore,
    reason = "this is the C side: a test double of a C library, every function takes raw pointers from its caller"
)]

mod buffers;
mod code;
mod events;
mod fields;
mod gpm;
mod health;
mod identity;
mod live;
mod memory;
mod mig;
mod nvlink;
mod processes;
mod settings;
mod state;
mod system;
mod topology;
