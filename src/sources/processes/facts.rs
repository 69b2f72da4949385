//! What does not change in a process's life: who it is, where it runs, what it was started as.

use super::secrets::{command, environment, printable};
use super::stat::{Stat, Status};
use super::users::Users;
use super::{host_pids_visible, read_stat};
use crate::model::{Absence, ProcessFacts, ProcessKey, Reading};
use crate::sources::containers::parse_cgroup;
use crate::sources::host::boot_time;
use crate::sources::root::Root;
use crate::units::Wall;

const SMALL_LIMIT: usize = 64 << 10;
/// The kernel allows some MiB of environment; a Kubernetes pod with thousands of services stays below this.
const ENVIRONMENT_LIMIT: usize = 512 << 10;
/// `comm` has 15 characters; a cgroup path may be long.
const TEXT_LENGTH: usize = 1_024;

/// What stands in place of a command line and environment that were not asked for, because they may never answer.
pub(super) const UNINTERRUPTIBLE: &str = "process is in uninterruptible sleep (D)";

/// Reads the facts of processes. The caller decides on which thread: [`read_cheap`](Self::read_cheap) waits for no
/// lock that a wedged process may hold, [`read_memory_backed`](Self::read_memory_backed) may block for ever.
#[derive(Debug)]
pub struct FactsReader {
    root: Root,
    visible: Reading<bool>,
    users: Users,
    /// Wall clock of the boot, in seconds.
    boot: Reading<u64>,
}

/// Called with the name of each file before it is read.
pub(super) type OnFile<'a> = &'a mut dyn FnMut(&'static str);

impl FactsReader {
    /// A reader of `root`.
    #[must_use]
    pub fn new(root: Root) -> Self {
        let visible = host_pids_visible(&root);
        let users = Users::read(&root);
        let boot = boot_time(&root);
        Self { root, visible, users, boot }
    }

    /// What `stat`, `status` and `cgroup` say of a process; command line and environment are not requested.
    ///
    /// `pid` is the driver's, so the host's. Where `/proc` shows other PIDs, or this one is not there, the facts
    /// say `visible: false` and hold nothing: the number may name another process here.
    pub fn read_cheap(&self, pid: u32) -> ProcessFacts {
        self.cheap(pid, &mut |_| {})
    }

    /// Adds command line and environment, secrets masked. They are read through the process's memory, whose lock a
    /// wedged process may hold: this can block for ever. A process in state D is not asked.
    pub fn read_memory_backed(&self, pid: u32, facts: &mut ProcessFacts) {
        self.memory_backed(pid, facts, &mut |_| {});
    }

    pub(super) fn cheap(&self, pid: u32, on_file: OnFile<'_>) -> ProcessFacts {
        let seen = match &self.visible {
            Ok(true) => {
                on_file("stat");
                read_stat(&self.root, pid, &mut Vec::new())
            }
            Ok(false) => Err(Absence::NotSupported),
            Err(absence) => Err(absence.clone()),
        };
        let stat = match seen {
            Ok(stat) => stat,
            Err(absence) => return unseen(ProcessKey { pid, start: 0 }, &absence),
        };
        on_file("status");
        let status = self.text(pid, "status").map(|text| Status::parse(&text));
        let pids = status.as_ref().map_or(&[][..], |status| &status.pids);
        if pids.first().is_some_and(|first| *first != pid) {
            return unseen(ProcessKey { pid, start: 0 }, &Absence::NotSupported);
        }
        let inner_pid = pids.get(1..).and_then(|inner| inner.last()).copied();
        let user = status.and_then(|status| {
            let uid = status.uid.ok_or_else(|| Absence::failed(0, "status names no user"))?;
            Ok(printable(&self.users.name(uid), TEXT_LENGTH).into())
        });
        on_file("cgroup");
        let cgroup = self.text(pid, "cgroup").map(|text| parse_cgroup(&printable_lines(&text)));
        let (path, cgroup) = match cgroup {
            Ok(facts) => (Ok(facts.path.clone()), facts),
            Err(absence) => (Err(absence), crate::sources::containers::CgroupFacts::default()),
        };
        ProcessFacts {
            key: ProcessKey { pid, start: stat.start },
            visible: true,
            inner_pid,
            parent: Ok(stat.parent),
            user,
            name: Ok(printable(&stat.name, TEXT_LENGTH).into()),
            command: Err(Absence::NotRequested),
            environment: Err(Absence::NotRequested),
            cgroup: path,
            container: cgroup.container,
            pod: cgroup.pod,
            slurm_job: cgroup.slurm_job,
            unit: cgroup.unit,
            started: self.started(&stat),
        }
    }

    /// Gives whether the process was asked: one that sleeps uninterruptibly was not, and may be later.
    pub(super) fn memory_backed(&self, pid: u32, facts: &mut ProcessFacts, on_file: OnFile<'_>) -> bool {
        if !facts.visible {
            return true;
        }
        let mut buffer = Vec::new();
        let mut state = |on_file: OnFile<'_>| {
            on_file("stat");
            let stat = read_stat(&self.root, pid, &mut buffer)?;
            // The PID is another process's by now.
            if stat.start == facts.key.start { Ok(stat.state) } else { Err(Absence::NotSupported) }
        };
        match state(on_file) {
            Ok('D') => {
                let absence = Absence::failed(0, UNINTERRUPTIBLE);
                (facts.command, facts.environment) = (Err(absence.clone()), Err(absence));
                return false;
            }
            Ok(_) => {}
            Err(absence) => {
                (facts.command, facts.environment) = (Err(absence.clone()), Err(absence));
                return true;
            }
        }
        on_file("cmdline");
        facts.command = self.root.read(&format!("/proc/{pid}/cmdline"), SMALL_LIMIT).map(|b| command(&b));
        on_file("environ");
        let bytes = self.root.read(&format!("/proc/{pid}/environ"), ENVIRONMENT_LIMIT);
        facts.environment = bytes.map(|bytes| environment(&bytes));
        if let Err(absence) = state(on_file) {
            // It ended meanwhile, and what was read may be of another that got its PID.
            (facts.command, facts.environment) = (Err(absence.clone()), Err(absence));
        }
        true
    }

    fn text(&self, pid: u32, file: &str) -> Reading<String> {
        self.root.read_to_string(&format!("/proc/{pid}/{file}"), SMALL_LIMIT)
    }

    fn started(&self, stat: &Stat) -> Reading<Wall> {
        let boot = self.boot.clone()?;
        let since_boot =
            u128::from(stat.start) * 1_000_000 / u128::from(self.root.clock_ticks_per_second().max(1));
        let at = u128::from(boot) * 1_000_000 + since_boot;
        i64::try_from(at).map(Wall).map_err(|error| Absence::failed(0, format!("start time: {error}")))
    }
}

/// Facts of a process that cannot be seen, or of which nothing could be read.
pub(super) fn unseen(key: ProcessKey, absence: &Absence) -> ProcessFacts {
    ProcessFacts {
        key,
        visible: false,
        inner_pid: None,
        parent: Err(absence.clone()),
        user: Err(absence.clone()),
        name: Err(absence.clone()),
        command: Err(absence.clone()),
        environment: Err(absence.clone()),
        cgroup: Err(absence.clone()),
        container: None,
        pod: None,
        slurm_job: None,
        unit: None,
        started: Err(absence.clone()),
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line, TEXT_LENGTH)).collect::<Vec<_>>().join("\n")
}
