//! Health, space and scrubs of the pools.

use super::{Advice, AdviceRule, quoted};
use crate::analysis::Severity;
use crate::model::{PoolView, ScanFunction, ScanState, Snapshot};
use crate::units::Bytes;

/// From here on the allocator has less and less to choose from: the customary level of warning.
const CAPACITY_WARNING: u32 = 80;
/// Below a tenth of free space metaslabs switch to best fit, which is slow (OpenZFS documentation, workload tuning,
/// "Pool geometry: free space").
const CAPACITY_CRITICAL: u32 = 90;
/// Debian and Ubuntu scrub each month (zfsutils-linux, cron.d): one that is older was missed.
const SCRUB_DAYS: i64 = 35;
/// Seconds of a day.
const DAY: i64 = 86_400;

pub(super) const SUSPENDED: AdviceRule = AdviceRule {
    id: "zfs_suspended",
    threshold: "the kernel's state of the pool is SUSPENDED",
    check: |snapshot| each(snapshot, suspended),
};

pub(super) const UNHEALTHY: AdviceRule = AdviceRule {
    id: "zfs_unhealthy",
    threshold: "a state other than ONLINE, a status of zpool, or a counter of errors above 0 (zpool-status(8))",
    check: |snapshot| each(snapshot, unhealthy),
};

pub(super) const FULL: AdviceRule = AdviceRule {
    id: "zfs_pool_full",
    threshold: "80 % (customary), 90 % (OpenZFS documentation, workload tuning), or nothing available",
    check: |snapshot| each(snapshot, full),
};

pub(super) const SCRUB: AdviceRule = AdviceRule {
    id: "zfs_scrub_old",
    threshold: "35 days: distributions scrub each month (zfsutils-linux, cron.d)",
    check: scrub,
};

fn each(snapshot: &Snapshot, check: impl Fn(&PoolView<'_>) -> Option<Advice>) -> Vec<Advice> {
    snapshot.storage.pools().iter().filter_map(check).collect()
}

/// The gravest of what stands against a pool.
pub(super) fn worst(pool: &PoolView<'_>) -> Option<Severity> {
    let checks = [suspended, unhealthy, full];
    checks.into_iter().filter_map(|check| Some(check(pool)?.severity)).max()
}

fn suspended(pool: &PoolView<'_>) -> Option<Advice> {
    pool.suspended().then(|| Advice {
        rule: SUSPENDED.id,
        severity: Severity::Critical,
        subject: pool.name.to_string(),
        summary: format!(
            "Pool {} is SUSPENDED: its I/O waits, and whatever opens a file on it hangs",
            pool.name
        ),
        evidence: format!("/proc/spl/kstat/zfs/{}/state: SUSPENDED", pool.name),
        advice: "Bring the device back (cable, power, controller: see the kernel log), then clear the pool."
            .into(),
        command: Some(format!("zpool clear {}", quoted(&pool.name))),
    })
}

fn unhealthy(pool: &PoolView<'_>) -> Option<Advice> {
    if pool.suspended() || pool.healthy() != Some(false) {
        return None;
    }
    let state = pool.state.as_deref().unwrap_or("unknown");
    let lost = matches!(state, "FAULTED" | "UNAVAIL" | "REMOVED");
    let status = pool.status;
    let data_errors = status.and_then(|status| status.data_errors).unwrap_or(0);
    let mut parts = Vec::new();
    for vdev in status.into_iter().flat_map(|status| &status.vdevs) {
        let leaf = vdev.path.is_some();
        let name = vdev.name.rsplit('/').next().unwrap_or_default();
        if leaf && &*vdev.state != "ONLINE" {
            parts.push(format!("{name} is {}", vdev.state));
        }
        if leaf && vdev.errors() > 0 {
            parts.push(format!(
                "{name}: {} read, {} write, {} checksum errors",
                vdev.read_errors, vdev.write_errors, vdev.checksum_errors
            ));
        }
    }
    if data_errors > 0 {
        parts.push(format!("{data_errors} files or blocks with permanent errors"));
    }
    let first = parts.first().cloned();
    let what = first.or_else(|| status?.status.as_deref().map(first_sentence));
    let summary = match what {
        Some(what) if state == "ONLINE" => format!("Pool {} is ONLINE with errors: {what}", pool.name),
        Some(what) => format!("Pool {} is {state}: {what}", pool.name),
        None => format!("Pool {} is {state}", pool.name),
    };
    let told = status.and_then(|status| status.action.as_deref());
    let id = status.and_then(|status| status.message_id.as_deref());
    if parts.is_empty() {
        parts.extend(status.and_then(|status| status.status.as_deref()).map(str::to_owned));
    }
    Some(Advice {
        rule: UNHEALTHY.id,
        severity: if lost || data_errors > 0 { Severity::Critical } else { Severity::Warning },
        subject: pool.name.to_string(),
        summary,
        evidence: format!(
            "zpool status{}: {}",
            id.map_or_else(String::new, |id| format!(" ({id})")),
            if parts.is_empty() { state.to_owned() } else { parts.join("; ") }
        ),
        advice: told.unwrap_or("See which device it is, and replace it or clear the errors.").to_owned(),
        command: Some(format!("zpool status -v {}", quoted(&pool.name))),
    })
}

fn first_sentence(text: &str) -> String {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').to_owned()
}

fn full(pool: &PoolView<'_>) -> Option<Advice> {
    let capacity = pool.space.and_then(|space| space.capacity.as_ref().ok().copied());
    let nothing_left = pool.available == Ok(Bytes(0));
    let severity = match capacity {
        _ if nothing_left => Severity::Critical,
        Some(capacity) if capacity >= CAPACITY_CRITICAL => Severity::Critical,
        Some(capacity) if capacity >= CAPACITY_WARNING => Severity::Warning,
        _ => return None,
    };
    let percent =
        capacity.map_or_else(String::new, |capacity| format!(", {capacity} % of its raw space taken"));
    let left = pool.available.as_ref().map_or_else(|_| String::new(), |left| format!("; {left} available"));
    let summary = if nothing_left {
        format!("Pool {} has nothing available: writes fail (ENOSPC){percent}", pool.name)
    } else {
        format!("Pool {} is {} % full{left}", pool.name, capacity.unwrap_or_default())
    };
    Some(Advice {
        rule: FULL.id,
        severity,
        subject: pool.name.to_string(),
        summary,
        evidence: format!(
            "zpool list capacity {}, zfs list available {}",
            capacity.map_or_else(|| "unknown".into(), |capacity| format!("{capacity} %")),
            pool.available.as_ref().map_or_else(ToString::to_string, ToString::to_string),
        ),
        advice: "ZFS keeps 1/32 of the pool back, so writes fail before 100 %. Remove models or snapshots that nobody \
                 needs; those that hold the most:"
            .into(),
        command: Some(format!(
            "zfs list -r -o name,usedbysnapshots,usedbydataset -s used {}",
            quoted(&pool.name)
        )),
    })
}

fn scrub(snapshot: &Snapshot) -> Vec<Advice> {
    let now = snapshot.wall.0.div_euclid(1_000_000);
    each(snapshot, |pool| {
        let status = pool.status?;
        if pool.suspended() {
            return None;
        }
        let (summary, evidence) = match &status.scan {
            None => {
                (format!("Pool {} was never scrubbed", pool.name), "zpool status has no scan line".to_owned())
            }
            Some(scan) => {
                let ran = matches!(scan.state, ScanState::Running | ScanState::Paused);
                if ran || scan.function == ScanFunction::Resilver {
                    return None;
                }
                if scan.state == ScanState::Cancelled {
                    return Some(cancelled(pool));
                }
                let days = (now - scan.ended?).div_euclid(DAY);
                if days <= SCRUB_DAYS {
                    return None;
                }
                (
                    format!("Pool {} was last scrubbed {days} days ago", pool.name),
                    format!("the last scrub ended {days} days ago"),
                )
            }
        };
        Some(unscrubbed(pool, summary, evidence))
    })
}

/// A scrub that was given up has not read everything; when the one before it ended, nobody knows any more.
fn cancelled(pool: &PoolView<'_>) -> Advice {
    unscrubbed(
        pool,
        format!("The last scrub of pool {} was cancelled", pool.name),
        "zpool status: scrub canceled".to_owned(),
    )
}

fn unscrubbed(pool: &PoolView<'_>, summary: String, evidence: String) -> Advice {
    Advice {
        rule: SCRUB.id,
        severity: Severity::Info,
        subject: pool.name.to_string(),
        summary,
        evidence,
        advice: "A scrub reads everything and repairs what a mirror or parity can; it slows loading while it runs."
            .into(),
        command: Some(format!("zpool scrub {}", quoted(&pool.name))),
    }
}
