//! Arguments of `kgtop act`.

use crate::actions::{Change, ClockDomain, ClockRange, ComputeMode, EccCounters, PowerValue, Remedy};
use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `kgtop act`.
#[derive(Args, Debug)]
pub struct ActArgs {
    /// What to do
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Carry out the plan on standard input (-); progress goes to standard output, one JSON object a line
    #[arg(long, value_name = "-", value_parser = ["-"])]
    pub plan: Option<String>,
    /// Every GPU
    #[arg(long, global = true)]
    pub all: bool,
    /// Show the plan and do nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Do not ask; what cannot be taken back needs --force-destructive as well
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Repeat the PCI address of the GPU, or the PID: goes before the question about what cannot be taken back
    #[arg(long, global = true, value_name = "ADDRESS|PID")]
    pub force_destructive: Option<String>,
    /// Allow pci-rescan and driver-rebind, where a reset does not help
    #[arg(long, global = true)]
    pub last_resort: bool,
    /// Refuse unless this is the value now, as the plan shows it ("700 W")
    #[arg(long, global = true, value_name = "VALUE", allow_hyphen_values = true)]
    pub expect: Option<String>,
    /// Form of plans and outcomes
    #[arg(long, global = true, value_enum, default_value_t = PlanFormat::Text)]
    pub format: PlanFormat,
}

/// Forms of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Set the power limit
    PowerLimit {
        /// Watts (250), per cent of the default (80%), or default
        value: PowerValue,
        /// Print a systemd unit that sets it at each boot, and set nothing
        #[arg(long)]
        print_unit: bool,
    },
    /// Lock a clock within a range, or lift the lock
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Clocks {
        /// SM clock, MHz: least,greatest
        #[arg(long, group = "what", value_name = "MIN,MAX")]
        graphics: Option<ClockRange>,
        /// Memory clock, MHz: least,greatest
        #[arg(long, group = "what", value_name = "MIN,MAX")]
        memory: Option<ClockRange>,
        /// Lift the lock of this clock, or set application clocks to their defaults
        #[arg(long, group = "what", value_enum)]
        reset: Option<Lifted>,
    },
    /// Keep the driver loaded without clients, or not
    Persistence {
        /// on or off
        #[arg(value_enum)]
        mode: OnOff,
    },
    /// Who may use the GPU for compute
    ComputeMode {
        /// The mode
        #[arg(value_enum)]
        mode: Mode,
    },
    /// Set ECC counters to zero; they are written to the audit log first
    EccClear {
        /// Which counters
        #[arg(value_enum)]
        counters: Counters,
    },
    /// Reset one GPU, once nobody has it open
    Reset,
    /// Last resort: take the GPU off the PCI bus and let the kernel find it again
    PciRescan,
    /// Last resort: take the GPU from its driver and give it back
    DriverRebind,
    /// List, make and destroy MIG instances
    Mig {
        /// What to do with them
        #[command(subcommand)]
        what: MigAction,
    },
    /// Take back the last change of a setting of this boot
    Undo {
        /// Which setting, as the audit log names it (power-limit); the last of all without
        setting: Option<String>,
    },
    /// Send a signal to a process on a GPU
    Signal {
        /// PID as shown
        pid: u32,
        /// TERM, INT, KILL, HUP, QUIT, USR1, USR2, STOP or CONT
        #[arg(long, short = 's', default_value = "TERM")]
        signal: String,
        /// Refuse unless the process started then: clock ticks since boot, field 22 of /proc/PID/stat
        #[arg(long, value_name = "TICKS")]
        start: Option<u64>,
    },
    /// Set the niceness of a process on a GPU
    Renice {
        /// PID as shown
        pid: u32,
        /// -20 (first) to 19 (last)
        #[arg(allow_negative_numbers = true)]
        nice: i32,
        /// Refuse unless the process started then: clock ticks since boot, field 22 of /proc/PID/stat
        #[arg(long, value_name = "TICKS")]
        start: Option<u64>,
    },
}

/// What can be done with MIG instances.
#[derive(Debug, Subcommand)]
pub enum MigAction {
    /// Show profiles, and how many more instances of each can be made
    List,
    /// Make instances, each with the compute instance that fills it
    Create {
        /// Profiles by number or name, in order: 19,1g.18gb
        #[arg(value_delimiter = ',', required = true)]
        profiles: Vec<String>,
    },
    /// Destroy instances that nobody uses, with their compute instances
    Destroy {
        /// Number of one GPU instance; all of them without
        #[arg(long)]
        instance: Option<u32>,
    },
}

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lifted {
    /// The SMs' clock
    Graphics,
    /// The memory's clock
    Memory,
    /// Application clocks
    Applications,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// On
    On,
    /// Off
    Off,
}

/// A compute mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Any number of processes
    Default,
    /// One process at a time
    ExclusiveProcess,
    /// No process
    Prohibited,
}

/// ECC counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Counters {
    /// Since the driver loaded
    Volatile,
    /// In the GPU's life
    Aggregate,
}

impl Action {
    /// The change that it asks of a GPU whose default power limit is `default_milliwatts`.
    ///
    /// # Errors
    /// Where per cent or the default are asked for, and the default is not known; and for what is no change by
    /// itself.
    pub fn change(&self, default_milliwatts: Option<u32>) -> Result<Change, String> {
        Ok(match self {
            Self::PowerLimit { value, .. } => {
                Change::PowerLimit { milliwatts: value.milliwatts(default_milliwatts)? }
            }
            Self::Clocks { graphics: Some(ClockRange(least, most)), .. } => {
                Change::LockClocks { domain: ClockDomain::Graphics, least: *least, most: *most }
            }
            Self::Clocks { memory: Some(ClockRange(least, most)), .. } => {
                Change::LockClocks { domain: ClockDomain::Memory, least: *least, most: *most }
            }
            Self::Clocks { reset: Some(Lifted::Applications), .. } => Change::DefaultApplicationClocks,
            Self::Clocks { reset: Some(Lifted::Memory), .. } => {
                Change::UnlockClocks { domain: ClockDomain::Memory }
            }
            Self::Clocks { .. } => Change::UnlockClocks { domain: ClockDomain::Graphics },
            Self::Persistence { mode } => Change::Persistence { on: *mode == OnOff::On },
            Self::ComputeMode { mode } => Change::ComputeMode {
                mode: match mode {
                    Mode::Default => ComputeMode::Default,
                    Mode::ExclusiveProcess => ComputeMode::ExclusiveProcess,
                    Mode::Prohibited => ComputeMode::Prohibited,
                },
            },
            Self::EccClear { counters } => Change::ClearEcc {
                counters: match counters {
                    Counters::Volatile => EccCounters::Volatile,
                    Counters::Aggregate => EccCounters::Aggregate,
                },
            },
            Self::Reset => Change::Reset,
            Self::PciRescan => Change::LastResort { remedy: Remedy::PciRescan },
            Self::DriverRebind => Change::LastResort { remedy: Remedy::DriverRebind },
            Self::Mig { what: MigAction::Create { profiles } } => {
                Change::MigCreate { profiles: profiles.clone() }
            }
            Self::Mig { what: MigAction::Destroy { instance } } => Change::MigDestroy { instance: *instance },
            Self::Mig { what: MigAction::List } => return Err("a list changes nothing".to_owned()),
            Self::Undo { .. } => return Err("what is undone stands in the audit log".to_owned()),
            Self::Signal { signal, .. } => {
                let upper = signal.to_ascii_uppercase();
                Change::Signal { name: upper.strip_prefix("SIG").unwrap_or(&upper).to_owned() }
            }
            Self::Renice { nice, .. } => Change::Renice { nice: *nice },
        })
    }

    /// The PID that it is about, if it is about a process.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        match self {
            Self::Signal { pid, .. } | Self::Renice { pid, .. } => Some(*pid),
            _ => None,
        }
    }

    /// When the process that is meant started, where that was said.
    #[must_use]
    pub const fn start(&self) -> Option<u64> {
        match self {
            Self::Signal { start, .. } | Self::Renice { start, .. } => *start,
            _ => None,
        }
    }
}
