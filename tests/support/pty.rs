//! The real binary in a real pseudo-terminal: driven by keys, read through a terminal emulator, waiting on what
//! the screen shows and never on time alone.

#![allow(clippy::disallowed_methods, reason = "a deadline is time")]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A screen that does not show what it should within this time fails the test, with the screen in the message.
const DEADLINE: Duration = Duration::from_secs(20);

/// The program under test and the terminal it runs in.
pub struct Pty {
    child: Child,
    master: File,
    shared: Arc<(Mutex<Emulator>, Condvar)>,
    /// The terminal is read as long as this pipe is open.
    reading: Option<OwnedFd>,
}

struct Emulator {
    parser: vt100::Parser,
    raw: Vec<u8>,
    closed: bool,
}

impl Pty {
    /// Starts kgtop with these arguments in a terminal of `columns` × `rows`.
    pub fn kgtop<A: AsRef<OsStr>>(
        arguments: &[A],
        columns: u16,
        rows: u16,
        environment: &[(&str, &OsStr)],
    ) -> Self {
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_kgtop")).args(arguments);
        Self::spawn(command, columns, rows, environment)
    }

    /// Starts a command in a terminal of its own.
    pub fn spawn(mut command: Command, columns: u16, rows: u16, environment: &[(&str, &OsStr)]) -> Self {
        let (master, slave) = open(columns, rows);
        let scratch = std::env::temp_dir();
        command
            .env("TERM", "xterm-256color")
            .env("XDG_CONFIG_HOME", scratch.join("kgtop-test-no-config"))
            .env_remove("NO_COLOR")
            .env_remove("COLORTERM")
            .envs(environment.iter().copied())
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        let child = command.spawn().expect("setsid of util-linux starts the program");
        drop(command);
        let emulator =
            Emulator { parser: vt100::Parser::new(rows, columns, 0), raw: Vec::new(), closed: false };
        let shared = Arc::new((Mutex::new(emulator), Condvar::new()));
        let reader = master.try_clone().unwrap();
        let fed = Arc::clone(&shared);
        let (end, reading) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        std::thread::spawn(move || feed(reader, &end, &fed));
        Self { child, master, shared, reading: Some(reading) }
    }

    /// Reads nothing any more of what the program writes, and fills the room that is left for it.
    pub fn stop_reading(&mut self) {
        self.close_reader();
        let name = rustix::pty::ptsname(&self.master, Vec::new()).unwrap();
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        // What is written moves on inside the kernel, and makes room once more.
        let settled = rustix::time::Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
        loop {
            while rustix::io::write(&slave, b" ").is_ok() {}
            let mut room = [PollFd::new(&slave, PollFlags::OUT)];
            if poll(&mut room, Some(&settled)).is_ok_and(|ready| ready == 0) {
                return;
            }
        }
    }

    /// Closes the terminal, as a window or a connection that goes away does.
    pub fn hang_up(&mut self) {
        self.close_reader();
        self.master = File::open("/dev/null").unwrap();
    }

    /// Gives the terminal the modes that a shell works in.
    pub fn cook(&self) {
        let mut modes = tcgetattr(&self.master).unwrap();
        modes.local_modes |= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(&self.master, OptionalActions::Now, &modes).unwrap();
    }

    /// Whether keys reach the program one by one.
    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.master).unwrap().local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn close_reader(&mut self) {
        self.reading = None;
        let (lock, changed) = &*self.shared;
        let mut emulator = lock.lock().unwrap();
        while !emulator.closed {
            emulator = changed.wait(emulator).unwrap();
        }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size; the kernel sends SIGWINCH.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.shared.0.lock().unwrap().parser.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.master, size(columns, rows)).unwrap();
    }

    /// Waits until the screen satisfies `until`; gives its text.
    pub fn wait_for(&self, what: &str, until: impl Fn(&str) -> bool) -> String {
        self.wait_screen(what, |screen| until(&screen.contents()))
    }

    /// The same, on the emulator's screen.
    pub fn wait_screen(&self, what: &str, until: impl Fn(&vt100::Screen) -> bool) -> String {
        let (lock, changed) = &*self.shared;
        let deadline = Instant::now() + DEADLINE;
        let mut emulator = lock.lock().unwrap();
        loop {
            if until(emulator.parser.screen()) {
                return emulator.parser.screen().contents();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !emulator.closed,
                "waited for: {what}\nthe screen:\n{}",
                emulator.parser.screen().contents()
            );
            emulator = changed.wait_timeout(emulator, left).unwrap().0;
        }
    }

    /// What the screen shows now.
    pub fn contents(&self) -> String {
        self.shared.0.lock().unwrap().parser.screen().contents()
    }

    /// Everything the program has written so far.
    pub fn raw(&self) -> Vec<u8> {
        self.shared.0.lock().unwrap().raw.clone()
    }

    /// PID of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the program to be gone; gives its status and how long that took.
    pub fn wait_exit(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, start.elapsed());
            }
            assert!(
                start.elapsed() < DEADLINE,
                "the program does not exit\nthe screen:\n{}",
                self.contents()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asserts that everything the program took of the terminal was given back.
    pub fn assert_restored(&self) {
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "the terminal is still raw");
        self.wait_screen_or_closed();
        let emulator = self.shared.0.lock().unwrap();
        let screen = emulator.parser.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is still on");
        assert_eq!(
            screen.mouse_protocol_mode(),
            vt100::MouseProtocolMode::None,
            "the mouse is still captured"
        );
        let text = String::from_utf8_lossy(&emulator.raw);
        let pushed = text.matches("\x1b[22;0t").count();
        assert_eq!(pushed, text.matches("\x1b[23;0t").count(), "the title was not taken back");
    }

    /// Waits until the emulator has seen everything that was written before the program left.
    fn wait_screen_or_closed(&self) {
        let (lock, changed) = &*self.shared;
        let deadline = Instant::now() + DEADLINE;
        let mut emulator = lock.lock().unwrap();
        while emulator.parser.screen().alternate_screen() && !emulator.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            emulator = changed.wait_timeout(emulator, left).unwrap().0;
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn open(columns: u16, rows: u16) -> (File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave =
        rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    tcsetwinsize(&master, size(columns, rows)).unwrap();
    (File::from(master), slave)
}

fn feed(mut reader: File, end: &OwnedFd, shared: &(Mutex<Emulator>, Condvar)) {
    let mut buffer = [0; 8192];
    loop {
        let mut waits = [PollFd::new(&reader, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        let _interrupted = poll(&mut waits, None);
        let ended = !waits[1].revents().is_empty();
        if !ended && waits[0].revents().is_empty() {
            continue;
        }
        // EIO is how a terminal says that nobody holds its other end any more.
        let read = if ended { 0 } else { reader.read(&mut buffer).unwrap_or(0) };
        if read == 0 {
            // Before anybody is told: the terminal closes with the last one that holds it.
            drop(reader);
            shared.0.lock().unwrap().closed = true;
            shared.1.notify_all();
            return;
        }
        let mut emulator = shared.0.lock().unwrap();
        emulator.parser.process(&buffer[..read]);
        emulator.raw.extend_from_slice(&buffer[..read]);
        drop(emulator);
        shared.1.notify_all();
    }
}
