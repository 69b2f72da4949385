//! What can be done to a GPU or a process, as a [`Plan`] that is read before anything happens. Pure: a plan is made
//! from facts that were read elsewhere, and carried out elsewhere (`runtime::act`).
//!
//! * [`Change`]: what is wanted. [`Plan`]: what that would do here, to whom, at what cost, and why it would be refused.
//! * [`plan_gpu`] and [`plan_process`] make plans; both are called again, on facts read anew, before anything is sent.
//! * [`undoables`] tells the last change of each setting from the audit log, and the change that takes it back.
//! * [`select_gpus`] finds the GPU that was meant, or names the candidates.

mod change;
mod check;
mod command;
mod facts;
mod gpu;
mod health;
mod lasting;
mod losses;
mod mig;
mod plan;
mod process;
mod progress;
mod rows;
mod select;
mod settings;
mod undo;
mod values;
mod words;

pub use change::Change;
pub use command::{SysfsWrite, gpu_command, smi_address, smi_arguments, sysfs_writes};
pub use facts::{GpuFacts, HolderFacts, HostFacts, ProcessTarget};
pub use gpu::plan_gpu;
pub use health::{Comparison, compare};
pub use lasting::{Unit, power_unit};
pub use mig::{MigFacts, MigProfile};
pub use plan::{
    Fit, FitError, Loss, PLAN_FORMAT, Plan, PlanError, Refusal, RefusalKind, STALE_AFTER, Target, Weight,
};
pub use process::plan_process;
pub use progress::{Outcome, Progress};
pub use rows::Row;
pub use select::{SelectError, Selected, select_gpus};
pub use settings::{ClockDomain, ComputeMode, EccCounters, Remedy, SIGNALS, signal_number};
pub use undo::{AuditEntry, Phase, Undoable, undoables};
pub use values::{ClockRange, PowerValue};

#[cfg(test)]
mod tests;
