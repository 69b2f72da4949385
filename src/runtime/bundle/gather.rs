//! `kgtop bundle`: reading what goes in.

use super::{Wanted, contents, place, write};
use crate::app::{Message, Mode, Replay, Settings, State, update};
use crate::model::{Demand, HISTORY_SECONDS, Record};
use crate::runtime::commands::Usage;
use crate::runtime::feed::{self, Command, FeedEvent};
use crate::sources::recording::{RecordingReader, RecordingSink, RecordingWriter, Redactor};
use crate::sources::scenario::{Scenario, ScenarioPlayer};
use crate::units::{Clock, Mono};
use color_eyre::eyre::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long to wait beyond the time that was asked for: a driver that hangs must not hang the bundle about it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recording in memory that outlives its writer.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn with<T>(&self, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|all| all.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RecordingSink for Memory {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.with(|all| all.truncate(usize::try_from(length).unwrap_or(usize::MAX)));
        Ok(())
    }
}

/// Records on their way into a bundle.
struct Gather {
    state: State,
    writer: RecordingWriter<Memory>,
    memory: Memory,
    redactor: Option<Redactor>,
    wanted: Wanted,
    clock: Clock,
}

impl Gather {
    fn new(mode: Mode, settings: Settings, wanted: Wanted, clock: Clock) -> Self {
        let memory = Memory::default();
        let writer = RecordingWriter::new(memory.clone(), Path::new("recording.jsonl.gz"), false);
        let redactor = wanted.redact.then(Redactor::default);
        Self { state: State::new(settings, mode), writer, memory, redactor, wanted, clock }
    }

    fn take(&mut self, record: Record) -> Result<()> {
        let record = match &mut self.redactor {
            Some(redactor) => redactor.redact(record),
            None => record,
        };
        self.writer.write(&record)?;
        let _no_runtime = update(&mut self.state, Message::Record(Box::new(record)));
        Ok(())
    }

    fn finish(mut self, complaint: &str) -> Result<()> {
        self.writer.flush()?;
        if self.state.snapshot().is_none() {
            let why = if complaint.is_empty() { "no sample came in time" } else { complaint };
            bail!("there is nothing to write a bundle of: {why}");
        }
        let recording = self.memory.with(std::mem::take);
        let parts = contents::of(&self.state, Some(recording), self.wanted.redact);
        let path = place(self.wanted.output.as_deref(), &self.state, self.clock)?;
        write(&path, &parts, &self.state, self.clock)?;
        let _closed = writeln!(io::stdout(), "{}", path.display());
        Ok(())
    }
}

/// Reads this machine for a while; a signal ends the reading early, and what was read by then is written.
pub(in crate::runtime) async fn of_this_machine(
    (arguments, time): (Vec<OsString>, Duration),
    settings: Settings,
    wanted: Wanted,
    clock: Clock,
) -> Result<()> {
    wanted.check()?;
    let mut gather = Gather::new(Mode::Live, settings, wanted, clock);
    let mut feed = feed::collector(arguments, clock);
    let _full = feed.commands.try_send(Command::Demand(Demand::all()));
    let _closed = writeln!(io::stderr(), "kgtop: reading for {} s (Ctrl-C: enough)", time.as_secs());
    let mut complaint = String::new();
    let mut first: Option<Mono> = None;
    let end = tokio::time::sleep(time + PATIENCE);
    tokio::pin!(end);
    loop {
        let event = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => break,
            () = &mut end => break,
            event = feed.events.recv() => event,
        };
        match event {
            None => break,
            Some(FeedEvent::Record(record)) => {
                if let Record::Sample(sample) = &*record
                    && sample.mono.since(*first.get_or_insert(sample.mono)) >= time
                {
                    break;
                }
                gather.take(*record)?;
            }
            Some(FeedEvent::Complaint(line)) => complaint = line.to_string(),
            Some(FeedEvent::Lingers { pid, .. }) => {
                complaint = format!("the collector (PID {pid}) cannot exit");
            }
            Some(FeedEvent::Ended { reason, .. }) => complaint = reason,
            Some(FeedEvent::Progress(_) | FeedEvent::Restore(_)) => {}
        }
    }
    gather.finish(&complaint)
}

/// Takes the last hour of a recording, or a scenario from its start.
pub(in crate::runtime) fn of_recording(
    file: &Path,
    settings: Settings,
    wanted: Wanted,
    clock: Clock,
) -> Result<ExitCode> {
    wanted.check()?;
    let name = file.display().to_string();
    // The name alone: a path may tell of users.
    let shown = file.file_name().unwrap_or_default().to_string_lossy();
    let mode = Mode::Replay(Replay::new(shown));
    let mut gather = Gather::new(mode, settings, wanted, clock);
    if file.extension().is_some_and(|extension| extension == "toml") {
        let text = std::fs::read_to_string(file).wrap_err_with(|| format!("{name} could not be read"))?;
        let scenario = Scenario::parse(&text, &name).map_err(|error| Usage(error.to_string()))?;
        let length = scenario.duration().min(Duration::from_secs(HISTORY_SECONDS as u64));
        let mut player = ScenarioPlayer::new(scenario, (clock.wall)(), (clock.mono)());
        while player.next_at().is_some_and(|at| at <= length) {
            let Some(record) = player.next() else { break };
            gather.take(record)?;
        }
    } else {
        let mut reader = RecordingReader::open(file).map_err(|error| Usage(error.to_string()))?;
        let hour = u64::try_from(Duration::from_secs(HISTORY_SECONDS as u64).as_micros()).unwrap_or(u64::MAX);
        let from = Mono(reader.span().last.0.saturating_sub(hour));
        reader.seek(reader.position_at(from));
        while let Some(record) = reader.next_record() {
            gather.take(record)?;
        }
        for damage in reader.damage() {
            let _closed = writeln!(io::stderr(), "kgtop: {name}: {damage}");
        }
    }
    gather.finish("").map(|()| ExitCode::SUCCESS)
}
