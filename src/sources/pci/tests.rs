use super::*;
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

fn explain(name: &str, error: Option<&str>) -> Option<String> {
    let root = fixture(name);
    no_driver_explanation(&scan(&root), &module_version(&root), error)
}

#[test]
fn each_kind_of_missing_driver_is_explained() {
    let missing = "libnvidia-ml.so.1: cannot open shared object file: No such file or directory";
    let said = |name: &str, error: Option<&str>| explain(name, error).unwrap();
    assert!(said("none", Some(missing)).starts_with("No NVIDIA GPU on the PCI bus"));
    let nouveau = said("nouveau", Some(missing));
    assert!(nouveau.contains("1 NVIDIA GPU (0000:01:00.0) is") && nouveau.contains("nouveau"), "{nouveau}");
    let vfio = said("vfio", Some(missing));
    assert!(vfio.contains("2 of them bound to vfio-pci"), "{vfio}");
    assert!(said("no-driver", Some(missing)).contains("modprobe nvidia"));
    assert!(said("docker-v2", Some(missing)).contains("570.86.15 serves the GPUs"));
    assert!(said("docker-v2", Some(missing)).contains("--nvml-lib"));
    let mismatch = said("docker-v2", Some("Driver/library version mismatch"));
    assert!(mismatch.contains("does not match the loaded kernel module 570.86.15"), "{mismatch}");
    assert!(said("docker-v2", Some("Driver Not Loaded")).contains("nvidiactl"));
    assert!(said("docker-v2", Some("Unknown Error")).contains("Unknown Error"));
    assert_eq!(explain("docker-v2", None), None);
    assert_eq!(explain("none", None), None, "NVML answers without a PCI bus (WSL, Tegra)");
}

#[test]
fn a_gpu_that_left_the_bus_and_a_gpu_the_module_refused() {
    let loaded: Reading<Arc<str>> = Ok("570.86.15".into());
    let off = no_driver_explanation(&[], &loaded, Some("No devices")).unwrap();
    assert!(off.contains("fell off the bus"), "{off}");
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
