//! The terminal: taken over by [`Guard::enter`], given back by its drop, by the panic hook, and around a stop.
//!
//! What is changed is changed back in reverse: title, cursor, bracketed paste, mouse capture, alternate screen,
//! raw mode. Nothing is ever asked of the terminal: an answer costs a round trip over SSH, and may never come.

use crossterm::{cursor, event, execute, queue, style::Print, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, BufWriter, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the terminal is ours: what the panic hook needs to know.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether anything of the terminal is not given back yet: longer than [`ENTERED`] where it takes no bytes.
static HELD: AtomicBool = AtomicBool::new(false);

/// One frame at 200×60 with colours stays well below this, so a frame is one write.
const BUFFER: usize = 64 * 1024;

/// XTWINOPS: save the window title on the terminal's stack, and take it back.
const PUSH_TITLE: &str = "\x1b[22;0t";
const POP_TITLE: &str = "\x1b[23;0t";

/// The terminal that frames are drawn on. It is never dropped: ratatui's drop would show the cursor, which the
/// [`Guard`] does, and print to standard error if it cannot, which panics where the terminal is gone.
pub type Screen = ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>;

/// Holds the terminal; gives it back when dropped.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
}

impl Guard {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When the terminal cannot be put into raw mode or written to.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let guard = Self { mouse };
        guard.take()?;
        Ok(guard)
    }

    fn take(&self) -> io::Result<()> {
        // Raw mode first: if it fails, nothing is on the screen yet that would have to be undone.
        terminal::enable_raw_mode()?;
        HELD.store(true, Ordering::SeqCst);
        ENTERED.store(true, Ordering::SeqCst);
        let mut out = io::stdout();
        queue!(
            out,
            Print(PUSH_TITLE),
            terminal::SetTitle("kgtop"),
            terminal::EnterAlternateScreen,
            cursor::Hide
        )?;
        queue!(out, event::EnableBracketedPaste)?;
        if self.mouse {
            queue!(out, event::EnableMouseCapture)?;
        }
        out.flush()
    }

    /// Gives the terminal back for as long as the process is stopped.
    ///
    /// # Errors
    /// When the terminal cannot be taken again.
    pub fn suspended(&self, stop: impl FnOnce()) -> io::Result<()> {
        restore();
        stop();
        self.take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// A screen of the terminal's size.
///
/// # Errors
/// When the terminal's size cannot be read.
pub fn screen() -> io::Result<Screen> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout())))
        .map(ManuallyDrop::new)
}

/// Gives the terminal back, if it is ours; does nothing the second time. Errors have nowhere to go: the terminal
/// may be gone already.
pub fn restore() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _gone = execute!(
        out,
        event::DisableMouseCapture,
        event::DisableBracketedPaste,
        cursor::Show,
        terminal::LeaveAlternateScreen,
        Print(POP_TITLE)
    );
    let _gone = terminal::disable_raw_mode();
    HELD.store(false, Ordering::SeqCst);
}

/// Whether there is anything left to give back.
#[must_use]
pub fn is_held() -> bool {
    HELD.load(Ordering::SeqCst)
}

/// Gives back what can be given back of a terminal that takes no bytes: its modes at once, and the rest if it takes
/// bytes again within `patience`. For the way out alone: a thread may stay behind.
pub fn restore_within(patience: Duration) {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        restore();
        let _waited_no_longer = done.send(());
    });
    let _elapsed = finished.recv_timeout(patience);
    // Sets the modes without waiting for what was written before.
    let _gone = terminal::disable_raw_mode();
}

/// Installs the error and panic reports: the terminal is given back first, then the report is printed.
pub fn install_hooks() {
    let (panic_hook, eyre_hook) = color_eyre::config::HookBuilder::default().into_hooks();
    // Both fail only when a hook is installed already, which is what is wanted.
    let _already = eyre_hook.install();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        // Not `eprintln!`: a panic within this hook, where standard error is gone, would abort the process.
        let _gone = writeln!(io::stderr(), "{}", panic_hook.panic_report(info));
    }));
}
