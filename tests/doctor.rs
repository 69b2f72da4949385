//! The doctor, end to end: `kgtop doctor` on made-up machines, each broken in one way, and on twins that are nearly the
//! same and well.
#![allow(
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may panic"
)]

#[path = "support/doctor_tree.rs"]
mod doctor_tree;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use doctor_tree::{AUDIO, AUDIT, DRIVER, GPU, KERNEL, Tree};
use kgtop::model::{Deriver, Grouped, Inventory, Record, Sample};
use kgtop::units::Mono;
use proptest::prelude::*;
use serde_json::Value;
use std::process::{Command, Stdio};

/// A report and the exit status.
struct Report {
    status: i32,
    json: Value,
}

impl Report {
    fn of(arguments: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .args(["--interval", "0.2", "doctor", "--format", "json"])
            .args(arguments)
            .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        Self { status: output.status.code().unwrap(), json }
    }

    fn of_tree(tree: &Tree) -> Self {
        let directory = tree.write();
        Self::of(&["--root", directory.path().to_str().unwrap()])
    }

    fn checks(&self) -> &[Value] {
        self.json["checks"].as_array().unwrap()
    }

    /// The checks that fail or warn, the worst first.
    fn told(&self) -> Vec<&str> {
        let told =
            self.checks().iter().filter(|check| matches!(check["outcome"].as_str(), Some("fail" | "warn")));
        told.map(|check| check["check"].as_str().unwrap()).collect()
    }

    fn check(&self, id: &str) -> &Value {
        self.checks().iter().find(|check| check["check"] == id).unwrap()
    }
}

fn changed(change: impl FnOnce(&mut Tree) -> &mut Tree) -> Tree {
    let mut tree = Tree::healthy();
    change(&mut tree);
    tree
}

/// The sick machine has this one diagnosis, with evidence, a fix and its exit status; of the twin nothing is told, and
/// the same check passes.
#[track_caller]
fn diagnosed(
    row: &str,
    id: &str,
    sick: impl FnOnce(&mut Tree) -> &mut Tree,
    twin: impl FnOnce(&mut Tree) -> &mut Tree,
) -> Value {
    let report = Report::of_tree(&changed(sick));
    assert_eq!(report.told(), [id], "{row}: {:#}", report.json);
    let check = report.check(id);
    let status = if check["outcome"] == "fail" { 2 } else { 1 };
    assert_eq!(report.status, status, "{row}");
    assert!(!check["evidence"].as_array().unwrap().is_empty(), "{row}: no evidence");
    assert!(!check["fix"].as_array().unwrap().is_empty(), "{row}: no command");
    let check = check.clone();

    let report = Report::of_tree(&changed(twin));
    assert_eq!(report.told(), [""; 0], "twin of {row}: {:#}", report.json);
    assert_eq!(report.status, 0, "twin of {row}");
    assert_eq!(report.check(id)["outcome"], "pass", "twin of {row}: {:#}", report.check(id));
    check
}

#[test]
fn a_machine_that_is_well_passes() {
    let report = Report::of_tree(&Tree::healthy());
    assert_eq!(report.told(), [""; 0], "{:#}", report.json);
    assert_eq!(report.status, 0);
    // What is claimed to be well was really looked at.
    for id in [
        "gpu_on_bus",
        "driver_bound",
        "module_loaded",
        "module_built",
        "module_signature",
        "device_nodes",
        "node_permissions",
        "library_version",
        "cuda_driver",
        "cuda_visible_devices",
        "iommu_groups",
        "container_toolkit",
        "cdi",
        "docker",
        "device_plugin",
        "selinux_labels",
        "selinux_denials",
        "xid_errors",
        "kernel_log",
    ] {
        assert_eq!(report.check(id)["outcome"], "pass", "{:#}", report.check(id));
    }
}

// The guide's troubleshooting table, row by row.

#[test]
fn row_1_no_device_on_the_bus() {
    diagnosed(
        "no devices found: not on the bus",
        "gpu_on_bus",
        |tree| tree.unloaded().without(GPU).without(AUDIO),
        // The sound of the card alone is no GPU; here the GPU is there too.
        |tree| tree.driver(AUDIO, None),
    );
}

#[test]
fn row_1_driver_not_loaded() {
    let check = diagnosed(
        "no devices found: not loaded",
        "module_loaded",
        |tree| tree.unloaded(),
        // Another module whose name begins like it changes nothing.
        |tree| tree.file("/proc/modules", "nvidia_wmi_ec_backlight 1 0 - Live\nnvidia 1 0 - Live\n"),
    );
    assert_eq!(check["fix"][0], "sudo modprobe nvidia");
}

#[test]
fn row_2_no_module_for_the_new_kernel() {
    let new = "5.14.0-570.el9.x86_64";
    let check = diagnosed(
        "couldn't communicate with the driver",
        "module_built",
        |tree| tree.unloaded().file("/proc/sys/kernel/osrelease", new),
        |tree| {
            tree.file("/proc/sys/kernel/osrelease", new);
            tree.on_disk(new);
            tree.dkms(new);
            tree
        },
    );
    let text = check.to_string();
    assert!(text.contains(new) && text.contains(KERNEL) && text.contains("kernel-devel"), "{text}");
    assert!(text.contains("dkms autoinstall"), "{text}");
}

#[test]
fn row_3_cuda_newer_than_the_driver_carries() {
    fn newer(tree: &mut Tree) -> &mut Tree {
        tree.file("/usr/local/cuda-13.0/version.json", "\"version\" : \"13.0.0\"\n");
        tree.link("/usr/local/cuda", "/usr/local/cuda-13.0")
    }
    let check = diagnosed("CUDA and driver", "cuda_driver", newer, |tree| {
        newer(tree).file("/usr/local/cuda-13.0/compat/libcuda.so.580.65.06", "")
    });
    assert!(check["summary"].as_str().unwrap().contains("580"), "{check:#}");
    // 12.6 came with a newer driver than 550, and runs on it all the same.
    let twin = Report::of_tree(&changed(|tree| tree.file("/usr/local/cuda-12.6/version.json", "\n")));
    assert_eq!(twin.told(), [""; 0]);
}

#[test]
fn row_3_cuda_visible_devices_empty() {
    let check = diagnosed(
        "no CUDA-capable device",
        "cuda_visible_devices",
        |tree| tree.file("/etc/environment", "LANG=C\nCUDA_VISIBLE_DEVICES=\"\"\n"),
        |tree| tree.file("/etc/environment", "LANG=C\n#CUDA_VISIBLE_DEVICES=\nMY_CUDA_VISIBLE_DEVICES=\n"),
    );
    assert_eq!(check["evidence"][0]["place"], "/etc/environment:2");
}

#[test]
fn row_6_iommu_group_that_is_not_whole() {
    fn passed(tree: &mut Tree) -> &mut Tree {
        tree.driver(GPU, Some("vfio-pci"))
    }
    let check = diagnosed("vfio group", "iommu_groups", passed, |tree| {
        passed(tree);
        tree.driver(AUDIO, Some("vfio-pci"));
        // A bridge may keep its driver.
        let bridge = "/sys/bus/pci/devices/0000:40:01.1";
        tree.file(&format!("{bridge}/class"), "0x060400").driver(bridge, Some("pcieport"));
        tree.file("/sys/kernel/iommu_groups/30/devices/0000:40:01.1", "")
    });
    assert!(check["summary"].as_str().unwrap().contains("0000:41:00.1"), "{check:#}");
}

#[test]
fn row_6_a_group_with_the_hosts_own_devices_is_not_taken_apart() {
    let report = Report::of_tree(&changed(|tree| {
        tree.driver(GPU, Some("vfio-pci"));
        for (address, class, driver) in
            [("0000:42:00.0", "0x010802", "nvme"), ("0000:43:00.0", "0x020000", "mlx5_core")]
        {
            let device = format!("/sys/bus/pci/devices/{address}");
            tree.file(&format!("{device}/class"), class).driver(&device, Some(driver));
            tree.file(&format!("/sys/kernel/iommu_groups/30/devices/{address}"), "");
        }
        tree
    }));
    let check = report.check("iommu_groups");
    assert_eq!(check["outcome"], "fail", "{check:#}");
    let commands = check["fix"].to_string();
    // The card's own sound may go along; the host's disk and network may not.
    assert!(commands.contains("0000:41:00.1/driver/unbind"), "{commands}");
    assert_eq!(commands.matches("unbind").count(), 1, "{commands}");
    let advice = check["advice"].as_str().unwrap();
    assert!(advice.contains("a disk or its controller (0000:42:00.0)"), "{advice}");
    assert!(advice.contains("a network card (0000:43:00.0)") && advice.contains("another slot"), "{advice}");
}

#[test]
fn row_7_container_toolkit_missing() {
    fn without(tree: &mut Tree) -> &mut Tree {
        for name in ["nvidia-ctk", "nvidia-container-runtime", "nvidia-container-runtime-hook"] {
            tree.without(&format!("/usr/bin/{name}"));
        }
        tree.without("/etc/cdi").without("/etc/docker").without("/usr/bin/podman")
    }
    diagnosed("could not select device driver", "container_toolkit", without, |tree| {
        // Docker finds the hook by itself: nothing stands in its configuration.
        without(tree).file("/usr/bin/nvidia-container-runtime-hook", "")
    });
}

#[test]
fn row_8_no_device_plugin() {
    let socket = "/var/lib/kubelet/device-plugins/nvidia-gpu.sock";
    diagnosed(
        "pods pending",
        "device_plugin",
        |tree| tree.without(socket),
        |tree| tree.without(socket).file("/var/lib/kubelet/device-plugins/nvidia-mig-1g.10gb.sock", ""),
    );
}

/// A healthy machine with one H100 that trains, and what else its driver does.
fn on_stand_in(rest: &str) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let scenario = directory.path().join("rig.toml");
    let text = format!(
        "title = \"One H100\"\nduration_seconds = 60\nend = \"stay\"\n[host]\ndriver = \"{DRIVER}\"\n[[gpu]]\n\
         model = \"h100\"\nload = \"training\"\n{rest}\n"
    );
    std::fs::write(&scenario, text).unwrap();
    let library = stand_in::stand_in_with(&[("KGTOP_STAND_IN", scenario.to_str().unwrap())]);
    let root = Tree::healthy().write();
    let root = root.path().to_str().unwrap();
    Report::of(&["--root", root, "--nvml-lib", library.to_str().unwrap()])
}

#[test]
fn what_was_not_read_of_a_gpu_does_not_pass() {
    // The same checks pass where it answers: row 9's twin.
    for (code, outcome, words) in [(4, "warn", "no permission"), (999, "fail", "UNKNOWN (999)")] {
        let call = if code == 4 { "nvmlDeviceGetHandleByIndex_v2\"" } else { "*\"\ngpu = 0" };
        let report = on_stand_in(&format!("[[fault]]\ncall = \"{call}\nkind = \"error\"\ncode = {code}"));
        let answer = report.check("gpus_answer");
        assert_eq!(answer["outcome"], outcome, "{:#}", report.json);
        for check in ["memory_health", "link_health", "power_and_heat"] {
            let check = report.check(check);
            assert_eq!(check["outcome"], "skipped", "{check:#}");
            let summary = check["summary"].as_str().unwrap();
            assert!(summary.starts_with("not readable: GPU 0: ") && summary.contains(words), "{summary}");
        }
    }
}

#[test]
fn row_9_thermal_throttling() {
    let on_stand_in = |set: &str| on_stand_in(&format!("[[at]]\nt = 0\ngpu = 0\n{set}"));
    let report = on_stand_in(
        "throttle = [\"hw_slowdown\", \"hw_thermal_slowdown\"]\ntemperature = 92\nsm_clock = 990",
    );
    assert_eq!(report.told(), ["power_and_heat"], "{:#}", report.json);
    assert_eq!(report.status, 2);
    // Held below the power limit, as under any full load.
    let report = on_stand_in("throttle = [\"sw_power_cap\"]\ntemperature = 68");
    assert_eq!(report.told(), [""; 0], "{:#}", report.json);
    for check in ["gpus_answer", "memory_health", "link_health", "power_and_heat"] {
        assert_eq!(report.check(check)["outcome"], "pass");
    }
}

#[test]
fn row_10_xid_in_the_kernel_log() {
    let xid = "NVRM: Xid (PCI:0000:41:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.";
    let check = diagnosed(
        "Xid",
        "xid_errors",
        |tree| tree.kernel_log(&[xid]),
        |tree| {
            // What an application did wrong, and what somebody wrote into the log.
            let application = "NVRM: Xid (PCI:0000:41:00): 13, pid=4711, name=python3, Graphics Exception: ESR 0x504730=0x0";
            tree.records(&[(4, application), (14, xid), (6, "usb 1-1: says NVRM: Xid (PCI:0000:41:00): 79")])
        },
    );
    assert_eq!(check["fix"][0], "kgtop explain xid 79");
}

#[test]
fn an_error_before_the_driver_was_loaded_anew_is_history() {
    let xid = "NVRM: Xid (PCI:0000:41:00): 95, pid=4711, name=python3, Uncontained ECC error";
    let load = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.127.05  Tue Oct  8 03:22:07 UTC 2024";
    let recovered = "NVRM: Xid (PCI:0000:41:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)";
    for lines in [[xid, load], [xid, recovered]] {
        let report = Report::of_tree(&changed(|tree| tree.kernel_log(&lines)));
        let check = report.check("xid_errors");
        assert_eq!((report.status, &check["outcome"]), (0, &Value::from("pass")), "{check:#}");
        // It is not concealed.
        assert!(check["evidence"].to_string().contains("Uncontained ECC"), "{check:#}");
    }
    let report = Report::of_tree(&changed(|tree| tree.kernel_log(&[load, xid])));
    assert_eq!((report.status, report.told()), (2, vec!["xid_errors"]));
    let check = report.check("xid_errors");
    assert_eq!(check["symptom"], "NVRM: Xid … in the kernel log");
}

fn denial(time: f64, rest: &str) -> String {
    format!(
        "type=AVC msg=audit({time:.3}:20): avc:  denied  {{ read write }} for  pid=12345 comm=\"python3\" {rest} tclass=chr_file"
    )
}

const CONTAINER: &str =
    "scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=system_u:object_r:xserver_misc_device_t:s0";

#[test]
fn row_11_selinux_denial() {
    let now = 1_767_225_600.0;
    let log = |lines: &[String]| {
        format!("{}\ntype=SERVICE_START msg=audit({now:.3}:99): res=success\n", lines.join("\n"))
    };
    let path = "path=\"/dev/nvidia0\" dev=\"devtmpfs\"";
    let check = diagnosed(
        "AVC denial",
        "selinux_denials",
        |tree| tree.file(AUDIT, &log(&[denial(now - 60.0, &format!("{path} {CONTAINER} permissive=0"))])),
        |tree| {
            tree.file(
                AUDIT,
                &log(&[
                    denial(now - 60.0, &format!("{path} {CONTAINER} permissive=1")),
                    denial(now - 200_000.0, &format!("{path} {CONTAINER} permissive=0")),
                    denial(now - 60.0, &format!("path=\"/dev/dri/card0\" {CONTAINER} permissive=0")),
                ]),
            )
        },
    );
    let text = check.to_string();
    assert!(text.contains("container_use_devices") && text.contains("restorecon"), "{text}");
    // Never a module that opens everything.
    assert!(!text.contains("semodule") && !text.contains("audit2allow"), "{text}");
}

#[test]
fn row_11_wrong_label() {
    diagnosed(
        "wrong label",
        "selinux_labels",
        |tree| tree.label("/dev/nvidia0", "system_u:object_r:device_t:s0"),
        // Another user or level is no other type.
        |tree| tree.label("/dev/nvidia0", "unconfined_u:object_r:xserver_misc_device_t:s0:c0.c1023"),
    );
}

#[test]
fn row_12_nouveau_has_the_gpu() {
    let check = diagnosed(
        "nouveau",
        "driver_bound",
        |tree| {
            tree.unloaded().driver(GPU, Some("nouveau")).without("/etc/modprobe.d");
            tree.file("/proc/modules", "nouveau 2424832 0 - Live 0x0\n")
        },
        |tree| tree.file("/etc/modprobe.d/nouveau.conf", "options nouveau modeset=0\n"),
    );
    let text = check.to_string();
    assert!(
        text.contains("blacklist nouveau") && text.contains("dracut --force") && text.contains("reboot"),
        "{text}"
    );
}

#[test]
fn rows_4_5_and_8_leave_no_trace_and_are_explained() {
    for (message, layer) in [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "health"),
        ("This device cannot start. (Code 43)", "passthrough"),
        ("0/4 nodes are available: 4 Insufficient nvidia.com/gpu.", "kubernetes"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
            .args(["doctor", "explain", "--format", "json", message])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{message}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["causes"][0]["layer"], layer, "{message}: {json:#}");
    }
}

// Beyond the table.

#[test]
fn library_of_another_version() {
    fn library<'a>(tree: &'a mut Tree, version: &str) -> &'a mut Tree {
        tree.link("/usr/lib64/libnvidia-ml.so.1", &format!("libnvidia-ml.so.{version}"))
    }
    diagnosed(
        "version mismatch",
        "library_version",
        |tree| library(tree, "550.144.03"),
        |tree| library(tree, DRIVER),
    );
}

#[test]
fn nodes_that_this_user_may_not_open() {
    let directory = Tree::healthy().write();
    let toml = directory.path().join("root.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    let root = directory.path().to_str().unwrap();
    std::fs::write(
        &toml,
        text.replace("mode = \"0666\"\nuid = 0\ngid = 0", "mode = \"0660\"\nuid = 0\ngid = 44"),
    )
    .unwrap();
    assert_eq!(Report::of(&["--root", root]).told(), ["node_permissions"]);
    // The user is in group 10.
    std::fs::write(
        &toml,
        text.replace("mode = \"0666\"\nuid = 0\ngid = 0", "mode = \"0660\"\nuid = 0\ngid = 10"),
    )
    .unwrap();
    assert_eq!(Report::of(&["--root", root]).told(), [""; 0]);
}

#[test]
fn a_specification_for_an_older_driver() {
    let specification = |driver: &str, node: &str| {
        format!("kind: nvidia.com/gpu\n    - path: {node}\n    - hostPath: /usr/lib64/libcuda.so.{driver}\n")
    };
    let check = diagnosed(
        "stale CDI",
        "cdi",
        |tree| tree.file("/etc/cdi/nvidia.yaml", &specification("550.90.07", "/dev/nvidia0")),
        |tree| tree.file("/etc/cdi/nvidia.yaml", &specification(DRIVER, "/dev/nvidia0")),
    );
    assert_eq!(check["evidence"][0]["place"], "/etc/cdi/nvidia.yaml:3");
    diagnosed(
        "CDI of a GPU that is gone",
        "cdi",
        |tree| tree.file("/etc/cdi/nvidia.yaml", &specification(DRIVER, "/dev/nvidia3")),
        |tree| tree.file("/etc/cdi/nvidia.yaml", &specification(DRIVER, "/dev/nvidiactl")),
    );
}

#[test]
fn a_module_that_secure_boot_refused() {
    let refused = "nvidia: Loading of unsigned module is rejected";
    diagnosed(
        "Secure Boot",
        "module_signature",
        |tree| tree.unloaded().kernel_log(&[refused]),
        // A module whose signature is missing taints the kernel, and is loaded all the same.
        |tree| {
            tree.kernel_log(&[
                "nvidia: module verification failed: signature and/or required key missing - tainting kernel",
            ])
        },
    );
}

#[test]
fn a_tree_without_anything_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let report = Report::of(&["--root", directory.path().to_str().unwrap()]);
    assert_eq!(report.status, 3, "{:#}", report.json);
    assert_eq!(report.told(), [""; 0]);
}

#[test]
fn a_driver_file_that_hangs_is_named_and_the_rest_is_judged() {
    let directory = Tree::healthy().write();
    let toml = directory.path().join("root.toml");
    let mut text = std::fs::read_to_string(&toml).unwrap();
    text.push_str("[file.\"/proc/driver/nvidia/params\"]\nhang = true\n");
    std::fs::write(&toml, text).unwrap();
    let report = Report::of(&["--root", directory.path().to_str().unwrap()]);
    assert_eq!(report.told(), ["module_loaded"], "{:#}", report.json);
    assert!(report.check("module_loaded").to_string().contains("/proc/driver/nvidia"));
    assert_eq!(report.check("selinux_labels")["outcome"], "pass");
}

#[test]
fn debian_names_its_module_otherwise() {
    fn debian(tree: &mut Tree) -> &mut Tree {
        let kernel = "6.1.0-18-amd64";
        tree.file("/proc/sys/kernel/osrelease", kernel).without("/var/lib/dkms").without("/lib/modules");
        tree.file(
            &format!("/lib/modules/{kernel}/modules.dep"),
            "updates/dkms/nvidia-current-uvm.ko: updates/dkms/nvidia-current.ko\nupdates/dkms/nvidia-current.ko:\n",
        );
        let dkms = "/var/lib/dkms/nvidia-current";
        tree.file(&format!("{dkms}/{DRIVER}/{kernel}/x86_64/module/nvidia-current.ko"), "");
        tree.file(&format!("{dkms}/original_module/{kernel}/x86_64/nvidia.ko"), "");
        tree.link(&format!("{dkms}/kernel-{kernel}-x86_64"), &format!("{DRIVER}/{kernel}/x86_64"))
    }
    let check = diagnosed(
        "Debian, not loaded",
        "module_loaded",
        |tree| {
            debian(tree).unloaded();
            tree.file("/proc/sys/kernel/osrelease", "6.1.0-18-amd64")
        },
        debian,
    );
    assert_eq!(check["fix"][0], "sudo modprobe nvidia");
    // The list of modules may lack it; DKMS knows.
    let report =
        Report::of_tree(&changed(|tree| debian(tree).without("/lib/modules/6.1.0-18-amd64/modules.dep")));
    assert_eq!(report.told(), [""; 0], "{:#}", report.json);
    // Built for this kernel and not installed: it is not told as one for other kernels.
    let report = Report::of_tree(&changed(|tree| {
        debian(tree).unloaded().without("/var/lib/dkms/nvidia-current/kernel-6.1.0-18-amd64-x86_64");
        tree.without("/lib/modules/6.1.0-18-amd64/modules.dep")
    }));
    let summary = report.check("module_built")["summary"].to_string();
    assert!(summary.contains("did not install it") && !summary.contains("original_module"), "{summary}");
}

#[test]
fn gpus_that_are_not_on_a_bus_need_no_nvidia_module() {
    let library = stand_in::stand_in_with(&[(
        "KGTOP_STAND_IN",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scenarios/one-h200.toml"),
    )]);
    let directory = changed(|tree| {
        tree.unloaded().without(GPU).without(AUDIO).without("/var/lib/dkms").without("/lib/modules");
        tree.without("/usr/lib64").without("/etc/cdi").file("/dev/dxg", "");
        tree.file("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2")
    })
    .write();
    let report =
        Report::of(&["--root", directory.path().to_str().unwrap(), "--nvml-lib", library.to_str().unwrap()]);
    for id in ["module_loaded", "module_built", "module_signature"] {
        let check = report.check(id);
        assert_eq!(check["outcome"], "skipped", "{check:#}");
        assert!(check["summary"].as_str().unwrap().contains("not on a PCI bus"), "{check:#}");
    }
    assert_ne!(report.status, 2, "{:?}: {:#}", report.told(), report.json);
}

#[test]
fn a_script_may_set_a_variable_under_a_condition() {
    let line = "if [ -n \"$CI\" ]; then\n  export CUDA_VISIBLE_DEVICES=\nfi\n";
    let check = diagnosed(
        "a script hides GPUs",
        "cuda_visible_devices",
        |tree| tree.file("/etc/profile.d/ci.sh", line),
        |tree| tree.file("/etc/profile.d/ci.sh", &line.replace("DEVICES=", "DEVICES=0")),
    );
    assert_eq!(
        (&check["outcome"], &check["evidence"][0]["place"]),
        (&"warn".into(), &"/etc/profile.d/ci.sh:2".into())
    );
    assert!(!check["fix"].to_string().contains("sed"), "{check:#}");
    // In the file that has no conditions, only that line is put aside, and a copy is kept.
    let report = Report::of_tree(&changed(|tree| {
        tree.file("/etc/environment", "LANG=C\nCUDA_VISIBLE_DEVICES=\n").file("/etc/profile.d/ci.sh", line)
    }));
    let check = report.check("cuda_visible_devices");
    assert_eq!(check["outcome"], "fail");
    assert_eq!(check["fix"][0], "sudo sed -i.bak '2s/^/#/' /etc/environment   # then log in again");
}

#[test]
fn a_specification_of_many_devices_keeps_its_driver() {
    let specification = |library: &str| {
        let mut text = format!("kind: nvidia.com/gpu\ncontainerEdits:\n  mounts:\n{library}devices:\n");
        for number in 0..80 {
            text.push_str(&format!("- name: mig{number}\n    - path: /dev/nvidia0\n    - path: /dev/nvidia-caps/nvidia-cap{number}\n"));
        }
        text
    };
    let library = |driver: &str| format!("  - hostPath: /usr/lib64/libcuda.so.{driver}\n");
    diagnosed(
        "stale CDI of many devices",
        "cdi",
        |tree| tree.file("/etc/cdi/nvidia.yaml", &specification(&library("535.54.03"))),
        |tree| tree.file("/etc/cdi/nvidia.yaml", &specification(&library(DRIVER))),
    );
    let report = Report::of_tree(&changed(|tree| tree.file("/etc/cdi/nvidia.yaml", &specification(""))));
    let summary = report.check("cdi")["summary"].to_string();
    assert!(summary.contains("version was not seen") && !summary.contains(DRIVER), "{summary}");
}

#[test]
fn the_node_of_unified_memory_is_made_when_somebody_needs_it() {
    let written = |loaded: bool, mode: Option<&str>| {
        let directory = changed(|tree| {
            let devices = if loaded { "195 nvidia\n511 nvidia-uvm\n" } else { "195 nvidia\n" };
            tree.without("/dev/nvidia-uvm")
                .file("/proc/devices", devices)
                .file("/usr/bin/nvidia-modprobe", "")
        })
        .write();
        let toml = directory.path().join("root.toml");
        let mut text = std::fs::read_to_string(&toml).unwrap();
        match mode {
            Some(mode) => text.push_str(&format!("[file.\"/usr/bin/nvidia-modprobe\"]\nmode = \"{mode}\"\n")),
            None => std::fs::remove_file(directory.path().join("usr/bin/nvidia-modprobe")).unwrap(),
        }
        std::fs::write(&toml, text).unwrap();
        Report::of(&["--root", directory.path().to_str().unwrap()])
    };
    for (loaded, mode, outcome) in [
        (false, Some("4755"), "pass"),
        (true, Some("4755"), "pass"),
        (true, Some("0755"), "fail"),
        (true, None, "fail"),
        (false, None, "warn"),
    ] {
        let report = written(loaded, mode);
        let check = report.check("device_nodes");
        assert_eq!(check["outcome"], outcome, "loaded {loaded}, mode {mode:?}: {check:#}");
        assert_eq!(check["summary"].to_string().contains("first CUDA call"), outcome == "pass", "{check:#}");
    }
}

#[test]
fn a_refusal_that_names_no_module_only_warns() {
    let report = Report::of_tree(&changed(|tree| {
        tree.unloaded().kernel_log(&["Loading of unsigned module is rejected"])
    }));
    assert_eq!(report.check("module_signature")["outcome"], "warn", "{:#}", report.json);
    assert_eq!(report.check("module_loaded")["outcome"], "fail", "{:#}", report.json);
}

#[test]
fn the_library_of_other_programs_is_not_judged() {
    // Red Hat keeps those of 32 bits there.
    let report = Report::of_tree(&changed(|tree| {
        tree.link("/usr/lib/libnvidia-ml.so.1", "libnvidia-ml.so.535.54.03")
    }));
    assert_eq!(report.told(), [""; 0], "{:#}", report.json);
    let report = Report::of_tree(&changed(|tree| {
        tree.without("/usr/lib64").link("/usr/lib/libnvidia-ml.so.1", "libnvidia-ml.so.535.54.03")
    }));
    assert_eq!(report.told(), ["library_version"], "{:#}", report.json);
}

#[test]
fn what_is_told_to_do_fits_the_machine() {
    fn without_toolkit(tree: &mut Tree) -> &mut Tree {
        for name in ["nvidia-ctk", "nvidia-container-runtime", "nvidia-container-runtime-hook"] {
            tree.without(&format!("/usr/bin/{name}"));
        }
        tree.without("/etc/cdi").without("/etc/docker")
    }
    let commands = |report: &Report, id: &str| report.check(id)["fix"].to_string();
    let with_docker = commands(&Report::of_tree(&changed(without_toolkit)), "container_toolkit");
    assert!(with_docker.contains("restart docker   # ends running containers"), "{with_docker}");
    let podman = Report::of_tree(&changed(|tree| without_toolkit(tree).without("/usr/bin/dockerd")));
    let podman = commands(&podman, "container_toolkit");
    assert!(podman.contains("cdi generate") && !podman.contains("docker"), "{podman}");
    // Only modules that are loaded are taken out, and one is loaded again whatever becomes of that.
    let report = Report::of_tree(&changed(|tree| {
        tree.file("/proc/modules", "nvidia_uvm 1 0 - Live 0x0\nnvidia 1 1 nvidia_uvm, Live 0x0\n");
        tree.link("/usr/lib64/libnvidia-ml.so.1", "libnvidia-ml.so.550.144.03")
    }));
    let reload = commands(&report, "library_version");
    assert!(reload.contains("sudo rmmod nvidia_uvm nvidia; sudo modprobe nvidia"), "{reload}");
}

/// Text as files have it: words that the checks look for, broken in every way.
fn hostile_line() -> impl Strategy<Value = String> {
    let words = [
        "nvidia",
        "/dev/nvidia",
        "libcuda.so.",
        ".so.",
        "audit(",
        "denied",
        "avc:",
        "scontext=",
        "size=",
        "Uid:",
        "kernel-",
        "CUDA_VISIBLE_DEVICES=",
        "0x",
        "ACSCtl 0x",
        "195",
        "580.",
        "::",
        "\t",
        " ",
        "é🦀",
        "\u{0}",
        "Max locked memory",
        "SELINUXTYPE=",
        "NVRM version: ",
        "99999999999999999999",
        "-1",
        "[",
        "\"",
    ];
    prop::collection::vec(
        prop_oneof![prop::sample::select(words.to_vec()).prop_map(str::to_owned), ".{0,6}"],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A stream from another machine may say anything; the checks judge it, and none of them breaks.
    #[test]
    fn whatever_the_files_say_the_checks_hold(
        texts in prop::collection::vec(prop::collection::vec(hostile_line(), 0..4), 80),
        modes in prop::collection::vec(any::<u32>(), 80),
    ) {
        let directory = Tree::healthy().write();
        let root = kgtop::sources::root::Root::open(directory.path()).unwrap();
        let mut files = None;
        kgtop::sources::doctor::scan(&root, &mut |found| files = Some(found));
        let mut files = files.unwrap();
        for ((file, lines), mode) in files.files.iter_mut().zip(texts.iter().cycle()).zip(modes.iter().cycle()) {
            file.lines = Ok((1..).zip(lines).map(|(number, line)| (number, line.as_str().into())).collect());
            if file.names.is_ok() {
                file.names = Ok(lines.iter().map(|line| line.as_str().into()).collect());
            }
            file.mode = Ok(*mode);
            if let Some(line) = lines.first() {
                file.link = Ok(line.as_str().into());
                file.label = Ok(line.as_str().into());
            }
        }
        let mut fold = Deriver::new();
        fold.push(Record::Inventory(Box::new(Inventory { pci: kgtop::sources::pci::scan(&root), ..Inventory::default() })));
        let sample = Sample {
            host_files: Some(Grouped { at: Mono(1), value: files }),
            mono: Mono(2),
            ..Sample::default()
        };
        let snapshot = fold.push(Record::Sample(Box::new(sample))).unwrap();
        let examined = kgtop::analysis::doctor::examine_snapshot(&snapshot, &[]);
        prop_assert!(examined.len() > 30);
        let text = kgtop::report::doctor_text(&snapshot, &examined);
        prop_assert!(!text.contains('\0'), "a control character reaches the terminal");
    }
}
