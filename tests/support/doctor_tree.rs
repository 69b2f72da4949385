//! Trees of one made-up machine: one A100 on a server with DKMS, containers, CUDA and SELinux, all of it well; a test
//! breaks what it is about.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on says so by a panic"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

pub const KERNEL: &str = "5.14.0-503.el9.x86_64";
pub const DRIVER: &str = "550.127.05";
pub const GPU: &str = "/sys/bus/pci/devices/0000:41:00.0";
pub const AUDIO: &str = "/sys/bus/pci/devices/0000:41:00.1";
pub const AUDIT: &str = "/var/log/audit/audit.log";

/// What lies in a tree.
#[derive(Clone, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
    /// Device nodes and their labels.
    nodes: BTreeMap<String, (&'static str, String)>,
}

impl Tree {
    pub fn healthy() -> Self {
        let mut tree = Self::default();
        tree.bus();
        tree.modules();
        tree.nodes();
        tree.programs();
        tree.selinux();
        tree
    }

    fn bus(&mut self) {
        for (file, text) in [
            ("vendor", "0x10de"),
            ("device", "0x20b2"),
            ("class", "0x030200"),
            ("numa_node", "0"),
            ("local_cpulist", "0-31"),
            ("current_link_speed", "16.0 GT/s PCIe"),
            ("max_link_speed", "16.0 GT/s PCIe"),
            ("current_link_width", "16"),
            ("max_link_width", "16"),
            ("power/runtime_status", "active"),
        ] {
            self.file(&format!("{GPU}/{file}"), text);
        }
        self.driver(GPU, Some("nvidia"));
        // A card of another maker is no GPU of NVIDIA's.
        self.file("/sys/bus/pci/devices/0000:02:00.0/vendor", "0x1a03");
        self.file("/sys/bus/pci/devices/0000:02:00.0/class", "0x030000");
        self.file(&format!("{AUDIO}/vendor"), "0x10de");
        self.file(&format!("{AUDIO}/class"), "0x040300");
        self.driver(AUDIO, Some("snd_hda_intel"));
        for (device, address) in [(GPU, "0000:41:00.0"), (AUDIO, "0000:41:00.1")] {
            self.link(&format!("{device}/iommu_group"), "../../../../kernel/iommu_groups/30");
            self.file(&format!("/sys/kernel/iommu_groups/30/devices/{address}"), "");
        }
        self.file("/sys/kernel/iommu_groups/30/type", "DMA-FQ");
        self.file("/proc/cmdline", "BOOT_IMAGE=/vmlinuz ro intel_iommu=on");
    }

    fn modules(&mut self) {
        self.file(
            "/proc/modules",
            "nvidia_uvm 1 0 - Live 0x0\nnvidia_drm 1 0 - Live 0x0\nnvidia 1 2 nvidia_uvm,nvidia_drm, Live 0x0\n",
        );
        self.file("/sys/module/nvidia/version", DRIVER);
        self.file(
            "/proc/driver/nvidia/version",
            &format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {DRIVER}  Tue Oct  8\n"),
        );
        self.file("/proc/driver/nvidia/params", "ModifyDeviceFiles: 1\nDeviceFileMode: 438\n");
        self.file("/proc/sys/kernel/osrelease", KERNEL);
        self.on_disk(KERNEL);
        self.dkms(KERNEL);
        self.file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
        self.file("/etc/modprobe.d/blacklist-nouveau.conf", "blacklist nouveau\noptions nouveau modeset=0\n");
        self.kernel_log(&[
            "Linux version 5.14.0-503.el9.x86_64",
            "nvidia: module license 'NVIDIA' taints kernel.",
        ]);
    }

    /// The module for a kernel, as depmod lists it.
    pub fn on_disk(&mut self, kernel: &str) {
        let line = "extra/nvidia.ko.xz: kernel/drivers/acpi/video.ko.xz\nextra/nvidia-uvm.ko.xz: extra/nvidia.ko.xz\n";
        self.file(&format!("/lib/modules/{kernel}/modules.dep"), line);
        self.file(&format!("/lib/modules/{kernel}/build/Makefile"), "");
    }

    /// DKMS built and installed the driver for a kernel.
    pub fn dkms(&mut self, kernel: &str) {
        self.file(&format!("/var/lib/dkms/nvidia/{DRIVER}/{kernel}/x86_64/module/nvidia.ko.xz"), "");
        self.link(
            &format!("/var/lib/dkms/nvidia/kernel-{kernel}-x86_64"),
            &format!("{DRIVER}/{kernel}/x86_64"),
        );
    }

    fn nodes(&mut self) {
        for (name, number) in [("nvidia0", "195:0"), ("nvidiactl", "195:255"), ("nvidia-uvm", "511:0")] {
            let label = "system_u:object_r:xserver_misc_device_t:s0".to_owned();
            self.nodes.insert(format!("/dev/{name}"), (number, label));
        }
        self.file("/proc/devices", "Character devices:\n195 nvidia\n511 nvidia-uvm\n");
        self.file(
            "/proc/self/status",
            "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t10 1000\n",
        );
        self.file(
            "/proc/self/limits",
            "Max locked memory         8388608              8388608              bytes\n",
        );
        self.file("/proc/self/mounts", "tmpfs /dev/shm tmpfs rw,seclabel,nosuid,nodev,inode64 0 0\n");
        self.file("/proc/meminfo", "MemTotal:       263840000 kB\n");
        self.file(&format!("/usr/lib64/libnvidia-ml.so.{DRIVER}"), "");
        self.link("/usr/lib64/libnvidia-ml.so.1", &format!("libnvidia-ml.so.{DRIVER}"));
    }

    fn programs(&mut self) {
        self.file("/usr/local/cuda-12.4/version.json", "  \"version\" : \"12.4.1\"\n");
        self.link("/usr/local/cuda", "/usr/local/cuda-12.4");
        self.file("/etc/environment", "# CUDA_VISIBLE_DEVICES=\nLANG=C.UTF-8\nCUDA_VISIBLE_DEVICES=0\n");
        for name in
            ["podman", "dockerd", "nvidia-ctk", "nvidia-container-runtime", "nvidia-container-runtime-hook"]
        {
            self.file(&format!("/usr/bin/{name}"), "");
        }
        self.file(
            "/etc/cdi/nvidia.yaml",
            &format!(
                "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: \"0\"\n  containerEdits:\n    deviceNodes:\n    \
                 - path: /dev/nvidia0\n    - path: /dev/nvidiactl\n    mounts:\n    - hostPath: \
                 /usr/lib64/libcuda.so.{DRIVER}\n"
            ),
        );
        self.file(
            "/etc/docker/daemon.json",
            "{\n  \"runtimes\": {\n    \"nvidia\": {\n      \"path\": \"nvidia-container-runtime\"\n    }\n  }\n}\n",
        );
        self.file("/var/lib/kubelet/device-plugins/kubelet.sock", "");
        self.file("/var/lib/kubelet/device-plugins/nvidia-gpu.sock", "");
    }

    fn selinux(&mut self) {
        self.file("/sys/fs/selinux/enforce", "1");
        self.file("/sys/fs/selinux/booleans/container_use_devices", "0 0");
        self.file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
        self.file(
            "/etc/selinux/targeted/contexts/files/file_contexts",
            "/dev/null\t-c\tsystem_u:object_r:null_device_t:s0\n\
             /dev/nvidia.*\t-c\tsystem_u:object_r:xserver_misc_device_t:s0\n",
        );
        self.file(AUDIT, "type=USER_LOGIN msg=audit(1767225600.000:10): pid=1 res=success\n");
    }

    pub fn file(&mut self, path: &str, text: &str) -> &mut Self {
        self.files.insert(path.into(), text.into());
        self
    }

    pub fn link(&mut self, path: &str, to: &str) -> &mut Self {
        self.links.insert(path.into(), to.into());
        self
    }

    /// Takes away everything at or below a path.
    pub fn without(&mut self, path: &str) -> &mut Self {
        let below = |known: &String| known == path || known.starts_with(&format!("{path}/"));
        self.files.retain(|known, _| !below(known));
        self.links.retain(|known, _| !below(known));
        self.nodes.retain(|known, _| !below(known));
        self
    }

    pub fn driver(&mut self, device: &str, driver: Option<&str>) -> &mut Self {
        let path = format!("{device}/driver");
        self.links.remove(&path);
        if let Some(driver) = driver {
            self.link(&path, &format!("../../../../bus/pci/drivers/{driver}"));
        }
        self
    }

    pub fn label(&mut self, node: &str, label: &str) -> &mut Self {
        self.nodes.get_mut(node).unwrap().1 = label.into();
        self
    }

    /// The kernel's own lines.
    pub fn kernel_log(&mut self, lines: &[&str]) -> &mut Self {
        self.records(&lines.iter().map(|line| (4, *line)).collect::<Vec<_>>())
    }

    /// Lines with priority and facility in one number.
    pub fn records(&mut self, lines: &[(u32, &str)]) -> &mut Self {
        let mut text = String::new();
        for (index, (priority, line)) in lines.iter().enumerate() {
            let _ = writeln!(text, "{priority},{index},{},-;{line}", 1_000_000 * (index + 1));
        }
        self.file("/dev/kmsg", &text)
    }

    /// No module is loaded, and what comes with one is gone.
    pub fn unloaded(&mut self) -> &mut Self {
        self.without("/sys/module/nvidia").without("/proc/driver").driver(GPU, None);
        self.file("/proc/modules", "ext4 1 1 - Live 0x0\n")
            .file("/proc/devices", "Character devices:\n  1 mem\n");
        self.nodes.clear();
        self
    }

    pub fn write(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let place = |path: &str| {
            let path = directory.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        for (path, text) in &self.files {
            fs::write(place(path), text).unwrap();
        }
        for (path, to) in &self.links {
            symlink(to, place(path)).unwrap();
        }
        let mut toml = String::new();
        for (path, (number, label)) in &self.nodes {
            let _ = writeln!(
                toml,
                "[file.\"{path}\"]\ndevice = \"{number}\"\nmode = \"0666\"\nuid = 0\ngid = 0\nlabel = \"{label}\""
            );
        }
        fs::write(directory.path().join("root.toml"), toml).unwrap();
        directory
    }
}
