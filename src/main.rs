//! The kgtop binary: parse, run, map the error to an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    kgtop::runtime::main(std::env::args_os())
}
