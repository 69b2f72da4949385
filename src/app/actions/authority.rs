//! The right to act, and what it is needed for.

use crate::actions::{HostFacts, Plan};

/// The right to act on this machine. The wiring gives it to a screen that a collector of this machine feeds; a
/// replay, a demo and a remote stream show foreign GPUs and PIDs, and have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAuthority {
    boot_id: String,
}

impl LocalAuthority {
    /// The authority over the machine that `host` describes; `None` where its boot cannot be told from another.
    #[must_use]
    pub fn over(host: &HostFacts) -> Option<Self> {
        (!host.boot_id.is_empty()).then(|| Self { boot_id: host.boot_id.clone() })
    }

    /// Whether data of that boot is of this machine.
    pub(super) fn is_of(&self, boot_id: &str) -> bool {
        self.boot_id == boot_id
    }
}

/// A plan that was confirmed. Only the confirmation makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed(Plan);

impl Confirmed {
    /// The plan, by this authority; `None` for one that is of another boot or would be refused.
    pub(super) fn by(authority: &LocalAuthority, plan: &Plan) -> Option<Self> {
        (authority.is_of(&plan.boot_id) && plan.is_allowed() && !plan.already).then(|| Self(plan.clone()))
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.0
    }
}
