//! `kgtop act …`: from arguments to plans, from plans to a question, from a yes to the child.

use super::execute::carry_out;
use super::{Place, host, signal};
use crate::actions::{
    Change, GpuFacts, HolderFacts, HostFacts, Outcome, Plan, ProcessTarget, Progress, Refusal, RefusalKind,
    Target, Weight, plan_gpu, plan_process, power_unit, select_gpus,
};
use crate::cli::act::{ActArgs, Action, PlanFormat};
use crate::cli::{GlobalArgs, ScreenArgs};
use crate::config::Config;
use crate::model::{Snapshot, known};
use crate::runtime::commands::{self, Usage, on_loop};
use crate::runtime::{feed, once};
use crate::sources::root::Root;
use crate::units::Clock;
use color_eyre::eyre::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Exit status when nothing was sent.
const EXIT_REFUSED: u8 = 3;
/// Exit status when some of several plans were carried out.
const EXIT_PARTLY: u8 = 5;
/// A plan is a few kB; more than this is none.
const PLAN_LIMIT: u64 = 1 << 20;
/// Interval of the two samples that a plan rests on.
const INTERVAL: Duration = Duration::from_millis(200);
/// The audit log and the locks of root.
const ROOT_AUDIT: &str = "var/log/kgtop/audit.jsonl";
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
    if let Some(library) = config.nvml_lib.as_deref().filter(|library| !is_trusted(library)) {
        say_error(&format!(
            "refused: --nvml-lib {}: as root kgtop loads no library that others can write\n",
            library.display()
        ));
        return Ok(ExitCode::from(EXIT_REFUSED));
    }
    let config = Config { interval: INTERVAL, ..config.clone() };
    let place = place(global, &config)?;
    match (&arguments.plan, &arguments.action) {
        (Some(_), None) => Ok(child(&place, clock)?),
        (Some(_), Some(_)) => bail!(Usage("--plan stands for itself: the plan says what to do".into())),
        (None, None) => bail!(Usage("say what to do: kgtop act --help lists the actions".into())),
        (None, Some(action)) => act(global, screen, &config, arguments, action, &place, clock),
    }
}

/// Root loads no library that somebody else could have written. It is refused rather than left out: what was meant
/// for that library must not reach the system's.
fn is_trusted(library: &Path) -> bool {
    !rustix::process::geteuid().is_root() || only_root_writes(library)
}

/// Whether the file and every directory above it belong to root and nobody else may write them (in a sticky
/// directory nobody else can replace it).
fn only_root_writes(file: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let Ok(file) = std::fs::canonicalize(file) else { return false };
    file.ancestors().all(|path| {
        std::fs::metadata(path).is_ok_and(|metadata| {
            let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
            metadata.uid() == 0 && (metadata.mode() & OTHERS_WRITE == 0 || sticky)
        })
    })
}

fn place(global: &GlobalArgs, config: &Config) -> Result<Place> {
    let root = commands::root(global)?;
    let base = root.directory().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let own = directories::ProjectDirs::from("", "", "kgtop")
        .and_then(|directories| Some(directories.state_dir()?.join("audit.jsonl")));
    let audit = match own {
        Some(own) if root.directory().is_none() && !rustix::process::geteuid().is_root() => own,
        _ => base.join(ROOT_AUDIT),
    };
    Ok(Place { audit, locks: base.join(ROOT_LOCKS), library: config.nvml_lib.clone(), root })
}

/// Carries out the plan on standard input.
fn child(place: &Place, clock: Clock) -> Result<ExitCode> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(PLAN_LIMIT)
        .read_to_string(&mut text)
        .wrap_err("the plan could not be read")?;
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

fn act(
    global: &GlobalArgs,
    screen: &ScreenArgs,
    config: &Config,
    arguments: &ActArgs,
    action: &Action,
    place: &Place,
    clock: Clock,
) -> Result<ExitCode> {
    let snapshot = snapshot(global, config, clock)?;
    let host = host::facts(&place.root);
    let plans = match action.pid() {
        Some(pid) => vec![process_plan(&snapshot, &host, action, pid, &place.root, clock)?],
        None => gpu_plans(&snapshot, &host, arguments, action, &screen.gpu, clock)?,
    };
    if let Action::PowerLimit { print_unit: true, .. } = action {
        return print_unit(&plans);
    }
    let plans: Vec<Plan> =
        plans.into_iter().map(|plan| expecting(plan, arguments.expect.as_deref())).collect();
    let json = arguments.format == PlanFormat::Json;
    if arguments.dry_run {
        let text = if json { to_json(&plans) } else { plans_text(&plans, &host) };
        say(&text)?;
        let allowed = plans.iter().all(Plan::is_allowed);
        return Ok(ExitCode::from(if allowed { 0 } else { EXIT_REFUSED }));
    }
    if !json {
        say(&plans_text(&plans, &host))?;
    }
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
    let mut outcomes = Vec::new();
    for plan in &plans {
        outcomes.push(if plan.already {
            Outcome::Done { verified: format!("it was {} already; nothing was sent", plan.change.wanted()) }
        } else {
            in_child(plan, global, config)?
        });
    }
    report(&plans, &outcomes, json)
}

fn snapshot(global: &GlobalArgs, config: &Config, clock: Clock) -> Result<Snapshot> {
    let arguments = commands::collector_arguments(global, config);
    let interval = config.interval;
    let mut found = None;
    on_loop(async {
        found = Some(
            once::snapshot(feed::collector(arguments, clock), interval, Duration::ZERO, |_| true).await?.0,
        );
        Ok(())
    })?;
    let snapshot = found.ok_or_else(|| color_eyre::eyre::eyre!("nothing was read"))?;
    if snapshot.gpus.is_empty() {
        let why = snapshot.inventory.driver.problem.as_deref().unwrap_or("the driver names no GPU");
        bail!("there is no GPU to act on: {why}");
    }
    Ok(snapshot)
}

fn gpu_plans(
    snapshot: &Snapshot,
    host: &HostFacts,
    arguments: &ActArgs,
    action: &Action,
    wanted: &[String],
    clock: Clock,
) -> Result<Vec<Plan>> {
    let gpus = select_gpus(snapshot, wanted, arguments.all).map_err(|error| Usage(error.to_string()))?;
    gpus.into_iter()
        .map(|gpu| {
            let facts = GpuFacts::of_snapshot(snapshot, gpu);
            let default = known(&facts.default_power_limit).map(|watts| (watts.0 * 1_000.0).round() as u32);
            let change = action.change(default).map_err(Usage)?;
            Ok(plan_gpu(&facts, host, change, (clock.mono)()))
        })
        .collect()
}

fn process_plan(
    snapshot: &Snapshot,
    host: &HostFacts,
    action: &Action,
    pid: u32,
    root: &Root,
    clock: Clock,
) -> Result<Plan> {
    let process = snapshot.processes.iter().find(|process| process.key.pid == pid && process.ended.is_none());
    let Some(process) = process else {
        let on_gpus: Vec<String> = snapshot
            .processes
            .iter()
            .filter(|process| process.ended.is_none())
            .map(|process| process.key.pid.to_string())
            .collect();
        let there = if on_gpus.is_empty() { "none".to_owned() } else { on_gpus.join(", ") };
        bail!(Usage(format!("PID {pid} is on no GPU; on GPUs there are: {there}")));
    };
    let unknown = || ProcessTarget {
        holder: HolderFacts { pid, ..HolderFacts::default() },
        visible: false,
        nice: None,
    };
    let mut target = ProcessTarget::of_snapshot(snapshot, process.key).unwrap_or_else(unknown);
    target.nice = signal::niceness(pid);
    let mut plan = plan_process(&target, host, action.change(None).map_err(Usage)?, (clock.mono)());
    if plan.is_allowed()
        && let Err(error) = host::prove(root, host::DEVICE_FILES, pid, process.key.start)
    {
        plan = plan.refused(Refusal { kind: RefusalKind::NotProven, reason: error.to_string() });
    }
    Ok(plan)
}

/// Refuses a plan that does not start from the value that is expected.
fn expecting(plan: Plan, expected: Option<&str>) -> Plan {
    match expected {
        Some(wanted) if plan.expected.as_deref() != Some(wanted) => {
            let now = plan.expected.clone().unwrap_or_else(|| "not readable".to_owned());
            let reason =
                format!("the {} is {now}, not {wanted}: somebody else changed it", plan.change.setting());
            plan.refused(Refusal { kind: RefusalKind::Outdated, reason })
        }
        _ => plan,
    }
}

fn plans_text(plans: &[Plan], host: &HostFacts) -> String {
    let mut text: String = plans.iter().map(|plan| plan.text() + "\n").collect();
    for plan in plans.iter().filter(|plan| plan.needs_only_root()) {
        text.push_str(&sudo_line(plan, host));
        text.push('\n');
    }
    text
}

/// The same through sudo: by UUID, with the value it starts from, by this program's absolute path.
fn sudo_line(plan: &Plan, host: &HostFacts) -> String {
    let words = match &plan.target {
        Target::Gpu { uuid, .. } => {
            let expected = plan.expected.as_ref().map(|value| format!(" --expect '{value}'"));
            format!("{} --gpu {uuid}{}", change_words(&plan.change), expected.unwrap_or_default())
        }
        Target::Process { pid, .. } => process_words(&plan.change, *pid),
    };
    format!("with root's rights: sudo {} act {words}", host.program)
}

fn change_words(change: &Change) -> String {
    match change {
        Change::PowerLimit { milliwatts } => format!("power-limit {}", f64::from(*milliwatts) / 1_000.0),
        Change::LockClocks { domain, least, most } => format!("clocks --{} {least},{most}", domain.name()),
        Change::UnlockClocks { domain } => format!("clocks --reset {}", domain.name()),
        Change::Persistence { on } => format!("persistence {}", if *on { "on" } else { "off" }),
        Change::ComputeMode { mode } => format!("compute-mode {}", mode.name()),
        Change::ClearEcc { counters } => format!("ecc-clear {}", counters.name()),
        Change::Reset | Change::Signal { .. } | Change::Renice { .. } => String::new(),
    }
}

fn process_words(change: &Change, pid: u32) -> String {
    match change {
        Change::Signal { name } => format!("signal {pid} --signal {name}"),
        Change::Renice { nice } => format!("renice {pid} {nice}"),
        _ => String::new(),
    }
}

/// Whether the operator confirms: by flag, or by an answer typed after the question was asked.
fn confirmed(plan: &Plan, arguments: &ActArgs) -> Result<bool> {
    let (named, accepted): (String, Vec<&str>) = match &plan.target {
        Target::Gpu { address, .. } => (address.clone(), vec![address]),
        Target::Process { pid, .. } => (pid.to_string(), Vec::new()),
    };
    if let Some(given) = &arguments.force_destructive {
        let given = given.to_ascii_lowercase();
        let fits = given == named
            || accepted
                .iter()
                .any(|address| crate::actions::smi_address(address).to_ascii_lowercase() == given);
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
        return Ok(answer(&format!("This cannot be taken back. Type {text} to go on: "))?.trim() == text);
    }
    if arguments.yes {
        return Ok(true);
    }
    Ok(["y", "Y", "yes"].contains(&answer("Go on? y/N ")?.trim()))
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

/// Gives a confirmed plan to a child and waits for its end, however long that takes: it is never killed.
fn in_child(plan: &Plan, global: &GlobalArgs, config: &Config) -> Result<Outcome> {
    let mut arguments: Vec<OsString> = vec!["act".into(), "--plan".into(), "-".into()];
    if let Some(library) = &config.nvml_lib {
        arguments.extend(["--nvml-lib".into(), library.into()]);
    }
    if let Some(root) = &global.root {
        arguments.extend(["--root".into(), root.into()]);
    }
    let mut child = Command::new("/proc/self/exe")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .wrap_err("the process that carries the plan out could not be started")?;
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
                Ok(Progress::End(outcome)) => end = Some(outcome),
                Err(_no_progress) => {}
            }
        }
    }
    let status = child.wait().wrap_err("the process that carries the plan out cannot be waited for")?;
    Ok(end.unwrap_or_else(|| Outcome::Failed {
        error: format!("the process that carried the plan out died ({status})"),
        now: None,
        advice: "whether anything was sent stands in the audit log; look at the value before going on"
            .to_owned(),
    }))
}

fn report(plans: &[Plan], outcomes: &[Outcome], json: bool) -> Result<ExitCode> {
    if json {
        #[derive(serde::Serialize)]
        struct Entry<'a> {
            plan: &'a Plan,
            result: &'a Outcome,
        }
        let entries: Vec<Entry<'_>> =
            plans.iter().zip(outcomes).map(|(plan, result)| Entry { plan, result }).collect();
        say(&to_json(&entries))?;
    } else {
        for (plan, outcome) in plans.iter().zip(outcomes) {
            let (Target::Gpu { label, .. } | Target::Process { label, .. }) = &plan.target;
            say(&format!("{label}: {}\n", outcome.text()))?;
        }
    }
    let statuses: Vec<u8> = outcomes.iter().map(Outcome::exit_status).collect();
    let first = statuses.first().copied().unwrap_or(0);
    let done = statuses.contains(&0);
    Ok(ExitCode::from(match () {
        () if statuses.iter().all(|status| *status == first) => first,
        () if done => EXIT_PARTLY,
        () => 4,
    }))
}

fn print_unit(plans: &[Plan]) -> Result<ExitCode> {
    // Out of range now is out of range at boot; who asks does not matter for a text.
    let wrong: Vec<&Refusal> =
        plans.iter().flat_map(|plan| &plan.refusals).filter(|r| r.kind != RefusalKind::NotRoot).collect();
    if let Some(refusal) = wrong.first() {
        say_error(&format!("refused: {}\n", refusal.reason));
        return Ok(ExitCode::from(EXIT_REFUSED));
    }
    let limits: Vec<(String, u32)> = plans
        .iter()
        .filter_map(|plan| match (&plan.target, &plan.change) {
            (Target::Gpu { address, .. }, Change::PowerLimit { milliwatts }) => {
                Some((address.clone(), *milliwatts))
            }
            _ => None,
        })
        .collect();
    let unit = power_unit(&limits);
    say_error(&format!(
        "# {}; nothing was installed. To install:\n{}\n# To undo:\n{}\n",
        unit.name, unit.install, unit.undo
    ));
    say(&unit.text)?;
    Ok(ExitCode::SUCCESS)
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn say(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).wrap_err("standard output could not be written to")
        }
        _ => Ok(()),
    }
}

fn say_error(text: &str) {
    let _closed = std::io::stderr().write_all(text.as_bytes());
}
