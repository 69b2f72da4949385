//! The dearest mistake: mapped files on a dataset of which only metadata is cached. Each fault of a page (4 KiB) reads
//! the whole record (1 MiB) from disk, and nothing of it stays for the next fault: 22 to 256 times the bytes were
//! measured. It shows as vdevs that read many times what programs asked of the datasets.

use super::{Advice, AdviceRule, quoted};
use crate::analysis::Severity;
use crate::model::{DatasetView, PoolView, Storage};
use crate::units::BytesPerSecond;

/// Prefetching and metadata stay below this on any healthy read; measured: 22 (OpenZFS 2.3.9) and 256 (2.1.11).
const RATIO: f64 = 4.0;
/// Below this nobody waits for the disks.
const DISK_BYTES_PER_SECOND: f64 = 50e6;
/// Below this no program reads: what the disks do then is something else (a snapshot is read, which no dataset counts).
const ASKED_BYTES_PER_SECOND: f64 = 100e3;
/// Mean size of a read up to which it is faults of pages, or reads as small: a fault fills one page of 4 KiB, or a few.
const SMALL_READ: f64 = 64.0 * 1024.0;

pub(super) const RULE: AdviceRule = AdviceRule {
    id: "zfs_read_amplification",
    threshold: "vdevs read 4 times what programs asked for, at 50 MB/s or more, in reads of 64 KiB at most (measured: \
                22 to 256 times); silent during scrub, resilver and send",
    check: |snapshot| {
        let pools = snapshot.storage.pools();
        pools.iter().filter_map(|pool| Some(advise(&Amplification::of(&snapshot.storage, pool)?))).collect()
    },
};

/// What amplifies, and how much.
#[derive(Clone, Debug)]
pub struct Amplification {
    /// The pool.
    pub pool: String,
    /// The dataset that is read the most.
    pub dataset: String,
    /// What its ARC keeps, where that is known.
    pub primary_cache: Option<String>,
    /// Its record size in bytes, where that is known.
    pub record_size: Option<u64>,
    /// What programs asked of the pool's datasets.
    pub asked: BytesPerSecond,
    /// What its vdevs read. Each read goes to one leg of a mirror, so all legs together are what was read once.
    pub disks: BytesPerSecond,
}

impl Amplification {
    /// How many times more the disks read.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.disks.0 / self.asked.0
    }

    /// Whether a pool amplifies now.
    #[must_use]
    pub fn of(storage: &Storage, pool: &PoolView<'_>) -> Option<Self> {
        // A scan or a send reads from the disks what no dataset counts.
        let scanned = pool.scanning().is_some() || pool.suspended();
        if scanned || storage.sending() {
            return None;
        }
        let (disks, asked) = (*pool.read.as_ref().ok()?, *pool.asked.as_ref().ok()?);
        if disks.0 < DISK_BYTES_PER_SECOND || asked.0 < ASKED_BYTES_PER_SECOND || disks.0 < RATIO * asked.0 {
            return None;
        }
        let read = |dataset: &DatasetView<'_>| {
            dataset.rates.and_then(|rates| rates.read.as_ref().ok()).map_or(0.0, |rate| rate.0)
        };
        let datasets = storage.datasets();
        let busiest = datasets
            .iter()
            .filter(|dataset| dataset.pool == pool.name)
            .max_by(|a, b| read(a).total_cmp(&read(b)))?;
        let operations = *busiest.rates?.reads.as_ref().ok()?;
        if operations <= 0.0 || read(busiest) / operations > SMALL_READ {
            return None;
        }
        let properties = busiest.properties;
        Some(Self {
            pool: pool.name.to_string(),
            dataset: busiest.name.to_string(),
            primary_cache: properties.map(|properties| properties.primary_cache.to_string()),
            record_size: properties.and_then(|properties| Some(properties.record_size.as_ref().ok()?.0)),
            asked,
            disks,
        })
    }
}

fn advise(found: &Amplification) -> Advice {
    let ratio = found.ratio();
    let metadata_only = found.primary_cache.as_deref().is_some_and(|cache| cache != "all");
    let record = found.record_size.map_or_else(
        || "a whole record".to_owned(),
        |bytes| format!("a whole record of {} KiB", bytes / 1024),
    );
    let properties = match &found.primary_cache {
        Some(cache) => format!("; primarycache={cache}"),
        None => "; its properties could not be read".to_owned(),
    };
    let advice = if metadata_only {
        format!(
            "Programs map files of it, and the ARC keeps no data of it: each fault of a page reads {record} again. \
             Let the ARC keep data:"
        )
    } else if found.primary_cache.is_some() {
        format!(
            "Small reads at scattered places each read {record}. A dataset with a smaller recordsize suits them; the \
             change holds for files written after it."
        )
    } else {
        "See whether the ARC may keep data of it; primarycache=metadata makes each fault of a mapped page read a whole \
         record."
            .to_owned()
    };
    let name = quoted(&found.dataset);
    Advice {
        rule: RULE.id,
        severity: Severity::Warning,
        subject: found.pool.clone(),
        summary: format!(
            "{}: the disks read {ratio:.0} times what programs get ({} for {})",
            found.dataset, found.disks, found.asked
        ),
        evidence: format!(
            "vdevs of {} read {}, programs read {} from its datasets{properties}",
            found.pool, found.disks, found.asked
        ),
        advice,
        command: Some(match (metadata_only, &found.primary_cache) {
            (true, _) => format!("zfs set primarycache=all {name}"),
            (false, Some(_)) => format!("zfs get recordsize,primarycache {name}"),
            (false, None) => format!("zfs get primarycache {name}"),
        }),
    }
}
