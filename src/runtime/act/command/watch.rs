//! The child that carries a plan out, from both sides.

use super::print::say_error;
use crate::actions::{Outcome, Plan, Progress, RefusalKind};
use crate::cli::GlobalArgs;
use crate::config::Config;
use crate::runtime::act::execute::refused;
use crate::runtime::act::preflight::without_a_word;
use crate::runtime::commands;
use color_eyre::eyre::{Context, Result};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use tokio::signal::unix::{SignalKind, signal};

/// Makes this process go on whatever becomes of the terminal from which it was begun: in a session of its own, and
/// without an ear for the signals with which a terminal, or a sudo in between, would end it. A change that was begun
/// is brought to its end and written down.
pub(super) fn go_on() -> Result<()> {
    // It fails for one that leads its group already, which is as well.
    let _leads = rustix::process::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .wrap_err("the event loop could not be started")?;
    let _entered = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate(), SignalKind::quit()] {
        // The handler stays for good, and nobody listens to it.
        drop(signal(kind).wrap_err("a signal could not be held off")?);
    }
    Ok(())
}

/// Gives a confirmed plan to a child and waits for its end, however long that takes: it is never killed.
pub(super) fn in_child(plan: &Plan, global: &GlobalArgs, config: &Config, last_resort: bool) -> Outcome {
    let mut arguments: Vec<OsString> = vec!["act".into(), "--plan".into(), "-".into()];
    arguments.extend(commands::place_arguments(global, config));
    if last_resort {
        arguments.push("--last-resort".into());
    }
    let started = Command::new("/proc/self/exe")
        .args(arguments)
        // Ctrl-C is for the one who waits: what was begun goes on.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let reason = format!("the process that carries the plan out could not be started: {error}");
            return refused(RefusalKind::Unread, reason);
        }
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A child that left already says so by its status.
        let _left = stdin.write_all(plan.to_json().as_bytes());
    }
    let mut end = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Progress::Step { text }) => say_error(&format!("  {text}\n")),
                Ok(Progress::Waiting { text, seconds }) => {
                    say_error(&format!("  waiting for {text}, {seconds} s; it is not killed\n"));
                }
                // This command line has no collector running.
                Ok(Progress::Collector { .. }) => {}
                Ok(Progress::End(outcome)) => end = Some(outcome),
                Err(_no_progress) => {}
            }
        }
    }
    let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    end.unwrap_or_else(|| without_a_word(&status, ""))
}
