//! Runs `zpool` and `zfs`, each in a child with a deadline. A child can hang where no signal reaches it: it is
//! never waited for without limit, and no second one is started while the first is alive.
//!
//! A child that runs when the collector leaves may outlive it: the collector leaves at once, whatever its threads
//! do. A signal at the parent's death (`PR_SET_PDEATHSIG`) would have to be asked for between fork and exec, which
//! `std` offers only as unsafe code. It would also end only what ends by itself: one that waits in the kernel for a
//! suspended pool is reached by no signal. So at most one outlives, until its listing is done or its pool answers.

use super::{
    DATASET_ARGUMENTS, POOL_ARGUMENTS, ParseError, STATUS_JSON_ARGUMENTS, STATUS_TEXT_ARGUMENTS,
    parse_datasets, parse_pools, parse_status_json, parse_status_text,
};
use crate::model::{Dataset, PoolSpace, PoolStatus};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The slowest listing without snapshots that was measured took 0.4 s under emulation.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a child that closed its output, or was killed, may take to leave before it is left behind.
const REAP_PATIENCE: Duration = Duration::from_millis(500);
/// 4,096 datasets of 250 bytes are 1 MiB.
const OUTPUT_AT_MOST: u64 = 16 << 20;
/// The search path of a tool: it starts nothing but what comes with the system.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the tools stand, also where the search path of an ordinary user leaves `sbin` out.
const DIRECTORIES: &[&str] = &["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin"];

/// Why a tool gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error(
        "{0} is not installed (looked in /usr/sbin, /sbin, /usr/local/sbin, /usr/bin): install zfsutils-linux"
    )]
    Missing(&'static str),
    /// It could not be started.
    #[error("{tool} could not be started: {source}")]
    Start {
        /// The tool.
        tool: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// An earlier one is still alive; a second one would hang as well.
    #[error(
        "{tool} (pid {pid}) has not returned and cannot be killed: no other one is started until it does"
    )]
    Hanging {
        /// The tool that hangs.
        tool: &'static str,
        /// Its PID.
        pid: u32,
    },
    /// No answer in time; it was killed.
    #[error("{tool} gave no answer within {} s and was killed", deadline.as_secs_f32())]
    Deadline {
        /// The tool.
        tool: &'static str,
        /// The time it was given.
        deadline: Duration,
    },
    /// It said no.
    #[error("{tool} failed ({status}): {message}")]
    Failed {
        /// The tool.
        tool: &'static str,
        /// Its exit status.
        status: ExitStatus,
        /// The first line of what it wrote to standard error.
        message: String,
    },
    /// It was called off.
    #[error("called off")]
    Cancelled,
    /// It answered something else.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl ToolError {
    /// An option or property that this version does not know.
    fn usage(&self) -> bool {
        matches!(self, Self::Failed { status, .. } if status.code() == Some(2))
    }
}

/// Runs one tool at a time.
#[derive(Debug)]
pub struct Tools {
    directories: Vec<PathBuf>,
    deadline: Duration,
    lingering: Option<(&'static str, Child)>,
}

impl Default for Tools {
    fn default() -> Self {
        Self::new(DIRECTORIES.iter().map(PathBuf::from).collect(), DEADLINE)
    }
}

impl Tools {
    /// Tools in this directory alone.
    #[must_use]
    pub fn below(directory: PathBuf) -> Self {
        Self::new(vec![directory], DEADLINE)
    }

    /// Tools in these directories, each given `deadline`.
    #[must_use]
    pub const fn new(directories: Vec<PathBuf>, deadline: Duration) -> Self {
        Self { directories, deadline, lingering: None }
    }

    /// Runs `tool` and gives its standard output. Blocks up to the deadline and a second: call it from a thread
    /// that nothing waits for.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub fn run(&mut self, tool: &'static str, arguments: &[&str]) -> Result<String, ToolError> {
        self.run_until(tool, arguments, self.deadline, &|| false)
    }

    /// The same with a deadline of its own, or until `cancelled` says so.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub fn run_until(
        &mut self,
        tool: &'static str,
        arguments: &[&str],
        deadline: Duration,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<String, ToolError> {
        if let Some((hanging, mut child)) = self.lingering.take()
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            let pid = child.id();
            self.lingering = Some((hanging, child));
            return Err(ToolError::Hanging { tool: hanging, pid });
        }
        let path = self.find(tool).ok_or(ToolError::Missing(tool))?;
        let mut child = Command::new(path)
            .args(arguments)
            // Nothing of the environment changes what it prints, or what it loads.
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ToolError::Start { tool, source })?;
        let (done, finished) = mpsc::channel();
        let errors = drain(child.stderr.take(), None);
        let _reader = drain(child.stdout.take(), Some(done));
        let output = wait(&finished, deadline, cancelled);
        if output.is_err() {
            // Fails only where it has just left.
            let _left = child.kill();
        }
        let Some(status) = reap(&mut child) else {
            let _no_effect = child.kill();
            self.lingering = Some((tool, child));
            return Err(ToolError::Deadline { tool, deadline });
        };
        let output = match output {
            Ok(output) => output,
            Err(Gone::Cancelled) => return Err(ToolError::Cancelled),
            Err(Gone::Late) => return Err(ToolError::Deadline { tool, deadline }),
        };
        if status.success() {
            return Ok(String::from_utf8_lossy(&output).into_owned());
        }
        let errors = errors.recv_timeout(REAP_PATIENCE).unwrap_or_default();
        let message =
            String::from_utf8_lossy(&errors).lines().next().unwrap_or("it does not say why").to_owned();
        Err(ToolError::Failed { tool, status, message })
    }

    fn find(&self, tool: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(tool)).find(|path| Path::is_file(path))
    }
}

/// Why an output was not waited for any longer.
enum Gone {
    Late,
    Cancelled,
}

/// How often a running tool is looked at for whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for the output of a child.
fn wait(
    finished: &mpsc::Receiver<Vec<u8>>,
    deadline: Duration,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<u8>, Gone> {
    let mut waited = Duration::ZERO;
    while waited < deadline {
        let step = LOOK.min(deadline.saturating_sub(waited));
        match finished.recv_timeout(step) {
            Ok(output) => return Ok(output),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Gone::Late),
            Err(mpsc::RecvTimeoutError::Timeout) if cancelled() => return Err(Gone::Cancelled),
            Err(mpsc::RecvTimeoutError::Timeout) => waited += step,
        }
    }
    Err(Gone::Late)
}

/// Reads `stream` to its end on a thread of its own, which is left behind if the end never comes.
fn drain<R: Read + Send + 'static>(
    stream: Option<R>,
    done: Option<mpsc::Sender<Vec<u8>>>,
) -> mpsc::Receiver<Vec<u8>> {
    let (own, receiver) = mpsc::channel();
    let sender = done.unwrap_or(own);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error is judged by the parser.
            let _read = stream.take(OUTPUT_AT_MOST).read_to_end(&mut bytes);
        }
        // Nobody listens once the deadline has passed.
        let _late = sender.send(bytes);
    });
    receiver
}

/// Waits for the end of a child for a while; `None` if it does not come.
fn reap(child: &mut Child) -> Option<ExitStatus> {
    let step = Duration::from_millis(5);
    for _ in 0..REAP_PATIENCE.as_millis() / step.as_millis() {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(step);
    }
    None
}

/// The questions that kgtop asks of the tools, in the form that the installed version has.
#[derive(Debug, Default)]
pub struct ZfsTools {
    tools: Tools,
    without_json: bool,
}

impl ZfsTools {
    /// Asks through `tools`.
    #[must_use]
    pub const fn new(tools: Tools) -> Self {
        Self { tools, without_json: false }
    }

    /// The tools.
    pub const fn tools(&mut self) -> &mut Tools {
        &mut self.tools
    }

    /// Vdev tree, errors and scans of these pools; of all where none is named.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub fn status(&mut self, pools: &[&str]) -> Result<Vec<PoolStatus>, ToolError> {
        if !self.without_json {
            match self.tools.run("zpool", &[STATUS_JSON_ARGUMENTS, pools].concat()) {
                Ok(text) => return Ok(parse_status_json(&text)?),
                Err(error) if error.usage() => self.without_json = true,
                Err(error) => return Err(error),
            }
        }
        Ok(parse_status_text(&self.tools.run("zpool", &[STATUS_TEXT_ARGUMENTS, pools].concat())?)?)
    }

    /// Space of these pools; of all where none is named.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub fn pools(&mut self, pools: &[&str]) -> Result<Vec<PoolSpace>, ToolError> {
        Ok(parse_pools(&self.tools.run("zpool", &[POOL_ARGUMENTS, pools].concat())?)?)
    }

    /// File systems and volumes of these pools; of all where none is named.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub fn datasets(&mut self, pools: &[&str]) -> Result<Vec<Dataset>, ToolError> {
        let below: &[&str] = if pools.is_empty() { &[] } else { &["-r"] };
        Ok(parse_datasets(&self.tools.run("zfs", &[DATASET_ARGUMENTS, below, pools].concat())?)?)
    }
}
