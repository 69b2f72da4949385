//! The files of a made-up host, as the doctor reads them: a server on which all is well, and what the scenario says
//! differently.

use super::ScenarioPlayer;
use crate::model::{Absence, HostFile, HostFiles};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Major numbers of the driver's nodes; the second one is given out at load.
const MAJOR: u32 = 195;
const UVM_MAJOR: u32 = 510;

#[derive(Default)]
struct Files(BTreeMap<Arc<str>, HostFile>);

impl Files {
    fn file(&mut self, path: &str) -> &mut HostFile {
        self.0.entry(path.into()).or_insert_with(|| HostFile::new(path))
    }

    fn lines<T: AsRef<str>>(&mut self, path: &str, lines: impl IntoIterator<Item = T>) {
        let lines = (1..).zip(lines).map(|(number, line)| (number, line.as_ref().into()));
        self.file(path).lines = Ok(lines.collect());
    }

    fn names<T: AsRef<str>>(&mut self, path: &str, names: impl IntoIterator<Item = T>) {
        self.file(path).names = Ok(names.into_iter().map(|name| name.as_ref().into()).collect());
    }

    fn link(&mut self, path: &str, to: &str) {
        self.file(path).link = Ok(to.into());
    }

    fn node(&mut self, path: &str, device: Option<(u32, u32)>) {
        let file = self.file(path);
        (file.mode, file.uid, file.gid) = (Ok(0o666), Ok(0), Ok(0));
        file.device = device.ok_or(Absence::NotSupported);
        file.label = Err(Absence::NotSupported);
    }
}

impl ScenarioPlayer {
    /// What is there, the scenario's own files in place of the usual ones.
    pub(super) fn host_files(&self) -> HostFiles {
        let mut files = Files::default();
        self.bus(&mut files);
        self.software(&mut files);
        if self.scenario.host().problem.is_none() {
            self.loaded(&mut files);
        }
        for own in &self.scenario.host().files {
            files.0.insert(Arc::clone(&own.path), own.clone());
        }
        HostFiles { files: files.0.into_values().collect(), pending: None }
    }

    fn bus(&self, files: &mut Files) {
        const DEVICES: &str = "/sys/bus/pci/devices";
        let gpus = self.scenario.gpus();
        files.names(DEVICES, gpus.iter().map(|gpu| &gpu.pci));
        for gpu in gpus {
            let device = format!("{DEVICES}/{}", gpu.pci);
            files.lines(&format!("{device}/vendor"), ["0x10de"]);
            files.lines(&format!("{device}/class"), ["0x030200"]);
            if self.scenario.host().problem.is_none() {
                files.link(&format!("{device}/driver"), "../../../../bus/pci/drivers/nvidia");
            }
        }
        files.names("/sys/kernel/iommu_groups", [""; 0]);
    }

    /// What lies on disk, and what the kernel says without the driver.
    fn software(&self, files: &mut Files) {
        let host = self.scenario.host();
        let (kernel, driver) = (&host.kernel, &host.driver);
        files.lines("/proc/sys/kernel/osrelease", [kernel]);
        files.lines("/proc/modules", [""; 0]);
        files.lines(
            &format!("/lib/modules/{kernel}/modules.dep"),
            ["updates/dkms/nvidia.ko.zst: kernel/drivers/acpi/video.ko.zst"],
        );
        files.node(&format!("/lib/modules/{kernel}/build"), None);
        files.lines("/sys/kernel/security/lockdown", ["[none] integrity confidentiality"]);
        files.lines("/proc/self/status", ["Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0", "Groups:\t0"]);
        files.lines(
            "/proc/self/limits",
            ["Max locked memory         unlimited            unlimited            bytes"],
        );
        files.lines("/proc/self/mounts", ["tmpfs /dev/shm tmpfs rw,nosuid,nodev,inode64 0 0"]);
        files.lines("/proc/meminfo", [format!("MemTotal: {} kB", host.memory_total / 1024)]);
        files.names("/dev", [""; 0]);
        files.lines("/dev/kmsg", [""; 0]);
        let libraries = "/usr/lib/x86_64-linux-gnu";
        files.names(libraries, ["libnvidia-ml.so.1".to_owned(), format!("libnvidia-ml.so.{driver}")]);
        files.link(&format!("{libraries}/libnvidia-ml.so.1"), &format!("libnvidia-ml.so.{driver}"));
        let toolkit = format!("cuda-{}", host.cuda);
        files.names("/usr/local", ["cuda", &toolkit]);
        files.link("/usr/local/cuda", &format!("/usr/local/{toolkit}"));
        files.names(
            "/usr/bin",
            ["dockerd", "nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk"],
        );
        files.lines("/etc/docker/daemon.json", ["\"path\": \"nvidia-container-runtime\""]);
        files.file("/var/lib/kubelet/device-plugins").names = Err(Absence::NotSupported);
        files.names("/etc/cdi", ["nvidia.yaml"]);
        files.lines(
            "/etc/cdi/nvidia.yaml",
            ["kind: nvidia.com/gpu".to_owned(), format!("- hostPath: {libraries}/libcuda.so.{driver}")],
        );
        let slurm: &[&str] = if self.scenario.processes().iter().any(|process| process.slurm_job.is_some()) {
            &["slurmd.service"]
        } else {
            &[]
        };
        let services = ["docker.service", "nvidia-persistenced.service"];
        files.names("/sys/fs/cgroup/system.slice", services.iter().chain(slurm));
    }

    /// What the loaded driver adds.
    fn loaded(&self, files: &mut Files) {
        let driver = &self.scenario.host().driver;
        files.lines(
            "/proc/modules",
            ["nvidia_uvm 2142208 4 - Live 0x0", "nvidia 14520320 9 nvidia_uvm,nvidia_modeset, Live 0x0"],
        );
        files.lines("/sys/module/nvidia/version", [driver]);
        files.lines(
            "/proc/driver/nvidia/version",
            [format!("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {driver}  Release Build")],
        );
        files.lines(
            "/proc/devices",
            [format!("{MAJOR} nvidia"), format!("{MAJOR} nvidiactl"), format!("{UVM_MAJOR} nvidia-uvm")],
        );
        let gpus = self.scenario.gpus();
        let nodes = gpus.iter().map(|gpu| (format!("nvidia{}", gpu.index), (MAJOR, gpu.index)));
        let others = [("nvidiactl".to_owned(), (MAJOR, 255)), ("nvidia-uvm".to_owned(), (UVM_MAJOR, 0))];
        let nodes: Vec<(String, (u32, u32))> = nodes.chain(others).collect();
        files.names("/dev", nodes.iter().map(|(name, _)| name));
        for (name, device) in &nodes {
            files.node(&format!("/dev/{name}"), Some(*device));
        }
    }
}
