//! Storage: names of pools, datasets, snapshots and servers, and the paths that hold them.

use super::Redactor;
use crate::model::{Absence, ModelShape, Reading, SnapshotBatch, StorageSample};
use std::sync::Arc;

/// Devices of the kernel that tell nothing (`/dev/nvme0n1p1`); links by id hold a serial number.
fn is_plain(path: &str) -> bool {
    path.strip_prefix("/dev/").is_some_and(|rest| !rest.contains('/'))
}

/// A dataset part by part, so that what lies below another still does: `pool1/dataset1/dataset2`.
fn dataset(redactor: &mut Redactor, name: &mut Arc<str>) {
    let (path, snapshot) = match name.split_once('@') {
        Some((path, snapshot)) => (path.to_owned(), Some(snapshot.to_owned())),
        None => (name.to_string(), None),
    };
    let mut parts = Vec::new();
    for (depth, part) in path.split('/').enumerate() {
        let mut part: Arc<str> = part.into();
        redactor.replace(if depth == 0 { "pool" } else { "dataset" }, &mut part);
        parts.push(part);
    }
    let mut text = parts.join("/");
    if let Some(snapshot) = snapshot {
        let mut snapshot: Arc<str> = snapshot.into();
        redactor.replace("snapshot", &mut snapshot);
        text = format!("{text}@{snapshot}");
    }
    *name = text.into();
}

/// A path in which every part is a name of somebody's; `/` tells nothing.
fn path(redactor: &mut Redactor, path: &mut Arc<str>) {
    if &**path != "/" {
        redactor.replace("path", path);
    }
}

pub(super) fn sample(redactor: &mut Redactor, sample: &mut StorageSample) {
    models(redactor, sample);
    if let Some(Ok(kernel)) = sample.kernel.as_mut().map(|group| &mut group.value) {
        kernel.pools.iter_mut().for_each(|pool| redactor.replace("pool", &mut pool.name));
        for each in &mut kernel.datasets {
            redactor.replace("pool", &mut each.pool);
            dataset(redactor, &mut each.name);
        }
    }
    for status in values(&mut sample.status) {
        redactor.replace("pool", &mut status.name);
        for vdev in &mut status.vdevs {
            if let Some(device) = &mut vdev.path
                && !is_plain(device)
            {
                redactor.replace("device", device);
            }
            if vdev.path.is_some() && !is_plain(&vdev.name) {
                redactor.replace("device", &mut vdev.name);
            }
        }
    }
    for space in values(&mut sample.pools) {
        redactor.replace("pool", &mut space.name);
    }
    for each in values(&mut sample.datasets) {
        dataset(redactor, &mut each.name);
        each.origin.iter_mut().for_each(|origin| dataset(redactor, origin));
        each.mount_point.iter_mut().for_each(|point| path(redactor, point));
    }
    for each in values(&mut sample.filesystems) {
        path(redactor, &mut each.mount_point);
        if &*each.kind == "zfs" {
            dataset(redactor, &mut each.source);
        } else if !is_plain(&each.source) {
            redactor.replace("source", &mut each.source);
        }
    }
}

fn mount(redactor: &mut Redactor, mount: &mut Reading<Arc<str>>, is_zfs: bool) {
    if let Ok(name) = mount {
        if is_zfs {
            dataset(redactor, name);
        } else if !is_plain(name) {
            redactor.replace("source", name);
        }
    }
}

/// Models are named after those who made them, or by those who trained them: all names go.
fn models(redactor: &mut Redactor, sample: &mut StorageSample) {
    if let Some(store) = sample.models.as_mut().map(|group| &mut group.value) {
        for place in &mut store.places {
            path(redactor, &mut place.path);
            place.user.iter_mut().for_each(|user| redactor.replace("user", user));
        }
        for model in &mut store.models {
            redactor.replace("model", &mut model.name);
            model.aliases.iter_mut().for_each(|alias| redactor.replace("model", alias));
            model.revision = None;
            path(redactor, &mut model.path);
            model.user.iter_mut().for_each(|user| redactor.replace("user", user));
            let is_zfs = model.file_system.as_deref() == Ok("zfs");
            mount(redactor, &mut model.mount, is_zfs);
            // What could not be read names its file.
            if let Err(Absence::Failed { .. }) = model.shape.weights
                && model.files_in_all.is_none()
            {
                model.shape = ModelShape::absent(&Absence::failed(0, ""));
            }
        }
    }
    for each in sample.model_uses.iter_mut().flat_map(|group| &mut group.value) {
        redactor.replace("model", &mut each.name);
        path(redactor, &mut each.path);
        // A dataset has no leading slash and is no server; what is neither is a device.
        let is_zfs = each.mount.as_deref().is_ok_and(|name| !name.starts_with('/') && !name.contains(':'));
        mount(redactor, &mut each.mount, is_zfs);
    }
}

pub(super) fn batch(redactor: &mut Redactor, batch: &mut SnapshotBatch) {
    dataset(redactor, &mut batch.dataset);
    for row in &mut batch.rows {
        redactor.replace("snapshot", &mut row.name);
        row.clones.iter_mut().for_each(|clone| dataset(redactor, clone));
    }
}

fn values<T>(group: &mut Option<crate::model::Grouped<Reading<Vec<T>>>>) -> impl Iterator<Item = &mut T> {
    group.iter_mut().filter_map(|group| group.value.as_mut().ok()).flatten()
}
