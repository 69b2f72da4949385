//! The wiring: which command does what, the one `select!` loop, the collector's process, and the clocks.

mod act;
mod bundle;
mod child;
mod clipboard;
mod clock;
mod commands;
mod configure;
mod demo;
mod doctor;
mod events;
mod feed;
mod fit;
mod hands;
mod keyboard;
mod last_resort;
mod log;
mod once;
mod player;
mod record;
mod screen;
mod storage;

use crate::cli::{Cli, EXIT_USAGE};
use crate::units::printable_lines;
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// The search path of what kgtop starts with root's rights: whoever set the one that was inherited could have named
/// other programs. The last one is NixOS'.
const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

/// Runs the command line; the binary is this call.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            if !error.use_stderr() {
                // A closed pipe is no error worth telling.
                let _closed = error.print();
                return ExitCode::SUCCESS;
            }
            // It quotes arguments, which are not the terminal's to obey.
            let _closed = std::io::stderr().write_all(printable_lines(&error.to_string()).as_bytes());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    crate::terminal::install_hooks();
    let status = commands::status_of_errors(&cli);
    match commands::run(cli, clock::system()) {
        Ok(code) => code,
        Err(report) => commands::complain(&report, status),
    }
}
