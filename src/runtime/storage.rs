//! `kgtop storage`.

use super::commands::{collector_arguments, on_loop, print, root};
use super::{feed, once};
use crate::cli::{GlobalArgs, ReportFormat};
use crate::config::Config;
use crate::model::{Kept, Snapshot, Storage};
use crate::report;
use crate::units::Clock;
use color_eyre::eyre::Result;
use std::process::ExitCode;
use std::time::Duration;

/// Prints what the storage tab shows.
pub(super) fn show(
    global: &GlobalArgs,
    config: &Config,
    format: ReportFormat,
    clock: Clock,
) -> Result<ExitCode> {
    let root = root(global)?;
    let asks_tools = root.is_live() || global.zfs_tools.is_some();
    let arguments = collector_arguments(global, config);
    let interval = config.interval;
    let mut text = String::new();
    on_loop(async {
        let feed = feed::collector(arguments, clock);
        let complete = |snapshot: &Snapshot| is_read(snapshot, asks_tools);
        let until = once::Until { driver: false, watched: Duration::ZERO, complete };
        let snapshot = once::take_when(feed, interval, until).await?.snapshot;
        text = match format {
            ReportFormat::Text => report::storage_text(&snapshot),
            ReportFormat::Json => report::storage_json(&snapshot),
        };
        Ok(())
    })?;
    print(&text)
}

/// Whether every source of storage has answered, be it that it cannot; what hangs is not waited for beyond the
/// patience of [`once::take_when`].
fn is_read(snapshot: &Snapshot, asks_tools: bool) -> bool {
    fn answered<T>(kept: &Kept<T>) -> bool {
        kept.value.is_some() || kept.failure.is_some()
    }
    let storage = &snapshot.storage;
    let everywhere = storage.pools();
    let all_suspended = !everywhere.is_empty() && everywhere.iter().all(crate::model::PoolView::suspended);
    let tools = !asks_tools
        || storage.zfs_absent()
        || all_suspended
        || answered(&storage.status) && answered(&storage.properties);
    let models = storage.models.as_ref().is_some_and(|models| models.value.complete);
    storage.kernel.is_some() && answered(&storage.filesystems) && tools && models && has_rates(storage)
}

/// Whether devices and datasets were read twice: their rates follow from two readings, which come at the storage
/// thread's own pace.
fn has_rates(storage: &Storage) -> bool {
    let disks = storage.disks.is_empty() || storage.disks.iter().any(|disk| disk.read.is_ok());
    let datasets =
        storage.zfs().is_none_or(|kernel| kernel.datasets.is_empty() || !storage.activity.is_empty());
    disks && datasets
}
