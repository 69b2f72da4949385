//! Facts of a GPU as a plan needs them: from a collector that leaves again, with who has the GPU open where nobody
//! may.

use super::{Place, away, host};
use crate::actions::{Change, GpuFacts, HostFacts, Plan, plan_gpu};
use crate::model::{Snapshot, known};
use crate::runtime::commands::on_loop;
use crate::runtime::{feed, once};
use crate::sources::holders::{self, DeviceFiles, Found};
use crate::sources::root::Root;
use crate::units::Clock;
use color_eyre::eyre::Result;
use std::ffi::OsString;
use std::time::Duration;

/// Interval of the two samples that a plan rests on.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);

/// Takes snapshots through a collector, a process of its own.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    arguments: Vec<OsString>,
}

impl Snapshots {
    /// With the collector of that place.
    pub(super) fn of(place: &Place) -> Self {
        Self { arguments: place.collector.clone() }
    }

    /// One snapshot. The collector is told to leave when it is taken.
    pub(super) fn take(&self, clock: Clock) -> Result<Snapshot> {
        let arguments = self.arguments.clone();
        let mut found = None;
        on_loop(async {
            found = Some(once::snapshot(feed::collector(arguments, clock), INTERVAL).await?.0);
            Ok(())
        })?;
        found.ok_or_else(|| color_eyre::eyre::eyre!("nothing was read"))
    }
}

/// What the driver says of the GPU of that UUID; `None` where it has no such GPU.
pub(super) fn of_gpu(snapshots: &Snapshots, clock: Clock, uuid: &str) -> Result<Option<GpuFacts>, String> {
    let snapshot = snapshots.take(clock).map_err(|error| format!("{error:#}"))?;
    let gpu = snapshot.gpus.iter().find(|gpu| &*gpu.id.0 == uuid);
    Ok(gpu.map(|gpu| GpuFacts::of_snapshot(&snapshot, gpu)))
}

/// Everybody who has the GPU open.
pub(super) fn holders(root: &Root, gpu: &GpuFacts) -> Result<Found, String> {
    holders_of(root, known(&gpu.minor), gpu.address.as_deref())
}

fn holders_of(root: &Root, minor: Option<u32>, address: Option<&str>) -> Result<Found, String> {
    let minor = minor.ok_or_else(|| "the number of the GPU's device file could not be read".to_owned())?;
    let files =
        DeviceFiles::of(root, minor, address).map_err(|absence| format!("/dev/nvidia{minor}: {absence}"))?;
    Ok(holders::look(root, &files))
}

/// The host's facts with everybody who has the GPU open, kgtop's own processes left out: they leave by themselves.
pub(super) fn with_holders(facts: HostFacts, root: &Root, gpu: &GpuFacts) -> HostFacts {
    with_holders_of(facts, root, known(&gpu.minor), gpu.address.as_deref())
}

/// The same for the GPU of that minor number. Without its address its DRM nodes are not known; who has those open is
/// looked at before anything is sent.
pub(super) fn with_holders_of(
    mut facts: HostFacts,
    root: &Root,
    minor: Option<u32>,
    address: Option<&str>,
) -> HostFacts {
    match holders_of(root, minor, address) {
        Ok(found) => {
            facts.fabric_manager = Some(found.fabric_manager);
            facts.proc_partial = found.partial;
            let others = found.holders.into_iter().filter(|holder| !host::is_own(root, holder));
            facts.open_by = Some(others.map(|holder| (holder.pid, holder.name)).collect());
        }
        Err(why) => facts.proc_partial = Some(why),
    }
    facts
}

/// Plans `change`; for one that takes the GPU away after a look at everybody who has it open.
pub(super) fn plan(place: &Place, host: &HostFacts, gpu: &GpuFacts, change: Change, clock: Clock) -> Plan {
    let missing = away::missing_tool(place, clock, &change);
    let plan = if change.takes_the_gpu_away() {
        plan_gpu(gpu, &with_holders(host.clone(), &place.root, gpu), change, (clock.mono)())
    } else {
        plan_gpu(gpu, host, change, (clock.mono)())
    };
    match missing {
        Some(refusal) => plan.refused(refusal),
        None => plan,
    }
}
