//! Which command does what.

use super::configure::{configure, tab, theme};
use super::feed::{self, Feed};
use super::hands::Hands;
use super::log::Log;
use super::screen::Loop;
use super::{bundle, demo, doctor, events, once, record};
use crate::actions::select_gpus;
use crate::analysis::Verdict;
use crate::app::{Mode, Settings, State, Tab, Window};
use crate::cli::{Cli, Command, DoctorCommand, EXIT_USAGE, GlobalArgs, GpuArgs, ScreenArgs, SnapshotFormat};
use crate::collector;
use crate::config::Config;
use crate::model::{GpuId, Snapshot};
use crate::report;
use crate::sources::root::Root;
use crate::units::{Clock, printable_lines};
use color_eyre::eyre::{Context, Report, Result, bail};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Runs the command that was given.
pub(super) fn run(cli: Cli, clock: Clock) -> Result<ExitCode> {
    let Cli { command, screen, global } = cli;
    let screen = screen_of(command.as_ref(), screen)?;
    let collects = matches!(command, Some(Command::Stream { .. }));
    let config = configure(&global, &screen, !collects)?;
    let log = Log::open(global.log.as_deref(), clock)?;
    match command {
        None => live(&global, &config, log, clock),
        Some(Command::Stream { child, let_sleep }) => stream(&global, &config, child, let_sleep, clock),
        Some(Command::Demo { list: true, .. }) => list_demos(),
        Some(Command::Demo { name, list: false, .. }) => {
            need_terminal("kgtop demo --list names the demos")?;
            show(&config, log, clock, None, move |clock| {
                demo::start(name.as_deref().unwrap_or_default(), clock)
            })
        }
        Some(Command::Replay { file, speed, .. }) => replay(&config, &file, speed, log, clock),
        Some(Command::Record { output, .. }) if output.as_os_str() == "-" => bail!(Usage(
            "--output -: a recording is a file; `kgtop stream` writes the records to standard output".into()
        )),
        Some(Command::Record { output, seconds, redact }) => {
            let arguments = collector_arguments(&global, &config);
            on_loop(async move {
                record::run(feed::collector(arguments, clock), &output, redact, seconds, clock).await
            })
        }
        Some(Command::Snapshot { format, .. }) => {
            once(&global, &config, clock, |snapshot, verdicts| match format {
                SnapshotFormat::Json => report::json(snapshot, verdicts),
                SnapshotFormat::Csv => report::csv(snapshot),
                SnapshotFormat::Text => report::text(snapshot, verdicts),
            })
        }
        Some(Command::Act(act)) => super::act::run(&global, &screen, &config, &act.arguments, clock),
        Some(Command::Fit(arguments)) => super::fit::run(&global, &config, &arguments, clock),
        Some(Command::Storage { format }) => super::storage::show(&global, &config, format, clock),
        Some(Command::Export { .. }) => once(&global, &config, clock, report::prometheus),
        Some(Command::Events { files, boot, format }) => {
            events::events(&root(&global)?, &files, boot, format, clock)
        }
        Some(Command::Bundle { output, from, seconds, redact }) => {
            let settings = settings(&config, clock)?;
            let live = (collector_arguments(&global, &config), Duration::from_secs_f64(seconds));
            let _root = root(&global)?;
            let wanted = bundle::Wanted { output, redact };
            match from {
                Some(file) => bundle::of_recording(&file, settings, wanted, clock),
                None => on_loop(async move { bundle::of_this_machine(live, settings, wanted, clock).await }),
            }
        }
        Some(Command::Doctor { command: None, format }) => doctor::check(&global, &config, format, clock),
        Some(Command::Doctor { command: Some(DoctorCommand::Explain { text }), format }) => {
            doctor::explain(&text.join(" "), format)
        }
        Some(Command::Explain { subject, code }) => events::explain(subject, &code),
    }
}

/// The options of the screen for a command: its own, and those that stood before it.
fn screen_of(command: Option<&Command>, before: ScreenArgs) -> Result<ScreenArgs> {
    let draws = matches!(command, None | Some(Command::Demo { .. } | Command::Replay { .. }));
    for (option, value) in [("--tab", &before.tab), ("--theme", &before.theme)] {
        if let Some(value) = value.as_deref().filter(|_| !draws) {
            bail!(Usage(format!("{option} {value}: this command draws no screen")));
        }
    }
    let own = match command {
        Some(Command::Demo { screen, .. } | Command::Replay { screen, .. }) => screen.clone(),
        Some(Command::Snapshot { gpus, .. } | Command::Export { gpus }) => {
            ScreenArgs { gpus: gpus.clone(), ..ScreenArgs::default() }
        }
        Some(Command::Act(act)) => ScreenArgs {
            gpus: GpuArgs { gpu: act.gpu.clone() },
            read_only: act.read_only,
            ..ScreenArgs::default()
        },
        Some(_) if !before.gpus.gpu.is_empty() => {
            bail!(Usage(format!("--gpu {}: this command is about no single GPU", before.gpus.gpu.join(","))))
        }
        None | Some(_) => ScreenArgs::default(),
    };
    Ok(own.over(before))
}

/// Exit status of an error of kgtop itself: where a command gives 1 a meaning of its own, another.
pub(super) const fn status_of_errors(cli: &Cli) -> u8 {
    match cli.command {
        // Could not judge.
        Some(Command::Doctor { .. } | Command::Fit(_)) => 3,
        // Failed.
        Some(Command::Act(_)) => 4,
        _ => 1,
    }
}

/// Prints a report to standard error; wrong usage has its own status, and other errors have `status`.
pub(super) fn complain(report: &Report, status: u8) -> ExitCode {
    let usage = report.downcast_ref::<Usage>().is_some();
    let text = format!("kgtop: {}\n", told(report));
    // What it quotes (an argument, a path, a line of a file) is not the terminal's to obey.
    let text = printable_lines(&text);
    let _closed = std::io::stderr().write_all(text.as_bytes());
    let refused = report.downcast_ref::<Refused>().is_some();
    ExitCode::from(match () {
        () if usage => EXIT_USAGE,
        () if refused => EXIT_REFUSED,
        () => status,
    })
}

/// An error and its causes, each said once: some errors name their cause themselves, for those who print them alone.
pub(super) fn told(report: &Report) -> String {
    let mut text = String::new();
    for cause in report.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// A mistake of the one who typed the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Exit status when nothing was done.
pub(super) const EXIT_REFUSED: u8 = 3;

/// What is not done, and why.
#[derive(Debug, thiserror::Error)]
#[error("refused: {0}")]
pub(super) struct Refused(pub(super) String);

/// Opens the root that `--root` names.
pub(super) fn root(global: &GlobalArgs) -> Result<Root> {
    match &global.root {
        None => Ok(Root::Live),
        // The message names the directory, or the file and line in it.
        Some(directory) => {
            Root::open(&absolute(directory)?).map_err(|error| Usage(format!("--root: {error}")).into())
        }
    }
}

/// The directory that `--tools` names.
pub(super) fn tools(global: &GlobalArgs) -> Result<Option<PathBuf>> {
    global.tools.as_deref().map(absolute).transpose()
}

/// A path that holds in every working directory: programs are started in another one.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).wrap_err("the working directory could not be read")
}

fn stream(
    global: &GlobalArgs,
    config: &Config,
    child: Option<i32>,
    let_sleep: bool,
    clock: Clock,
) -> Result<ExitCode> {
    let options = collector::Options {
        interval: config.interval,
        root: root(global)?,
        use_nvml: global.root.is_none() || config.nvml_lib.is_some(),
        library: config.nvml_lib.clone(),
        model_paths: config.model_paths.clone(),
        zfs_tools: global.zfs_tools.clone(),
        own_audit: own_audit(global.root.is_some()),
        parent: child,
        let_sleep,
        samples: None,
    };
    collector::run(&options, clock, Box::new(std::io::stdout()))
}

/// The audit log of a user other than root. A captured machine has none.
pub(super) fn own_audit(captured: bool) -> Option<PathBuf> {
    if captured || rustix::process::geteuid().is_root() {
        return None;
    }
    Some(directories::ProjectDirs::from("", "", "kgtop")?.state_dir()?.join("audit.jsonl"))
}

/// The arguments that say which machine is meant: a child needs them too.
pub(super) fn place_arguments(global: &GlobalArgs, config: &Config) -> Vec<OsString> {
    let mut arguments = Vec::new();
    if let Some(library) = &config.nvml_lib {
        arguments.extend(["--nvml-lib".into(), library.into()]);
    }
    if let Some(root) = &global.root {
        arguments.extend(["--root".into(), root.into()]);
    }
    if let Some(tools) = &global.tools {
        arguments.extend(["--tools".into(), tools.into()]);
    }
    arguments
}

/// The arguments with which this binary becomes the collector.
pub(super) fn collector_arguments(global: &GlobalArgs, config: &Config) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["stream".into(), "--child".into(), std::process::id().to_string().into()];
    arguments.push("--interval".into());
    arguments.push(config.interval.as_secs_f64().to_string().into());
    arguments.extend(place_arguments(global, config));
    if let Some(tools) = &global.zfs_tools {
        arguments.extend(["--zfs-tools".into(), tools.into()]);
    }
    if let Some(file) = &global.config {
        arguments.extend(["--config".into(), file.into()]);
    }
    arguments
}

fn live(global: &GlobalArgs, config: &Config, log: Log, clock: Clock) -> Result<ExitCode> {
    need_terminal("kgtop snapshot prints one snapshot")?;
    // Checked here, where the message can be seen; the collector opens it again.
    let place = super::act::place(global, config)?;
    let arguments = collector_arguments(global, config);
    let hands = (!config.read_only).then(|| Hands::new(place, place_arguments(global, config), clock));
    show(config, log, clock, hands, move |clock| Ok((Mode::Live, feed::collector(arguments, clock))))
}

fn replay(config: &Config, file: &Path, speed: f32, log: Log, clock: Clock) -> Result<ExitCode> {
    if !(speed.is_finite() && speed > 0.0) {
        bail!(Usage(format!("--speed {speed}: the speed must be a number above 0")));
    }
    if file.as_os_str() == "-" {
        if !std::io::stdout().is_terminal() {
            bail!(Usage("the screen needs a terminal on standard output".into()));
        }
        return show(config, log, clock, None, |_| Ok((Mode::Remote, feed::standard_input())));
    }
    need_terminal("the recording is JSON lines: zcat prints it")?;
    show(config, log, clock, None, move |clock| demo::replay(file, speed, clock))
}

/// Runs the screen over what `start` gives.
fn show(
    config: &Config,
    log: Log,
    clock: Clock,
    hands: Option<Hands>,
    start: impl FnOnce(Clock) -> Result<(Mode, Feed)>,
) -> Result<ExitCode> {
    let theme = theme(&config.theme).map_err(Usage)?;
    let mouse = config.mouse;
    let settings = settings(config, clock)?;
    on_loop(async move {
        let (mode, feed) = start(clock)?;
        let mut state = State::new(settings.clone(), mode);
        if let Some(authority) = hands.as_ref().and_then(Hands::authority) {
            state = state.with_authority(authority);
        }
        Loop { state, theme, feed, hands, clock, mouse, settings, log }.run().await
    })
}

fn list_demos() -> Result<ExitCode> {
    let demos = demo::list()?;
    let width = demos.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = demos.iter().map(|(name, title)| format!("{name:width$}  {title}\n")).collect();
    print(&lines.concat())
}

/// Prints one report of this machine.
fn once(
    global: &GlobalArgs,
    config: &Config,
    clock: Clock,
    report: impl FnOnce(&Snapshot, &[Verdict]) -> String,
) -> Result<ExitCode> {
    let _root = root(global)?;
    let arguments = collector_arguments(global, config);
    let interval = config.interval;
    let (mut text, mut silent) = (String::new(), None);
    on_loop(async {
        let taken = once::take(feed::collector(arguments, clock), interval).await?;
        let (snapshot, verdicts) = only(&config.gpus, taken.snapshot, taken.verdicts)?;
        text = report(&snapshot, &verdicts);
        silent = taken.silent;
        Ok(())
    })?;
    print(&text)?;
    match silent {
        None => Ok(ExitCode::SUCCESS),
        // What is known without the driver was printed; a script must not take it for the whole.
        Some(owed) => bail!(owed),
    }
}

/// The snapshot with these GPUs only, their processes and the findings about them; all of it where none is named.
fn only(
    wanted: &[String],
    mut snapshot: Snapshot,
    mut verdicts: Vec<Verdict>,
) -> Result<(Snapshot, Vec<Verdict>)> {
    // Where there is none, the report says why, which is what matters.
    if wanted.is_empty() || snapshot.gpus.is_empty() {
        return Ok((snapshot, verdicts));
    }
    let selected = select_gpus(&snapshot, wanted, false).map_err(|error| Usage(error.to_string()))?;
    let selected: Vec<GpuId> = selected.into_iter().map(|gpu| gpu.id.clone()).collect();
    snapshot.gpus.retain(|gpu| selected.contains(&gpu.id));
    for process in &mut snapshot.processes {
        process.gpus.retain(|share| selected.contains(&share.gpu));
    }
    snapshot.processes.retain(|process| !process.gpus.is_empty());
    verdicts.retain(|verdict| verdict.gpu.as_ref().is_none_or(|gpu| selected.contains(gpu)));
    Ok((snapshot, verdicts))
}

/// Prints the answer. A reader that has seen enough is no error.
pub(super) fn print(text: &str) -> Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).wrap_err("standard output could not be written to")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn settings(config: &Config, clock: Clock) -> Result<Settings> {
    let tab = match &config.tab {
        None => Tab::default(),
        // That of a file was checked with the file.
        Some(name) => tab(name).map_err(|problem| Usage(format!("--tab {problem}")))?,
    };
    let window = Window::ALL
        .into_iter()
        .find(|window| window.seconds() == config.window.as_secs())
        .unwrap_or_default();
    Ok(Settings {
        interval: config.interval,
        tab,
        read_only: config.read_only,
        window,
        gpu_filter: config.gpus.clone(),
        utc_offset_seconds: utc_offset(clock),
    })
}

/// Seconds that local time is ahead of UTC now.
fn utc_offset(clock: Clock) -> i32 {
    let now = jiff::Timestamp::from_microsecond((clock.wall)().0).unwrap_or_default();
    jiff::tz::TimeZone::system().to_offset(now).seconds()
}

/// Refuses to draw where nobody looks.
fn need_terminal(instead: &str) -> Result<()> {
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    bail!(Usage(format!("the screen needs a terminal on standard input and output; {instead}")))
}

/// Runs the loop on this thread; what it leaves behind (a collector that cannot die) is not waited for.
pub(super) fn on_loop(body: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .wrap_err("the event loop could not be started")?;
    let result = runtime.block_on(body);
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}
