//! The snapshots of one dataset, on demand. Names first, which cost one ioctl each; then everything else in portions,
//! so that there is progress to show and a moment to call it off: properties cost eight times as much.

use super::list::number_of;
use super::{ToolError, Tools};
use crate::model::{Absence, ZfsSnapshot};
use crate::units::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// 1,800 names took 2 s under emulation; 20,000 may take a while on a busy machine.
const NAMES_DEADLINE: Duration = Duration::from_secs(120);
/// Snapshots of one portion: half a second of work under emulation, and a command line of at most 16 KiB.
const PORTION: usize = 64;
/// 64 snapshots took 0.6 s under emulation.
const PORTION_DEADLINE: Duration = Duration::from_secs(30);

/// What a listing tells on its way.
pub enum Progress {
    /// How many snapshots there are.
    Total(u64),
    /// The next rows, the newest snapshot first.
    Rows(Vec<ZfsSnapshot>),
}

/// Lists the snapshots of `dataset`. Blocks: call it from a thread that nothing waits for.
///
/// # Errors
/// See [`ToolError`]; [`ToolError::Cancelled`] soon after `cancelled` says so.
pub fn list_snapshots(
    tools: &mut Tools,
    dataset: &str,
    cancelled: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), ToolError> {
    let arguments = ["list", "-H", "-t", "snapshot", "-d", "1", "-o", "name", dataset];
    let text = tools.run_until("zfs", &arguments, NAMES_DEADLINE, cancelled)?;
    // ZFS lists them in the order in which they were made.
    let names: Vec<&str> = text.lines().filter(|name| name.contains('@')).rev().collect();
    tell(Progress::Total(names.len() as u64));
    for portion in names.chunks(PORTION) {
        let mut arguments =
            vec!["list", "-Hp", "-t", "snapshot", "-o", "name,used,referenced,creation,userrefs,clones"];
        arguments.extend_from_slice(portion);
        let rows = match tools.run_until("zfs", &arguments, PORTION_DEADLINE, cancelled) {
            Ok(text) => {
                let known: Vec<ZfsSnapshot> = text.lines().filter_map(row).collect();
                let unread = || Absence::failed(0, "zfs list did not say");
                let named = |name: &&str| {
                    let found = known.iter().find(|row| Some(&*row.name) == after_at(name));
                    found.cloned().unwrap_or_else(|| named_only(name, &unread()))
                };
                portion.iter().map(named).collect()
            }
            // One of them was destroyed in between, for example: its neighbours keep their names.
            Err(ToolError::Failed { message, .. }) => {
                let why = Absence::failed(0, message);
                portion.iter().map(|name| named_only(name, &why)).collect()
            }
            Err(error) => return Err(error),
        };
        tell(Progress::Rows(rows));
    }
    Ok(())
}

fn after_at(name: &str) -> Option<&str> {
    name.split_once('@').map(|(_, after)| after)
}

fn named_only(name: &str, why: &Absence) -> ZfsSnapshot {
    ZfsSnapshot {
        name: after_at(name).unwrap_or(name).into(),
        used: Err(why.clone()),
        referenced: Err(why.clone()),
        created: Err(why.clone()),
        holds: Err(why.clone()),
        clones: Vec::new(),
    }
}

fn row(line: &str) -> Option<ZfsSnapshot> {
    let mut columns = line.splitn(6, '\t');
    let name = after_at(columns.next()?)?;
    let (used, referenced, created, holds) =
        (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let clones = columns.next().unwrap_or_default();
    let clones: Vec<Arc<str>> =
        clones.split(',').filter(|clone| !clone.is_empty() && *clone != "-").map(Into::into).collect();
    Some(ZfsSnapshot {
        name: name.into(),
        used: number_of(used).map(Bytes),
        referenced: number_of(referenced).map(Bytes),
        created: number_of(created),
        holds: number_of(holds),
        clones,
    })
}
