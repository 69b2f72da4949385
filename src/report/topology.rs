//! The topology as JSON: the matrix of `nvidia-smi topo -m`.

use super::object::{Json, Object};
use crate::analysis::topology::{Cell, Matrix};
use crate::model::{BusKind, Snapshot};
use serde_json::Value;

/// Devices and matrix; affinities of the GPUs, in their order. A pair of which nothing is known is `null`.
pub(super) fn json(snapshot: &Snapshot) -> Value {
    let matrix = Matrix::new(snapshot);
    let places = || 0..matrix.devices.len();
    let cell = |row: usize, column: usize| match matrix.cell(row, column) {
        Cell::Unknown => Value::Null,
        cell => cell.to_string().into(),
    };
    let rows = places().map(|row| places().map(|column| cell(row, column)).collect::<Value>());
    let gpus = || matrix.devices.iter().filter(|device| device.kind == BusKind::Gpu);
    let mut object = Object::default();
    object.set("devices", matrix.devices.iter().map(|device| Value::from(device.label.as_str())).collect());
    object.set("matrix", rows.collect());
    object.set(
        "cpu_affinity",
        gpus().map(|gpu| gpu.cpu_affinity.as_ref().map_or(Value::Null, Json::to_json)).collect(),
    );
    object.set(
        "numa_affinity",
        gpus()
            .map(|gpu| gpu.numa_affinity.as_ref().map_or(Value::Null, |node| node.to_string().into()))
            .collect(),
    );
    object.bare()
}
