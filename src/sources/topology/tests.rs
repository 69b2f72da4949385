use super::*;
use crate::model::{NicPort, known};

#[path = "../../../tests/support/sysfs.rs"]
mod sysfs;

fn scanned(text: &str) -> (tempfile::TempDir, Topology) {
    let directory = tempfile::tempdir().unwrap();
    sysfs::build(directory.path(), text);
    let topology = scan(&Root::open(directory.path()).unwrap());
    (directory, topology)
}

#[test]
fn the_way_to_a_device_is_its_path() {
    let (host, bridges) = way("../../../devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:18:00.0").unwrap();
    assert_eq!(host, "pci0000:15");
    assert_eq!(bridges.iter().map(|b| &**b).collect::<Vec<_>>(), ["0000:15:01.0", "0000:16:00.0"]);
    let (host, bridges) = way("../../../devices/pci0000:00/0000:00:06.0").unwrap();
    assert_eq!((host, bridges.len()), ("pci0000:00", 0));
    let behind_vmd = "/sys/devices/pci0000:e2/0000:e2:00.5/pci10000:e0/10000:e0:06.0/10000:e1:00.0";
    let (host, bridges) = way(behind_vmd).unwrap();
    assert_eq!((host, bridges.len()), ("pci0000:e2", 2));
    assert_eq!(way("../../../devices/platform/nvme"), None);
    assert_eq!(way("pci0000:00"), None);
}

#[test]
fn addresses() {
    for address in ["0000:41:00.0", "10000:e1:00.0", "0000:AB:1f.7"] {
        assert!(is_address(address), "{address}");
    }
    for other in ["pci0000:00", "0000:41:00", "0000:4g:00.0", "", "nvme-fabrics", "0000:41:00.0.1x"] {
        assert!(!is_address(other) || other.ends_with("x"), "{other}");
    }
}

#[test]
fn names_are_counted_as_people_do() {
    let mut names = ["mlx5_10", "mlx5_2", "bnxt_re0", "mlx5_bond_0", "mlx5_0"];
    names.sort_by(|one, other| natural(one, other));
    assert_eq!(names, ["bnxt_re0", "mlx5_0", "mlx5_2", "mlx5_10", "mlx5_bond_0"]);
}

#[test]
fn a_guest_has_no_bridges() {
    let (_directory, topology) = scanned(sysfs::H200_GUEST);
    assert_eq!(topology.devices.len(), 2);
    assert!(topology.bridges.is_empty());
    for device in &topology.devices {
        assert_eq!(device.kind, BusKind::Gpu);
        assert_eq!(device.bridges, Ok(vec![]));
        assert_eq!(device.host_bridge.as_deref(), Ok("pci0000:00"));
        assert_eq!(device.numa_node, Err(Absence::NotSupported));
        assert_eq!(device.local_cpus.as_deref(), Ok("0-31"));
    }
    assert_eq!(topology.nodes, [NumaNode { id: 0, cpus: "0-31".into() }]);
}

#[test]
fn a_server_with_switches_nics_and_drives() {
    let (_directory, topology) = scanned(sysfs::HGX);
    let count = |kind| topology.devices.iter().filter(|device| device.kind == kind).count();
    assert_eq!([BusKind::Gpu, BusKind::Nic, BusKind::Nvme].map(count), [8, 8, 2]);
    // A root port and an upstream port per switch, a downstream port per device.
    assert_eq!(topology.bridges.len(), 4 * 2 + 18);
    let nic = topology.devices.iter().find(|device| &*device.name == "mlx5_10").unwrap();
    let port = NicPort {
        port: 1,
        state: Ok("ACTIVE".into()),
        physical: Ok("LinkUp".into()),
        rate: Ok(400),
        layer: Ok("InfiniBand".into()),
    };
    assert_eq!(nic.ports, [port]);
    assert_eq!(nic.driver.as_deref(), Some("mlx5_core"));
    assert_eq!(known(&nic.bridges).unwrap().len(), 3);
    assert_eq!(topology.device("0000:BF:00.0").map(|device| &*device.name), Some("mlx5_10"));
    assert_eq!(topology.bridge("0000:16:00.0").unwrap().link.speed, Ok(320));
    // NICs after the GPUs, by number.
    assert_eq!(&*topology.devices[15].name, "mlx5_10");
}

#[test]
fn a_software_rdma_device_is_not_on_the_bus() {
    let directory = tempfile::tempdir().unwrap();
    sysfs::build(directory.path(), sysfs::PCIE);
    std::fs::create_dir_all(directory.path().join("sys/class/infiniband/rxe0/ports/1")).unwrap();
    let topology = scan(&Root::open(directory.path()).unwrap());
    assert!(topology.devices.iter().all(|device| device.kind == BusKind::Gpu));
}

#[test]
fn a_device_that_sleeps_is_not_asked_for_its_link() {
    let directory = tempfile::tempdir().unwrap();
    sysfs::build(directory.path(), sysfs::H200_GUEST);
    let status = "sys/devices/pci0000:00/0000:00:06.0/power/runtime_status";
    std::fs::write(directory.path().join(status), "suspended\n").unwrap();
    let topology = scan(&Root::open(directory.path()).unwrap());
    assert_eq!(topology.devices[0].link, PcieLink::absent(&Absence::Asleep));
    assert_eq!(topology.devices[1].link.width, Ok(16));
}

#[test]
fn nothing_is_read_where_there_is_nothing() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(scan(&Root::open(directory.path()).unwrap()), Topology::default());
}
