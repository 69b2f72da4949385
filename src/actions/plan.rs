//! A plan: what would change, for whom, at what cost, and what would refuse it.

use super::change::Change;
use super::facts::{GpuFacts, HolderFacts, HostFacts};
use crate::units::Mono;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Version of a plan's JSON.
pub const PLAN_FORMAT: u32 = 1;

/// A plan older than this is made anew: what it rests on may have changed.
pub const STALE_AFTER: Duration = Duration::from_secs(10);

/// What a plan is about. Never an index: that is the order of one boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A GPU.
    Gpu {
        /// UUID.
        uuid: String,
        /// PCI address, `0000:41:00.0`.
        address: String,
        /// Product name and number, for people.
        label: String,
    },
    /// A process.
    Process {
        /// PID.
        pid: u32,
        /// Start in clock ticks since boot: a PID is reused.
        start: u64,
        /// Name and user, for people.
        label: String,
    },
}

/// How much it takes to confirm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Weight {
    /// Small and reversible: one key.
    Key,
    /// It disturbs somebody: y or N.
    YesNo,
    /// It cannot be taken back: this text is typed.
    Typed {
        /// Bus and device of the address, with the domain where they alone are not enough, or the PID.
        text: String,
    },
}

/// Why a plan would be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// Needs root; the same command through sudo would do.
    NotRoot,
    /// Not within what the driver allows.
    OutOfRange,
    /// This GPU or driver does not have it.
    NotSupported,
    /// MIG mode forbids it.
    Mig,
    /// A vGPU guest may not.
    VgpuGuest,
    /// Somebody holds the device.
    Held,
    /// In a container.
    Container,
    /// Not all of `/proc` can be read, so nobody can be proven absent.
    ProcPartial,
    /// The GPU does not answer.
    Lost,
    /// What it would rest on could not be read.
    Unread,
    /// The process is not proven to be the one that is meant.
    NotProven,
    /// Another remedy is needed than this one.
    WrongRemedy,
    /// The plan no longer fits the machine, or is none.
    Outdated,
    /// It cannot be written down, and nothing is done that is not.
    Unaudited,
    /// Another kgtop acts on it.
    Locked,
}

/// One reason why a plan would be refused, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Which kind.
    pub kind: RefusalKind,
    /// The reason, and what to do, in a sentence.
    pub reason: String,
}

/// Something that is lost, and the command that brings it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// What is lost.
    pub what: String,
    /// How it is brought back; `None` where it is not.
    pub restore: Option<String>,
}

/// What would happen, all of it, before it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// What it is about.
    pub target: Target,
    /// What is wanted.
    pub change: Change,
    /// The boot it was made in.
    pub boot_id: String,
    /// When it was made: µs of the monotonic clock of that boot.
    pub made_at: u64,
    /// The exact value it starts from, read again before the send; `None` where the driver has no getter.
    pub expected: Option<String>,
    /// Whether it is so already: nothing will be sent.
    pub already: bool,
    /// What can be set, with the default.
    pub range: Option<String>,
    /// The same with NVIDIA's or the system's own tool.
    pub command: String,
    /// The steps, in order, where it takes more than that one command.
    pub steps: Vec<String>,
    /// Who is disturbed.
    pub disturbed: Vec<HolderFacts>,
    /// Why that is not known, where the driver's list of processes could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
    /// How their scheduler takes work away from here.
    pub drain: Vec<String>,
    /// What is lost.
    pub lost: Vec<Loss>,
    /// Why it would be refused. Empty: it can be confirmed.
    pub refusals: Vec<Refusal>,
    /// Whether it survives, and what would make it last.
    pub lasting: String,
    /// What to expect.
    pub effect: Option<String>,
    /// The change that takes it back.
    pub undo: Option<Change>,
    /// How much it takes to confirm.
    pub weight: Weight,
    /// Digest of all the rest: tells a plan that was edited.
    pub digest: String,
}

/// Why a plan cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not a plan.
    #[error("this is not a plan of `kgtop act --dry-run --format json`: {0}")]
    NotAPlan(#[from] serde_json::Error),
    /// Another version's.
    #[error("the plan has format {0}, this kgtop makes and takes {PLAN_FORMAT}: make it anew")]
    Format(u32),
    /// Changed since it was made.
    #[error("the plan was edited after it was made (its digest does not match): make it anew")]
    Edited,
}

/// Why a plan no longer fits the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too old.
    #[error("the plan is {seconds} s old; after {} s it must be made anew", STALE_AFTER.as_secs())]
    Stale {
        /// Its age.
        seconds: u64,
    },
    /// Made later than now.
    #[error("the plan was made in the future of this machine's clock: it is not of this boot")]
    FromTheFuture,
    /// Another boot or machine.
    #[error("the plan is of another boot or another machine: make it anew here")]
    OtherBoot,
    /// The target is another one.
    #[error("{0}")]
    OtherTarget(String),
    /// The value is another one.
    #[error(
        "{setting} is {now} now, and the plan starts from {expected}: somebody else changed it; make it anew"
    )]
    OtherValue {
        /// Which setting.
        setting: &'static str,
        /// Value now.
        now: String,
        /// Value in the plan.
        expected: String,
    },
    /// Somebody came.
    #[error("process {pid} came onto the GPU after the plan was made: make it anew")]
    NewProcess {
        /// Its PID.
        pid: u32,
    },
}

/// What a plan is compared with before it is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    /// Now.
    pub now: Mono,
    /// This host.
    pub host: &'a HostFacts,
    /// The GPU, as just read; `None` for a process.
    pub gpu: Option<&'a GpuFacts>,
}

impl Plan {
    /// Reads a plan and tells whether it is as it was made.
    ///
    /// # Errors
    /// For text that is no plan, of another version, or edited.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self = serde_json::from_str(text)?;
        if plan.format != PLAN_FORMAT {
            return Err(PlanError::Format(plan.format));
        }
        if plan.digest != plan.digest_of_content() {
            return Err(PlanError::Edited);
        }
        Ok(plan)
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data: strings, numbers and lists always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The plan with its digest.
    pub(super) fn sealed(mut self) -> Self {
        self.digest = self.digest_of_content();
        self
    }

    /// FNV-1a, 64 bits, over the plan's JSON without its digest. It tells mistakes, not attackers: whoever may run
    /// the plan may also make one, and every precondition is checked again in any case.
    fn digest_of_content(&self) -> String {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let bare = Self { digest: String::new(), ..self.clone() };
        let hash =
            bare.to_json().bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        format!("{hash:016x}")
    }

    /// The plan with one more reason against it.
    #[must_use]
    pub fn refused(mut self, refusal: Refusal) -> Self {
        self.refusals.push(refusal);
        self.sealed()
    }

    /// In one line: what is changed from what to what, and of which GPU or process.
    #[must_use]
    pub fn words(&self) -> String {
        let target = match &self.target {
            Target::Gpu { label, address, .. } => format!("{label} at {address}"),
            Target::Process { pid, label, .. } => format!("PID {pid}, {label}"),
        };
        let from = self.expected.as_deref().map(|from| format!("{from} → ")).unwrap_or_default();
        format!("{}: {from}{} on {target}", self.change.setting(), self.change.wanted())
    }

    /// Whether nothing stands in its way.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.refusals.is_empty()
    }

    /// Whether root's rights are all that is missing.
    #[must_use]
    pub fn needs_only_root(&self) -> bool {
        !self.refusals.is_empty() && self.refusals.iter().all(|refusal| refusal.kind == RefusalKind::NotRoot)
    }

    /// Whether it is too old to be carried out.
    #[must_use]
    pub fn is_stale(&self, now: Mono) -> bool {
        now.since(Mono(self.made_at)) > STALE_AFTER
    }

    /// Whether it is the same plan as one that was made earlier: whoever confirmed that one confirmed this one too.
    #[must_use]
    pub fn is_like(&self, earlier: &Self) -> bool {
        let pids =
            |plan: &Self| plan.disturbed.iter().map(|holder| (holder.pid, holder.start)).collect::<Vec<_>>();
        self.target == earlier.target
            && self.change == earlier.change
            && self.boot_id == earlier.boot_id
            && self.expected == earlier.expected
            && self.lost == earlier.lost
            && self.refusals == earlier.refusals
            && self.weight == earlier.weight
            && pids(self) == pids(earlier)
    }

    /// Whether it still fits the machine: age, boot, target, value, processes.
    ///
    /// # Errors
    /// What changed.
    pub fn fits(&self, fit: &Fit<'_>) -> Result<(), FitError> {
        if fit.host.boot_id.is_empty() || self.boot_id != fit.host.boot_id {
            return Err(FitError::OtherBoot);
        }
        if fit.now.0 < self.made_at {
            return Err(FitError::FromTheFuture);
        }
        if self.is_stale(fit.now) {
            return Err(FitError::Stale { seconds: fit.now.since(Mono(self.made_at)).as_secs() });
        }
        match (&self.target, fit.gpu) {
            (Target::Gpu { uuid, address, .. }, Some(gpu)) => self.fits_gpu(uuid, address, gpu),
            (Target::Gpu { uuid, .. }, None) => {
                Err(FitError::OtherTarget(format!("no GPU here has the UUID {uuid}")))
            }
            (Target::Process { .. }, _) => Ok(()),
        }
    }

    fn fits_gpu(&self, uuid: &str, address: &str, gpu: &GpuFacts) -> Result<(), FitError> {
        if gpu.uuid.as_deref() != Some(uuid) {
            return Err(FitError::OtherTarget(format!("no GPU here has the UUID {uuid}")));
        }
        if gpu.address.as_deref() != Some(address) {
            return Err(FitError::OtherTarget(format!(
                "{uuid} is at {} now, and the plan was made for {address}: make it anew",
                gpu.address.as_deref().unwrap_or("no address")
            )));
        }
        let now = gpu.current(&self.change);
        if now != self.expected {
            return Err(FitError::OtherValue {
                setting: self.change.setting(),
                now: now.unwrap_or_else(|| "unreadable".to_owned()),
                expected: self.expected.clone().unwrap_or_else(|| "unreadable".to_owned()),
            });
        }
        let newcomer = gpu.holders.iter().flatten().find(|h| !self.disturbed.iter().any(|d| d.pid == h.pid));
        newcomer.map_or(Ok(()), |holder| Err(FitError::NewProcess { pid: holder.pid }))
    }
}
