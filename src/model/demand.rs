//! Which of the costly groups somebody looks at or records.

/// The groups that are read at each interval only while they are shown or recorded. Everything not named here is
/// read at its own tier in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// GPM metrics (SM, tensor, link rates).
    pub gpm: bool,
    /// Cumulative counters: time per clock event reason, NVLink totals.
    pub counters: bool,
    /// Utilisation per process.
    pub process_utilization: bool,
    /// The PCIe rate call that blocks 21 ms per direction, for GPUs without GPM.
    pub pcie_throughput: bool,
    /// State and errors of each NVLink.
    pub links: bool,
    /// Kernel statistics of ZFS, block devices; the ZFS tools more often.
    pub storage: bool,
    /// Files of the host that the doctor judges: read at the start and seldom in any case, and often while shown.
    pub host_files: bool,
}

impl Demand {
    /// Everything: for a recording or a one-off snapshot.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            gpm: true,
            counters: true,
            process_utilization: true,
            pcie_throughput: true,
            links: true,
            storage: true,
            host_files: true,
        }
    }

    /// What either of the two wants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            gpm: self.gpm || other.gpm,
            counters: self.counters || other.counters,
            process_utilization: self.process_utilization || other.process_utilization,
            pcie_throughput: self.pcie_throughput || other.pcie_throughput,
            links: self.links || other.links,
            storage: self.storage || other.storage,
            host_files: self.host_files || other.host_files,
        }
    }
}
