//! Who has a GPU open: every process with a descriptor of one of its device files, found in `/proc/PID/fd` by the
//! device's number, under whatever name it was opened. The driver's own list names clients with a context only; a
//! reset is refused for each of the others as well (nvidia-persistenced, DCGM, exporters, monitors, kgtop).

use super::root::{Identity, Root};
use crate::model::{Absence, Reading};
use crate::units::printable;
use std::collections::BTreeMap;

/// Fabric Manager; the kernel keeps 15 bytes of a name.
const FABRIC_MANAGER: &str = "nv-fabricmanage";
/// `/proc/PID/status` has some sixty lines.
const STATUS_LIMIT: usize = 16 << 10;

/// The device files of one GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFiles(BTreeMap<Identity, String>);

impl DeviceFiles {
    /// The files of the GPU with that minor number and PCI address: `/dev/nvidiaN`, and the nodes of its DRM device,
    /// through which displays and renderers have it.
    ///
    /// # Errors
    /// When `/dev/nvidiaN` cannot be looked at: without it nobody can be found.
    pub fn of(root: &Root, minor: u32, address: Option<&str>) -> Reading<Self> {
        let node = format!("/dev/nvidia{minor}");
        let mut files = BTreeMap::from([(root.identity(&node)?, node)]);
        // Without nvidia_drm there is no such directory.
        let drm = address.map(|address| root.list(&format!("/sys/bus/pci/devices/{address}/drm")));
        let drm = drm.and_then(Result::ok).unwrap_or_default();
        for name in drm.into_iter().filter(|name| name.starts_with("card") || name.starts_with("renderD")) {
            let node = format!("/dev/dri/{name}");
            if let Ok(identity) = root.identity(&node) {
                files.insert(identity, node);
            }
        }
        Ok(Self(files))
    }
}

/// A process that has a GPU open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its PID.
    pub pid: u32,
    /// Its parent.
    pub parent: Option<u32>,
    /// Its short name, as the kernel keeps it.
    pub name: String,
    /// Which device files it has open.
    pub files: Vec<String>,
}

/// What a look at all processes found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Who has the GPU open, by PID.
    pub holders: Vec<Holder>,
    /// Why not every process could be looked into, if so.
    pub partial: Option<String>,
    /// Whether Fabric Manager runs.
    pub fabric_manager: bool,
}

/// Looks into every process of `proc`.
#[must_use]
pub fn look(proc: &Root, files: &DeviceFiles) -> Found {
    let mut found = Found::default();
    let pids = match proc.list("/proc") {
        Ok(names) => names.iter().filter_map(|name| name.parse::<u32>().ok()).collect::<Vec<_>>(),
        Err(absence) => {
            found.partial = Some(format!("/proc: {absence}"));
            return found;
        }
    };
    if pids.is_empty() {
        found.partial = Some("/proc shows no process".to_owned());
    }
    for pid in pids {
        let name = proc.read_value(&format!("/proc/{pid}/comm")).unwrap_or_default();
        found.fabric_manager |= name.starts_with(FABRIC_MANAGER);
        match open_files(proc, pid, files) {
            Ok(open) if open.is_empty() => {}
            Ok(files) => found.holders.push(Holder {
                pid,
                parent: parent_of(proc, pid),
                // Whoever started it chose its name, and root reads it.
                name: if name.is_empty() { "a process".to_owned() } else { printable(&name).into_owned() },
                files,
            }),
            // It ended meanwhile.
            Err(Absence::NotSupported) => {}
            Err(absence) => {
                found.partial.get_or_insert_with(|| format!("/proc/{pid}/fd of {name}: {absence}"));
            }
        }
    }
    found
}

fn open_files(proc: &Root, pid: u32, files: &DeviceFiles) -> Reading<Vec<String>> {
    let mut open = Vec::new();
    for fd in proc.list(&format!("/proc/{pid}/fd"))? {
        let path = format!("/proc/{pid}/fd/{fd}");
        let link = match proc.read_link(&path) {
            // Sockets and pipes have no path.
            Ok(link) if link.starts_with('/') => link,
            Ok(_) | Err(Absence::NotSupported) => continue,
            Err(absence) => return Err(absence),
        };
        // On a live machine the descriptor itself is looked at, through its magic link: a path says nothing about
        // another mount namespace. A captured tree has paths only.
        let looked_at = if proc.is_live() { &path } else { &link };
        match proc.identity(looked_at) {
            Ok(identity) => {
                if let Some(name) = files.0.get(&identity)
                    && !open.contains(name)
                {
                    open.push(name.clone());
                }
            }
            // Closed meanwhile.
            Err(Absence::NotSupported) => {}
            Err(Absence::NoPermission) if is_elsewhere(proc, &path, &link) => {}
            Err(absence) => return Err(absence),
        }
    }
    Ok(open)
}

/// `FUSE_SUPER_MAGIC`, `TMPFS_MAGIC` (devtmpfs has it too) and `RAMFS_MAGIC` of linux/magic.h and fs/fuse/inode.c.
const FUSE: i64 = 0x6573_5546;
const OF_DEVICES: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Whether an open file that may not be looked at is no device file all the same. Not even root may look at a file of
/// another user's FUSE file system (fuse(4), `allow_other`), which lets nobody open devices: were it taken for a
/// device file, whoever has one open could keep every GPU from being reset. The same holds of a network's file system
/// that trusts no root, unless the file lies among the device files.
fn is_elsewhere(proc: &Root, path: &str, link: &str) -> bool {
    let among_devices = link.starts_with("/dev/");
    if !proc.is_live() {
        return !among_devices;
    }
    // FUSE answers this one to everybody, without asking the program behind it.
    match rustix::fs::statfs(path).map(|system| system.f_type) {
        Ok(FUSE) => true,
        Ok(other) => !among_devices && !OF_DEVICES.contains(&other),
        Err(_unknown) => false,
    }
}

/// The parent of a process.
#[must_use]
pub fn parent_of(proc: &Root, pid: u32) -> Option<u32> {
    let status = proc.read_to_string(&format!("/proc/{pid}/status"), STATUS_LIMIT).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|text| text.trim().parse().ok())
}

#[cfg(test)]
mod tests;
