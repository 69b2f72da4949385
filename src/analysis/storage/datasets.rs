//! Datasets that cannot be read.

use super::{Advice, AdviceRule, quoted};
use crate::analysis::Severity;
use crate::model::{Dataset, Snapshot};

pub(super) const LOCKED: AdviceRule = AdviceRule {
    id: "zfs_key_not_loaded",
    threshold: "keystatus=unavailable (zfsprops(7))",
    check: |snapshot: &Snapshot| {
        let datasets = snapshot.storage.properties.get().into_iter().flatten();
        datasets.filter(|dataset| dataset.key_loaded == Some(false)).map(locked).collect()
    },
};

fn locked(dataset: &Dataset) -> Advice {
    Advice {
        rule: LOCKED.id,
        severity: Severity::Info,
        subject: dataset.name.to_string(),
        summary: format!("{} is locked: its key is not loaded", dataset.name),
        evidence: "zfs list: keystatus=unavailable".into(),
        advice: "What lies on it cannot be read until then:".into(),
        command: Some(format!("zfs load-key {0} && zfs mount {0}", quoted(&dataset.name))),
    }
}
