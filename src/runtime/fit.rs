//! `kgtop fit`: finds the model, looks at the GPUs, judges.

use super::commands::{Usage, collector_arguments, on_loop, print, root};
use super::{feed, once};
use crate::analysis::fit::{
    CatalogueError, KvType, Machine, Outcome, QUANTISATIONS, Request, USUAL_CONTEXT, catalogue, judge,
    lookup, words,
};
use crate::cli::GlobalArgs;
use crate::cli::ReportFormat;
use crate::cli::fit::{FitArgs, KvTypeArg};
use crate::config::Config;
use crate::model::ModelShape;
use crate::report;
use crate::sources::models::{StoreEnvironment, model_at, scan_once};
use crate::sources::root::Root;
use crate::units::Clock;
use color_eyre::eyre::{Result, bail};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Exit status when it fits with other settings only.
const EXIT_OTHERWISE: u8 = 1;
/// Exit status when it does not fit.
const EXIT_NO: u8 = 2;
/// Exit status when it could not be judged.
const EXIT_NOT_JUDGED: u8 = 3;

/// Runs the command.
pub(super) fn run(
    global: &GlobalArgs,
    config: &Config,
    arguments: &FitArgs,
    clock: Clock,
) -> Result<ExitCode> {
    if arguments.list {
        return list();
    }
    let root = root(global)?;
    let (name, shape) = find(&root, config, arguments.model.as_deref().unwrap_or_default())?;
    let machine = machine(global, config, arguments, clock)?;
    let trained = shape.geometry.context.unwrap_or(USUAL_CONTEXT);
    let request = Request {
        context: arguments.context.unwrap_or_else(|| trained.min(USUAL_CONTEXT)),
        batch: arguments.batch,
        kv_type: match arguments.kv_type {
            KvTypeArg::F16 => KvType::F16,
            KvTypeArg::Q8 => KvType::Q8,
            KvTypeArg::Fp8 => KvType::Fp8,
        },
    };
    let fit = judge(&shape, request, &machine);
    print(&match arguments.format {
        ReportFormat::Text => report::fit_text(&name, &shape, &fit, &machine),
        ReportFormat::Json => report::fit_json(&name, &shape, &fit, &machine),
    })?;
    Ok(match fit.outcome {
        Outcome::Fits { .. } => ExitCode::SUCCESS,
        Outcome::FitsWith(_) => ExitCode::from(EXIT_OTHERWISE),
        Outcome::No { .. } => ExitCode::from(EXIT_NO),
        Outcome::Unknown(_) => ExitCode::from(EXIT_NOT_JUDGED),
    })
}

fn list() -> Result<ExitCode> {
    let quantisations: Vec<&str> = QUANTISATIONS.iter().map(|each| each.name()).collect();
    let mut text = format!("NAME@QUANTISATION, with one of {}:\n", quantisations.join(", "));
    for entry in catalogue() {
        let parameters = words::parameters(entry.parameters);
        let _never = writeln!(text, "  {:<16}{parameters:>8}", entry.name);
    }
    print(&text)
}

/// Name and shape: a path, else a known name, else a model of a store here.
fn find(root: &Root, config: &Config, asked: &str) -> Result<(String, ModelShape)> {
    let is_path = asked.starts_with(['/', '.', '~']) || (root.is_live() && Path::new(asked).exists());
    if is_path {
        let path = match root {
            Root::Live => std::path::absolute(asked)?.to_string_lossy().into_owned(),
            Root::Directory(_) => asked.to_owned(),
        };
        return model_at(root, &path).map_err(|problem| Usage(problem).into());
    }
    let unknown = match lookup(asked) {
        Ok((_, shape)) => return Ok((asked.to_owned(), shape)),
        Err(error @ CatalogueError::Quantisation { .. }) => bail!(Usage(error.to_string())),
        Err(error) => error,
    };
    let environment = StoreEnvironment::read(|name| std::env::var(name).ok());
    let folders: Vec<String> = config.model_paths.clone();
    let store = scan_once(root, &environment, &folders).store;
    let same = |name: &str| {
        name.eq_ignore_ascii_case(asked) || name.eq_ignore_ascii_case(&format!("{asked}:latest"))
    };
    let found =
        store.models.iter().find(|model| same(&model.name) || model.aliases.iter().any(|alias| same(alias)));
    match found {
        Some(model) => Ok((model.name.to_string(), model.shape.clone())),
        None => bail!(Usage(format!(
            "{unknown}. The model stores on this machine have {} models, none of that name",
            store.models.len()
        ))),
    }
}

/// The GPUs to judge against: those that are assumed, or those of this machine.
fn machine(global: &GlobalArgs, config: &Config, arguments: &FitArgs, clock: Clock) -> Result<Machine> {
    let mut machine = match &arguments.memory {
        Some(memory) => Machine::assumed(&memory.0),
        None => {
            let collector = collector_arguments(global, config);
            let interval = config.interval;
            let mut machine = Machine::default();
            on_loop(async {
                let (snapshot, _) = once::snapshot(feed::collector(collector, clock), interval).await?;
                machine = Machine::of(&snapshot);
                Ok(())
            })?;
            machine
        }
    };
    if !arguments.gpus.is_empty() {
        let missing =
            arguments.gpus.iter().find(|index| !machine.gpus.iter().any(|gpu| gpu.index == **index));
        if let Some(index) = missing {
            bail!(Usage(format!("--gpus {index}: there is no such GPU; there are {}", machine.gpus.len())));
        }
        machine.keep(&arguments.gpus);
    }
    Ok(machine)
}
