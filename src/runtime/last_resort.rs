//! Leaving although the loop cannot: it waits for a terminal that takes no bytes (a connection that is gone and not
//! closed, a pane that nobody reads).

use crate::sources::nvml;
use crate::terminal;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long the loop has to leave by itself after a signal.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the terminal has for its last bytes after that.
const LAST_BYTES: Duration = Duration::from_millis(250);
/// A shell's status of a process that a signal ended is this and the signal's number.
const BY_SIGNAL: i32 = 128;

/// Watches for the signals that end the monitor, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct LastResort {
    left: Arc<AtomicBool>,
}

impl LastResort {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the thread or its signal handlers cannot be had.
    pub(super) fn begin() -> io::Result<Self> {
        let left = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&left);
        // Of its own, as the loop's own runtime stands still with the loop.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("last-resort".into()).spawn(move || {
            let signal = runtime.block_on(ending_signal());
            // While another program has the terminal (sudo), there is nothing of ours to give back: it goes first.
            while let Ok(kind) = signal {
                std::thread::sleep(PATIENCE);
                if seen.load(Ordering::SeqCst) {
                    return;
                }
                if terminal::is_held() {
                    terminal::restore_within(LAST_BYTES);
                    nvml::leave(BY_SIGNAL + kind.as_raw_value());
                }
            }
        })?;
        Ok(Self { left })
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        self.left.store(true, Ordering::SeqCst);
    }
}

async fn ending_signal() -> io::Result<SignalKind> {
    let (hangup, interrupt) = (SignalKind::hangup(), SignalKind::interrupt());
    let mut hung_up = signal(hangup)?;
    let mut interrupted = signal(interrupt)?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = hung_up.recv() => hangup,
        _ = interrupted.recv() => interrupt,
        _ = terminated.recv() => SignalKind::terminate(),
    })
}
