//! `zpool list` and `zfs list` with `-Hp`: the same in every version. Only properties that 2.1 knows are asked
//! for, since one unknown property fails the whole command.

use super::ParseError;
use crate::model::{Absence, Dataset, PoolSpace, Reading};
use crate::units::Bytes;
use std::str::FromStr;
use std::sync::Arc;

/// Arguments of `zpool` that [`parse_pools`] understands the answer to.
pub const POOL_ARGUMENTS: &[&str] =
    &["list", "-Hp", "-o", "name,size,allocated,free,fragmentation,capacity,health"];

/// Arguments of `zfs` that [`parse_datasets`] understands the answer to. Snapshots are never listed: one
/// ioctl each, and eight times that for any property but the name. The mount point comes last: it alone may
/// contain a tab.
pub const DATASET_ARGUMENTS: &[&str] = &[
    "list",
    "-Hp",
    "-o",
    "name,type,used,available,referenced,usedbysnapshots,compressratio,recordsize,volblocksize,compression,atime,\
     primarycache,secondarycache,origin,objsetid,keystatus,mounted,mountpoint",
    "-t",
    "filesystem,volume",
];

/// Reads what `zpool` answers to [`POOL_ARGUMENTS`].
///
/// # Errors
/// A line with another number of columns: a message in place of a table, or an answer cut off.
pub fn parse_pools(text: &str) -> Result<Vec<PoolSpace>, ParseError> {
    const TOOL: &str = "zpool list";
    rows(text)
        .map(|(number, line)| {
            let columns: Vec<&str> = line.split('\t').collect();
            let &[name, size, allocated, free, fragmentation, capacity, health] = columns.as_slice() else {
                return Err(columns_error(TOOL, number, columns.len(), 7));
            };
            Ok(PoolSpace {
                name: name.into(),
                size: number_of(size).map(Bytes),
                allocated: number_of(allocated).map(Bytes),
                free: number_of(free).map(Bytes),
                fragmentation: number_of(fragmentation.trim_end_matches('%')),
                capacity: number_of(capacity.trim_end_matches('%')),
                health: health.into(),
            })
        })
        .collect()
}

/// Reads what `zfs` answers to [`DATASET_ARGUMENTS`].
///
/// # Errors
/// As for [`parse_pools`].
pub fn parse_datasets(text: &str) -> Result<Vec<Dataset>, ParseError> {
    const TOOL: &str = "zfs list";
    rows(text)
        .map(|(number, line)| {
            let columns: Vec<&str> = line.splitn(18, '\t').collect();
            let &[
                name,
                kind,
                used,
                available,
                referenced,
                snapshots,
                ratio,
                record,
                block,
                compression,
                atime,
                primary,
                secondary,
                origin,
                objset,
                key,
                mounted,
                mount_point,
            ] = columns.as_slice()
            else {
                return Err(columns_error(TOOL, number, columns.len(), 18));
            };
            Ok(Dataset {
                name: name.into(),
                volume: kind == "volume",
                used: number_of(used).map(Bytes),
                available: number_of(available).map(Bytes),
                referenced: number_of(referenced).map(Bytes),
                used_by_snapshots: number_of(snapshots).map(Bytes),
                compress_ratio: number_of(ratio.trim_end_matches('x')),
                record_size: number_of(record).or_else(|_| number_of(block)).map(Bytes),
                compression: compression.into(),
                atime: switch(atime, "on", "off"),
                primary_cache: primary.into(),
                secondary_cache: secondary.into(),
                origin: given(origin),
                objset: number_of(objset),
                key_loaded: given(key).map(|key| &*key == "available"),
                mounted: switch(mounted, "yes", "no"),
                mount_point: given(mount_point).filter(|path| path.starts_with('/')),
            })
        })
        .collect()
}

/// The lines with their numbers. `no pools available` is an answer too, on standard output of some versions.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| {
        !line.is_empty() && *line != "no pools available" && *line != "no datasets available"
    })
}

fn columns_error(tool: &'static str, line: usize, found: usize, wanted: usize) -> ParseError {
    ParseError::new(tool, format!("line {}: {found} columns instead of {wanted}", line + 1))
}

fn given(text: &str) -> Option<Arc<str>> {
    (text != "-" && !text.is_empty()).then(|| text.into())
}

pub(super) fn number_of<T: FromStr>(text: &str) -> Reading<T> {
    match text {
        "-" | "none" | "" => Err(Absence::NotSupported),
        _ => text.parse().map_err(|_error| Absence::failed(0, format!("\"{text}\" is not a number"))),
    }
}

fn switch(text: &str, on: &str, off: &str) -> Reading<bool> {
    match text {
        _ if text == on => Ok(true),
        _ if text == off => Ok(false),
        _ => Err(Absence::NotSupported),
    }
}
