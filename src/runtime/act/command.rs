//! `kgtop act …`: from arguments to plans, from plans to a question, from a yes to the child.

mod confirm;
mod make;
mod print;
mod watch;

use super::execute::{carry_out, refused};
use super::{Place, mig};
use crate::actions::{Outcome, Plan, Progress, RefusalKind, select_gpus};
use crate::cli::act::{ActArgs, Action, MigAction, PlanFormat};
use crate::cli::{GlobalArgs, ScreenArgs};
use crate::config::Config;
use crate::runtime::act::facts::INTERVAL;
use crate::runtime::commands::{self, EXIT_REFUSED, Refused, Usage};
use crate::sources::audit_log::ROOT_LOG;
use crate::units::Clock;
use color_eyre::eyre::{Result, bail};
use confirm::confirmed;
use make::Maker;
use print::{plans_text, print_profiles, print_unit, report, say, say_error, to_json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A plan is a few kB; more than this is none.
const PLAN_LIMIT: u64 = 1 << 20;
/// The locks of root.
const ROOT_LOCKS: &str = "run/kgtop";

/// Runs `kgtop act`.
pub(in crate::runtime) fn run(
    global: &GlobalArgs,
    screen: &ScreenArgs,
    config: &Config,
    arguments: &ActArgs,
    clock: Clock,
) -> Result<ExitCode> {
    if config.read_only {
        say_error("refused: read-only; actions are removed by --read-only, the config or the environment\n");
        return Ok(ExitCode::from(EXIT_REFUSED));
    }
    let config = Config { interval: INTERVAL, ..config.clone() };
    let place = Place { last_resort: arguments.last_resort, ..place(global, &config)? };
    match (&arguments.plan, &arguments.action) {
        (Some(_), None) => Ok(child(&place, clock)?),
        (Some(_), Some(_)) => bail!(Usage("--plan stands for itself: the plan says what to do".into())),
        (None, None) => bail!(Usage("say what to do: kgtop act --help lists the actions".into())),
        (None, Some(action)) => {
            let maker = Maker { wanted: &screen.gpus.gpu, arguments, action, place: &place, clock };
            act(global, &config, &maker)
        }
    }
}

/// Where actions read and write, with these arguments.
pub(in crate::runtime) fn place(global: &GlobalArgs, config: &Config) -> Result<Place> {
    let root = commands::root(global)?;
    let base = root.directory().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let of_root = base.join(ROOT_LOG.trim_start_matches('/'));
    let own = commands::own_audit(root.directory().is_some());
    let mut audits = vec![of_root.clone()];
    audits.extend(own.clone());
    Ok(Place {
        audit: own.unwrap_or(of_root),
        audits,
        locks: base.join(ROOT_LOCKS),
        library: config.nvml_lib.clone(),
        collector: commands::collector_arguments(global, config),
        tools: commands::tools(global)?,
        last_resort: false,
        root,
    })
}

/// Carries out the plan on standard input.
fn child(place: &Place, clock: Clock) -> Result<ExitCode> {
    watch::go_on()?;
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(PLAN_LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| Refused(format!("the plan could not be read: {error}")))?;
    let say = |progress: Progress| {
        let mut line = serde_json::to_string(&progress).unwrap_or_default();
        line.push('\n');
        let mut out = std::io::stdout().lock();
        // Whoever listened may have left; what was begun goes on.
        let _left = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    };
    let outcome = carry_out(place, clock, text.trim(), &say);
    let status = outcome.exit_status();
    say(Progress::End(outcome));
    Ok(ExitCode::from(status))
}

fn act(global: &GlobalArgs, config: &Config, maker: &Maker<'_>) -> Result<ExitCode> {
    let Maker { arguments, action, .. } = *maker;
    let json = arguments.format == PlanFormat::Json;
    if let Action::Mig { what: MigAction::List } = action {
        return list_profiles(maker, json);
    }
    let (mut plans, host) = maker.plans()?;
    if let Action::PowerLimit { print_unit: true, .. } = action {
        return print_unit(&plans);
    }
    if arguments.dry_run {
        say(&if json { to_json(&plans) } else { plans_text(&plans, &host) })?;
        let allowed = plans.iter().all(Plan::is_allowed);
        return Ok(ExitCode::from(if allowed { 0 } else { EXIT_REFUSED }));
    }
    // Nobody is asked about what was not shown: where standard output is for a program, standard error shows it.
    if !json {
        say(&plans_text(&plans, &host))?;
    } else if !arguments.yes {
        say_error(&plans_text(&plans, &host));
    }
    loop {
        // All or none: half of a change over several GPUs is what nobody asked for.
        if !plans.iter().all(Plan::is_allowed) {
            let outcomes: Vec<Outcome> =
                plans.iter().map(|plan| Outcome::Refused { refusals: plan.refusals.clone() }).collect();
            return report(&plans, &outcomes, json);
        }
        for plan in plans.iter().filter(|plan| !plan.already) {
            if !confirmed(plan, arguments)? {
                say_error("not confirmed; nothing was sent\n");
                return Ok(ExitCode::from(EXIT_REFUSED));
            }
        }
        if !plans.iter().any(|plan| plan.is_stale((maker.clock.mono)())) {
            break;
        }
        // The answer took its time. What is confirmed must be what is: made anew, and asked anew if it is another.
        let (anew, host) = maker.plans()?;
        let same = anew.len() == plans.len() && anew.iter().zip(&plans).all(|(anew, old)| anew.is_like(old));
        plans = anew;
        if same {
            break;
        }
        say_error("the machine has changed since the plan was made; this is the plan now:\n");
        say_error(&plans_text(&plans, &host));
    }
    let mut outcomes = Vec::new();
    for plan in &plans {
        outcomes.push(if plan.already {
            Outcome::Done { verified: format!("it was {} already; nothing was sent", plan.change.wanted()) }
        } else {
            in_turn(maker, plan, global, config)
        });
    }
    report(&plans, &outcomes, json)
}

/// Carries out one of several plans; what keeps it from beginning says nothing of those before it.
fn in_turn(maker: &Maker<'_>, plan: &Plan, global: &GlobalArgs, config: &Config) -> Outcome {
    match maker.fresh(plan) {
        Ok(plan) => watch::in_child(&plan, global, config, maker.arguments.last_resort),
        Err(error) => refused(RefusalKind::Unread, format!("{error:#}")),
    }
}

fn list_profiles(maker: &Maker<'_>, json: bool) -> Result<ExitCode> {
    let snapshot = maker.snapshot()?;
    let gpus = select_gpus(&snapshot, maker.wanted, maker.arguments.all)
        .map_err(|error| Usage(error.to_string()))?;
    let mut offered = Vec::new();
    for gpu in gpus {
        let profiles = mig::offered(maker.place.library.as_deref(), maker.clock, &gpu.id.0);
        offered.push((gpu.id.0.to_string(), profiles));
    }
    print_profiles(&offered, json)
}
