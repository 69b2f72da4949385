//! The kgtop binary: parse, run, map the error to an exit status.

fn main() {}
