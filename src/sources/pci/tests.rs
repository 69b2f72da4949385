use super::*;
use crate::sources::nvml::OpenError;
use proptest::prelude::*;

fn fixture(name: &str) -> Root {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roots").join(name);
    Root::open(&path).unwrap()
}

#[test]
fn link_speeds() {
    assert_eq!(link_speed("32.0 GT/s PCIe"), Ok(320));
    assert_eq!(link_speed("2.5 GT/s PCIe\n"), Ok(25));
    assert_eq!(link_speed("8 GT/s"), Ok(80));
    for wrong in ["Unknown", "", "32.0", "32.x GT/s", "99999999999 GT/s", "4294967295 GT/s", "32. GT/s"] {
        assert!(matches!(link_speed(wrong), Err(Absence::Failed { .. })), "{wrong}");
    }
}

#[test]
fn link_widths_and_numa_nodes() {
    assert_eq!(link_width("16"), Ok(16));
    assert_eq!(link_width("63"), Err(Absence::Lost));
    assert_eq!(link_width("255"), Err(Absence::NotSupported));
    assert!(matches!(link_width("wide"), Err(Absence::Failed { .. })));
    assert_eq!(numa_node("1"), Ok(1));
    assert_eq!(numa_node("-1"), Err(Absence::NotSupported));
}

#[test]
fn both_kinds_of_kernel_module_name_their_version() {
    let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version: 12.3.0\n";
    let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U16)\n";
    assert_eq!(proc_version(closed), Some("535.129.03"));
    assert_eq!(proc_version(open), Some("570.86.15"));
    assert_eq!(proc_version("GCC version: 12.3.0"), None);
    assert_eq!(module_version(&fixture("none")), Err(Absence::NotSupported));
    assert_eq!(module_version(&fixture("docker-v2")).as_deref(), Ok("570.86.15"));
    assert_eq!(module_version(&fixture("kubernetes-v2")).as_deref(), Ok("535.129.03"));
}

#[test]
fn a_gpu_with_its_links() {
    let devices = scan(&fixture("docker-v2"));
    let [device] = devices.as_slice() else { panic!("the audio function is no GPU: {devices:?}") };
    let expected = PciDevice {
        address: "0000:41:00.0".into(),
        id: "10de:2335".into(),
        driver: Some("nvidia".into()),
        runtime_status: Ok("active".into()),
        numa_node: Ok(1),
        local_cpus: Ok("32-63,96-127".into()),
        link_speed: Ok(320),
        max_link_speed: Ok(320),
        link_width: Ok(16),
        max_link_width: Ok(16),
    };
    assert_eq!(*device, expected);
    assert!(asleep(&devices).is_empty());
}

#[test]
fn a_sleeping_laptop_gpu_is_left_asleep() {
    let devices = scan(&fixture("laptop-asleep"));
    assert_eq!(devices.len(), 1, "the Intel GPU is not listed");
    // The fixture's link files answer EIO: reading them would show.
    assert_eq!(devices[0].link_speed, Err(Absence::Asleep));
    assert_eq!(devices[0].max_link_width, Err(Absence::Asleep));
    assert_eq!(devices[0].numa_node, Err(Absence::NotSupported));
    assert_eq!(asleep(&devices).len(), 1);
    let mut vfio = devices[0].clone();
    vfio.driver = Some("vfio-pci".into());
    assert!(asleep(&[vfio]).is_empty(), "NVML does not see what another driver holds");
}

fn explain(name: &str, error: Option<&OpenError>) -> Option<String> {
    let root = fixture(name);
    no_driver_explanation(&scan(&root), &module_version(&root), error)
}

#[test]
fn each_kind_of_missing_driver_is_explained() {
    let said = |name: &str| explain(name, Some(&OpenError::NoLibrary)).unwrap();
    assert!(said("none").starts_with("No NVIDIA GPU on the PCI bus"));
    let nouveau = said("nouveau");
    assert!(nouveau.contains("1 NVIDIA GPU (0000:01:00.0) is") && nouveau.contains("nouveau"), "{nouveau}");
    let vfio = said("vfio");
    assert!(vfio.contains("2 of them bound to vfio-pci"), "{vfio}");
    assert!(said("no-driver").contains("modprobe nvidia"));
    assert_eq!(explain("docker-v2", None), None);
    assert_eq!(explain("none", None), None, "NVML answers without a PCI bus (WSL, Tegra)");
}

#[test]
fn each_answer_of_the_library_beside_a_loaded_module_has_its_own_advice() {
    let other = |code, name: &str| OpenError::Other { code, name: name.to_owned() };
    let not_a_library =
        OpenError::NotALibrary { path: "/opt/nvml.so".into(), reason: "invalid ELF header".into() };
    let cases = [
        (
            OpenError::NoLibrary,
            ["570.86.15 serves the GPUs", "libnvidia-ml.so.1 was not found", "--nvml-lib"],
        ),
        (
            OpenError::LibraryMismatch,
            [
                "does not match the loaded kernel module 570.86.15",
                "reload the module, or reboot",
                "NVML says LIB_RM_VERSION_MISMATCH (18).",
            ],
        ),
        (
            OpenError::DriverNotLoaded,
            [
                "570.86.15 serves the GPUs",
                "/dev/nvidiactl is missing or closed",
                "NVML says DRIVER_NOT_LOADED (9).",
            ],
        ),
        (
            OpenError::NoPermission,
            ["570.86.15", "this user may not open them", "NVML says NO_PERMISSION (4)."],
        ),
        (OpenError::Unknown, ["570.86.15", "\"Unknown Error\"", "in a container, restart it"]),
        (other(17, "OPERATING_SYSTEM"), ["570.86.15", "OPERATING_SYSTEM (17)", "dmesg"]),
        (not_a_library, ["570.86.15", "/opt/nvml.so", "invalid ELF header"]),
    ];
    for (error, parts) in &cases {
        let text = explain("docker-v2", Some(error)).unwrap();
        for part in parts {
            assert!(text.contains(part), "{part:?} for {error:?} in: {text}");
        }
        // The advice of one never stands in the text of another.
        let of_another = |mark: &str, own: &OpenError| text.contains(mark) && error != own;
        assert!(!of_another("does not match", &OpenError::LibraryMismatch), "{text}");
        assert!(!of_another("was not found", &OpenError::NoLibrary), "{text}");
        assert!(!text.contains("is not loaded"), "the module is loaded: {text}");
    }
}

#[test]
fn a_gpu_that_left_the_bus_and_a_gpu_the_module_refused() {
    let loaded: Reading<Arc<str>> = Ok("570.86.15".into());
    let off = no_driver_explanation(&[], &loaded, Some(&OpenError::DriverNotLoaded)).unwrap();
    assert!(off.contains("fell off the bus") && off.contains("DRIVER_NOT_LOADED (9)"), "{off}");
    assert!(!off.contains("is not loaded"), "{off}");
    let devices = scan(&fixture("no-driver"));
    let refused = no_driver_explanation(&devices, &loaded, None).unwrap();
    assert!(refused.contains("570.86.15 is loaded") && refused.contains("NVRM"), "{refused}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", near in "[0-9.-]{0,12}( GT/s)?[^a]{0,4}") {
        for text in [&text, &near] {
            let _ = (link_speed(text), link_width(text), numa_node(text), proc_version(text));
        }
    }
}

#[test]
fn what_is_no_gpu_is_looked_at_again_now_and_then() {
    let machine = tempfile::tempdir().unwrap();
    let root = Root::open(machine.path()).unwrap();
    let put = |address: &str, vendor: &str| {
        let device = machine.path().join("sys/bus/pci/devices").join(address);
        std::fs::create_dir_all(&device).unwrap();
        std::fs::write(device.join("vendor"), vendor).unwrap();
        std::fs::write(device.join("class"), "0x030200\n").unwrap();
    };
    let mut bus = Bus::default();
    let mut seen = || bus.scan(&root).iter().map(|device| device.address.to_string()).collect::<Vec<_>>();
    put("0000:01:00.0", "0x8086\n");
    put("0000:02:00.0", "0x10de\n");
    assert_eq!(seen(), ["0000:02:00.0"]);
    put("0000:03:00.0", "0x10de\n");
    assert_eq!(seen(), ["0000:02:00.0", "0000:03:00.0"], "a new address is looked at at once");
    std::fs::remove_dir_all(machine.path().join("sys/bus/pci/devices/0000:02:00.0")).unwrap();
    assert_eq!(seen(), ["0000:03:00.0"]);
    // Another device at an address that was no GPU's.
    put("0000:01:00.0", "0x10de\n");
    let looks = (0..LOOKS).position(|_| seen().len() == 2).unwrap();
    assert_eq!(looks, LOOKS as usize - 3, "with the next look at everything");
}
