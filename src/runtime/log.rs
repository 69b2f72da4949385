//! What goes wrong inside kgtop, appended to the file that `--log` names.

use super::commands::Usage;
use crate::units::Clock;
use color_eyre::eyre::Result;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The log; nowhere without `--log`.
pub(super) struct Log {
    file: Option<File>,
    clock: Clock,
}

impl Log {
    /// Opens the file to append to, for its owner alone.
    pub(super) fn open(path: Option<&Path>, clock: Clock) -> Result<Self> {
        let open = |path: &Path| {
            std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| {
                Usage(format!("--log {}: the file cannot be appended to: {error}", path.display()))
            })
        };
        Ok(Self { file: path.map(open).transpose()?, clock })
    }

    /// Appends one line with the time. A full disk costs the line, not the monitor.
    pub(super) fn line(&mut self, text: &str) {
        if let Some(file) = &mut self.file {
            let now = jiff::Timestamp::from_microsecond((self.clock.wall)().0).unwrap_or_default();
            let _full = writeln!(file, "{now:.3} {}", text.trim_end());
        }
    }
}
