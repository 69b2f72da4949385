//! A second level cache that cannot help, and reads that ZFS cannot give to a GPU directly.

use super::weights::holds_weights;
use super::{Advice, AdviceRule, quoted};
use crate::analysis::Severity;
use crate::model::Snapshot;

pub(super) const SECOND_LEVEL: AdviceRule = AdviceRule {
    id: "zfs_l2arc_cannot_help",
    threshold: "a cache device, and a dataset of weights with primarycache other than all: the L2ARC is fed from the ARC \
                (zfsprops(7))",
    check: second_level,
};

pub(super) const GPU_DIRECT: AdviceRule = AdviceRule {
    id: "zfs_gpu_direct",
    threshold: "nvidia-fs is loaded and there is a pool: GPUDirect Storage supports ext4, xfs and some network file \
                systems (NVIDIA, GDS configuration guide)",
    check: gpu_direct,
};

fn second_level(snapshot: &Snapshot) -> Vec<Advice> {
    let storage = &snapshot.storage;
    let with_cache = |pool: &str| {
        let statuses = storage.status.get().into_iter().flatten();
        statuses
            .filter(|status| &*status.name == pool)
            .flat_map(|status| &status.vdevs)
            .any(|vdev| &*vdev.class == "cache")
    };
    let datasets = storage.properties.get().into_iter().flatten();
    let pool_of = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    datasets
        .filter(|dataset| holds_weights(storage, dataset))
        .filter(|dataset| &*dataset.primary_cache != "all" && &*dataset.secondary_cache != "none")
        .filter(|dataset| with_cache(&pool_of(&dataset.name)))
        .map(|dataset| Advice {
            rule: SECOND_LEVEL.id,
            severity: Severity::Info,
            subject: dataset.name.to_string(),
            summary: format!("{}: the L2ARC of its pool never gets its data", dataset.name),
            evidence: format!(
                "primarycache={}, secondarycache={}, the pool has a cache device",
                dataset.primary_cache, dataset.secondary_cache
            ),
            advice: "The L2ARC is fed from what leaves the ARC, and no data of this dataset enters it:"
                .into(),
            command: Some(format!("zfs set primarycache=all {}", quoted(&dataset.name))),
        })
        .collect()
}

fn gpu_direct(snapshot: &Snapshot) -> Vec<Advice> {
    let storage = &snapshot.storage;
    if storage.gpu_direct != Some(true) || storage.pools().is_empty() {
        return Vec::new();
    }
    vec![Advice {
        rule: GPU_DIRECT.id,
        severity: Severity::Info,
        subject: "nvidia-fs".into(),
        summary: "GPUDirect Storage is set up; reads from ZFS do not use it".into(),
        evidence: "/proc/driver/nvidia-fs exists, and a pool is imported".into(),
        advice: "ZFS cannot give pages to a GPU directly: cuFile falls back to host memory (compatibility mode) or \
                 refuses. Where loading must bypass the host, keep a copy on ext4 or xfs."
            .into(),
        command: None,
    }]
}
