//! `kgtop doctor`.

use super::commands::{collector_arguments, on_loop, print, root};
use super::{feed, once};
use crate::analysis::doctor;
use crate::cli::{GlobalArgs, ReportFormat};
use crate::config::Config;
use crate::model::Snapshot;
use crate::report;
use crate::units::Clock;
use color_eyre::eyre::Result;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Exit status where nothing could be judged.
const NOT_JUDGED: u8 = 3;
/// Exit status where a check failed.
const FAILURES: u8 = 2;

/// Findings about health hold for up to a second before they are told, and counters need two readings.
const WATCHED: Duration = Duration::from_millis(2_100);

/// Checks every layer. The exit status is that of the worst.
pub(super) fn check(
    global: &GlobalArgs,
    config: &Config,
    format: ReportFormat,
    clock: Clock,
) -> Result<ExitCode> {
    let _root = root(global)?;
    let arguments = collector_arguments(global, config);
    let interval = config.interval;
    let (mut text, mut status, mut owed) = (String::new(), NOT_JUDGED, None);
    on_loop(async {
        let feed = feed::collector(arguments, clock);
        let until = once::Until { driver: true, watched: WATCHED, complete: is_read };
        let once::Taken { snapshot, verdicts, silent } = once::take_when(feed, interval, until).await?;
        let mut examined = doctor::examine_snapshot(&snapshot, &verdicts);
        doctor::worst_first(&mut examined);
        status = doctor::Tally::of(&examined).status();
        if silent.is_some() && status != FAILURES {
            // Of what the driver was to say nothing was judged.
            status = NOT_JUDGED;
        }
        owed = silent;
        text = match format {
            ReportFormat::Text => report::doctor_text(&snapshot, &examined),
            ReportFormat::Json => report::doctor_json(&snapshot, &examined),
        };
        Ok(())
    })?;
    print(&text)?;
    if let Some(owed) = owed {
        let _closed = std::io::stderr().write_all(format!("kgtop: {owed}\n").as_bytes());
    }
    Ok(ExitCode::from(status))
}

/// Whether the files of the host and the devices on the bus are there; what hangs is not waited for beyond the
/// patience of [`once::take_when`].
fn is_read(snapshot: &Snapshot) -> bool {
    let files = snapshot.host_files.as_ref().is_some_and(|group| group.value.pending.is_none());
    files && snapshot.inventory.topology.is_some()
}

/// What stands behind an error message; 1 where it is not known.
pub(super) fn explain(message: &str, format: ReportFormat) -> Result<ExitCode> {
    let found = doctor::explain(message);
    print(&match format {
        ReportFormat::Text => report::explain_text(message, &found),
        ReportFormat::Json => report::explain_json(message, &found),
    })?;
    Ok(ExitCode::from(u8::from(found.is_empty())))
}
