//! `kgtop record`: the stream into a file, until told to stop.

use super::feed::{Command, Feed, FeedEvent};
use crate::model::Demand;
use crate::sources::recording::RecordingWriter;
use crate::units::Clock;
use color_eyre::eyre::{Context, Result, bail};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Records until a signal, the time, or an error of the file ends it. What was flushed stays valid in any case.
pub(super) async fn run(
    mut feed: Feed,
    path: &Path,
    redact: bool,
    seconds: Option<f64>,
    clock: Clock,
) -> Result<()> {
    let mut writer = RecordingWriter::create(path, redact)?;
    let handlers = "the signal handlers could not be installed";
    let mut interrupt = signal(SignalKind::interrupt()).wrap_err(handlers)?;
    let mut terminate = signal(SignalKind::terminate()).wrap_err(handlers)?;
    let mut hangup = signal(SignalKind::hangup()).wrap_err(handlers)?;
    let _full = feed.commands.try_send(Command::Demand(Demand::all()));
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let end = tokio::time::sleep(limit.unwrap_or(Duration::MAX));
    tokio::pin!(end);
    let mut complaint = None;
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
            () = &mut end, if limit.is_some() => break,
            event = feed.events.recv() => match event {
                Some(FeedEvent::Record(record)) => writer.write(&record)?,
                Some(FeedEvent::Complaint(line)) => complain(&line),
                Some(FeedEvent::Ended { reason, restarting_in }) => {
                    complain(&reason);
                    complaint = Some(reason);
                    if restarting_in.is_none() {
                        break;
                    }
                }
                Some(FeedEvent::Lingers { pid, .. }) => complain(&format!("the collector (PID {pid}) cannot exit")),
                Some(FeedEvent::Progress(_) | FeedEvent::Restore(_)) => {}
                None => break,
            },
            // A driver that hangs sends nothing: what is waiting in memory is due all the same.
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        if writer.is_due((clock.mono)()) {
            writer.flush()?;
        }
    }
    complain(&finish(writer, path, complaint.as_deref())?);
    Ok(())
}

/// Saves what is left; gives what is in the file.
fn finish(mut writer: RecordingWriter, path: &Path, complaint: Option<&str>) -> Result<String> {
    writer.flush()?;
    let saved = writer.saved();
    if saved.span.samples == 0 {
        // A file without a sample is no recording, and would only be in the way of the next one.
        if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            let _stays = std::fs::remove_file(path);
        }
        bail!("{}: {saved}: {}", path.display(), complaint.unwrap_or("no sample came before the end"));
    }
    Ok(format!("{}: {saved}", path.display()))
}

fn complain(line: &str) {
    let _closed = writeln!(std::io::stderr(), "kgtop: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_without_a_sample_fails_and_leaves_no_file_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("empty.kgtop");
        let writer = RecordingWriter::create(&path, false).unwrap();
        assert!(path.exists());
        let error = finish(writer, &path, Some("the collector died")).unwrap_err().to_string();
        assert!(error.ends_with("empty.kgtop: nothing was saved: the collector died"), "{error}");
        assert!(!path.exists());
    }
}
