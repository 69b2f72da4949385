//! The command line: argument types, and nothing else.

pub mod act;
pub mod fit;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Shortest and longest interval between samples, in seconds. GPM needs 100 ms between two samples (nvml.h);
/// the upper end keeps a stale screen from passing for a live one.
pub const INTERVAL_RANGE: std::ops::RangeInclusive<f64> = 0.1..=60.0;

/// Exit status of wrong usage (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

const EXIT_STATUSES: &str =
    "Exit status: 0 done, 1 failed, 64 wrong usage; doctor, fit and act have more: see their --help";

/// What are my GPUs doing, what holds them back, which layer broke?
#[derive(Debug, Parser)]
#[command(name = "kgtop", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = EXIT_STATUSES)]
pub struct Cli {
    /// What to do; without a command: the terminal monitor of this machine
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the monitor
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// Options of every command
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
pub struct GlobalArgs {
    /// Read /proc, /sys, /dev/kmsg, /etc, /var and /usr below this directory (a captured machine); NVML is then
    /// off unless --nvml-lib names a library
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The NVML library to load in place of libnvidia-ml.so.1
    #[arg(long, global = true, value_name = "FILE")]
    pub nvml_lib: Option<PathBuf>,
    /// Directory of zpool and zfs, in place of where the system has them; with --root they are not run unless named
    #[arg(long, global = true, value_name = "DIR")]
    pub zfs_tools: Option<PathBuf>,
    /// Directory of nvidia-smi and sudo, for actions, in place of where the system has them; with --root they are not
    /// run unless named
    #[arg(long, global = true, value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// Seconds between samples, 0.1 to 60
    #[arg(long, short = 'i', global = true, value_name = "SECONDS", value_parser = parse_interval, allow_negative_numbers = true)]
    pub interval: Option<f64>,
    /// Append what goes wrong inside kgtop to this file
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Read this config file in place of the user's
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of the screen, before the command or after one that draws it.
#[derive(Args, Clone, Debug, Default)]
pub struct ScreenArgs {
    /// Tab to open: its number or name
    #[arg(long, value_name = "TAB")]
    pub tab: Option<String>,
    /// Theme: dark, light, high-contrast, or a TOML file; in as many colours as COLORTERM and TERM name
    #[arg(long, value_name = "NAME|FILE")]
    pub theme: Option<String>,
    /// Remove every action from the screen
    #[arg(long)]
    pub read_only: bool,
    /// Which GPUs
    #[command(flatten)]
    pub gpus: GpuArgs,
}

impl ScreenArgs {
    /// These, and where they say nothing those that stood before the command.
    #[must_use]
    pub fn over(self, before: Self) -> Self {
        Self {
            tab: self.tab.or(before.tab),
            theme: self.theme.or(before.theme),
            read_only: self.read_only || before.read_only,
            gpus: self.gpus.over(before.gpus),
        }
    }
}

/// Which GPUs are shown.
#[derive(Args, Clone, Debug, Default)]
pub struct GpuArgs {
    /// Show these GPUs only: indexes, UUIDs or PCI addresses
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub gpu: Vec<String>,
}

impl GpuArgs {
    /// These, or those that stood before the command.
    #[must_use]
    pub fn over(self, before: Self) -> Self {
        if self.gpu.is_empty() { before } else { self }
    }
}

/// `kgtop act`: what to do, and to which GPUs.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 done, 3 refused and nothing sent, 4 failed, 5 some of several, 64 wrong usage"
)]
pub struct ActCommand {
    /// What to do, and how
    #[command(flatten)]
    pub arguments: act::ActArgs,
    /// The GPUs: indexes, UUIDs, their beginnings, or PCI addresses
    #[arg(long, global = true, value_name = "LIST", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub gpu: Vec<String>,
    /// Refuse every action
    #[arg(long, global = true)]
    pub read_only: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the monitor on an embedded recording or scenario
    Demo {
        /// Name of the demo; see --list
        name: Option<String>,
        /// List the embedded recordings and scenarios
        #[arg(long)]
        list: bool,
        /// Options of the screen
        #[command(flatten)]
        screen: ScreenArgs,
    },
    /// Record what is read, for replay
    Record {
        /// File to write (gzip members of JSON lines; mode 0600)
        #[arg(long, short = 'o', value_name = "FILE")]
        output: PathBuf,
        /// Stop after this many seconds; without it, on Ctrl-C
        #[arg(long, value_name = "SECONDS", value_parser = parse_recorded, allow_negative_numbers = true)]
        seconds: Option<f64>,
        /// Replace users, hosts, UUIDs, serial numbers and commands by stand-ins
        #[arg(long)]
        redact: bool,
    },
    /// Show the monitor on a recording, or on a live stream on standard input (-)
    Replay {
        /// Recording, scenario (.toml) or - for standard input
        file: PathBuf,
        /// Speed of play
        #[arg(long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
        speed: f32,
        /// Options of the screen
        #[command(flatten)]
        screen: ScreenArgs,
    },
    /// Print the records as they are read, one JSON object a line
    Stream {
        /// Run as the monitor's collector: PID of the parent
        #[arg(long, hide = true, value_name = "PPID")]
        child: Option<i32>,
        /// Wait for a laptop's GPU to fall asleep before the driver is opened
        #[arg(long, hide = true)]
        let_sleep: bool,
    },
    /// Print one snapshot and exit; exit status 0: printed, 1: the driver gave no answer in time
    Snapshot {
        /// Form of the output
        #[arg(long, value_enum, default_value_t = SnapshotFormat::Text)]
        format: SnapshotFormat,
        /// Which GPUs
        #[command(flatten)]
        gpus: GpuArgs,
    },
    /// Print one snapshot as Prometheus text, for a textfile collector; exit status as of snapshot
    Export {
        /// Which GPUs
        #[command(flatten)]
        gpus: GpuArgs,
    },
    /// Print pools, cache, datasets, file systems and devices, and what could be better about them
    Storage {
        /// Form of the output
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
    },
    /// Decode the kernel events of this boot, or of saved logs
    Events {
        /// Saved logs (dmesg, journal, kern.log, nvidia-bug-report.log; gzip too), or - for standard input;
        /// without any, this boot
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// An earlier boot from the journal: -1 is the one before this
        #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "files")]
        boot: Option<i32>,
        /// Form of the output
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
    },
    /// Check the layers from the PCI bus to the containers, the worst first; exit status 0: all pass, 1: warnings,
    /// 2: failures, 3: could not judge, 64: wrong usage
    Doctor {
        /// Say instead which layer and checks stand behind an error message
        #[command(subcommand)]
        command: Option<DoctorCommand>,
        /// Form of the output
        #[arg(long, value_enum, default_value_t = ReportFormat::Text, global = true)]
        format: ReportFormat,
    },
    /// Say what a code of the driver means and what to do
    Explain {
        /// What kind of code it is
        #[arg(value_enum)]
        subject: Subject,
        /// The code: 79, or a mask such as 0x44
        code: String,
    },
    /// Write one file for the ticket: the last hour, events and their raw lines, findings, every tab as text
    Bundle {
        /// File to write (tar.gz; mode 0600; never overwritten); without it, one in kgtop's state directory
        #[arg(long, short = 'o', value_name = "FILE")]
        output: Option<PathBuf>,
        /// Take a recording (or scenario) in place of this machine
        #[arg(long, value_name = "FILE", conflicts_with = "seconds")]
        from: Option<PathBuf>,
        /// How long to read this machine
        #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = parse_seconds, allow_negative_numbers = true)]
        seconds: f64,
        /// Replace users, hosts, UUIDs, serial numbers and commands by stand-ins
        #[arg(long)]
        redact: bool,
    },
    /// Say whether a model fits into the memory of the GPUs, and with which settings (exit status 0: as asked, 1: with
    /// others, 2: not, 3: not judged, 64: wrong usage)
    Fit(fit::FitArgs),
    /// Change something: show the plan, ask, do it, read it back, write it down
    Act(ActCommand),
}

/// What the doctor can do beside checking.
#[derive(Debug, Subcommand)]
pub enum DoctorCommand {
    /// From an error message to the layer and the checks behind it
    Explain {
        /// The message, as it was printed; several words are one message
        #[arg(required = true, num_args = 1.., value_name = "TEXT", allow_hyphen_values = true)]
        text: Vec<String>,
    },
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// What can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// An error of a GPU
    Xid,
    /// An error of an NVSwitch
    Sxid,
    /// Clock event ("throttle") reasons: a mask, or the name of one
    Throttle,
}

/// Forms of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SnapshotFormat {
    /// One JSON object
    Json,
    /// One line per GPU
    Csv,
    /// For people
    Text,
}

fn parse_interval(text: &str) -> Result<f64, String> {
    let refuse = || {
        format!(
            "the interval must be a number of seconds from {} to {}",
            INTERVAL_RANGE.start(),
            INTERVAL_RANGE.end()
        )
    };
    let seconds: f64 = text.parse().map_err(|_not_a_number| refuse())?;
    if INTERVAL_RANGE.contains(&seconds) { Ok(seconds) } else { Err(refuse()) }
}

/// Longest reading for a bundle: an hour is what it holds.
const LONGEST_READING: f64 = 3_600.0;

fn parse_seconds(text: &str) -> Result<f64, String> {
    seconds_within(text, 1.0..=LONGEST_READING)
}

/// Shortest and longest recording, in seconds: the shortest interval, and a year.
const RECORDED: std::ops::RangeInclusive<f64> = 0.1..=31_536_000.0;

fn parse_recorded(text: &str) -> Result<f64, String> {
    seconds_within(text, RECORDED)
}

fn seconds_within(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds.filter(|seconds| range.contains(seconds)).ok_or_else(|| {
        format!("the time must be a number of seconds from {} to {}", range.start(), range.end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_interval_out_of_range_names_the_range() {
        for bad in ["0", "-1", "NaN", "inf", "abc", "61", ""] {
            let error = parse_interval(bad).unwrap_err();
            assert!(error.contains("0.1 to 60"), "{bad}: {error}");
        }
        assert_eq!(parse_interval("0.5"), Ok(0.5));
    }

    #[test]
    fn a_recording_lasts_a_time_that_ends() {
        for bad in ["0", "-1", "NaN", "inf", "1e300", "abc", ""] {
            let error = parse_recorded(bad).unwrap_err();
            assert!(error.contains("0.1 to 31536000"), "{bad}: {error}");
        }
        assert_eq!(parse_recorded("2"), Ok(2.0));
    }

    #[test]
    fn options_of_the_screen_are_no_options_of_other_commands() {
        for name in ["snapshot", "export", "storage", "events", "explain", "doctor", "record", "stream"] {
            for option in ["--tab=2", "--theme=dark", "--read-only"] {
                let error = Cli::try_parse_from(["kgtop", name, option]).unwrap_err();
                assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument, "{name} {option}");
            }
        }
    }

    #[test]
    fn what_stands_after_the_command_wins_over_what_stands_before() {
        let arguments = ["kgtop", "--tab", "2", "--gpu", "0", "demo", "--tab", "3", "--theme", "light"];
        let Cli { command: Some(Command::Demo { screen, .. }), screen: before, .. } =
            Cli::try_parse_from(arguments).unwrap()
        else {
            panic!("a demo")
        };
        let screen = screen.over(before);
        assert_eq!((screen.tab.as_deref(), screen.theme.as_deref()), (Some("3"), Some("light")));
        assert_eq!(screen.gpus.gpu, ["0"]);
    }
}
