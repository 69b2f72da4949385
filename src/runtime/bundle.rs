//! One file for the ticket: what kgtop knows of the last hour, for somebody who was not there.

mod archive;
mod contents;
mod gather;
mod save;

pub(super) use gather::{of_recording, of_this_machine};

use crate::app::State;
use crate::units::Clock;
use archive::Archive;
use std::path::{Path, PathBuf};

/// What was asked for.
pub(super) struct Wanted {
    /// The file; `None`: a new one in kgtop's state directory.
    pub(super) output: Option<PathBuf>,
    /// Whether what tells users and machines is replaced.
    pub(super) redact: bool,
}

impl Wanted {
    /// Refuses a file that cannot be made, before the machine is read for it.
    fn check(&self) -> Result<(), save::SaveError> {
        match &self.output {
            Some(path) if !path.is_dir() => save::check(path),
            Some(_) | None => Ok(()),
        }
    }
}

/// Writes what the screen knows into a new file of the state directory; gives its path, or why there is none.
pub(super) fn of_screen(state: &State, clock: Clock) -> Result<String, String> {
    let parts = contents::of(state, None, false);
    let path = place(None, state, clock).map_err(|error| error.to_string())?;
    write(&path, &parts, state, clock).map(|()| path.display().to_string()).map_err(|error| error.to_string())
}

fn write(path: &Path, parts: &[contents::Part], state: &State, clock: Clock) -> Result<(), save::SaveError> {
    let folder = stem(state, clock);
    let mut archive = Archive::new((clock.wall)());
    for part in parts {
        archive.add(&format!("{folder}/{}", part.name), &part.bytes);
    }
    save::save(path, &archive.finish())
}

/// Where the bundle goes: the file that was named, a new name in the directory that was named, or one in kgtop's
/// state directory.
fn place(output: Option<&Path>, state: &State, clock: Clock) -> Result<PathBuf, save::SaveError> {
    match output {
        Some(path) if path.is_dir() => Ok(path.join(name(state, clock))),
        Some(path) => Ok(path.to_owned()),
        None => Ok(save::directory()?.join(name(state, clock))),
    }
}

/// Of a host name this much is in the file's.
const HOST_AT_MOST: usize = 40;

/// `kgtop-HOST-20260512-083000`, which is also the folder inside.
fn stem(state: &State, clock: Clock) -> String {
    let host = state.host_name().unwrap_or("host");
    let host: String =
        host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(HOST_AT_MOST).collect();
    let time = jiff::Timestamp::from_microsecond((clock.wall)().0).unwrap_or_default();
    format!("kgtop-{host}-{}", time.strftime("%Y%m%d-%H%M%S"))
}

fn name(state: &State, clock: Clock) -> String {
    format!("{}.tar.gz", stem(state, clock))
}
