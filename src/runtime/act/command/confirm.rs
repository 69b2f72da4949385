//! The question: by flag, or by an answer typed after it was asked.

use super::print::say_error;
use crate::actions::{Plan, Target, Weight, smi_address};
use crate::cli::act::ActArgs;
use crate::runtime::commands::Usage;
use color_eyre::eyre::{Context, Result, bail};
use std::io::{BufRead, IsTerminal};

/// Whether the operator confirms: by flag, or by an answer typed after the question was asked.
pub(super) fn confirmed(plan: &Plan, arguments: &ActArgs) -> Result<bool> {
    let (named, accepted): (String, Vec<&str>) = match &plan.target {
        Target::Gpu { address, .. } => (address.clone(), vec![address]),
        Target::Process { pid, .. } => (pid.to_string(), Vec::new()),
    };
    if let Some(given) = &arguments.force_destructive {
        let given = given.to_ascii_lowercase();
        let fits = given == named
            || accepted.iter().any(|address| smi_address(address).to_ascii_lowercase() == given);
        if !fits {
            bail!(Usage(format!("--force-destructive {given} does not name the target, {named}")));
        }
    }
    if let Weight::Typed { text } = &plan.weight {
        if arguments.yes && arguments.force_destructive.is_some() {
            return Ok(true);
        }
        if arguments.yes {
            bail!(Usage(format!(
                "this cannot be taken back: --yes needs --force-destructive {named} beside it"
            )));
        }
        let question = format!("{}\nThis cannot be taken back. Type {text} to go on: ", plan.words());
        return Ok(answer(&question)?.trim() == text);
    }
    if arguments.yes {
        return Ok(true);
    }
    Ok(["y", "Y", "yes"].contains(&answer(&format!("{}\nGo on? y/N ", plan.words()))?.trim()))
}

/// Asks on the terminal. What was typed before the question is thrown away.
fn answer(question: &str) -> Result<String> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!(Usage(
            "there is no terminal to confirm on: --dry-run shows the plan, --yes confirms it".into()
        ));
    }
    rustix::termios::tcflush(&stdin, rustix::termios::QueueSelector::IFlush)
        .wrap_err("the terminal's input could not be flushed")?;
    say_error(question);
    let mut line = String::new();
    stdin.lock().read_line(&mut line).wrap_err("the answer could not be read")?;
    Ok(line)
}
