//! What the checks look at.

use super::Need;
use crate::analysis::Verdict;
use crate::analysis::events::Incident;
use crate::model::{Absence, Gpu, HostFile, HostFiles, PciDevice, Reading, Snapshot};
use std::sync::Arc;

/// Numbered lines of a file.
pub(super) type Lines = [(u32, Arc<str>)];

/// What a check looks at.
pub struct Context<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// The findings of the moment.
    pub verdicts: &'a [Verdict],
    /// What the kernel log told, the oldest first.
    pub incidents: &'a [&'a Incident],
    files: Option<&'a HostFiles>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        verdicts: &'a [Verdict],
        incidents: &'a [&'a Incident],
    ) -> Self {
        let files = snapshot.host_files.as_ref().map(|group| &group.value);
        Self { snapshot, verdicts, incidents, files }
    }

    /// Why a need is not met; `None` when it is.
    pub(super) fn lacks(&self, need: Need) -> Option<String> {
        let met = match need {
            Need::Files => self.files.is_some(),
            Need::Gpu => !self.gpus().is_empty() || !self.snapshot.gpus.is_empty(),
            Need::Ours => {
                self.gpus().is_empty()
                    || self.gpus().iter().any(|gpu| gpu.driver.as_deref() != Some("vfio-pci"))
            }
            Need::Nvml => self.nvml(),
            Need::Host => !self.in_container(),
        };
        if met {
            return None;
        }
        Some(match need {
            Need::Files => "the files of the host are not in this stream".into(),
            Need::Gpu => "there is no NVIDIA GPU here".into(),
            Need::Ours => "every GPU is handed to virtual machines (vfio-pci)".into(),
            Need::Nvml => match &self.snapshot.inventory.driver.version {
                Err(Absence::NotRequested) | Ok(_) => "NVML is not read here".into(),
                Err(absence) => format!("NVML gives no answer ({absence})"),
            },
            Need::Host => "kgtop runs in a container here, and this is the host's matter".into(),
        })
    }

    /// NVIDIA GPUs on the bus.
    pub(super) fn gpus(&self) -> &'a [PciDevice] {
        &self.snapshot.inventory.pci
    }

    /// GPUs on the bus to which `driver` is bound.
    pub(super) fn bound_to(&self, driver: &str) -> impl Iterator<Item = &'a PciDevice> {
        self.gpus().iter().filter(move |gpu| gpu.driver.as_deref() == Some(driver))
    }

    /// Whether NVML answers.
    pub(super) fn nvml(&self) -> bool {
        self.snapshot.inventory.driver.version.is_ok()
    }

    /// GPUs that NVML knows.
    pub(super) fn answering(&self) -> &'a [Gpu] {
        if self.nvml() { &self.snapshot.gpus } else { &[] }
    }

    /// The GPU that a finding is about, in words; nothing for one about the host.
    pub(super) fn about(&self, verdict: &Verdict) -> String {
        let Some(id) = &verdict.gpu else { return String::new() };
        let index = self.snapshot.gpus.iter().find(|gpu| gpu.id == *id).and_then(Gpu::index);
        index.map_or_else(|| id.to_string(), |index| format!("GPU {index}"))
    }

    /// Where the evidence of a finding was read, with its GPU.
    pub(super) fn place(&self, verdict: &Verdict, source: &str) -> String {
        let about = self.about(verdict);
        if about.is_empty() { source.to_owned() } else { format!("{about}, {source}") }
    }

    /// Whether kgtop runs in a container: then files of the host are not the host's.
    pub(super) fn in_container(&self) -> bool {
        ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"]
            .iter()
            .any(|path| self.exists(path))
            || self.snapshot.inventory.host_pids_visible == Ok(false)
    }

    /// What is still being read and may never answer.
    pub(super) fn pending(&self) -> Option<&'a str> {
        self.files?.pending.as_deref()
    }

    /// The file of that path, if it was looked at.
    pub(super) fn file(&self, path: &str) -> Option<&'a HostFile> {
        self.files?.get(path)
    }

    /// The files whose path begins so.
    pub(super) fn below(&self, start: &'a str) -> impl Iterator<Item = &'a HostFile> {
        let files: &'a [HostFile] = self.files.map(|files| files.files.as_slice()).unwrap_or_default();
        files.iter().filter(move |file| file.path.starts_with(start))
    }

    /// The first line of a file.
    pub(super) fn value(&self, path: &str) -> Option<&'a str> {
        self.file(path)?.value().filter(|text| !text.is_empty())
    }

    /// The lines that were kept of a file; none where it could not be read.
    pub(super) fn lines(&self, path: &str) -> &'a Lines {
        self.file(path).and_then(|file| file.lines.as_deref().ok()).unwrap_or_default()
    }

    /// The names that were kept of a directory; none where it could not be read.
    pub(super) fn names(&self, path: &str) -> &'a [Arc<str>] {
        self.file(path).and_then(|file| file.names.as_deref().ok()).unwrap_or_default()
    }

    /// Where a link points to.
    pub(super) fn link(&self, path: &str) -> Option<&'a str> {
        self.file(path)?.link.as_deref().ok()
    }

    /// Whether there is something at the path, as far as that was looked at.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.file(path).is_some_and(|file| file.mode.is_ok())
    }

    /// Why a file could not be read, where it was not simply missing.
    pub(super) fn refused<T>(reading: &Reading<T>) -> Option<&Absence> {
        match reading {
            Err(Absence::NotSupported | Absence::NotRequested) | Ok(_) => None,
            Err(absence) => Some(absence),
        }
    }

    /// Whether a service of the host runs (it then has a control group).
    pub(super) fn service(&self, name: &str) -> Option<&'static str> {
        ["/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice"]
            .into_iter()
            .find(|directory| self.names(directory).iter().any(|known| &**known == name))
    }

    /// Whether a program is installed, and where.
    pub(super) fn program(&self, name: &str) -> Option<String> {
        ["/usr/bin", "/usr/local/bin", "/usr/local/nvidia/toolkit"]
            .into_iter()
            .find(|directory| self.names(directory).iter().any(|known| &**known == name))
            .map(|directory| format!("{directory}/{name}"))
    }

    /// The line of a loaded kernel module.
    pub(super) fn module(&self, name: &str) -> Option<&'a (u32, Arc<str>)> {
        self.lines("/proc/modules").iter().find(|(_, line)| line.split(' ').next() == Some(name))
    }

    /// Version of the loaded nvidia module.
    pub(super) fn module_version(&self) -> Option<&'a str> {
        let inventory = &self.snapshot.inventory;
        inventory.driver.module_version.as_deref().ok().or_else(|| self.value("/sys/module/nvidia/version"))
    }

    /// Release of the running kernel.
    pub(super) fn kernel(&self) -> Option<&'a str> {
        self.value("/proc/sys/kernel/osrelease")
    }
}

/// `1 GPU`, `2 GPUs`.
pub(super) fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Names with commas between them; of many, the first.
pub(super) fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    const AT_MOST: usize = 8;
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    let mut shown: Vec<&str> = names.iter().take(AT_MOST).map(String::as_str).collect();
    let more = names.len().saturating_sub(AT_MOST);
    let rest = format!("{more} more");
    if more > 0 {
        shown.push(&rest);
    }
    shown.join(", ")
}
