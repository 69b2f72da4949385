//! `kgtop events` and `kgtop explain`.

use super::commands::{Usage, own_audit, print, told};
use crate::analysis::events::EventLog;
use crate::analysis::{clock_events, xid};
use crate::cli::{ReportFormat, Subject};
use crate::model::{EventSource, RawEvent};
use crate::report;
use crate::sources::audit_log::{AuditLog, ROOT_LOG};
use crate::sources::host::host_info;
use crate::sources::kernel_log::{Journal, Kmsg, Next, Saved, read_saved};
use crate::sources::root::Root;
use crate::units::{Clock, printable};
use color_eyre::eyre::{Context, Result, bail};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Decodes this boot's events, or those of saved logs. What could not be read is told on standard error, and the
/// status is then 1.
pub(super) fn events(
    root: &Root,
    files: &[PathBuf],
    boot: Option<i32>,
    format: ReportFormat,
    clock: Clock,
) -> Result<ExitCode> {
    let mut log = EventLog::default();
    let mut skipped = Vec::new();
    let mut whole = 0_usize;
    let mut take = |event: RawEvent| {
        log.push(&event, None);
    };
    match boot {
        Some(_) if !root.is_live() => {
            bail!(Usage("--boot reads this machine's journal: not below --root".into()))
        }
        Some(boot) => {
            journal(boot, &mut take, &mut skipped)?;
            whole += usize::from(skipped.is_empty());
        }
        None if files.is_empty() => {
            let mut found = Vec::new();
            this_boot(root, clock, &mut |event| found.push(event), &mut skipped)?;
            whole += usize::from(skipped.is_empty());
            own_actions(root, &mut found, &mut skipped);
            // Two logs become one.
            found.sort_by_key(|event| event.wall);
            found.into_iter().for_each(&mut take);
        }
        None => {}
    }
    for path in files {
        match saved(path, clock, &mut take).wrap_err_with(|| path.display().to_string()) {
            Ok(None) => whole += 1,
            Ok(Some(what)) => skipped.push(format!("{}: {what}", path.display())),
            Err(error) => skipped.push(told(&error)),
        }
    }
    // That there were no events can be said only of what was read.
    let known = whole > 0 || log.incidents().next().is_some();
    match format {
        ReportFormat::Text if known => print(&report::events_text(log.incidents()))?,
        ReportFormat::Text => ExitCode::SUCCESS,
        ReportFormat::Json => print(&report::events_json(log.incidents(), &skipped))?,
    };
    for what in &skipped {
        let _closed = std::io::stderr().write_all(format!("kgtop: {}\n", printable(what)).as_bytes());
    }
    Ok(ExitCode::from(u8::from(!skipped.is_empty())))
}

/// What kgtop itself did in this boot.
fn own_actions(root: &Root, found: &mut Vec<RawEvent>, skipped: &mut Vec<String>) {
    let boot_id = host_info(root).boot_id;
    let own = own_audit(!root.is_live()).map(|path| (Root::Live, path.display().to_string()));
    for (root, path) in [(root.clone(), ROOT_LOG.to_owned())].into_iter().chain(own) {
        match AuditLog::new(root, path.clone()).read_new(&boot_id) {
            Ok(events) => found.extend(events),
            Err(absence) => skipped.push(format!("{path}: {absence}")),
        }
    }
}

fn saved(path: &Path, clock: Clock, each: &mut dyn FnMut(RawEvent)) -> Result<Option<String>> {
    let how = Saved {
        source: EventSource::File,
        zone: jiff::tz::TimeZone::system(),
        now: (clock.wall)(),
        boot: None,
    };
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    Ok(read_saved(reader, &how, each)?.text())
}

fn this_boot(
    root: &Root,
    clock: Clock,
    each: &mut dyn FnMut(RawEvent),
    skipped: &mut Vec<String>,
) -> Result<()> {
    let read = Kmsg::open(root, clock).and_then(|mut log| {
        let mut overruns = 0_u32;
        loop {
            match log.read_next()? {
                Next::Event(event) => each(event),
                Next::Overrun => overruns += 1,
                Next::Idle => return Ok(overruns),
            }
        }
    });
    match read {
        Ok(0) => return Ok(()),
        Ok(overruns) => skipped.push(format!("/dev/kmsg was overrun {overruns} times: lines are missing")),
        Err(error) if !root.is_live() => bail!("{error}"),
        Err(error) => {
            journal(0, each, skipped).wrap_err_with(|| error.to_string())?;
        }
    }
    Ok(())
}

fn journal(boot: i32, each: &mut dyn FnMut(RawEvent), skipped: &mut Vec<String>) -> Result<()> {
    let mut journal = Journal::of_boot(boot)?;
    while let Some(event) = journal.read_next() {
        each(event);
    }
    if !journal.said_anything() {
        skipped.push("the journal shows no kernel messages of that boot to this user".into());
    }
    Ok(())
}

/// The catalogue entry of a code.
pub(super) fn explain(subject: Subject, code: &str) -> Result<ExitCode> {
    let number = || {
        code.parse::<u32>().map_err(|_no_number| {
            Usage(format!("{code:?} is no number: give the one of the log line, such as 79"))
        })
    };
    let text = match subject {
        Subject::Xid => match xid::xid(number()?) {
            Some(entry) => report::explain_xid(entry),
            None => bail!(
                "Xid {code} is not in kgtop's catalogue, which goes from 1 to {}: if the driver is newer than kgtop, \
                 see NVIDIA's Xid catalog",
                xid::LAST
            ),
        },
        Subject::Sxid => {
            let number = number()?;
            report::explain_sxid(number, xid::sxid(number))
        }
        Subject::Throttle => report::explain_throttle(code).ok_or_else(|| {
            let names: Vec<&str> = clock_events::REASONS.iter().map(|reason| reason.name).collect();
            Usage(format!(
                "{code:?} is neither a mask (0x44) nor a reason; the reasons are {}",
                names.join(", ")
            ))
        })?,
    };
    print(&text)
}
